//! Dictionaries: `dict`, `set`, `merge`, `dig` and the like. Maps are shared, so what one call changes, all see.

use capstan_gotemplate::{Ctx, Function, List, Map, Type, Value};

use super::value::{
    Result, any, bytes, check_depth, deep_copy, is_empty, list, map, string, strval,
};

const MAP_STRING: &[Type] = &[Type::MAP, Type::String];
const MAPS: &[Type] = &[Type::MAP, Type::MAP];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::variadic("dict", &[Type::Any], Type::MAP, dict),
    Function::new("get", MAP_STRING, Type::Any, get),
    Function::new("set", &[Type::MAP, Type::String, Type::Any], Type::MAP, set),
    Function::new("unset", MAP_STRING, Type::MAP, unset),
    Function::new("hasKey", MAP_STRING, Type::Bool, has_key),
    Function::variadic("pluck", &[Type::String, Type::MAP], Type::LIST, pluck),
    Function::variadic("keys", &[Type::MAP], Type::STRINGS, keys),
    Function::variadic("pick", MAP_STRING, Type::MAP, pick),
    Function::variadic("omit", MAP_STRING, Type::MAP, omit),
    Function::new("values", &[Type::MAP], Type::LIST, values),
    Function::variadic("merge", MAPS, Type::Any, merge),
    Function::variadic("mustMerge", MAPS, Type::Any, merge),
    Function::variadic("mergeOverwrite", MAPS, Type::Any, merge_overwrite),
    Function::variadic("mustMergeOverwrite", MAPS, Type::Any, merge_overwrite),
    Function::new("deepCopy", &[Type::Any], Type::Any, copy),
    Function::new("mustDeepCopy", &[Type::Any], Type::Any, copy),
    Function::variadic("dig", &[Type::Any], Type::Any, dig),
];

fn dict(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let map = Map::new();
    for pair in args.chunks(2) {
        let key = strval(ctx, &pair[0])?;
        map.insert(
            key,
            pair.get(1)
                .cloned()
                .unwrap_or_else(|| Value::static_string("")),
        );
    }
    Ok(map.into())
}

fn get(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    Ok(map(args, 0)
        .get(bytes(args, 1))
        .unwrap_or_else(|| Value::static_string("")))
}

fn set(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let map = map(args, 0);
    if map.is_nil() {
        return Err("assignment to entry in nil map".into());
    }
    map.insert(string(args, 1), any(args, 2).clone());
    Ok(map.into())
}

fn unset(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let map = map(args, 0);
    map.remove(bytes(args, 1));
    Ok(map.into())
}

fn has_key(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    Ok(Value::Bool(map(args, 0).contains(bytes(args, 1))))
}

fn pluck(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    list(
        (1..args.len())
            .filter_map(|index| map(args, index).get(bytes(args, 0)))
            .collect(),
    )
}

/// In Go the order is random; here it is sorted.
fn keys(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    Ok(List::strings((0..args.len()).flat_map(|index| map(args, index).keys())).into())
}

/// In Go the order is random; here it is that of the keys.
fn values(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    list(
        map(args, 0)
            .entries()
            .into_iter()
            .map(|(_, value)| value)
            .collect(),
    )
}

fn pick(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let map = map(args, 0);
    let picked = (1..args.len()).filter_map(|index| {
        map.get(bytes(args, index))
            .map(|value| (string(args, index), value))
    });
    Ok(picked.collect::<Map>().into())
}

fn omit(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let kept = map(args, 0)
        .entries()
        .into_iter()
        .filter(|(key, _)| (1..args.len()).all(|index| bytes(args, index) != key.as_bytes()));
    Ok(kept.collect::<Map>().into())
}

fn copy(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    if matches!(any(args, 0), Value::Nil) {
        return Err("reflect: call of reflect.Value.Type on zero Value".into());
    }
    deep_copy(ctx, any(args, 0))
}

fn merge(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    merge_all(ctx, args, false)
}

fn merge_overwrite(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    merge_all(ctx, args, true)
}

fn merge_all(ctx: &mut Ctx<'_>, args: &[Value], overwrite: bool) -> Result {
    let mut destination = map(args, 0);
    for index in 1..args.len() {
        let source = map(args, index);
        if destination.is_nil() && !source.is_nil() {
            destination = Map::new();
        }
        deep_merge(ctx, &destination, &source, overwrite, 0)?;
    }
    Ok(destination.into())
}

/// mergo's merge of maps: into the destination, sharing what the source has. Without `overwrite` the destination wins unless it is
/// empty; with it the source wins, with nil and zero values too. Maps on both sides are merged in place.
fn deep_merge(
    ctx: &mut Ctx<'_>,
    destination: &Map,
    source: &Map,
    overwrite: bool,
    depth: usize,
) -> Result<()> {
    check_depth(depth)?;
    if destination.is_nil() {
        return Ok(());
    }
    for (key, theirs) in source.entries() {
        ctx.charge_steps(1)?;
        if is_nil(&theirs) {
            if overwrite {
                destination.insert(key, theirs);
            }
            continue;
        }
        let ours = destination.get(&key);
        if let (Some(Value::Map(ours)), Value::Map(theirs)) = (&ours, &theirs) {
            deep_merge(ctx, ours, theirs, overwrite, depth + 1)?;
        }
        let list = matches!(theirs, Value::List(_) | Value::Bytes(_));
        if list && (overwrite || destination.is_empty()) {
            destination.insert(key.clone(), theirs.clone());
        }
        let ours_is_empty = ours
            .as_ref()
            .is_none_or(|ours| is_nil(ours) || is_empty(ours));
        let both_maps = matches!((&ours, &theirs), (Some(Value::Map(_)), Value::Map(_)));
        if !ours_is_empty && (list || both_maps) {
            continue;
        }
        if overwrite || ours_is_empty {
            destination.insert(key, theirs);
        }
    }
    Ok(())
}

fn is_nil(value: &Value) -> bool {
    matches!(value, Value::Nil)
}

fn dig(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let [path @ .., default, start] = args else {
        return Err("dig needs at least three arguments".into());
    };
    if path.is_empty() {
        return Err("dig needs at least three arguments".into());
    }
    let mut map = assert_map(start)?;
    let keys = path.iter().map(assert_string).collect::<Result<Vec<_>>>()?;
    for (index, key) in keys.iter().enumerate() {
        let Some(step) = map.get(key) else {
            return Ok(default.clone());
        };
        if index + 1 == keys.len() {
            return Ok(step);
        }
        map = assert_map(&step)?;
    }
    Ok(default.clone())
}

fn assert_map(value: &Value) -> Result<Map> {
    match value {
        Value::Map(map) if map.ty() == Type::MAP => Ok(map.clone()),
        other => Err(assertion(other, Type::MAP)),
    }
}

fn assert_string(value: &Value) -> Result<capstan_gotemplate::Str> {
    value
        .as_str()
        .cloned()
        .ok_or_else(|| assertion(value, Type::String))
}

/// Go's failed type assertion.
fn assertion(value: &Value, wanted: Type) -> capstan_gotemplate::FuncError {
    let found = value
        .ty()
        .map_or_else(|| "nil".to_owned(), |ty| ty.to_string());
    format!("interface conversion: interface {{}} is {found}, not {wanted}").into()
}
