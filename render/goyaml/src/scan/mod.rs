//! The scanner: text to tokens, with the exact look-ahead, indentation and simple-key rules of Go's port of libyaml.
//!
//! What a generic YAML parser accepts is not what Go accepts, and the difference would show as a manifest that renders here and fails
//! there (or reads differently). So the rules are libyaml's, quirks included; yaml.v2 and yaml.v3 differ in comments, in look-ahead
//! (which decides which of two errors is seen first) and in how errors are numbered.

mod comments;
mod fetch;
mod properties;
mod quoted;
mod scalars;
mod token;

pub(crate) use comments::Comment;
pub(crate) use token::{Mark, ScalarStyle, Token, TokenKind};

use crate::Dialect;
use crate::chars::{at, break_len, is_blank, width};
use crate::error::Error;

/// Characters that a simple key may have before its `:`.
const MAX_SIMPLE_KEY_CHARS: usize = 1024;

/// A place where a key may have started without `?`.
#[derive(Clone, Copy, Default)]
struct SimpleKey {
    possible: bool,
    required: bool,
    /// Whether the token is looked up as a possible key before it is given out.
    listed: bool,
    token_number: usize,
    mark: Mark,
}

pub(crate) struct Scanner<'a> {
    text: &'a str,
    src: &'a [u8],
    dialect: Dialect,
    mark: Mark,
    /// Line breaks since the last character that is neither blank nor break.
    newlines: u32,
    flow_level: usize,
    /// Tokens fetched; those before `head` are consumed, and kept a while since comments look back at them.
    tokens: Vec<Token<'a>>,
    head: usize,
    /// Tokens consumed since the start of the stream.
    parsed: usize,
    available: bool,
    stream_start_produced: bool,
    stream_end_produced: bool,
    indent: i32,
    indents: Vec<i32>,
    simple_key_allowed: bool,
    simple_keys: Vec<SimpleKey>,
    pub(crate) comments: Vec<Comment>,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str, dialect: Dialect) -> Self {
        Scanner {
            text,
            src: text.as_bytes(),
            dialect,
            mark: Mark::default(),
            newlines: 0,
            flow_level: 0,
            tokens: Vec::with_capacity(64),
            head: 0,
            parsed: 0,
            available: false,
            stream_start_produced: false,
            stream_end_produced: false,
            indent: -1,
            indents: Vec::new(),
            simple_key_allowed: false,
            simple_keys: Vec::new(),
            comments: Vec::new(),
        }
    }

    /// Whether the end of the stream was consumed.
    pub(crate) fn at_end(&self) -> bool {
        self.stream_end_produced
    }

    /// The next token, not consumed.
    pub(crate) fn peek(&mut self) -> Result<&Token<'a>, Error> {
        if !self.available {
            self.fetch_more_tokens()?;
        }
        Ok(&self.tokens[self.head])
    }

    /// Consumes the token that was peeked at.
    pub(crate) fn skip_token(&mut self) {
        self.available = false;
        self.parsed += 1;
        self.stream_end_produced = self.tokens[self.head].kind == TokenKind::StreamEnd;
        self.head += 1;
        self.forget_old_tokens();
    }

    /// The text of the token that was peeked at; the token loses it.
    pub(crate) fn take_value(&mut self) -> std::borrow::Cow<'a, str> {
        std::mem::take(&mut self.tokens[self.head].value)
    }

    /// The suffix of the tag token that was peeked at; the token loses it.
    pub(crate) fn take_suffix(&mut self) -> String {
        std::mem::take(&mut self.tokens[self.head].suffix)
    }

    fn forget_old_tokens(&mut self) {
        /// Consumed tokens kept before the queue is compacted.
        const KEEP: usize = 2;
        const COMPACT_AT: usize = 48;
        if self.head >= COMPACT_AT {
            let drop = self.head - KEEP;
            self.tokens.drain(..drop);
            self.head = KEEP;
        }
    }

    // --- characters

    #[inline]
    fn pos(&self) -> usize {
        self.mark.index as usize
    }

    #[inline]
    fn here(&self) -> u8 {
        at(self.src, self.pos())
    }

    #[inline]
    fn ahead(&self, bytes: usize) -> u8 {
        at(self.src, self.pos() + bytes)
    }

    /// Steps over one character that is no line break.
    #[inline]
    fn skip(&mut self) {
        let c = self.here();
        if !matches!(c, b' ' | b'\t') {
            self.newlines = 0;
        }
        self.mark.index += width(c) as u32;
        self.mark.column += 1;
    }

    /// Steps over `bytes` bytes of one line, which are not all blank.
    #[inline]
    fn skip_run(&mut self, bytes: usize, chars: usize) {
        self.newlines = 0;
        self.mark.index += bytes as u32;
        self.mark.column += chars as u32;
    }

    /// Steps over a line break and gives what it stands for; nothing where there is none.
    #[inline]
    fn read_line(&mut self) -> &'static str {
        let len = break_len(self.src, self.pos());
        if len == 0 {
            return "";
        }
        let stands_for = match (len, self.ahead(2)) {
            (3, 0xA8) => "\u{2028}",
            (3, _) => "\u{2029}",
            _ => "\n",
        };
        self.mark.index += len as u32;
        self.mark.column = 0;
        self.mark.line += 1;
        self.newlines += 1;
        stands_for
    }

    fn skip_blanks(&mut self) {
        while is_blank(self.src, self.pos()) {
            self.skip();
        }
    }

    /// Whether the line starts with `---` or `...` and nothing but space after it.
    fn at_document_indicator(&self) -> bool {
        if self.mark.column != 0 {
            return false;
        }
        let c = self.here();
        (c == b'-' || c == b'.')
            && self.ahead(1) == c
            && self.ahead(2) == c
            && crate::chars::is_blankz(self.src, self.pos() + 3)
    }

    // --- errors

    /// An error in the scanner's own words, with the line that Go would give.
    #[cold]
    fn error(&self, context: Mark, problem: impl Into<String>) -> Error {
        Error::Syntax {
            line: scanner_line(self.dialect, context, self.mark),
            problem: problem.into(),
        }
    }
}

fn scanner_line(dialect: Dialect, context: Mark, problem: Mark) -> Option<u32> {
    let line = match dialect {
        Dialect::V2 if problem.line != 0 => problem.line + 1,
        Dialect::V2 => context.line,
        Dialect::V3 if context.line != 0 => context.line + 1,
        Dialect::V3 if problem.line != 0 => problem.line + 1,
        Dialect::V3 => 0,
    };
    (line != 0).then_some(line)
}
