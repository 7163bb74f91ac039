//! The five ways to write a scalar.

use super::Emitter;
use crate::Dialect;
use crate::chars::{is_break_char, is_printable};

impl Emitter {
    /// Whether `chars` more characters cannot make the line too long to stay whole.
    fn fits(&self, chars: usize) -> bool {
        self.best_width == usize::MAX || self.column + chars <= self.best_width
    }

    /// Steps a line down in place of a space.
    fn fold(&mut self) {
        self.write_indent();
    }

    pub(super) fn plain(&mut self, value: &str, allow_breaks: bool) {
        // yaml.v2 puts the space before nothing, too.
        if !self.whitespace && (!value.is_empty() || self.dialect == Dialect::V2) {
            self.put(' ');
        }
        let chars = value.chars().count();
        if !allow_breaks || self.fits(chars) {
            self.put_str(value, chars);
        } else {
            let mut spaces = false;
            let mut rest = value;
            while !rest.is_empty() {
                let word = self.put_run(&mut rest, |c| c == ' ');
                if word {
                    self.indention = false;
                    spaces = false;
                    continue;
                }
                rest = &rest[1..];
                if !spaces && self.column > self.best_width && !rest.starts_with(' ') {
                    self.fold();
                } else {
                    self.put(' ');
                }
                spaces = true;
            }
        }
        if !value.is_empty() || self.dialect == Dialect::V2 {
            self.whitespace = false;
        }
        self.indention = false;
    }

    /// Writes what stands before the first character that ends a run, and steps over it. Whether there was any.
    fn put_run(&mut self, rest: &mut &str, ends: impl Fn(char) -> bool) -> bool {
        let (run, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
        self.put_str(run, run.chars().count());
        *rest = after;
        !run.is_empty()
    }

    pub(super) fn single_quoted(&mut self, value: &str, allow_breaks: bool, multiline: bool) {
        self.indicator("'", true, false, false);
        let chars = value.chars().count();
        if !multiline && !value.contains('\'') && (!allow_breaks || self.fits(chars)) {
            self.put_str(value, chars);
        } else {
            self.single_quoted_content(value, allow_breaks);
        }
        self.indicator("'", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn single_quoted_content(&mut self, value: &str, allow_breaks: bool) {
        let (mut spaces, mut breaks) = (false, false);
        let mut rest = value;
        while let Some(c) = rest.chars().next() {
            if c != ' ' && c != '\'' && !is_break_char(c) {
                if breaks {
                    self.write_indent();
                }
                self.put_run(&mut rest, |c| matches!(c, ' ' | '\'') || is_break_char(c));
                self.indention = false;
                spaces = false;
                breaks = false;
                continue;
            }
            let i = value.len() - rest.len();
            rest = &rest[c.len_utf8()..];
            if c == ' ' {
                let inside = i > 0 && i < value.len() - 1;
                let before_space = rest.starts_with(' ');
                if allow_breaks
                    && !spaces
                    && self.column > self.best_width
                    && inside
                    && !before_space
                {
                    self.fold();
                } else {
                    self.put(c);
                }
                spaces = true;
            } else if is_break_char(c) {
                if !breaks && c == '\n' {
                    self.put_break();
                }
                self.write_break(c);
                breaks = true;
            } else {
                if breaks {
                    self.write_indent();
                }
                self.put_str("''", 2);
                self.indention = false;
                spaces = false;
                breaks = false;
            }
        }
    }

    pub(super) fn double_quoted(&mut self, value: &str, allow_breaks: bool) {
        self.indicator("\"", true, false, false);
        let mut spaces = false;
        // Go looks for a byte order mark at the start of the text whatever character it is at, so such a text is escaped whole.
        let escape_all = value.starts_with('\u{FEFF}');
        let is_escaped =
            |c: char| escape_all || !is_printable(c) || is_break_char(c) || matches!(c, '"' | '\\');
        let mut rest = value;
        while let Some(c) = rest.chars().next() {
            if self.put_run(&mut rest, |c| c == ' ' || is_escaped(c)) {
                spaces = false;
                continue;
            }
            let i = value.len() - rest.len();
            rest = &rest[c.len_utf8()..];
            if is_escaped(c) {
                self.escape(c);
                spaces = false;
            } else {
                let inside = i > 0 && i < value.len() - 1;
                if allow_breaks && !spaces && self.column > self.best_width && inside {
                    self.fold();
                    if rest.starts_with(' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                spaces = true;
            }
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn escape(&mut self, c: char) {
        self.put('\\');
        let short = match c {
            '\0' => '0',
            '\x07' => 'a',
            '\x08' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\x0B' => 'v',
            '\x0C' => 'f',
            '\r' => 'r',
            '\x1B' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{A0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let escaped = match c as u32 {
                    code @ 0..=0xFF => format!("x{code:02X}"),
                    code @ 0x100..=0xFFFF => format!("u{code:04X}"),
                    code => format!("U{code:08X}"),
                };
                self.put_str(&escaped, escaped.len());
                return;
            }
        };
        self.put(short);
    }

    /// The indicators after `|` and `>`, and the end of their line.
    fn block_header(&mut self, value: &str) {
        if value.starts_with(|c| c == ' ' || is_break_char(c)) {
            let hint = self.best_indent.to_string();
            self.indicator(&hint, false, false, false);
        }
        let mut backwards = value.chars().rev();
        let chomping = match (backwards.next(), backwards.next()) {
            (Some(last), before) if is_break_char(last) => {
                if before.is_none_or(is_break_char) {
                    "+"
                } else {
                    ""
                }
            }
            _ => "-",
        };
        if !chomping.is_empty() {
            self.indicator(chomping, false, false, false);
        }
        if !self.line_comment() {
            self.put_break();
        }
        self.whitespace = true;
    }

    pub(super) fn literal(&mut self, value: &str) {
        self.indicator("|", true, false, false);
        self.block_header(value);
        let mut breaks = true;
        let mut rest = value;
        while let Some(c) = rest.chars().next() {
            if is_break_char(c) {
                self.write_break(c);
                breaks = true;
                rest = &rest[c.len_utf8()..];
                continue;
            }
            if breaks {
                self.write_indent();
            }
            let end = rest.find(is_break_char).unwrap_or(rest.len());
            self.put_str(&rest[..end], rest[..end].chars().count());
            self.indention = false;
            breaks = false;
            rest = &rest[end..];
        }
    }

    pub(super) fn folded(&mut self, value: &str) {
        self.indicator(">", true, false, false);
        self.block_header(value);
        let (mut breaks, mut leading_spaces) = (true, true);
        // Go looks at the start of the text here, not at the break it is at.
        let after_leading_breaks = value.trim_start_matches(is_break_char).chars().next();
        let blank_first = after_leading_breaks.is_none_or(|c| matches!(c, ' ' | '\t' | '\0'));
        let mut rest = value.chars().peekable();
        while let Some(c) = rest.next() {
            if is_break_char(c) {
                if !breaks && !leading_spaces && c == '\n' && !blank_first {
                    self.put_break();
                }
                self.write_break(c);
                breaks = true;
                continue;
            }
            if breaks {
                self.write_indent();
                leading_spaces = matches!(c, ' ' | '\t');
            }
            if !breaks && c == ' ' && rest.peek() != Some(&' ') && self.column > self.best_width {
                self.fold();
            } else {
                self.put(c);
            }
            self.indention = false;
            breaks = false;
        }
    }
}
