//! One Kubernetes object: its identity, its canonical bytes, its digest.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    digest::Digest,
    id::{IdError, is_object_name},
};

/// The API server refuses what etcd cannot hold in one request (1.5 MiB); we say so when rendering.
pub const MAX_OBJECT_BYTES: usize = 1 << 20;

/// What an object is known by: its version is not part of it, since the same object is served in several.
///
/// Prints as `Kind.group/namespace/name`, leaving out what is empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty for an object without one (and, before defaulting, for one that does not say).
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectKey {
    /// Whether it is a Secret of Kubernetes itself, whose content may be seen only in its own cluster.
    pub fn is_secret(&self) -> bool {
        self.group.is_empty() && self.kind == "Secret"
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if !self.namespace.is_empty() {
            write!(f, "/{}", self.namespace)?;
        }
        write!(f, "/{}", self.name)
    }
}

impl FromStr for ObjectKey {
    type Err = IdError;

    /// Reads what [`fmt::Display`] prints.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::UnitKey {
            given: text.chars().take(300).collect(),
        };
        let parts: Vec<&str> = text.split('/').collect();
        let (kind, namespace, name) = match parts[..] {
            [kind, name] => (kind, "", name),
            [kind, namespace, name] => (kind, namespace, name),
            _ => return Err(wrong()),
        };
        let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
        if kind.is_empty() || !is_object_name(name) {
            return Err(wrong());
        }
        Ok(Self {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

/// Why a JSON value is not a Kubernetes object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// The document is a list, a text or a number.
    #[error("not an object but {found}")]
    NotAMap {
        /// What it is.
        found: &'static str,
    },
    /// A field that every object has is missing, empty or not a text.
    #[error("{field} is missing or not a text")]
    Missing {
        /// Path of the field.
        field: &'static str,
    },
    /// A name that would not be one path segment.
    #[error("{field} `{given}` is not a valid name")]
    Name {
        /// Path of the field.
        field: &'static str,
        /// What it says.
        given: String,
    },
    /// Larger than [`MAX_OBJECT_BYTES`].
    #[error("{bytes} bytes, more than the {MAX_OBJECT_BYTES} that an API server takes")]
    TooLarge {
        /// Its size as canonical JSON.
        bytes: usize,
    },
}

/// A Kubernetes object whose `apiVersion`, `kind` and `metadata.name` are known to be there.
///
/// `Debug` shows the identity only, since the object may be a Secret.
#[derive(Clone, PartialEq)]
pub struct Object {
    key: ObjectKey,
    version: String,
    value: Value,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({} {})", self.key, self.version)
    }
}

impl Object {
    /// Checks that `value` is an object of Kubernetes' shape.
    pub fn parse(value: Value) -> Result<Self, ObjectError> {
        let map = value.as_object().ok_or(ObjectError::NotAMap {
            found: kind_of(&value),
        })?;
        let api_version = text(map.get("apiVersion"), "apiVersion")?;
        let kind = text(map.get("kind"), "kind")?;
        let metadata = map.get("metadata").and_then(Value::as_object);
        let name = text(metadata.and_then(|it| it.get("name")), "metadata.name")?;
        let namespace = match metadata.and_then(|it| it.get("namespace")) {
            None | Some(Value::Null) => "",
            some => text_or_empty(some, "metadata.namespace")?,
        };
        if !is_object_name(name) {
            return Err(ObjectError::Name {
                field: "metadata.name",
                given: name.to_owned(),
            });
        }
        if !namespace.is_empty() && !is_object_name(namespace) {
            return Err(ObjectError::Name {
                field: "metadata.namespace",
                given: namespace.to_owned(),
            });
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let parts = [("apiVersion", api_version, group), ("kind", kind, kind)];
        for (field, given, part) in parts {
            if !part.is_empty() && !is_object_name(part) {
                let given = given.to_owned();
                return Err(ObjectError::Name { field, given });
            }
        }
        let key = ObjectKey {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let version = version.to_owned();
        Ok(Self {
            key,
            version,
            value,
        })
    }

    /// Identity.
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// The version in `apiVersion`, without the group.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// `apiVersion` as it is written in the object.
    pub fn api_version(&self) -> String {
        if self.key.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.key.group, self.version)
        }
    }

    /// The whole object.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The whole object, by value.
    pub fn into_value(self) -> Value {
        self.value
    }

    /// A label of the object.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.value
            .pointer("/metadata/labels")?
            .get(key)
            .and_then(Value::as_str)
    }

    /// An annotation of the object.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.value
            .pointer("/metadata/annotations")?
            .get(key)
            .and_then(Value::as_str)
    }

    /// Whether its content may be seen only in its own cluster.
    pub fn is_sensitive(&self) -> bool {
        self.key.is_secret()
    }

    /// The bytes that are digested, stored and sent: JSON with the keys of every map in order and no white space.
    pub fn canonical(&self) -> Result<Vec<u8>, ObjectError> {
        let bytes = canonical_json(&self.value);
        if bytes.len() > MAX_OBJECT_BYTES {
            return Err(ObjectError::TooLarge { bytes: bytes.len() });
        }
        Ok(bytes)
    }

    /// The digest of the canonical bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&canonical_json(&self.value))
    }
}

/// JSON with the keys of every map in byte order and no white space, whatever order `value` has them in.
pub fn canonical_json(value: &Value) -> Vec<u8> {
    fn scalar(value: &(impl serde::Serialize + ?Sized), out: &mut Vec<u8>) {
        serde_json::to_writer(out, value).expect("texts and numbers can be written to memory");
    }
    fn write(value: &Value, out: &mut Vec<u8>) {
        let comma = |at: usize, out: &mut Vec<u8>| out.extend((at > 0).then_some(b','));
        match value {
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by(|a, b| a.0.cmp(b.0));
                out.push(b'{');
                for (at, (key, value)) in entries.into_iter().enumerate() {
                    comma(at, out);
                    scalar(key, out);
                    out.push(b':');
                    write(value, out);
                }
                out.push(b'}');
            }
            Value::Array(items) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    comma(at, out);
                    write(item, out);
                }
                out.push(b']');
            }
            other => scalar(other, out),
        }
    }
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

fn text<'a>(value: Option<&'a Value>, field: &'static str) -> Result<&'a str, ObjectError> {
    match text_or_empty(value, field)? {
        "" => Err(ObjectError::Missing { field }),
        some => Ok(some),
    }
}

fn text_or_empty<'a>(
    value: Option<&'a Value>,
    field: &'static str,
) -> Result<&'a str, ObjectError> {
    value
        .and_then(Value::as_str)
        .ok_or(ObjectError::Missing { field })
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn canonical_json_is_json_in_order() {
        let text = r#"{"z":{"b":[],"a":{}},"a":[1,-2,1.5,1e300,18446744073709551615,true,null,"\u0000\"\\/<>é😀\n"],"é":{"y":[{"d":1,"c":2}],"":0},"Z":""}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        let canonical = String::from_utf8(canonical_json(&value)).unwrap();
        assert_eq!(
            canonical,
            r#"{"Z":"","a":[1,-2,1.5,1e+300,18446744073709551615,true,null,"\u0000\"\\/<>é😀\n"],"z":{"a":{},"b":[]},"é":{"":0,"y":[{"c":2,"d":1}]}}"#
        );
        assert_eq!(serde_json::from_str::<Value>(&canonical).unwrap(), value);
    }

    #[test]
    fn identity_is_read_from_the_object() {
        let object = Object::parse(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop"},
        }))
        .unwrap();
        assert_eq!(object.key().to_string(), "Deployment.apps/shop/web");
        assert_eq!(object.version(), "v1");
        assert_eq!(object.api_version(), "apps/v1");
        let again: ObjectKey = object.key().to_string().parse().unwrap();
        assert_eq!(&again, object.key());
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        let table = [
            (json!([1]), "not an object but a list"),
            (
                json!({"kind": "A", "metadata": {"name": "x"}}),
                "apiVersion is missing or not a text",
            ),
            (
                json!({"apiVersion": "v1", "kind": "A"}),
                "metadata.name is missing or not a text",
            ),
            (
                json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a/b"}}),
                "metadata.name `a/b` is not a valid name",
            ),
            (
                json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a", "namespace": ".."}}),
                "metadata.namespace `..` is not a valid name",
            ),
        ];
        for (value, expect) in table {
            assert_eq!(Object::parse(value).unwrap_err().to_string(), expect);
        }
    }

    #[test]
    fn digest_does_not_depend_on_key_order() {
        let one: Value = serde_json::from_str(
            r#"{"apiVersion":"v1","kind":"A","metadata":{"name":"x","labels":{"b":"1","a":"2"}}}"#,
        )
        .unwrap();
        let other: Value = serde_json::from_str(
            r#"{"kind":"A","metadata":{"labels":{"a":"2","b":"1"},"name":"x"},"apiVersion":"v1"}"#,
        )
        .unwrap();
        let (one, other) = (Object::parse(one).unwrap(), Object::parse(other).unwrap());
        assert_eq!(one.digest(), other.digest());
    }

    #[test]
    fn debug_shows_no_content() {
        let object = Object::parse(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "canary"},
        }))
        .unwrap();
        assert!(!format!("{object:?}").contains("canary"));
        assert!(object.is_sensitive());
    }
}
