//! The transformers of a kustomization, in the order in which kustomize runs them.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::decode::{Reading, decode};
use crate::error::{Context, Error, Result};
use crate::fieldspec::{FieldSpec, merge};
use crate::hash;
use crate::kustomization::{Image, Label, Replacement, Replica};
use crate::metadata::Provenance;
use crate::patch::{
    Json6902Transformer, PatchTransformer, StrategicMergeTransformer, shown_config,
};
use crate::resource::list::ResourceList;
use crate::resource::{Layer, set_name};
use crate::schema::Schema;
use crate::target::Target;
use crate::transform::images::ImageTransformer;
use crate::transform::names::{Affix, affix};
use crate::transform::namespace::NamespaceTransformer;
use crate::transform::value_add::ValueAdd;
use crate::transform::{labels, replacement, replicas};
use crate::yaml;

/// A transformer, configured.
pub(crate) struct Transformer {
    pub(crate) name: &'static str,
    pub(crate) change: Change,
    /// How `buildMetadata` shows it, where that is asked for.
    pub(crate) provenance: Option<Provenance>,
}

/// What a transformer does.
pub(crate) enum Change {
    StrategicMerge(StrategicMergeTransformer),
    Patch(PatchTransformer),
    Namespace(NamespaceTransformer),
    Affix(Affix, String, Vec<FieldSpec>),
    Entries(BTreeMap<String, String>, Vec<FieldSpec>),
    Json6902(Json6902Transformer),
    Replicas(Replica, Vec<FieldSpec>),
    Image(Image, Vec<FieldSpec>),
    Replacements(Vec<Replacement>),
    ValueAdd(ValueAdd),
    Hash,
    Several(Vec<Change>),
}

impl Transformer {
    pub(crate) fn layer(&self, file: &str) -> Layer {
        Layer {
            file: file.to_owned(),
            transformer: self.name.to_owned(),
        }
    }

    pub(crate) fn apply(&self, list: &mut ResourceList, schema: &Schema) -> Result<()> {
        self.change.apply(list, schema)
    }
}

impl Change {
    fn apply(&self, list: &mut ResourceList, schema: &Schema) -> Result<()> {
        match self {
            Change::StrategicMerge(patches) => patches.apply(list, schema),
            Change::Patch(patch) => patch.apply(list, schema),
            Change::Namespace(namespace) => namespace.apply(list, schema),
            Change::Affix(kind, text, specs) => affix(*kind, text, specs, list, schema),
            Change::Entries(entries, specs) => labels::set_entries(entries, specs, list, schema),
            Change::Json6902(patch) => patch.apply(list, schema),
            Change::Replicas(replica, specs) => replicas::set(replica, specs, list, schema),
            Change::Image(image, specs) => ImageTransformer::new(image)?.apply(specs, list, schema),
            Change::Replacements(all) => replacement::apply(all, list, schema),
            Change::ValueAdd(add) => add.apply(list, schema),
            Change::Hash => add_hashes(list, schema),
            Change::Several(all) => all.iter().try_for_each(|change| change.apply(list, schema)),
        }
    }
}

/// Adds the hash of their content to the names of generated objects.
pub(crate) fn add_hashes(list: &mut ResourceList, schema: &Schema) -> Result<()> {
    for resource in list.items_mut().iter_mut().filter(|r| r.memory.needs_hash) {
        let suffix = hash::suffix(resource).map_err(|e| e.about(resource.id()))?;
        resource.remember_id(schema)?;
        let name = format!("{}-{suffix}", resource.id().name);
        resource.edit(schema, |node| set_name(node, &name))?;
    }
    Ok(())
}

/// The transformers that the fields of a kustomization ask for.
#[expect(
    clippy::too_many_lines,
    reason = "one entry for each field, in the order in which kustomize runs them"
)]
pub(crate) fn own(target: &Target<'_>, config: &Config) -> Result<Vec<Transformer>> {
    let k = &target.kustomization;
    let mut all = Own {
        target,
        transformers: Vec::new(),
    };
    let loader = &target.loader;
    let schema = &target.session.schema();
    if !k.patches_strategic_merge.is_empty() {
        let paths = &k.patches_strategic_merge;
        let config = || serde_json::json!({"paths": paths});
        let merge = StrategicMergeTransformer::read(paths, "", loader, schema);
        all.push(
            "PatchStrategicMergeTransformer",
            merge.map(Change::StrategicMerge),
            config,
        )?;
    }
    for patch in &k.patches {
        let config = shown_config(patch);
        let read = PatchTransformer::read(patch, &config, loader, schema);
        all.push_shown("PatchTransformer", read.map(Change::Patch), || {
            config.clone()
        })?;
    }
    if !k.namespace.is_empty() {
        let namespace = NamespaceTransformer {
            namespace: k.namespace.clone(),
            specs: config.namespace.clone(),
            ..NamespaceTransformer::default()
        };
        all.add("NamespaceTransformer", Change::Namespace(namespace));
    }
    if !k.name_prefix.is_empty() {
        all.add(
            "PrefixTransformer",
            Change::Affix(
                Affix::Prefix,
                k.name_prefix.clone(),
                config.name_prefix.clone(),
            ),
        );
    }
    if !k.name_suffix.is_empty() {
        all.add(
            "SuffixTransformer",
            Change::Affix(
                Affix::Suffix,
                k.name_suffix.clone(),
                config.name_suffix.clone(),
            ),
        );
    }
    for label in &k.labels {
        all.add(
            "LabelTransformer",
            Change::Entries(label.pairs.clone(), label_specs(label, config)?),
        );
    }
    if !k.labels.is_empty() || !k.common_labels.is_empty() {
        all.add(
            "LabelTransformer",
            Change::Entries(k.common_labels.clone(), config.common_labels.clone()),
        );
    }
    if !k.common_annotations.is_empty() {
        all.add(
            "AnnotationsTransformer",
            Change::Entries(
                k.common_annotations.clone(),
                config.common_annotations.clone(),
            ),
        );
    }
    for patch in &k.patches_json6902 {
        let config = || {
            let shown = shown_config(patch);
            yaml::to_json(&shown).unwrap_or_default()
        };
        all.push(
            "PatchJson6902Transformer",
            Json6902Transformer::read(patch, loader).map(Change::Json6902),
            config,
        )?;
    }
    for replica in &k.replicas {
        all.add(
            "ReplicaCountTransformer",
            Change::Replicas(replica.clone(), config.replicas.clone()),
        );
    }
    for image in &k.images {
        all.add(
            "ImageTagTransformer",
            Change::Image(image.clone(), config.images.clone()),
        );
    }
    if !k.replacements.is_empty() {
        let read = read_replacements(&k.replacements, target);
        all.push(
            "ReplacementTransformer",
            read.map(Change::Replacements),
            || serde_json::json!({"replacements": []}),
        )?;
    }
    Ok(all.transformers)
}

struct Own<'t, 'a> {
    target: &'t Target<'a>,
    transformers: Vec<Transformer>,
}

impl Own<'_, '_> {
    fn add(&mut self, name: &'static str, change: Change) {
        let file = self.target.file.rsplit('/').next().unwrap_or_default();
        let provenance = self
            .target
            .provenance
            .as_ref()
            .map(|p| p.builtin(file, name));
        self.transformers.push(Transformer {
            name,
            change,
            provenance,
        });
    }

    fn push(
        &mut self,
        name: &'static str,
        change: Result<Change>,
        config: impl Fn() -> serde_json::Value,
    ) -> Result<()> {
        self.push_shown(name, change, || {
            yaml::json_to_output(&config()).unwrap_or_default()
        })
    }

    fn push_shown(
        &mut self,
        name: &'static str,
        change: Result<Change>,
        config: impl Fn() -> String,
    ) -> Result<()> {
        let change = change.map_err(|e| {
            e.context(format_args!(
                "trouble configuring builtin {name} with config: `\n{}`",
                config()
            ))
        })?;
        self.add(name, change);
        Ok(())
    }
}

fn label_specs(label: &Label, config: &Config) -> Result<Vec<FieldSpec>> {
    let mut specs = label.fields.clone();
    let wrap = |result: Result<()>| result.context("failed to merge labels");
    wrap(merge(&mut specs, &config.labels))?;
    if label.include_selectors {
        wrap(merge(&mut specs, &config.common_labels))?;
        return Ok(specs);
    }
    if label.include_templates {
        merge(&mut specs, &config.template_labels).context("failed to merge template fieldSpec")?;
    }
    wrap(merge(
        &mut specs,
        &[FieldSpec::new("metadata/labels", true)],
    ))?;
    Ok(specs)
}

/// Replacements that are written out, and those in files.
pub(crate) fn read_replacements(
    entries: &[Replacement],
    target: &Target<'_>,
) -> Result<Vec<Replacement>> {
    let mut all = Vec::new();
    for entry in entries {
        if entry.path.is_empty() {
            all.push(entry.clone());
            continue;
        }
        if entry.source.is_some() || entry.targets.as_ref().is_some_and(|t| !t.is_empty()) {
            return Err(Error::invalid(
                "cannot specify both path and inline replacement",
            ));
        }
        let file = target.loader.load(&entry.path)?;
        let value = yaml::to_json(&file.text()).map_err(|e| {
            Error::invalid(format!("error converting YAML to JSON: {e}"))
                .at_line(e.line())
                .in_file(&file.path)
        })?;
        let decoded = match &value {
            serde_json::Value::Array(_) => {
                decode::<Vec<Replacement>>(&value, "Replacement", Reading::Yaml)
            }
            serde_json::Value::Object(_) => {
                decode::<Replacement>(&value, "Replacement", Reading::Yaml).map(|one| vec![one])
            }
            other => {
                let kind = if other.is_null() { "invalid" } else { "string" };
                let message = format!(
                    "unsupported replacement type encountered within replacement path: {kind}"
                );
                return Err(Error::invalid(message).in_file(&file.path));
            }
        };
        all.extend(decoded.map_err(|e| {
            Error::invalid(format!("error unmarshaling JSON: {e}")).in_file(&file.path)
        })?);
    }
    Ok(all)
}
