//! `index`, `slice` and `len`.

use crate::exec::Slot;
use crate::value::{FuncError, List, Str, UintKind, Value};

/// `index x 1 "a"` is `x[1]["a"]`.
pub(super) fn index(args: &[Slot]) -> Result<Slot, FuncError> {
    let mut item = args[0].clone().decay();
    if !item.is_valid() {
        return Err("index of untyped nil".into());
    }
    for index in &args[1..] {
        let index = &index.value;
        if matches!(item.value, Value::Nil) {
            return Err("index of nil pointer".into());
        }
        item = match &item.value {
            Value::String(text) | Value::Bytes(text) => {
                let position = position(index, text.len())?;
                let byte = text.as_bytes().get(position).ok_or_else(|| {
                    let what = if matches!(item.value, Value::String(_)) {
                        "string"
                    } else {
                        "slice"
                    };
                    format!("reflect: {what} index out of range")
                })?;
                Slot::concrete(Value::Uint(UintKind::Uint8, (*byte).into()))
            }
            Value::List(list) => {
                let position = position(index, list.len())?;
                let element = list
                    .items()
                    .get(position)
                    .ok_or("reflect: slice index out of range")?;
                Slot::typed(element.clone(), list.elem())
            }
            Value::Map(map) => {
                let elem = map.elem();
                let key = match index {
                    Value::String(key) => key,
                    Value::Nil => return Err("value is nil; should be of type string".into()),
                    other => {
                        return Err(format!(
                            "value has type {}; should be string",
                            other.type_name()
                        )
                        .into());
                    }
                };
                Slot::typed(map.get(key).unwrap_or_else(|| Value::zero(elem)), elem)
            }
            other => return Err(format!("can't index item of type {}", pointee(other)).into()),
        };
    }
    Ok(item)
}

/// An index that is an integer and not beyond the end. (Just the end is let through here, as in Go.)
fn position(index: &Value, len: usize) -> Result<usize, FuncError> {
    let number = match index {
        Value::Int(_, number) => *number,
        Value::Uint(_, number) => number.cast_signed(),
        Value::Nil => return Err("cannot index slice/array with nil".into()),
        other => {
            return Err(format!("cannot index slice/array with type {}", other.type_name()).into());
        }
    };
    usize::try_from(number)
        .ok()
        .filter(|number| *number <= len)
        .ok_or_else(|| format!("index out of range: {number}").into())
}

/// `slice x 1 2` is `x[1:2]`. A list has no room behind its end here: its capacity is its length.
pub(super) fn slice(args: &[Slot]) -> Result<Slot, FuncError> {
    let item = &args[0].value;
    let indexes = &args[1..];
    if matches!(item, Value::Nil) {
        return Err("slice of untyped nil".into());
    }
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()).into());
    }
    let len = match item {
        Value::String(_) if indexes.len() == 3 => {
            return Err("cannot 3-index slice a string".into());
        }
        Value::String(text) | Value::Bytes(text) => text.len(),
        Value::List(list) => list.len(),
        other => return Err(format!("can't slice item of type {}", pointee(other)).into()),
    };
    let mut bounds = [0, len, len];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        // Unlike `index`, this does not look into interfaces.
        if index.interface {
            return Err("cannot index slice/array with type interface {}".into());
        }
        *bound = position(&index.value, len)?;
    }
    let [start, end, cap] = bounds;
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}").into());
    }
    if indexes.len() == 3 && end > cap {
        return Err(format!("invalid slice index: {end} > {cap}").into());
    }
    Ok(Slot::concrete(match item {
        Value::List(list) => Value::List(List::typed(list.ty(), list.items()[start..end].to_vec())),
        Value::Bytes(bytes) => Value::Bytes(Str::from(&bytes.as_bytes()[start..end])),
        Value::String(text) => Value::String(Str::from(&text.as_bytes()[start..end])),
        other => other.clone(),
    }))
}

/// The type of a value, or of what it points to.
fn pointee(value: &Value) -> String {
    let name = value.type_name();
    name.strip_prefix('*').map(str::to_owned).unwrap_or(name)
}

pub(super) fn len(item: &Slot) -> Result<Slot, FuncError> {
    let len = match &item.value {
        Value::Nil if item.interface => return Err("len of nil pointer".into()),
        Value::Nil => return Err("reflect: call of reflect.Value.Type on zero Value".into()),
        Value::String(text) | Value::Bytes(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        other => return Err(format!("len of type {}", pointee(other)).into()),
    };
    Ok(Slot::concrete(Value::int(
        i64::try_from(len).unwrap_or(i64::MAX),
    )))
}
