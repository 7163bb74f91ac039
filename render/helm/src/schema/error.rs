//! What is wrong with a schema, or with values, in the words of Helm's validator.

use std::fmt::Write as _;

use serde_json::Value;

use super::decimal::{Decimal, grouped};

/// Why a schema cannot be used, or values do not meet it.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The file is not JSON.
    #[error("{0}")]
    Json(String),
    /// The schema breaks the rules for schemas.
    #[error(
        "{url:?} is not valid against metaschema: jsonschema validation failed with '{meta}#'\n{violations}"
    )]
    Meta {
        /// The document.
        url: String,
        /// The schema of schemas.
        meta: &'static str,
        /// One a line.
        violations: String,
    },
    /// A `$ref` to a document that is not here.
    #[error(
        "failing loading {0:?}: nothing is fetched while rendering; give the document to the render, or skip schema validation"
    )]
    NotLoaded(String),
    /// A `$ref` to a place that is not there.
    #[error("json-pointer in {0:?} not found")]
    PointerNotFound(String),
    /// A `$ref` to a name that is not there.
    #[error("anchor in {reference:?} not found in schema {url:?}")]
    AnchorNotFound {
        /// The reference.
        reference: String,
        /// The document.
        url: String,
    },
    /// A pattern that is no regular expression.
    #[error("invalid regex {regex:?} at {at:?}: {reason}")]
    Regex {
        /// The pattern.
        regex: String,
        /// Where it stands.
        at: String,
        /// Why.
        reason: String,
    },
    /// The values do not meet the schema; one violation a line.
    #[error("{0}")]
    Invalid(String),
}

/// One violation, with those that led to it.
#[derive(Debug)]
pub(super) struct Violation {
    /// Where, as a JSON pointer.
    pub(super) at: String,
    pub(super) kind: Kind,
    pub(super) causes: Vec<Violation>,
}

/// What kind of violation it is.
#[derive(Debug)]
pub(super) enum Kind {
    /// Several violations at one place.
    Group,
    /// Found through a reference.
    Reference,
    /// A keyword failed; the message says how.
    Keyword(String),
}

impl Violation {
    pub(super) fn new(at: &str, message: impl Into<String>) -> Self {
        Self {
            at: at.to_owned(),
            kind: Kind::Keyword(message.into()),
            causes: Vec::new(),
        }
    }

    /// The violations as Helm lists them, without its first line.
    pub(super) fn lines(&self) -> String {
        let mut out = String::new();
        let top: &[Self] = if matches!(self.kind, Kind::Group) {
            &self.causes
        } else {
            std::slice::from_ref(self)
        };
        for violation in top {
            violation.write(&mut out, 0);
        }
        out
    }

    fn write(&self, out: &mut String, indent: usize) {
        // A reference with one cause adds nothing to it.
        let skipped = matches!(self.kind, Kind::Reference) && self.causes.len() == 1;
        if !skipped {
            if !out.is_empty() {
                out.push('\n');
            }
            let message = match &self.kind {
                Kind::Group | Kind::Reference => "validation failed",
                Kind::Keyword(message) => message,
            };
            let _ = write!(
                out,
                "{:indent$}- at {}: {message}",
                "",
                quote(&self.at),
                indent = indent * 2
            );
        }
        for cause in &self.causes {
            cause.write(out, if skipped { indent } else { indent + 1 });
        }
    }
}

/// Text in single quotes, escaped as the validator does.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\'' => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{b}' => out.push_str("\\v"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// Quoted names with commas between.
pub(super) fn quote_all(names: &[String]) -> String {
    names
        .iter()
        .map(|name| quote(name))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A value in a message; lists and maps are not spelled out.
pub(super) fn display(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Array(_) | Value::Object(_) => "value".to_owned(),
        Value::Null => "<nil>".to_owned(),
        other => other.to_string(),
    }
}

/// `KEYWORD: got A, want B` for counts.
pub(super) fn counts(keyword: &str, got: usize, want: u64) -> String {
    format!(
        "{keyword}: got {}, want {}",
        grouped(&got.to_string()),
        grouped(&want.to_string())
    )
}

/// `KEYWORD: got A, want B` for numbers.
pub(super) fn numbers(keyword: &str, got: &Decimal, want: &Decimal) -> String {
    format!(
        "{keyword}: got {}, want {}",
        got.localized(),
        want.localized()
    )
}
