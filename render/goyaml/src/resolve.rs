//! What a plain scalar means: the resolvers of yaml.v2 and yaml.v3.

use crate::Dialect;
use crate::error::Error;
use crate::node::Tag;
use crate::strconv;
use crate::timestamp::Timestamp;

/// A scalar after resolution. A string is the scalar's own text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Resolved {
    /// `null`, `~` or nothing.
    Null,
    /// A boolean. yaml.v2 takes `yes`, `on`, `y` and their opposites for one, yaml.v3 does not.
    Bool(bool),
    /// An integer that fits in 64 bits with a sign.
    Int(i64),
    /// A larger one that fits without.
    Uint(u64),
    /// A number with a fraction, an exponent, or too large for an integer.
    Float(f64),
    /// A date, with or without a time.
    Timestamp(Timestamp),
    /// `<<`
    Merge,
    /// Anything else.
    Str,
}

impl Resolved {
    /// The tag that says so.
    pub fn tag(self) -> Tag {
        match self {
            Resolved::Null => Tag::Null,
            Resolved::Bool(_) => Tag::Bool,
            Resolved::Int(_) | Resolved::Uint(_) => Tag::Int,
            Resolved::Float(_) => Tag::Float,
            Resolved::Timestamp(_) => Tag::Timestamp,
            Resolved::Merge => Tag::Merge,
            Resolved::Str => Tag::Str,
        }
    }
}

/// The tag that a plain scalar without a tag has.
pub(crate) fn implied_tag(dialect: Dialect, text: &str) -> Tag {
    resolve(dialect, text).tag()
}

/// What a plain scalar without a tag means.
pub fn resolve(dialect: Dialect, text: &str) -> Resolved {
    resolve_as(dialect, text, true)
}

/// What a scalar with one of YAML's own tags means, or why it cannot have that tag.
pub(crate) fn resolve_tagged(dialect: Dialect, tag: &Tag, text: &str) -> Result<Resolved, Error> {
    let resolved = match tag {
        Tag::Str => return Ok(Resolved::Str),
        Tag::None | Tag::Timestamp => resolve_as(dialect, text, true),
        Tag::Bool | Tag::Int | Tag::Float | Tag::Null => resolve_as(dialect, text, false),
        // Not resolved: the text is the value.
        _ => return Ok(Resolved::Str),
    };
    match (tag, resolved) {
        (Tag::None, _) => Ok(resolved),
        (Tag::Float, Resolved::Int(i)) => Ok(Resolved::Float(i as f64)),
        _ if resolved.tag() == *tag => Ok(resolved),
        _ => {
            let (got, want) = (resolved.tag(), tag.as_str());
            Err(Error::Document(format!(
                "cannot decode {} `{text}` as a {want}",
                got.as_str()
            )))
        }
    }
}

fn resolve_as(dialect: Dialect, text: &str, timestamps: bool) -> Resolved {
    let Some(&first) = text.as_bytes().first() else {
        return Resolved::Null;
    };
    match first {
        b'+' | b'-' | b'0'..=b'9' => number(dialect, text, timestamps),
        b'.' => special(dialect, text)
            .or_else(|| strconv::parse_float_leading_dot(text).map(Resolved::Float))
            .unwrap_or(Resolved::Str),
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => {
            special(dialect, text).unwrap_or(Resolved::Str)
        }
        // Go looks "<<" up only where a first letter says so, which "<" does not: the tag comes from the parser.
        _ => Resolved::Str,
    }
}

/// The words that stand for something.
fn special(dialect: Dialect, text: &str) -> Option<Resolved> {
    Some(match text {
        "true" | "True" | "TRUE" => Resolved::Bool(true),
        "false" | "False" | "FALSE" => Resolved::Bool(false),
        "~" | "null" | "Null" | "NULL" => Resolved::Null,
        ".nan" | ".NaN" | ".NAN" => Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Resolved::Float(f64::NEG_INFINITY),
        _ if dialect == Dialect::V2 => old_bool(text).map(Resolved::Bool)?,
        _ => return None,
    })
}

/// The booleans that YAML 1.1 has and YAML 1.2 has not.
pub(crate) fn old_bool(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn number(dialect: Dialect, text: &str, timestamps: bool) -> Resolved {
    if let Some(word) = special(dialect, text) {
        return word;
    }
    if timestamps && let Some(time) = Timestamp::parse(text) {
        return Resolved::Timestamp(time);
    }
    let without;
    let plain = if text.contains('_') {
        without = text.replace('_', "");
        &without
    } else {
        text
    };
    if let Some(int) = strconv::parse_int_base0(plain) {
        return Resolved::Int(int);
    }
    if let Some(uint) = strconv::parse_uint_base0(plain) {
        return Resolved::Uint(uint);
    }
    if let Some(float) = strconv::parse_yaml_float(plain) {
        return Resolved::Float(float);
    }
    signed_after_prefix(dialect, plain).unwrap_or(Resolved::Str)
}

/// `0b-1` and, in yaml.v3, `0o-7`: the digits after the prefix are read by themselves, sign and all.
fn signed_after_prefix(dialect: Dialect, plain: &str) -> Option<Resolved> {
    let (digits, radix) = match plain.get(..2)? {
        "0b" => (&plain[2..], 2),
        "0o" if dialect == Dialect::V3 => (&plain[2..], 8),
        _ => return None,
    };
    i64::from_str_radix(digits, radix).ok().map(Resolved::Int)
}
