//! Values by dotted paths, as conditions, tags and import-values name them.

use capstan_gotemplate::{Map, Value};

/// The map at a path. A dot always separates.
pub(crate) fn table(values: &Map, path: &str) -> Option<Map> {
    let mut map = values.clone();
    for name in path.split('.') {
        map = match map.get(name)? {
            Value::Map(inner) => inner,
            _ => return None,
        };
    }
    Some(map)
}

/// The value at a path, if it is there and is no map.
pub(crate) fn path_value(values: &Map, path: &str) -> Option<Value> {
    let (tables, name) = match path.rsplit_once('.') {
        Some((tables, name)) => (table(values, tables)?, name),
        None => (values.clone(), path),
    };
    tables.get(name).filter(|value| value.as_map().is_none())
}
