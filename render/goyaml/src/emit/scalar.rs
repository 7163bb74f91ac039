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

impl Seen {
    fn scan(dialect: Dialect, value: &str) -> Seen {
        let mut seen = Seen::default();
        if value.starts_with("---") || value.starts_with("...") {
            seen.block_indicators = true;
            seen.flow_indicators = true;
        }
        let mut preceded_by_whitespace = true;
        let (mut previous_space, mut previous_break) = (false, false);
        let mut chars = value.char_indices().peekable();
        while let Some((i, c)) = chars.next() {
            let next = chars.peek().map(|(_, next)| *next);
            let followed_by_whitespace = matches!(next, None | Some(' ' | '\t'));
            seen.indicator(i == 0, c, preceded_by_whitespace, followed_by_whitespace);
            if c == '\t' && dialect == Dialect::V3 {
                seen.tabs = true;
            } else if !is_printable(c) {
                seen.special = true;
            }
            let is_break = is_break_char(c);
            if c == ' ' {
                seen.leading_space |= i == 0;
                seen.trailing_space |= next.is_none();
                seen.break_space |= previous_break;
            } else if is_break {
                seen.line_breaks = true;
                seen.leading_break |= i == 0;
                seen.trailing_break |= next.is_none();
                seen.space_break |= previous_space;
            }
            previous_space = c == ' ';
            previous_break = is_break;
            preceded_by_whitespace = matches!(c, ' ' | '\t' | '\0') || is_break;
        }
        seen
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
