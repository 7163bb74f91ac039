//! The operators.

use memchr::memmem::Finder;

use crate::error::Error;
use crate::glob::{self, Steps, Stop};
use crate::limits::{MAX_PATTERN_STEPS, MAX_PATTERN_VALUE_BYTES, MAX_RESULT_BYTES};

pub(crate) fn apply(
    operator: &str,
    value: &[u8],
    arguments: &[Vec<u8>],
    steps: &mut Steps,
) -> Result<Vec<u8>, Error> {
    Ok(match (operator, arguments) {
        ("#", []) => value.len().to_string().into_bytes(),
        ("#", [pattern, ..]) => without_prefix(value, pattern, Length::Shortest, steps)?,
        ("##", [pattern, ..]) => without_prefix(value, pattern, Length::Longest, steps)?,
        ("%", [pattern, ..]) => without_suffix(value, pattern, Length::Shortest, steps)?,
        ("%%", [pattern, ..]) => without_suffix(value, pattern, Length::Longest, steps)?,
        (",", _) => first(value, lower),
        (",,", _) => all(value, lower),
        ("^", _) => first(value, upper),
        ("^^", _) => all(value, upper),
        (":", [offset, rest @ ..]) => {
            substring(value, offset, rest.first().map(Vec::as_slice)).to_vec()
        }
        ("/", [from, rest @ ..]) => {
            replace(value, from, rest.first().map_or(&[], Vec::as_slice), 1)?
        }
        ("//", [from, rest @ ..]) => replace(
            value,
            from,
            rest.first().map_or(&[], Vec::as_slice),
            usize::MAX,
        )?,
        ("/#", [from, to]) if value.starts_with(from) => replace(value, from, to, 1)?,
        ("/%", [from, to]) if value.ends_with(from) => {
            [&value[..value.len() - from.len()], to].concat()
        }
        ("/#" | "/%", _) => value.to_vec(),
        // All the rest are defaults, also `:+` and `:?`, and ",^", which Flux does not know.
        _ if value.is_empty() => arguments.concat(),
        _ => value.to_vec(),
    })
}

fn lower(c: char) -> char {
    // Go maps one character to one.
    c.to_lowercase().next().unwrap_or(c)
}

fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => upper,
        _ => c,
    }
}

fn all(value: &[u8], map: fn(char) -> char) -> Vec<u8> {
    String::from_utf8_lossy(value)
        .chars()
        .map(map)
        .collect::<String>()
        .into_bytes()
}

fn first(value: &[u8], map: fn(char) -> char) -> Vec<u8> {
    let text = String::from_utf8_lossy(value);
    let mut chars = text.chars();
    match chars.next() {
        Some(c) => [map(c).to_string().as_str(), chars.as_str()]
            .concat()
            .into_bytes(),
        None => Vec::new(),
    }
}

/// `strconv.Atoi`: digits, with an optional sign.
fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Offset and length in bytes; negative ones count from the end. What is no number gives the whole value.
fn substring<'v>(value: &'v [u8], offset: &[u8], length: Option<&[u8]>) -> &'v [u8] {
    let size = value.len() as i64;
    let Some(offset) = number(offset) else {
        return value;
    };
    let start = if offset < 0 {
        (size.saturating_add(offset)).max(0)
    } else {
        offset
    };
    let end = match length.map(number) {
        None => size,
        Some(None) => return value,
        Some(Some(length)) if length < 0 => size.saturating_add(length),
        Some(Some(length)) => start.saturating_add(length).min(size),
    };
    if start >= end {
        &[]
    } else {
        &value[start as usize..end as usize]
    }
}

/// `strings.Replace`: nothing to look for is found between all characters.
fn replace(value: &[u8], from: &[u8], to: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    let finder = Finder::new(from);
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    let mut done = 0;
    while done < limit {
        let at = if from.is_empty() {
            // Before the first character, then after each.
            match (done, rest.is_empty()) {
                (0, _) => 0,
                (_, true) => break,
                _ => character_width(rest),
            }
        } else {
            match finder.find(rest) {
                Some(at) => at,
                None => break,
            }
        };
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
        done += 1;
        if out.len() > MAX_RESULT_BYTES {
            return Err(Error::TooLarge {
                limit: MAX_RESULT_BYTES,
            });
        }
    }
    out.extend_from_slice(rest);
    Ok(out)
}

fn character_width(bytes: &[u8]) -> usize {
    let chunk = bytes.get(..4).unwrap_or(bytes);
    chunk
        .utf8_chunks()
        .next()
        .and_then(|chunk| chunk.valid().chars().next())
        .map_or(1, char::len_utf8)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Shortest,
    Longest,
}

/// The value less the prefix that the pattern matches. A pattern that is none matches nothing.
fn without_prefix(
    value: &[u8],
    pattern: &[u8],
    length: Length,
    steps: &mut Steps,
) -> Result<Vec<u8>, Error> {
    if !pattern.iter().any(|c| b"*?[\\".contains(c)) {
        return Ok(value.strip_prefix(pattern).unwrap_or(value).to_vec());
    }
    if value.len() > MAX_PATTERN_VALUE_BYTES {
        let limit = MAX_PATTERN_VALUE_BYTES;
        return Err(Error::TooLongForPattern {
            length: value.len(),
            limit,
        });
    }
    let mut found = 0;
    for end in (1..=value.len()).rev() {
        match glob::matches(pattern, &value[..end], steps) {
            Ok(true) => found = end,
            Ok(false) => continue,
            Err(Stop::BadPattern) => return Ok(value.to_vec()),
            Err(Stop::TooManySteps) => {
                let limit = MAX_PATTERN_STEPS;
                return Err(Error::TooManySteps { limit });
            }
        }
        if length == Length::Longest {
            break;
        }
    }
    Ok(value[found..].to_vec())
}

/// Suffixes are prefixes of what is written backwards; so is the pattern, classes and escapes included, as in Flux.
fn without_suffix(
    value: &[u8],
    pattern: &[u8],
    length: Length,
    steps: &mut Steps,
) -> Result<Vec<u8>, Error> {
    let backwards = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .chars()
            .rev()
            .collect::<String>()
            .into_bytes()
    };
    let rest = without_prefix(&backwards(value), &backwards(pattern), length, steps)?;
    Ok(backwards(&rest))
}
