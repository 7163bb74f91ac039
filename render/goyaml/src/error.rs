//! What can be wrong with a document, in the words that Go's libraries use.

use std::fmt;

/// Why a text could not be read or written. The text form is Go's, character for character, since people search for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not YAML.
    #[error("yaml: {}{problem}", Where(*.line))]
    Syntax {
        /// The line, counted from one, that Go would name. Go names none for the first line.
        line: Option<u32>,
        /// What is wrong.
        problem: String,
    },
    /// The document is YAML but cannot be decoded (an unknown anchor, a value that does not fit its tag).
    #[error("yaml: {0}")]
    Document(String),
    /// Parts of the document do not fit the type they are decoded into: one line each.
    #[error("yaml: unmarshal errors:\n  {}", .0.join("\n  "))]
    Type(Vec<String>),
    /// The value cannot be written as JSON, which is how `sigs.k8s.io/yaml` and kustomize pass values on.
    #[error("{0}")]
    Json(String),
    /// `sigs.k8s.io/yaml` could not turn the text into JSON.
    #[error("error converting YAML to JSON: {0}")]
    Convert(#[source] Box<Error>),
    /// `sigs.k8s.io/yaml` turned the text into JSON, which does not fit the Go type that it is decoded into.
    #[error(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go value of type {go_type}"
    )]
    Target {
        /// What there is, as Go names JSON's types.
        found: &'static str,
        /// What it should be.
        go_type: &'static str,
    },
    /// The node tree or the value cannot be written as YAML.
    #[error("yaml: {0}")]
    Emit(String),
}

impl Error {
    /// The line that the message names, counted from one.
    pub fn line(&self) -> Option<u32> {
        match self {
            Error::Syntax { line, .. } => *line,
            Error::Type(lines) => lines
                .first()?
                .strip_prefix("line ")?
                .split(':')
                .next()?
                .parse()
                .ok(),
            Error::Convert(source) => source.line(),
            Error::Target { .. } | Error::Document(_) | Error::Json(_) | Error::Emit(_) => None,
        }
    }
}

struct Where(Option<u32>);

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(line) => write!(f, "line {line}: "),
            None => Ok(()),
        }
    }
}
