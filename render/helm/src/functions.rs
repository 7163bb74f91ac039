//! The functions that need the engine itself: `include`, `tpl`, `required`, `fail` and `lookup`.

use std::borrow::Cow;
use std::sync::LazyLock;

use capstan_gotemplate::{Ctx, FuncError, Function, Map, Str, Type, Value};

use regex::bytes::Regex;

use crate::context::{self, Lookup};
use crate::error::quoted;
use crate::tree::deep_copy;

/// What Helm puts around messages of `required` and `fail`, to find them again in the error.
pub(crate) const WARN_START: &str = "HELM_ERR_START";
/// The end of [`WARN_START`].
pub(crate) const WARN_END: &str = "HELM_ERR_END";
/// The name of the set that all templates of a release are in; texts of `tpl` go by it.
pub(crate) const SET_NAME: &str = "gotpl";
/// What Go prints for a value that is not there; Helm takes it out of what templates give.
static NO_VALUES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("<no value>").expect("the pattern is fixed"));

/// All of them.
pub(crate) fn functions() -> [Function; 5] {
    [
        Function::new("include", &[Type::String, Type::Any], Type::String, include),
        Function::new("tpl", &[Type::String, Type::Any], Type::String, tpl),
        Function::new("required", &[Type::String, Type::Any], Type::Any, required),
        Function::new("fail", &[Type::String], Type::String, |_, args| {
            Err(warn(&text(args, 0)))
        }),
        Function::new(
            "lookup",
            &[Type::String, Type::String, Type::String, Type::String],
            Type::MAP,
            lookup,
        ),
    ]
}

fn text(args: &[Value], index: usize) -> Str {
    args.get(index)
        .and_then(Value::as_str)
        .cloned()
        .unwrap_or_default()
}

fn argument(args: &[Value], index: usize) -> Value {
    args.get(index).cloned().unwrap_or_default()
}

fn warn(message: &Str) -> FuncError {
    format!("{WARN_START}{message}{WARN_END}").into()
}

fn include(ctx: &mut Ctx<'_>, args: &[Value]) -> Result<Value, FuncError> {
    /// How often Helm lets a template be inside itself.
    const MAX_RECURSION: u32 = 1000;
    let name = text(args, 0);
    let count = context::of(ctx)?.including.entry(name.clone()).or_default();
    if *count > MAX_RECURSION {
        return Err(format!(
            "rendering template has a nested reference name: {name}: unable to execute template"
        )
        .into());
    }
    *count += 1;
    let result = if ctx.templates().contains(&name) {
        ctx.execute(&name, &argument(args, 1))
            .map_err(FuncError::from)
    } else {
        Err(format!(
            "template: no template {} associated with template {SET_NAME:?}",
            quoted(&name.to_str())
        )
        .into())
    };
    if let Some(count) = context::of(ctx)?.including.get_mut(&name) {
        *count = count.saturating_sub(1);
    }
    result.map(Value::String)
}

fn tpl(ctx: &mut Ctx<'_>, args: &[Value]) -> Result<Value, FuncError> {
    let source = text(args, 0);
    let quoted = || {
        String::from_utf8_lossy(&capstan_gotemplate::strconv::quote(source.as_bytes())).into_owned()
    };
    match ctx.execute_text(SET_NAME, &source, &argument(args, 1)) {
        Ok(text) => Ok(Value::String(without_no_value(text))),
        Err(FuncError::Message(message)) => {
            Err(format!("cannot parse template {}: {message}", quoted()).into())
        }
        Err(FuncError::Exec(error)) => Err(match error.limit() {
            Some(limit) => FuncError::Limit(limit),
            None => format!(
                "error during tpl function execution for {}: {error}",
                quoted()
            )
            .into(),
        }),
        Err(other) => Err(other),
    }
}

/// The text without `<no value>`, literal ones included.
pub(crate) fn without_no_value(text: Str) -> Str {
    match NO_VALUES.replace_all(text.as_bytes(), &b""[..]) {
        Cow::Borrowed(_) => text.clone(),
        Cow::Owned(without) => Str::from(without),
    }
}

/// Only nil and the empty string are missing; 0 and false are there.
fn required(_: &mut Ctx<'_>, args: &[Value]) -> Result<Value, FuncError> {
    let value = argument(args, 1);
    let missing = match &value {
        Value::Nil => true,
        Value::String(text) => text.is_empty(),
        _ => false,
    };
    if missing {
        Err(warn(&text(args, 0)))
    } else {
        Ok(value)
    }
}

/// What is not known is noted, and empty for now.
fn lookup(ctx: &mut Ctx<'_>, args: &[Value]) -> Result<Value, FuncError> {
    let part = |index: usize| text(args, index).to_string();
    let lookup = Lookup {
        api_version: part(0),
        kind: part(1),
        namespace: part(2),
        name: part(3),
    };
    let context = context::of(ctx)?;
    let secret = lookup.kind == "Secret";
    context.asked.insert(lookup.clone());
    // Each call gives a copy of its own: templates may change what they get.
    let answer = match context.lookups.entry(lookup).or_default() {
        Some(answer) => deep_copy(answer),
        None => Value::Map(Map::new()),
    };
    // That there is no Secret is none.
    if secret && answer.as_map().is_some_and(|object| !object.is_empty()) {
        context.mark_sensitive();
    }
    Ok(answer)
}
