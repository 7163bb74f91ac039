//! Values as a chart keeps them: immutable, shared between threads, and without Go's types.

use std::sync::Arc;

use capstan_gotemplate::{Map, Str, Value};
use capstan_goyaml::{Build, Text};

/// A value out of YAML, JSON or `--set`. Numbers of YAML and JSON are float64, as in Go's `interface{}`; those of `--set` are int64.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Number(f64),
    Int(i64),
    String(Str),
    List(Arc<[Tree]>),
    Map(Arc<[(Str, Tree)]>),
}

impl Tree {
    /// An empty map.
    pub(crate) fn empty_map() -> Self {
        Self::Map(Arc::from([]))
    }

    /// A value of its own for a render: nothing in it is shared with another.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Nil,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::float64(*number),
            Self::Int(number) => Value::int64(*number),
            Self::String(text) => Value::String(text.clone()),
            Self::List(items) => Value::list(items.iter().map(Self::to_value).collect()),
            Self::Map(_) => Value::Map(self.to_map()),
        }
    }

    /// The same for a map; anything else gives an empty one.
    pub(crate) fn to_map(&self) -> Map {
        let Self::Map(entries) = self else {
            return Map::new();
        };
        entries
            .iter()
            .map(|(key, value)| (key.clone(), value.to_value()))
            .collect()
    }

    /// Entries of both, those of `over` win, maps are merged.
    pub(crate) fn merged(&self, over: &Self) -> Self {
        let (Self::Map(low), Self::Map(high)) = (self, over) else {
            return over.clone();
        };
        let mut out: Vec<(Str, Self)> = low.to_vec();
        for (key, value) in high.iter() {
            match out.iter_mut().find(|(known, _)| known == key) {
                Some((_, old)) if matches!((&*old, value), (Self::Map(_), Self::Map(_))) => {
                    *old = old.merged(value)
                }
                Some((_, old)) => *old = value.clone(),
                None => out.push((key.clone(), value.clone())),
            }
        }
        Self::Map(out.into())
    }
}

impl From<&Value> for Tree {
    fn from(value: &Value) -> Self {
        match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(_, number) => Self::Int(*number),
            Value::Float(_, number) => Self::Number(*number),
            Value::String(text) => Self::String(text.clone()),
            Value::List(list) => Self::List(list.items().iter().map(Self::from).collect()),
            Value::Map(map) => Self::Map(map.with(|entries| {
                entries
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::from(value)))
                    .collect()
            })),
            // Values files and `--set` make none of the others.
            Value::Nil
            | Value::Uint(..)
            | Value::Complex(_)
            | Value::Bytes(_)
            | Value::Object(_)
            | Value::Func(_) => Self::Null,
        }
    }
}

impl From<&serde_json::Value> for Tree {
    fn from(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => Self::Number(number.as_f64().unwrap_or(0.0)),
            serde_json::Value::String(text) => Self::String(Str::from(text.as_str())),
            serde_json::Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            serde_json::Value::Object(object) => Self::Map(
                object
                    .iter()
                    .map(|(key, value)| (Str::from(key.as_str()), Self::from(value)))
                    .collect(),
            ),
        }
    }
}

/// Makes trees out of YAML.
pub(crate) struct TreeBuilder;

impl Build for TreeBuilder {
    type Value = Tree;

    fn null(&mut self) -> Tree {
        Tree::Null
    }

    fn bool(&mut self, value: bool) -> Tree {
        Tree::Bool(value)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "Go's JSON decoder loses the same digits"
    )]
    fn int(&mut self, value: i64) -> Tree {
        Tree::Number(value as f64)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "Go's JSON decoder loses the same digits"
    )]
    fn uint(&mut self, value: u64) -> Tree {
        Tree::Number(value as f64)
    }

    fn float(&mut self, value: f64) -> Tree {
        Tree::Number(value)
    }

    fn string(&mut self, value: &str) -> Tree {
        Tree::String(Str::from(value))
    }

    fn sequence(&mut self, items: Vec<Tree>) -> Tree {
        Tree::List(items.into())
    }

    fn mapping(&mut self, entries: Vec<(Text, Tree)>) -> Tree {
        Tree::Map(
            entries
                .into_iter()
                .map(|(key, value)| (Str::from(&*key), value))
                .collect(),
        )
    }
}

/// A value as JSON, for schemas and for digests. What JSON has no word for (an object of the engine's) becomes null.
pub(crate) fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(_, number) => (*number).into(),
        Value::Uint(_, number) => (*number).into(),
        Value::Float(_, number) => {
            integer(*number).map_or_else(|| (*number).into(), serde_json::Value::from)
        }
        Value::String(text) | Value::Bytes(text) => text.to_str().into(),
        Value::List(list) => list.items().iter().map(to_json).collect(),
        Value::Map(map) => map
            .with(|entries| {
                entries
                    .iter()
                    .map(|(key, value)| (key.to_string(), to_json(value)))
                    .collect::<serde_json::Map<_, _>>()
            })
            .into(),
        Value::Nil | Value::Complex(_) | Value::Object(_) | Value::Func(_) => {
            serde_json::Value::Null
        }
    }
}

/// A whole number prints without a fraction in Go.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn integer(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9.0e15).then_some(number as i64)
}

/// A copy that shares nothing with the value.
pub(crate) fn deep_copy(value: &Value) -> Value {
    match value {
        Value::Map(map) => Value::Map(deep_copy_map(map)),
        Value::List(list) => Value::List(capstan_gotemplate::List::typed(
            list.ty(),
            list.items().iter().map(deep_copy).collect(),
        )),
        other => other.clone(),
    }
}

/// The same for a map; it loses its type's name.
pub(crate) fn deep_copy_map(map: &Map) -> Map {
    map.with(|entries| {
        entries
            .iter()
            .map(|(key, value)| (key.clone(), deep_copy(value)))
            .collect()
    })
}
