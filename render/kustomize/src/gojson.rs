//! JSON text as Go's `encoding/json` writes it: sorted keys, escapes that are safe in HTML, its number format.

use std::fmt::Write;

use serde_json::Value;

/// A value on one line, without spaces.
pub(crate) fn to_string(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, None);
    out
}

/// A value with two spaces for each level.
pub(crate) fn to_string_indented(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, Some(0));
    out
}

fn write(out: &mut String, value: &Value, level: Option<usize>) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => out.push_str(&go_float(float)),
            None => {
                let _ = write!(out, "{number}");
            }
        },
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            let inner = level.map(|l| l + 1);
            write_all(out, ('[', ']'), level, items.iter(), |out, item| {
                write(out, item, inner)
            });
        }
        Value::Object(map) => {
            let inner = level.map(|l| l + 1);
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            write_all(
                out,
                ('{', '}'),
                level,
                entries.into_iter(),
                |out, (key, value)| {
                    write_string(out, key);
                    out.push_str(if level.is_some() { ": " } else { ":" });
                    write(out, value, inner);
                },
            );
        }
    }
}

fn write_all<T>(
    out: &mut String,
    (open, close): (char, char),
    level: Option<usize>,
    items: impl ExactSizeIterator<Item = T>,
    mut each: impl FnMut(&mut String, T),
) {
    out.push(open);
    let is_empty = items.len() == 0;
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(',');
        }
        if let Some(level) = level {
            let _ = write!(out, "\n{:1$}", "", 2 * (level + 1));
        }
        each(out, item);
    }
    if let (Some(level), false) = (level, is_empty) {
        let _ = write!(out, "\n{:1$}", "", 2 * level);
    }
    out.push(close);
}

/// A text in quotes.
pub(crate) fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Plain digits between 1e-6 and 1e21, an exponent outside.
fn go_float(float: f64) -> String {
    let magnitude = float.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{float:e}");
        return match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                format!("{digits}e+{exponent}")
            }
            _ => text,
        };
    }
    format!("{float}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn as_go_writes_it() {
        let value =
            json!({"b": [1, 2.5, 1e21, 1e-7, 1e20, 1.0], "a": "<&>\u{2028}\u{1}\"", "c": {}});
        assert_eq!(
            to_string(&value),
            r#"{"a":"\u003c\u0026\u003e\u2028\u0001\"","b":[1,2.5,1e+21,1e-7,100000000000000000000,1],"c":{}}"#
        );
        assert_eq!(
            to_string_indented(&json!({"a": [1], "b": []})),
            "{\n  \"a\": [\n    1\n  ],\n  \"b\": []\n}"
        );
    }
}
