//! The grammar of `--set-literal`: one assignment, whose value is taken as it is.

use crate::error::quoted;
use capstan_gotemplate::{Map, Value};

use super::strvals::{
    Depth, Stop, StrvalsError, at, check_negative, existing_list, existing_map, parse_index, set,
    set_index,
};

/// `--set-literal`: names as with `--set`, but nothing is special in the value, and nothing can be escaped.
pub(crate) fn set_literal(text: &str, values: &Map) -> Result<(), StrvalsError> {
    let mut parser = Parser { rest: text };
    loop {
        match parser.key(values, Depth::default()) {
            Ok(()) => {}
            Err(Stop::End) => return Ok(()),
            Err(Stop::Error(message)) => return Err(StrvalsError(message)),
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn until(&mut self, stops: &[char]) -> (&'a str, Option<char>) {
        let at = self.rest.find(stops).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(at);
        let mut chars = rest.chars();
        let stop = chars.next();
        self.rest = chars.as_str();
        (text, stop)
    }

    fn key(&mut self, data: &Map, depth: Depth) -> Result<(), Stop> {
        let (key, stop) = self.until(&['=', '[', '.']);
        match stop {
            None if key.is_empty() => Err(Stop::End),
            None => Err(Stop::Error(format!("key {} has no value", quoted(key)))),
            Some('=') => {
                set(data, key, Value::string(std::mem::take(&mut self.rest)));
                Ok(())
            }
            Some('.') => {
                let depth = depth.dot()?;
                let inner = existing_map(data.get(key))?;
                let result = self.key(&inner, depth);
                if result.is_ok() && inner.is_empty() {
                    return Err(Stop::Error(format!("key map {} has no value", quoted(key))));
                }
                if !inner.is_empty() {
                    set(data, key, Value::Map(inner));
                }
                result
            }
            Some(_) => {
                let index = self.index()?;
                let mut list = existing_list(data.get(key))?;
                let result = self.item(&mut list, index, depth.index()?);
                set(data, key, Value::list(list));
                result
            }
        }
    }

    fn index(&mut self) -> Result<i64, Stop> {
        match self.until(&[']']) {
            (_, None) => Err(Stop::Error("error parsing index: EOF".to_owned())),
            (text, Some(_)) => parse_index(text),
        }
    }

    fn item(&mut self, list: &mut Vec<Value>, index: i64, depth: Depth) -> Result<(), Stop> {
        check_negative(index)?;
        let (text, stop) = self.until(&['[', '.', '=']);
        if !text.is_empty() {
            return Err(Stop::Error(format!(
                "unexpected data at end of array index: {text:?}"
            )));
        }
        match stop {
            None => Err(Stop::End),
            Some('=') => set_index(list, index, Value::string(std::mem::take(&mut self.rest))),
            Some('.') => {
                let inner = match at(list, index) {
                    Some(Value::Map(map)) => map.clone(),
                    _ => Map::new(),
                };
                self.key(&inner, depth)?;
                set_index(list, index, Value::Map(inner))
            }
            Some(_) => {
                let next = self.index()?;
                let mut inner = match at(list, index) {
                    None | Some(Value::Nil) => Vec::new(),
                    value => existing_list(value.cloned())?,
                };
                self.item(&mut inner, next, depth.index()?)?;
                set_index(list, index, Value::list(inner))
            }
        }
    }
}
