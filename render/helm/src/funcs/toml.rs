//! TOML as `BurntSushi/toml` writes and reads it.

use capstan_gotemplate::strconv::{FloatFormat, format_float};
use capstan_gotemplate::{Ctx, FloatKind, Function, LimitError, List, Map, Str, Type, Value};

use super::json::error_map;
use super::time::GoTime;
use super::value::{Result, any, bytes, give, text};

const ANY: &[Type] = &[Type::Any];
const STRING: Type = Type::String;
/// `[]map[string]interface {}`
const TABLES: Type = Type::Slice(&Type::MAP);
/// Depth of tables.
const MAX_DEPTH: usize = 200;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("toToml", ANY, STRING, |ctx, args| {
        match write(ctx, any(args, 0))? {
            Ok(text) => give(text),
            Err(message) => give(message),
        }
    }),
    Function::new("fromToml", &[Type::String], Type::MAP, from_toml),
];

/// Only Helm 4 has these.
pub(super) const FUNCTIONS_V4: &[Function] = &[Function::new(
    "mustToToml",
    ANY,
    STRING,
    |ctx, args| match write(ctx, any(args, 0))? {
        Ok(text) => give(text),
        Err(message) => Err(message.into()),
    },
)];

enum Failure {
    Unsupported(String),
    Limit(LimitError),
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Unsupported(message)
    }
}

type Written<T = ()> = std::result::Result<T, Failure>;

fn write(ctx: &mut Ctx<'_>, value: &Value) -> Result<std::result::Result<String, String>> {
    let mut writer = Writer {
        out: String::new(),
        max_len: ctx.values_left(),
    };
    if matches!(value, Value::Nil) {
        return Err("reflect: call of reflect.Value.Type on zero Value".into());
    }
    match writer.encode(&[], value) {
        Ok(()) => Ok(Ok(writer.out)),
        Err(Failure::Unsupported(message)) => Ok(Err(message)),
        Err(Failure::Limit(limit)) => Err(limit.into()),
    }
}

struct Writer {
    out: String,
    max_len: usize,
}

/// What TOML calls the type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TomlType {
    Table,
    TableArray,
    Other,
    Nil,
}

fn type_of(value: &Value) -> Written<TomlType> {
    Ok(match value {
        _ if value.is_nil() => TomlType::Nil,
        Value::Map(_) => TomlType::Table,
        Value::List(list) => {
            let mut all_tables = !list.is_empty();
            for item in list.items() {
                match type_of(item)? {
                    TomlType::Nil => {
                        return Err("toml: cannot encode array with nil element"
                            .to_owned()
                            .into());
                    }
                    TomlType::Table => {}
                    TomlType::TableArray | TomlType::Other => all_tables = false,
                }
            }
            if all_tables {
                TomlType::TableArray
            } else {
                TomlType::Other
            }
        }
        Value::Func(_) => return Err("unsupported type: func".to_owned().into()),
        _ => TomlType::Other,
    })
}

impl Writer {
    fn new_line(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn indent(&mut self, key: &[Str]) {
        for _ in 1..key.len() {
            self.out.push_str("  ");
        }
    }

    fn check(&self, depth: usize) -> Written {
        if depth > MAX_DEPTH {
            return Err(Failure::Limit(LimitError::ValueDepth(MAX_DEPTH)));
        }
        if self.out.len() > self.max_len {
            return Err(Failure::Limit(LimitError::Values(self.max_len as u64)));
        }
        Ok(())
    }

    fn encode(&mut self, key: &[Str], value: &Value) -> Written {
        self.check(key.len())?;
        match value {
            Value::Map(map) => {
                if key.len() == 1 {
                    self.new_line();
                }
                if !key.is_empty() {
                    self.indent(key);
                    self.out.push_str(&format!("[{}]", full_key(key)));
                    self.new_line();
                }
                self.table(key, map)
            }
            Value::List(list) if type_of(value)? == TomlType::TableArray => {
                self.table_array(key, list)
            }
            value => self.key_value(key, value),
        }
    }

    fn table_array(&mut self, key: &[Str], list: &List) -> Written {
        if key.is_empty() {
            return Err("toml: top-level values must be Go maps or structs"
                .to_owned()
                .into());
        }
        for item in list.items() {
            let Value::Map(map) = item else { continue };
            self.new_line();
            self.indent(key);
            self.out.push_str(&format!("[[{}]]", full_key(key)));
            self.new_line();
            self.table(key, map)?;
        }
        Ok(())
    }

    /// The values of a table, then its tables.
    fn table(&mut self, key: &[Str], map: &Map) -> Written {
        let (direct, sub) = sorted(map)?;
        for (name, value) in direct
            .into_iter()
            .chain(sub)
            .filter(|(_, value)| !value.is_nil())
        {
            let mut path = key.to_vec();
            path.push(name);
            self.encode(&path, &value)?;
        }
        Ok(())
    }

    fn key_value(&mut self, key: &[Str], value: &Value) -> Written {
        let Some(name) = key.last() else {
            return self.element(value, 0);
        };
        self.indent(key);
        self.out.push_str(&format!("{} = ", quoted_key(name)));
        self.element(value, key.len())?;
        self.new_line();
        Ok(())
    }

    /// A value in a list, or after `=`.
    fn element(&mut self, value: &Value, depth: usize) -> Written {
        self.check(depth)?;
        match value {
            Value::Nil => return Err("unexpected type: <nil>".to_owned().into()),
            Value::Bool(yes) => self.out.push_str(&yes.to_string()),
            Value::Int(_, number) => self.out.push_str(&number.to_string()),
            Value::Uint(_, number) => self.out.push_str(&number.to_string()),
            Value::Float(kind, number) => self.float(*number, *kind == FloatKind::Float32),
            Value::String(text) => self.quoted(&text.to_str()),
            Value::Bytes(bytes) => {
                let numbers: Vec<String> = bytes.as_bytes().iter().map(u8::to_string).collect();
                self.out.push_str(&format!("[{}]", numbers.join(", ")));
            }
            Value::List(list) => {
                self.out.push('[');
                for (index, item) in list.items().iter().enumerate() {
                    if index > 0 {
                        self.out.push_str(", ");
                    }
                    self.element(item, depth + 1)?;
                }
                self.out.push(']');
            }
            Value::Map(map) => self.inline_table(map, depth)?,
            Value::Object(object) => match (value.downcast::<GoTime>(), object.text()) {
                (Some(time), _) => self.out.push_str(&time.rfc3339()),
                (None, Some(text)) => self.quoted(&text),
                (None, None) => {
                    let fields = object
                        .fields()
                        .into_iter()
                        .map(|(name, value)| (Str::from(name), value));
                    self.inline_table(&fields.collect(), depth)?;
                }
            },
            Value::Complex(_) | Value::Func(_) => {
                return Err(format!("unexpected type: {}", value.type_name()).into());
            }
        }
        Ok(())
    }

    /// The library puts a comma after each value but the last of its half, nil ones not excepted.
    fn inline_table(&mut self, map: &Map, depth: usize) -> Written {
        let (direct, sub) = sorted(map)?;
        self.out.push('{');
        let counts = [(direct.len(), !sub.is_empty()), (sub.len(), false)];
        for (half, (count, trailing)) in [direct, sub].into_iter().zip(counts) {
            for (index, (name, value)) in half
                .into_iter()
                .enumerate()
                .filter(|(_, (_, value))| !value.is_nil())
            {
                self.out.push_str(&format!("{} = ", quoted_key(&name)));
                self.element(&value, depth + 1)?;
                if trailing || index + 1 != count {
                    self.out.push_str(", ");
                }
            }
        }
        self.out.push('}');
        Ok(())
    }

    fn float(&mut self, number: f64, single: bool) {
        if number.is_nan() {
            self.out.push_str("nan");
        } else if number.is_infinite() {
            self.out.push_str(if number > 0.0 { "inf" } else { "-inf" });
        } else {
            let text = format_float(number, FloatFormat::General { upper: false }, None, single);
            self.out.push_str(&text);
            if !text.contains(['e', '.']) {
                self.out.push_str(".0");
            }
        }
    }

    fn quoted(&mut self, text: &str) {
        self.out.push('"');
        for rune in text.chars() {
            match rune {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\x08' => self.out.push_str("\\b"),
                '\t' => self.out.push_str("\\t"),
                '\n' => self.out.push_str("\\n"),
                '\x0c' => self.out.push_str("\\f"),
                '\r' => self.out.push_str("\\r"),
                '\0'..='\x1f' | '\x7f' => self.out.push_str(&format!("\\u{:04x}", u32::from(rune))),
                rune => self.out.push(rune),
            }
        }
        self.out.push('"');
    }
}

type Entries = Vec<(Str, Value)>;

/// Values, and tables, each by name.
fn sorted(map: &Map) -> Written<(Entries, Entries)> {
    let (mut direct, mut sub) = (Vec::new(), Vec::new());
    for (key, value) in map.entries() {
        match type_of(&value)? {
            TomlType::Table | TomlType::TableArray => sub.push((key, value)),
            TomlType::Other | TomlType::Nil => direct.push((key, value)),
        }
    }
    Ok((direct, sub))
}

fn full_key(key: &[Str]) -> String {
    key.iter().map(quoted_key).collect::<Vec<_>>().join(".")
}

fn quoted_key(key: &Str) -> String {
    let bare = !key.is_empty()
        && key
            .as_bytes()
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if bare {
        return key.to_string();
    }
    let mut writer = Writer {
        out: String::new(),
        max_len: usize::MAX,
    };
    writer.quoted(&key.to_str());
    writer.out
}

fn from_toml(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    /// Bytes that a parsed value takes for each byte of text, at worst.
    const GROWTH: u64 = 16;
    ctx.charge_values(bytes(args, 0).len() as u64 * GROWTH)?;
    let text = text(args, 0);
    Ok(match text.parse::<toml::Table>() {
        Ok(table) => from_table(table),
        Err(error) => error_map(&format!("toml: {}", error.message())),
    })
}

fn from_table(table: toml::Table) -> Value {
    table
        .into_iter()
        .map(|(key, value)| (key, from_value(value)))
        .collect::<Map>()
        .into()
}

fn from_value(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::string(text),
        toml::Value::Integer(number) => Value::int64(number),
        toml::Value::Float(number) => Value::float64(number),
        toml::Value::Boolean(yes) => Value::Bool(yes),
        toml::Value::Datetime(time) => GoTime::parse_toml(&time.to_string())
            .map_or_else(|| Value::string(time.to_string()), Value::object),
        toml::Value::Array(items) => {
            let tables = !items.is_empty() && items.iter().all(toml::Value::is_table);
            let ty = if tables { TABLES } else { Type::LIST };
            List::typed(ty, items.into_iter().map(from_value).collect()).into()
        }
        toml::Value::Table(table) => from_table(table),
    }
}
