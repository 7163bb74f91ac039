//! Strings: trimming, cutting, quoting, indenting, splitting.

use capstan_gotemplate::strconv::{decode_rune, push_rune, quote};
use capstan_gotemplate::{Ctx, Function, List, Map, Str, Type, Value};

use super::case;
use super::lists;
use super::value::{Result, any, bytes, give, int, strval, text};

const S: &[Type] = &[Type::String];
const S2: &[Type] = &[Type::String, Type::String];
const S3: &[Type] = &[Type::String, Type::String, Type::String];
const INT_S: &[Type] = &[Type::INT, Type::String];
const STRING: Type = Type::String;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("abbrev", INT_S, STRING, |_, args| {
        give(abbreviate(bytes(args, 1), 0, int(args, 0)))
    }),
    Function::new(
        "abbrevboth",
        &[Type::INT, Type::INT, STRING],
        STRING,
        abbrev_both,
    ),
    Function::new("trunc", INT_S, STRING, trunc),
    Function::new("trim", S, STRING, |_, args| {
        give(trim_space(bytes(args, 0)))
    }),
    Function::new("trimAll", S2, STRING, trim_all),
    Function::new("trimall", S2, STRING, trim_all),
    Function::new("trimSuffix", S2, STRING, |_, args| {
        let text = bytes(args, 1);
        give(text.strip_suffix(bytes(args, 0)).unwrap_or(text))
    }),
    Function::new("trimPrefix", S2, STRING, |_, args| {
        let text = bytes(args, 1);
        give(text.strip_prefix(bytes(args, 0)).unwrap_or(text))
    }),
    Function::new("upper", S, STRING, |_, args| {
        give(case::map_runes(bytes(args, 0), case::to_upper))
    }),
    Function::new("lower", S, STRING, |_, args| {
        give(case::map_runes(bytes(args, 0), case::to_lower))
    }),
    Function::new("title", S, STRING, |_, args| {
        give(case::title(bytes(args, 0)))
    }),
    Function::new("untitle", S, STRING, |_, args| {
        give(case::untitle(bytes(args, 0)))
    }),
    Function::new("swapcase", S, STRING, |_, args| {
        give(case::swap_case(bytes(args, 0)))
    }),
    Function::new("snakecase", S, STRING, |_, args| {
        give(case::separated(&text(args, 0), '_'))
    }),
    Function::new("kebabcase", S, STRING, |_, args| {
        give(case::separated(&text(args, 0), '-'))
    }),
    Function::new("camelcase", S, STRING, |_, args| {
        give(case::pascal(&text(args, 0)))
    }),
    Function::new("substr", &[Type::INT, Type::INT, STRING], STRING, substr),
    Function::new("repeat", INT_S, STRING, repeat),
    Function::new("nospace", S, STRING, |_, args| {
        give(no_space(bytes(args, 0)))
    }),
    Function::new("initials", S, STRING, |_, args| {
        give(initials(bytes(args, 0)))
    }),
    Function::new("wrap", INT_S, STRING, |ctx, args| {
        wrap(ctx, bytes(args, 1), int(args, 0), b"\n", false)
    }),
    Function::new(
        "wrapWith",
        &[Type::INT, STRING, STRING],
        STRING,
        |ctx, args| wrap(ctx, bytes(args, 2), int(args, 0), bytes(args, 1), true),
    ),
    Function::new("contains", S2, Type::Bool, |_, args| {
        Ok(Value::Bool(find(bytes(args, 1), bytes(args, 0)).is_some()))
    }),
    Function::new("hasPrefix", S2, Type::Bool, |_, args| {
        Ok(Value::Bool(bytes(args, 1).starts_with(bytes(args, 0))))
    }),
    Function::new("hasSuffix", S2, Type::Bool, |_, args| {
        Ok(Value::Bool(bytes(args, 1).ends_with(bytes(args, 0))))
    }),
    Function::variadic("quote", &[Type::Any], STRING, quote_all),
    Function::variadic("squote", &[Type::Any], STRING, squote),
    Function::variadic("cat", &[Type::Any], STRING, cat),
    Function::new("indent", INT_S, STRING, |ctx, args| {
        give(indent(ctx, int(args, 0), bytes(args, 1), false)?)
    }),
    Function::new("nindent", INT_S, STRING, |ctx, args| {
        give(indent(ctx, int(args, 0), bytes(args, 1), true)?)
    }),
    Function::new("replace", S3, STRING, |ctx, args| {
        give(replace(
            ctx,
            bytes(args, 2),
            bytes(args, 0),
            bytes(args, 1),
        )?)
    }),
    Function::new("plural", &[STRING, STRING, Type::INT], STRING, |_, args| {
        Ok(any(args, usize::from(int(args, 2) != 1)).clone())
    }),
    Function::new("toString", &[Type::Any], STRING, |ctx, args| {
        Ok(Value::String(strval(ctx, any(args, 0))?))
    }),
    Function::new("toStrings", &[Type::Any], Type::STRINGS, to_strings),
    Function::new("split", S2, Type::STRING_MAP, |_, args| {
        Ok(numbered(split(bytes(args, 1), bytes(args, 0), -1)))
    }),
    Function::new(
        "splitn",
        &[STRING, Type::INT, STRING],
        Type::STRING_MAP,
        |_, args| {
            Ok(numbered(split(
                bytes(args, 2),
                bytes(args, 0),
                int(args, 1),
            )))
        },
    ),
    Function::new("splitList", S2, Type::STRINGS, |_, args| {
        Ok(List::strings(split(bytes(args, 1), bytes(args, 0), -1)).into())
    }),
    Function::new("join", &[STRING, Type::Any], STRING, join),
];

/// Byte-wise search.
pub(super) fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    if what.is_empty() {
        return Some(0);
    }
    text.windows(what.len()).position(|window| window == what)
}

fn trim_space(text: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(text) {
        Ok(text) => text.trim().into(),
        Err(_) => text.trim_ascii().into(),
    }
}

/// Cuts the characters of a set off both ends.
fn trim_all(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let set = text(args, 0);
    let text = text(args, 1);
    give(text.trim_matches(|rune| set.contains(rune)))
}

fn trunc(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let text = bytes(args, 1);
    let count = int(args, 0);
    let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    give(match text.len() > size {
        true if count < 0 => &text[text.len() - size..],
        true => &text[..size],
        false => text,
    })
}

fn substr(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let (start, end, text) = (int(args, 0), int(args, 1), bytes(args, 2));
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let bad =
        |range: String| Err(format!("runtime error: slice bounds out of range [{range}").into());
    let at = |index: i64| usize::try_from(index).unwrap_or(0);
    if start < 0 {
        return match end {
            ..0 => bad(format!(":{end}]")),
            _ if end > length => bad(format!(":{end}] with length {length}")),
            _ => give(&text[..at(end)]),
        };
    }
    if end < 0 || end > length {
        return if start > length {
            bad(format!("{start}:{length}]"))
        } else {
            give(&text[at(start)..])
        };
    }
    if start > end {
        bad(format!("{start}:{end}]"))
    } else {
        give(&text[at(start)..at(end)])
    }
}

fn repeat(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let text = bytes(args, 1);
    let Ok(count) = usize::try_from(int(args, 0)) else {
        return Err("strings: negative Repeat count".into());
    };
    charge_repeat(ctx, text.len(), count)?;
    give(text.repeat(count))
}

/// What Go cannot hold fails in its words, what we do not hold in ours.
fn charge_repeat(ctx: &mut Ctx<'_>, length: usize, count: usize) -> Result<()> {
    /// Bytes that Go can address.
    const MAX_GO_BYTES: usize = 1 << 48;
    match length
        .checked_mul(count)
        .filter(|size| *size <= isize::MAX as usize)
    {
        None => Err("strings: Repeat output length overflow".into()),
        Some(size) if size > MAX_GO_BYTES => {
            Err("runtime error: makeslice: len out of range".into())
        }
        Some(size) => Ok(ctx.charge_values(size as u64)?),
    }
}

/// Go looks at bytes as if they were characters here, and where it removes a space it writes the others so.
fn no_space(text: &[u8]) -> Vec<u8> {
    if !text.iter().any(|byte| is_latin1_space(*byte)) {
        return text.to_vec();
    }
    let mut out = Vec::with_capacity(text.len());
    for byte in text.iter().filter(|byte| !is_latin1_space(**byte)) {
        push_rune(&mut out, char::from(*byte));
    }
    out
}

fn is_latin1_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ' | 0x85 | 0xA0)
}

/// The first byte of each word, as Go does it.
fn initials(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut after_gap = true;
    for byte in text {
        if is_latin1_space(*byte) {
            after_gap = true;
        } else if std::mem::take(&mut after_gap) {
            push_rune(&mut out, char::from(*byte));
        }
    }
    out
}

fn abbrev_both(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let (left, right, text) = (int(args, 0), int(args, 1), bytes(args, 2));
    if right < 4 || left > 0 && right < 7 {
        return give(text);
    }
    give(abbreviate(text, left, right))
}

/// Shortens to a width with `...` for what is left out, from an offset on.
fn abbreviate(text: &[u8], offset: i64, width: i64) -> Vec<u8> {
    const MARKER: &[u8] = b"...";
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    if width < 4 || length <= width {
        return text.to_vec();
    }
    let at = |index: i64| usize::try_from(index).unwrap_or(0).min(text.len());
    let mut offset = offset.min(length);
    if length - offset < width - 3 {
        offset = length - (width - 3);
    }
    if offset <= 4 {
        return [&text[..at(width - 3)], MARKER].concat();
    }
    if width < 7 {
        return Vec::new();
    }
    if offset + width - 3 < length {
        return [MARKER, &abbreviate_start(&text[at(offset)..], width - 3)].concat();
    }
    [MARKER, &text[at(length - (width - 3))..]].concat()
}

/// The start of a text; nothing where the width has no room for the marker.
fn abbreviate_start(text: &[u8], width: i64) -> Vec<u8> {
    if width < 4 {
        Vec::new()
    } else {
        abbreviate(text, 0, width)
    }
}

/// Breaks a text into lines at spaces; leading spaces of a line are dropped.
fn wrap(
    ctx: &mut Ctx<'_>,
    text: &[u8],
    width: i64,
    separator: &[u8],
    wrap_long_words: bool,
) -> Result {
    let separator = if separator.is_empty() {
        b"\n"
    } else {
        separator
    };
    let width = usize::try_from(width.max(1)).unwrap_or(usize::MAX);
    let lines = (text.len() / width) as u64 + 1;
    ctx.charge_values(lines.saturating_mul(separator.len() as u64))?;
    let mut out = Vec::with_capacity(text.len());
    let mut offset = 0;
    while text.len() - offset > width {
        if text[offset] == b' ' {
            offset += 1;
            continue;
        }
        let window = &text[offset..=offset + width];
        let (end, next) = match window.iter().rposition(|byte| *byte == b' ') {
            Some(space) => (offset + space, offset + space + 1),
            None if wrap_long_words => (offset + width, offset + width),
            None => match text[offset + width..].iter().position(|byte| *byte == b' ') {
                Some(space) => (offset + width + space, offset + width + space + 1),
                None => break,
            },
        };
        out.extend_from_slice(&text[offset..end]);
        out.extend_from_slice(separator);
        offset = next;
    }
    out.extend_from_slice(&text[offset..]);
    give(out)
}

fn quote_all(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let mut out = Vec::new();
    for value in args.iter().filter(|value| !matches!(value, Value::Nil)) {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(&quote(strval(ctx, value)?));
    }
    give(out)
}

fn squote(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let mut out = Vec::new();
    for value in args.iter().filter(|value| !matches!(value, Value::Nil)) {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.push(b'\'');
        out.extend_from_slice(ctx.sprint(std::slice::from_ref(value))?.as_bytes());
        out.push(b'\'');
    }
    give(out)
}

fn cat(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let mut out = Vec::new();
    for (index, value) in args
        .iter()
        .filter(|value| !matches!(value, Value::Nil))
        .enumerate()
    {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(ctx.sprint(std::slice::from_ref(value))?.as_bytes());
    }
    give(out)
}

/// Puts spaces before each line, empty ones included.
fn indent(ctx: &mut Ctx<'_>, spaces: i64, text: &[u8], leading_newline: bool) -> Result<Vec<u8>> {
    let Ok(spaces) = usize::try_from(spaces) else {
        return Err("strings: negative Repeat count".into());
    };
    charge_repeat(ctx, 1, spaces)?;
    let lines = 1 + text.iter().filter(|byte| **byte == b'\n').count();
    ctx.charge_values((lines as u64).saturating_mul(spaces as u64))?;
    let mut out = Vec::with_capacity(text.len() + lines * spaces + 1);
    if leading_newline {
        out.push(b'\n');
    }
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if index > 0 {
            out.push(b'\n');
        }
        out.resize(out.len() + spaces, b' ');
        out.extend_from_slice(line);
    }
    Ok(out)
}

/// `strings.ReplaceAll`; an empty text to replace stands between all characters.
fn replace(ctx: &mut Ctx<'_>, text: &[u8], old: &[u8], new: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        let next = if old.is_empty() {
            (!rest.is_empty()).then_some(0)
        } else {
            find(rest, old)
        };
        let Some(offset) = next else { break };
        ctx.charge_values(new.len() as u64)?;
        out.extend_from_slice(&rest[..offset]);
        out.extend_from_slice(new);
        let kept = if old.is_empty() {
            decode_rune(rest).1
        } else {
            0
        };
        out.extend_from_slice(&rest[..kept]);
        rest = &rest[offset + old.len() + kept..];
    }
    out.extend_from_slice(rest);
    if old.is_empty() {
        out.extend_from_slice(new);
    }
    Ok(out)
}

fn to_strings(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    match any(args, 0) {
        Value::Nil => Ok(List::typed(Type::STRINGS, Vec::new()).into()),
        value => Ok(List::strings(lists::strings(ctx, value)?).into()),
    }
}

fn join(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let strings = lists::strings(ctx, any(args, 1))?;
    let separator = bytes(args, 0);
    let size: usize = strings
        .iter()
        .map(|text| text.len().saturating_add(separator.len()))
        .sum();
    ctx.charge_values(size as u64)?;
    let texts: Vec<&[u8]> = strings.iter().map(Str::as_bytes).collect();
    give(texts.join(separator))
}

/// `strings.SplitN`: at most `count` parts, all where it is negative, none where it is 0.
pub(super) fn split(text: &[u8], separator: &[u8], count: i64) -> Vec<Str> {
    let limit = if count < 0 {
        usize::MAX
    } else {
        usize::try_from(count).unwrap_or(usize::MAX)
    };
    let mut parts = Vec::new();
    if limit == 0 {
        return parts;
    }
    let mut rest = text;
    while parts.len() + 1 < limit {
        let (end, next) = if separator.is_empty() {
            let width = decode_rune(rest).1;
            if width >= rest.len() {
                break;
            }
            (width, width)
        } else {
            match find(rest, separator) {
                Some(offset) => (offset, offset + separator.len()),
                None => break,
            }
        };
        parts.push(Str::from(&rest[..end]));
        rest = &rest[next..];
    }
    if !(separator.is_empty() && text.is_empty()) {
        parts.push(Str::from(rest));
    }
    parts
}

/// `{"_0": …, "_1": …}`
fn numbered(parts: Vec<Str>) -> Value {
    let entries = parts
        .into_iter()
        .enumerate()
        .map(|(index, part)| (Str::from(format!("_{index}")), Value::String(part)));
    Map::from_entries(Type::STRING_MAP, entries).into()
}
