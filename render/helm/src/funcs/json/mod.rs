//! JSON as Go's `encoding/json` writes and reads it.

mod read;
mod write;

use capstan_gotemplate::{Ctx, Function, List, Map, Type, Value};

pub(crate) use read::{JsonError, parse};
pub(crate) use write::{Style, write};

use super::value::{Result, any, bytes, give, list};
use crate::context::HelmVersion;

const ANY: &[Type] = &[Type::Any];
const S: &[Type] = &[Type::String];
const STRING: Type = Type::String;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("toJson", ANY, STRING, |ctx, args| {
        lenient(ctx, any(args, 0), Style::Escaped)
    }),
    Function::new("mustToJson", ANY, STRING, |ctx, args| {
        strict(ctx, any(args, 0), Style::Escaped)
    }),
    Function::new("toPrettyJson", ANY, STRING, |ctx, args| {
        lenient(ctx, any(args, 0), Style::Indented)
    }),
    Function::new("mustToPrettyJson", ANY, STRING, |ctx, args| {
        strict(ctx, any(args, 0), Style::Indented)
    }),
    Function::new("toRawJson", ANY, STRING, |ctx, args| {
        strict(ctx, any(args, 0), Style::Raw)
    }),
    Function::new("mustToRawJson", ANY, STRING, |ctx, args| {
        strict(ctx, any(args, 0), Style::Raw)
    }),
    Function::new("fromJson", S, Type::MAP, from_json),
    Function::new("fromJsonArray", S, Type::LIST, from_json_array),
    Function::new("mustFromJson", S, Type::Any, must_from_json),
];

/// Functions whose failure is not told: an empty text.
fn lenient(ctx: &mut Ctx<'_>, value: &Value, style: Style) -> Result {
    match write(ctx, value, style)? {
        Ok(text) => give(text),
        Err(_) => give(""),
    }
}

fn strict(ctx: &mut Ctx<'_>, value: &Value, style: Style) -> Result {
    match write(ctx, value, style)? {
        Ok(text) => give(text),
        Err(message) => Err(message.into()),
    }
}

/// A JSON object; what is none becomes an object with the key `Error`.
fn from_json(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    Ok(match read(ctx, bytes(args, 0))? {
        Ok(Value::Map(map)) => map.into(),
        Ok(Value::Nil) => Value::Map(null_map(ctx)?),
        Ok(other) => error_map(&mismatch(&other, "map[string]interface {}")),
        Err(error) => error_map(&error.to_string()),
    })
}

/// `null` leaves Helm 3 and 4 with the map that they made before.
fn null_map(ctx: &mut Ctx<'_>) -> Result<Map> {
    match crate::context::of(ctx)?.version {
        HelmVersion::V3 | HelmVersion::V4 => Ok(Map::nil(Type::MAP)),
    }
}

/// A JSON list; what is none becomes a list of the error.
fn from_json_array(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    match read(ctx, bytes(args, 0))? {
        Ok(Value::List(list)) => Ok(list.into()),
        Ok(Value::Nil) => Ok(List::nil(Type::LIST).into()),
        Ok(other) => list(vec![mismatch(&other, "[]interface {}").into()]),
        Err(error) => list(vec![error.to_string().into()]),
    }
}

fn must_from_json(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    read(ctx, bytes(args, 0))?.map_err(|error| error.to_string().into())
}

fn read(ctx: &mut Ctx<'_>, text: &[u8]) -> Result<std::result::Result<Value, JsonError>> {
    /// Bytes that a parsed value takes for each byte of text, at worst.
    const GROWTH: u64 = 16;
    ctx.charge_values(text.len() as u64 * GROWTH)?;
    Ok(parse(text))
}

/// `{"Error": …}`
pub(super) fn error_map(message: &str) -> Value {
    Map::from_iter([("Error", Value::string(message))]).into()
}

fn mismatch(value: &Value, wanted: &str) -> String {
    let found = match value {
        Value::Bool(_) => "bool",
        Value::String(_) => "string",
        Value::Map(_) => "object",
        Value::List(_) => "array",
        _ => "number",
    };
    format!("json: cannot unmarshal {found} into Go value of type {wanted}")
}
