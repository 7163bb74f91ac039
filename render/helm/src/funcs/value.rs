//! What the functions share: arguments, emptiness, conversions, equality.

use std::borrow::Cow;

use capstan_gotemplate::strconv::{parse_float, parse_int};
use capstan_gotemplate::{Ctx, FuncError, List, Map, Str, Type, UintKind, Value};

/// What a function gives.
pub(super) type Result<T = Value> = std::result::Result<T, FuncError>;

/// Go's words for using nil as if it were something.
pub(super) const NIL_DEREFERENCE: &str =
    "runtime error: invalid memory address or nil pointer dereference";

/// A `string` argument. The evaluator has checked the type.
pub(super) fn bytes(args: &[Value], index: usize) -> &[u8] {
    match args.get(index) {
        Some(Value::String(text) | Value::Bytes(text)) => text.as_bytes(),
        _ => &[],
    }
}

/// A `string` argument as text.
pub(super) fn text(args: &[Value], index: usize) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes(args, index))
}

/// A `string` argument as it is.
pub(super) fn string(args: &[Value], index: usize) -> Str {
    args.get(index)
        .and_then(Value::as_str)
        .cloned()
        .unwrap_or_default()
}

/// An `int` argument.
pub(super) fn int(args: &[Value], index: usize) -> i64 {
    args.get(index).and_then(Value::as_i64).unwrap_or(0)
}

/// A `map[string]interface {}` argument.
pub(super) fn map(args: &[Value], index: usize) -> Map {
    args.get(index)
        .and_then(Value::as_map)
        .cloned()
        .unwrap_or_else(|| Map::nil(Type::MAP))
}

/// Any argument.
pub(super) fn any(args: &[Value], index: usize) -> &Value {
    args.get(index).unwrap_or(&Value::Nil)
}

/// Gives a string after counting it.
pub(super) fn give(text: impl Into<Str>) -> Result {
    Ok(Value::String(text.into()))
}

/// Sprig's `empty`: the zero value of its type, or nothing inside. Structs never are.
pub(super) fn is_empty(value: &Value) -> bool {
    !value.truth()
}

/// Sprig's `strval`.
pub(super) fn strval(ctx: &mut Ctx<'_>, value: &Value) -> Result<Str> {
    match value {
        Value::String(text) | Value::Bytes(text) => Ok(text.clone()),
        Value::Object(object) => match object.text() {
            Some(text) => Ok(text.into()),
            None => Ok(ctx.sprint(std::slice::from_ref(value))?),
        },
        _ => Ok(ctx.sprint(std::slice::from_ref(value))?),
    }
}

/// The elements of a list of any type, bytes included.
pub(super) fn items(value: &Value) -> Option<Cow<'_, [Value]>> {
    match value {
        Value::List(list) => Some(Cow::Borrowed(list.items())),
        Value::Bytes(bytes) => Some(Cow::Owned(
            bytes
                .as_bytes()
                .iter()
                .map(|byte| Value::Uint(UintKind::Uint8, (*byte).into()))
                .collect(),
        )),
        _ => None,
    }
}

/// An `[]interface {}`.
pub(super) fn list(items: Vec<Value>) -> Result {
    Ok(Value::List(List::new(items)))
}

/// `cast.ToInt64`: what is no number is 0.
pub(super) fn to_int64(value: &Value) -> i64 {
    match value {
        Value::Int(_, number) => *number,
        Value::Uint(_, number) => number.cast_signed(),
        Value::Float(_, number) => float_to_int(*number),
        Value::Bool(yes) => i64::from(*yes),
        Value::String(text) => parse_int(trim_zero_decimal(&text.to_str()), 0).unwrap_or(0),
        _ => 0,
    }
}

/// Go's conversion on amd64: out of range is the smallest number.
pub(super) fn float_to_int(number: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) {
        number as i64
    } else {
        i64::MIN
    }
}

/// Cuts a trailing `.000`.
fn trim_zero_decimal(text: &str) -> &str {
    let cut = text.trim_end_matches('0');
    match cut.strip_suffix('.') {
        Some(whole) if cut.len() < text.len() => whole,
        _ => text,
    }
}

/// `cast.ToFloat64`: what is no number is 0.
pub(super) fn to_float64(value: &Value) -> f64 {
    match value {
        Value::Int(_, number) => *number as f64,
        Value::Uint(_, number) => *number as f64,
        Value::Float(_, number) => *number,
        Value::Bool(yes) => f64::from(u8::from(*yes)),
        Value::String(text) => parse_float(&text.to_str()).unwrap_or(0.0),
        _ => 0.0,
    }
}

/// Depth of values that are compared or copied.
const MAX_DEPTH: usize = capstan_gotemplate::limits::MAX_VALUE_DEPTH / 10;

/// `reflect.DeepEqual`
pub(super) fn deep_equal(ctx: &mut Ctx<'_>, left: &Value, right: &Value) -> Result<bool> {
    equal_at(ctx, left, right, 0)
}

fn equal_at(ctx: &mut Ctx<'_>, left: &Value, right: &Value, depth: usize) -> Result<bool> {
    ctx.charge_steps(1)?;
    check_depth(depth)?;
    if left.ty() != right.ty() {
        return Ok(false);
    }
    Ok(match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(_, left), Value::Int(_, right)) => left == right,
        (Value::Uint(_, left), Value::Uint(_, right)) => left == right,
        (Value::Float(_, left), Value::Float(_, right)) => left == right,
        (Value::Complex(left), Value::Complex(right)) => left == right,
        (Value::String(left), Value::String(right)) | (Value::Bytes(left), Value::Bytes(right)) => {
            left == right
        }
        (Value::List(left), Value::List(right)) => {
            if left.is_nil() != right.is_nil() || left.len() != right.len() {
                return Ok(false);
            }
            for (left, right) in left.items().iter().zip(right.items()) {
                if !equal_at(ctx, left, right, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(left), Value::Map(right)) => {
            if left.is_nil() != right.is_nil() || left.len() != right.len() {
                return Ok(false);
            }
            if left.same(right) {
                return Ok(true);
            }
            for (key, left) in left.entries() {
                match right.get(&key) {
                    Some(right) if equal_at(ctx, &left, &right, depth + 1)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (Value::Object(left), Value::Object(right)) => {
            std::rc::Rc::ptr_eq(left, right) || left.equals(&**right)
        }
        _ => false,
    })
}

/// An error where a value is nested too deep, or contains itself.
pub(super) fn check_depth(depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(capstan_gotemplate::LimitError::ValueDepth(MAX_DEPTH).into());
    }
    Ok(())
}

/// A copy that shares no list and no map with the original.
pub(super) fn deep_copy(ctx: &mut Ctx<'_>, value: &Value) -> Result {
    copy_at(ctx, value, 0)
}

fn copy_at(ctx: &mut Ctx<'_>, value: &Value, depth: usize) -> Result {
    /// What a copied element takes at least.
    const ELEMENT_BYTES: u64 = 64;
    ctx.charge_steps(1)?;
    ctx.charge_values(ELEMENT_BYTES)?;
    check_depth(depth)?;
    Ok(match value {
        Value::List(list) if !list.is_nil() => {
            let mut copy = Vec::with_capacity(list.len());
            for item in list.items() {
                copy.push(copy_at(ctx, item, depth + 1)?);
            }
            Value::List(List::typed(list.ty(), copy))
        }
        Value::Map(map) if !map.is_nil() => {
            let mut copy = Vec::with_capacity(map.len());
            for (key, item) in map.entries() {
                copy.push((key, copy_at(ctx, &item, depth + 1)?));
            }
            Value::Map(Map::from_entries(map.ty(), copy))
        }
        other => super::versions::deep_copied(other).unwrap_or_else(|| other.clone()),
    })
}
