//! Go's own template functions.

mod compare;
mod escape;
mod index;

pub use escape::{html_escape, js_escape, query_escape};

use crate::exec::{Ctx, Slot};
use crate::format;
use crate::limits::LimitError;
use crate::value::{FuncError, Function, Str, Type, Value};

/// One of Go's own functions. They see whether an argument is an interface, which other functions do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builtin {
    And,
    Call,
    Eq,
    Ge,
    Gt,
    Html,
    Index,
    Js,
    Le,
    Len,
    Lt,
    Ne,
    Not,
    Or,
    Print,
    Printf,
    Println,
    Slice,
    UrlQuery,
}

/// Finds one by name.
pub(crate) fn find(name: &str) -> Option<Function> {
    FUNCTIONS
        .iter()
        .find(|function| function.name == name)
        .copied()
}

const REFLECT: &[Type] = &[Type::Reflect];
const REFLECT_2: &[Type] = &[Type::Reflect, Type::Reflect];
const ANY: &[Type] = &[Type::Any];

static FUNCTIONS: [Function; 19] = [
    Function::builtin("and", REFLECT_2, true, Type::Reflect, Builtin::And),
    Function::builtin("call", REFLECT_2, true, Type::Reflect, Builtin::Call),
    Function::builtin("eq", REFLECT_2, true, Type::Bool, Builtin::Eq),
    Function::builtin("ge", REFLECT_2, false, Type::Bool, Builtin::Ge),
    Function::builtin("gt", REFLECT_2, false, Type::Bool, Builtin::Gt),
    Function::builtin("html", ANY, true, Type::String, Builtin::Html),
    Function::builtin("index", REFLECT_2, true, Type::Reflect, Builtin::Index),
    Function::builtin("js", ANY, true, Type::String, Builtin::Js),
    Function::builtin("le", REFLECT_2, false, Type::Bool, Builtin::Le),
    Function::builtin("len", REFLECT, false, Type::INT, Builtin::Len),
    Function::builtin("lt", REFLECT_2, false, Type::Bool, Builtin::Lt),
    Function::builtin("ne", REFLECT_2, false, Type::Bool, Builtin::Ne),
    Function::builtin("not", REFLECT, false, Type::Bool, Builtin::Not),
    Function::builtin("or", REFLECT_2, true, Type::Reflect, Builtin::Or),
    Function::builtin("print", ANY, true, Type::String, Builtin::Print),
    Function::builtin(
        "printf",
        &[Type::String, Type::Any],
        true,
        Type::String,
        Builtin::Printf,
    ),
    Function::builtin("println", ANY, true, Type::String, Builtin::Println),
    Function::builtin("slice", REFLECT_2, true, Type::Reflect, Builtin::Slice),
    Function::builtin("urlquery", ANY, true, Type::String, Builtin::UrlQuery),
];

/// Calls one. `and`, `or` and `call` are the evaluator's own business, except through `call` itself.
pub(crate) fn call(builtin: Builtin, ctx: &mut Ctx<'_>, args: &[Slot]) -> Result<Slot, FuncError> {
    let bool_slot = |yes: bool| Ok(Slot::concrete(Value::Bool(yes)));
    match builtin {
        Builtin::And | Builtin::Or => {
            let wanted = builtin == Builtin::Or;
            Ok(args
                .iter()
                .find(|slot| slot.value.truth() == wanted)
                .or(args.last())
                .cloned()
                .unwrap_or(Slot::INVALID))
        }
        Builtin::Call => Err("call of call".into()),
        Builtin::Eq => bool_slot(compare::eq(&args[0], &args[1..])?),
        Builtin::Ne => bool_slot(!compare::eq(&args[0], &args[1..])?),
        Builtin::Lt => bool_slot(compare::lt(&args[0], &args[1])?),
        Builtin::Le => bool_slot(compare::le(&args[0], &args[1])?),
        Builtin::Gt => bool_slot(!compare::le(&args[0], &args[1])?),
        Builtin::Ge => bool_slot(!compare::lt(&args[0], &args[1])?),
        Builtin::Not => bool_slot(!args[0].value.truth()),
        Builtin::Index => index::index(args),
        Builtin::Len => index::len(&args[0]),
        Builtin::Slice => index::slice(args),
        Builtin::Print => text(ctx, args, format::sprint),
        Builtin::Println => text(ctx, args, format::sprintln),
        Builtin::Printf => {
            let format = args[0].value.as_str().cloned().unwrap_or_default();
            text(ctx, &args[1..], |args, max| {
                format::sprintf(&format, args, max)
            })
        }
        Builtin::Html => escaped(ctx, args, html_escape),
        Builtin::Js => escaped(ctx, args, js_escape),
        Builtin::UrlQuery => escaped(ctx, args, query_escape),
    }
}

fn text(
    ctx: &mut Ctx<'_>,
    args: &[Slot],
    print: impl FnOnce(&[Value], usize) -> Result<Vec<u8>, LimitError>,
) -> Result<Slot, FuncError> {
    let values: Vec<Value> = args.iter().map(|slot| slot.value.clone()).collect();
    let text = print(&values, ctx.values_left()).map_err(|error| ctx.value_error(error))?;
    ctx.charge_values(text.len() as u64)?;
    Ok(Slot::concrete(Value::String(Str::from(text))))
}

/// The printed arguments, escaped. A nil argument prints `<no value>` here.
fn escaped(
    ctx: &mut Ctx<'_>,
    args: &[Slot],
    escape: fn(&[u8]) -> Vec<u8>,
) -> Result<Slot, FuncError> {
    let shown = |slot: &Slot| match &slot.value {
        Value::Nil => Value::static_string("<no value>"),
        value => value.clone(),
    };
    let values: Vec<Value> = args.iter().map(shown).collect();
    let printed =
        format::sprint(&values, ctx.values_left()).map_err(|error| ctx.value_error(error))?;
    let text = escape(&printed);
    ctx.charge_values(text.len() as u64)?;
    Ok(Slot::concrete(Value::String(Str::from(text))))
}

#[cfg(test)]
mod tests;
