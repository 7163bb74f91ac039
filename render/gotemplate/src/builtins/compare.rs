//! `eq`, `lt` and their relatives.

use crate::exec::Slot;
use crate::format;
use crate::value::{FuncError, Value};

/// Bytes of a value that an error message shows at most.
const MAX_SHOWN_VALUE_BYTES: usize = 4 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Basic {
    Invalid,
    Bool,
    Complex,
    Int,
    Float,
    String,
    Uint,
}

const fn basic(value: &Value) -> Basic {
    match value {
        Value::Bool(_) => Basic::Bool,
        Value::Int(..) => Basic::Int,
        Value::Uint(..) => Basic::Uint,
        Value::Float(..) => Basic::Float,
        Value::Complex(_) => Basic::Complex,
        Value::String(_) => Basic::String,
        _ => Basic::Invalid,
    }
}

fn incompatible(left: &Value, right: &Value) -> FuncError {
    format!(
        "incompatible types for comparison: {} and {}",
        left.type_name(),
        right.type_name()
    )
    .into()
}

/// Whether the first equals any of the others. What comes after the first that is equal is not looked at.
pub(super) fn eq(first: &Slot, others: &[Slot]) -> Result<bool, FuncError> {
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        if equal(&first.value, &other.value)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The basic value under a defined type, for comparison.
fn underlying(value: &Value) -> Option<Value> {
    match value {
        Value::Object(object) => object.underlying(),
        _ => None,
    }
}

/// A comparison of what two values are underneath, if either is of a defined type.
fn compare_underlying<T>(
    left: &Value,
    right: &Value,
    compare: impl FnOnce(&Value, &Value) -> Result<T, FuncError>,
) -> Option<Result<T, FuncError>> {
    let (inner_left, inner_right) = (underlying(left), underlying(right));
    if inner_left.is_none() && inner_right.is_none() {
        return None;
    }
    let (inner_left, inner_right) = (
        inner_left.as_ref().unwrap_or(left),
        inner_right.as_ref().unwrap_or(right),
    );
    if basic(inner_left) != basic(inner_right) && !left.is_nil() && !right.is_nil() {
        return Some(Err(incompatible(left, right)));
    }
    Some(compare(inner_left, inner_right))
}

fn equal(left: &Value, right: &Value) -> Result<bool, FuncError> {
    if let Some(result) = compare_underlying(left, right, equal) {
        return result;
    }
    Ok(match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(_, left), Value::Int(_, right)) => left == right,
        (Value::Uint(_, left), Value::Uint(_, right)) => left == right,
        (Value::Int(_, int), Value::Uint(_, uint)) | (Value::Uint(_, uint), Value::Int(_, int)) => {
            u64::try_from(*int) == Ok(*uint)
        }
        (Value::Float(_, left), Value::Float(_, right)) => left == right,
        (Value::Complex(left), Value::Complex(right)) => left == right,
        (Value::String(left), Value::String(right)) => left == right,
        _ if basic(left) != basic(right) => {
            if !matches!(left, Value::Nil) && !matches!(right, Value::Nil) {
                return Err(incompatible(left, right));
            }
            false
        }
        _ => return equal_composite(left, right),
    })
}

/// Values that are not basic: nil, maps, slices, structs, pointers, functions.
fn equal_composite(left: &Value, right: &Value) -> Result<bool, FuncError> {
    let same_kind = left.kind() == right.kind();
    if !same_kind && !matches!(left, Value::Nil) && !matches!(right, Value::Nil) {
        return Err(format!(
            "non-comparable types {}: {}, {}: {}",
            shown(left, "%s"),
            left.type_name(),
            right.type_name(),
            shown(right, "%v")
        )
        .into());
    }
    if left.is_nil() || right.is_nil() {
        return Ok(left.is_nil() == right.is_nil());
    }
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => Ok(left.type_name() == right.type_name()
            && (std::rc::Rc::ptr_eq(left, right) || left.equals(&**right))),
        _ => Err(format!(
            "non-comparable type {}: {}",
            shown(right, "%s"),
            right.type_name()
        )
        .into()),
    }
}

fn shown(value: &Value, verb: &str) -> String {
    let text = format::sprintf(verb, std::slice::from_ref(value), MAX_SHOWN_VALUE_BYTES);
    text.map_or_else(
        |_| "(a large value)".to_owned(),
        |text| String::from_utf8_lossy(&text).into_owned(),
    )
}

pub(super) fn lt(left: &Slot, right: &Slot) -> Result<bool, FuncError> {
    less(&left.value, &right.value)
}

fn less(left: &Value, right: &Value) -> Result<bool, FuncError> {
    const INVALID: &str = "invalid type for comparison";
    if let Some(result) = compare_underlying(left, right, less) {
        return result;
    }
    if basic(left) == Basic::Invalid || basic(right) == Basic::Invalid {
        return Err(INVALID.into());
    }
    Ok(match (left, right) {
        (Value::Int(_, left), Value::Int(_, right)) => left < right,
        (Value::Uint(_, left), Value::Uint(_, right)) => left < right,
        (Value::Int(_, left), Value::Uint(_, right)) => i128::from(*left) < i128::from(*right),
        (Value::Uint(_, left), Value::Int(_, right)) => i128::from(*left) < i128::from(*right),
        (Value::Float(_, left), Value::Float(_, right)) => left < right,
        (Value::String(left), Value::String(right)) => left < right,
        _ if basic(left) == basic(right) => return Err(INVALID.into()),
        _ => return Err(incompatible(left, right)),
    })
}

pub(super) fn le(left: &Slot, right: &Slot) -> Result<bool, FuncError> {
    Ok(lt(left, right)? || equal(&left.value, &right.value)?)
}
