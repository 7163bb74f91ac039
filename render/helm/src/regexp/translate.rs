//! The pattern as a whole: groups, repetitions, anchors.

use super::class::Cursor;
use super::error::{
    INVALID_ESCAPE, INVALID_NAMED, INVALID_PERL, INVALID_REPEAT, INVALID_REPEAT_SIZE,
    MISSING_ARGUMENT, MISSING_PAREN, RegexpError, TOO_DEEP, TRAILING_BACKSLASH, UNEXPECTED_PAREN,
};

/// Go's limit on `{n,m}`.
const MAX_REPEAT: u32 = 1000;
/// How deep groups may nest; Go stops at 1,000, the other engine at 250.
const MAX_NESTING: usize = 200;

/// Writes a Go pattern in the syntax of the `regex` crate.
///
/// # Errors
/// When Go would not take the pattern.
pub fn translate(pattern: &str) -> Result<String, RegexpError> {
    Translator {
        cursor: Cursor {
            rest: pattern,
            out: String::with_capacity(pattern.len() + 16),
        },
        pattern,
        depth: 0,
        last: Last::Nothing,
        names: Vec::new(),
    }
    .run()
}

/// What stands before the current position: a repetition needs something to repeat.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Atom,
    Repetition,
}

struct Translator<'a> {
    cursor: Cursor<'a>,
    pattern: &'a str,
    depth: usize,
    last: Last,
    /// Names of groups so far.
    names: Vec<&'a str>,
}

impl<'a> Translator<'a> {
    fn run(mut self) -> Result<String, RegexpError> {
        // Where the last repetition began: Go shows both operators when one follows another.
        let mut repetition = "";
        while let Some(c) = self.cursor.peek() {
            let before = self.cursor.rest;
            match c {
                '(' => self.open()?,
                ')' => {
                    self.cursor.bump();
                    if self.depth == 0 {
                        return Err(RegexpError::new(UNEXPECTED_PAREN, self.pattern));
                    }
                    self.depth -= 1;
                    self.plain(')', Last::Atom);
                }
                '|' => {
                    self.cursor.bump();
                    self.plain('|', Last::Nothing);
                }
                '^' | '$' | '.' => {
                    self.cursor.bump();
                    self.plain(c, Last::Atom);
                }
                '[' => {
                    self.cursor.class()?;
                    self.last = Last::Atom;
                }
                '*' | '+' | '?' => {
                    self.cursor.bump();
                    self.repeat(&c.to_string(), before, &mut repetition)?;
                }
                '{' => match self.counts()? {
                    Some(counts) => self.repeat(&counts, before, &mut repetition)?,
                    None => {
                        self.cursor.bump();
                        self.literal(c);
                    }
                },
                '\\' => self.escape()?,
                _ => {
                    self.cursor.bump();
                    self.literal(c);
                }
            }
        }
        if self.depth > 0 {
            Err(RegexpError::new(MISSING_PAREN, self.pattern))
        } else {
            Ok(self.cursor.out)
        }
    }

    fn plain(&mut self, c: char, last: Last) {
        self.cursor.out.push(c);
        self.last = last;
    }

    fn literal(&mut self, c: char) {
        self.cursor.literal(c);
        self.last = Last::Atom;
    }

    fn repeat(
        &mut self,
        operator: &str,
        from: &'a str,
        repetition: &mut &'a str,
    ) -> Result<(), RegexpError> {
        let mut lazy = "";
        if self.cursor.peek() == Some('?') {
            self.cursor.bump();
            lazy = "?";
        }
        match self.last {
            Last::Nothing => {
                return Err(RegexpError::new(MISSING_ARGUMENT, self.cursor.since(from)));
            }
            Last::Repetition => {
                return Err(RegexpError::new(
                    INVALID_REPEAT,
                    self.cursor.since(repetition),
                ));
            }
            Last::Atom => {}
        }
        *repetition = from;
        self.cursor.out.push_str(operator);
        self.cursor.out.push_str(lazy);
        self.last = Last::Repetition;
        Ok(())
    }

    /// `{n}`, `{n,}` or `{n,m}`, if that is what stands here.
    fn counts(&mut self) -> Result<Option<String>, RegexpError> {
        let Some((inside, rest)) = self.cursor.rest[1..].split_once('}') else {
            return Ok(None);
        };
        let (low, high) = inside
            .split_once(',')
            .map_or((inside, None), |(low, high)| (low, Some(high)));
        let number = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_digit())
                && (text == "0" || !text.starts_with('0'))
        };
        if !number(low) || high.is_some_and(|high| !high.is_empty() && !number(high)) {
            return Ok(None);
        }
        let value = |text: &str| {
            text.parse::<u32>()
                .ok()
                .filter(|value| *value <= MAX_REPEAT)
        };
        let ordered = match high {
            None | Some("") => value(low).is_some(),
            Some(high) => value(low)
                .zip(value(high))
                .is_some_and(|(low, high)| low <= high),
        };
        if !ordered {
            return Err(RegexpError::new(
                INVALID_REPEAT_SIZE,
                &self.cursor.rest[..inside.len() + 2],
            ));
        }
        self.cursor.rest = rest;
        Ok(Some(format!("{{{inside}}}")))
    }

    fn open(&mut self) -> Result<(), RegexpError> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(RegexpError::new(TOO_DEEP, self.pattern));
        }
        let from = self.cursor.rest;
        self.last = Last::Nothing;
        let Some(rest) = from.strip_prefix("(?") else {
            self.cursor.bump();
            self.cursor.out.push('(');
            return Ok(());
        };
        if let Some(named) = rest.strip_prefix("P<").or_else(|| rest.strip_prefix('<')) {
            let Some((name, after)) = named.split_once('>') else {
                return Err(RegexpError::new(INVALID_NAMED, from));
            };
            self.cursor.rest = after;
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err(RegexpError::new(INVALID_NAMED, self.cursor.since(from)));
            }
            // Go lets several groups have one name; the first one keeps it here.
            if self.names.contains(&name) {
                self.cursor.out.push('(');
                return Ok(());
            }
            self.names.push(name);
            // The other engine wants names that do not start with a digit; such names can only be used through templates of `Expand`.
            let prefix = if name.starts_with(|c: char| c.is_ascii_digit()) {
                "_"
            } else {
                ""
            };
            self.cursor.out.push_str(&format!("(?P<{prefix}{name}>"));
            return Ok(());
        }
        self.flags(from, rest)
    }

    /// `(?i)` and `(?i:`; flags set alone open no group.
    fn flags(&mut self, from: &'a str, rest: &'a str) -> Result<(), RegexpError> {
        let end = rest.find(|c: char| !matches!(c, 'i' | 'm' | 's' | 'U' | '-'));
        let bad =
            |length: usize| RegexpError::new(INVALID_PERL, from.get(..length).unwrap_or(from));
        let Some(end) = end else {
            return Err(RegexpError::new(MISSING_PAREN, self.pattern));
        };
        let flags = &rest[..end];
        let close = rest[end..].chars().next().unwrap_or_default();
        let misplaced = flags.matches('-').count() > 1
            || flags.ends_with('-')
            || (flags.is_empty() && close == ')');
        if misplaced || !matches!(close, ')' | ':') {
            return Err(bad(2 + end + close.len_utf8()));
        }
        self.cursor.rest = &rest[end + 1..];
        self.cursor.out.push_str("(?");
        self.cursor.out.push_str(flags);
        self.cursor.out.push(close);
        if close == ')' {
            self.depth -= 1;
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), RegexpError> {
        let from = self.cursor.rest;
        let Some(letter) = from[1..].chars().next() else {
            return Err(RegexpError::new(TRAILING_BACKSLASH, ""));
        };
        let anchor = match letter {
            'A' => r"\A",
            'z' => r"\z",
            'b' => r"(?-u:\b)",
            'B' => r"(?-u:\B)",
            'Q' => {
                let text = &from[2..];
                let (quoted, rest) = text.split_once(r"\E").unwrap_or((text, ""));
                self.cursor.rest = rest;
                quoted.chars().for_each(|c| self.literal(c));
                return Ok(());
            }
            'C' => return Err(RegexpError::new(INVALID_ESCAPE, r"\C")),
            _ => "",
        };
        if !anchor.is_empty() {
            self.cursor.rest = &from[2..];
            self.cursor.out.push_str(anchor);
            self.last = Last::Atom;
            return Ok(());
        }
        let mark = self.cursor.out.len();
        self.cursor.out.push('[');
        if self.cursor.named_class()? {
            self.cursor.out.push(']');
            self.last = Last::Atom;
            return Ok(());
        }
        self.cursor.out.truncate(mark);
        let c = self.cursor.escaped_char()?;
        self.literal(c);
        Ok(())
    }
}
