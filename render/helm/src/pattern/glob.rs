//! The globs of `.Files.Glob`: `*` stays within a path segment, `**` crosses segments, `{a,b}` are alternatives.
//!
//! The language is that of Go's `gobwas/glob` with `/` as separator. A pattern becomes a regular expression, so matching takes linear time.

use regex::bytes::Regex;

/// The longest pattern, in bytes: beyond it compiling would cost more than any chart needs.
const MAX_PATTERN_BYTES: usize = 4096;
/// How deep `{…}` may nest: more has no use, and the regular expression stays small.
const MAX_NESTING: usize = 16;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) struct Glob(Regex);

impl Glob {
    /// Compiles a pattern; `None` if it is malformed.
    pub(crate) fn parse(pattern: &str) -> Option<Self> {
        if pattern.len() > MAX_PATTERN_BYTES {
            return None;
        }
        let expression = Translator {
            chars: pattern.chars().peekable(),
            out: String::from(r"(?s)\A(?:"),
            depth: 0,
        }
        .run()?;
        Regex::new(&expression).ok().map(Self)
    }

    /// Whether the whole path matches.
    pub(crate) fn matches(&self, path: &str) -> bool {
        self.0.is_match(path.as_bytes())
    }
}

struct Translator<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    out: String,
    depth: usize,
}

impl Translator<'_> {
    fn run(mut self) -> Option<String> {
        while let Some(c) = self.chars.next() {
            match c {
                // Go's reader takes a zero character for the end of the pattern.
                '\0' => break,
                '{' => {
                    self.depth += 1;
                    if self.depth > MAX_NESTING {
                        return None;
                    }
                    self.out.push_str("(?:");
                }
                ',' if self.depth > 0 => self.out.push('|'),
                '}' if self.depth > 0 => {
                    self.depth -= 1;
                    self.out.push(')');
                }
                '[' => self.class()?,
                '?' => self.out.push_str("[^/]"),
                '*' if self.chars.next_if_eq(&'*').is_some() => self.out.push_str(".*"),
                '*' => self.out.push_str("[^/]*"),
                '\\' => {
                    if let Some(escaped) = self.chars.next() {
                        self.literal(escaped);
                    }
                }
                _ => self.literal(c),
            }
        }
        // An alternative that is not closed ends with the pattern.
        for _ in 0..self.depth {
            self.out.push(')');
        }
        self.out.push_str(r")\z");
        Some(self.out)
    }

    fn literal(&mut self, c: char) {
        self.out
            .push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }

    /// `[a-z]`, `[!a-z]`, `[abc]` or `[!abc]`; a range stands alone.
    fn class(&mut self) -> Option<()> {
        let negated = self.chars.next_if_eq(&'!').is_some();
        let first = self.chars.next()?;
        let mut class = String::new();
        if self.chars.next_if_eq(&'-').is_some() {
            let last = self.chars.next()?;
            if last < first || self.chars.next()? != ']' {
                return None;
            }
            push_class_char(&mut class, first);
            class.push('-');
            push_class_char(&mut class, last);
        } else {
            let mut next = first;
            while next != ']' {
                let member = if next == '\\' {
                    self.chars.next()?
                } else {
                    next
                };
                push_class_char(&mut class, member);
                next = self.chars.next()?;
            }
            if class.is_empty() {
                return None;
            }
        }
        self.out.push_str(if negated { "[^" } else { "[" });
        self.out.push_str(&class);
        self.out.push(']');
        Some(())
    }
}

fn push_class_char(class: &mut String, c: char) {
    use std::fmt::Write as _;
    let _ = write!(class, r"\x{{{:x}}}", u32::from(c));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let glob = Glob::parse(pattern).unwrap();
        for path in yes {
            assert!(glob.matches(path), "{pattern} should match {path}");
        }
        for path in no {
            assert!(!glob.matches(path), "{pattern} should not match {path}");
        }
    }

    #[test]
    fn stars_and_segments() {
        check("*", &["a", "README.md"], &["a/b", "conf/"]);
        check("**", &["a", "a/b/c", ""], &[]);
        check("conf/*", &["conf/a.txt"], &["conf/b/a.txt", "conf"]);
        check("conf/**", &["conf/a.txt", "conf/b/a.txt"], &["other/a"]);
        check("**.yaml", &["a.yaml", "a/b.yaml"], &["a.yml"]);
        check("ab*ef", &["abef", "abcdef"], &["ab/ef"]);
        check("a?c", &["abc", "aéc"], &["a/c", "ac"]);
        check("conf/**/x", &["conf/a/x", "conf/a/b/x"], &["conf/x"]);
    }

    #[test]
    fn alternatives_and_classes() {
        check("{a,b}.txt", &["a.txt", "b.txt"], &["c.txt"]);
        check("x{a,{b,c}*}", &["xa", "xb1", "xc"], &["xd"]);
        check("{foo,}bar", &["foobar", "bar"], &["xbar"]);
        check("[abc]x", &["ax", "cx"], &["dx"]);
        check("[!abc]x", &["dx"], &["ax"]);
        check("[a-c]x", &["bx"], &["dx"]);
        check("[!a-c]x", &["dx"], &["bx"]);
        check("a,b}", &["a,b}"], &["a"]);
        check(r"\*\{a", &["*{a"], &["x{a"]);
        check("a.b+c", &["a.b+c"], &["axb+c", "a.bbc"]);
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in ["[", "[a", "[]", "[z-a]", "[a-cd]", "[!]"] {
            assert!(Glob::parse(pattern).is_none(), "{pattern}");
        }
        assert!(Glob::parse(&"{".repeat(17)).is_none());
    }
}
