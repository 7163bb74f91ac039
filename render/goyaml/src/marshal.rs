//! Values to text: `sigs.k8s.io/yaml.Marshal` and yaml.v3's `Marshal`.

use crate::Dialect;
use crate::decode::{DecodeOptions, decode};
use crate::emit::{EmitOptions, Emitter, Write};
use crate::error::Error;
use crate::limits::MAX_DEPTH;
use crate::order::sort_keys;
use crate::resolve::{Resolved, old_bool, resolve};
use crate::scan::ScalarStyle;
use crate::strconv::format_float;
use crate::value::JsonBuilder;

/// A value that can be written. Implement it for a value type of your own by calling one method of the writer.
pub trait Marshal {
    /// Writes the value.
    fn marshal(&self, writer: &mut ValueWriter) -> Result<(), Error>;
}

/// Writes a value as `sigs.k8s.io/yaml.Marshal` does: as JSON, which yaml.v2 reads and writes again. Helm's `toYaml` is this less the
/// last line break, and `kustomize build` prints each object so.
pub fn marshal(value: &(impl Marshal + ?Sized)) -> Result<String, Error> {
    match ValueWriter::write(Emitter::v2(), Dialect::V2, value)? {
        Some(text) => Ok(text),
        None => marshal_through_json(value),
    }
}

/// The long way, for values with text that JSON leaves as it is and yaml.v2 reads as something else, or not at all.
fn marshal_through_json(value: &(impl Marshal + ?Sized)) -> Result<String, Error> {
    let mut writer = ValueWriter {
        sink: Sink::Json(String::new()),
        dialect: Dialect::V2,
        depth: 0,
        needs_json: false,
    };
    value.marshal(&mut writer)?;
    let Sink::Json(json) = writer.sink else {
        return Ok(String::new());
    };
    let Some(document) = crate::parse_first(json.as_bytes(), Dialect::V2)? else {
        return Ok(String::new());
    };
    let options = DecodeOptions {
        dialect: Dialect::V2,
        strict: false,
        object: false,
    };
    let reread = decode(&document.root, options, &mut JsonBuilder)?;
    let mut writer = ValueWriter::new(Emitter::v2(), Dialect::V2);
    writer.finish(&reread)
}

/// Writes a value as yaml.v3 does. Helm's `toYamlPretty` is this with two spaces and sequences that are not compact.
pub fn marshal_v3(value: &(impl Marshal + ?Sized), options: EmitOptions) -> Result<String, Error> {
    ValueWriter::new(Emitter::v3(options), Dialect::V3).finish(value)
}

/// Takes one value, whatever its type.
pub struct ValueWriter {
    sink: Sink,
    dialect: Dialect,
    depth: usize,
    /// Set where some text does not survive the JSON between value and YAML.
    needs_json: bool,
}

enum Sink {
    Yaml(Box<Emitter>),
    Json(String),
}

impl ValueWriter {
    fn new(emitter: Emitter, dialect: Dialect) -> Self {
        ValueWriter {
            sink: Sink::Yaml(Box::new(emitter)),
            dialect,
            depth: 0,
            needs_json: false,
        }
    }

    /// The text, or nothing where it takes the detour through JSON.
    fn write(
        emitter: Emitter,
        dialect: Dialect,
        value: &(impl Marshal + ?Sized),
    ) -> Result<Option<String>, Error> {
        let mut writer = ValueWriter::new(emitter, dialect);
        let text = writer.finish(value)?;
        Ok((!writer.needs_json).then_some(text))
    }

    fn finish(&mut self, value: &(impl Marshal + ?Sized)) -> Result<String, Error> {
        self.event(Write::DocumentStart)?;
        value.marshal(self)?;
        self.event(Write::DocumentEnd)?;
        match std::mem::replace(&mut self.sink, Sink::Json(String::new())) {
            Sink::Yaml(emitter) => Ok(emitter.finish()),
            Sink::Json(json) => Ok(json),
        }
    }

    fn event(&mut self, event: Write<'_>) -> Result<(), Error> {
        match &mut self.sink {
            Sink::Yaml(emitter) => emitter.write(event),
            Sink::Json(json) => {
                json.push_str(match event {
                    Write::Scalar { value, .. } => value,
                    Write::SequenceStart { .. } => "[",
                    Write::SequenceEnd => "]",
                    Write::MappingStart { .. } => "{",
                    Write::MappingEnd => "}",
                    _ => "",
                });
                Ok(())
            }
        }
    }

    fn json(&mut self, text: &str) {
        if let Sink::Json(json) = &mut self.sink {
            json.push_str(text);
        }
    }

    fn plain(&mut self, value: &str) -> Result<(), Error> {
        self.event(Write::Scalar {
            value,
            style: ScalarStyle::Plain,
        })
    }

    /// `null`
    pub fn null(&mut self) -> Result<(), Error> {
        self.plain("null")
    }

    /// `true` or `false`
    pub fn bool(&mut self, value: bool) -> Result<(), Error> {
        self.plain(if value { "true" } else { "false" })
    }

    /// An integer.
    pub fn int(&mut self, value: i64) -> Result<(), Error> {
        self.plain(&value.to_string())
    }

    /// An integer without a sign.
    pub fn uint(&mut self, value: u64) -> Result<(), Error> {
        self.plain(&value.to_string())
    }

    /// A float64. A whole one is an integer in JSON, and so in the YAML that `sigs.k8s.io/yaml` makes of it.
    pub fn float(&mut self, value: f64) -> Result<(), Error> {
        if self.dialect == Dialect::V3 {
            return self.plain(&format_float(value));
        }
        if !value.is_finite() {
            let name = match value {
                v if v.is_nan() => "NaN",
                v if v > 0.0 => "+Inf",
                _ => "-Inf",
            };
            return Err(Error::Json(format!(
                "error marshaling into JSON: json: unsupported value: {name}"
            )));
        }
        // JSON writes the digits out below 1e21; whatever then reads as an integer is one.
        if value.abs() < 1e21 {
            let digits = value.to_string();
            if let Ok(int) = digits.parse::<i64>() {
                return self.int(int);
            }
            if let Ok(uint) = digits.parse::<u64>() {
                return self.uint(uint);
            }
        }
        self.plain(&format_float(value))
    }

    /// A string, in the style that keeps it one.
    pub fn string(&mut self, value: &str) -> Result<(), Error> {
        if let Sink::Json(json) = &mut self.sink {
            write_json_string(json, value);
            return Ok(());
        }
        self.needs_json = self.needs_json || self.dialect == Dialect::V2 && is_lost_in_json(value);
        let style = if value.contains('\n') {
            ScalarStyle::Literal
        } else if can_be_plain(self.dialect, value) {
            ScalarStyle::Plain
        } else {
            ScalarStyle::DoubleQuoted
        };
        self.event(Write::Scalar { value, style })
    }

    /// A time: yaml.v3 writes it as it is, on the way through JSON it is a string.
    pub fn time(&mut self, value: &str) -> Result<(), Error> {
        match self.dialect {
            Dialect::V3 => self.plain(value),
            Dialect::V2 => self.string(value),
        }
    }

    /// A list.
    pub fn sequence<T: Marshal>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
    ) -> Result<(), Error> {
        self.enter()?;
        self.event(Write::SequenceStart {
            flow: false,
            empty: items.len() == 0,
        })?;
        for (i, item) in items.enumerate() {
            self.json(if i > 0 { "," } else { "" });
            item.marshal(self)?;
        }
        self.depth -= 1;
        self.event(Write::SequenceEnd)
    }

    /// A map, in any order: it is written in the library's own.
    pub fn mapping<K: AsRef<str>, T: Marshal>(
        &mut self,
        entries: impl Iterator<Item = (K, T)>,
    ) -> Result<(), Error> {
        self.enter()?;
        let mut entries: Vec<(K, T)> = entries.collect();
        match self.sink {
            Sink::Yaml(_) => sort_keys(self.dialect, &mut entries, |(key, _)| key.as_ref()),
            Sink::Json(_) => entries.sort_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref())),
        }
        self.event(Write::MappingStart {
            flow: false,
            empty: entries.is_empty(),
        })?;
        for (i, (key, value)) in entries.into_iter().enumerate() {
            self.json(if i > 0 { "," } else { "" });
            self.needs_json =
                self.needs_json || self.dialect == Dialect::V2 && is_long_key(key.as_ref());
            self.string(key.as_ref())?;
            self.json(":");
            value.marshal(self)?;
        }
        self.depth -= 1;
        self.event(Write::MappingEnd)
    }

    fn enter(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::Emit(format!("exceeded max depth of {MAX_DEPTH}")));
        }
        Ok(())
    }
}

/// Whether a plain scalar with this text is a string for the library, and for readers of YAML 1.1.
fn can_be_plain(dialect: Dialect, text: &str) -> bool {
    resolve(dialect, text) == Resolved::Str
        && !is_base60(text)
        && (dialect == Dialect::V2 || old_bool(text).is_none())
}

/// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`: a number of YAML 1.1 that Go writes in quotes and does not read.
fn is_base60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = unsigned.split(':');
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let first = parts.next().unwrap_or_default();
    if !first.starts_with(|c: char| c.is_ascii_digit()) || !digits(first) {
        return false;
    }
    let mut places = 0;
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let (place, fraction) = match part.split_once('.') {
            Some((place, fraction)) if parts.peek().is_none() => (place, fraction),
            Some(_) => return false,
            None => (part, ""),
        };
        let valid = match place.as_bytes() {
            [d] => d.is_ascii_digit(),
            [tens, d] => (b'0'..=b'5').contains(tens) && d.is_ascii_digit(),
            _ => false,
        };
        if !valid || !digits(fraction) {
            return false;
        }
        places += 1;
    }
    places > 0
}

/// Whether the text holds one of the few characters that JSON leaves as they are and yaml.v2 does not read back.
fn is_lost_in_json(value: &str) -> bool {
    // One pass over bytes decides for nearly all texts.
    value.bytes().any(|b| matches!(b, 0x7F | 0xC2 | 0xEF))
        && value.contains(|c| matches!(c, '\u{7F}'..='\u{9F}' | '\u{FFFE}' | '\u{FFFF}'))
}

/// Whether the key may be longer, in JSON, than yaml.v2 looks for its colon.
fn is_long_key(key: &str) -> bool {
    /// Escapes make six characters of one; the limit is 1024.
    const SURELY_SHORT: usize = 1024 / 6 - 2;
    key.len() > SURELY_SHORT
}

/// A string as Go's JSON encoder writes it.
fn write_json_string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\x08' => json.push_str("\\b"),
            '\x0C' => json.push_str("\\f"),
            '\0'..'\x20' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                json.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => json.push(c),
        }
    }
    json.push('"');
}

impl<T: Marshal + ?Sized> Marshal for &T {
    fn marshal(&self, writer: &mut ValueWriter) -> Result<(), Error> {
        (**self).marshal(writer)
    }
}

impl Marshal for serde_json::Value {
    fn marshal(&self, writer: &mut ValueWriter) -> Result<(), Error> {
        match self {
            serde_json::Value::Null => writer.null(),
            serde_json::Value::Bool(value) => writer.bool(*value),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(int), _) => writer.int(int),
                (None, Some(uint)) => writer.uint(uint),
                (None, None) => writer.float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => writer.string(text),
            serde_json::Value::Array(items) => writer.sequence(items.iter()),
            serde_json::Value::Object(entries) => writer.mapping(entries.iter()),
        }
    }
}
