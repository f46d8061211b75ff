{{/* The two configuration files. `config` of the values is merged in; the checks have seen that it sets nothing of ours. */}}

{{- define "labwire.serveConfig" -}}
{{- $c := deepCopy .Values.config -}}
{{- $_ := set $c "installation" (include "labwire.installation" .) -}}
{{- $_ := set $c "listen" "0.0.0.0:8080" -}}
{{- $_ := set $c "public_url" .Values.publicUrl -}}
{{- $_ := set $c "data_dir" "/var/lib/labwire" -}}
{{- $_ := set $c "labs_dir" "/usr/share/labwire/labs" -}}
{{- $_ := set $c "runtime" (dict "kind" "kubernetes" "kubernetes" (dict "namespace" (include "labwire.labsNamespace" .) "connect" "pod")) -}}
{{- $limits := merge (dict "sandboxes_max" .Values.labs.sandboxesMax) ($c.limits | default dict) -}}
{{- $replicas := int (ternary .Values.autoscaling.maxReplicas .Values.serve.replicas .Values.autoscaling.enabled) -}}
{{- /* nobody is sent to a replica that ends: endpoints, kube-proxy and ingress controllers take note within seconds */ -}}
{{- if gt $replicas 1 }}{{ $limits = merge $limits (dict "drain_notice" "5s") }}{{ end -}}
{{- $_ := set $c "limits" $limits -}}
{{- if .Values.launchKeys.secret.name -}}
  {{- $keys := list -}}
  {{- range .Values.launchKeys.ids }}{{ $keys = append $keys (dict "id" . "secret_file" (printf "/etc/labwire/keys/%s" .)) }}{{ end -}}
  {{- $_ := set $c "keys" $keys -}}
{{- end -}}
{{- /* the ingress says who asks; more proxies before it are said in config.http.proxies */ -}}
{{- $http := $c.http | default dict -}}
{{- if and .Values.ingress.enabled (not (hasKey $http "proxies")) -}}
  {{- $_ := set $c "http" (set $http "proxies" 1) -}}
{{- end -}}
{{- with .Values.staffLogin -}}
  {{- if .issuer -}}
    {{- $_ := set $c "staff_login" (dict "issuer" .issuer "client_id" .clientId "scopes" .scopes "groups_claim" .groupsClaim "roles" .roles) -}}
  {{- end -}}
{{- end -}}
{{- if eq .Values.recordings.kind "s3" -}}
  {{- with .Values.recordings.s3 -}}
    {{- $_ := set $c "recordings" (printf "s3://%s/%s" .bucket .prefix) -}}
    {{- $s3 := dict "region" .region "path_style" .pathStyle -}}
    {{- if .endpoint }}{{ $_ := set $s3 "endpoint" .endpoint }}{{ end -}}
    {{- $_ := set $c "s3" $s3 -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $c "replicas" $replicas -}}
{{- /* the hook migrates Postgres, once for all replicas */ -}}
{{- $_ := set $c "migrate" (eq .Values.database.kind "sqlite") -}}
{{- toYaml $c -}}
{{- end }}

{{/* What serve gets beside its file: where the file is, so that `kubectl exec … -- labwire link` finds it too, and what is secret. */}}
{{- define "labwire.serveEnv" -}}
- {name: LABWIRE_CONFIG, value: /etc/labwire/labwire.yaml}
{{- if eq .Values.database.kind "postgres" }}
{{ include "labwire.secretVariable" (dict "name" "LABWIRE_DATABASE" "secret" .Values.database.secret.name "key" .Values.database.secret.key) }}
{{- end }}
{{- if eq .Values.recordings.kind "s3" }}
{{- with .Values.recordings.s3.secret }}
{{ include "labwire.secretVariable" (dict "name" "LABWIRE_S3_ACCESS_KEY" "secret" .name "key" .accessKey) }}
{{ include "labwire.secretVariable" (dict "name" "LABWIRE_S3_SECRET_KEY" "secret" .name "key" .secretKey) }}
{{- end }}
{{- end }}
{{- if and .Values.staffLogin.issuer .Values.staffLogin.secret.name }}
{{ include "labwire.secretVariable" (dict "name" "LABWIRE_STAFF_CLIENT_SECRET" "secret" .Values.staffLogin.secret.name "key" .Values.staffLogin.secret.key) }}
{{- end }}
{{- with .Values.metrics.tokenSecret }}
{{- if .name }}
{{ include "labwire.secretVariable" (dict "name" "LABWIRE_METRICS_TOKEN" "secret" .name "key" .key) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The controller's file: no launch key, no database. It sees what labs are made of, and nothing of learners. */}}
{{- define "labwire.controllerConfig" -}}
{{- $c := dict "installation" (include "labwire.installation" .) "data_dir" "/tmp" -}}
{{- with .Values.config.log }}{{ $_ := set $c "log" . }}{{ end -}}
{{- $_ := set $c "runtime" (dict "kind" "kubernetes" "kubernetes" (dict "namespace" (include "labwire.labsNamespace" .))) -}}
{{- $seccomp := .Values.labs.seccomp.type -}}
{{- if eq $seccomp "Localhost" }}{{ $seccomp = .Values.labs.seccomp.path }}{{ end -}}
{{- $k := dict
  "listen" "0.0.0.0:8081"
  "image" (include "labwire.image" .)
  "image_pull_policy" .Values.labs.imagePullPolicy
  "image_pull_secrets" .Values.image.pullSecrets
  "seccomp" $seccomp
  "proc_mount" .Values.labs.procMount
  "host_users" (ne (include "labwire.userNamespaces" .) "true")
  "runtime_class" .Values.labs.runtimeClassName
  "kvm_resource" .Values.labs.kvmResource
  "node_selector" .Values.labs.nodeSelector
  "tolerations" .Values.labs.tolerations
  "priority_class" .Values.labs.priorityClassName
  "cpu_overcommit" (ternary .Values.labs.cpuOvercommit 0 (gt (int .Values.labs.cpuOvercommit) 1))
  "serve_namespace" .Release.Namespace
-}}
{{- /* what is not chosen is left to the program */ -}}
{{- range $key, $value := $k }}{{ if and (kindIs "bool" $value | not) (empty $value) }}{{ $_ := unset $k $key }}{{ end }}{{ end -}}
{{- $_ := set $c "controller" $k -}}
{{- toYaml $c -}}
{{- end }}
