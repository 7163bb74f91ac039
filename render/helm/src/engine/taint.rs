//! Which files are sensitive: those that used a random function or a Secret of the cluster, and those that may have got it from one.
//!
//! A template can put a password into the values, where later templates find it. So once a sensitive file leaves the values changed, every
//! file after it counts as sensitive too.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use capstan_gotemplate::{Map, Value};

/// Values nested deeper than this are taken for changed: only a template can make them, and perhaps with themselves inside.
const MAX_DEPTH: usize = 200;

/// The record of one render.
pub(super) struct Taint {
    values: u64,
    spread: bool,
    files: BTreeSet<String>,
}

impl Taint {
    /// The record of a render with these values.
    pub(super) fn new(values: &Map) -> Self {
        Self {
            values: fingerprint(values),
            spread: false,
            files: BTreeSet::new(),
        }
    }

    /// To be called after each file; `used` says whether it used something sensitive itself.
    pub(super) fn executed(&mut self, file: &str, used: bool, values: &Map) {
        if used || self.spread {
            self.files.insert(file.to_owned());
        }
        if used && !self.spread {
            self.spread = fingerprint(values) != self.values;
        }
    }

    /// The files that are sensitive.
    pub(super) fn into_files(self) -> BTreeSet<String> {
        self.files
    }
}

fn fingerprint(values: &Map) -> u64 {
    let mut hasher = DefaultHasher::new();
    add_map(values, &mut hasher, 0);
    hasher.finish()
}

fn add(value: &Value, hasher: &mut DefaultHasher, depth: usize) {
    match value {
        Value::Bool(value) => (1, value).hash(hasher),
        Value::Int(_, number) => (2, number).hash(hasher),
        Value::Uint(_, number) => (3, number).hash(hasher),
        Value::Float(_, number) => (4, number.to_bits()).hash(hasher),
        Value::String(text) | Value::Bytes(text) => (5, text).hash(hasher),
        Value::List(list) => {
            (6, list.len()).hash(hasher);
            if depth < MAX_DEPTH {
                list.items()
                    .iter()
                    .for_each(|item| add(item, hasher, depth + 1));
            }
        }
        Value::Map(map) => add_map(map, hasher, depth + 1),
        Value::Nil => 8.hash(hasher),
        // Values have none of these unless a template puts them there.
        Value::Complex(_) | Value::Object(_) | Value::Func(_) => 9.hash(hasher),
    }
}

fn add_map(map: &Map, hasher: &mut DefaultHasher, depth: usize) {
    (7, map.len()).hash(hasher);
    if depth < MAX_DEPTH {
        for (key, value) in map.entries() {
            key.hash(hasher);
            add(&value, hasher, depth);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensitive_values_spread_only_through_changed_values() {
        let values: Map = [("a", Value::int(1))].into_iter().collect();
        let mut taint = Taint::new(&values);
        taint.executed("plain", false, &values);
        taint.executed("random", true, &values);
        taint.executed("after", false, &values);
        values.insert("password", Value::string("x"));
        taint.executed("random-too", true, &values);
        taint.executed("late", false, &values);
        assert_eq!(
            taint.into_files().into_iter().collect::<Vec<_>>(),
            ["late", "random", "random-too"]
        );
    }

    #[test]
    fn values_that_contain_themselves_end() {
        let values = Map::new();
        values.insert("self", Value::Map(values.clone()));
        let mut taint = Taint::new(&values);
        taint.executed("a", true, &values);
        values.clear();
        assert_eq!(taint.into_files().len(), 1);
    }
}
