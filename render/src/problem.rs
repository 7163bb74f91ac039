//! What is wrong with something that people wrote, and where.

use std::fmt;

use capstan_core::{SourceKey, UnitKey};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What was written is honoured except for what the message names.
    Warning,
    /// What it is about is not rendered.
    Error,
}

/// Something wrong with what people wrote. Holds no content of files, so no secret values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub level: Level,
    /// The unit that it keeps from being rendered.
    pub unit: Option<UnitKey>,
    /// The source that the file is in.
    pub source: Option<SourceKey>,
    /// The file, from the root of the source.
    pub file: Option<String>,
    /// The line, counted from one.
    pub line: Option<u32>,
    /// The object, as `Kind/namespace/name`.
    pub object: Option<String>,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    /// An error that is not about any place yet.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            unit: None,
            source: None,
            file: None,
            line: None,
            object: None,
            message: message.into(),
        }
    }

    /// A warning that is not about any place yet.
    pub fn warning(message: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            ..Self::error(message)
        }
    }

    /// The same, in `file`.
    #[must_use]
    pub fn in_file(mut self, file: &str, line: Option<u32>) -> Self {
        self.file = Some(file.to_owned());
        self.line = line;
        self
    }

    /// The same, about `object`.
    #[must_use]
    pub fn about(mut self, object: impl fmt::Display) -> Self {
        self.object = Some(object.to_string());
        self
    }

    /// The same, of `unit` rendered from `source`.
    #[must_use]
    pub fn of_unit(mut self, unit: &UnitKey, source: Option<&SourceKey>) -> Self {
        self.unit = Some(unit.clone());
        self.source = self.source.or_else(|| source.cloned());
        self
    }
}

impl fmt::Display for Problem {
    /// `file:line: object: message`, leaving out what is not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(&self.message)
    }
}
