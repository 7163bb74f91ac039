//! What happens to an object between the wire and the store: it is decoded into the Go struct of its kind and encoded again.
//!
//! Fields that the struct does not have are dropped (and named), values of the wrong type are refused, empty values that the struct omits
//! disappear, and those that it always writes appear.

use serde_json::{Map, Value};

use super::{Field, Node, Scalar, SchemaRef};
use crate::sim::quantity;

/// What was found while decoding.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Paths of fields that the kind does not have.
    pub(crate) unknown: Vec<String>,
    /// Why the value cannot be decoded; the first counts.
    pub(crate) errors: Vec<String>,
}

/// Decodes a value at a place of the schema, and encodes it again.
pub(crate) fn normalise(schema: SchemaRef<'_>, value: Value, findings: &mut Findings) -> Value {
    let mut path = String::new();
    walk(schema, value, &mut path, findings)
}

/// The empty object of a kind, as its struct encodes.
pub(crate) fn zero(schema: SchemaRef<'_>) -> Value {
    match schema.node() {
        Node::Object {
            fields, rest: None, ..
        } => {
            let mut out = Map::new();
            for (name, field) in fields.iter() {
                if let Some(value) = absent(schema, field) {
                    out.insert(name.to_string(), value);
                }
            }
            Value::Object(out)
        }
        Node::Object { .. } | Node::List { .. } | Node::Any => Value::Null,
        Node::Scalar(Scalar::Integer | Scalar::Float | Scalar::IntOrString) => Value::from(0),
        Node::Scalar(Scalar::Boolean) => Value::Bool(false),
        Node::Scalar(Scalar::Quantity) => Value::from("0"),
        Node::Scalar(Scalar::Time | Scalar::MicroTime | Scalar::Bytes) => Value::Null,
        Node::Scalar(Scalar::String) => Value::from(""),
    }
}

fn absent(schema: SchemaRef<'_>, field: &Field) -> Option<Value> {
    if field.optional {
        return None;
    }
    Some(if field.pointer {
        Value::Null
    } else {
        zero(schema.at(field.node))
    })
}

fn walk(schema: SchemaRef<'_>, value: Value, path: &mut String, findings: &mut Findings) -> Value {
    match (schema.node(), value) {
        (Node::Any, value) => value,
        (Node::Scalar(kind), value) => scalar(*kind, value, path, findings),
        (
            Node::Object {
                fields, rest: None, ..
            },
            Value::Object(map),
        ) => {
            let fields = std::sync::Arc::clone(fields);
            structure(schema, &fields, map, path, findings)
        }
        (
            Node::Object {
                rest: Some(rest), ..
            },
            Value::Object(map),
        ) => {
            let element = schema.at(*rest);
            let mut keys: Vec<(String, Value)> = map.into_iter().collect();
            keys.sort_by(|a, b| a.0.cmp(&b.0));
            let walked = keys.into_iter().map(|(key, value)| {
                let value = within(path, &key, |path| {
                    if value.is_null() {
                        zero(element)
                    } else {
                        walk(element, value, path, findings)
                    }
                });
                (key, value)
            });
            Value::Object(walked.collect())
        }
        (Node::List { element, .. }, Value::Array(items)) => {
            let element = schema.at(*element);
            let walked = items.into_iter().enumerate().map(|(i, item)| {
                let length = path.len();
                path.push_str(&format!("[{i}]"));
                let item = if item.is_null() {
                    zero(element)
                } else {
                    walk(element, item, path, findings)
                };
                path.truncate(length);
                item
            });
            Value::Array(walked.collect())
        }
        (_, Value::Null) => zero(schema),
        (node, other) => {
            findings.errors.push(format!(
                "json: cannot unmarshal {} into Go struct field {path} of type {}",
                json_kind(&other),
                go_kind(node)
            ));
            other
        }
    }
}

fn within<T>(path: &mut String, key: &str, f: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    if length > 0 {
        path.push('.');
    }
    path.push_str(key);
    let out = f(path);
    path.truncate(length);
    out
}

fn structure(
    schema: SchemaRef<'_>,
    fields: &super::Fields,
    mut map: Map<String, Value>,
    path: &mut String,
    findings: &mut Findings,
) -> Value {
    let mut out = Map::new();
    for (name, field) in fields {
        let child = schema.at(field.node);
        let value = match map.shift_remove(name.as_ref()) {
            None | Some(Value::Null) => absent(schema, field),
            Some(value) => {
                let value = within(path, name, |path| walk(child, value, path, findings));
                if field.drop_empty && is_empty(&value) {
                    None
                } else {
                    Some(value)
                }
            }
        };
        if let Some(value) = value {
            out.insert(name.to_string(), value);
        }
    }
    for (name, _) in map {
        within(path, &name, |path| findings.unknown.push(path.clone()));
    }
    Value::Object(out)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
    }
}

fn scalar(kind: Scalar, value: Value, path: &str, findings: &mut Findings) -> Value {
    let fits = match (kind, &value) {
        (Scalar::String, Value::String(_))
        | (Scalar::Boolean, Value::Bool(_))
        | (Scalar::Float, Value::Number(_)) => true,
        (Scalar::Time | Scalar::MicroTime, Value::Null) => return Value::Null,
        (Scalar::Time | Scalar::MicroTime, Value::String(_)) => true,
        (Scalar::Integer, Value::Number(n)) => n.is_i64() || n.is_u64(),
        (Scalar::IntOrString, Value::Number(n)) => n.is_i64(),
        (Scalar::IntOrString, Value::String(_)) => true,
        (Scalar::Bytes, Value::String(text)) => match base64_problem(text) {
            None => true,
            Some(problem) => {
                findings.errors.push(problem);
                return value;
            }
        },
        (Scalar::Quantity, Value::String(_) | Value::Number(_)) => {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            return match quantity::canonical(&text) {
                Some(canonical) => Value::from(canonical),
                None => {
                    findings.errors.push("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'".into());
                    value
                }
            };
        }
        _ => false,
    };
    if !fits {
        let go = go_kind(&Node::Scalar(kind));
        findings.errors.push(format!(
            "json: cannot unmarshal {} into Go struct field {path} of type {go}",
            json_kind(&value)
        ));
    }
    value
}

fn base64_problem(text: &str) -> Option<String> {
    use base64::Engine as _;
    let compact: String = text.chars().filter(|c| *c != '\n' && *c != '\r').collect();
    match base64::engine::general_purpose::STANDARD.decode(&compact) {
        Ok(_) => None,
        Err(
            base64::DecodeError::InvalidByte(at, _)
            | base64::DecodeError::InvalidLastSymbol { offset: at, .. },
        ) => Some(format!("illegal base64 data at input byte {at}")),
        Err(_) => Some(format!(
            "illegal base64 data at input byte {}",
            compact.len() - compact.len() % 4
        )),
    }
}

fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn go_kind(node: &Node) -> &'static str {
    match node {
        Node::Scalar(Scalar::Integer) => "int32",
        Node::Scalar(Scalar::Boolean) => "bool",
        Node::Scalar(Scalar::Float) => "float64",
        Node::Scalar(_) => "string",
        Node::List { .. } => "[]string",
        Node::Object { rest: Some(_), .. } => "map[string]string",
        Node::Object { .. } | Node::Any => "struct",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::schema::{Schema, built_in};
    use serde_json::json;

    fn check(kind: &str, input: Value) -> (Value, Findings) {
        let node = built_in()
            .kinds
            .iter()
            .find(|k| k.kind == kind)
            .unwrap()
            .node;
        let mut findings = Findings::default();
        let out = normalise(Schema::BuiltIn(node).root(), input, &mut findings);
        (out, findings)
    }

    #[test]
    fn empty_values_go_and_structs_appear() {
        let (out, findings) = check(
            "Deployment",
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "labels": {}},
                   "spec": {"paused": false, "replicas": 0, "template": {"spec": {"containers": [{"name": "c", "env": []}]}}}}),
        );
        assert!(
            findings.errors.is_empty() && findings.unknown.is_empty(),
            "{findings:?}"
        );
        assert_eq!(out["metadata"], json!({"name": "a"}));
        assert_eq!(out["spec"]["replicas"], 0, "a pointer keeps its zero");
        assert!(out["spec"].get("paused").is_none());
        assert_eq!(out["spec"]["strategy"], json!({}));
        assert_eq!(
            out["spec"]["template"]["spec"]["containers"][0],
            json!({"name": "c", "resources": {}})
        );
        assert_eq!(out["status"], json!({}));
    }

    #[test]
    fn unknown_fields_and_wrong_types_are_named() {
        let (_, findings) = check(
            "Deployment",
            json!({"spec": {"replicas": "three", "replica": 3}}),
        );
        assert_eq!(findings.unknown, ["spec.replica"]);
        assert!(
            findings.errors[0].contains("spec.replicas of type int32"),
            "{findings:?}"
        );
    }

    #[test]
    fn quantities_become_canonical() {
        let (out, _) = check(
            "Pod",
            json!({"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1000m", "memory": 1024}}}]}}),
        );
        assert_eq!(
            out["spec"]["containers"][0]["resources"]["limits"],
            json!({"cpu": "1", "memory": "1024"})
        );
    }
}
