{{- define "sluice.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/*
The name of the release's objects. 40 characters leave room for the names of services behind it. The name of a
release may have dots, which that of a Service may not.
*/}}
{{- define "sluice.fullname" -}}
{{- $name := printf "%s-%s" .Release.Name (include "sluice.name" .) -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if contains (include "sluice.name" .) .Release.Name -}}
{{- $name = .Release.Name -}}
{{- end -}}
{{- $name | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* The Secret with the secrets that stand in the values. */}}
{{- define "sluice.secretName" -}}
{{ include "sluice.fullname" . }}-values
{{- end -}}

{{- define "sluice.labels" -}}
{{ include "sluice.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "sluice.selector" -}}
app.kubernetes.io/name: {{ include "sluice.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "sluice.serviceAccount" -}}
{{- default (ternary (include "sluice.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "sluice.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* The port on which a service answers by default. */}}
{{- define "sluice.port" -}}
{{- get (dict "change-detector" "4751" "renderer" "4752" "delivery" "4753" "console" "4747") . -}}
{{- end -}}

{{/* The prefix of all names in Kafka: that of the environment, as Sluice makes it. */}}
{{- define "sluice.prefix" -}}
{{- if .Values.environment }}{{ .Values.prefix }}-{{ .Values.environment }}{{ else }}{{ .Values.prefix }}{{ end -}}
{{- end -}}

{{/* The address that browsers use. */}}
{{- define "sluice.publicUrl" -}}
{{- $ingress := .Values.console.ingress -}}
{{- if .Values.console.publicUrl -}}
{{- .Values.console.publicUrl -}}
{{- else if and $ingress.enabled $ingress.host -}}
{{- ternary "https" "http" (not (empty $ingress.tlsSecret)) }}://{{ $ingress.host -}}
{{- end -}}
{{- end -}}

{{/*
The login of a service at Kafka, as YAML: mechanism, username and password. Takes root and service. With
Strimzi each service has a user of its own.
*/}}
{{- define "sluice.login" -}}
{{- if .root.Values.strimzi.enabled -}}
{{- $user := printf "%s-%s" (include "sluice.fullname" .root) .service -}}
mechanism: scram-sha-512
username: { value: {{ $user | quote }} }
password: { secret: {{ $user | quote }}, key: password }
{{- else -}}
{{- toYaml .root.Values.kafka.sasl -}}
{{- end -}}
{{- end -}}

{{/*
The secrets of a service that have a value or a Secret, as YAML: { files: [{ variable, file, from }] }. Takes
root and service. The file is also the key of a value in the Secret of the release.
*/}}
{{- define "sluice.files" -}}
{{- $values := .root.Values -}}
{{- $service := .service -}}
{{- $login := include "sluice.login" . | fromYaml -}}
{{- $ca := $values.kafka.tls.ca -}}
{{- if and $values.strimzi.enabled (empty $ca) -}}
{{- $ca = dict "secret" (printf "%s-cluster-ca-cert" $values.strimzi.cluster) "key" "ca.crt" -}}
{{- end -}}
{{- $all := list
  (list "SLUICE_SCHEMA_REGISTRY_URL" $values.schemaRegistry.url)
  (list "SLUICE_REDIS_URL" $values.redis.url)
  (list "SLUICE_REDIS_CA" $values.redis.ca)
  (list "SLUICE_METRICS_TOKEN" $values.metricsToken)
  (list "SLUICE_SIGNING_KEY" $values.signingKey)
-}}
{{- if or $values.kafka.tls.enabled $values.strimzi.enabled -}}
{{- $all = concat $all (list
  (list "SLUICE_KAFKA_SSL_CA" $ca)
  (list "SLUICE_KAFKA_SSL_CERT" $values.kafka.tls.certificate)
  (list "SLUICE_KAFKA_SSL_KEY" $values.kafka.tls.privateKey)) -}}
{{- end -}}
{{- if $login.mechanism -}}
{{- $all = append $all (list "SLUICE_KAFKA_SASL_PASSWORD" $login.password) -}}
{{- end -}}
{{- if ne $service "renderer" -}}
{{- $all = append $all (list "SLUICE_ENCRYPTION_KEY" $values.encryptionKey) -}}
{{- end -}}
{{- if eq $service "console" -}}
{{- $all = concat $all (list
  (list "SLUICE_TOKEN" $values.console.token)
  (list "SLUICE_READ_TOKEN" $values.console.readToken)
  (list "SLUICE_TOKENS" $values.console.tokens)
  (list "SLUICE_OIDC_CLIENT_SECRET" $values.console.openId.clientSecret)) -}}
{{- end -}}
{{- range $values.secrets -}}
{{- if has $service .services -}}
{{- $variable := printf "SLUICE_SECRET_%s" (.name | upper | replace "-" "_") -}}
{{- $all = append $all (list $variable (pick . "value" "secret" "key")) -}}
{{- end -}}
{{- end -}}
{{- $files := list -}}
{{- range $all -}}
{{- $variable := index . 0 -}}
{{- $from := index . 1 -}}
{{- if $from -}}
{{- $file := $variable | trimPrefix "SLUICE_" | lower | replace "_" "-" -}}
{{- $files = append $files (dict "variable" $variable "file" $file "from" $from) -}}
{{- end -}}
{{- end -}}
{{- toYaml (dict "files" $files) -}}
{{- end -}}

{{/*
The variables of a service with their values, as YAML. Takes root and service. A name stands here once, whoever
sets it: those of the service in the values come before those of all services, and both before the chart's.
*/}}
{{- define "sluice.env" -}}
{{- $values := .root.Values -}}
{{- $service := .service -}}
{{- $settings := index $values.services $service -}}
{{- $login := include "sluice.login" . | fromYaml -}}
{{- $env := dict
  "SLUICE_KAFKA_BROKERS" (join "," $values.kafka.brokers)
  "SLUICE_KAFKA_SSL" (or $values.kafka.tls.enabled $values.strimzi.enabled | toString)
  "SLUICE_PREFIX" $values.prefix
  "SLUICE_LOG_LEVEL" $values.logLevel
  "SLUICE_SHUTDOWN_TIMEOUT" (printf "%ds" (int $values.shutdownSeconds))
  "SLUICE_MEMORY" $settings.memory
-}}
{{- with $login.mechanism }}{{ $_ := set $env "SLUICE_KAFKA_SASL_MECHANISM" . }}{{ end -}}
{{- with $login.username }}{{ if .value }}{{ $_ := set $env "SLUICE_KAFKA_SASL_USERNAME" .value }}{{ end }}{{ end -}}
{{/* Strimzi makes the topics, and its users may not. */}}
{{- $_ := set $env "SLUICE_KAFKA_CREATE_TOPICS" (and $values.kafka.createTopics (not $values.strimzi.enabled) | toString) -}}
{{- with $values.kafka.replication }}{{ $_ := set $env "SLUICE_KAFKA_REPLICATION" (toString .) }}{{ end -}}
{{- with $values.environment }}{{ $_ := set $env "SLUICE_ENV" . }}{{ end -}}
{{- if ne $service "renderer" -}}
{{- $_ := set $env "SLUICE_SOURCE_PRIVATE_NETWORKS" $values.privateNetworks -}}
{{- $_ := set $env "SLUICE_DESTINATION_PRIVATE_NETWORKS" $values.privateNetworks -}}
{{- end -}}
{{- if has $service (list "change-detector" "console") -}}
{{- $_ := set $env "SLUICE_DATA_DIR" "/var/lib/sluice/state" -}}
{{- end -}}
{{- if eq $service "console" -}}
{{- with include "sluice.publicUrl" .root }}{{ $_ := set $env "SLUICE_PUBLIC_URL" . }}{{ end -}}
{{- with $values.console.openId -}}
{{- with .issuer }}{{ $_ := set $env "SLUICE_OIDC_ISSUER" . }}{{ end -}}
{{- with .clientId }}{{ $_ := set $env "SLUICE_OIDC_CLIENT_ID" . }}{{ end -}}
{{- with .roles }}{{ $_ := set $env "SLUICE_OIDC_ROLES" . }}{{ end -}}
{{- with .rolesClaim }}{{ $_ := set $env "SLUICE_OIDC_ROLES_CLAIM" . }}{{ end -}}
{{- with .scopes }}{{ $_ := set $env "SLUICE_OIDC_SCOPES" . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- range (include "sluice.files" . | fromYaml).files -}}
{{- $_ := set $env (printf "%s_FILE" .variable) (printf "/run/secrets/sluice/%s" .file) -}}
{{- end -}}
{{- range $values.secrets -}}
{{- if has $service .services }}{{ $_ := set $env (printf "SLUICE_SECRET_%s_FOR" (.name | upper | replace "-" "_")) .for }}{{ end -}}
{{- end -}}
{{- toYaml (merge (deepCopy (default dict $settings.env)) (default dict $values.env) $env) -}}
{{- end -}}

{{/* The values that the Secret of the release holds, by key. */}}
{{- define "sluice.ownSecrets" -}}
{{- $own := dict -}}
{{- range $service, $settings := .Values.services -}}
{{- if $settings.enabled -}}
{{- range (include "sluice.files" (dict "root" $ "service" $service) | fromYaml).files -}}
{{- if hasKey .from "value" -}}
{{- $own = set $own .file .from.value -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $own -}}
{{- end -}}

{{/* Fails with a sentence about a value without which no service starts. */}}
{{- define "sluice.check" -}}
{{- $values := .Values -}}
{{- if not (regexMatch "^[a-z]" (include "sluice.fullname" .)) }}{{ fail "The name of a Service begins with a letter: set fullnameOverride, or give the release another name." }}{{ end -}}
{{- if empty $values.kafka.brokers }}{{ fail "kafka.brokers is empty: name some brokers, such as [kafka:9092]." }}{{ end -}}
{{- if empty $values.schemaRegistry.url }}{{ fail "schemaRegistry.url is empty: set { value: http://registry:8081 }, or secret and key of a Secret that has the URL." }}{{ end -}}
{{- if empty $values.redis.url }}{{ fail "redis.url is empty: set { value: redis://redis:6379 }, or secret and key of a Secret that has the URL." }}{{ end -}}
{{- if and $values.kafka.sasl.mechanism (empty $values.kafka.sasl.password) }}{{ fail "kafka.sasl.mechanism wants kafka.sasl.password." }}{{ end -}}
{{- if and $values.kafka.sasl.mechanism (ne $values.kafka.sasl.mechanism "oauthbearer") (empty $values.kafka.sasl.username) }}{{ fail "kafka.sasl.mechanism wants kafka.sasl.username." }}{{ end -}}
{{- with $values.console -}}
{{- if and (index $values.services "console").enabled (empty .token) (empty .readToken) (empty .tokens) (empty .openId.issuer) }}{{ fail "The console wants a token: set console.token, console.readToken, console.tokens or console.openId, or services.console.enabled=false." }}{{ end -}}
{{- with .openId -}}
{{- if and .issuer (or (empty .clientId) (empty .clientSecret) (empty .roles)) }}{{ fail "console.openId.issuer wants console.openId.clientId, console.openId.clientSecret and console.openId.roles." }}{{ end -}}
{{- end -}}
{{- if and .persistence.enabled (gt (int (index $values.services "console").replicas) 1) }}{{ fail "console.persistence is for one replica: set services.console.replicas=1." }}{{ end -}}
{{- if and .ingress.enabled (empty .ingress.host) }}{{ fail "console.ingress.enabled wants console.ingress.host." }}{{ end -}}
{{- end -}}
{{- if $values.strimzi.enabled -}}
{{- if empty $values.strimzi.cluster }}{{ fail "strimzi.enabled wants strimzi.cluster, the name of the Kafka." }}{{ end -}}
{{- if $values.kafka.sasl.mechanism }}{{ fail "strimzi.enabled makes the users of Kafka: leave kafka.sasl out." }}{{ end -}}
{{- end -}}
{{- if $values.keda.enabled -}}
{{- if and (empty $values.keda.prometheus.serverAddress) (empty $values.keda.kafka.groups) }}{{ fail "keda.enabled wants keda.prometheus.serverAddress or keda.kafka.groups." }}{{ end -}}
{{- with $values.keda.prometheus -}}
{{- if and .serverAddress (empty .query) (not $values.serviceMonitor.enabled) }}{{ fail "keda.prometheus wants serviceMonitor.enabled, whose labels its query asks for, or a keda.prometheus.query of your own." }}{{ end -}}
{{- if and .authenticationRef (empty .authModes) }}{{ fail "keda.prometheus.authenticationRef wants keda.prometheus.authModes, such as bearer." }}{{ end -}}
{{- end -}}
{{- range $service := list "renderer" "delivery" -}}
{{- with index $values.keda $service -}}
{{- if lt (int .maxReplicas) (int .minReplicas) }}{{ fail (printf "keda.%s.maxReplicas is less than keda.%s.minReplicas." $service $service) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if and $values.keda.kafka.groups (eq $values.kafka.sasl.mechanism "oauthbearer") }}{{ fail "keda.kafka.groups does not work with oauthbearer, whose token KEDA cannot renew." }}{{ end -}}
{{- end -}}
{{- end -}}
