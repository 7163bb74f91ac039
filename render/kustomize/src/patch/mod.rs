//! Patches: strategic merges and JSON operations, and the objects that they are for.

pub(crate) mod elements;
pub(crate) mod json;
pub(crate) mod merge;

use capstan_goyaml::Node;

use crate::error::{Error, ErrorKind, Result};
use crate::kustomization::{Patch, PatchOptions};
use crate::loader::Loader;
use crate::node;
use crate::resource::list::ResourceList;
use crate::resource::{Memory, Note, Resource, parse, set_meta_map, set_name, set_namespace};
use crate::schema::Schema;
use crate::select::Matcher;
use crate::yaml;

/// One entry of `patches`, read and understood.
pub(crate) struct PatchTransformer {
    kind: PatchKind,
    target: Option<Matcher>,
    source: String,
}

enum PatchKind {
    Strategic(Vec<Resource>),
    Json(json::Patch),
    Nothing,
}

impl PatchTransformer {
    pub(crate) fn read(
        patch: &Patch,
        config: &str,
        loader: &Loader<'_>,
        schema: &Schema,
    ) -> Result<PatchTransformer> {
        let inline = patch.patch.trim();
        let (text, source) = match (inline.is_empty(), patch.path.is_empty()) {
            (true, true) => {
                return Err(Error::invalid(format!(
                    "must specify one of patch and path in\n{config}"
                )));
            }
            (false, false) => {
                return Err(Error::invalid(format!(
                    "patch and path can't be set at the same time\n{config}"
                )));
            }
            (false, true) => (inline.to_owned(), format!("[patch: {}]", go_quoted(inline))),
            (true, false) => {
                let path = &patch.path;
                let file = loader.load(path).map_err(|e| {
                    e.context(format_args!(
                        "failed to get the patch file from path({path})"
                    ))
                })?;
                (
                    file.text().into_owned(),
                    format!("[path: {}]", go_quoted(path)),
                )
            }
        };
        let strategic = parse::objects(&text, schema);
        let operations = json::Patch::read(&text);
        let kind = match (strategic, operations) {
            (Ok(objects), Ok(operations)) if !objects.is_empty() && !operations.is_empty() => {
                return Err(Error::invalid(format!(
                    "illegally qualifies as both an SM and JSON patch: {source}"
                )));
            }
            (Err(error), _) if error.kind() == ErrorKind::Limit => return Err(error),
            (Err(error), Err(_)) => {
                return Err(Error::invalid(format!(
                    "unable to parse SM or JSON patch from {source}"
                ))
                .at_line(error.line()));
            }
            (Ok(objects), _) if objects.is_empty() => PatchKind::Nothing,
            (Ok(objects), _) => {
                PatchKind::Strategic(with_options(objects, patch.options.as_ref(), schema)?)
            }
            (Err(_), Ok(operations)) => PatchKind::Json(operations),
        };
        let target = patch.target.as_ref().map(Matcher::new).transpose()?;
        Ok(PatchTransformer {
            kind,
            target,
            source,
        })
    }

    pub(crate) fn apply(&self, list: &mut ResourceList, schema: &Schema) -> Result<()> {
        match &self.kind {
            PatchKind::Nothing => Ok(()),
            PatchKind::Json(operations) => self.apply_json(operations, list, schema),
            PatchKind::Strategic(patches) => self.apply_strategic(patches, list, schema),
        }
    }

    fn apply_json(
        &self,
        operations: &json::Patch,
        list: &mut ResourceList,
        schema: &Schema,
    ) -> Result<()> {
        let Some(target) = &self.target else {
            return Err(Error::invalid(format!(
                "must specify a target for JSON patch {}",
                self.source
            )));
        };
        for at in target.select(list.items())? {
            let resource = &mut list.items_mut()[at];
            resource.remember_id(schema)?;
            apply_operations(resource, operations, schema)?;
        }
        Ok(())
    }

    fn apply_strategic(
        &self,
        patches: &[Resource],
        list: &mut ResourceList,
        schema: &Schema,
    ) -> Result<()> {
        if let Some(target) = &self.target {
            let [patch] = patches else {
                let rule = "Multiple Strategic-Merge Patches in one `patches` entry is not allowed to set `patches.target` field";
                return Err(Error::invalid(format!("{rule}: {}", self.source)));
            };
            let selected = target.select(list.items())?;
            return apply_to_selected(&selected, patch, list, schema);
        }
        for patch in patches {
            let id = patch.id();
            let at = list.position_of(id).map_err(|e| {
                e.context(format_args!(
                    "no resource matches strategic merge patch \"{id}\""
                ))
            })?;
            merge_into(&mut list.items_mut()[at], patch, schema)?;
        }
        Ok(())
    }
}

/// Applies JSON operations, keeping what a build remembers of the object.
pub(crate) fn apply_operations(
    resource: &mut Resource,
    operations: &json::Patch,
    schema: &Schema,
) -> Result<()> {
    let annotated = resource.memory.is_annotated();
    let id = resource.id().clone();
    let patched = operations
        .apply(resource.node(), annotated)
        .map_err(|e| e.about(&id))?;
    resource.edit(schema, |node| {
        let line = node.line;
        *node = patched;
        node.line = line;
    });
    resource.note(Note::Rewritten);
    Ok(())
}

/// Notes what a patch may change. kustomize does so in its annotations, all of which it writes anew as texts.
fn with_options(
    mut patches: Vec<Resource>,
    options: Option<&PatchOptions>,
    schema: &Schema,
) -> Result<Vec<Resource>> {
    let Some(options) = options.filter(|o| o.allow_name_change || o.allow_kind_change) else {
        return Ok(patches);
    };
    for patch in &mut patches {
        patch.memory.allow_name_change = options.allow_name_change;
        patch.memory.allow_kind_change = options.allow_kind_change;
        let texts: std::collections::BTreeMap<String, String> = patch
            .annotations()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        if !texts.is_empty() {
            patch.edit(schema, |node| set_meta_map(node, "annotations", texts))?;
        }
    }
    Ok(patches)
}

/// Merges a patch into objects that were selected: it takes on their type.
pub(crate) fn apply_to_selected(
    selected: &[usize],
    patch: &Resource,
    list: &mut ResourceList,
    schema: &Schema,
) -> Result<()> {
    for at in selected {
        let resource = &mut list.items_mut()[*at];
        let mut own = patch.clone();
        let api_version = resource.id().gvk.api_version();
        own.edit(schema, |node| adapt(node, &api_version))?;
        merge_into(resource, &own, schema)?;
    }
    list.drop_gone();
    list.check_unique()
}

/// kustomize writes the metadata of such a patch anew: labels and annotations become texts, empty ones go.
fn adapt(patch: &mut Node, api_version: &str) -> Result<()> {
    for field in ["labels", "annotations"] {
        let entries: std::collections::BTreeMap<String, String> = node::meta_map(patch, field)
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        set_meta_map(patch, field, entries)?;
    }
    let (name, namespace) = (
        node::meta_text(patch, "name").to_owned(),
        node::meta_text(patch, "namespace").to_owned(),
    );
    set_name(patch, &name)?;
    set_namespace(patch, &namespace)?;
    node::set_text(patch, "apiVersion", api_version);
    let kind = node::top_text(patch, "kind").to_owned();
    node::set_text(patch, "kind", &kind);
    Ok(())
}

/// Merges a patch into one object, which keeps its name, namespace and kind unless the patch may change them.
pub(crate) fn merge_into(resource: &mut Resource, patch: &Resource, schema: &Schema) -> Result<()> {
    let (name, namespace, kind) = (
        resource.id().name.clone(),
        resource.id().namespace.clone(),
        resource.kind().to_owned(),
    );
    let allowed = &patch.memory;
    if allowed.allow_name_change || allowed.allow_kind_change {
        resource.remember_id(schema)?;
    }
    if replaces_annotations(patch.node()) {
        resource.memory = Memory::default();
    }
    if allowed.allow_kind_change {
        resource.note(Note::AllowKindChange);
    }
    if allowed.allow_name_change {
        resource.note(Note::AllowNameChange);
    }
    let mut own = patch.node().clone();
    let merged = resource
        .edit(schema, |node| merge::merge(node, &mut own, schema))
        .map_err(|e| e.about(resource.id()))?;
    if !merged || resource.is_gone() {
        resource.delete();
        return Ok(());
    }
    resource.edit(schema, |node| {
        if !allowed.allow_kind_change {
            node::set_text(node, "kind", &kind);
        }
        if !allowed.allow_name_change {
            set_name(node, &name)?;
        }
        set_namespace(node, &namespace)
    })
}

/// Whether the patch leaves nothing of the annotations that were there: kustomize loses with them what it had noted of the object.
fn replaces_annotations(patch: &Node) -> bool {
    let directive = |map: &Node| {
        map.get("$patch")
            .is_some_and(|d| d.value == "replace" || d.value == "delete")
    };
    let drops = |map: &Node| node::is_null(map) || directive(map);
    let metadata = patch.get("metadata");
    directive(patch)
        || metadata.is_some_and(|m| drops(m) || m.get("annotations").is_some_and(drops))
}

/// One entry of `patchesJson6902`.
pub(crate) struct Json6902Transformer {
    operations: json::Patch,
    target: Option<Matcher>,
    text: String,
}

impl Json6902Transformer {
    pub(crate) fn read(patch: &Patch, loader: &Loader<'_>) -> Result<Json6902Transformer> {
        let target = patch
            .target
            .as_ref()
            .ok_or_else(|| Error::invalid("must specify the target of a patch"))?;
        if target.name.is_empty() {
            return Err(Error::invalid("must specify the target name"));
        }
        let text = match (patch.path.is_empty(), patch.patch.is_empty()) {
            (true, true) => return Err(Error::invalid("empty file path and empty jsonOp")),
            (false, false) => {
                return Err(Error::invalid(
                    "must specify a file path or jsonOp, not both",
                ));
            }
            (true, false) => patch.patch.clone(),
            (false, true) => {
                let text = loader.load(&patch.path)?.text().into_owned();
                if text.is_empty() {
                    return Err(Error::invalid(format!(
                        "patch file '{}' empty seems to be empty",
                        patch.path
                    )));
                }
                text
            }
        };
        let operations = json::Patch::read(&text)?;
        if operations.is_empty() {
            return Err(Error::invalid(format!(
                "patch appears to be empty; file={}, JsonOp={text}",
                patch.path
            )));
        }
        Ok(Json6902Transformer {
            operations,
            target: Some(Matcher::new(target)?),
            text,
        })
    }

    pub(crate) fn apply(&self, list: &mut ResourceList, schema: &Schema) -> Result<()> {
        let Some(target) = &self.target else {
            return Err(Error::invalid(format!(
                "must specify a target for patch {}",
                self.text
            )));
        };
        for at in target.select(list.items())? {
            apply_operations(&mut list.items_mut()[at], &self.operations, schema)?;
        }
        Ok(())
    }
}

/// `patchesStrategicMerge`: texts or files.
pub(crate) struct StrategicMergeTransformer {
    patches: Vec<Resource>,
}

impl StrategicMergeTransformer {
    pub(crate) fn read(
        paths: &[String],
        inline: &str,
        loader: &Loader<'_>,
        schema: &Schema,
    ) -> Result<StrategicMergeTransformer> {
        if paths.is_empty() && inline.is_empty() {
            return Err(Error::invalid("empty file path and empty patch content"));
        }
        let mut patches = Vec::new();
        for path in paths {
            let parsed = match parse::objects(path, schema) {
                Ok(objects) => objects,
                Err(_) => {
                    let file = loader.load(path)?;
                    parse::objects(&file.text(), schema)
                        .map_err(|e| in_file(e, path, &file.path))?
                }
            };
            patches.extend(parsed);
        }
        if !inline.is_empty() {
            patches.extend(parse::objects(inline, schema)?);
        }
        if patches.is_empty() {
            return Err(Error::invalid(format!(
                "patch appears to be empty; files=[{}], Patch={inline}",
                paths.join(" ")
            )));
        }
        Ok(StrategicMergeTransformer { patches })
    }

    pub(crate) fn apply(&self, list: &mut ResourceList, schema: &Schema) -> Result<()> {
        for patch in &self.patches {
            let at = list.position_of(patch.id())?;
            apply_to_selected(&[at], patch, list, schema)?;
        }
        Ok(())
    }
}

/// Says in which file an error is, in the words that kustomize has for text that is no YAML.
pub(crate) fn in_file(error: Error, written: &str, path: &str) -> Error {
    let error = error.in_file(path);
    if error.kind() == ErrorKind::MalformedYaml {
        error.reworded(|message| format!("{message} in File: {written}"))
    } else {
        error
    }
}

/// A text as Go's `%q` writes it.
pub(crate) fn go_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                out.push_str(&format!("\\x{:02x}", c as u32))
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The configuration of a patch as kustomize hands it to its transformer, for error messages that show it.
pub(crate) fn shown_config(patch: &Patch) -> String {
    let mut config = serde_json::Map::new();
    let mut put = |key: &str, value: &str| {
        if !value.is_empty() {
            config.insert(key.to_owned(), value.into());
        }
    };
    put("patch", &patch.patch);
    put("path", &patch.path);
    if let Some(options) = &patch.options {
        let flags = [
            ("allowKindChange", options.allow_kind_change),
            ("allowNameChange", options.allow_name_change),
        ];
        let set = flags
            .iter()
            .filter(|(_, on)| *on)
            .map(|(name, _)| ((*name).to_owned(), true.into()))
            .collect();
        config.insert("options".to_owned(), serde_json::Value::Object(set));
    }
    if let Some(target) = &patch.target {
        let fields = [
            ("annotationSelector", &target.annotation_selector),
            ("group", &target.group),
            ("kind", &target.kind),
            ("labelSelector", &target.label_selector),
            ("name", &target.name),
            ("namespace", &target.namespace),
            ("version", &target.version),
        ];
        let set = fields
            .iter()
            .filter(|(_, v)| !v.is_empty())
            .map(|(k, v)| ((*k).to_owned(), v.as_str().into()))
            .collect();
        config.insert("target".to_owned(), serde_json::Value::Object(set));
    }
    yaml::json_to_output(&serde_json::Value::Object(config)).unwrap_or_default()
}
