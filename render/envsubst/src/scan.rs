//! Tokens: a cursor over the text that reads as much as a rule accepts.

/// What a scan found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Token {
    End,
    /// `${`
    Open,
    /// `}`
    Close,
    /// What the rule accepts.
    Text(String),
    Illegal,
}

/// What to look for besides the text that the rule accepts.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mode {
    pub(crate) text: bool,
    pub(crate) open: bool,
    pub(crate) close: bool,
    /// `$$` stands for `$`.
    pub(crate) dollar_escape: bool,
    /// `\/` and `\\` stand for their second character.
    pub(crate) backslash_escape: bool,
}

/// Whether the character belongs to the text. The second argument is the length of the text with it, in bytes.
pub(crate) type Accept = fn(char, usize) -> bool;

pub(crate) struct Scanner<'t> {
    rest: &'t str,
}

impl<'t> Scanner<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Scanner { rest: text }
    }

    /// The next character. A NUL ends the text, as in Flux.
    pub(crate) fn peek(&self) -> Option<char> {
        self.rest.chars().next().filter(|c| *c != '\0')
    }

    /// The character after the next.
    pub(crate) fn peek_second(&self) -> Option<char> {
        self.rest.chars().nth(1).filter(|c| *c != '\0')
    }

    pub(crate) fn scan(&mut self, accept: Accept, mode: Mode) -> Token {
        let Some(c) = self.peek() else {
            return Token::End;
        };
        if mode.open && self.rest.starts_with("${") {
            self.rest = &self.rest[2..];
            return Token::Open;
        }
        if mode.close && c == '}' {
            self.rest = &self.rest[1..];
            return Token::Close;
        }
        if mode.text {
            self.text(accept, mode)
        } else {
            Token::Illegal
        }
    }

    fn text(&mut self, accept: Accept, mode: Mode) -> Token {
        let mut text = String::new();
        while let Some(c) = self.peek() {
            // Only the first character may be the "$" of "${", and scan() has looked at that.
            if mode.open && self.rest.starts_with("${") {
                break;
            }
            if let Some(escaped) = self.escaped(mode) {
                text.push(escaped);
                self.rest = &self.rest[2..];
                continue;
            }
            if !accept(c, text.len() + c.len_utf8()) {
                break;
            }
            text.push(c);
            self.rest = &self.rest[c.len_utf8()..];
        }
        if text.is_empty() {
            Token::Illegal
        } else {
            Token::Text(text)
        }
    }

    fn escaped(&self, mode: Mode) -> Option<char> {
        match self.rest.as_bytes() {
            [b'$', b'$', ..] if mode.dollar_escape => Some('$'),
            [b'\\', b'/', ..] if mode.backslash_escape => Some('/'),
            [b'\\', b'\\', ..] if mode.backslash_escape => Some('\\'),
            _ => None,
        }
    }
}
