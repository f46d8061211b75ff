{{/*
What must not be installed. values.schema.json says what each value may be; these are the combinations. All problems at once, each with
the value, what is wrong, and what to do.
*/}}
{{- define "labwire.checks" -}}
{{- $v := .Values -}}
{{- $production := eq $v.profile "production" -}}
{{- $replicas := $v.serve.replicas -}}
{{- if $v.autoscaling.enabled }}{{ $replicas = $v.autoscaling.maxReplicas }}{{ end -}}
{{- $several := gt (int $replicas) 1 -}}
{{- $p := list -}}

{{- /* data */ -}}
{{- if and (eq $v.database.kind "sqlite") $several -}}
  {{- $p = append $p (printf "serve.replicas or autoscaling.maxReplicas is %v with database.kind=sqlite: SQLite has one writer; use one replica, or database.kind=postgres" $replicas) -}}
{{- end -}}
{{- if and (eq $v.recordings.kind "volume") $several -}}
  {{- $p = append $p "recordings.kind=volume with several replicas: each would see its own recordings; use recordings.kind=s3" -}}
{{- end -}}
{{- if and (eq $v.database.kind "postgres") (not $v.database.secret.name) -}}
  {{- $p = append $p "database.secret.name is empty: name a Secret of this namespace that holds the database's URL (docs/operations.md, Install)" -}}
{{- end -}}
{{- if eq $v.recordings.kind "s3" -}}
  {{- if not $v.recordings.s3.bucket }}{{ $p = append $p "recordings.s3.bucket is empty: name the bucket of the recordings" }}{{ end -}}
  {{- if not $v.recordings.s3.secret.name }}{{ $p = append $p "recordings.s3.secret.name is empty: name a Secret of this namespace with the storage's two keys" }}{{ end -}}
{{- end -}}
{{- if and (not $v.launchKeys.secret.name) (or $several (not (include "labwire.onVolume" .))) -}}
  {{- $p = append $p "launchKeys.secret.name is empty: without a shared Secret every replica would make a key of its own and refuse the others' links" -}}
{{- end -}}
{{- if and $v.launchKeys.secret.name (not $v.launchKeys.ids) -}}
  {{- $p = append $p "launchKeys.ids is empty: list the keys of the Secret, the signing one first" -}}
{{- end -}}

{{- /* what the chart decides */ -}}
{{- range list "installation" "listen" "public_url" "data_dir" "database" "recordings" "s3" "labs_dir" "runtime" "keys" "controller" "replicas" "migrate" "staff_login" -}}
  {{- if hasKey $v.config . }}{{ $p = append $p (printf "config.%s is set: the chart writes it; use the chart's own value for it" .) }}{{ end -}}
{{- end -}}
{{- if hasKey ($v.config.http | default dict) "metrics_token" }}{{ $p = append $p "config.http.metrics_token is set: it would lie in a ConfigMap; use metrics.tokenSecret" }}{{ end -}}
{{- if hasKey ($v.config.limits | default dict) "sandboxes_max" }}{{ $p = append $p "config.limits.sandboxes_max is set: use labs.sandboxesMax" }}{{ end -}}

{{- if and $v.staffLogin.issuer (not $v.staffLogin.roles) -}}
  {{- $p = append $p "staffLogin.roles is empty: nobody would get in; give groups their roles (docs/staff-login.md)" -}}
{{- end -}}
{{- if and $v.staffLogin.roles (not $v.staffLogin.issuer) -}}
  {{- $p = append $p "staffLogin.roles without staffLogin.issuer: name the provider" -}}
{{- end -}}

{{- /* sandboxes */ -}}
{{- if and (eq $v.labs.seccomp.type "Unconfined") (not $v.labs.seccomp.acceptUnconfined) -}}
  {{- $p = append $p "labs.seccomp.type=Unconfined gives learners every system call of the node's kernel; use Localhost with the shipped profile, or set labs.seccomp.acceptUnconfined=true" -}}
{{- end -}}
{{- if and $v.labs.createNamespace (not $v.labs.namespace) -}}
  {{- $p = append $p "labs.createNamespace without labs.namespace: name it" -}}
{{- end -}}
{{- if and $v.labs.quota (eq (include "labwire.labsNamespace" .) .Release.Namespace) -}}
  {{- $p = append $p "labs.quota in the release's own namespace would count Labwire's pods too; give labs.namespace" -}}
{{- end -}}

{{- /* the door */ -}}
{{- $host := (urlParse $v.publicUrl).host -}}
{{- if $v.ingress.enabled -}}
  {{- if not $v.ingress.host }}{{ $p = append $p "ingress.host is empty: give the name in publicUrl" }}
  {{- else if ne $v.ingress.host (regexReplaceAll ":[0-9]+$" $host "") }}{{ $p = append $p (printf "ingress.host is %s and publicUrl is %s: links would lead elsewhere; make them the same" $v.ingress.host $v.publicUrl) }}{{ end -}}
{{- end -}}
{{- if and $v.metrics.serviceMonitor.enabled (not $v.metrics.tokenSecret.name) -}}
  {{- $p = append $p "metrics.serviceMonitor without metrics.tokenSecret.name: /metrics would refuse Prometheus; name a Secret with a token" -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
  {{- $p = append $p (printf "autoscaling.minReplicas is %v and maxReplicas %v: turn them round" $v.autoscaling.minReplicas $v.autoscaling.maxReplicas) -}}
{{- end -}}

{{- if $production -}}
  {{- if ne $v.database.kind "postgres" }}{{ $p = append $p "database.kind=sqlite in production: upgrades would interrupt everyone and a lost volume is a lost ledger; use postgres" }}{{ end -}}
  {{- if ne $v.recordings.kind "s3" }}{{ $p = append $p "recordings.kind=volume in production: use s3" }}{{ end -}}
  {{- if lt (int (ternary $v.autoscaling.minReplicas $v.serve.replicas $v.autoscaling.enabled)) 2 }}{{ $p = append $p "fewer than 2 replicas of serve in production: nobody could work while one is replaced" }}{{ end -}}
  {{- if not (hasPrefix "https://" $v.publicUrl) }}{{ $p = append $p (printf "publicUrl is %s in production: links sign people in, and must not travel in the clear; use https" $v.publicUrl) }}{{ end -}}
  {{- if and $v.ingress.enabled (not $v.ingress.tlsSecret) }}{{ $p = append $p "ingress.tlsSecret is empty in production: name the Secret of the certificate" }}{{ end -}}
  {{- if eq (include "labwire.labsNamespace" .) .Release.Namespace }}{{ $p = append $p "labs.namespace is the release's own in production: learners' pods would stand beside the database's Secret; give labs a namespace" }}{{ end -}}
  {{- if not $v.networkPolicies.enabled }}{{ $p = append $p "networkPolicies.enabled=false in production: labs could reach your network until each has its own policy" }}{{ end -}}
  {{- if eq ($v.image.tag | default .Chart.AppVersion) "latest" }}{{ $p = append $p "image.tag=latest in production: replicas of different versions would run under one name; give a version" }}{{ end -}}
  {{- if and (eq $v.labs.procMount "Unmasked") (ne (include "labwire.userNamespaces" .) "true") (not $v.labs.acceptUnmasked) -}}
    {{- $p = append $p (printf "labs.procMount=Unmasked without user namespaces (labs.hostUsers=%v on Kubernetes %s) in production shows learners the node's /proc; set hostUsers=false on 1.25 or newer, or labs.acceptUnmasked=true, or labs.procMount=Default" $v.labs.hostUsers .Capabilities.KubeVersion.Version) -}}
  {{- end -}}
{{- end -}}

{{- if $p }}{{ fail (printf "\n\nLabwire is not installed:\n  - %s\n" (join "\n  - " $p)) }}{{ end -}}
{{- end }}
