//! Reads JSON values into records as Go's `encoding/json` does: names in any case, null for nothing, its error messages.

use std::borrow::Cow;
use std::collections::BTreeMap;

use capstan_goyaml::format_float;
use serde_json::Value;

/// By which of Go's ways a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A JSON decoder that refuses fields which it does not know: kustomization files.
    Json,
    /// `sigs.k8s.io/yaml.Unmarshal`, which turns numbers and booleans into texts where texts are wanted.
    Yaml,
    /// `sigs.k8s.io/yaml.UnmarshalStrict`: the same, and no unknown fields.
    YamlStrict,
}

/// Where in the input the decoder is, and how it reads.
pub(crate) struct Cursor {
    root: &'static str,
    path: Vec<String>,
    reading: Reading,
}

impl Cursor {
    fn mismatch(&self, value: &Value, wanted: &str) -> String {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        if self.path.is_empty() {
            return format!("json: cannot unmarshal {found} into Go value of type {wanted}");
        }
        format!(
            "json: cannot unmarshal {found} into Go struct field {}.{} of type {wanted}",
            self.root,
            self.path.join(".")
        )
    }

    pub(crate) fn unknown(&self, name: &str) -> Result<(), String> {
        match self.reading {
            Reading::Json | Reading::YamlStrict => Err(format!("json: unknown field {name:?}")),
            Reading::Yaml => Ok(()),
        }
    }

    pub(crate) fn within<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Cursor) -> Result<T, String>,
    ) -> Result<T, String> {
        self.path.push(name.to_owned());
        let result = read(self);
        self.path.pop();
        result
    }

    pub(crate) fn object<'v>(
        &self,
        value: &'v Value,
        wanted: &str,
    ) -> Result<Option<&'v serde_json::Map<String, Value>>, String> {
        match value {
            Value::Null => Ok(None),
            Value::Object(map) => Ok(Some(map)),
            _ => Err(self.mismatch(value, wanted)),
        }
    }
}

/// What can be read from a JSON value.
pub(crate) trait Decode: Default {
    fn decode(value: &Value, at: &mut Cursor) -> Result<Self, String>;
}

/// Reads a whole value.
pub(crate) fn decode<T: Decode>(
    value: &Value,
    root: &'static str,
    reading: Reading,
) -> Result<T, String> {
    T::decode(
        value,
        &mut Cursor {
            root,
            path: Vec::new(),
            reading,
        },
    )
}

impl Decode for String {
    fn decode(value: &Value, at: &mut Cursor) -> Result<Self, String> {
        match value {
            Value::Null => Ok(String::new()),
            Value::String(text) => Ok(text.clone()),
            Value::Bool(truth) if at.reading != Reading::Json => Ok(truth.to_string()),
            Value::Number(number) if at.reading != Reading::Json => {
                Ok(match number.as_f64().filter(|_| number.is_f64()) {
                    Some(float) => format_float(float),
                    None => number.to_string(),
                })
            }
            _ => Err(at.mismatch(value, "string")),
        }
    }
}

impl Decode for Cow<'static, str> {
    fn decode(value: &Value, at: &mut Cursor) -> Result<Self, String> {
        String::decode(value, at).map(Cow::Owned)
    }
}

impl Decode for bool {
    fn decode(value: &Value, at: &mut Cursor) -> Result<Self, String> {
        match value {
            Value::Null => Ok(false),
            Value::Bool(truth) => Ok(*truth),
            _ => Err(at.mismatch(value, "bool")),
        }
    }
}

impl Decode for i64 {
    fn decode(value: &Value, at: &mut Cursor) -> Result<Self, String> {
        match value {
            Value::Null => Ok(0),
            Value::Number(number) if number.is_i64() => Ok(number.as_i64().unwrap_or_default()),
            Value::Number(number) => {
                Err(at
                    .mismatch(value, "int64")
                    .replacen("number", &format!("number {number}"), 1))
            }
            _ => Err(at.mismatch(value, "int64")),
        }
    }
}

impl Decode for Value {
    fn decode(value: &Value, _: &mut Cursor) -> Result<Self, String> {
        Ok(value.clone())
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(value: &Value, at: &mut Cursor) -> Result<Self, String> {
        if value.is_null() {
            Ok(None)
        } else {
            T::decode(value, at).map(Some)
        }
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(value: &Value, at: &mut Cursor) -> Result<Self, String> {
        match value {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(i, item)| at.within(&i.to_string(), |at| T::decode(item, at)))
                .collect(),
            _ => Err(at.mismatch(value, "[]string")),
        }
    }
}

impl<T: Decode> Decode for BTreeMap<String, T> {
    fn decode(value: &Value, at: &mut Cursor) -> Result<Self, String> {
        let entries = at.object(value, "map[string]string")?.into_iter().flatten();
        entries
            .map(|(key, item)| Ok((key.clone(), at.within(key, |at| T::decode(item, at))?)))
            .collect()
    }
}

/// Declares a record and how its fields are named in JSON.
macro_rules! record {
    ($(#[$about:meta])* $name:ident as $go:literal { $($(#[$field_about:meta])* $field:ident: $type:ty = $json:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Default)]
        pub(crate) struct $name { $($(#[$field_about])* pub(crate) $field: $type,)* }

        impl $crate::decode::Decode for $name {
            fn decode(value: &serde_json::Value, at: &mut $crate::decode::Cursor) -> std::result::Result<Self, String> {
                let mut record = $name::default();
                let Some(map) = at.object(value, $go)? else { return Ok(record) };
                for (key, value) in map {
                    match () {
                        $(() if key.eq_ignore_ascii_case($json) => {
                            if !value.is_null() {
                                record.$field = at.within($json, |at| $crate::decode::Decode::decode(value, at))?;
                            }
                        })*
                        () => at.unknown(key)?,
                    }
                }
                Ok(record)
            }
        }
    };
}

pub(crate) use record;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    record! {
        /// A record to read in these tests.
        Sample as "types.Sample" {
            name: String = "name",
            count: i64 = "count",
            inner: Vec<BTreeMap<String, String>> = "inner",
        }
    }

    #[test]
    fn names_in_any_case_and_go_error_messages() {
        let sample: Sample = decode(
            &json!({"NAME": "a", "count": null, "inner": [{"x": "y"}]}),
            "Sample",
            Reading::Json,
        )
        .unwrap();
        assert_eq!(
            (&*sample.name, sample.count, &*sample.inner[0]["x"]),
            ("a", 0, "y")
        );
        let error = |value| decode::<Sample>(&value, "Sample", Reading::Json).unwrap_err();
        assert_eq!(error(json!({"nam": 1})), "json: unknown field \"nam\"");
        assert_eq!(
            error(json!({"inner": [{}, {"false": 5}]})),
            "json: cannot unmarshal number into Go struct field Sample.inner.1.false of type string"
        );
        assert_eq!(
            error(json!([])),
            "json: cannot unmarshal array into Go value of type types.Sample"
        );
        assert!(decode::<Sample>(&json!({"nam": 1}), "Sample", Reading::Yaml).is_ok());
    }

    #[test]
    fn plugin_configurations_turn_numbers_and_booleans_into_texts() {
        let read = |reading| {
            let value = json!({"name": 1e6, "inner": [{"a": true, "b": 7}]});
            decode::<Sample>(&value, "Sample", reading)
        };
        assert!(read(Reading::Json).is_err());
        let sample = read(Reading::YamlStrict).unwrap();
        assert_eq!(sample.name, "1e+06");
        assert_eq!(
            (&*sample.inner[0]["a"], &*sample.inner[0]["b"]),
            ("true", "7")
        );
    }
}
