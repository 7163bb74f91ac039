//! Values to JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use capstan_gotemplate::strconv::{FloatFormat, append_float, decode_rune, push_rune};
use capstan_gotemplate::{Ctx, FloatKind, LimitError, Value};

use super::super::value::Result;

/// How JSON is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// One line, `<`, `>` and `&` escaped.
    Escaped,
    /// One line, nothing escaped that need not be.
    Raw,
    /// Two spaces a level, `<`, `>` and `&` escaped.
    Indented,
}

/// Go's limit on nesting that is not a cycle is the stack; here it is this.
const MAX_DEPTH: usize = 1_000;

/// `json.Marshal`. The inner error is Go's text about a value that JSON has no form for.
pub(crate) fn write(
    ctx: &mut Ctx<'_>,
    value: &Value,
    style: Style,
) -> Result<std::result::Result<Vec<u8>, String>> {
    let mut writer = Writer {
        out: Vec::new(),
        style,
        depth: 0,
        max_len: ctx.values_left(),
    };
    match writer.value(value) {
        Ok(()) => Ok(Ok(writer.out)),
        Err(Failure::Unsupported(message)) => Ok(Err(message)),
        Err(Failure::Limit(limit)) => Err(limit.into()),
    }
}

enum Failure {
    Unsupported(String),
    Limit(LimitError),
}

struct Writer {
    out: Vec<u8>,
    style: Style,
    depth: usize,
    max_len: usize,
}

impl Writer {
    fn value(&mut self, value: &Value) -> std::result::Result<(), Failure> {
        if self.out.len() > self.max_len {
            return Err(Failure::Limit(LimitError::Values(self.max_len as u64)));
        }
        match value {
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::Bool(yes) => self
                .out
                .extend_from_slice(if *yes { b"true" } else { b"false" }),
            Value::Int(_, number) => self.out.extend_from_slice(number.to_string().as_bytes()),
            Value::Uint(_, number) => self.out.extend_from_slice(number.to_string().as_bytes()),
            Value::Float(kind, number) => self.float(*number, *kind == FloatKind::Float32)?,
            Value::String(text) => self.string(text.as_bytes()),
            Value::Bytes(bytes) => {
                self.out.push(b'"');
                self.out
                    .extend_from_slice(STANDARD.encode(bytes).as_bytes());
                self.out.push(b'"');
            }
            Value::List(list) if list.is_nil() => self.out.extend_from_slice(b"null"),
            Value::List(list) => {
                self.group(b"[]", list.items(), |writer, item| writer.value(item))?
            }
            Value::Map(map) if map.is_nil() => self.out.extend_from_slice(b"null"),
            Value::Map(map) => {
                let entries = map.entries();
                self.group(b"{}", &entries, |writer, (key, value)| {
                    writer.entry(key.as_bytes(), value)
                })?;
            }
            Value::Object(object) => match object.json() {
                Some(json) => self.value(&json)?,
                None => {
                    let fields = object.fields();
                    self.group(b"{}", &fields, |writer, (name, value)| {
                        writer.entry(name.as_bytes(), value)
                    })?;
                }
            },
            Value::Complex(_) | Value::Func(_) => {
                return Err(Failure::Unsupported(format!(
                    "json: unsupported type: {}",
                    value.type_name()
                )));
            }
        }
        Ok(())
    }

    fn entry(&mut self, key: &[u8], value: &Value) -> std::result::Result<(), Failure> {
        self.string(key);
        self.out
            .extend_from_slice(if self.style == Style::Indented {
                b": "
            } else {
                b":"
            });
        self.value(value)
    }

    /// A list or an object.
    fn group<T>(
        &mut self,
        brackets: &[u8; 2],
        items: &[T],
        mut write: impl FnMut(&mut Self, &T) -> std::result::Result<(), Failure>,
    ) -> std::result::Result<(), Failure> {
        if self.depth >= MAX_DEPTH {
            return Err(Failure::Limit(LimitError::ValueDepth(MAX_DEPTH)));
        }
        self.out.push(brackets[0]);
        self.depth += 1;
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.new_line();
            write(self, item)?;
        }
        self.depth -= 1;
        if !items.is_empty() {
            self.new_line();
        }
        self.out.push(brackets[1]);
        Ok(())
    }

    fn new_line(&mut self) {
        if self.style == Style::Indented {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + 2 * self.depth, b' ');
        }
    }

    /// As ES6 writes numbers.
    fn float(&mut self, number: f64, single: bool) -> std::result::Result<(), Failure> {
        if !number.is_finite() {
            let shown = if number.is_nan() {
                "NaN"
            } else if number > 0.0 {
                "+Inf"
            } else {
                "-Inf"
            };
            return Err(Failure::Unsupported(format!(
                "json: unsupported value: {shown}"
            )));
        }
        let magnitude = number.abs();
        if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
            append_float(&mut self.out, number, FloatFormat::Fixed, None, single);
            return Ok(());
        }
        append_float(
            &mut self.out,
            number,
            FloatFormat::Exponent { upper: false },
            None,
            single,
        );
        // e-09 becomes e-9.
        let end = self.out.len();
        if end >= 4 && self.out[end - 4..end - 1] == *b"e-0" {
            self.out.remove(end - 2);
        }
        Ok(())
    }

    fn string(&mut self, mut text: &[u8]) {
        self.out.push(b'"');
        while !text.is_empty() {
            let plain = text
                .iter()
                .position(|byte| self.needs_escape(*byte))
                .unwrap_or(text.len());
            self.out.extend_from_slice(&text[..plain]);
            text = &text[plain..];
            let (rune, width) = decode_rune(text);
            text = &text[width..];
            match rune {
                _ if width == 0 => {}
                '"' => self.out.extend_from_slice(b"\\\""),
                '\\' => self.out.extend_from_slice(b"\\\\"),
                '\x08' => self.out.extend_from_slice(b"\\b"),
                '\x0c' => self.out.extend_from_slice(b"\\f"),
                '\n' => self.out.extend_from_slice(b"\\n"),
                '\r' => self.out.extend_from_slice(b"\\r"),
                '\t' => self.out.extend_from_slice(b"\\t"),
                char::REPLACEMENT_CHARACTER if width == 1 => self.out.extend_from_slice(b"\\ufffd"),
                '\u{2028}' | '\u{2029}' => self.escape(rune),
                _ if rune.is_ascii() => self.escape(rune),
                _ => push_rune(&mut self.out, rune),
            }
        }
        self.out.push(b'"');
    }

    fn needs_escape(&self, byte: u8) -> bool {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x80.. => true,
            b'<' | b'>' | b'&' => self.style != Style::Raw,
            _ => false,
        }
    }

    fn escape(&mut self, rune: char) {
        self.out
            .extend_from_slice(format!("\\u{:04x}", u32::from(rune)).as_bytes());
    }
}
