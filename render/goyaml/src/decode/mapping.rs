//! Maps: keys, duplicates and merges.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::{Decoder, Scalar, go_syntax, is_string, unmarshal_error};
use crate::Dialect;
use crate::error::Error;
use crate::limits::MAX_TYPE_ERRORS;
use crate::node::{Kind, Node, Tag, Text};
use crate::resolve::{Resolved, implied_tag};
use crate::strconv::format_float32;
use crate::value::Build;

/// Entries up to which keys are compared one by one.
const SMALL_MAP: usize = 16;

/// A map in the making.
struct Entries<V> {
    list: Vec<(Text, V)>,
    /// Entries that JSON cannot hold, which matters only if nothing replaces them.
    faults: Vec<(usize, Error)>,
    /// Keys so far, as Go source, where none may repeat.
    seen: BTreeSet<String>,
}

impl<B: Build> Decoder<'_, B> {
    pub(super) fn mapping(&mut self, node: &Node, any_scalar_key: bool) -> Result<B::Value, Error> {
        let list = Vec::with_capacity(node.content.len() / 2);
        match self.options.dialect {
            Dialect::V2 => {
                let mut entries = Entries {
                    list,
                    faults: Vec::new(),
                    seen: BTreeSet::new(),
                };
                self.fill_v2(node, &mut entries)?;
                let list = self.last_of_each(entries);
                Ok(self.build.mapping(list))
            }
            Dialect::V3 => {
                let mut list = list;
                let generic = !any_scalar_key && !has_string_keys(node)?;
                if generic {
                    // Go's encoder looks at a map's type before it looks inside.
                    let go_type = "map[interface {}]interface {}";
                    self.json_error(format!("json: unsupported type: {go_type}"));
                }
                self.fill_v3(node, &mut list, None, generic)?;
                if any_scalar_key {
                    keep_last(&mut list);
                }
                Ok(self.build.mapping(list))
            }
        }
    }

    // --- yaml.v2, and sigs.k8s.io/yaml over it

    /// Entries in order, merges where they stand: what comes last counts.
    fn fill_v2(&mut self, node: &Node, entries: &mut Entries<B::Value>) -> Result<(), Error> {
        for (key, value) in node.entries() {
            if is_merge(self.options.dialect, key) {
                for source in merge_sources(value)?.into_iter().rev() {
                    self.with_source(source, |decoder, mapping| decoder.fill_v2(mapping, entries))?;
                }
                continue;
            }
            let earlier = self.json_error.take();
            let text = self.key_v2(key, value)?;
            let made = self.value(value)?;
            if let Some(fault) = std::mem::replace(&mut self.json_error, earlier) {
                entries.faults.push((entries.list.len(), fault));
            }
            if self.options.strict {
                let written = go_syntax::value(key, self.options.dialect)?;
                if !entries.seen.insert(written.clone()) {
                    self.add_error(format!(
                        "line {}: key {written} already set in map",
                        value.line
                    ));
                    continue;
                }
            }
            entries.list.push((text, made));
        }
        Ok(())
    }

    /// The string that a key becomes in JSON.
    fn key_v2(&mut self, key: &Node, value: &Node) -> Result<Text, Error> {
        self.count()?;
        let target = key.target()?;
        if target.kind != Kind::Scalar {
            let written = go_syntax::value(target, self.options.dialect)?;
            return Err(Error::Document(format!("invalid map key: {written}")));
        }
        let go_type = match self.scalar(target)? {
            Scalar::Bytes(text) => return Ok(text.into()),
            Scalar::Resolved(resolved) => match resolved {
                Resolved::Str | Resolved::Merge | Resolved::Timestamp(_) => {
                    return Ok(target.value.clone());
                }
                Resolved::Int(int) => return Ok(int.to_string().into()),
                Resolved::Float(float) => return Ok(format_float32(float).into()),
                Resolved::Bool(true) => return Ok("true".into()),
                Resolved::Bool(false) => return Ok("false".into()),
                Resolved::Uint(_) => "uint64",
                Resolved::Null => "%!s(<nil>)",
            },
        };
        let key = go_syntax::value(target, self.options.dialect)?;
        let value = go_syntax::value(value, self.options.dialect)?;
        self.json_error(format!(
            "unsupported map key of type: {go_type}, key: {key}, value: {value}"
        ));
        Ok(key.into())
    }

    fn last_of_each(&mut self, entries: Entries<B::Value>) -> Vec<(Text, B::Value)> {
        let Entries {
            mut list, faults, ..
        } = entries;
        if !has_duplicates(list.iter().map(|(key, _)| key.as_str())) {
            if let Some((_, fault)) = faults.into_iter().next() {
                self.json_error.get_or_insert(fault);
            }
            return list;
        }
        let last: BTreeMap<Text, usize> = list
            .iter()
            .enumerate()
            .map(|(i, (key, _))| (key.clone(), i))
            .collect();
        let kept = faults
            .into_iter()
            .find(|(i, _)| list.get(*i).is_some_and(|(key, _)| last[key] == *i));
        if let Some((_, fault)) = kept {
            self.json_error.get_or_insert(fault);
        }
        let mut i = 0;
        list.retain(|(key, _)| {
            i += 1;
            last[key] == i - 1
        });
        list
    }

    // --- yaml.v3

    /// The map's own entries first, then those of its merge that it lacks. `taken` holds the keys that an outer map has.
    fn fill_v3(
        &mut self,
        node: &Node,
        list: &mut Vec<(Text, B::Value)>,
        mut taken: Option<BTreeSet<Text>>,
        generic: bool,
    ) -> Result<Option<BTreeSet<Text>>, Error> {
        if self.repeats_keys(node) {
            return Ok(taken);
        }
        let mut merge = None;
        // Go notes the map's own keys as values of any type, and looks merged ones up as texts: only texts are found.
        let mut loose = Vec::new();
        for (key, value) in node.entries() {
            if is_merge(self.options.dialect, key) {
                merge = Some(value);
                continue;
            }
            let Some((text, is_text)) = self.key_v3(key, generic)? else {
                continue;
            };
            if let Some(taken) = &mut taken {
                // A null takes the place of nothing.
                let is_known = !taken.insert(text.clone())
                    || is_null(value)? && list.iter().any(|(key, _)| *key == text);
                if is_known {
                    continue;
                }
            } else if !is_text && !generic {
                loose.push(text.clone());
            }
            list.push((text, self.value(value)?));
        }
        let Some(merge) = merge else {
            return Ok(taken);
        };
        let mut merged = taken.unwrap_or_else(|| {
            let own = list.iter().map(|(key, _)| key);
            own.filter(|key| !loose.contains(key)).cloned().collect()
        });
        for source in merge_sources(merge)? {
            let mut result = None;
            self.with_source(source, |decoder, mapping| {
                let taken = Some(std::mem::take(&mut merged));
                result = decoder.fill_v3(mapping, list, taken, generic)?;
                Ok(())
            })?;
            merged = result.unwrap_or_default();
        }
        Ok(Some(merged))
    }

    /// The text of a key, and whether it is one where any type may stand. In a map of strings a null has none, and its entry is left
    /// out.
    fn key_v3(&mut self, key: &Node, generic: bool) -> Result<Option<(Text, bool)>, Error> {
        self.count()?;
        let target = key.target()?;
        if target.kind != Kind::Scalar {
            if generic {
                let written = go_syntax::value(target, self.options.dialect)?;
                return Err(Error::Document(format!("invalid map key: {written}")));
            }
            let message = unmarshal_error(target, "string");
            self.add_error(message);
            return Ok(None);
        }
        Ok(match self.scalar(target)? {
            Scalar::Bytes(text) => Some((text.into(), true)),
            Scalar::Resolved(Resolved::Null) if !generic => None,
            Scalar::Resolved(resolved) => {
                let is_text = matches!(resolved, Resolved::Str | Resolved::Merge);
                Some((target.value.clone(), is_text))
            }
        })
    }

    /// Reports keys that are written twice.
    fn repeats_keys(&mut self, node: &Node) -> bool {
        if !has_duplicates(node.entries().map(|(key, _)| key.value.as_str())) {
            return false;
        }
        let mut lines: BTreeMap<(&str, u8), Vec<u32>> = BTreeMap::new();
        for (key, _) in node.entries().rev() {
            lines
                .entry((key.value.as_str(), key.kind as u8))
                .or_default()
                .push(key.line);
        }
        let before = self.errors.len();
        for (key, _) in node.entries() {
            if self.errors.len() >= MAX_TYPE_ERRORS {
                break;
            }
            let Some(later) = lines.get_mut(&(key.value.as_str(), key.kind as u8)) else {
                continue;
            };
            later.pop();
            for line in later.iter().rev().take(MAX_TYPE_ERRORS) {
                let (written, first) = (go_syntax::quote(&key.value), key.line);
                self.add_error(format!(
                    "line {line}: mapping key {written} already defined at line {first}"
                ));
            }
        }
        self.errors.len() > before || before >= MAX_TYPE_ERRORS
    }

    /// Decodes a mapping that is merged, with the bookkeeping of aliases.
    fn with_source(
        &mut self,
        source: &Node,
        fill: impl FnOnce(&mut Self, &Node) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.count()?;
        self.enter()?;
        let aliased = source.kind == Kind::Alias;
        if aliased {
            self.alias_depth += 1;
            self.count()?;
        }
        fill(self, source.target()?)?;
        self.alias_depth -= usize::from(aliased);
        self.depth -= 1;
        Ok(())
    }
}

pub(super) fn is_merge(dialect: Dialect, key: &Node) -> bool {
    if key.kind != Kind::Scalar || key.value != "<<" {
        return false;
    }
    match dialect {
        Dialect::V2 => key.tag == Tag::Merge || key.tag.is_open() && !is_string(key),
        Dialect::V3 => key.tag == Tag::Merge || key.tag.is_open(),
    }
}

/// The maps that a merge key names, each a mapping or an alias of one.
pub(super) fn merge_sources(value: &Node) -> Result<Vec<&Node>, Error> {
    let want_map =
        || Error::Document("map merge requires map or sequence of maps as the value".to_owned());
    let is_map = |node: &Node| node.target().map(|target| target.kind == Kind::Mapping);
    if value.kind == Kind::Sequence {
        for item in &value.content {
            if !is_map(item)? {
                return Err(want_map());
            }
        }
        return Ok(value.content.iter().collect());
    }
    if is_map(value)? {
        Ok(vec![value])
    } else {
        Err(want_map())
    }
}

fn is_null(value: &Node) -> Result<bool, Error> {
    let value = value.target()?;
    Ok(value.kind == Kind::Scalar
        && (value.tag == Tag::Null
            || value.tag.is_open()
                && !is_string(value)
                && implied_tag(Dialect::V3, &value.value) == Tag::Null))
}

/// Of entries with the same key, the last.
fn keep_last<V>(list: &mut Vec<(Text, V)>) {
    if !has_duplicates(list.iter().map(|(key, _)| key.as_str())) {
        return;
    }
    let mut seen = BTreeSet::new();
    list.reverse();
    list.retain(|(key, _)| seen.insert(key.clone()));
    list.reverse();
}

fn has_string_keys(node: &Node) -> Result<bool, Error> {
    for (key, _) in node.entries() {
        let key = key.target()?;
        let is_text = key.kind == Kind::Scalar
            && match key.tag {
                Tag::Str | Tag::Merge => true,
                _ if is_string(key) => true,
                _ if key.tag.is_open() => matches!(implied_tag(Dialect::V3, &key.value), Tag::Str),
                _ => false,
            };
        if !is_text {
            return Ok(false);
        }
    }
    Ok(true)
}

fn has_duplicates<'k>(keys: impl ExactSizeIterator<Item = &'k str> + Clone) -> bool {
    if keys.len() <= SMALL_MAP {
        let mut rest = keys;
        while let Some(key) = rest.next() {
            if rest.clone().any(|other| other == key) {
                return true;
            }
        }
        return false;
    }
    let mut sorted: Vec<&str> = keys.collect();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}
