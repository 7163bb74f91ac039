//! What is known of the shape of objects: one arena of nodes for all built-in kinds, and one for every version of a custom kind.
//!
//! A node says how a value is decoded, merged and owned. Built-in kinds come from a table that is generated from the Go types of Kubernetes
//! (`schema-gen/`); custom kinds from the structural schema of their definition.

mod check;
pub(crate) mod custom;
pub(crate) mod decode;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

pub(crate) use table::built_in;

/// The place of a node in its arena.
pub(crate) type NodeId = usize;

/// What a scalar must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    /// A string.
    String,
    /// A number without fraction.
    Integer,
    /// A number.
    Float,
    /// True or false.
    Boolean,
    /// Base64 in JSON.
    Bytes,
    /// A Kubernetes quantity.
    Quantity,
    /// A number or a string.
    IntOrString,
    /// RFC 3339 with seconds.
    Time,
    /// RFC 3339 with microseconds.
    MicroTime,
}

/// How the elements of a list relate to what other managers say about it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Relation {
    /// Replaced as a whole.
    Atomic,
    /// A set of scalars.
    Set,
    /// Maps identified by these keys, with the default of a key that is left out.
    Map(Vec<(String, Option<Value>)>),
}

/// How a field of a built-in kind is patched by a strategic merge patch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Patch {
    /// Lists are merged by `key` (or as sets where there is none).
    pub(crate) merge: bool,
    /// Keys that the patch does not retain are dropped.
    pub(crate) retain_keys: bool,
    /// The field that identifies an element.
    pub(crate) key: Option<String>,
}

/// A field of an object.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// The node of its value.
    pub(crate) node: NodeId,
    /// A pointer: what is absent is null, not empty.
    pub(crate) pointer: bool,
    /// An absent value stays absent, instead of being written as its zero value.
    pub(crate) optional: bool,
    /// An empty value is dropped when it is encoded (only for what is no pointer).
    pub(crate) drop_empty: bool,
    /// How a strategic merge patch treats it.
    pub(crate) patch: Patch,
}

/// The fields of an object, in the order in which they are encoded.
pub(crate) type Fields = indexmap::IndexMap<Box<str>, Field>;

/// What can stand at a place of an object.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// Anything: maps are granular, lists atomic.
    Any,
    /// A scalar.
    Scalar(Scalar),
    /// A struct, a map, or both.
    Object {
        /// Named fields.
        fields: Arc<Fields>,
        /// What keys without a field hold; nothing means that there must be none.
        rest: Option<NodeId>,
        /// Owned and replaced as a whole.
        atomic: bool,
    },
    /// A list.
    List {
        /// The node of its elements.
        element: NodeId,
        /// How elements are identified.
        relation: Relation,
    },
}

/// Nodes that refer to each other by place.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    nodes: Vec<Node>,
}

impl Arena {
    pub(crate) fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn set(&mut self, id: NodeId, node: Node) {
        self.nodes[id] = node;
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }
}

/// A node together with the arena that it lives in.
#[derive(Clone, Copy)]
pub(crate) struct SchemaRef<'a> {
    pub(crate) arena: &'a Arena,
    pub(crate) id: NodeId,
}

impl<'a> SchemaRef<'a> {
    /// The node.
    pub(crate) fn node(self) -> &'a Node {
        self.arena.node(self.id)
    }

    /// The same arena at another place.
    pub(crate) fn at(self, id: NodeId) -> SchemaRef<'a> {
        SchemaRef {
            arena: self.arena,
            id,
        }
    }

    /// What stands under a key of an object; nothing where the key is not declared.
    pub(crate) fn child(self, key: &str) -> Option<SchemaRef<'a>> {
        match self.node() {
            Node::Any => Some(self),
            Node::Object { fields, rest, .. } => fields
                .get(key)
                .map(|f| f.node)
                .or(*rest)
                .map(|id| self.at(id)),
            _ => None,
        }
    }

    /// The node that describes a value: an untyped place takes the form of what stands there.
    pub(crate) fn is_any(self) -> bool {
        matches!(self.node(), Node::Any)
    }

    /// Whether a key is a declared field.
    pub(crate) fn has_field(self, key: &str) -> bool {
        matches!(self.node(), Node::Object { fields, .. } if fields.contains_key(key))
    }
}

/// The schema of one version of one kind.
#[derive(Clone)]
pub(crate) enum Schema {
    /// A place in the shared arena of the built-in kinds.
    BuiltIn(NodeId),
    /// An arena of its own.
    Custom(Arc<custom::CustomSchema>),
}

impl Schema {
    pub(crate) fn root(&self) -> SchemaRef<'_> {
        match self {
            Schema::BuiltIn(id) => SchemaRef {
                arena: &built_in().arena,
                id: *id,
            },
            Schema::Custom(custom) => SchemaRef {
                arena: &custom.arena,
                id: custom.root,
            },
        }
    }
}

/// The types of the table by name, for those who build on them.
pub(crate) type TypeNames = BTreeMap<Box<str>, NodeId>;
