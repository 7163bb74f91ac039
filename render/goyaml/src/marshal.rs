//! Values to text: `sigs.k8s.io/yaml.Marshal` and yaml.v3's `Marshal`.

use crate::Dialect;
use crate::emit::{EmitOptions, Emitter, Write};
use crate::error::Error;
use crate::limits::MAX_DEPTH;
use crate::order::sort_keys;
use crate::resolve::{Resolved, old_bool, resolve};
use crate::scan::ScalarStyle;
use crate::strconv::format_float;

/// Characters of a key, in quotes, that the JSON between value and YAML may have: one more and yaml.v2 cannot read it back.
const MAX_JSON_KEY_CHARS: usize = 1024;

/// A value that can be written. Implement it for a value type of your own by calling one method of the writer.
pub trait Marshal {
    /// Writes the value.
    fn marshal(&self, writer: &mut ValueWriter) -> Result<(), Error>;
}

/// Writes a value as `sigs.k8s.io/yaml.Marshal` does: as JSON, which yaml.v2 reads and writes again. Helm's `toYaml` is this less the
/// last line break, and `kustomize build` prints each object so.
pub fn marshal(value: &(impl Marshal + ?Sized)) -> Result<String, Error> {
    ValueWriter::write(Emitter::v2(), Dialect::V2, value)
}

/// Writes a value as yaml.v3 does. Helm's `toYamlPretty` is this with two spaces and sequences that are not compact.
pub fn marshal_v3(value: &(impl Marshal + ?Sized), options: EmitOptions) -> Result<String, Error> {
    ValueWriter::write(Emitter::v3(options), Dialect::V3, value)
}

/// Takes one value, whatever its type.
pub struct ValueWriter {
    emitter: Emitter,
    dialect: Dialect,
    depth: usize,
}

impl ValueWriter {
    fn write(
        emitter: Emitter,
        dialect: Dialect,
        value: &(impl Marshal + ?Sized),
    ) -> Result<String, Error> {
        let mut writer = ValueWriter {
            emitter,
            dialect,
            depth: 0,
        };
        writer.emitter.write(Write::DocumentStart)?;
        value.marshal(&mut writer)?;
        writer.emitter.write(Write::DocumentEnd)?;
        Ok(writer.emitter.finish())
    }

    fn plain(&mut self, value: &str) -> Result<(), Error> {
        self.emitter.write(Write::Scalar {
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
        if self.dialect == Dialect::V2 && value.bytes().any(|b| matches!(b, 0x7F | 0xC2 | 0xEF)) {
            if let Some(reread) = reread_from_json(value)? {
                return self.string_as_it_is(&reread);
            }
        }
        self.string_as_it_is(value)
    }

    fn string_as_it_is(&mut self, value: &str) -> Result<(), Error> {
        let style = if value.contains('\n') {
            ScalarStyle::Literal
        } else if can_be_plain(self.dialect, value) {
            ScalarStyle::Plain
        } else {
            ScalarStyle::DoubleQuoted
        };
        self.emitter.write(Write::Scalar { value, style })
    }

    fn key(&mut self, key: &str) -> Result<(), Error> {
        if self.dialect == Dialect::V2
            && key.len() > MAX_JSON_KEY_CHARS / 6
            && json_chars(key) > MAX_JSON_KEY_CHARS
        {
            return Err(Error::Syntax {
                line: None,
                problem: "did not find expected ',' or '}'".to_owned(),
            });
        }
        self.string(key)
    }

    /// A list.
    pub fn sequence<T: Marshal>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
    ) -> Result<(), Error> {
        self.enter()?;
        self.emitter.write(Write::SequenceStart {
            flow: false,
            empty: items.len() == 0,
        })?;
        for item in items {
            item.marshal(self)?;
        }
        self.depth -= 1;
        self.emitter.write(Write::SequenceEnd)
    }

    /// A map, in any order: it is written in the library's own.
    pub fn mapping<K: AsRef<str>, T: Marshal>(
        &mut self,
        entries: impl Iterator<Item = (K, T)>,
    ) -> Result<(), Error> {
        self.enter()?;
        let mut entries: Vec<(K, T)> = entries.collect();
        sort_keys(self.dialect, &mut entries, |(key, _)| key.as_ref());
        self.emitter.write(Write::MappingStart {
            flow: false,
            empty: entries.is_empty(),
        })?;
        for (key, value) in entries {
            self.key(key.as_ref())?;
            value.marshal(self)?;
        }
        self.depth -= 1;
        self.emitter.write(Write::MappingEnd)
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

/// The few characters that JSON leaves as they are and yaml.v2 reads as something else, or not at all: the text after that detour.
fn reread_from_json(value: &str) -> Result<Option<String>, Error> {
    if !value.contains(['\u{7F}', '\u{FFFE}', '\u{FFFF}'])
        && !value.contains(|c| ('\u{80}'..='\u{9F}').contains(&c))
    {
        return Ok(None);
    }
    let json = serde_json::Value::from(value).to_string();
    let document = crate::parse_first(json.as_bytes(), Dialect::V2)?;
    Ok(document.map(|document| document.root.value.into()))
}

/// The characters of a key in Go's JSON, quotes included.
fn json_chars(key: &str) -> usize {
    let escaped = |c: char| match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\x08' | '\x0C' => 2,
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..'\x20' => 6,
        _ => 1,
    };
    2 + key.chars().map(escaped).sum::<usize>()
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
