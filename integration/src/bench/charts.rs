//! Charts for where there are no shared ones: written here, from small to a megabyte of definitions.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// Components of each chart, smallest first: an object of each of four kinds for every one of them.
const COMPONENTS: [usize; 5] = [1, 4, 12, 30, 60];
/// Definitions that the largest chart brings along as templates, some 70 kB each.
const DEFINITIONS: usize = 15;
const PROPERTIES: usize = 600;

/// Writes the charts into a folder, one folder each, smallest first; gives their names.
pub(super) fn write(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for (at, components) in COMPONENTS.into_iter().enumerate() {
        let name = format!("generated-{components}");
        let chart = folder.join(&name);
        let add = |path: &str, text: String| {
            let path = chart.join(path);
            std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
            std::fs::write(path, text)
        };
        add(
            "Chart.yaml",
            format!("apiVersion: v2\nname: {name}\nversion: 1.2.3\nappVersion: \"4.5\"\n"),
        )?;
        add("values.yaml", values(components))?;
        add("templates/_helpers.tpl", HELPERS.to_owned())?;
        add(
            "templates/NOTES.txt",
            "Installed {{ .Release.Name }} in {{ .Release.Namespace }}.\n".to_owned(),
        )?;
        for (file, text) in OBJECTS {
            add(&format!("templates/{file}"), text.to_owned())?;
        }
        if at + 1 == COMPONENTS.len() {
            for number in 0..DEFINITIONS {
                add(
                    &format!("templates/definition-{number}.yaml"),
                    definition(number),
                )?;
            }
        }
        names.push(name);
    }
    Ok(names)
}

fn values(components: usize) -> String {
    let mut out = String::from(
        "image: {registry: registry.example, tag: \"\"}\nlabels: {team: shop}\ncomponents:\n",
    );
    for number in 0..components {
        let _ = write!(
            out,
            "  part-{number}:\n    enabled: true\n    replicas: {}\n    port: {}\n    env: {{LEVEL: info, NUMBER: \"{number}\"}}\n    \
             resources: {{requests: {{cpu: 100m, memory: 64Mi}}, limits: {{memory: 128Mi}}}}\n    config: |\n      key = {number}\n      name = {{{{ .Release.Name }}}}\n",
            number % 3 + 1,
            8000 + number,
        );
    }
    out
}

const HELPERS: &str = r#"{{- define "fullname" -}}
{{- printf "%s-%s" .root.Release.Name .name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- define "labels" -}}
app.kubernetes.io/name: {{ .name | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
"#;

const OBJECTS: [(&str, &str); 4] = [
    (
        "deployment.yaml",
        r#"{{- range $name, $part := .Values.components }}
{{- if $part.enabled }}
{{- $scope := dict "root" $ "name" $name }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "fullname" $scope }}
  labels: {{- include "labels" $scope | nindent 4 }}
spec:
  replicas: {{ $part.replicas | default 1 }}
  selector:
    matchLabels: {app.kubernetes.io/name: {{ $name }}}
  template:
    metadata:
      annotations:
        checksum/config: {{ tpl $part.config $ | sha256sum }}
      labels: {{- include "labels" $scope | nindent 8 }}
    spec:
      containers:
      - name: {{ $name }}
        image: "{{ $.Values.image.registry }}/{{ $name }}:{{ $.Values.image.tag | default $.Chart.AppVersion }}"
        env:
        {{- range $key, $value := $part.env }}
        - {name: {{ $key }}, value: {{ $value | quote }}}
        {{- end }}
        ports:
        - containerPort: {{ int $part.port }}
        resources: {{- toYaml $part.resources | nindent 10 }}
{{- end }}
{{- end }}
"#,
    ),
    (
        "service.yaml",
        r#"{{- range $name, $part := .Values.components }}
{{- $scope := dict "root" $ "name" $name }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "fullname" $scope }}
  labels: {{- include "labels" $scope | nindent 4 }}
spec:
  ports:
  - {port: 80, targetPort: {{ int $part.port }}}
  selector: {app.kubernetes.io/name: {{ $name }}}
{{- end }}
"#,
    ),
    (
        "configmap.yaml",
        r#"{{- range $name, $part := .Values.components }}
{{- $scope := dict "root" $ "name" $name }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "fullname" $scope }}
  labels: {{- include "labels" $scope | nindent 4 }}
data:
  config: |
    {{- tpl $part.config $ | nindent 4 }}
{{- end }}
"#,
    ),
    (
        "hook.yaml",
        r#"apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-check
  annotations: {helm.sh/hook: test}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: check, image: {{ .Values.image.registry }}/check}]
"#,
    ),
];

/// A definition as large as those of operators are.
fn definition(number: usize) -> String {
    let mut out = format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: things{number}.example.com\nspec:\n  \
         group: example.com\n  scope: Namespaced\n  names: {{kind: Thing{number}, plural: things{number}}}\n  versions:\n  - name: v1\n    \
         served: true\n    storage: true\n    schema:\n      openAPIV3Schema:\n        type: object\n        properties:\n"
    );
    for property in 0..PROPERTIES {
        let _ = write!(
            out,
            "          property{property}:\n            type: string\n            description: >-\n              What property {property} of thing {number} is for.\n"
        );
    }
    out
}
