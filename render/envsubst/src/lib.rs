//! Flux's variable substitution: what `postBuild` does to each object after a kustomization was built.
//!
//! Only `${name}` is a variable, `$name` is not; `$${name}` comes out as `${name}`. The functions are those of Flux's fork of
//! `drone/envsubst` (`fluxcd/pkg/envsubst`), with its errors and its oddities:
//!
//! | expression | result |
//! |---|---|
//! | `${v}` | the value |
//! | `${#v}` | its length in bytes |
//! | `${v^}` `${v^^}` `${v,}` `${v,,}` | the first character, or all, in upper or lower case |
//! | `${v:n}` `${v:n:m}` | from byte n, at most m bytes; negative numbers count from the end |
//! | `${v#p}` `${v##p}` `${v%p}` `${v%%p}` | less the shortest or longest prefix or suffix that the glob matches |
//! | `${v/a/b}` `${v//a/b}` `${v/#a/b}` `${v/%a/b}` | a replaced: once, everywhere, at the start, at the end |
//! | `${v=d}` `${v:=d}` `${v:-d}` (also `:?` and `:+`) | the value, or d where it is empty or not set |
//!
//! Arguments may hold expressions. Text comes in, text goes out: nothing here knows YAML, reads the environment or keeps anything.

mod error;
mod eval;
mod functions;
mod glob;
pub mod limits;
mod parse;
mod scan;

use std::borrow::Cow;
use std::collections::BTreeSet;

pub use error::Error;
use parse::Part;

/// A text with its variables replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Substituted {
    /// The text.
    pub text: String,
    /// Variables that it took a value from.
    pub used: BTreeSet<String>,
    /// Variables that it asked for and that have none: a default, or nothing, stands there.
    pub missing: BTreeSet<String>,
}

/// What to do about variables without value and default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unset {
    /// An error: Flux's strict mode, which is its default.
    Refuse,
    /// Nothing stands in their place.
    Empty,
}

/// Replaces the variables of a text.
pub fn substitute<'v>(
    text: &str,
    unset: Unset,
    lookup: impl FnMut(&str) -> Option<Cow<'v, str>>,
) -> Result<Substituted, Error> {
    if !text.contains('$') && !text.contains('\0') {
        let (used, missing) = (BTreeSet::new(), BTreeSet::new());
        return Ok(Substituted {
            text: text.to_owned(),
            used,
            missing,
        });
    }
    let parts = parse::parse(text)?;
    let mut evaluator = eval::Evaluator::new(lookup, unset == Unset::Refuse);
    let bytes = evaluator.parts(&parts)?;
    let text = String::from_utf8(bytes).map_err(|_| Error::NotUtf8)?;
    Ok(Substituted {
        text,
        used: evaluator.used,
        missing: evaluator.missing,
    })
}

/// The variables that a text names, whether it would use them or not.
pub fn variables(text: &str) -> Result<BTreeSet<String>, Error> {
    let mut names = BTreeSet::new();
    collect(&parse::parse(text)?, &mut names);
    Ok(names)
}

fn collect(parts: &[Part], names: &mut BTreeSet<String>) {
    for part in parts {
        if let Part::Expression(expression) = part {
            names.insert(expression.name.clone());
            collect(&expression.arguments, names);
        }
    }
}

/// Whether a variable may have this name. Flux refuses a `Kustomization` that gives another one a value.
pub fn check_name(name: &str) -> Result<(), Error> {
    let starts = name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic());
    if starts && name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
        Ok(())
    } else {
        Err(Error::InvalidName(name.to_owned()))
    }
}

/// A value as Flux takes it from a ConfigMap, a Secret or `substitute`: without line breaks.
pub fn clean_value(value: &str) -> Cow<'_, str> {
    if value.contains('\n') {
        Cow::Owned(value.replace('\n', ""))
    } else {
        Cow::Borrowed(value)
    }
}
