//! One object in a build: its fields, who it was before it was renamed, and what changed it.

pub(crate) mod list;
pub(crate) mod parse;

use std::sync::{Arc, OnceLock};

use capstan_goyaml::{Kind, Node, Style, Tag};

use crate::error::{Error, Result};
use crate::id::{Gvk, ResId};
use crate::node;
use crate::schema::Schema;
use crate::yaml;

/// Where an object came from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The file that holds the object, or the kustomization file whose generator made it.
    pub file: String,
    /// The line in that file at which the object starts; zero for generated ones.
    pub line: u32,
    /// What generated it, such as `ConfigMapGenerator`.
    pub generator: Option<String>,
}

/// Something that changed an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The kustomization file that asks for the change.
    pub file: String,
    /// What changed it, such as `PatchTransformer`.
    pub transformer: String,
}

/// What a generator does where an object of the same identity exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Behavior {
    #[default]
    Unspecified,
    Create,
    Replace,
    Merge,
}

impl Behavior {
    pub(crate) fn parse(text: &str) -> Behavior {
        match text {
            "create" => Behavior::Create,
            "replace" => Behavior::Replace,
            "merge" => Behavior::Merge,
            _ => Behavior::Unspecified,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Behavior::Unspecified => "unspecified",
            Behavior::Create => "create",
            Behavior::Replace => "replace",
            Behavior::Merge => "merge",
        }
    }
}

/// What a build remembers of an object besides its fields. kustomize keeps these as annotations that it removes in the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    /// Identities that the object had, oldest first: name, namespace as it took effect, kind.
    pub(crate) previous: Vec<Previous>,
    pub(crate) prefixes: Vec<String>,
    pub(crate) suffixes: Vec<String>,
    pub(crate) generated: bool,
    pub(crate) behavior: Behavior,
    pub(crate) needs_hash: bool,
    pub(crate) from_helm: bool,
    pub(crate) allow_name_change: bool,
    pub(crate) allow_kind_change: bool,
    /// What was noted, in the order in which it first was, and how many annotations there were by then.
    pub(crate) notes: Vec<(Note, usize)>,
    /// How many fields of the metadata stand before the annotations.
    pub(crate) annotations_at: usize,
}

/// Something that kustomize notes in annotations. Their order counts where an object is hashed whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    Generated,
    /// All annotations were written anew, in order.
    Rewritten,
    Previous,
    Prefixes,
    Suffixes,
    AllowNameChange,
    AllowKindChange,
}

impl Memory {
    /// Whether kustomize would have annotated the object by now.
    pub(crate) fn is_annotated(&self) -> bool {
        self.generated
            || self.from_helm
            || !self.previous.is_empty()
            || !self.prefixes.is_empty()
            || !self.suffixes.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Previous {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) kind: String,
}

/// The fields of an object, and its text once that was asked for.
#[derive(Debug, Default)]
struct Body {
    node: Arc<Node>,
    text: OnceLock<Arc<str>>,
}

/// One object in a build. A copy shares the fields until one of both is changed.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    body: Arc<Body>,
    id: ResId,
    deleted: bool,
    /// Counts changes, and what the count was when the current layer began.
    revision: u32,
    layer_start: u32,
    pub(crate) memory: Memory,
    /// Names of `vars` that are read from this object.
    pub(crate) variables: Vec<String>,
    pub(crate) origin: Arc<Origin>,
    pub(crate) layers: Vec<Arc<Layer>>,
}

impl Resource {
    pub(crate) fn new(node: Node, schema: &Schema) -> Resource {
        let id = current_id(&node, schema);
        Resource {
            body: Arc::new(Body {
                node: Arc::new(node),
                text: OnceLock::new(),
            }),
            id,
            deleted: false,
            revision: 0,
            layer_start: 0,
            memory: Memory::default(),
            variables: Vec::new(),
            origin: Arc::default(),
            layers: Vec::new(),
        }
    }

    pub(crate) fn node(&self) -> &Node {
        &self.body.node
    }

    pub(crate) fn shared_node(&self) -> Arc<Node> {
        self.body.node.clone()
    }

    /// The identity that the fields give now.
    pub(crate) fn id(&self) -> &ResId {
        &self.id
    }

    /// From here on, changes belong to the next layer.
    pub(crate) fn start_layer(&mut self) {
        self.layer_start = self.revision;
    }

    /// Notes the layer if it changed the object.
    pub(crate) fn end_layer(&mut self, layer: &Arc<Layer>) {
        if self.revision != self.layer_start {
            self.layers.push(layer.clone());
        }
    }

    /// Changes the fields.
    pub(crate) fn edit<T>(&mut self, schema: &Schema, change: impl FnOnce(&mut Node) -> T) -> T {
        if Arc::get_mut(&mut self.body).is_none() {
            self.body = Arc::new(Body {
                node: self.body.node.clone(),
                text: OnceLock::new(),
            });
        }
        let body = Arc::get_mut(&mut self.body).expect("the body was just made this object's own");
        body.text = OnceLock::new();
        let result = change(Arc::make_mut(&mut body.node));
        let id = current_id(&body.node, schema);
        self.id = id;
        self.revision += 1;
        result
    }

    /// Notes that something is noted from here on. It matters for what is generated alone.
    pub(crate) fn note(&mut self, note: Note) {
        if !self.memory.generated {
            return;
        }
        if matches!(note, Note::Generated | Note::Rewritten) {
            // What is written anew comes after all that there is, and only the last time counts.
            self.memory.notes.retain(|(known, _)| *known != note);
            let metadata = self.node().get("metadata");
            let fields = metadata.into_iter().flat_map(Node::entries);
            self.memory.annotations_at = fields.filter(|it| it.0.value != "annotations").count();
        }
        if self.memory.notes.iter().all(|(known, _)| *known != note) {
            let before = self.annotations().count();
            self.memory.notes.push((note, before));
        }
    }

    pub(crate) fn delete(&mut self) {
        self.deleted = true;
    }

    /// Whether nothing of the object is left.
    pub(crate) fn is_gone(&self) -> bool {
        self.deleted || node::is_nil_or_empty(&self.body.node)
    }

    pub(crate) fn kind(&self) -> &str {
        &self.id.gvk.kind
    }

    /// Notes the identity that the object has before it gets another. kustomize notes it in the annotations, all of which it writes anew
    /// as texts.
    pub(crate) fn remember_id(&mut self, schema: &Schema) -> Result<()> {
        let namespace = self.id.effective_namespace().to_owned();
        self.memory.previous.push(Previous {
            name: self.id.name.clone(),
            namespace,
            kind: self.id.gvk.kind.clone(),
        });
        self.note(Note::Previous);
        let is_plain = |value: &Node| {
            value.kind == Kind::Scalar && value.tag == Tag::Str && !value.style.has(Style::FOLDED)
        };
        let annotations = self
            .node()
            .get("metadata")
            .and_then(|m| m.get("annotations"))
            .filter(|map| map.kind == Kind::Mapping);
        if annotations.is_none_or(|map| map.entries().all(|(_, value)| is_plain(value))) {
            return Ok(());
        }
        let texts: std::collections::BTreeMap<String, String> = self
            .annotations()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        self.edit(schema, |object| set_meta_map(object, "annotations", texts))
    }

    /// The identities that the object had, oldest first, without the one that it has now.
    pub(crate) fn previous_ids(&self) -> impl Iterator<Item = ResId> {
        self.memory.previous.iter().map(|previous| {
            let gvk = Gvk {
                kind: previous.kind.clone(),
                ..self.id.gvk.clone()
            };
            ResId::textual(gvk, &previous.name, &previous.namespace)
        })
    }

    /// The identity that the object had first.
    pub(crate) fn original_id(&self) -> ResId {
        self.previous_ids()
            .next()
            .unwrap_or_else(|| self.id.clone())
    }

    pub(crate) fn has_any_id(&self, is_it: impl Fn(&ResId) -> bool) -> bool {
        self.previous_ids().any(|id| is_it(&id)) || is_it(&self.id)
    }

    pub(crate) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        node::meta_map(self.node(), "labels")
    }

    pub(crate) fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        node::meta_map(self.node(), "annotations")
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations().find(|(k, _)| *k == key).map(|(_, v)| v)
    }

    /// The object as kustomize prints it.
    pub(crate) fn to_yaml(&self) -> Result<Arc<str>> {
        if let Some(text) = self.body.text.get() {
            return Ok(text.clone());
        }
        let text = yaml::to_output(self.node()).map_err(|e| {
            let error = Error::invalid(format!("{}: {e}", self.id))
                .about(&self.id)
                .at_line(e.line());
            if self.origin.file.is_empty() {
                error
            } else {
                error.in_file(&self.origin.file)
            }
        })?;
        Ok(self.body.text.get_or_init(|| text.into()).clone())
    }

    /// Takes over the metadata of an object that this one replaces or merges into: this one's values win.
    pub(crate) fn adopt_metadata(&mut self, other: &Resource, schema: &Schema) -> Result<()> {
        let merged = |field| {
            let mut map: std::collections::BTreeMap<String, String> =
                std::collections::BTreeMap::new();
            for (key, value) in
                node::meta_map(other.node(), field).chain(node::meta_map(self.node(), field))
            {
                map.insert(key.to_owned(), value.to_owned());
            }
            map
        };
        let (labels, annotations) = (merged("labels"), merged("annotations"));
        let (name, namespace) = (other.id.name.clone(), other.id.namespace.clone());
        self.edit(schema, |node| {
            set_meta_map(node, "labels", labels)?;
            set_meta_map(node, "annotations", annotations)?;
            set_name(node, &name)?;
            set_namespace(node, &namespace)
        })?;
        self.memory = Memory {
            needs_hash: self.memory.needs_hash && other.memory.needs_hash,
            ..other.memory.clone()
        };
        self.variables = other.variables.clone();
        Ok(())
    }
}

fn current_id(object: &Node, schema: &Schema) -> ResId {
    let gvk = Gvk::new(
        node::top_text(object, "apiVersion"),
        node::top_text(object, "kind"),
    );
    ResId::new(
        gvk,
        node::meta_text(object, "name"),
        node::meta_text(object, "namespace"),
        schema,
    )
}

/// Sets `metadata.labels` or `metadata.annotations` to these texts; none removes the field.
pub(crate) fn set_meta_map(
    object: &mut Node,
    field: &str,
    map: impl IntoIterator<Item = (String, String)>,
) -> Result<()> {
    let metadata = node::mapping_at(object, &["metadata"])?;
    node::clear(metadata, field);
    let mut entries = map.into_iter().peekable();
    if entries.peek().is_none() {
        return Ok(());
    }
    let into = node::mapping_at(metadata, &[field])?;
    for (key, value) in entries {
        node::set_field(into, &key, Node::string(value));
    }
    Ok(())
}

pub(crate) fn set_name(object: &mut Node, name: &str) -> Result<()> {
    node::set_text(node::mapping_at(object, &["metadata"])?, "name", name);
    Ok(())
}

pub(crate) fn set_namespace(object: &mut Node, namespace: &str) -> Result<()> {
    if !namespace.is_empty() {
        node::set_text(
            node::mapping_at(object, &["metadata"])?,
            "namespace",
            namespace,
        );
    } else if let Some(metadata) = object.get_mut("metadata") {
        node::clear(metadata, "namespace");
    }
    Ok(())
}
