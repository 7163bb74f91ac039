//! Custom kinds: the structural schema of a definition, and what it does to objects (pruning, defaults, validation).
//!
//! Rules in CEL (`x-kubernetes-validations`) are not evaluated; a definition that has some is answered with a warning that says so.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::check;
use super::{Arena, Field, Fields, Node, NodeId, Patch, Relation, Scalar};
use crate::sim::status::FieldError;

/// One version of a custom kind.
#[derive(Debug)]
pub(crate) struct CustomSchema {
    pub(crate) arena: Arena,
    pub(crate) root: NodeId,
    /// `openAPIV3Schema` as given.
    pub(crate) raw: Value,
    /// Nothing is pruned anywhere (`spec.preserveUnknownFields`, or no schema).
    pub(crate) preserve: bool,
}

pub(super) fn flag(schema: &Value, key: &str) -> bool {
    schema.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn plain(node: NodeId) -> Field {
    Field {
        node,
        pointer: true,
        optional: true,
        drop_empty: false,
        patch: Patch::default(),
    }
}

impl CustomSchema {
    /// Builds the nodes of a version.
    pub(crate) fn new(raw: Option<&Value>) -> CustomSchema {
        let mut arena = Arena::default();
        let raw = raw.cloned().unwrap_or_else(
            || serde_json::json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
        );
        let preserve = flag(&raw, "x-kubernetes-preserve-unknown-fields");
        let mut root = object_fields(&mut arena, &raw);
        let metadata = metadata(&mut arena);
        let text = arena.push(Node::Scalar(Scalar::String));
        root.insert("apiVersion".into(), plain(text));
        root.insert("kind".into(), plain(text));
        root.insert("metadata".into(), plain(metadata));
        let rest = preserve.then(|| arena.push(Node::Any));
        let root = arena.push(Node::Object {
            fields: Arc::new(root),
            rest,
            atomic: false,
        });
        CustomSchema {
            arena,
            root,
            raw,
            preserve,
        }
    }

    /// Drops what the schema does not declare; gives the paths.
    pub(crate) fn prune(&self, object: &mut Value) -> Vec<String> {
        let mut dropped = Vec::new();
        prune_object(object, &self.raw, true, "", &mut dropped);
        dropped
    }

    /// Fills in defaults.
    pub(crate) fn default(&self, object: &mut Value) {
        fill(object, &self.raw);
    }

    /// What is wrong with an object.
    pub(crate) fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        check::object(object, &self.raw, true, "", &mut errors);
        errors
    }
}

fn metadata(arena: &mut Arena) -> NodeId {
    let text = arena.push(Node::Scalar(Scalar::String));
    let number = arena.push(Node::Scalar(Scalar::Integer));
    let boolean = arena.push(Node::Scalar(Scalar::Boolean));
    let any = arena.push(Node::Any);
    let map = arena.push(Node::Object {
        fields: Arc::new(Fields::new()),
        rest: Some(text),
        atomic: false,
    });
    let set = arena.push(Node::List {
        element: text,
        relation: Relation::Set,
    });
    let owner: Fields = ["apiVersion", "kind", "name", "uid"]
        .iter()
        .map(|n| ((*n).into(), plain(text)))
        .collect();
    let mut owner = owner;
    owner.insert("controller".into(), plain(boolean));
    owner.insert("blockOwnerDeletion".into(), plain(boolean));
    let owner = arena.push(Node::Object {
        fields: Arc::new(owner),
        rest: None,
        atomic: true,
    });
    let owners = arena.push(Node::List {
        element: owner,
        relation: Relation::Map(vec![("uid".into(), None)]),
    });
    let managed = arena.push(Node::List {
        element: any,
        relation: Relation::Atomic,
    });
    let mut fields = Fields::new();
    for name in [
        "name",
        "generateName",
        "namespace",
        "selfLink",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
    ] {
        fields.insert(name.into(), plain(text));
    }
    for name in ["generation", "deletionGracePeriodSeconds"] {
        fields.insert(name.into(), plain(number));
    }
    for (name, node) in [
        ("labels", map),
        ("annotations", map),
        ("ownerReferences", owners),
        ("finalizers", set),
        ("managedFields", managed),
    ] {
        fields.insert(name.into(), plain(node));
    }
    arena.push(Node::Object {
        fields: Arc::new(fields),
        rest: None,
        atomic: false,
    })
}

fn object_fields(arena: &mut Arena, schema: &Value) -> Fields {
    let mut fields = Fields::new();
    for (name, property) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let node = build(arena, property);
        fields.insert(name.as_str().into(), plain(node));
    }
    fields
}

fn build(arena: &mut Arena, schema: &Value) -> NodeId {
    if flag(schema, "x-kubernetes-int-or-string") {
        return arena.push(Node::Scalar(Scalar::IntOrString));
    }
    let node = match schema.get("type").and_then(Value::as_str) {
        Some("object") => {
            let mut fields = object_fields(arena, schema);
            if flag(schema, "x-kubernetes-embedded-resource") {
                let text = arena.push(Node::Scalar(Scalar::String));
                let metadata = metadata(arena);
                fields.entry("apiVersion".into()).or_insert(plain(text));
                fields.entry("kind".into()).or_insert(plain(text));
                fields.insert("metadata".into(), plain(metadata));
            }
            let rest = match schema.get("additionalProperties") {
                Some(Value::Object(element)) => Some(build(arena, &Value::Object(element.clone()))),
                Some(Value::Bool(true)) => Some(arena.push(Node::Any)),
                _ if flag(schema, "x-kubernetes-preserve-unknown-fields") || fields.is_empty() => {
                    Some(arena.push(Node::Any))
                }
                _ => None,
            };
            let atomic =
                schema.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic");
            Node::Object {
                fields: Arc::new(fields),
                rest,
                atomic,
            }
        }
        Some("array") => {
            let items = schema.get("items").cloned().unwrap_or_default();
            let element = build(arena, &items);
            Node::List {
                element,
                relation: relation(schema, &items),
            }
        }
        Some("string") => Node::Scalar(Scalar::String),
        Some("integer") => Node::Scalar(Scalar::Integer),
        Some("number") => Node::Scalar(Scalar::Float),
        Some("boolean") => Node::Scalar(Scalar::Boolean),
        _ => Node::Any,
    };
    arena.push(node)
}

fn relation(schema: &Value, items: &Value) -> Relation {
    match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => Relation::Set,
        Some("map") => {
            let keys = schema
                .get("x-kubernetes-list-map-keys")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            let default = |key: &str| {
                items
                    .pointer(&format!("/properties/{key}/default"))
                    .cloned()
            };
            Relation::Map(keys.map(|key| (key.to_owned(), default(key))).collect())
        }
        _ => Relation::Atomic,
    }
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn prune_object(
    value: &mut Value,
    schema: &Value,
    root: bool,
    path: &str,
    dropped: &mut Vec<String>,
) {
    match value {
        Value::Object(map) => {
            let preserve = flag(schema, "x-kubernetes-preserve-unknown-fields");
            let embedded = root || flag(schema, "x-kubernetes-embedded-resource");
            let properties = schema.get("properties").and_then(Value::as_object);
            let additional = schema
                .get("additionalProperties")
                .filter(|a| **a != Value::Bool(false));
            map.retain(|key, _| {
                let known = preserve
                    || additional.is_some()
                    || properties.is_some_and(|p| p.contains_key(key))
                    || (embedded && matches!(key.as_str(), "apiVersion" | "kind" | "metadata"));
                if !known {
                    dropped.push(join(path, key));
                }
                known
            });
            for (key, value) in map.iter_mut() {
                if embedded && key == "metadata" {
                    continue;
                }
                if let Some(child) = properties
                    .and_then(|p| p.get(key))
                    .or(additional.filter(|a| a.is_object()))
                {
                    prune_object(value, child, false, &join(path, key), dropped);
                }
            }
        }
        Value::Array(items) => {
            if let Some(child) = schema.get("items") {
                for (i, item) in items.iter_mut().enumerate() {
                    prune_object(item, child, false, &format!("{path}[{i}]"), dropped);
                }
            }
        }
        _ => {}
    }
}

fn fill(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(map) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            for (key, property) in properties.into_iter().flatten() {
                if let Some(default) = property.get("default") {
                    let null_to_default =
                        map.get(key).is_some_and(Value::is_null) && !flag(property, "nullable");
                    if !map.contains_key(key) || null_to_default {
                        map.insert(key.clone(), default.clone());
                    }
                }
            }
            let additional = schema.get("additionalProperties").filter(|a| a.is_object());
            for (key, value) in map.iter_mut() {
                if let Some(child) = properties.and_then(|p| p.get(key)).or(additional) {
                    fill(value, child);
                }
            }
            // A null that the schema does not allow is as if it were not there.
            map.retain(|key, value| {
                !value.is_null()
                    || properties.and_then(|p| p.get(key)).is_none_or(|p| {
                        flag(p, "nullable") || flag(p, "x-kubernetes-preserve-unknown-fields")
                    })
            });
        }
        Value::Array(items) => {
            if let Some(child) = schema.get("items") {
                items.iter_mut().for_each(|item| fill(item, child));
            }
        }
        _ => {}
    }
}

/// Whether a schema has rules in CEL anywhere.
pub(crate) fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            map.contains_key("x-kubernetes-validations") || map.values().any(has_rules)
        }
        Value::Array(items) => items.iter().any(has_rules),
        _ => false,
    }
}

/// Reads the fields that a version declares as an ordinary map, for OpenAPI.
pub(crate) fn published(schema: &CustomSchema) -> Map<String, Value> {
    schema.raw.as_object().cloned().unwrap_or_default()
}
