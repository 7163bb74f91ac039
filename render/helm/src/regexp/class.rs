//! Character classes and escapes, written as plain ranges.

use std::fmt::Write as _;

use super::error::{
    INVALID_ESCAPE, INVALID_RANGE, MISSING_BRACKET, RegexpError, TRAILING_BACKSLASH,
};

/// Inclusive ranges of characters.
type Ranges = &'static [(char, char)];

const DIGIT: Ranges = &[('0', '9')];
const SPACE: Ranges = &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')];
const WORD: Ranges = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

/// `[:name:]` classes, all ASCII.
const POSIX: [(&str, Ranges); 14] = [
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7f')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1f'), ('\x7f', '\x7f')]),
    ("digit", DIGIT),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", WORD),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];

/// A position in the pattern and what has been written so far.
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a str,
    pub(super) out: String,
}

impl<'a> Cursor<'a> {
    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// What was read since `from`.
    pub(super) fn since(&self, from: &'a str) -> &'a str {
        &from[..from.len() - self.rest.len()]
    }

    /// A character that stands for itself, inside a class or outside.
    pub(super) fn literal(&mut self, c: char) {
        if c.is_alphanumeric() {
            self.out.push(c);
        } else {
            let _ = write!(self.out, r"\x{{{:x}}}", u32::from(c));
        }
    }

    fn ranges(&mut self, ranges: &[(char, char)]) {
        for (low, high) in ranges {
            self.literal(*low);
            self.out.push('-');
            self.literal(*high);
        }
    }

    /// Everything outside the ranges, which are in order.
    fn ranges_negated(&mut self, ranges: &[(char, char)]) {
        let mut from = '\0';
        for (low, high) in ranges {
            if let Some(before) =
                char::from_u32(u32::from(*low).wrapping_sub(1)).filter(|before| from <= *before)
            {
                self.ranges(&[(from, before)]);
            }
            from = char::from_u32(u32::from(*high) + 1).unwrap_or(char::MAX);
        }
        self.ranges(&[(from, char::MAX)]);
    }

    fn set(&mut self, ranges: &[(char, char)], negated: bool) {
        if negated {
            self.ranges_negated(ranges)
        } else {
            self.ranges(ranges)
        }
    }

    /// `\d` and its like, or `\pL`, if one starts here. Outside a class it needs brackets around.
    pub(super) fn named_class(&mut self) -> Result<bool, RegexpError> {
        let mut chars = self.rest.chars();
        let (Some('\\'), Some(letter)) = (chars.next(), chars.next()) else {
            return Ok(false);
        };
        let ranges = match letter.to_ascii_lowercase() {
            'd' => DIGIT,
            's' => SPACE,
            'w' => WORD,
            'p' => return self.unicode_class(letter == 'P').map(|()| true),
            _ => return Ok(false),
        };
        self.rest = chars.as_str();
        self.set(ranges, letter.is_ascii_uppercase());
        Ok(true)
    }

    fn unicode_class(&mut self, upper: bool) -> Result<(), RegexpError> {
        let from = self.rest;
        self.rest = &self.rest[2..];
        let name = match self.bump() {
            Some('{') => {
                let Some((name, rest)) = self.rest.split_once('}') else {
                    return Err(RegexpError::new(INVALID_RANGE, from));
                };
                self.rest = rest;
                name
            }
            Some(letter) => &from[2..2 + letter.len_utf8()],
            None => return Err(RegexpError::new(INVALID_RANGE, from)),
        };
        let (name, caret) = name
            .strip_prefix('^')
            .map_or((name, false), |name| (name, true));
        if name == "Any" {
            let negated = upper != caret;
            // Nothing is outside of everything, which a range cannot say.
            self.out.push_str(if negated {
                r"[^\x{0}-\x{10ffff}]"
            } else {
                r"\x{0}-\x{10ffff}"
            });
            return Ok(());
        }
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(RegexpError::new(INVALID_RANGE, self.since(from)));
        }
        let class = format!(r"\{}{{{name}}}", if upper != caret { 'P' } else { 'p' });
        if regex::Regex::new(&class).is_err() {
            return Err(RegexpError::new(INVALID_RANGE, self.since(from)));
        }
        self.out.push_str(&class);
        Ok(())
    }

    /// A class with its brackets.
    pub(super) fn class(&mut self) -> Result<(), RegexpError> {
        let from = self.rest;
        self.bump();
        self.out.push('[');
        if self.peek() == Some('^') {
            self.bump();
            self.out.push('^');
        }
        let mut first = true;
        loop {
            match self.peek() {
                None => return Err(RegexpError::new(MISSING_BRACKET, from)),
                Some(']') if !first => break,
                Some(_) => {}
            }
            first = false;
            if !self.posix_class()? && !self.named_class()? {
                self.range(from)?;
            }
        }
        self.bump();
        self.out.push(']');
        Ok(())
    }

    fn posix_class(&mut self) -> Result<bool, RegexpError> {
        let Some((name, rest)) = self
            .rest
            .strip_prefix("[:")
            .and_then(|rest| rest.split_once(":]"))
        else {
            return Ok(false);
        };
        let (plain, negated) = name
            .strip_prefix('^')
            .map_or((name, false), |name| (name, true));
        let Some((_, ranges)) = POSIX.iter().find(|(known, _)| *known == plain) else {
            return Err(RegexpError::new(
                INVALID_RANGE,
                &self.rest[..name.len() + 4],
            ));
        };
        self.rest = rest;
        self.set(ranges, negated);
        Ok(true)
    }

    /// One character, or two with a hyphen between.
    fn range(&mut self, class: &'a str) -> Result<(), RegexpError> {
        let from = self.rest;
        let low = self.class_char(class)?;
        let mut ahead = self.rest.chars();
        if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
            self.bump();
            let high = self.class_char(class)?;
            if high < low {
                return Err(RegexpError::new(INVALID_RANGE, self.since(from)));
            }
            self.ranges(&[(low, high)]);
        } else {
            self.literal(low);
        }
        Ok(())
    }

    fn class_char(&mut self, class: &'a str) -> Result<char, RegexpError> {
        match self.peek() {
            None => Err(RegexpError::new(MISSING_BRACKET, class)),
            Some('\\') => self.escaped_char(),
            Some(c) => {
                self.bump();
                Ok(c)
            }
        }
    }

    /// An escape that stands for one character.
    pub(super) fn escaped_char(&mut self) -> Result<char, RegexpError> {
        let from = self.rest;
        self.bump();
        let Some(c) = self.bump() else {
            return Err(RegexpError::new(TRAILING_BACKSLASH, ""));
        };
        let code = match c {
            // A single digit would be a back reference.
            '1'..='7' if !self.peek().is_some_and(|next| ('0'..='7').contains(&next)) => None,
            '0'..='7' => Some(self.octal(c)),
            'x' => self.hex(),
            'a' => Some(7),
            'f' => Some(0xc),
            'n' => Some(0xa),
            'r' => Some(0xd),
            't' => Some(9),
            'v' => Some(0xb),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
            _ => None,
        };
        code.and_then(char::from_u32)
            .ok_or_else(|| RegexpError::new(INVALID_ESCAPE, self.since(from)))
    }

    fn octal(&mut self, first: char) -> u32 {
        let mut value = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else {
                break;
            };
            value = value * 8 + digit;
            self.bump();
        }
        value
    }

    fn hex(&mut self) -> Option<u32> {
        if self.peek() == Some('{') {
            let (digits, rest) = self.rest[1..].split_once('}')?;
            let value = u32::from_str_radix(digits, 16)
                .ok()
                .filter(|_| !digits.starts_with('+'))?;
            self.rest = rest;
            return Some(value);
        }
        let high = self.bump()?.to_digit(16)?;
        let low = self.bump()?.to_digit(16)?;
        Some(high * 16 + low)
    }
}
