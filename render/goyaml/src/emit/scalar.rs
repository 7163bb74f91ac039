//! What a scalar's text allows, and the style that comes of it.

use super::{Emitter, Item, Write};
use crate::Dialect;
use crate::chars::{is_break_char, is_printable};
use crate::scan::ScalarStyle;

/// Which styles a text can be written in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scalar {
    style: ScalarStyle,
    empty: bool,
    pub(super) multiline: bool,
    flow_plain_allowed: bool,
    block_plain_allowed: bool,
    single_quoted_allowed: bool,
    block_allowed: bool,
}

/// What was seen in a text.
#[derive(Default)]
struct Seen {
    block_indicators: bool,
    flow_indicators: bool,
    line_breaks: bool,
    special: bool,
    tabs: bool,
    leading_space: bool,
    leading_break: bool,
    trailing_space: bool,
    trailing_break: bool,
    break_space: bool,
    space_break: bool,
}

impl Scalar {
    pub(super) fn analyze(dialect: Dialect, value: &str, style: ScalarStyle) -> Scalar {
        if value.is_empty() {
            return Scalar {
                style,
                empty: true,
                block_plain_allowed: true,
                single_quoted_allowed: true,
                ..Scalar::default()
            };
        }
        let seen = if is_simple(value) {
            Seen::default()
        } else {
            Seen::scan(dialect, value)
        };
        let edge =
            seen.leading_space || seen.leading_break || seen.trailing_space || seen.trailing_break;
        let must_escape = seen.space_break || seen.tabs || seen.special;
        let plain = !(edge || seen.break_space || must_escape || seen.line_breaks);
        Scalar {
            style,
            empty: false,
            multiline: seen.line_breaks,
            flow_plain_allowed: plain && !seen.flow_indicators,
            block_plain_allowed: plain && !seen.block_indicators,
            single_quoted_allowed: !(seen.break_space || must_escape),
            block_allowed: !(seen.trailing_space || seen.space_break || seen.special),
        }
    }
}

/// Whether the text is made of characters that mean nothing anywhere: most keys and values are.
fn is_simple(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'_' | b'-'))
        && (bytes[0].is_ascii_alphanumeric() || bytes[0] == b'/')
}

/// By byte: whether the character says nothing about a text that it is not the first of.
const MEANS_NOTHING: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        let indicates = matches!(c, b':' | b',' | b'?' | b'[' | b']' | b'{' | b'}' | b'#');
        table[byte] = c.is_ascii_graphic() && !indicates;
        byte += 1;
    }
    table
};

impl Seen {
    fn scan(dialect: Dialect, value: &str) -> Seen {
        let mut seen = Seen::default();
        if value.starts_with("---") || value.starts_with("...") {
            seen.block_indicators = true;
            seen.flow_indicators = true;
        }
        if value.is_ascii() {
            seen.scan_ascii(dialect, value.as_bytes());
            return seen;
        }
        let mut previous = None;
        let mut chars = value.chars().peekable();
        while let Some(c) = chars.next() {
            seen.note(dialect, previous, c, chars.peek().copied());
            previous = Some(c);
        }
        seen
    }

    /// Looks only at what may mean something: at the first character, at indicators and at what is at the edge of a line.
    fn scan_ascii(&mut self, dialect: Dialect, bytes: &[u8]) {
        let char_at = |i: usize| bytes.get(i).copied().map(char::from);
        for (i, &b) in bytes.iter().enumerate() {
            let means_nothing = i > 0
                && (MEANS_NOTHING[usize::from(b)]
                    || b == b' ' && i + 1 < bytes.len() && !matches!(bytes[i - 1], b'\n' | b'\r'));
            if !means_nothing {
                let previous = i.checked_sub(1).and_then(char_at);
                self.note(dialect, previous, char::from(b), char_at(i + 1));
            }
        }
    }

    /// Notes a character between its neighbours.
    fn note(&mut self, dialect: Dialect, previous: Option<char>, c: char, next: Option<char>) {
        let first = previous.is_none();
        let after_break = previous.is_some_and(is_break_char);
        let preceded_by_whitespace =
            matches!(previous, None | Some(' ' | '\t' | '\0')) || after_break;
        let followed_by_whitespace = matches!(next, None | Some(' ' | '\t'));
        self.indicator(first, c, preceded_by_whitespace, followed_by_whitespace);
        if c == '\t' && dialect == Dialect::V3 {
            self.tabs = true;
        } else if !is_printable(c) {
            self.special = true;
        }
        if c == ' ' {
            self.leading_space |= first;
            self.trailing_space |= next.is_none();
            self.break_space |= after_break;
        } else if is_break_char(c) {
            self.line_breaks = true;
            self.leading_break |= first;
            self.trailing_break |= next.is_none();
            self.space_break |= previous == Some(' ');
        }
    }

    fn indicator(
        &mut self,
        first: bool,
        c: char,
        preceded_by_whitespace: bool,
        followed_by_whitespace: bool,
    ) {
        let (flow, block) = match (first, c) {
            (
                true,
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
                | '@' | '`',
            ) => (true, true),
            (true, '?' | ':') | (false, ':') => (true, followed_by_whitespace),
            (true, '-') => (followed_by_whitespace, followed_by_whitespace),
            (false, ',' | '?' | '[' | ']' | '{' | '}') => (true, false),
            (false, '#') => (preceded_by_whitespace, preceded_by_whitespace),
            _ => (false, false),
        };
        self.flow_indicators |= flow;
        self.block_indicators |= block;
    }
}

impl Emitter {
    /// The style asked for, or the nearest that the text and the place allow.
    pub(super) fn select_style(&self, item: &Item<'_>) -> ScalarStyle {
        let scalar = &item.scalar;
        let flow = self.flow_level > 0;
        let mut style = scalar.style;
        if self.simple_key_context && scalar.multiline {
            style = ScalarStyle::DoubleQuoted;
        }
        if style == ScalarStyle::Plain {
            let allowed = if flow {
                scalar.flow_plain_allowed
            } else {
                scalar.block_plain_allowed
            };
            if !allowed || scalar.empty && (flow || self.simple_key_context) {
                style = ScalarStyle::SingleQuoted;
            }
        }
        if style == ScalarStyle::SingleQuoted && !scalar.single_quoted_allowed {
            style = ScalarStyle::DoubleQuoted;
        }
        let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        if block && (!scalar.block_allowed || flow || self.simple_key_context) {
            style = ScalarStyle::DoubleQuoted;
        }
        debug_assert!(
            matches!(item.event, Write::Scalar { .. }),
            "only scalars have a style"
        );
        style
    }

    pub(super) fn scalar(&mut self, value: &str, style: ScalarStyle, scalar: &Scalar) {
        let allow_breaks = !self.simple_key_context;
        match style {
            ScalarStyle::Plain => self.plain(value, allow_breaks),
            ScalarStyle::SingleQuoted => self.single_quoted(value, allow_breaks, scalar.multiline),
            ScalarStyle::DoubleQuoted => self.double_quoted(value, allow_breaks),
            ScalarStyle::Literal => self.literal(value),
            ScalarStyle::Folded => self.folded(value),
        }
    }
}
