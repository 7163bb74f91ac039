//! What Go says about a pattern that it does not take.

/// A mistake in a pattern, with the part of it that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {code}: `{part}`")]
pub struct RegexpError {
    /// What is wrong, as Go names it.
    pub code: &'static str,
    /// The part of the pattern that is wrong.
    pub part: String,
}

impl RegexpError {
    pub(super) fn new(code: &'static str, part: &str) -> Self {
        Self {
            code,
            part: part.to_owned(),
        }
    }

    /// A pattern that is no text.
    pub(crate) fn invalid_utf8(pattern: &str) -> Self {
        Self::new("invalid UTF-8", pattern)
    }
}

pub(super) const INVALID_ESCAPE: &str = "invalid escape sequence";
pub(super) const INVALID_RANGE: &str = "invalid character class range";
pub(super) const INVALID_NAMED: &str = "invalid named capture";
pub(super) const INVALID_PERL: &str = "invalid or unsupported Perl syntax";
pub(super) const INVALID_REPEAT: &str = "invalid nested repetition operator";
pub(super) const INVALID_REPEAT_SIZE: &str = "invalid repeat count";
pub(super) const MISSING_BRACKET: &str = "missing closing ]";
pub(super) const MISSING_PAREN: &str = "missing closing )";
pub(super) const MISSING_ARGUMENT: &str = "missing argument to repetition operator";
pub(super) const TRAILING_BACKSLASH: &str = "trailing backslash at end of expression";
pub(super) const UNEXPECTED_PAREN: &str = "unexpected )";
pub(super) const TOO_DEEP: &str = "expression nests too deeply";
pub(super) const TOO_LARGE: &str = "expression too large";
