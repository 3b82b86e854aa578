{{/* Name of everything; `cupola` for a release of that name. */}}
{{- define "cupola.name" -}}
{{- if contains "cupola" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-cupola" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Name of the operator: its Deployment, Service and roles. */}}
{{- define "cupola.operator" -}}
{{- printf "%s-operator" (include "cupola.name" .) -}}
{{- end -}}

{{- define "cupola.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "cupola.operator" .) -}}
{{- end -}}

{{/* What the operator's pods are found by; never changes. */}}
{{- define "cupola.selector" -}}
app.kubernetes.io/name: cupola
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "cupola.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "cupola.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* An image from its name: (list $ "cupola-operator"). */}}
{{- define "cupola.image" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- with $root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- $name -}}
{{- if not (contains "@" $name) }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* The settings file: values.settings, with the images of runs. */}}
{{- define "cupola.settings" -}}
{{- if not .Values.settings.store -}}
{{- fail "settings.store is not set: write where artifacts go, such as --set settings.store=s3://bucket/prefix or pvc://claim/path" -}}
{{- end -}}
{{- if hasPrefix "file:" .Values.settings.store -}}
{{- fail (printf "settings.store is %s, a folder of one machine, which the pods of a cluster do not share: write s3://bucket/prefix or pvc://claim/path" .Values.settings.store) -}}
{{- end -}}
{{- $pools := list -}}
{{- range .Values.settings.pools }}{{ $pools = append $pools .name }}{{ end -}}
{{- if not (has .Values.settings.dataPool $pools) -}}
{{- fail (printf "settings.dataPool is %s, which is none of settings.pools: write one of %s" .Values.settings.dataPool (join ", " $pools)) -}}
{{- end -}}
{{- $images := dict "trainerImage" (include "cupola.image" (list . .Values.image.trainer)) "curatorImage" (include "cupola.image" (list . .Values.image.curator)) -}}
{{- toYaml (merge (deepCopy .Values.settings) $images) -}}
{{- end -}}

{{/* What the operator may do where it watches. Never secrets. */}}
{{- define "cupola.rules" -}}
# patch: the finalizer cupola.dev/ledger, and nothing else; no subresource of a custom resource holds it
- apiGroups: [cupola.dev]
  resources: [datasets, pretrainjobs, finetunes, evaluations]
  verbs: [get, list, watch, patch]
- apiGroups: [cupola.dev]
  resources: [datasets/status, pretrainjobs/status, finetunes/status, evaluations/status]
  verbs: [update]
# Children block the deletion of their owner: clusters that check this (OpenShift) ask for it
- apiGroups: [cupola.dev]
  resources: [datasets/finalizers, pretrainjobs/finalizers, finetunes/finalizers, evaluations/finalizers]
  verbs: [update]
- apiGroups: [kubeflow.org]
  resources: [pytorchjobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
# update: the ledgers cupola-ledger-YYYY-MM, which hold what deleted resources cost
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, create, update]
- apiGroups: [""]
  resources: [events]
  verbs: [get, create, patch]
{{- end -}}
