//! Single and double quoted scalars.

use std::borrow::Cow;

use super::scalars::Fold;
use super::{Mark, ScalarStyle, Scanner, Token, TokenKind};
use crate::chars::{at, is_blank, is_break};
use crate::error::Error;

impl<'a> Scanner<'a> {
    pub(super) fn scan_quoted_scalar(&mut self, style: ScalarStyle) -> Result<Token<'a>, Error> {
        let single = style == ScalarStyle::SingleQuoted;
        let quote = if single { b'\'' } else { b'"' };
        let start = self.mark;
        self.skip();
        let value = match self.simple_quoted(quote) {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(self.folded_quoted(start, single, quote)?),
        };
        self.skip();
        let mut token = Token::with(TokenKind::Scalar, start, self.mark, value);
        token.style = style;
        Ok(token)
    }

    /// The common case: one line, nothing to unescape. Stops before the closing quote; moves nothing where it is not that simple.
    fn simple_quoted(&mut self, quote: u8) -> Option<&'a str> {
        let from = self.pos();
        let mut i = from;
        loop {
            match at(self.src, i) {
                c if c == quote => break,
                0 | b'\\' | b'\n' | b'\r' | 0xC2 | 0xE2 => return None,
                _ => i += 1,
            }
        }
        if quote == b'\'' && at(self.src, i + 1) == b'\'' {
            return None;
        }
        // At the start of a line a document indicator has to be looked for.
        if self.mark.column == 0 {
            return None;
        }
        let text = &self.text[from..i];
        if i > from {
            self.skip_run(i - from, text.chars().count());
        }
        Some(text)
    }

    fn folded_quoted(&mut self, start: Mark, single: bool, quote: u8) -> Result<String, Error> {
        let mut text = String::new();
        let mut fold = Fold::default();
        loop {
            if self.at_document_indicator() {
                return Err(self.error(start, "found unexpected document indicator"));
            }
            if self.here() == 0 {
                return Err(self.error(start, "found unexpected end of stream"));
            }
            if self.quoted_run(start, single, quote, &mut text)? {
                // An escaped line break: nothing comes of it, and the blanks after it are dropped.
                fold.broken = true;
            }
            if self.here() == quote {
                return Ok(text);
            }
            self.quoted_space(&mut fold, &mut text);
        }
    }

    /// Reads up to white space or the closing quote. Whether an escaped line break ended it.
    fn quoted_run(
        &mut self,
        start: Mark,
        single: bool,
        quote: u8,
        text: &mut String,
    ) -> Result<bool, Error> {
        loop {
            let c = self.here();
            if c == 0 || is_blank(self.src, self.pos()) || is_break(self.src, self.pos()) {
                return Ok(false);
            }
            if c == quote {
                if single && self.ahead(1) == b'\'' {
                    text.push('\'');
                    self.skip_run(2, 2);
                    continue;
                }
                return Ok(false);
            }
            if !single && c == b'\\' {
                if is_break(self.src, self.pos() + 1) {
                    self.skip();
                    self.read_line();
                    return Ok(true);
                }
                self.escape(start, text)?;
                continue;
            }
            let from = self.pos();
            self.skip();
            text.push_str(&self.text[from..self.pos()]);
        }
    }

    fn escape(&mut self, start: Mark, text: &mut String) -> Result<(), Error> {
        let (plain, digits) = match self.ahead(1) {
            b'0' => ('\0', 0),
            b'a' => ('\x07', 0),
            b'b' => ('\x08', 0),
            b't' | b'\t' => ('\t', 0),
            b'n' => ('\n', 0),
            b'v' => ('\x0B', 0),
            b'f' => ('\x0C', 0),
            b'r' => ('\r', 0),
            b'e' => ('\x1B', 0),
            b' ' => (' ', 0),
            b'"' => ('"', 0),
            b'\'' => ('\'', 0),
            b'\\' => ('\\', 0),
            b'N' => ('\u{85}', 0),
            b'_' => ('\u{A0}', 0),
            b'L' => ('\u{2028}', 0),
            b'P' => ('\u{2029}', 0),
            b'x' => ('\0', 2),
            b'u' => ('\0', 4),
            b'U' => ('\0', 8),
            _ => return Err(self.error(start, "found unknown escape character")),
        };
        self.skip_run(2, 2);
        if digits == 0 {
            text.push(plain);
            return Ok(());
        }
        let mut value = 0u64;
        for k in 0..digits {
            let Some(digit) = char::from(self.ahead(k)).to_digit(16) else {
                return Err(self.error(start, "did not find expected hexdecimal number"));
            };
            value = value << 4 | u64::from(digit);
        }
        let Some(c) = u32::try_from(value).ok().and_then(char::from_u32) else {
            return Err(self.error(start, "found invalid Unicode character escape code"));
        };
        text.push(c);
        self.skip_run(digits, digits);
        Ok(())
    }

    /// Blanks and line breaks between two runs.
    fn quoted_space(&mut self, fold: &mut Fold, text: &mut String) {
        let mut blanks = String::new();
        loop {
            if is_blank(self.src, self.pos()) {
                if !fold.broken {
                    blanks.push(char::from(self.here()));
                }
                self.skip();
            } else if is_break(self.src, self.pos()) {
                blanks.clear();
                let stands_for = self.read_line();
                fold.add_break(stands_for);
            } else {
                break;
            }
        }
        if fold.broken {
            fold.flush(text)
        } else {
            text.push_str(&blanks)
        }
    }
}
