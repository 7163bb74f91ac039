//! How the values of users, parents and charts come together.
//!
//! Maps are merged, everything else is replaced. What null means depends on where it stands and on the version of Helm; and maps stay
//! shared where Helm shares them, because templates that change values see it. So this follows Helm's procedure step by step.

use std::collections::BTreeSet;

use capstan_gotemplate::{Map, Str, Value};

use crate::HelmVersion;
use crate::error::Error;
use crate::tree::deep_copy_map;
use crate::work::{ChartId, Work};

/// The key of the values that all charts of a release see.
const GLOBAL: &str = "global";

/// What is done with null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coalescing {
    /// A null of the user takes a chart's default away.
    Coalesce,
    /// Nulls are kept, because values will be coalesced again.
    Merge,
}

/// The user's values over those of a chart and of the charts below it. The user's values stay as they are.
pub(crate) fn coalesce_values(
    work: &Work,
    chart: ChartId,
    values: &Map,
    how: Coalescing,
) -> Result<Map, Error> {
    let copy = deep_copy_map(values);
    coalesce(work, chart, &copy, how)?;
    Ok(copy)
}

fn coalesce(work: &Work, chart: ChartId, dest: &Map, how: Coalescing) -> Result<(), Error> {
    defaults(work, chart, dest, how);
    for &child in work.dependencies(chart) {
        let name = work.name(child);
        let inner = match dest.get(name) {
            None => {
                let inner = Map::new();
                dest.insert(name, Value::Map(inner.clone()));
                inner
            }
            Some(Value::Map(inner)) => inner,
            Some(other) => {
                return Err(Error::ValuesTypeMismatch {
                    chart: name.to_owned(),
                    value: go_bool_verb(&other),
                });
            }
        };
        globals(&inner, dest);
        coalesce(work, child, &inner, how)?;
    }
    Ok(())
}

/// Helm prints the value with `%t`, which is for booleans.
fn go_bool_verb(value: &Value) -> String {
    const SHOWN_BYTES: usize = 200;
    capstan_gotemplate::format::sprintf("%t", std::slice::from_ref(value), SHOWN_BYTES).map_or_else(
        |_| value.type_name(),
        |text| String::from_utf8_lossy(&text).into_owned(),
    )
}

/// A parent's globals over those of a chart below it. Inner maps stay shared between the two, as in Helm.
fn globals(dest: &Map, source: &Map) {
    let global_map = |map: &Map| match map.get(GLOBAL) {
        None => Some(Map::new()),
        Some(Value::Map(inner)) => Some(inner),
        Some(_) => None,
    };
    let (Some(dest_globals), Some(source_globals)) = (global_map(dest), global_map(source)) else {
        return;
    };
    for (key, value) in source_globals.entries() {
        match (&value, dest_globals.get(&key)) {
            (Value::Map(map), None) => {
                dest_globals.insert(key, Value::Map(map.unnamed().shallow_copy()));
            }
            (Value::Map(map), Some(Value::Map(known))) => {
                let copy = map.unnamed().shallow_copy();
                tables(&copy, &known, Coalescing::Merge);
                dest_globals.insert(key, Value::Map(copy));
            }
            // A map never replaces another kind of value, nor the other way round.
            (Value::Map(_), Some(_)) | (_, Some(Value::Map(_))) => {}
            _ => {
                dest_globals.insert(key, value);
            }
        }
    }
    dest.insert(GLOBAL, Value::Map(dest_globals));
}

/// The values that a chart brings along, under those that are there.
fn defaults(work: &Work, chart: ChartId, dest: &Map, how: Coalescing) {
    let clean_nulls = how == Coalescing::Coalesce && work.version() == HelmVersion::V4;
    for (key, default) in work.copy_values(chart).entries() {
        match dest.get(&key) {
            Some(Value::Nil) if how == Coalescing::Coalesce => {
                dest.remove(&key);
            }
            Some(Value::Map(given)) => {
                if let Value::Map(default) = default {
                    let is_child = work
                        .dependencies(chart)
                        .iter()
                        .any(|child| key == *work.name(*child));
                    let how = if is_child { Coalescing::Merge } else { how };
                    if clean_nulls && !is_child {
                        remove_nulls(&default);
                    }
                    tables(&given, &default, how);
                }
            }
            Some(_) => {}
            None => {
                if clean_nulls {
                    match &default {
                        Value::Nil => continue,
                        Value::Map(map) => remove_nulls(map),
                        _ => {}
                    }
                }
                dest.insert(key, default);
            }
        }
    }
}

/// Entries of `source` into `dest`, where they are not there yet.
pub(crate) fn merge_tables(dest: &Map, source: &Map) {
    tables(dest, source, Coalescing::Merge);
}

fn tables(dest: &Map, source: &Map, how: Coalescing) {
    // A null of the user only removes a default that was not null itself.
    let given: BTreeSet<Str> = source
        .entries()
        .into_iter()
        .filter(|(_, value)| !matches!(value, Value::Nil))
        .map(|(key, _)| key)
        .collect();
    for (key, value) in dest.entries() {
        if matches!(value, Value::Nil) {
            source.insert(key, Value::Nil);
        }
    }
    for (key, value) in source.entries() {
        match dest.get(&key) {
            Some(Value::Nil) if how == Coalescing::Coalesce && given.contains(&key) => {
                dest.remove(&key);
            }
            None => {
                dest.insert(key, value);
            }
            Some(known) => {
                if let (Value::Map(known), Value::Map(value)) = (known, value) {
                    tables(&known, &value, how);
                }
            }
        }
    }
}

fn remove_nulls(map: &Map) {
    for (key, value) in map.entries() {
        match value {
            Value::Nil => {
                map.remove(&key);
            }
            Value::Map(inner) => remove_nulls(&inner),
            _ => {}
        }
    }
}
