//! Lists: `list`, `append`, `first`, `uniq`, `slice` and the like.

use capstan_gotemplate::{Ctx, Function, List, Type, Value};

use super::value::{
    NIL_DEREFERENCE, Result, any, deep_equal, int, is_empty, items, list, strval, to_int64,
};

const ANY: &[Type] = &[Type::Any];
const ANY_2: &[Type] = &[Type::Any, Type::Any];
const INT_ANY: &[Type] = &[Type::INT, Type::Any];
/// `[][]interface {}`
const LISTS: Type = Type::Slice(&Type::LIST);

pub(super) const FUNCTIONS: &[Function] = &[
    Function::variadic("list", ANY, Type::LIST, make),
    Function::variadic("tuple", ANY, Type::LIST, make),
    Function::new("append", ANY_2, Type::LIST, push),
    Function::new("push", ANY_2, Type::LIST, push),
    Function::new("mustAppend", ANY_2, Type::LIST, push),
    Function::new("mustPush", ANY_2, Type::LIST, push),
    Function::new("prepend", ANY_2, Type::LIST, prepend),
    Function::new("mustPrepend", ANY_2, Type::LIST, prepend),
    Function::new("first", ANY, Type::Any, first),
    Function::new("mustFirst", ANY, Type::Any, first),
    Function::new("rest", ANY, Type::LIST, rest),
    Function::new("mustRest", ANY, Type::LIST, rest),
    Function::new("last", ANY, Type::Any, last),
    Function::new("mustLast", ANY, Type::Any, last),
    Function::new("initial", ANY, Type::LIST, initial),
    Function::new("mustInitial", ANY, Type::LIST, initial),
    Function::new("reverse", ANY, Type::LIST, reverse),
    Function::new("mustReverse", ANY, Type::LIST, reverse),
    Function::new("compact", ANY, Type::LIST, compact),
    Function::new("mustCompact", ANY, Type::LIST, compact),
    Function::new("uniq", ANY, Type::LIST, uniq),
    Function::new("mustUniq", ANY, Type::LIST, uniq),
    Function::variadic("without", ANY_2, Type::LIST, without),
    Function::variadic("mustWithout", ANY_2, Type::LIST, without),
    Function::new("has", ANY_2, Type::Bool, has),
    Function::new("mustHas", ANY_2, Type::Bool, has),
    Function::variadic("slice", ANY_2, Type::Any, slice),
    Function::variadic("mustSlice", ANY_2, Type::Any, slice),
    Function::variadic("concat", ANY, Type::Any, concat),
    Function::new("chunk", INT_ANY, LISTS, chunk),
    Function::new("mustChunk", INT_ANY, LISTS, chunk),
    Function::new("sortAlpha", ANY, Type::STRINGS, sort_alpha),
];

/// The elements, or Go's complaint; `what` is completed by the kind that was given.
fn elements<'v>(value: &'v Value, what: &str) -> Result<std::borrow::Cow<'v, [Value]>> {
    match items(value) {
        Some(items) => Ok(items),
        None if matches!(value, Value::Nil) => Err(NIL_DEREFERENCE.into()),
        None => Err(format!("{what} {}", value.kind().name()).into()),
    }
}

fn make(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    list(args.to_vec())
}

fn push(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let mut items = elements(any(args, 0), "Cannot push on type")?.into_owned();
    items.push(any(args, 1).clone());
    list(items)
}

fn prepend(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let items = elements(any(args, 0), "Cannot prepend on type")?;
    list(
        std::iter::once(any(args, 1))
            .chain(items.iter())
            .cloned()
            .collect(),
    )
}

fn first(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let items = elements(any(args, 0), "Cannot find first on type")?;
    Ok(items.first().cloned().unwrap_or_default())
}

fn last(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let items = elements(any(args, 0), "Cannot find last on type")?;
    Ok(items.last().cloned().unwrap_or_default())
}

fn rest(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let items = elements(any(args, 0), "Cannot find rest on type")?;
    match items.split_first() {
        Some((_, rest)) => list(rest.to_vec()),
        None => Ok(List::nil(Type::LIST).into()),
    }
}

fn initial(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let items = elements(any(args, 0), "Cannot find initial on type")?;
    match items.split_last() {
        Some((_, rest)) => list(rest.to_vec()),
        None => Ok(List::nil(Type::LIST).into()),
    }
}

fn reverse(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let items = elements(any(args, 0), "Cannot find reverse on type")?;
    list(items.iter().rev().cloned().collect())
}

fn compact(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let items = elements(any(args, 0), "Cannot compact on type")?;
    list(
        items
            .iter()
            .filter(|item| !is_empty(item))
            .cloned()
            .collect(),
    )
}

fn contains(ctx: &mut Ctx<'_>, items: &[Value], wanted: &Value) -> Result<bool> {
    for item in items {
        if deep_equal(ctx, wanted, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn uniq(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let items = elements(any(args, 0), "Cannot find uniq on type")?;
    let mut unique: Vec<Value> = Vec::new();
    for item in items.iter() {
        if !contains(ctx, &unique, item)? {
            unique.push(item.clone());
        }
    }
    list(unique)
}

fn without(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let items = elements(any(args, 0), "Cannot find without on type")?;
    let omitted = args.get(1..).unwrap_or_default();
    let mut kept = Vec::new();
    for item in items.iter() {
        if !contains(ctx, omitted, item)? {
            kept.push(item.clone());
        }
    }
    list(kept)
}

fn has(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    if matches!(any(args, 1), Value::Nil) {
        return Ok(Value::Bool(false));
    }
    let items = elements(any(args, 1), "Cannot find has on type")?;
    Ok(Value::Bool(contains(ctx, &items, any(args, 0))?))
}

fn slice(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let whole = any(args, 0);
    let items = elements(whole, "list should be type of slice or array but")?;
    if items.is_empty() {
        return Ok(Value::Nil);
    }
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let start = args.get(1).map_or(0, to_int64);
    let end = args.get(2).map_or(length, to_int64);
    if start < 0 || end < start || end > length {
        return Err("reflect.Value.Slice: slice index out of bounds".into());
    }
    let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
    Ok(match whole {
        Value::Bytes(bytes) => Value::Bytes(bytes.as_bytes()[range].into()),
        Value::List(list) => List::typed(list.ty(), items[range].to_vec()).into(),
        other => other.clone(),
    })
}

fn concat(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let mut all = Vec::new();
    for arg in args {
        let Some(items) = items(arg) else {
            if matches!(arg, Value::Nil) {
                return Err(NIL_DEREFERENCE.into());
            }
            return Err(format!("Cannot concat type {} as list", arg.kind().name()).into());
        };
        ctx.charge_values(size_of_val(&*items) as u64)?;
        all.extend_from_slice(&items);
    }
    if all.is_empty() {
        Ok(List::nil(Type::LIST).into())
    } else {
        list(all)
    }
}

fn chunk(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let items = elements(any(args, 1), "Cannot chunk type")?;
    let most = int(args, 0);
    let size = match (most, items.len()) {
        (1.., _) => usize::try_from(most).unwrap_or(usize::MAX),
        // Sprig divides to find how many there are: with a negative size one of a single element, or none.
        (..=-2, 1) => 1,
        (..=-1, count @ 2..) if (count - 1) as u64 <= most.unsigned_abs() => {
            return Ok(List::typed(LISTS, Vec::new()).into());
        }
        _ => return Err("runtime error: makeslice: len out of range".into()),
    };
    let chunks = items
        .chunks(size)
        .map(|chunk| Value::list(chunk.to_vec()))
        .collect();
    Ok(List::typed(LISTS, chunks).into())
}

/// Sprig's `strslice`: the elements as strings, without nil; what is no list is a list of one.
pub(super) fn strings(ctx: &mut Ctx<'_>, value: &Value) -> Result<Vec<capstan_gotemplate::Str>> {
    let one = std::slice::from_ref(value);
    let items = items(value).unwrap_or(std::borrow::Cow::Borrowed(one));
    let mut strings = Vec::with_capacity(items.len());
    for item in items.iter().filter(|item| !matches!(item, Value::Nil)) {
        strings.push(strval(ctx, item)?);
    }
    Ok(strings)
}

fn sort_alpha(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let value = any(args, 0);
    let mut sorted = match value {
        Value::Nil => vec![strval(ctx, value)?],
        _ => strings(ctx, value)?,
    };
    sorted.sort();
    Ok(List::strings(sorted).into())
}
