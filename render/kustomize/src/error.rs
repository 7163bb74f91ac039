//! Why a build failed, in kustomize's own words.

use std::fmt;

/// What sort of failure it is, for callers that act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// No kustomization file where one has to be.
    MissingKustomization,
    /// The kustomization file itself is wrong.
    InvalidKustomization,
    /// A file that is referred to is not there, or not in the tree.
    NotFound,
    /// A file is not YAML.
    MalformedYaml,
    /// Bases refer to each other in a circle.
    Cycle,
    /// Something has to be fetched, run or rendered that the caller did not bring.
    NotAvailable,
    /// A limit of this crate was reached.
    Limit,
    /// The tree could not be read.
    Tree,
    /// Anything else: the input is understood and wrong.
    Invalid,
}

/// Why a build failed. The text is what kustomize prints after `Error: `.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    file: Option<String>,
    line: Option<u32>,
    object: Option<String>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            kind,
            message: message.into(),
            file: None,
            line: None,
            object: None,
        }))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Invalid, message)
    }

    /// Puts `prefix: ` before the message.
    #[must_use]
    pub(crate) fn context(mut self, prefix: impl fmt::Display) -> Error {
        self.0.message = format!("{prefix}: {}", self.0.message);
        self
    }

    /// Gives the message another text around it.
    #[must_use]
    pub(crate) fn reworded(mut self, words: impl FnOnce(&str) -> String) -> Error {
        self.0.message = words(&self.0.message);
        self
    }

    /// Says which file it is about, unless that is known already.
    #[must_use]
    pub(crate) fn in_file(mut self, file: &str) -> Error {
        self.0.file.get_or_insert_with(|| file.to_owned());
        self
    }

    #[must_use]
    pub(crate) fn at_line(mut self, line: Option<u32>) -> Error {
        self.0.line = self.0.line.or(line);
        self
    }

    /// Says which object it is about, unless that is known already.
    #[must_use]
    pub(crate) fn about(mut self, object: impl fmt::Display) -> Error {
        self.0.object.get_or_insert_with(|| object.to_string());
        self
    }

    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The file that is wrong, as a path in the tree, where one is.
    pub fn file(&self) -> Option<&str> {
        self.0.file.as_deref()
    }

    /// The line in that file, counted from one, where it is known.
    pub fn line(&self) -> Option<u32> {
        self.0.line
    }

    /// The object that is wrong, where one is.
    pub fn object(&self) -> Option<&str> {
        self.0.object.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            message,
            file,
            line,
            object,
        } = &*self.0;
        let mut out = f.debug_struct("Error");
        out.field("kind", kind)
            .field("message", message)
            .field("file", file)
            .field("line", line)
            .field("object", object)
            .finish()
    }
}

impl std::error::Error for Error {}

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Adds context to the error of a result.
pub(crate) trait Context<T> {
    fn context(self, prefix: impl fmt::Display) -> Result<T>;
    fn in_file(self, file: &str) -> Result<T>;
}

impl<T> Context<T> for Result<T> {
    fn context(self, prefix: impl fmt::Display) -> Result<T> {
        self.map_err(|e| e.context(prefix))
    }

    fn in_file(self, file: &str) -> Result<T> {
        self.map_err(|e| e.in_file(file))
    }
}
