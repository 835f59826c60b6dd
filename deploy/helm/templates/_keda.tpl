{{/*
The triggers by which KEDA scales a service, as YAML: { triggers: [...] }. Takes root and service. Requests
that wait are delivery's alone. A renderer has Kafka's lag, and a detector or a console is not scaled.
*/}}
{{- define "sluice.triggers" -}}
{{- $root := .root -}}
{{- $service := .service -}}
{{- $keda := .root.Values.keda -}}
{{- $fullname := include "sluice.fullname" $root -}}
{{- $prefix := include "sluice.prefix" $root -}}
{{- $login := include "sluice.login" . | fromYaml -}}
{{- $triggers := list -}}
{{- if and (eq $service "delivery") $keda.prometheus.serverAddress -}}
{{- $mine := printf `sum(sluice_backlog_requests{namespace="%s",service="%s-delivery"}) or vector(0)` $root.Release.Namespace $fullname -}}
{{- $trigger := dict "type" "prometheus" "metricType" "AverageValue" "metadata" (dict
  "serverAddress" $keda.prometheus.serverAddress
  "query" (default $mine $keda.prometheus.query)
  "threshold" (int64 $keda.prometheus.threshold | toString)) -}}
{{- with $keda.prometheus.authenticationRef -}}
{{- $_ := set $trigger "authenticationRef" (dict "name" .) -}}
{{- $_ := set $trigger.metadata "authModes" $keda.prometheus.authModes -}}
{{- end -}}
{{- $triggers = append $triggers $trigger -}}
{{- end -}}
{{- if has $service (list "renderer" "delivery") -}}
{{/* KEDA runs in another namespace, where a name without one means another server. */}}
{{- $brokers := list -}}
{{- range $root.Values.kafka.brokers -}}
{{- $brokers = append $brokers (regexReplaceAll "^([A-Za-z0-9-]+):" . (printf "${1}.%s:" $root.Release.Namespace)) -}}
{{- end -}}
{{/*
A sync without a run has no consumer, so Kafka forgets its group after a week. With `earliest` KEDA would then
take all that the topic ever had for lag.
*/}}
{{- range $keda.kafka.groups -}}
{{- $metadata := dict
  "bootstrapServers" (join "," $brokers)
  "consumerGroup" (printf "%s.%s.%s.%s" $prefix $service .sync .incarnation)
  "topic" (printf "%s.%s.%s" $prefix .sync (ternary "requests" "changes" (eq $service "delivery")))
  "lagThreshold" (int64 $keda.kafka.threshold | toString)
  "offsetResetPolicy" "latest" -}}
{{- $trigger := dict "type" "kafka" "metricType" "AverageValue" "metadata" $metadata -}}
{{- if $login.mechanism -}}
{{- $_ := set $metadata "sasl" (get (dict "plain" "plaintext" "scram-sha-256" "scram_sha256" "scram-sha-512" "scram_sha512") $login.mechanism) -}}
{{- end -}}
{{- if or $root.Values.kafka.tls.enabled $root.Values.strimzi.enabled -}}
{{- $_ := set $metadata "tls" "enable" -}}
{{- end -}}
{{- if (include "sluice.kedaSecrets" (dict "root" $root "service" $service) | fromYaml).targets -}}
{{- $_ := set $trigger "authenticationRef" (dict "name" (printf "%s-%s" $fullname $service)) -}}
{{- end -}}
{{- $triggers = append $triggers $trigger -}}
{{- end -}}
{{- end -}}
{{- toYaml (dict "triggers" $triggers) -}}
{{- end -}}

{{/*
How KEDA logs in to Kafka, in the place of a service: { targets: [{ parameter, name, key }] }, as YAML. KEDA
takes the user from a Secret alone, so one of the chart's has a user that stands in the values.
*/}}
{{- define "sluice.kedaSecrets" -}}
{{- $root := .root -}}
{{- $fullname := include "sluice.fullname" $root -}}
{{- $login := include "sluice.login" . | fromYaml -}}
{{- $targets := list -}}
{{- if and $login.mechanism $login.username -}}
{{- $targets = append $targets (dict "parameter" "username"
  "name" (default (printf "%s-%s-keda" $fullname .service) $login.username.secret)
  "key" (default "username" $login.username.key)) -}}
{{- end -}}
{{- range (include "sluice.files" . | fromYaml).files -}}
{{- $parameter := get (dict
  "SLUICE_KAFKA_SASL_PASSWORD" "password"
  "SLUICE_KAFKA_SSL_CA" "ca"
  "SLUICE_KAFKA_SSL_CERT" "cert"
  "SLUICE_KAFKA_SSL_KEY" "key") .variable -}}
{{- if $parameter -}}
{{- $targets = append $targets (dict "parameter" $parameter "name" (default (include "sluice.secretName" $root) .from.secret) "key" (default .file .from.key)) -}}
{{- end -}}
{{- end -}}
{{- toYaml (dict "targets" $targets) -}}
{{- end -}}
