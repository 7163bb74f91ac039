//! The lexer: text to items, with trim markers and comments taken care of.

use crate::strconv::{decode_last_rune, decode_rune, is_digit, is_letter, is_print, quote};

/// What an item is. Its text is a range of the input, except for errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    Bool,
    /// A character that stands for itself, such as a comma.
    Char,
    CharConstant,
    Complex,
    /// `=`
    Assign,
    /// `:=`
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Dot,
    Nil,
    Keyword(Keyword),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

/// One item of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    /// Where it starts, in bytes.
    pub(crate) pos: usize,
    /// Where it ends.
    pub(crate) end: usize,
    /// The line of its start, from 1.
    pub(crate) line: usize,
    /// What is wrong, for [`Kind::Error`].
    pub(crate) error: Option<Box<str>>,
}

pub(crate) struct Lexer<'t> {
    input: &'t [u8],
    pos: usize,
    start: usize,
    at_eof: bool,
    paren_depth: usize,
    line: usize,
    start_line: usize,
    inside_action: bool,
    /// `break` and `continue` are words of the language unless functions have these names.
    break_ok: bool,
    continue_ok: bool,
    failed: bool,
}

const LEFT_DELIM: &[u8] = b"{{";
const RIGHT_DELIM: &[u8] = b"}}";
/// A trim marker and the space beside it.
const TRIM_MARKER_LEN: usize = 2;

impl<'t> Lexer<'t> {
    pub(crate) fn new(input: &'t [u8], break_ok: bool, continue_ok: bool) -> Self {
        Self {
            input,
            pos: 0,
            start: 0,
            at_eof: false,
            paren_depth: 0,
            line: 1,
            start_line: 1,
            inside_action: false,
            break_ok,
            continue_ok,
            failed: false,
        }
    }

    /// The next item. After an error, only the end of the input.
    pub(crate) fn next_item(&mut self) -> Item {
        if self.failed {
            return self.item_at(Kind::Eof, self.pos, self.pos);
        }
        if self.inside_action {
            self.inside_action()
        } else {
            self.text()
        }
    }

    fn rest(&self) -> &'t [u8] {
        &self.input[self.pos..]
    }

    /// `None` at the end of the input.
    fn next(&mut self) -> Option<char> {
        if self.pos >= self.input.len() {
            self.at_eof = true;
            return None;
        }
        let (rune, width) = decode_rune(self.rest());
        self.pos += width;
        if rune == '\n' {
            self.line += 1;
        }
        Some(rune)
    }

    fn peek(&mut self) -> Option<char> {
        let rune = self.next();
        self.backup();
        rune
    }

    fn backup(&mut self) {
        if !self.at_eof && self.pos > 0 {
            let (rune, width) = decode_last_rune(&self.input[..self.pos]);
            self.pos -= width;
            if rune == '\n' {
                self.line -= 1;
            }
        }
    }

    fn item_at(&self, kind: Kind, pos: usize, end: usize) -> Item {
        Item {
            kind,
            pos,
            end,
            line: self.start_line,
            error: None,
        }
    }

    fn emit(&mut self, kind: Kind) -> Item {
        let item = self.item_at(kind, self.start, self.pos);
        self.start = self.pos;
        self.start_line = self.line;
        item
    }

    /// Skips what was not read with `next`.
    fn ignore(&mut self) {
        self.line += newlines(&self.input[self.start..self.pos]);
        self.start = self.pos;
        self.start_line = self.line;
    }

    fn error(&mut self, message: impl Into<String>) -> Item {
        let mut item = self.item_at(Kind::Error, self.start, self.start);
        item.error = Some(message.into().into_boxed_str());
        self.failed = true;
        self.start = 0;
        self.pos = 0;
        item
    }

    fn accept(&mut self, valid: &str) -> bool {
        if self.next().is_some_and(|rune| valid.contains(rune)) {
            return true;
        }
        self.backup();
        false
    }

    fn accept_run(&mut self, valid: &str) {
        while self.next().is_some_and(|rune| valid.contains(rune)) {}
        self.backup();
    }

    /// Text up to the next action. Comments leave nothing behind, so this loops over them.
    fn text(&mut self) -> Item {
        loop {
            let Some(offset) = find(self.rest(), LEFT_DELIM) else {
                self.pos = self.input.len();
                if self.pos > self.start {
                    self.line += newlines(&self.input[self.start..self.pos]);
                    return self.emit(Kind::Text);
                }
                return self.emit(Kind::Eof);
            };
            if offset > 0 {
                self.pos += offset;
                let mut trim = 0;
                if has_left_trim_marker(&self.input[self.pos + LEFT_DELIM.len()..]) {
                    trim = right_trim_len(&self.input[self.start..self.pos]);
                }
                self.pos -= trim;
                self.line += newlines(&self.input[self.start..self.pos]);
                let item = self.emit(Kind::Text);
                self.pos += trim;
                self.ignore();
                if item.end > item.pos {
                    return item;
                }
            }
            if let Some(item) = self.left_delim() {
                return item;
            }
        }
    }

    /// `{{`, or `None` after a comment.
    fn left_delim(&mut self) -> Option<Item> {
        self.pos += LEFT_DELIM.len();
        let after_marker = if has_left_trim_marker(self.rest()) {
            TRIM_MARKER_LEN
        } else {
            0
        };
        if self.input[self.pos + after_marker..].starts_with(b"/*") {
            self.pos += after_marker;
            self.ignore();
            return self.comment();
        }
        let item = self.emit(Kind::LeftDelim);
        self.inside_action = true;
        self.pos += after_marker;
        self.ignore();
        self.paren_depth = 0;
        Some(item)
    }

    fn comment(&mut self) -> Option<Item> {
        self.pos += 2;
        let Some(end) = find(self.rest(), b"*/") else {
            return Some(self.error("unclosed comment"));
        };
        self.pos += end + 2;
        let Some(trim) = self.at_right_delim() else {
            return Some(self.error("comment ends before closing delimiter"));
        };
        if trim {
            self.pos += TRIM_MARKER_LEN;
        }
        self.pos += RIGHT_DELIM.len();
        if trim {
            self.pos += left_trim_len(self.rest());
        }
        self.ignore();
        None
    }

    /// `Some(trims)` where an action ends here.
    fn at_right_delim(&self) -> Option<bool> {
        let rest = self.rest();
        if has_right_trim_marker(rest) && rest[TRIM_MARKER_LEN..].starts_with(RIGHT_DELIM) {
            return Some(true);
        }
        rest.starts_with(RIGHT_DELIM).then_some(false)
    }

    fn right_delim(&mut self) -> Item {
        let trim = self.at_right_delim() == Some(true);
        if trim {
            self.pos += TRIM_MARKER_LEN;
            self.ignore();
        }
        self.pos += RIGHT_DELIM.len();
        let item = self.emit(Kind::RightDelim);
        if trim {
            self.pos += left_trim_len(self.rest());
            self.ignore();
        }
        self.inside_action = false;
        item
    }

    fn inside_action(&mut self) -> Item {
        if self.at_right_delim().is_some() {
            if self.paren_depth == 0 {
                return self.right_delim();
            }
            return self.error("unclosed left paren");
        }
        let Some(rune) = self.next() else {
            return self.error("unclosed action");
        };
        match rune {
            ' ' | '\t' | '\r' | '\n' => {
                self.backup();
                self.space()
            }
            '=' => self.emit(Kind::Assign),
            ':' => {
                if self.next() == Some('=') {
                    self.emit(Kind::Declare)
                } else {
                    self.error("expected :=")
                }
            }
            '|' => self.emit(Kind::Pipe),
            '"' => self.quoted('"', Kind::String, "unterminated quoted string"),
            '`' => self.raw_quoted(),
            '$' => self.field_or_variable(Kind::Variable),
            '\'' => self.quoted('\'', Kind::CharConstant, "unterminated character constant"),
            '.' if self.pos < self.input.len() && !self.input[self.pos].is_ascii_digit() => {
                self.field_or_variable(Kind::Field)
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.backup();
                self.number()
            }
            _ if is_alphanumeric(rune) => {
                self.backup();
                self.identifier()
            }
            '(' => {
                self.paren_depth += 1;
                self.emit(Kind::LeftParen)
            }
            ')' => {
                if self.paren_depth == 0 {
                    return self.error("unexpected right paren");
                }
                self.paren_depth -= 1;
                self.emit(Kind::RightParen)
            }
            _ if rune.is_ascii() && is_print(rune) => self.emit(Kind::Char),
            _ => self.error(format!(
                "unrecognized character in action: {}",
                describe(rune)
            )),
        }
    }

    /// A run of spaces; a trim marker at its end belongs to the delimiter.
    fn space(&mut self) -> Item {
        let mut spaces = 0;
        while self.peek().is_some_and(is_space) {
            self.next();
            spaces += 1;
        }
        let tail = &self.input[self.pos - 1..];
        if has_right_trim_marker(tail) && tail[TRIM_MARKER_LEN..].starts_with(RIGHT_DELIM) {
            self.backup();
            if spaces == 1 {
                return self.right_delim();
            }
        }
        self.emit(Kind::Space)
    }

    fn identifier(&mut self) -> Item {
        while self.next().is_some_and(is_alphanumeric) {}
        self.backup();
        if !self.at_terminator() {
            return self.bad_character();
        }
        let kind = match &self.input[self.start..self.pos] {
            b"block" => Kind::Keyword(Keyword::Block),
            b"break" if self.break_ok => Kind::Keyword(Keyword::Break),
            b"continue" if self.continue_ok => Kind::Keyword(Keyword::Continue),
            b"define" => Kind::Keyword(Keyword::Define),
            b"else" => Kind::Keyword(Keyword::Else),
            b"end" => Kind::Keyword(Keyword::End),
            b"if" => Kind::Keyword(Keyword::If),
            b"range" => Kind::Keyword(Keyword::Range),
            b"nil" => Kind::Nil,
            b"template" => Kind::Keyword(Keyword::Template),
            b"with" => Kind::Keyword(Keyword::With),
            b"true" | b"false" => Kind::Bool,
            _ => Kind::Identifier,
        };
        self.emit(kind)
    }

    /// `.Name` or `$name`; the first character has been read.
    fn field_or_variable(&mut self, kind: Kind) -> Item {
        if self.at_terminator() {
            return self.emit(if kind == Kind::Variable {
                kind
            } else {
                Kind::Dot
            });
        }
        while self.next().is_some_and(is_alphanumeric) {}
        self.backup();
        if self.at_terminator() {
            self.emit(kind)
        } else {
            self.bad_character()
        }
    }

    fn bad_character(&mut self) -> Item {
        let rune = self.peek().unwrap_or(char::REPLACEMENT_CHARACTER);
        self.error(format!("bad character {}", describe(rune)))
    }

    /// Whether a name may end here.
    fn at_terminator(&mut self) -> bool {
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(_) => self.rest().starts_with(RIGHT_DELIM),
        }
    }

    fn quoted(&mut self, delimiter: char, kind: Kind, unterminated: &str) -> Item {
        loop {
            match self.next() {
                Some('\\') if matches!(self.next(), Some(rune) if rune != '\n') => {}
                None | Some('\\' | '\n') => return self.error(unterminated),
                Some(rune) if rune == delimiter => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    fn raw_quoted(&mut self) -> Item {
        loop {
            match self.next() {
                None => return self.error("unterminated raw quoted string"),
                Some('`') => return self.emit(Kind::RawString),
                Some(_) => {}
            }
        }
    }

    /// A number, roughly: the parser decides.
    fn number(&mut self) -> Item {
        if !self.scan_number() {
            return self.bad_number();
        }
        if matches!(self.peek(), Some('+' | '-')) {
            // Complex, such as 1+2i: no spaces, and an i at the end.
            if !self.scan_number() || self.input[self.pos - 1] != b'i' {
                return self.bad_number();
            }
            return self.emit(Kind::Complex);
        }
        self.emit(Kind::Number)
    }

    fn bad_number(&mut self) -> Item {
        let quoted = quote(&self.input[self.start..self.pos]);
        self.error(format!(
            "bad number syntax: {}",
            String::from_utf8_lossy(&quoted)
        ))
    }

    fn scan_number(&mut self) -> bool {
        const DECIMAL: &str = "0123456789_";
        const HEX: &str = "0123456789abcdefABCDEF_";
        self.accept("+-");
        let mut digits = DECIMAL;
        if self.accept("0") {
            if self.accept("xX") {
                digits = HEX;
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        if digits == DECIMAL && self.accept("eE") || digits == HEX && self.accept("pP") {
            self.accept("+-");
            self.accept_run(DECIMAL);
        }
        self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }
}

/// `%#U`: `U+0040 '@'`.
fn describe(rune: char) -> String {
    let code = format!("U+{:04X}", u32::from(rune));
    if is_print(rune) {
        format!("{code} '{rune}'")
    } else {
        code
    }
}

fn is_space(rune: char) -> bool {
    matches!(rune, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(rune: char) -> bool {
    rune == '_' || is_letter(rune) || is_digit(rune)
}

fn is_space_byte(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn has_left_trim_marker(text: &[u8]) -> bool {
    matches!(text, [b'-', space, ..] if is_space_byte(*space))
}

fn has_right_trim_marker(text: &[u8]) -> bool {
    matches!(text, [space, b'-', ..] if is_space_byte(*space))
}

fn right_trim_len(text: &[u8]) -> usize {
    text.iter()
        .rev()
        .take_while(|byte| is_space_byte(**byte))
        .count()
}

fn left_trim_len(text: &[u8]) -> usize {
    text.iter().take_while(|byte| is_space_byte(**byte)).count()
}

fn newlines(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count()
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, what)
}

#[cfg(test)]
mod tests;
