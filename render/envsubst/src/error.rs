//! What can be wrong with a text that holds variables.

/// Why a text could not be substituted, in the words of Flux.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An expression that is none: `${v/x}`, `${v:`.
    #[error("bad substitution")]
    BadSubstitution,
    /// `${v` with something else than an operator after the name, or nothing.
    #[error("missing closing brace")]
    MissingClosingBrace,
    /// `${}` and `${-}`: no name where one belongs.
    #[error("unable to parse variable name")]
    VariableName,
    /// An operator without what it needs: `${v#}`.
    #[error("unable to parse substitution within function")]
    FunctionArgument,
    /// `${v=` and its kin, cut short.
    #[error("unable to parse default function")]
    DefaultFunction,
    /// A variable without value and default, where that is not allowed.
    #[error("variable not set (strict mode): {0:?}")]
    NotSet(String),
    /// A variable that could never be referred to.
    #[error("'{0}' var name is invalid, must match '^[_[:alpha:]][_[:alpha:][:digit:]]*$'")]
    InvalidName(String),
    /// A substring or a pattern cut a character in two, and no text came of the halves.
    #[error("the result is not UTF-8: a substring cuts a character in two")]
    NotUtf8,
    /// Expressions nested too deep.
    #[error("expressions are nested deeper than {limit}; simplify the default values")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// A result that is too large.
    #[error("the result is larger than {limit} bytes; use fewer or shorter variables")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// A value too long to match a pattern against.
    #[error(
        "a value of {length} bytes is too long for a pattern, the limit is {limit}; use a shorter value or no wildcard"
    )]
    TooLongForPattern {
        /// Bytes of the value.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// Patterns that take too long.
    #[error(
        "the patterns look at more than {limit} characters; use shorter values, fewer of them or no wildcards"
    )]
    TooManySteps {
        /// The limit.
        limit: usize,
    },
}
