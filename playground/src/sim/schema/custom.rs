//! Custom kinds: the structural schema of a definition, and what it does to objects (pruning, defaults, validation).
//!
//! Rules in CEL (`x-kubernetes-validations`) are not evaluated; a definition that has some is answered with a warning that says so.

use std::sync::Arc;

use serde_json::{Map, Value};

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

fn flag(schema: &Value, key: &str) -> bool {
    schema.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn plain(node: NodeId) -> Field {
    Field { node, optional: true, drop_empty: false, patch: Patch::default() }
}

impl CustomSchema {
    /// Builds the nodes of a version.
    pub(crate) fn new(raw: Option<&Value>) -> CustomSchema {
        let mut arena = Arena::default();
        let raw = raw.cloned().unwrap_or_else(|| serde_json::json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}));
        let preserve = flag(&raw, "x-kubernetes-preserve-unknown-fields");
        let mut root = object_fields(&mut arena, &raw);
        let metadata = metadata(&mut arena);
        let text = arena.push(Node::Scalar(Scalar::String));
        root.insert("apiVersion".into(), plain(text));
        root.insert("kind".into(), plain(text));
        root.insert("metadata".into(), plain(metadata));
        let rest = preserve.then(|| arena.push(Node::Any));
        let root = arena.push(Node::Object { fields: Arc::new(root), rest, atomic: false });
        CustomSchema { arena, root, raw, preserve }
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
        check_object(object, &self.raw, true, "", &mut errors);
        errors
    }
}

fn metadata(arena: &mut Arena) -> NodeId {
    let text = arena.push(Node::Scalar(Scalar::String));
    let number = arena.push(Node::Scalar(Scalar::Integer));
    let boolean = arena.push(Node::Scalar(Scalar::Boolean));
    let any = arena.push(Node::Any);
    let map = arena.push(Node::Object { fields: Arc::new(Fields::new()), rest: Some(text), atomic: false });
    let set = arena.push(Node::List { element: text, relation: Relation::Set });
    let owner: Fields = ["apiVersion", "kind", "name", "uid"].iter().map(|n| ((*n).into(), plain(text))).collect();
    let mut owner = owner;
    owner.insert("controller".into(), plain(boolean));
    owner.insert("blockOwnerDeletion".into(), plain(boolean));
    let owner = arena.push(Node::Object { fields: Arc::new(owner), rest: None, atomic: true });
    let owners = arena.push(Node::List { element: owner, relation: Relation::Map(vec![("uid".into(), None)]) });
    let managed = arena.push(Node::List { element: any, relation: Relation::Atomic });
    let mut fields = Fields::new();
    for name in ["name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp"] {
        fields.insert(name.into(), plain(text));
    }
    for name in ["generation", "deletionGracePeriodSeconds"] {
        fields.insert(name.into(), plain(number));
    }
    for (name, node) in [("labels", map), ("annotations", map), ("ownerReferences", owners), ("finalizers", set), ("managedFields", managed)] {
        fields.insert(name.into(), plain(node));
    }
    arena.push(Node::Object { fields: Arc::new(fields), rest: None, atomic: false })
}

fn object_fields(arena: &mut Arena, schema: &Value) -> Fields {
    let mut fields = Fields::new();
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
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
                _ if flag(schema, "x-kubernetes-preserve-unknown-fields") || fields.is_empty() => Some(arena.push(Node::Any)),
                _ => None,
            };
            let atomic = schema.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic");
            Node::Object { fields: Arc::new(fields), rest, atomic }
        }
        Some("array") => {
            let items = schema.get("items").cloned().unwrap_or_default();
            let element = build(arena, &items);
            Node::List { element, relation: relation(schema, &items) }
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
            let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            let default = |key: &str| items.pointer(&format!("/properties/{key}/default")).cloned();
            Relation::Map(keys.map(|key| (key.to_owned(), default(key))).collect())
        }
        _ => Relation::Atomic,
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn prune_object(value: &mut Value, schema: &Value, root: bool, path: &str, dropped: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let preserve = flag(schema, "x-kubernetes-preserve-unknown-fields");
            let embedded = root || flag(schema, "x-kubernetes-embedded-resource");
            let properties = schema.get("properties").and_then(Value::as_object);
            let additional = schema.get("additionalProperties").filter(|a| **a != Value::Bool(false));
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
                if let Some(child) = properties.and_then(|p| p.get(key)).or(additional.filter(|a| a.is_object())) {
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
                    let null_to_default = map.get(key).is_some_and(Value::is_null) && !flag(property, "nullable");
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
            map.retain(|key, value| !value.is_null() || properties.and_then(|p| p.get(key)).is_none_or(|p| flag(p, "nullable") || flag(p, "x-kubernetes-preserve-unknown-fields")));
        }
        Value::Array(items) => {
            if let Some(child) = schema.get("items") {
                items.iter_mut().for_each(|item| fill(item, child));
            }
        }
        _ => {}
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check_object(value: &Value, schema: &Value, root: bool, path: &str, errors: &mut Vec<FieldError>) {
    if value.is_null() && flag(schema, "nullable") {
        return;
    }
    let body = |text: &str| if path.is_empty() { text.to_owned() } else { format!("{path} in body {text}") };
    if flag(schema, "x-kubernetes-int-or-string") {
        if !value.is_i64() && !value.is_string() {
            errors.push(FieldError::type_invalid(path, type_of(value), &body(&format!("must be of type integer,string: {:?}", type_of(value)))));
        }
    } else if let Some(expected) = schema.get("type").and_then(Value::as_str) {
        let actual = type_of(value);
        if actual != expected && !(expected == "number" && actual == "integer") {
            errors.push(FieldError::type_invalid(path, actual, &body(&format!("must be of type {expected}: {actual:?}"))));
            return;
        }
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        errors.push(FieldError::not_supported(path, value, allowed));
    }
    bounds(value, schema, path, errors);
    combinations(value, schema, path, errors);
    match value {
        Value::Object(map) => {
            for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
                if !map.contains_key(name) {
                    errors.push(FieldError::required(&join(path, name), ""));
                }
            }
            let properties = schema.get("properties").and_then(Value::as_object);
            let additional = schema.get("additionalProperties").filter(|a| a.is_object());
            for (key, value) in map {
                if root && matches!(key.as_str(), "metadata" | "apiVersion" | "kind") {
                    continue;
                }
                if let Some(child) = properties.and_then(|p| p.get(key)).or(additional) {
                    check_object(value, child, false, &join(path, key), errors);
                }
            }
        }
        Value::Array(items) => {
            if let Some(child) = schema.get("items") {
                for (i, item) in items.iter().enumerate() {
                    check_object(item, child, false, &format!("{path}[{i}]"), errors);
                }
            }
            check_duplicates(items, schema, path, errors);
        }
        _ => {}
    }
}

fn check_duplicates(items: &[Value], schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let keys: Vec<&str> = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let identity = |item: &Value| -> Value {
        if keys.is_empty() { item.clone() } else { keys.iter().map(|k| item.get(*k).cloned().unwrap_or_default()).collect() }
    };
    if !matches!(schema.get("x-kubernetes-list-type").and_then(Value::as_str), Some("set" | "map")) {
        return;
    }
    for (i, item) in items.iter().enumerate() {
        if items[..i].iter().any(|other| identity(other) == identity(item)) {
            errors.push(FieldError::duplicate(&format!("{path}[{i}]"), item));
        }
    }
}

/// Limits of numbers, lengths and patterns.
fn bounds(value: &Value, schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let limit = |key: &str| schema.get(key).and_then(Value::as_f64);
    let count = |key: &str| schema.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let mut wrong = |text: String| errors.push(FieldError::invalid(path, value, &format!("{path} in body {text}")));
    if let Some(number) = value.as_f64() {
        let exclusive = |key: &str| flag(schema, key);
        if let Some(max) = limit("maximum") {
            if exclusive("exclusiveMaximum") && number >= max {
                wrong(format!("should be less than {max}"));
            } else if number > max {
                wrong(format!("should be less than or equal to {max}"));
            }
        }
        if let Some(min) = limit("minimum") {
            if exclusive("exclusiveMinimum") && number <= min {
                wrong(format!("should be greater than {min}"));
            } else if number < min {
                wrong(format!("should be greater than or equal to {min}"));
            }
        }
    }
    if let Some(text) = value.as_str() {
        if let Some(min) = count("minLength").filter(|min| text.chars().count() < *min) {
            wrong(format!("should be at least {min} chars long"));
        }
        if let Some(max) = count("maxLength").filter(|max| text.chars().count() > *max) {
            wrong(format!("should be at most {max} chars long"));
        }
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && regex::Regex::new(pattern).is_ok_and(|re| !re.is_match(text))
        {
            wrong(format!("should match '{pattern}'"));
        }
    }
    if let Some(items) = value.as_array() {
        if let Some(min) = count("minItems").filter(|min| items.len() < *min) {
            wrong(format!("should have at least {min} items"));
        }
        if let Some(max) = count("maxItems").filter(|max| items.len() > *max) {
            wrong(format!("should have at most {max} items"));
        }
    }
    if let Some(max) = count("maxProperties").filter(|max| value.as_object().is_some_and(|o| o.len() > *max)) {
        wrong(format!("should have at most {max} properties"));
    }
}

/// `allOf`, `anyOf`, `oneOf` and `not`, by whether the parts hold.
fn combinations(value: &Value, schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let holds = |part: &Value| {
        let mut found = Vec::new();
        check_object(value, part, false, path, &mut found);
        found.is_empty()
    };
    let parts = |key: &str| schema.get(key).and_then(Value::as_array);
    for part in parts("allOf").into_iter().flatten() {
        check_object(value, part, false, path, errors);
    }
    if flag(schema, "x-kubernetes-int-or-string") {
        return;
    }
    if let Some(any) = parts("anyOf")
        && !any.iter().any(holds)
    {
        errors.push(FieldError::invalid(path, value, &format!("{path} in body must validate at least one schema (anyOf)")));
    }
    if let Some(one) = parts("oneOf")
        && one.iter().filter(|part| holds(part)).count() != 1
    {
        errors.push(FieldError::invalid(path, value, &format!("{path} in body must validate one and only one schema (oneOf)")));
    }
    if schema.get("not").is_some_and(holds) {
        errors.push(FieldError::invalid(path, value, &format!("{path} in body must not validate the schema (not)")));
    }
}

/// Whether a schema has rules in CEL anywhere.
pub(crate) fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.contains_key("x-kubernetes-validations") || map.values().any(has_rules),
        Value::Array(items) => items.iter().any(has_rules),
        _ => false,
    }
}

/// Reads the fields that a version declares as an ordinary map, for OpenAPI.
pub(crate) fn published(schema: &CustomSchema) -> Map<String, Value> {
    schema.raw.as_object().cloned().unwrap_or_default()
}
