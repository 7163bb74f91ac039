//! Regular expressions with Go's syntax. Without `must` a bad pattern fails the template too, except in `regexMatch`.

use std::borrow::Cow;
use std::sync::Arc;

use capstan_gotemplate::strconv::{is_digit, is_letter};
use capstan_gotemplate::{Ctx, Function, List, Str, Type, Value};
use regex::{NoExpand, Regex};

use super::value::{Result, bytes, give, int, text};
use crate::regexp::{self, RegexpError};

const S: &[Type] = &[Type::String];
const S2: &[Type] = &[Type::String, Type::String];
const S2_INT: &[Type] = &[Type::String, Type::String, Type::INT];
const S3: &[Type] = &[Type::String, Type::String, Type::String];
const STRING: Type = Type::String;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("regexMatch", S2, Type::Bool, |_, args| {
        Ok(Value::Bool(
            compiled(args).is_ok_and(|regex| regex.is_match(&text(args, 1))),
        ))
    }),
    Function::new("mustRegexMatch", S2, Type::Bool, |_, args| {
        Ok(Value::Bool(returned(args)?.is_match(&text(args, 1))))
    }),
    Function::new("regexFindAll", S2_INT, Type::STRINGS, |_, args| {
        Ok(find_all(&*panicking(args)?, args))
    }),
    Function::new("mustRegexFindAll", S2_INT, Type::STRINGS, |_, args| {
        Ok(find_all(&*returned(args)?, args))
    }),
    Function::new("regexFind", S2, STRING, |_, args| {
        find(&*panicking(args)?, args)
    }),
    Function::new("mustRegexFind", S2, STRING, |_, args| {
        find(&*returned(args)?, args)
    }),
    Function::new("regexReplaceAll", S3, STRING, |ctx, args| {
        replace(ctx, &*panicking(args)?, args, true)
    }),
    Function::new("mustRegexReplaceAll", S3, STRING, |ctx, args| {
        replace(ctx, &*returned(args)?, args, true)
    }),
    Function::new("regexReplaceAllLiteral", S3, STRING, |ctx, args| {
        replace(ctx, &*panicking(args)?, args, false)
    }),
    Function::new("mustRegexReplaceAllLiteral", S3, STRING, |ctx, args| {
        replace(ctx, &*returned(args)?, args, false)
    }),
    Function::new("regexSplit", S2_INT, Type::STRINGS, |_, args| {
        Ok(split(&*panicking(args)?, args))
    }),
    Function::new("mustRegexSplit", S2_INT, Type::STRINGS, |_, args| {
        Ok(split(&*returned(args)?, args))
    }),
    Function::new("regexQuoteMeta", S, STRING, |_, args| {
        give(quote_meta(&text(args, 0)))
    }),
];

fn compiled(args: &[Value]) -> std::result::Result<Arc<Regex>, RegexpError> {
    match std::str::from_utf8(bytes(args, 0)) {
        Ok(pattern) => regexp::compile(pattern),
        Err(_) => Err(RegexpError::invalid_utf8(&text(args, 0))),
    }
}

/// `regexp.Compile`
fn returned(args: &[Value]) -> Result<Arc<Regex>> {
    compiled(args).map_err(|error| error.to_string().into())
}

/// `regexp.MustCompile`, whose panic has other words.
fn panicking(args: &[Value]) -> Result<Arc<Regex>> {
    compiled(args).map_err(|error| {
        let pattern = go_quoted(bytes(args, 0));
        format!("regexp: Compile({pattern}): {error}").into()
    })
}

/// In back quotes where that is possible, as Go shows patterns.
fn go_quoted(pattern: &[u8]) -> String {
    use capstan_gotemplate::strconv::{can_backquote, quote};
    if can_backquote(pattern) {
        format!("`{}`", String::from_utf8_lossy(pattern))
    } else {
        String::from_utf8_lossy(&quote(pattern)).into_owned()
    }
}

fn limit(args: &[Value]) -> usize {
    usize::try_from(int(args, 2)).unwrap_or(usize::MAX)
}

fn find_all(regex: &Regex, args: &[Value]) -> Value {
    let text = text(args, 1);
    let found: Vec<Str> = regex
        .find_iter(&text)
        .take(limit(args))
        .map(|found| Str::from(found.as_str()))
        .collect();
    if found.is_empty() {
        List::nil(Type::STRINGS).into()
    } else {
        List::strings(found).into()
    }
}

fn find(regex: &Regex, args: &[Value]) -> Result {
    let text = text(args, 1);
    give(regex.find(&text).map_or("", |found| found.as_str()))
}

fn replace(ctx: &mut Ctx<'_>, regex: &Regex, args: &[Value], expand: bool) -> Result {
    let (text, replacement) = (text(args, 1), text(args, 2));
    let matches = regex.find_iter(&text).count() as u64;
    // What groups put in is part of the text, so this bounds it.
    let growth = if expand && replacement.contains('$') {
        replacement.len() + text.len()
    } else {
        replacement.len()
    };
    if matches.saturating_mul(growth as u64) > ctx.values_left() as u64 {
        ctx.charge_values(matches.saturating_mul(growth as u64))?;
    }
    if expand {
        give(regex.replace_all(&text, expandable(&replacement).as_ref()))
    } else {
        give(regex.replace_all(&text, NoExpand(&replacement)))
    }
}

/// The replacement for the other engine: to Go a name after `$` is any letters, so that one with other than ASCII letters names no group,
/// and gives nothing.
fn expandable(replacement: &str) -> Cow<'_, str> {
    if replacement.is_ascii() {
        return replacement.into();
    }
    let is_word = |c: char| c == '_' || is_letter(c) || is_digit(c);
    let mut out = String::new();
    let mut rest = replacement;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let name_end = after.find(|c| !is_word(c)).unwrap_or(after.len());
        let (name, behind) = after.split_at(name_end);
        if let Some(doubled) = after.strip_prefix('$') {
            out.push_str("$$");
            rest = doubled;
        } else if name.is_ascii() {
            out.push('$');
            rest = after;
        } else {
            rest = behind;
        }
    }
    out.push_str(rest);
    out.into()
}

fn split(regex: &Regex, args: &[Value]) -> Value {
    let text = text(args, 1);
    let count = int(args, 2);
    if count == 0 {
        return List::nil(Type::STRINGS).into();
    }
    if !regex.as_str().is_empty() && text.is_empty() {
        return List::strings([""]).into();
    }
    let limit = limit(args);
    let mut parts: Vec<Str> = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in regex.find_iter(&text).take(limit) {
        if parts.len() + 1 == limit {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(Str::from(&text[begin..end]));
        }
        begin = found.end();
    }
    if end != text.len() {
        parts.push(Str::from(&text[begin..]));
    }
    List::strings(parts).into()
}

fn quote_meta(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for rune in text.chars() {
        if r"\.+*?()|[]{}^$".contains(rune) {
            out.push('\\');
        }
        out.push(rune);
    }
    out
}
