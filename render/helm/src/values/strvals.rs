//! The grammar of `--set`: `a.b=1,c[0].d=x,e={1,2}`.

use capstan_gotemplate::{List, Map, Value};

use crate::error::quoted;

/// The largest list index, Helm's own limit.
pub const MAX_SET_INDEX: i64 = 65_536;
/// How many dots a name may have, Helm's own limit.
pub const MAX_SET_NESTING: usize = 30;
/// How many indexes a name may have: a list of lists of lists is rare already. Helm has no limit, and a large stack.
pub const MAX_SET_INDEXES: usize = 100;

/// An assignment that cannot be understood, in Helm's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StrvalsError(pub String);

/// `--set`: values are typed by how they look.
pub(crate) fn set_typed(text: &str, values: &Map) -> Result<(), StrvalsError> {
    Parser::new(text, Mode::Text(&mut |text| Ok(typed(text)))).run(values)
}

/// `--set-string`: values are strings.
pub(crate) fn set_string(text: &str, values: &Map) -> Result<(), StrvalsError> {
    Parser::new(text, Mode::Text(&mut |text| Ok(Value::string(text)))).run(values)
}

/// `--set-file`: values are the paths of files, which the caller reads.
pub(crate) fn set_file(
    text: &str,
    values: &Map,
    read: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
) -> Result<(), StrvalsError> {
    let mut reader = |path: &str| read(path).map(Value::string);
    Parser::new(text, Mode::Text(&mut reader)).run(values)
}

/// `--set-json`: values are JSON.
pub(crate) fn set_json(text: &str, values: &Map) -> Result<(), StrvalsError> {
    Parser::new(text, Mode::Json).run(values)
}

/// A value by how it looks: only decimal integers without leading zeros become numbers.
fn typed(text: &str) -> Value {
    match text.to_ascii_lowercase().as_str() {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Nil,
        "0" => Value::int64(0),
        _ if text.starts_with('0') => Value::string(text),
        _ => text
            .parse()
            .map_or_else(|_| Value::string(text), Value::int64),
    }
}

type Reader<'r> = dyn FnMut(&str) -> Result<Value, String> + 'r;

enum Mode<'r> {
    Text(&'r mut Reader<'r>),
    Json,
}

/// Why parsing stops.
pub(super) enum Stop {
    /// The text is used up; often no error.
    End,
    Error(String),
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Self::Error(message)
    }
}

/// How deep in a name we are.
#[derive(Clone, Copy, Default)]
pub(super) struct Depth {
    dots: usize,
    indexes: usize,
}

impl Depth {
    /// Behind one more dot.
    pub(super) fn dot(self) -> Result<Self, Stop> {
        if self.dots == MAX_SET_NESTING {
            return Err(Stop::Error(format!(
                "value name nested level is greater than maximum supported nested level of {MAX_SET_NESTING}"
            )));
        }
        let dots = self.dots + 1;
        Ok(Self { dots, ..self })
    }

    /// Behind one more index.
    pub(super) fn index(self) -> Result<Self, Stop> {
        if self.indexes == MAX_SET_INDEXES {
            return Err(Stop::Error(format!(
                "value name has more than {MAX_SET_INDEXES} indexes"
            )));
        }
        let indexes = self.indexes + 1;
        Ok(Self { indexes, ..self })
    }
}

struct Parser<'a, 'r> {
    rest: &'a str,
    mode: Mode<'r>,
}

impl<'a, 'r> Parser<'a, 'r> {
    fn new(rest: &'a str, mode: Mode<'r>) -> Self {
        Self { rest, mode }
    }

    fn run(mut self, values: &Map) -> Result<(), StrvalsError> {
        loop {
            match self.key(values, Depth::default()) {
                Ok(()) => {}
                Err(Stop::End) => return Ok(()),
                Err(Stop::Error(message)) => return Err(StrvalsError(message)),
            }
        }
    }

    /// Reads up to one of the characters; a backslash takes the next as it is. At the end of the text there is no such character.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut text = String::new();
        let mut chars = self.rest.chars();
        while let Some(c) = chars.next() {
            if stops.contains(&c) {
                self.rest = chars.as_str();
                return (text, Some(c));
            }
            if c == '\\' {
                text.extend(chars.next());
            } else {
                text.push(c);
            }
        }
        self.rest = "";
        (text, None)
    }

    fn key(&mut self, data: &Map, depth: Depth) -> Result<(), Stop> {
        let (key, stop) = self.until(&['=', '[', ',', '.']);
        match stop {
            None if key.is_empty() => Err(Stop::End),
            None => Err(Stop::Error(format!("key {} has no value", quoted(&key)))),
            Some('[') => {
                let index = self.index()?;
                let list = existing_list(data.get(&key))?;
                let (list, result) = self.item(list, index, depth.index()?);
                set(data, &key, Value::list(list));
                result
            }
            Some('=') => self.assign(data, &key),
            Some(',') => {
                set(data, &key, Value::static_string(""));
                Err(Stop::Error(format!(
                    "key {} has no value (cannot end with ,)",
                    quoted(&key)
                )))
            }
            Some(_) => {
                let depth = depth.dot()?;
                let inner = existing_map(data.get(&key))?;
                let result = self.key(&inner, depth);
                if result.is_ok() && inner.is_empty() {
                    return Err(Stop::Error(format!(
                        "key map {} has no value",
                        quoted(&key)
                    )));
                }
                if !inner.is_empty() {
                    set(data, &key, Value::Map(inner));
                }
                result
            }
        }
    }

    fn assign(&mut self, data: &Map, key: &str) -> Result<(), Stop> {
        match self.value() {
            Ok(value) => {
                set(data, key, value);
                Ok(())
            }
            Err(Stop::End) => {
                set(data, key, Value::static_string(""));
                Err(Stop::End)
            }
            Err(error) => Err(error),
        }
    }

    /// What stands behind `=`: JSON, a list in braces, or text up to a comma.
    fn value(&mut self) -> Result<Value, Stop> {
        if matches!(self.mode, Mode::Json) {
            return self.json();
        }
        match self.rest.strip_prefix('{') {
            None if self.rest.is_empty() => Err(Stop::End),
            None => {
                let (text, _) = self.until(&[',']);
                self.read(&text)
            }
            Some(rest) => {
                self.rest = rest;
                self.list().map(Value::list)
            }
        }
    }

    fn read(&mut self, text: &str) -> Result<Value, Stop> {
        match &mut self.mode {
            Mode::Text(reader) => reader(text).map_err(Stop::Error),
            Mode::Json => Ok(Value::Nil),
        }
    }

    fn list(&mut self) -> Result<Vec<Value>, Stop> {
        let mut list = Vec::new();
        loop {
            let (text, stop) = self.until(&[',', '}']);
            if stop.is_none() {
                return Err(Stop::Error("list must terminate with '}'".to_owned()));
            }
            if stop == Some('}') {
                self.rest = self.rest.strip_prefix(',').unwrap_or(self.rest);
            }
            list.push(self.read(&text)?);
            if stop == Some('}') {
                return Ok(list);
            }
        }
    }

    fn json(&mut self) -> Result<Value, Stop> {
        if self.blank() {
            return Ok(Value::Nil);
        }
        let mut stream =
            serde_json::Deserializer::from_str(self.rest).into_iter::<serde_json::Value>();
        let value = match stream.next() {
            Some(Ok(value)) => crate::tree::Tree::from(&value).to_value(),
            Some(Err(error)) => return Err(Stop::Error(error.to_string())),
            None => return Err(Stop::End),
        };
        self.rest = &self.rest[stream.byte_offset()..];
        self.blank();
        Ok(value)
    }

    /// Skips spaces up to a comma (which is taken) or the end; says whether it got there.
    fn blank(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(',') {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => self.rest.is_empty(),
        }
    }

    fn index(&mut self) -> Result<i64, Stop> {
        match self.until(&[']']) {
            (_, None) => Err(Stop::Error("error parsing index: EOF".to_owned())),
            (text, Some(_)) => parse_index(&text),
        }
    }

    /// What follows a `]`. The list is given back with what was set in it even where there is an error.
    fn item(
        &mut self,
        mut list: Vec<Value>,
        index: i64,
        depth: Depth,
    ) -> (Vec<Value>, Result<(), Stop>) {
        let result = self.try_item(&mut list, index, depth);
        (list, result)
    }

    fn try_item(&mut self, list: &mut Vec<Value>, index: i64, depth: Depth) -> Result<(), Stop> {
        check_negative(index)?;
        let (text, stop) = self.until(&['[', '.', '=']);
        if !text.is_empty() {
            return Err(Stop::Error(format!(
                "unexpected data at end of array index: {}",
                quoted_runes(&text)
            )));
        }
        match stop {
            None => Err(Stop::End),
            Some('=') => {
                let value = match self.value() {
                    Ok(value) => value,
                    Err(Stop::End) => Value::static_string(""),
                    Err(error) => return Err(error),
                };
                set_index(list, index, value)
            }
            Some('[') => {
                let next = self.index()?;
                let inner = match at(list, index) {
                    None | Some(Value::Nil) => Vec::new(),
                    value => existing_list(value.cloned())?,
                };
                let (inner, result) = self.item(inner, next, depth.index()?);
                result?;
                set_index(list, index, Value::list(inner))
            }
            Some(_) => {
                let inner = match at(list, index) {
                    Some(Value::Map(map)) => map.clone(),
                    _ => Map::new(),
                };
                self.key(&inner, depth)?;
                set_index(list, index, Value::Map(inner))
            }
        }
    }
}

/// A slice of runes as Go's `%q` shows it.
fn quoted_runes(text: &str) -> String {
    let runes = text
        .chars()
        .map(|rune| Value::int(i64::from(u32::from(rune))))
        .collect();
    let shown = capstan_gotemplate::format::sprintf("%q", &[Value::list(runes)], usize::MAX);
    shown.map_or_else(
        |_| format!("{text:?}"),
        |shown| String::from_utf8_lossy(&shown).into_owned(),
    )
}

/// An empty name sets nothing.
pub(super) fn set(data: &Map, key: &str, value: Value) {
    if !key.is_empty() {
        data.insert(key, value);
    }
}

pub(super) fn parse_index(text: &str) -> Result<i64, Stop> {
    text.parse().map_err(|_| {
        Stop::Error(format!(
            "error parsing index: strconv.Atoi: parsing {}: invalid syntax",
            quoted(text)
        ))
    })
}

pub(super) fn check_negative(index: i64) -> Result<(), Stop> {
    if index < 0 {
        Err(Stop::Error(format!("negative {index} index not allowed")))
    } else {
        Ok(())
    }
}

pub(super) fn at(list: &[Value], index: i64) -> Option<&Value> {
    list.get(usize::try_from(index).ok()?)
}

/// The list is filled up with null as far as needed.
pub(super) fn set_index(list: &mut Vec<Value>, index: i64, value: Value) -> Result<(), Stop> {
    if index > MAX_SET_INDEX {
        return Err(Stop::Error(format!(
            "index of {index} is greater than maximum supported index of {MAX_SET_INDEX}"
        )));
    }
    let index = usize::try_from(index)
        .map_err(|_| Stop::Error(format!("negative {index} index not allowed")))?;
    if list.len() <= index {
        list.resize(index + 1, Value::Nil);
    }
    list[index] = value;
    Ok(())
}

/// The list that is there, or a new one.
pub(super) fn existing_list(value: Option<Value>) -> Result<Vec<Value>, Stop> {
    match value {
        None => Ok(Vec::new()),
        Some(Value::List(list)) => Ok(List::items(&list).to_vec()),
        Some(other) => Err(conversion(&other, "[]interface {}")),
    }
}

/// The map that is there, or a new one.
pub(super) fn existing_map(value: Option<Value>) -> Result<Map, Stop> {
    match value {
        None => Ok(Map::new()),
        Some(Value::Map(map)) => Ok(map),
        Some(other) => Err(conversion(&other, "map[string]interface {}")),
    }
}

fn conversion(value: &Value, wanted: &str) -> Stop {
    let found = if matches!(value, Value::Nil) {
        "nil".to_owned()
    } else {
        value.type_name()
    };
    Stop::Error(format!(
        "unable to parse key: interface conversion: interface {{}} is {found}, not {wanted}"
    ))
}
