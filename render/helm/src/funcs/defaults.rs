//! Choices and types: `default`, `coalesce`, `ternary`, `kindOf` and the like.

use capstan_gotemplate::{Ctx, Function, Type, Value};

use super::value::{Result, any, bytes, deep_equal, give, is_empty};

const ANY: &[Type] = &[Type::Any];
const S_ANY: &[Type] = &[Type::String, Type::Any];
const BOOL: Type = Type::Bool;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::variadic("default", &[Type::Any, Type::Any], Type::Any, default),
    Function::new("empty", ANY, BOOL, |_, args| {
        Ok(Value::Bool(is_empty(any(args, 0))))
    }),
    Function::variadic("coalesce", ANY, Type::Any, |_, args| {
        Ok(args
            .iter()
            .find(|value| !is_empty(value))
            .cloned()
            .unwrap_or_default())
    }),
    Function::variadic("all", ANY, BOOL, |_, args| {
        Ok(Value::Bool(!args.iter().any(is_empty)))
    }),
    Function::variadic("any", ANY, BOOL, |_, args| {
        Ok(Value::Bool(args.iter().any(|value| !is_empty(value))))
    }),
    Function::new(
        "ternary",
        &[Type::Any, Type::Any, BOOL],
        Type::Any,
        |_, args| Ok(any(args, usize::from(!any(args, 2).truth())).clone()),
    ),
    Function::new("typeOf", ANY, Type::String, |_, args| {
        give(any(args, 0).type_name())
    }),
    Function::new("typeIs", S_ANY, BOOL, |_, args| {
        Ok(Value::Bool(
            any(args, 1).type_name().as_bytes() == bytes(args, 0),
        ))
    }),
    Function::new("typeIsLike", S_ANY, BOOL, type_is_like),
    Function::new("kindOf", ANY, Type::String, |_, args| {
        give(any(args, 0).kind().name())
    }),
    Function::new("kindIs", S_ANY, BOOL, |_, args| {
        Ok(Value::Bool(
            any(args, 1).kind().name().as_bytes() == bytes(args, 0),
        ))
    }),
    Function::new("deepEqual", &[Type::Any, Type::Any], BOOL, |ctx, args| {
        Ok(Value::Bool(deep_equal(ctx, any(args, 0), any(args, 1))?))
    }),
    Function::new("hello", &[], Type::String, |_, _| give("Hello!")),
];

fn default(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    Ok(args
        .get(1)
        .filter(|given| !is_empty(given))
        .unwrap_or(any(args, 0))
        .clone())
}

fn type_is_like(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let name = any(args, 1).type_name();
    let wanted = bytes(args, 0);
    Ok(Value::Bool(
        name.as_bytes() == wanted
            || name
                .strip_prefix('*')
                .is_some_and(|name| name.as_bytes() == wanted),
    ))
}
