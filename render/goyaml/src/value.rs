//! How decoded documents become values of whatever type a caller has.

use crate::node::Text;

/// Makes values out of what a document holds. Implement it for a value type of your own; [`JsonBuilder`] makes `serde_json` values.
pub trait Build {
    /// What is made.
    type Value;

    /// `null`
    fn null(&mut self) -> Self::Value;
    /// A boolean.
    fn bool(&mut self, value: bool) -> Self::Value;
    /// An integer. (`sigs.k8s.io/yaml` makes a float64 of it when it decodes to `interface{}`.)
    fn int(&mut self, value: i64) -> Self::Value;
    /// An integer too large for [`Build::int`].
    fn uint(&mut self, value: u64) -> Self::Value;
    /// A finite number.
    fn float(&mut self, value: f64) -> Self::Value;
    /// A string.
    fn string(&mut self, value: &str) -> Self::Value;
    /// A list.
    fn sequence(&mut self, items: Vec<Self::Value>) -> Self::Value;
    /// A map, in the order of the document; each key once.
    fn mapping(&mut self, entries: Vec<(Text, Self::Value)>) -> Self::Value;
}

/// Builds `serde_json` values, integers as integers.
#[derive(Debug, Default, Clone, Copy)]
pub struct JsonBuilder;

impl Build for JsonBuilder {
    type Value = serde_json::Value;

    fn null(&mut self) -> Self::Value {
        serde_json::Value::Null
    }

    fn bool(&mut self, value: bool) -> Self::Value {
        value.into()
    }

    fn int(&mut self, value: i64) -> Self::Value {
        value.into()
    }

    fn uint(&mut self, value: u64) -> Self::Value {
        value.into()
    }

    fn float(&mut self, value: f64) -> Self::Value {
        value.into()
    }

    fn string(&mut self, value: &str) -> Self::Value {
        value.into()
    }

    fn sequence(&mut self, items: Vec<Self::Value>) -> Self::Value {
        items.into()
    }

    fn mapping(&mut self, entries: Vec<(Text, Self::Value)>) -> Self::Value {
        serde_json::Value::Object(
            entries
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect(),
        )
    }
}
