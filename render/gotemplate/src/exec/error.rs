//! [`ExecError`]: a template that failed, in Go's words.

use std::fmt;
use std::sync::Arc;

use crate::limits::LimitError;
use crate::value::{FuncError, Str};

/// Executing a template failed. The text is Go's:
/// `template: FILE:LINE:COLUMN: executing "NAME" at <NODE>: what is wrong`.
#[derive(Debug, Clone)]
pub struct ExecError {
    pub(crate) template: Str,
    pub(crate) message: String,
    pub(crate) cause: Option<Cause>,
}

/// What lies at the bottom, through all `include`s.
#[derive(Debug, Clone)]
pub(crate) enum Cause {
    Limit(LimitError),
    Host(Arc<dyn std::error::Error + Send + Sync>),
}

impl ExecError {
    /// The template that was executing.
    #[must_use]
    pub fn template(&self) -> &Str {
        &self.template
    }

    /// The limit that was hit, if that is what happened.
    #[must_use]
    pub fn limit(&self) -> Option<LimitError> {
        if let Some(Cause::Limit(limit)) = &self.cause {
            Some(*limit)
        } else {
            None
        }
    }

    /// The error that the host gave ([`FuncError::Host`]), if that is what happened.
    #[must_use]
    pub fn host<E: std::error::Error + 'static>(&self) -> Option<&E> {
        if let Some(Cause::Host(error)) = &self.cause {
            error.downcast_ref()
        } else {
            None
        }
    }

    /// The same error with words before it, as a function that ran a template puts them.
    #[must_use]
    pub fn wrapped(mut self, prefix: impl fmt::Display) -> Self {
        self.message = format!("{prefix}{}", self.message);
        self
    }

    /// An error that has no place in a template.
    pub(crate) fn plain(template: Str, message: String) -> Self {
        Self {
            template,
            message,
            cause: None,
        }
    }
}

impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ExecError {}

impl FuncError {
    pub(crate) fn cause(&self) -> Option<Cause> {
        match self {
            Self::Message(_) => None,
            Self::Exec(error) => error.cause.clone(),
            Self::Limit(limit) => Some(Cause::Limit(*limit)),
            Self::Host(error) => Some(Cause::Host(Arc::clone(error))),
        }
    }
}
