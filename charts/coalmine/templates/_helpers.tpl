{{/* Labels of every object. No version and no chart: an upgrade must not change what it need not. */}}
{{- define "coalmine.labels" -}}
app.kubernetes.io/part-of: coalmine
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "coalmine.selector" -}}
app.kubernetes.io/name: coalmine
{{- end }}

{{- define "coalmine.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{/* The Secret that is mounted as the serving certificate; empty where Coalmine makes its own. */}}
{{- define "coalmine.certificateSecret" -}}
{{- if eq .Values.certificates.source "certManager" -}}
coalmine-cert-manager
{{- else if eq .Values.certificates.source "files" -}}
{{ required "certificates.files.secretName is needed with certificates.source: files" .Values.certificates.files.secretName }}
{{- end -}}
{{- end }}

{{/* A read-only volume of an existing Secret: list of volume name and Secret name. */}}
{{- define "coalmine.secretVolume" -}}
- name: {{ index . 0 }}
  secret:
    defaultMode: 420
    secretName: {{ index . 1 }}
{{- end }}

{{- define "coalmine.mount" -}}
- mountPath: /{{ . }}
  name: {{ . }}
  readOnly: true
{{- end }}

{{/* One expression for all entries of the webhook: the way to its own repair is always free. */}}
{{- define "coalmine.namespaceSelector" -}}
matchExpressions:
- key: kubernetes.io/metadata.name
  operator: NotIn
  values:
  - kube-system
  - {{ .Release.Namespace }}
{{- with .Values.webhook.namespaceExpressions }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The file of sinks. Addresses and keys are in Secrets that are somebody else's. */}}
{{- define "coalmine.sinks" -}}
{{- with .Values.notifications -}}
{{- if .ca.configMapName -}}
ca-file: /notifications/ca.crt
{{ end -}}
sinks:
{{ toYaml .sinks }}
{{- end }}
{{- end }}
