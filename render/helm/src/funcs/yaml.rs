//! YAML as Helm writes and reads it.

use std::cell::Cell;

use capstan_gotemplate::{Ctx, Function, LimitError, Map, Str, Type, Value};
use capstan_goyaml::{Build, EmitOptions, Marshal, Text, ValueWriter};

use super::json::error_map;
use super::value::{Result, any, bytes, give, list};

const ANY: &[Type] = &[Type::Any];
const S: &[Type] = &[Type::String];
const STRING: Type = Type::String;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("toYaml", ANY, STRING, |ctx, args| {
        let text = write(ctx, any(args, 0), |value| capstan_goyaml::marshal(value))?;
        give(text.unwrap_or_default())
    }),
    Function::new("toYamlPretty", ANY, STRING, |ctx, args| {
        let text = write(ctx, any(args, 0), |value| {
            capstan_goyaml::marshal_v3(value, EmitOptions::KYAML_WIDE)
        })?;
        give(text.unwrap_or_default())
    }),
    Function::new("fromYaml", S, Type::MAP, from_yaml),
    Function::new("fromYamlArray", S, Type::LIST, from_yaml_array),
];

/// Only Helm 4 has these.
pub(super) const FUNCTIONS_V4: &[Function] = &[Function::new(
    "mustToYaml",
    ANY,
    STRING,
    |ctx, args| match write(ctx, any(args, 0), |value| capstan_goyaml::marshal(value))? {
        Ok(text) => give(text),
        Err(error) => Err(error.to_string().into()),
    },
)];

/// Writes a value; the inner error is one that Helm may swallow. The last line break is cut.
fn write(
    ctx: &mut Ctx<'_>,
    value: &Value,
    marshal: impl FnOnce(&Writable<'_>) -> std::result::Result<String, capstan_goyaml::Error>,
) -> Result<std::result::Result<String, capstan_goyaml::Error>> {
    let max = ctx.values_left();
    let left = Cell::new(Some(max));
    let text = marshal(&Writable { value, left: &left });
    if left.get().is_none() {
        return Err(LimitError::Values(max as u64).into());
    }
    Ok(text.map(|mut text| {
        if text.ends_with('\n') {
            text.pop();
        }
        text
    }))
}

/// A value that is being written, and how many bytes it may still take. A value that is in many places is written in each.
struct Writable<'v> {
    value: &'v Value,
    left: &'v Cell<Option<usize>>,
}

impl Writable<'_> {
    fn charge(&self, bytes: usize) -> std::result::Result<(), capstan_goyaml::Error> {
        self.left
            .set(self.left.get().and_then(|left| left.checked_sub(bytes + 1)));
        match self.left.get() {
            Some(_) => Ok(()),
            None => Err(capstan_goyaml::Error::Emit("value too large".to_owned())),
        }
    }

    fn part<'p>(&'p self, value: &'p Value) -> Writable<'p> {
        Writable {
            value,
            left: self.left,
        }
    }
}

impl Marshal for Writable<'_> {
    fn marshal(&self, writer: &mut ValueWriter) -> std::result::Result<(), capstan_goyaml::Error> {
        if let Some(time) = super::time::rfc3339(self.value) {
            self.charge(time.len())?;
            return writer.time(&time);
        }
        match self.value {
            Value::Nil => writer.null(),
            Value::Bool(yes) => writer.bool(*yes),
            Value::Int(_, number) => writer.int(*number),
            Value::Uint(_, number) => writer.uint(*number),
            Value::Float(_, number) => writer.float(*number),
            Value::String(text) => {
                self.charge(text.len())?;
                writer.string(&text.to_str())
            }
            Value::Bytes(bytes) => {
                use base64::Engine as _;
                self.charge(bytes.len() * 2)?;
                writer.string(&base64::engine::general_purpose::STANDARD.encode(bytes))
            }
            Value::List(list) if list.is_nil() => writer.null(),
            Value::List(list) => {
                self.charge(list.len())?;
                writer.sequence(list.items().iter().map(|item| self.part(item)))
            }
            Value::Map(map) if map.is_nil() => writer.null(),
            Value::Map(map) => {
                let entries = map.entries();
                self.charge(entries.len())?;
                writer.mapping(
                    entries
                        .iter()
                        .map(|(key, value)| (key.to_str(), self.part(value))),
                )
            }
            Value::Object(object) => match object.json() {
                Some(json) => self.part(&json).marshal(writer),
                None => {
                    let fields = object.fields();
                    writer.mapping(fields.iter().map(|(name, value)| (*name, self.part(value))))
                }
            },
            Value::Complex(_) | Value::Func(_) => Err(capstan_goyaml::Error::Emit(format!(
                "unsupported type: {}",
                self.value.type_name()
            ))),
        }
    }
}

/// A YAML map; what is none becomes a map with the key `Error`.
fn from_yaml(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    charge(ctx, bytes(args, 0))?;
    Ok(
        match capstan_goyaml::unmarshal_object(bytes(args, 0), &mut ValueBuilder) {
            Ok(Some(value)) => value,
            // Null leaves Go's map as it was, empty.
            Ok(None) => Map::new().into(),
            Err(error) => error_map(&error.to_string()),
        },
    )
}

/// A YAML list; what is none becomes a list of the error.
fn from_yaml_array(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    charge(ctx, bytes(args, 0))?;
    match capstan_goyaml::unmarshal_array(bytes(args, 0), &mut ValueBuilder) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => list(Vec::new()),
        Err(error) => list(vec![error.to_string().into()]),
    }
}

fn charge(ctx: &mut Ctx<'_>, text: &[u8]) -> Result<()> {
    /// Bytes that a parsed value takes for each byte of text, at worst.
    const GROWTH: u64 = 16;
    Ok(ctx.charge_values(text.len() as u64 * GROWTH)?)
}

/// Builds template values: every number is a `float64`, as all that comes through JSON is.
#[derive(Debug, Clone, Copy, Default)]
pub struct ValueBuilder;

impl Build for ValueBuilder {
    type Value = Value;

    fn null(&mut self) -> Value {
        Value::Nil
    }

    fn bool(&mut self, value: bool) -> Value {
        Value::Bool(value)
    }

    fn int(&mut self, value: i64) -> Value {
        Value::float64(value as f64)
    }

    fn uint(&mut self, value: u64) -> Value {
        Value::float64(value as f64)
    }

    fn float(&mut self, value: f64) -> Value {
        Value::float64(value)
    }

    fn string(&mut self, value: &str) -> Value {
        Value::string(value)
    }

    fn sequence(&mut self, items: Vec<Value>) -> Value {
        Value::list(items)
    }

    fn mapping(&mut self, entries: Vec<(Text, Value)>) -> Value {
        Map::from_entries(
            Type::MAP,
            entries
                .into_iter()
                .map(|(key, value)| (Str::from(key.as_str()), value)),
        )
        .into()
    }
}
