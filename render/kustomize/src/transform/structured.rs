//! Finding the fields that a replacement writes to, also inside of texts that are JSON or YAML themselves.

use capstan_goyaml::{Kind, Node};

use crate::error::{Error, Result};
use crate::gojson;
use crate::node::{self, Create};
use crate::select::pattern;
use crate::yaml;

/// A field that was found: positions in the content of the nodes on the way to it, from the root.
pub(crate) type Place = Vec<usize>;

/// What matches a path. Fields inside of a text count as found, but are written with [`set_in_text`] only.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) places: Vec<Place>,
    pub(crate) in_texts: usize,
}

/// Finds all fields at a path, in which `*` is any element and `[key=pattern]` those that match. What is missing is created where asked.
pub(crate) fn find(root: &mut Node, path: &[String], create: Option<Create>) -> Result<Found> {
    let mut found = Found::default();
    Finder {
        create,
        found: &mut found,
    }
    .descend(root, path, &mut Vec::new())?;
    Ok(found)
}

pub(crate) fn at<'n>(root: &'n mut Node, place: &[usize]) -> &'n mut Node {
    place.iter().fold(root, |node, at| &mut node.content[*at])
}

struct Finder<'f> {
    create: Option<Create>,
    found: &'f mut Found,
}

impl Finder<'_> {
    fn descend(&mut self, node: &mut Node, path: &[String], place: &mut Place) -> Result<()> {
        let Some((part, rest)) = path.split_first() else {
            self.found.places.push(place.clone());
            return Ok(());
        };
        if let Ok(index) = part.parse::<usize>() {
            return self.index(node, index, rest, place);
        }
        if node::is_list_index(part) {
            return self.matching(node, part, rest, place);
        }
        if part == "*" {
            let count = node::elements(node)?.len();
            return (0..count).try_for_each(|at| self.enter(node, at, rest, place));
        }
        self.field(node, part, rest, place)
    }

    fn enter(
        &mut self,
        node: &mut Node,
        at: usize,
        rest: &[String],
        place: &mut Place,
    ) -> Result<()> {
        place.push(at);
        let result = self.descend(&mut node.content[at], rest, place);
        place.pop();
        result
    }

    fn index(
        &mut self,
        node: &mut Node,
        index: usize,
        rest: &[String],
        place: &mut Place,
    ) -> Result<()> {
        let count = node::elements(node)?.len();
        if count == index
            && let Some(create) = self.create
        {
            node.content
                .push(node::part_kind(rest.first().map_or("", String::as_str), create).node());
        }
        if node.content.len() <= index {
            return Err(Error::invalid(format!(
                "index {index} specified but only {count} elements found"
            )));
        }
        self.enter(node, index, rest, place)
    }

    fn matching(
        &mut self,
        node: &mut Node,
        part: &str,
        rest: &[String],
        place: &mut Place,
    ) -> Result<()> {
        let (key, value) = node::split_element(part)?;
        let before = self.found.places.len() + self.found.in_texts;
        self.visit_matching(node, key, value, rest, place)?;
        if self.create.is_none() || self.found.places.len() + self.found.in_texts > before {
            return Ok(());
        }
        node.content.push(node::new_element(key, value));
        self.visit_matching(node, key, value, rest, place)
    }

    fn visit_matching(
        &mut self,
        node: &mut Node,
        key: &str,
        value: &str,
        rest: &[String],
        place: &mut Place,
    ) -> Result<()> {
        let pattern = pattern::compile(value)?;
        let count = node::elements(node)?.len();
        for at in 0..count {
            let element = &node.content[at];
            let compared = if key.is_empty() {
                Some(element)
            } else {
                element.get(key)
            };
            let Some(compared) = compared else { continue };
            let text = yaml::to_v3(compared).map_err(|e| Error::invalid(e.to_string()))?;
            if !pattern.is_match(text.trim()) {
                continue;
            }
            // A list of plain values ends the path.
            self.enter(node, at, if key.is_empty() { &[] } else { rest }, place)?;
        }
        Ok(())
    }

    fn field(
        &mut self,
        node: &mut Node,
        name: &str,
        rest: &[String],
        place: &mut Place,
    ) -> Result<()> {
        if node::is_null(node) {
            // kyaml creates fields on a null without effect.
            self.found.in_texts += usize::from(self.create.is_some());
            return Ok(());
        }
        node::expect_kind(node, Kind::Mapping)?;
        let at = match (node::position(node, name), self.create) {
            (Some(at), _) => at,
            (None, None) => return Ok(()),
            (None, Some(create)) => {
                let kind = node::part_kind(rest.first().map_or("", String::as_str), create);
                node.content.extend([Node::scalar(name), kind.node()]);
                node.content.len() - 2
            }
        };
        let field = &node.content[at + 1];
        if field.kind == Kind::Scalar && !rest.is_empty() {
            let inner = yaml::parse_one(&field.value).map_err(|e| Error::invalid(e.to_string()))?;
            let mut inner = inner
                .ok_or_else(|| Error::invalid("wrong node kind: expected MappingNode but got "))?;
            let found = find(&mut inner, rest, self.create)?;
            self.found.in_texts += found.places.len() + found.in_texts;
            return Ok(());
        }
        self.enter(node, at + 1, rest, place)
    }
}

/// Writes a value into a field inside of a text that is JSON or YAML. False where the path leads into no such text.
pub(crate) fn set_in_text(
    target: &mut Node,
    value: &Node,
    path: &[String],
    create: Option<Create>,
) -> bool {
    if path.len() < 2 {
        return false;
    }
    for length in 1..path.len() {
        let (outer, inner) = path.split_at(length);
        let Ok(Some(field)) = node::lookup(target, outer) else {
            continue;
        };
        if field.kind != Kind::Scalar {
            continue;
        }
        let original = field.value.to_string();
        let Ok(parsed) = yaml::parse_one(&original) else {
            continue;
        };
        let Some(mut parsed) = parsed else {
            return false;
        };
        let Some(text) = written(&mut parsed, &original, value, inner, create) else {
            return false;
        };
        if let Ok(Some(field)) = node::lookup_mut(target, outer) {
            field.value = text.into();
        }
        return true;
    }
    false
}

fn written(
    parsed: &mut Node,
    original: &str,
    value: &Node,
    path: &[String],
    create: Option<Create>,
) -> Option<String> {
    let found = find(parsed, path, create).ok()?;
    if found.places.is_empty() {
        return None;
    }
    for place in &found.places {
        let field = at(parsed, place);
        if field.kind == Kind::Scalar {
            field.value.clone_from(&value.value);
        } else {
            *field = value.clone();
        }
    }
    let is_json = original.trim_start().starts_with(['{', '[']);
    if !is_json {
        return yaml::to_v3(parsed).ok().map(|text| text.trim().to_owned());
    }
    let json = yaml::node_to_json(parsed).ok()?;
    let is_indented = original.contains('\n') && original.contains("  ");
    Some(if is_indented {
        gojson::to_string_indented(&json)
    } else {
        gojson::to_string(&json)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        node::split_bracketed_path(text)
    }

    #[test]
    fn a_value_inside_of_json_text_is_written() {
        let mut target = yaml::parse_one("data:\n  c: '{\"b\": {\"x\": 1}, \"a\": \"<\"}'\n")
            .unwrap()
            .unwrap();
        assert!(set_in_text(
            &mut target,
            &Node::string("new"),
            &path("data.c.a"),
            None
        ));
        assert_eq!(
            target.get("data").unwrap().get("c").unwrap().value,
            r#"{"a":"new","b":{"x":1}}"#
        );
        assert!(!set_in_text(
            &mut target,
            &Node::string("new"),
            &path("data.c.none"),
            None
        ));
        assert!(!set_in_text(
            &mut target,
            &Node::string("new"),
            &path("data.c"),
            None
        ));
    }

    #[test]
    fn every_matching_field_is_found_and_missing_ones_are_created_on_request() {
        let mut root = yaml::parse_one("l: [{n: a, v: 1}, {n: ab, v: 2}, {n: c}]\n")
            .unwrap()
            .unwrap();
        assert_eq!(
            find(&mut root, &path("l.[n=a].v"), None)
                .unwrap()
                .places
                .len(),
            2,
            "patterns are not anchored"
        );
        assert_eq!(
            find(&mut root, &path("l.*.v"), None).unwrap().places.len(),
            2
        );
        assert_eq!(
            find(&mut root, &path("l.*.v"), Some(Create::Scalar))
                .unwrap()
                .places
                .len(),
            3
        );
        assert!(find(&mut root, &path("l.7"), None).is_err());
        assert_eq!(
            find(&mut root, &path("l.[n=z].v"), Some(Create::Scalar))
                .unwrap()
                .places
                .len(),
            1
        );
        assert_eq!(root.get("l").unwrap().content.len(), 4);
    }
}
