//! How lists merge element by element: which are the same, and in what order they come out.

use std::collections::BTreeSet;

use capstan_goyaml::{Kind, Node};

use crate::error::Result;
use crate::node;
use crate::patch::merge::{Outcome, Walker};
use crate::schema::Place;

/// An element of the result: one that was there or one of the patch, named by position so that later changes to it count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Dest(usize),
    Patch(usize),
}

/// Elements of both lists while they are merged.
struct Lists<'a> {
    dest: Vec<Option<Node>>,
    patch: &'a mut [Node],
}

impl Lists<'_> {
    fn get(&self, item: Item) -> &Node {
        match item {
            Item::Dest(at) => self.dest[at]
                .as_ref()
                .expect("items name elements that are left"),
            Item::Patch(at) => &self.patch[at],
        }
    }

    fn get_mut(&mut self, item: Item) -> &mut Node {
        match item {
            Item::Dest(at) => self.dest[at]
                .as_mut()
                .expect("items name elements that are left"),
            Item::Patch(at) => &mut self.patch[at],
        }
    }

    fn alive(&self) -> Vec<usize> {
        (0..self.dest.len())
            .filter(|at| self.dest[*at].is_some())
            .collect()
    }

    /// Takes out of the list what has these values, as kyaml's setter without an element does.
    fn remove(&mut self, keys: &[&str], values: &[String]) -> Result<()> {
        let kept = put(
            self,
            self.alive().into_iter().map(Item::Dest).collect(),
            None,
            keys,
            values,
        )?;
        for at in self.alive() {
            if !kept.contains(&Item::Dest(at)) {
                self.dest[at] = None;
            }
        }
        Ok(())
    }
}

/// Merges the elements of `patch` into those of `dest`.
pub(crate) fn merge<'s>(
    walker: &Walker<'s>,
    dest: &mut Node,
    patch: Option<&mut Node>,
    place: Option<Place<'s>>,
    depth: usize,
) -> Result<Outcome> {
    let schema_keys: Vec<&str> = place
        .map(|p| p.merge_keys().iter().map(|k| &**k).collect())
        .unwrap_or_default();
    let mut none = [];
    let patch = patch.map_or(&mut none[..], |p| &mut p.content[..]);
    let mut all = values_of(patch, &dest.content, &schema_keys);
    let keys = if schema_keys.is_empty() {
        vec![""]
    } else {
        schema_keys
    };
    if keys.len() > 1 {
        unite(&mut all);
    }
    let items = place.and_then(Place::items);
    let mut lists = Lists {
        dest: std::mem::take(&mut dest.content)
            .into_iter()
            .map(Some)
            .collect(),
        patch,
    };
    let mut merged = Vec::new();
    let mut last_keys = keys.clone();
    for values in &all {
        let (keys, values) = valid(&all, values, &keys);
        merged = merge_one(walker, &mut lists, merged, &keys, &values, items, depth)?;
        last_keys = keys;
    }
    if !all.is_empty() {
        merged = append_rest(&lists, merged, &last_keys)?;
    } else {
        merged = lists.alive().into_iter().map(Item::Dest).collect();
    }
    dest.content = merged.iter().map(|item| lists.get(*item).clone()).collect();
    Ok(Outcome::Dest)
}

fn merge_one<'s>(
    walker: &Walker<'s>,
    lists: &mut Lists<'_>,
    merged: Vec<Item>,
    keys: &[&str],
    values: &[String],
    place: Option<Place<'s>>,
    depth: usize,
) -> Result<Vec<Item>> {
    let (own_keys, own_values) = valid(std::slice::from_ref(&values.to_vec()), values, keys);
    let is_it = |element: &Node| has_values(element, &own_keys, &own_values);
    let there = lists
        .dest
        .iter()
        .position(|e| e.as_ref().is_some_and(is_it));
    let given = lists.patch.iter().position(is_it);
    let dest = there.and_then(|at| lists.dest[at].as_mut());
    let patch = given.map(|at| &mut lists.patch[at]);
    let item = match walker.walk(dest, patch, place, depth + 1)? {
        Outcome::Clear => None,
        Outcome::Dest | Outcome::Null => there.map(Item::Dest),
        Outcome::Patch => given.map(Item::Patch),
    };
    let Some(item) = item.filter(|item| !is_blank(lists.get(*item))) else {
        lists.remove(keys, values)?;
        return Ok(merged
            .into_iter()
            .filter(|item| !matches!(item, Item::Dest(at) if lists.dest[*at].is_none()))
            .collect());
    };
    let element = lists.get_mut(item);
    if element.kind == Kind::Mapping {
        for (key, value) in keys.iter().zip(values) {
            if element.get(key).is_none() && !value.is_empty() {
                node::set_text(element, key, value);
            }
        }
    }
    put(lists, merged, Some(item), keys, values)
}

/// Null, or a map without anything in it.
fn is_blank(element: &Node) -> bool {
    node::is_null(element) || (element.kind == Kind::Mapping && element.content.is_empty())
}

/// The values of the keys, element by element, those of the patch first, each once.
fn values_of(patch: &[Node], dest: &[Node], keys: &[&str]) -> Vec<Vec<String>> {
    let mut out: Vec<Vec<String>> = Vec::new();
    let mut seen = BTreeSet::new();
    for element in patch.iter().chain(dest) {
        let value = |key: &&str| match element.get(key) {
            Some(value) if !node::is_nil_or_empty(value) => value.value.to_string(),
            _ => String::new(),
        };
        let values = if keys.is_empty() {
            vec![element.value.to_string()]
        } else {
            keys.iter().map(value).collect()
        };
        if seen.insert(values.clone()) {
            out.push(values);
        }
    }
    out
}

/// Elements that differ only in keys that one of them leaves open are the same: both get the values of the other.
fn unite(all: &mut [Vec<String>]) {
    for i in 0..all.len() {
        let first = all[i].clone();
        for j in 0..all.len() {
            if let Some(both) = united(&first, &all[j]) {
                all[i].clone_from(&both);
                all[j] = both;
            }
        }
    }
}

fn united(a: &[String], b: &[String]) -> Option<Vec<String>> {
    let mut common = false;
    let mut out = Vec::with_capacity(a.len());
    for (a, b) in a.iter().zip(b) {
        if a == b {
            common = true;
        } else if !a.is_empty() && !b.is_empty() {
            return None;
        }
        out.push(if a.is_empty() { b.clone() } else { a.clone() });
    }
    common.then_some(out)
}

/// The keys that any element sets, and this element's values of them.
fn valid<'k>(
    all: &[Vec<String>],
    values: &[String],
    keys: &[&'k str],
) -> (Vec<&'k str>, Vec<String>) {
    let is_set = |at: usize| {
        all.iter()
            .any(|values| values.get(at).is_some_and(|v| !v.is_empty()))
    };
    let used: BTreeSet<&str> = keys
        .iter()
        .enumerate()
        .filter(|(at, _)| is_set(*at))
        .map(|(_, key)| *key)
        .collect();
    if used.is_empty() {
        return (keys.to_vec(), values.to_vec());
    }
    let valid_keys = keys
        .iter()
        .copied()
        .filter(|key| used.contains(key))
        .collect();
    let kept = values
        .iter()
        .enumerate()
        .filter(|(at, v)| !v.is_empty() || used.contains(keys[*at]));
    (valid_keys, kept.map(|(_, v)| v.clone()).collect())
}

fn has_values(element: &Node, keys: &[&str], values: &[String]) -> bool {
    if keys.first().is_none_or(|key| key.is_empty()) {
        return element.value == values.first().map_or("", String::as_str);
    }
    element.kind == Kind::Mapping
        && keys.len() == values.len()
        && keys
            .iter()
            .zip(values)
            .all(|(key, value)| element.get(key).is_some_and(|v| v.value == value.as_str()))
}

/// Puts an element in the place of those with these values, or at the end; without an element these are taken out.
fn put(
    lists: &Lists<'_>,
    items: Vec<Item>,
    element: Option<Item>,
    keys: &[&str],
    values: &[String],
) -> Result<Vec<Item>> {
    let for_maps = keys.first().is_some_and(|k| !k.is_empty())
        && values.first().is_some_and(|v| !v.is_empty());
    let mut out = Vec::with_capacity(items.len() + 1);
    let mut placed = false;
    for item in items {
        let current = lists.get(item);
        if is_blank(current) {
            continue;
        }
        if current.kind != Kind::Mapping && for_maps {
            out.push(item);
            continue;
        }
        if !is_meant(current, keys, values)? {
            if !values.is_empty() {
                out.push(item);
            }
            continue;
        }
        placed = true;
        out.extend(element);
    }
    if !placed {
        out.extend(element.filter(|e| !node::is_null(lists.get(*e))));
    }
    Ok(out)
}

/// Whether every key that has a value has it here; one without a value has to be there only.
fn is_meant(element: &Node, keys: &[&str], values: &[String]) -> Result<bool> {
    let mut found = false;
    for (at, key) in keys.iter().enumerate() {
        if let Some(value) = values.get(at) {
            found = if key.is_empty() {
                node::expect_kind(element, Kind::Scalar)?;
                node::text(element) == value
            } else {
                node::expect_kind(element, Kind::Mapping)?;
                element
                    .get(key)
                    .is_some_and(|v| value.is_empty() || v.value == value.as_str())
            };
        }
        if !found {
            return Ok(false);
        }
    }
    Ok(found)
}

/// Adds what was in the list to the end, or in the place of the element that it became.
fn append_rest(lists: &Lists<'_>, mut merged: Vec<Item>, keys: &[&str]) -> Result<Vec<Item>> {
    for at in lists.alive() {
        let item = Item::Dest(at);
        let element = lists.get(item);
        if keys[0].is_empty() {
            merged = put(
                lists,
                merged,
                Some(item),
                &[""],
                &[element.value.to_string()],
            )?;
            continue;
        }
        node::expect_kind(element, Kind::Mapping)?;
        let mut values = Vec::new();
        for key in keys {
            match element.get(key) {
                Some(value) => values.push(value.value.to_string()),
                None => merged.push(item),
            }
        }
        if keys.len() > 1 {
            merged = put(lists, merged, None, keys, &values)?;
        }
        merged = put(lists, merged, Some(item), keys, &values)?;
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&[&str]]) -> Vec<Vec<String>> {
        values
            .iter()
            .map(|v| v.iter().map(|s| (*s).to_owned()).collect())
            .collect()
    }

    #[test]
    fn ports_without_a_protocol_are_the_same_as_those_with_one() {
        let mut all = texts(&[&["80", ""], &["80", "TCP"], &["443", "TCP"]]);
        unite(&mut all);
        assert_eq!(
            all,
            texts(&[&["80", "TCP"], &["80", "TCP"], &["443", "TCP"]])
        );
    }

    #[test]
    fn keys_that_no_element_sets_do_not_count() {
        let all = texts(&[&["80", ""], &["443", ""]]);
        let (keys, values) = valid(&all, &all[0], &["containerPort", "protocol"]);
        assert_eq!(
            (keys, values),
            (vec!["containerPort"], vec!["80".to_owned()])
        );
    }
}
