//! The kustomization file: its fields, its legacy spellings, and what is wrong with it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::decode::{Reading, decode, record};
use crate::error::{Error, ErrorKind, Result};
use crate::fieldspec::FieldSpec;
use crate::id::{Gvk, ResId};
use crate::yaml;

/// The names that a kustomization file may have.
pub const KUSTOMIZATION_FILES: [&str; 3] =
    ["kustomization.yaml", "kustomization.yml", "Kustomization"];

const COMPONENT: &str = "Component";
const KUSTOMIZATION: &str = "Kustomization";
const COMPONENT_VERSION: &str = "kustomize.config.k8s.io/v1alpha1";
const KUSTOMIZATION_VERSION: &str = "kustomize.config.k8s.io/v1beta1";

record! {
    /// `kustomization.yaml`.
    Kustomization as "types.Kustomization" {
        api_version: String = "apiVersion",
        kind: String = "kind",
        metadata: Option<Metadata> = "metadata",
        openapi: BTreeMap<String, String> = "openapi",
        name_prefix: String = "namePrefix",
        name_suffix: String = "nameSuffix",
        namespace: String = "namespace",
        common_labels: BTreeMap<String, String> = "commonLabels",
        labels: Vec<Label> = "labels",
        common_annotations: BTreeMap<String, String> = "commonAnnotations",
        patches_strategic_merge: Vec<String> = "patchesStrategicMerge",
        patches_json6902: Vec<Patch> = "patchesJson6902",
        patches: Vec<Patch> = "patches",
        images: Vec<Image> = "images",
        image_tags: Vec<Image> = "imageTags",
        replacements: Vec<Replacement> = "replacements",
        replicas: Vec<Replica> = "replicas",
        vars: Vec<Var> = "vars",
        sort_options: Option<SortOptions> = "sortOptions",
        resources: Vec<String> = "resources",
        components: Vec<String> = "components",
        crds: Vec<String> = "crds",
        bases: Vec<String> = "bases",
        config_map_generator: Vec<GeneratorArgs> = "configMapGenerator",
        secret_generator: Vec<GeneratorArgs> = "secretGenerator",
        helm_globals: Option<HelmGlobals> = "helmGlobals",
        helm_charts: Vec<HelmChart> = "helmCharts",
        helm_chart_inflation_generator: Vec<HelmChartArgs> = "helmChartInflationGenerator",
        generator_options: Option<GeneratorOptions> = "generatorOptions",
        configurations: Vec<String> = "configurations",
        generators: Vec<String> = "generators",
        transformers: Vec<String> = "transformers",
        validators: Vec<String> = "validators",
        build_metadata: Vec<String> = "buildMetadata",
    }
}

record! {
    /// Name and namespace of the file itself.
    Metadata as "types.ObjectMeta" {
        name: String = "name",
        namespace: String = "namespace",
        labels: BTreeMap<String, String> = "labels",
        annotations: BTreeMap<String, String> = "annotations",
    }
}

record! {
    /// An entry of `labels`.
    Label as "types.Label" {
        pairs: BTreeMap<String, String> = "pairs",
        include_selectors: bool = "includeSelectors",
        include_templates: bool = "includeTemplates",
        fields: Vec<FieldSpec> = "fields",
    }
}

record! {
    /// An entry of `patches` or `patchesJson6902`.
    Patch as "types.Patch" {
        path: String = "path",
        patch: String = "patch",
        target: Option<Selector> = "target",
        options: Option<PatchOptions> = "options",
    }
}

record! {
    /// What a patch may change besides fields.
    PatchOptions as "types.PatchArgs" {
        allow_name_change: bool = "allowNameChange",
        allow_kind_change: bool = "allowKindChange",
    }
}

record! {
    /// Which objects are meant: every part is a regular expression.
    Selector as "types.Selector" {
        group: String = "group",
        version: String = "version",
        kind: String = "kind",
        name: String = "name",
        namespace: String = "namespace",
        annotation_selector: String = "annotationSelector",
        label_selector: String = "labelSelector",
    }
}

impl Selector {
    /// The identity as text, without the selectors of labels and annotations.
    pub(crate) fn id(&self) -> ResId {
        let gvk = Gvk {
            group: self.group.clone(),
            version: self.version.clone(),
            kind: self.kind.clone(),
        };
        ResId::textual(gvk, &self.name, &self.namespace)
    }
}

record! {
    /// An entry of `images`.
    Image as "types.Image" {
        name: String = "name",
        new_name: String = "newName",
        tag_suffix: String = "tagSuffix",
        new_tag: String = "newTag",
        digest: String = "digest",
    }
}

record! {
    /// An entry of `replacements`, or a file that one names.
    Replacement as "types.ReplacementField" {
        source: Option<Source> = "source",
        targets: Option<Vec<ReplacementTarget>> = "targets",
        source_value: Option<String> = "sourceValue",
        path: String = "path",
    }
}

record! {
    /// Where the value of a replacement comes from.
    Source as "types.SourceSelector" {
        group: String = "group",
        version: String = "version",
        kind: String = "kind",
        name: String = "name",
        namespace: String = "namespace",
        field_path: String = "fieldPath",
        options: Option<FieldOptions> = "options",
    }
}

impl Source {
    pub(crate) fn id(&self) -> ResId {
        let gvk = Gvk {
            group: self.group.clone(),
            version: self.version.clone(),
            kind: self.kind.clone(),
        };
        ResId::textual(gvk, &self.name, &self.namespace)
    }
}

record! {
    /// Where the value of a replacement goes.
    ReplacementTarget as "types.TargetSelector" {
        select: Option<Selector> = "select",
        reject: Vec<Selector> = "reject",
        field_paths: Vec<String> = "fieldPaths",
        options: Option<FieldOptions> = "options",
    }
}

record! {
    /// Which part of a field is meant.
    FieldOptions as "types.FieldOptions" {
        delimiter: String = "delimiter",
        index: i64 = "index",
        encoding: String = "encoding",
        create: bool = "create",
    }
}

record! {
    /// An entry of `replicas`.
    Replica as "types.Replica" {
        name: String = "name",
        count: i64 = "count",
    }
}

record! {
    /// An entry of `vars`.
    Var as "types.Var" {
        name: String = "name",
        object: VarTarget = "objref",
        field: VarField = "fieldref",
    }
}

record! {
    /// The object that a variable is read from.
    VarTarget as "types.Target" {
        api_version: String = "apiVersion",
        group: String = "group",
        version: String = "version",
        kind: String = "kind",
        name: String = "name",
        namespace: String = "namespace",
    }
}

record! {
    /// The field that a variable is read from.
    VarField as "types.FieldSelector" {
        path: String = "fieldPath",
    }
}

record! {
    /// How the result is sorted.
    SortOptions as "types.SortOptions" {
        order: String = "order",
        legacy: Option<LegacySortOptions> = "legacySortOptions",
    }
}

record! {
    /// Kinds that come first and last.
    LegacySortOptions as "types.LegacySortOptions" {
        first: Vec<String> = "orderFirst",
        last: Vec<String> = "orderLast",
    }
}

record! {
    /// An entry of `configMapGenerator` or `secretGenerator`.
    GeneratorArgs as "types.GeneratorArgs" {
        metadata: Option<Metadata> = "metadata",
        namespace: String = "namespace",
        name: String = "name",
        behavior: String = "behavior",
        literals: Vec<String> = "literals",
        files: Vec<String> = "files",
        envs: Vec<String> = "envs",
        env: String = "env",
        secret_type: String = "type",
        options: Option<GeneratorOptions> = "options",
    }
}

record! {
    /// Options of generators.
    GeneratorOptions as "types.GeneratorOptions" {
        labels: BTreeMap<String, String> = "labels",
        annotations: BTreeMap<String, String> = "annotations",
        disable_name_suffix_hash: bool = "disableNameSuffixHash",
        immutable: bool = "immutable",
    }
}

record! {
    /// Where charts lie.
    HelmGlobals as "types.HelmGlobals" {
        chart_home: String = "chartHome",
        config_home: String = "configHome",
    }
}

record! {
    /// An entry of `helmCharts`.
    HelmChart as "types.HelmChart" {
        chart_home: String = "chartHome",
        config_home: String = "configHome",
        name: String = "name",
        version: String = "version",
        repo: String = "repo",
        release_name: String = "releaseName",
        namespace: String = "namespace",
        additional_values_files: Vec<String> = "additionalValuesFiles",
        values_file: String = "valuesFile",
        values_inline: Value = "valuesInline",
        values_merge: String = "valuesMerge",
        include_crds: bool = "includeCRDs",
        skip_hooks: bool = "skipHooks",
        api_versions: Vec<String> = "apiVersions",
        kube_version: String = "kubeVersion",
        name_template: String = "nameTemplate",
        skip_tests: bool = "skipTests",
        debug: bool = "debug",
        devel: bool = "devel",
    }
}

record! {
    /// An entry of the old `helmChartInflationGenerator`.
    HelmChartArgs as "types.HelmChartArgs" {
        chart_name: String = "chartName",
        chart_version: String = "chartVersion",
        chart_repo_url: String = "chartRepoUrl",
        chart_home: String = "chartHome",
        chart_repo_name: String = "chartRepoName",
        helm_bin: String = "helmBin",
        helm_home: String = "helmHome",
        values: String = "values",
        values_local: Value = "valuesLocal",
        values_merge: String = "valuesMerge",
        release_name: String = "releaseName",
        release_namespace: String = "releaseNamespace",
        extra_args: Vec<String> = "extraArgs",
    }
}

impl Kustomization {
    /// Reads a kustomization file, folds in its legacy spellings and checks it. `folder` is for the error message.
    pub(crate) fn read(content: &str, folder: &str) -> Result<Kustomization> {
        let invalid = |reason: String, line| {
            Error::new(
                ErrorKind::InvalidKustomization,
                format!("invalid Kustomization: {reason}"),
            )
            .at_line(line)
        };
        let value = yaml::to_json(content).map_err(|e| invalid(e.to_string(), e.line()))?;
        let mut kustomization: Kustomization = decode(&value, "Kustomization", Reading::Json)
            .map_err(|reason| invalid(reason, None))?;
        if says_nothing(value.as_object()) {
            return Err(Error::new(
                ErrorKind::InvalidKustomization,
                "kustomization.yaml is empty",
            ));
        }
        kustomization.fold_in_legacy_fields();
        kustomization.check_type(folder)?;
        Ok(kustomization)
    }

    pub(crate) fn is_component(&self) -> bool {
        self.kind == COMPONENT
    }

    fn fold_in_legacy_fields(&mut self) {
        self.resources.append(&mut self.bases);
        self.images.append(&mut self.image_tags);
        for args in self
            .config_map_generator
            .iter_mut()
            .chain(&mut self.secret_generator)
        {
            if !args.env.is_empty() {
                args.envs.push(std::mem::take(&mut args.env));
            }
        }
        let mut globals = HelmGlobals::default();
        for old in self.helm_chart_inflation_generator.drain(..) {
            if !old.helm_home.is_empty() {
                globals.config_home = old.helm_home;
            }
            if !old.chart_home.is_empty() {
                globals.chart_home = old.chart_home;
            }
            self.helm_charts.push(HelmChart {
                name: old.chart_name,
                version: old.chart_version,
                repo: old.chart_repo_url,
                values_file: old.values,
                values_inline: old.values_local,
                values_merge: old.values_merge,
                release_name: old.release_name,
                ..HelmChart::default()
            });
        }
        if self.helm_globals.is_none()
            && !(globals.chart_home.is_empty() && globals.config_home.is_empty())
        {
            self.helm_globals = Some(globals);
        }
    }

    fn check_type(&mut self, folder: &str) -> Result<()> {
        let mut wrong = Vec::new();
        if !["", KUSTOMIZATION, COMPONENT].contains(&&*self.kind) {
            wrong.push(format!("kind should be {KUSTOMIZATION} or {COMPONENT}"));
        }
        let version = if self.is_component() {
            COMPONENT_VERSION
        } else {
            KUSTOMIZATION_VERSION
        };
        if self.kind.is_empty() {
            self.kind = KUSTOMIZATION.to_owned();
        }
        if !self.api_version.is_empty() && self.api_version != version {
            wrong.push(format!("apiVersion for {} should be {version}", self.kind));
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let message = format!(
            "Failed to read kustomization file under {folder}:\n{}",
            wrong.join("\n")
        );
        Err(Error::new(ErrorKind::InvalidKustomization, message))
    }
}

/// What kustomize warns about when it reads a file with these fields.
pub(crate) fn deprecation_warnings(content: &str) -> Vec<String> {
    const FIX: &str = "Run 'kustomize edit fix' to update your Kustomization automatically.";
    let Ok(Value::Object(map)) = yaml::to_json(content) else {
        return Vec::new();
    };
    let replaced = [
        ("bases", "resources", ""),
        ("commonLabels", "labels", ""),
        ("imageTags", "images", ""),
        ("patchesJson6902", "patches", ""),
        ("patchesStrategicMerge", "patches", ""),
        ("vars", "replacements", "[EXPERIMENTAL] "),
    ];
    let is_used = |old: &str| {
        map.iter()
            .any(|(key, value)| key.eq_ignore_ascii_case(old) && !value.is_null())
    };
    let used = replaced.iter().filter(|(old, ..)| is_used(old));
    used.map(|(old, new, experimental)| {
        format!("# Warning: '{old}' is deprecated. Please use '{new}' instead. {experimental}{FIX}")
    })
    .collect()
}

/// Whether nothing but the type is set. An empty list counts as set, as in kustomize, except in fields that are folded into others.
fn says_nothing(map: Option<&Map<String, Value>>) -> bool {
    let is_set = |(key, value): (&String, &Value)| {
        let key = key.to_ascii_lowercase();
        match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty() && key != "apiversion" && key != "kind",
            Value::Array(items) => {
                !items.is_empty()
                    || !["bases", "imagetags", "helmchartinflationgenerator"].contains(&&*key)
            }
            _ => true,
        }
    };
    !map.is_some_and(|map| map.iter().any(is_set))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(content: &str) -> String {
        Kustomization::read(content, "/f").unwrap_err().to_string()
    }

    #[test]
    fn wrong_files_fail_with_the_words_of_kustomize() {
        assert_eq!(
            error("resourcez: [a]"),
            "invalid Kustomization: json: unknown field \"resourcez\""
        );
        assert_eq!(
            error("labels: [{}, {pairs: {n: 5}}]"),
            "invalid Kustomization: json: cannot unmarshal number into Go struct field Kustomization.labels.1.pairs.false of type string"
        );
        for empty in [
            "",
            "# nothing",
            "kind: Kustomization",
            "resources:",
            "bases: []",
            "namePrefix: ''",
        ] {
            assert_eq!(error(empty), "kustomization.yaml is empty", "{empty}");
        }
        assert_eq!(
            error("kind: Foo\nresources: [a]"),
            "Failed to read kustomization file under /f:\nkind should be Kustomization or Component"
        );
        assert_eq!(
            error("kind: Component\napiVersion: kustomize.config.k8s.io/v1beta1\nresources: [a]"),
            "Failed to read kustomization file under /f:\napiVersion for Component should be kustomize.config.k8s.io/v1alpha1"
        );
    }

    #[test]
    fn legacy_spellings_are_folded_in() {
        let read = |content| Kustomization::read(content, "/f").unwrap();
        let k = read(
            "bases: [b]\nresources: [a]\nimageTags: [{name: x}]\nsecretGenerator: [{env: e}]\nRESOURCES: [c]\n",
        );
        assert_eq!(k.resources.last().unwrap(), "b");
        assert_eq!((k.images.len(), &*k.secret_generator[0].envs[0]), (1, "e"));
        assert!(read("resources: []").resources.is_empty());
        assert_eq!(deprecation_warnings("vars: []\nbases: [a]").len(), 2);
    }
}
