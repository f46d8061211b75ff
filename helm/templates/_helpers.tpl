{{/* Names, labels and what pods have in common. */}}

{{/* Base of every name: the release's, with "labwire" in it. 40 characters, so that every suffix fits into 63. */}}
{{- define "labwire.fullname" -}}
{{- $name := .Release.Name -}}
{{- if not (contains .Chart.Name $name) }}{{ $name = printf "%s-%s" $name .Chart.Name }}{{ end -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "labwire.installation" -}}
{{- .Values.installation | default (include "labwire.fullname" . | trunc 32 | trimSuffix "-") -}}
{{- end }}

{{- define "labwire.labsNamespace" -}}
{{- .Values.labs.namespace | default .Release.Namespace -}}
{{- end }}

{{/* What makes a pod of ours one of a part; call with (dict "root" $ "part" "serve"). Never changes: Deployments select by it. The
     controller lets in to agents whoever says component=serve. */}}
{{- define "labwire.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "labwire.labels" -}}
{{ include "labwire.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "labwire.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end }}

{{- define "labwire.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The restricted Pod Security level. fsGroup: volumes are writable for the image's user. */}}
{{- define "labwire.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "labwire.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Where a part's pods may go; call with (dict "root" $ "part" "serve" "values" .Values.serve). Spread, but never unscheduled for it. */}}
{{- define "labwire.placement" -}}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "labwire.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}

{{/* "true" or nothing: whether there is a volume. */}}
{{- define "labwire.onVolume" -}}
{{- if or (eq .Values.database.kind "sqlite") (eq .Values.recordings.kind "volume") }}true{{ end -}}
{{- end }}

{{- define "labwire.claim" -}}
{{- .Values.volume.existingClaim | default (include "labwire.fullname" .) -}}
{{- end }}

{{/* A variable from a Secret; call with (dict "name" "LABWIRE_DATABASE" "secret" "…" "key" "…"). */}}
{{- define "labwire.secretVariable" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key | quote }}}}
{{- end }}

{{/* The newer version of an API where the cluster has it; call with (dict "root" $ "new" "policy/v1" "old" "policy/v1beta1"). */}}
{{- define "labwire.api" -}}
{{- if .root.Capabilities.APIVersions.Has .new }}{{ .new }}{{ else }}{{ .old }}{{ end -}}
{{- end }}

{{/* "true" or nothing: whether pods of labs get user namespaces of their own. Before 1.25 the field is unknown, and an apply with it fails. */}}
{{- define "labwire.userNamespaces" -}}
{{- if and (not .Values.labs.hostUsers) (semverCompare ">=1.25.0-0" .Capabilities.KubeVersion.Version) }}true{{ end -}}
{{- end }}
