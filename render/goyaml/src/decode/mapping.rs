//! Maps: keys, duplicates and merges.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::{Decoder, Scalar, go_syntax, is_string, unmarshal_error};
use crate::Dialect;
use crate::error::Error;
use crate::node::{Kind, Node, Tag, Text};
use crate::resolve::{Resolved, implied_tag};
use crate::strconv::format_float32;
use crate::value::Build;

/// Entries up to which keys are compared one by one.
const SMALL_MAP: usize = 16;

type Entries<V> = Vec<(Text, V)>;

impl<B: Build> Decoder<'_, B> {
    pub(super) fn mapping(&mut self, node: &Node, any_scalar_key: bool) -> Result<B::Value, Error> {
        let mut entries = Vec::with_capacity(node.content.len() / 2);
        match self.options.dialect {
            Dialect::V2 => {
                self.fill_v2(node, &mut entries)?;
                let entries = self.last_of_each(entries);
                Ok(self.build.mapping(entries))
            }
            Dialect::V3 => {
                let string_keys = any_scalar_key || has_string_keys(node)?;
                let merged = self.fill_v3(node, &mut entries, None)?;
                drop(merged);
                if !string_keys {
                    return Err(Error::Json(
                        "json: unsupported type: map[interface {}]interface {}".to_owned(),
                    ));
                }
                Ok(self.build.mapping(entries))
            }
        }
    }

    // --- yaml.v2, and sigs.k8s.io/yaml over it

    /// Entries in order, merges where they stand: what comes last counts.
    fn fill_v2(&mut self, node: &Node, entries: &mut Entries<B::Value>) -> Result<(), Error> {
        for (key, value) in node.entries() {
            if is_merge(self.options.dialect, key) {
                for source in merge_sources(value)?.into_iter().rev() {
                    self.merge_v2(source, entries)?;
                }
                continue;
            }
            let text = self.key_v2(key, value)?;
            let made = self.value(value)?;
            if self.options.strict && entries.iter().any(|(known, _)| *known == text) {
                self.add_error(format!(
                    "line {}: key {} already set in map",
                    value.line,
                    go_syntax::quote(&text)
                ));
                continue;
            }
            entries.push((text, made));
        }
        Ok(())
    }

    fn merge_v2(&mut self, source: &Node, entries: &mut Entries<B::Value>) -> Result<(), Error> {
        self.with_source(source, |decoder, mapping| decoder.fill_v2(mapping, entries))
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
        Err(Error::Json(format!(
            "unsupported map key of type: {go_type}, key: {key}, value: {value}"
        )))
    }

    fn last_of_each(&self, mut entries: Entries<B::Value>) -> Entries<B::Value> {
        if !has_duplicates(entries.iter().map(|(key, _)| key.as_str())) {
            return entries;
        }
        let last: BTreeMap<Text, usize> = entries
            .iter()
            .enumerate()
            .map(|(i, (key, _))| (key.clone(), i))
            .collect();
        let mut i = 0;
        entries.retain(|(key, _)| {
            i += 1;
            last[key] == i - 1
        });
        entries
    }

    // --- yaml.v3

    /// The map's own entries first, then those of its merge that it lacks. `taken` holds the keys that an outer map has.
    fn fill_v3(
        &mut self,
        node: &Node,
        entries: &mut Entries<B::Value>,
        mut taken: Option<BTreeSet<Text>>,
    ) -> Result<Option<BTreeSet<Text>>, Error> {
        if self.repeats_keys(node) {
            return Ok(taken);
        }
        let mut merge = None;
        for (key, value) in node.entries() {
            if is_merge(self.options.dialect, key) {
                merge = Some(value);
                continue;
            }
            let Some(text) = self.key_v3(key)? else {
                continue;
            };
            if let Some(taken) = &mut taken {
                if !taken.insert(text.clone()) {
                    continue;
                }
            }
            entries.push((text, self.value(value)?));
        }
        if let Some(merge) = merge {
            let mut merged =
                taken.unwrap_or_else(|| entries.iter().map(|(key, _)| key.clone()).collect());
            for source in merge_sources(merge)? {
                let mut result = None;
                self.with_source(source, |decoder, mapping| {
                    result =
                        decoder.fill_v3(mapping, entries, Some(std::mem::take(&mut merged)))?;
                    Ok(())
                })?;
                merged = result.unwrap_or_default();
            }
            taken = Some(merged);
        }
        Ok(taken)
    }

    /// The text of a key. A null has none and its entry is left out, as where Go decodes keys to strings.
    fn key_v3(&mut self, key: &Node) -> Result<Option<Text>, Error> {
        self.count()?;
        let target = key.target()?;
        if target.kind != Kind::Scalar {
            let message = unmarshal_error(target, "string");
            self.add_error(message);
            return Ok(None);
        }
        Ok(match self.scalar(target)? {
            Scalar::Bytes(text) => Some(text.into()),
            Scalar::Resolved(Resolved::Null) => None,
            Scalar::Resolved(_) => Some(target.value.clone()),
        })
    }

    /// Reports keys that are written twice.
    fn repeats_keys(&mut self, node: &Node) -> bool {
        if !has_duplicates(node.entries().map(|(key, _)| key.value.as_str())) {
            return false;
        }
        let before = self.errors.len();
        let mut first: BTreeMap<(&str, u8), Vec<u32>> = BTreeMap::new();
        for (key, _) in node.entries() {
            let lines = first
                .entry((key.value.as_str(), key.kind as u8))
                .or_default();
            for line in lines.iter().take(crate::limits::MAX_TYPE_ERRORS) {
                let written = go_syntax::quote(&key.value);
                self.add_error(format!(
                    "line {}: mapping key {written} already defined at line {line}",
                    key.line
                ));
            }
            lines.push(key.line);
        }
        self.errors.len() > before
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
