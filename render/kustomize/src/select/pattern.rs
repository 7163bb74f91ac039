//! Regular expressions as Go reads them, for the `regex` crate.

use std::fmt::Write;

use regex::{Regex, RegexBuilder};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::MAX_PATTERN_BYTES;

/// Compiles an expression in Go's syntax.
pub(crate) fn compile(pattern: &str) -> Result<Regex> {
    let built = RegexBuilder::new(&translate(pattern))
        .size_limit(MAX_PATTERN_BYTES)
        .build();
    built.map_err(|e| match e {
        regex::Error::CompiledTooBig(limit) => Error::new(
            ErrorKind::Limit,
            format!(
                "compile pattern `{pattern}`: it needs more than {limit} bytes; make it smaller"
            ),
        ),
        _ => Error::invalid(format!(
            "error parsing regexp: `{pattern}`: {}",
            last_line(&e.to_string())
        )),
    })
}

fn last_line(text: &str) -> String {
    text.lines()
        .last()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned()
}

/// Go's classes are ASCII, a brace that opens no count stands for itself, and brackets within a class mean nothing special.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.char_indices().peekable();
    let mut class_start: Option<usize> = None;
    let last_name = pattern.rfind(":]");
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                let Some((_, escaped)) = chars.next() else {
                    out.push('\\');
                    break;
                };
                push_escape(&mut out, escaped, class_start.is_some());
                if class_start.is_some()
                    && matches!(escaped, 'd' | 'w' | 's' | 'D' | 'W' | 'S')
                    && chars.peek().is_some_and(|(_, n)| *n == '-')
                {
                    chars.next();
                    out.push_str("\\-");
                }
            }
            '[' if class_start.is_none() => {
                class_start = Some(at);
                out.push('[');
                if chars.next_if(|(_, n)| *n == '^').is_some() {
                    out.push('^');
                }
                if chars.next_if(|(_, n)| *n == ']').is_some() {
                    out.push_str("\\]");
                }
            }
            '[' => {
                let rest = &pattern[at..];
                let named = rest.starts_with("[:") && last_name.is_some_and(|end| end > at);
                match named.then(|| rest.find(":]")).flatten() {
                    Some(end) => {
                        out.push_str(&rest[..end + 2]);
                        while chars.next_if(|(i, _)| *i < at + end + 2).is_some() {}
                    }
                    None => out.push_str("\\["),
                }
            }
            ']' if class_start.is_some() => {
                class_start = None;
                out.push(']');
            }
            '&' | '~' if class_start.is_some() => {
                out.push('\\');
                out.push(c);
            }
            '-' if class_start.is_some() && chars.peek().is_some_and(|(_, n)| *n == '-') => {
                out.push_str("\\-")
            }
            '{' if class_start.is_none() && !opens_count(&pattern[at..]) => out.push_str("\\{"),
            '}' if class_start.is_none() && !closes_count(&pattern[..at]) => out.push_str("\\}"),
            _ => out.push(c),
        }
    }
    out
}

fn push_escape(out: &mut String, escaped: char, in_class: bool) {
    let class = match escaped {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        's' => "\\t\\n\\x0C\\r ",
        'D' if !in_class => "^0-9",
        'W' if !in_class => "^0-9A-Za-z_",
        'S' if !in_class => "^\\t\\n\\x0C\\r ",
        'b' | 'B' if !in_class => {
            let _ = write!(out, "(?-u:\\{escaped})");
            return;
        }
        'z' => {
            out.push_str("\\z");
            return;
        }
        _ => {
            out.push('\\');
            out.push(escaped);
            return;
        }
    };
    if in_class {
        out.push_str(class);
    } else {
        let _ = write!(out, "[{class}]");
    }
}

/// Whether a text that starts with `{` starts with a count such as `{2}`, `{2,}` or `{2,3}`. Nothing behind the count is looked at, since an
/// expression may have many braces.
fn opens_count(text: &str) -> bool {
    let inner = &text[1..];
    let length = inner.bytes().take_while(is_of_count).count();
    inner[length..].starts_with('}') && is_count(&inner[..length])
}

/// Whether a text ends with a count that lacks nothing but its `}`.
fn closes_count(before: &str) -> bool {
    let length = before.bytes().rev().take_while(is_of_count).count();
    let (outer, inner) = before.split_at(before.len() - length);
    outer.ends_with('{') && is_count(inner)
}

fn is_of_count(byte: &u8) -> bool {
    byte.is_ascii_digit() || *byte == b','
}

fn is_count(inner: &str) -> bool {
    let (low, high) = inner.split_once(',').unwrap_or((inner, ""));
    !low.is_empty() && !high.contains(',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_of_brackets_is_read_once() {
        for braces in [
            "{".repeat(1 << 20),
            "}".repeat(1 << 20),
            "{1".repeat(1 << 20),
            "[".to_owned() + &"[:".repeat(1 << 20),
        ] {
            assert!(translate(&braces).len() > braces.len());
        }
    }

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(
                compile(pattern).unwrap().is_match(text),
                expected,
                "{pattern} {text}"
            )
        };
        check(r"^[\w-\.]+$", "a-b.c", true);
        check(r"^\d+$", "12", true);
        check(r"^\d$", "\u{0663}", false);
        check("^a{2}$", "aa", true);
        check("^a{x}$", "a{x}", true);
        check("^a}$", "a}", true);
        check("^[[a]$", "[", true);
        check("^[]a]$", "]", true);
        check("^[[:alpha:]]$", "b", true);
        check("^[a&&b]+$", "&", true);
        check(r"^(?:web|db)$", "web", true);
    }

    #[test]
    fn wrong_patterns_are_errors() {
        assert!(
            compile("a(")
                .unwrap_err()
                .to_string()
                .starts_with("error parsing regexp")
        );
        assert_eq!(
            compile("((a{100}){100}){100}").unwrap_err().kind(),
            ErrorKind::Limit
        );
    }
}
