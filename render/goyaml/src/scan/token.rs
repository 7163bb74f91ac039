//! What the scanner gives to the parser.

use std::borrow::Cow;

/// A place in the text. Lines and columns count from zero; the column counts characters, the index bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) index: u32,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    StreamStart,
    StreamEnd,
    /// `value` is the version, as "1.1".
    VersionDirective,
    /// `value` is the handle, `suffix` the prefix it stands for.
    TagDirective,
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias,
    Anchor,
    /// `value` is the handle, which is empty for a verbatim tag.
    Tag,
    Scalar,
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ScalarStyle {
    #[default]
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
    Folded,
}

#[derive(Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind,
    pub(crate) style: ScalarStyle,
    pub(crate) start: Mark,
    pub(crate) end: Mark,
    pub(crate) value: Cow<'a, str>,
    pub(crate) suffix: String,
}

impl<'a> Token<'a> {
    pub(crate) fn new(kind: TokenKind, start: Mark, end: Mark) -> Self {
        Token::with(kind, start, end, Cow::Borrowed(""))
    }

    pub(crate) fn with(kind: TokenKind, start: Mark, end: Mark, value: Cow<'a, str>) -> Self {
        Token {
            kind,
            style: ScalarStyle::Plain,
            start,
            end,
            value,
            suffix: String::new(),
        }
    }
}
