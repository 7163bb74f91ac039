//! Plain and block scalars.

use std::borrow::Cow;

use super::{Mark, ScalarStyle, Scanner, Token, TokenKind};
use crate::chars::{is_blank, is_blankz, is_break, is_breakz, width};
use crate::error::Error;

/// White space between two parts of a flow scalar, and what it folds to.
#[derive(Default)]
pub(super) struct Fold {
    /// Whether a line break was met: blanks before it are dropped.
    pub(super) broken: bool,
    leading_break: &'static str,
    trailing_breaks: String,
}

impl Fold {
    pub(super) fn add_break(&mut self, stands_for: &'static str) {
        if self.broken {
            self.trailing_breaks.push_str(stands_for);
        } else {
            self.broken = true;
            self.leading_break = stands_for;
        }
    }

    /// Adds what the breaks fold to: one becomes a space, more become one less.
    pub(super) fn flush(&mut self, text: &mut String) {
        if self.leading_break == "\n" {
            if self.trailing_breaks.is_empty() {
                text.push(' ');
            } else {
                text.push_str(&self.trailing_breaks);
            }
        } else {
            text.push_str(self.leading_break);
            text.push_str(&self.trailing_breaks);
        }
        self.trailing_breaks.clear();
        self.leading_break = "";
        self.broken = false;
    }
}

impl<'a> Scanner<'a> {
    pub(super) fn scan_plain_scalar(&mut self) -> Result<Token<'a>, Error> {
        let start = self.mark;
        let mut end = self.mark;
        let indent = self.indent + 1;
        // Up to the first line break the text is a slice of the input.
        let mut folded: Option<String> = None;
        let mut fold = Fold::default();
        loop {
            if self.at_document_indicator() || self.here() == b'#' {
                break;
            }
            let run = self.plain_run();
            if !run.is_empty() {
                if fold.broken {
                    let text = folded.get_or_insert_with(|| {
                        self.text[start.index as usize..end.index as usize].to_owned()
                    });
                    fold.flush(text);
                    text.push_str(run);
                } else if let Some(text) = &mut folded {
                    // The blanks since the last part come along.
                    text.push_str(&self.text[end.index as usize..self.pos()]);
                }
                end = self.mark;
            }
            if !is_blank(self.src, self.pos()) && !is_break(self.src, self.pos()) {
                break;
            }
            self.plain_space(start, indent, &mut fold)?;
            if self.flow_level == 0 && (self.mark.column as i32) < indent {
                break;
            }
        }
        if fold.broken {
            self.simple_key_allowed = true;
        }
        let value = match folded {
            Some(text) => Cow::Owned(text),
            None => Cow::Borrowed(&self.text[start.index as usize..end.index as usize]),
        };
        Ok(Token::with(TokenKind::Scalar, start, end, value))
    }

    /// The characters up to the next space or to what ends a plain scalar.
    fn plain_run(&mut self) -> &'a str {
        let from = self.pos();
        let (mut i, mut chars) = (from, 0);
        while i < self.src.len() {
            let c = self.src[i];
            match c {
                b' ' | b'\t' | b'\n' | b'\r' => break,
                b':' if is_blankz(self.src, i + 1) => break,
                b',' | b'?' | b'[' | b']' | b'{' | b'}' if self.flow_level > 0 => break,
                0xC2 | 0xE2 if is_break(self.src, i) => break,
                _ => {}
            }
            i += width(c);
            chars += 1;
        }
        if i > from {
            self.skip_run(i - from, chars);
        }
        &self.text[from..i]
    }

    fn plain_space(&mut self, start: Mark, indent: i32, fold: &mut Fold) -> Result<(), Error> {
        loop {
            if is_blank(self.src, self.pos()) {
                if fold.broken && (self.mark.column as i32) < indent && self.here() == b'\t' {
                    return Err(
                        self.error(start, "found a tab character that violates indentation")
                    );
                }
                self.skip();
            } else if is_break(self.src, self.pos()) {
                let stands_for = self.read_line();
                fold.add_break(stands_for);
            } else {
                return Ok(());
            }
        }
    }

    pub(super) fn scan_block_scalar(&mut self, style: ScalarStyle) -> Result<Token<'a>, Error> {
        let literal = style == ScalarStyle::Literal;
        let start = self.mark;
        self.skip();
        let (chomping, increment) = self.block_header(start)?;
        let mut end = self.mark;
        let mut indent = match increment {
            0 => 0,
            increment => self.indent.max(0) + increment,
        };
        let mut text = String::new();
        let (mut leading_break, mut trailing_breaks) = ("", String::new());
        self.block_breaks(&mut indent, &mut trailing_breaks, start, &mut end)?;
        let mut leading_blank = false;
        while self.mark.column as i32 == indent && self.here() != 0 {
            let trailing_blank = is_blank(self.src, self.pos());
            if !literal && !leading_blank && !trailing_blank && leading_break == "\n" {
                if trailing_breaks.is_empty() {
                    text.push(' ');
                }
            } else {
                text.push_str(leading_break);
            }
            text.push_str(&trailing_breaks);
            trailing_breaks.clear();
            leading_blank = is_blank(self.src, self.pos());
            text.push_str(self.rest_of_line());
            leading_break = self.read_line();
            self.block_breaks(&mut indent, &mut trailing_breaks, start, &mut end)?;
        }
        if chomping != Chomping::Strip {
            text.push_str(leading_break);
        }
        if chomping == Chomping::Keep {
            text.push_str(&trailing_breaks);
        }
        let mut token = Token::with(TokenKind::Scalar, start, end, Cow::Owned(text));
        token.style = style;
        Ok(token)
    }

    /// The indicators after `|` or `>`, to the end of the line.
    fn block_header(&mut self, start: Mark) -> Result<(Chomping, i32), Error> {
        let mut chomping = self.chomping();
        let mut increment = 0;
        if self.here().is_ascii_digit() {
            if self.here() == b'0' {
                return Err(self.error(start, "found an indentation indicator equal to 0"));
            }
            increment = i32::from(self.here() - b'0');
            self.skip();
            if chomping == Chomping::Clip {
                chomping = self.chomping();
            }
        }
        self.skip_blanks();
        if self.here() == b'#' {
            if self.dialect == crate::Dialect::V3 {
                self.scan_line_comment(start);
            }
            self.skip_to_break();
        }
        if !is_breakz(self.src, self.pos()) {
            return Err(self.error(start, "did not find expected comment or line break"));
        }
        self.read_line();
        Ok((chomping, increment))
    }

    fn chomping(&mut self) -> Chomping {
        let chomping = match self.here() {
            b'+' => Chomping::Keep,
            b'-' => Chomping::Strip,
            _ => return Chomping::Clip,
        };
        self.skip();
        chomping
    }

    fn rest_of_line(&mut self) -> &'a str {
        let from = self.pos();
        let mut i = from;
        while i < self.src.len() {
            match self.src[i] {
                b'\n' | b'\r' => break,
                0xC2 | 0xE2 if is_break(self.src, i) => break,
                _ => i += 1,
            }
        }
        let line = &self.text[from..i];
        // A line of blanks does not count as content where comments are placed.
        let newlines = if line.bytes().all(|b| matches!(b, b' ' | b'\t')) {
            self.newlines
        } else {
            0
        };
        self.skip_run(line.len(), line.chars().count());
        self.newlines = newlines;
        line
    }

    /// Indentation and empty lines, up to the next line with content; finds the indentation where it is not given.
    fn block_breaks(
        &mut self,
        indent: &mut i32,
        breaks: &mut String,
        start: Mark,
        end: &mut Mark,
    ) -> Result<(), Error> {
        *end = self.mark;
        let mut deepest = 0;
        loop {
            while (*indent == 0 || (self.mark.column as i32) < *indent) && self.here() == b' ' {
                self.skip();
            }
            let column = self.mark.column as i32;
            deepest = deepest.max(column);
            if (*indent == 0 || column < *indent) && self.here() == b'\t' {
                return Err(self.error(
                    start,
                    "found a tab character where an indentation space is expected",
                ));
            }
            if !is_break(self.src, self.pos()) {
                break;
            }
            breaks.push_str(self.read_line());
            *end = self.mark;
        }
        if *indent == 0 {
            *indent = deepest.max(self.indent + 1).max(1);
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chomping {
    Strip,
    Clip,
    Keep,
}
