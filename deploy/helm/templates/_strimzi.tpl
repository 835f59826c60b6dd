{{/*
Topics and rights as libs/topics has them (topics.ts, needed-rights.ts), by the names of topics. A test holds
them to `sluice topics --print`. Roles: d change-detector, r renderer, s delivery, c console, p people who
run `sluice`.
*/}}
{{- define "sluice.sharedTopics" -}}
resources: { partitions: 1, kind: hourly, reads: [d, s, p, c], writes: [d, p, c] }
definitions: { partitions: 1, kind: hourly, reads: [d, r, s, p, c], writes: [d, p, c] }
commands: { partitions: 8, kind: aged, reads: [d], writes: [p, c] }
runs: { partitions: 8, kind: hourly, reads: [d, r, s, p, c], writes: [d, r, s] }
secrets: { partitions: 1, kind: hourly, reads: [d, s, p, c], writes: [s, p, c] }
alerts: { partitions: 1, kind: hourly, reads: [p, c], writes: [c] }
tests: { partitions: 8, kind: aged, reads: [s, p, c], writes: [s, p, c] }
{{- end -}}

{{- define "sluice.syncTopics" -}}
changes: { kind: delayed, reads: [d, r, p, c], writes: [d] }
requests: { kind: kept, reads: [r, s, p, c], writes: [r] }
attempts: { kind: kept, reads: [s, p, c], writes: [s] }
retry: { kind: compacted, reads: [d, p, c], writes: [d, s] }
captured: { kind: compacted, reads: [d, p, c], writes: [d, s] }
{{- end -}}

{{/* The settings of a topic, by its kind. */}}
{{- define "sluice.topicConfig" -}}
cleanup.policy: {{ ternary "delete" "compact" (has . (list "aged" "kept")) }}
message.timestamp.type: LogAppendTime
retention.ms: {{ ternary 604800000 -1 (eq . "aged") }}
min.compaction.lag.ms: {{ ternary 604800000 0 (eq . "delayed") }}
delete.retention.ms: 86400000
max.message.bytes: 24001024
compression.type: producer
{{- if eq . "hourly" }}
max.compaction.lag.ms: 3600000
{{- end }}
{{- end -}}

{{/* A name in Kafka as the name of an object: small letters, digits, - and dots, and no - beside a dot or first. */}}
{{- define "sluice.objectName" -}}
{{- regexReplaceAll "^-+|-+(\\.)" (. | lower | replace "_" "-") "${1}" -}}
{{- end -}}

{{/* A right in a KafkaUser. Takes type, name, prefixed and operations. */}}
{{- define "sluice.acl" -}}
- resource: { type: {{ .type }}, name: {{ .name | quote }}, patternType: {{ ternary "prefix" "literal" (default false .prefixed) }} }
  operations: [{{ join ", " .operations }}]
{{- end -}}

{{/* The rights of a role on a topic. Takes role, topic (name), uses, and whether it deletes. */}}
{{- define "sluice.topicAcl" -}}
{{- $operations := list -}}
{{- if has .role .uses.reads }}{{ $operations = append $operations "Read" }}{{ end -}}
{{- if has .role .uses.writes }}{{ $operations = append $operations "Write" }}{{ end -}}
{{- if .deletes }}{{ $operations = append $operations "Delete" }}{{ end -}}
{{- if empty $operations }}{{ $operations = list "Describe" }}{{ end -}}
{{ include "sluice.acl" (dict "type" "topic" "name" .topic "operations" (append $operations "DescribeConfigs")) }}
{{- end -}}

{{/* All rights of a role. Takes root and role. */}}
{{- define "sluice.acls" -}}
{{- $role := .role -}}
{{- $prefix := include "sluice.prefix" .root -}}
{{- $syncs := .root.Values.strimzi.syncs -}}
{{- $isPerson := has $role (list "p" "c") -}}
{{- range $topic, $uses := include "sluice.sharedTopics" . | fromYaml }}
{{ include "sluice.topicAcl" (dict "role" $role "topic" (printf "%s.%s" $prefix $topic) "uses" $uses "deletes" false) }}
{{- end }}
{{- range $sync := $syncs }}
{{- range $topic, $uses := include "sluice.syncTopics" . | fromYaml }}
{{ include "sluice.topicAcl" (dict "role" $role "topic" (printf "%s.%s.%s" $prefix $sync.name $topic) "uses" $uses "deletes" (eq $role "d")) }}
{{- end }}
{{- if or $isPerson (eq $role "r") }}
{{ include "sluice.acl" (dict "type" "group" "name" (printf "%s.renderer.%s." $prefix .name) "prefixed" true "operations" (list (ternary "Describe" "Read" $isPerson))) }}
{{- end }}
{{- if or $isPerson (eq $role "s") }}
{{ include "sluice.acl" (dict "type" "group" "name" (printf "%s.delivery.%s." $prefix .name) "prefixed" true "operations" (list (ternary "Describe" "Read" $isPerson))) }}
{{- end }}
{{- with get (dict "d" "changes" "r" "requests" "s" "attempts") $role }}
{{ include "sluice.acl" (dict "type" "transactionalId" "name" (printf "%s.%s.%s." $prefix . $sync.name) "prefixed" true "operations" (list "Write")) }}
{{- end }}
{{- if eq $role "d" }}
{{ include "sluice.acl" (dict "type" "transactionalId" "name" (printf "%s.incarnation.%s" $prefix $sync.name) "operations" (list "Write")) }}
{{- end }}
{{- end }}
{{- if or $isPerson (eq $role "d") }}
{{ include "sluice.acl" (dict "type" "group" "name" (printf "%s.detector" $prefix) "operations" (list (ternary "Describe" "Read" $isPerson))) }}
{{- end }}
{{- if eq $role "s" }}
{{ include "sluice.acl" (dict "type" "group" "name" (printf "%s.tests" $prefix) "operations" (list "Read")) }}
{{- end }}
{{- if eq $role "c" }}
{{ include "sluice.acl" (dict "type" "group" "name" (printf "%s.alerts" $prefix) "operations" (list "Read")) }}
{{ include "sluice.acl" (dict "type" "transactionalId" "name" (printf "%s.alerts" $prefix) "operations" (list "Write")) }}
{{- end }}
{{- if or $isPerson (eq $role "s") }}
{{ include "sluice.acl" (dict "type" "transactionalId" "name" (printf "%s.secret." $prefix) "prefixed" true "operations" (list "Write")) }}
{{- end }}
{{- if $isPerson }}
{{ include "sluice.acl" (dict "type" "transactionalId" "name" (printf "%s.resources" $prefix) "operations" (list "Write")) }}
{{- end }}
{{- end -}}

{{/* A topic. It outlives the release: with it all would be forgotten. Takes root, topic, partitions and kind. */}}
{{- define "sluice.kafkaTopic" }}
---
apiVersion: {{ .root.Values.strimzi.apiVersion }}
kind: KafkaTopic
metadata:
  name: {{ include "sluice.objectName" .topic }}
  labels:
    {{- include "sluice.labels" .root | nindent 4 }}
    strimzi.io/cluster: {{ .root.Values.strimzi.cluster | quote }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  topicName: {{ .topic }}
  partitions: {{ .partitions }}
  {{- with .root.Values.kafka.replication }}
  replicas: {{ . }}
  {{- end }}
  config:
    {{- include "sluice.topicConfig" .kind | nindent 4 }}
    {{- if ge (int .root.Values.kafka.replication) 3 }}
    min.insync.replicas: 2
    {{- end }}
{{- end }}
