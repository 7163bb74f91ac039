//! Reading and changing fields of a node as kyaml does: what keeps its style, what is dropped, what counts as missing.

use capstan_goyaml::{Kind, Node, Style, Tag};

use crate::error::{Error, Result};
use crate::yaml;

/// What to create where a path ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Create {
    Scalar,
    Sequence,
    Mapping,
}

impl Create {
    /// A new node of that kind: without a tag, as kyaml makes it.
    pub(crate) fn node(self) -> Node {
        let mut node = Node::default();
        node.kind = match self {
            Create::Scalar => Kind::Scalar,
            Create::Sequence => Kind::Sequence,
            Create::Mapping => Kind::Mapping,
        };
        node
    }

    pub(crate) fn like(node: &Node) -> Create {
        match node.kind {
            Kind::Sequence => Create::Sequence,
            Kind::Mapping => Create::Mapping,
            Kind::Scalar | Kind::Alias => Create::Scalar,
        }
    }
}

/// Makes nodes with what the constructors leave open.
pub(crate) trait NodeExt: Sized {
    #[must_use]
    fn tagged(self, tag: Tag) -> Self;
    #[must_use]
    fn styled(self, style: Style) -> Self;
}

impl NodeExt for Node {
    fn tagged(mut self, tag: Tag) -> Self {
        self.tag = tag;
        self
    }

    fn styled(mut self, style: Style) -> Self {
        self.style = style;
        self
    }
}

pub(crate) fn is_null(node: &Node) -> bool {
    node.tag == Tag::Null
}

/// Null, or a collection without anything in it.
pub(crate) fn is_nil_or_empty(node: &Node) -> bool {
    is_null(node) || (node.kind != Kind::Scalar && node.content.is_empty())
}

/// A scalar that is a string, or could be.
pub(crate) fn is_string(node: &Node) -> bool {
    node.kind == Kind::Scalar && matches!(node.tag, Tag::Str | Tag::None)
}

/// The text of a scalar; empty for null.
pub(crate) fn text(node: &Node) -> &str {
    if is_null(node) { "" } else { &node.value }
}

pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Scalar => "ScalarNode",
        Kind::Sequence => "SequenceNode",
        Kind::Mapping => "MappingNode",
        Kind::Alias => "AliasNode",
    }
}

/// An error unless the node is of this kind, or null.
pub(crate) fn expect_kind(node: &Node, kind: Kind) -> Result<()> {
    if is_null(node) || node.kind == kind {
        return Ok(());
    }
    let mut message = format!(
        "wrong node kind: expected {} but got {}",
        kind_name(kind),
        kind_name(node.kind)
    );
    if let Ok(contents) = yaml::to_v3(node) {
        message += &format!(": node contents:\n{contents}");
    }
    Err(Error::invalid(message).at_line(Some(node.line).filter(|line| *line > 0)))
}

/// The position of a key in a mapping's content.
pub(crate) fn position(map: &Node, key: &str) -> Option<usize> {
    if map.kind != Kind::Mapping {
        return None;
    }
    (0..map.content.len())
        .step_by(2)
        .find(|i| map.content[*i].value == key)
}

/// Takes a field out of a mapping.
pub(crate) fn clear(map: &mut Node, key: &str) -> Option<Node> {
    let at = position(map, key)?;
    map.content.drain(at..at + 2).nth(1)
}

/// Puts `value` in the place of `old`, which keeps its style.
///
/// A scalar in quotes is a string whatever its type was to be: kyaml loses the type when it writes and reads the object in between.
pub(crate) fn replace_keeping_style(old: &mut Node, mut value: Node) {
    value.style = old.style;
    if value.kind == Kind::Scalar && value.style.is_quoted_or_block() {
        value.tag = Tag::Str;
    }
    *old = value;
}

/// Sets a field of a mapping: an existing one keeps its style, a null value removes it.
pub(crate) fn set_field(map: &mut Node, key: &str, value: Node) {
    set_field_with_key_style(map, key, value, Style::NONE);
}

pub(crate) fn set_field_with_key_style(
    map: &mut Node,
    key: &str,
    mut value: Node,
    key_style: Style,
) {
    if is_null(&value) {
        clear(map, key);
        return;
    }
    match map.get_mut(key) {
        Some(old) => replace_keeping_style(old, value),
        None => {
            quote_if_ambiguous(&mut value);
            map.content
                .extend([Node::scalar(key).styled(key_style), value]);
        }
    }
}

/// Quotes a string that YAML 1.1 reads as something else.
pub(crate) fn quote_if_ambiguous(value: &mut Node) {
    if is_string(value) && value.style == Style::NONE && yaml::is_v2_non_string(&value.value) {
        value.style = Style::DOUBLE_QUOTED;
    }
}

/// Sets a field to a text without deciding its type.
pub(crate) fn set_text(map: &mut Node, key: &str, value: &str) {
    set_field(map, key, Node::scalar(value));
}

/// The mapping at a path of plain field names, created where it is missing.
pub(crate) fn mapping_at<'a>(node: &'a mut Node, path: &[&str]) -> Result<&'a mut Node> {
    let mut node = node;
    for key in path {
        expect_kind(node, Kind::Mapping)?;
        let at = match position(node, key) {
            Some(at) => at,
            None => {
                node.content
                    .extend([Node::scalar(*key), Create::Mapping.node()]);
                node.content.len() - 2
            }
        };
        node = &mut node.content[at + 1];
    }
    Ok(node)
}

/// The text of `metadata.name` or `metadata.namespace`.
pub(crate) fn meta_text<'a>(object: &'a Node, field: &str) -> &'a str {
    let value = object
        .get("metadata")
        .filter(|m| !is_nil_or_empty(m))
        .and_then(|m| m.get(field));
    value
        .filter(|v| !is_nil_or_empty(v))
        .map_or("", |v| &v.value)
}

/// A top-level text field, as written.
pub(crate) fn top_text<'a>(object: &'a Node, field: &str) -> &'a str {
    object.get(field).map_or("", |v| &v.value)
}

/// Keys and texts of `metadata.labels` or `metadata.annotations`.
pub(crate) fn meta_map<'a>(
    object: &'a Node,
    field: &str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let map = object
        .get("metadata")
        .filter(|m| !is_nil_or_empty(m))
        .and_then(|m| m.get(field));
    map.into_iter()
        .flat_map(|m| m.entries().map(|(k, v)| (&*k.value, &*v.value)))
}

/// One step of a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'p> {
    Index(usize),
    Last,
    Element { key: &'p str, value: &'p str },
    Field(&'p str),
}

/// Reads one part of a field path: a number, `-`, `[key=value]` or a name.
pub(crate) fn step(part: &str) -> Result<Step<'_>> {
    if let Ok(index) = part.parse::<i64>() {
        let index = usize::try_from(index)
            .map_err(|_| Error::invalid(format!("array index {index} cannot be negative")))?;
        return Ok(Step::Index(index));
    }
    match part {
        "-" => Ok(Step::Last),
        "*" => Err(Error::invalid("wildcard is not supported in PathGetter")),
        _ if is_list_index(part) => {
            split_element(part).map(|(key, value)| Step::Element { key, value })
        }
        _ => Ok(Step::Field(part)),
    }
}

pub(crate) fn is_list_index(part: &str) -> bool {
    part.starts_with('[') && part.ends_with(']')
}

/// `key` and `value` of `[key=value]`.
pub(crate) fn split_element(part: &str) -> Result<(&str, &str)> {
    let inner = part.strip_suffix(']').unwrap_or(part);
    let inner = inner.strip_prefix('[').unwrap_or(inner);
    inner.split_once('=').ok_or_else(|| {
        Error::invalid("list path element must contain fieldName=fieldValue for element to match")
    })
}

/// Whether an element of a list is the one that `[key=value]` means.
fn is_element(node: &Node, key: &str, value: &str) -> bool {
    if key.is_empty() {
        node.value == value
    } else {
        node.kind == Kind::Mapping && node.get(key).is_some_and(|v| v.value == value)
    }
}

/// The parts of a path that say something.
pub(crate) fn clean_parts(parts: &[String]) -> impl Iterator<Item = &str> + Clone {
    parts.iter().map(|p| p.trim()).filter(|p| !p.is_empty())
}

/// The node at a path, if it is there.
pub(crate) fn lookup<'n>(node: &'n Node, parts: &[String]) -> Result<Option<&'n Node>> {
    let mut node = node;
    for part in clean_parts(parts) {
        let next = match step(part)? {
            Step::Index(index) => elements(node)?.get(index),
            Step::Last => match elements(node)?.last() {
                Some(last) => Some(last),
                None => {
                    return Err(Error::invalid(format!(
                        "no element for '{part}': the list is empty"
                    )));
                }
            },
            Step::Element { key, value } => {
                elements(node)?.iter().find(|e| is_element(e, key, value))
            }
            Step::Field(name) if is_null(node) => {
                let _ = name;
                None
            }
            Step::Field(name) => {
                expect_kind(node, Kind::Mapping)?;
                node.get(name)
            }
        };
        let Some(next) = next else { return Ok(None) };
        node = next;
    }
    Ok(Some(node))
}

/// The node at a path, to be changed, if it is there.
pub(crate) fn lookup_mut<'n>(node: &'n mut Node, parts: &[String]) -> Result<Option<&'n mut Node>> {
    if lookup(node, parts)?.is_none() {
        return Ok(None);
    }
    let mut node = node;
    for part in clean_parts(parts) {
        let next = match step(part)? {
            Step::Index(index) => node.content.get_mut(index),
            Step::Last => node.content.last_mut(),
            Step::Element { key, value } => {
                node.content.iter_mut().find(|e| is_element(e, key, value))
            }
            Step::Field(name) => node.get_mut(name),
        };
        node = next.expect("the lookup above found every part");
    }
    Ok(Some(node))
}

/// The node at a path; what is missing is created, the last part as `create` says.
pub(crate) fn lookup_or_create<'n>(
    node: &'n mut Node,
    parts: &[&str],
    create: Create,
) -> Result<Option<&'n mut Node>> {
    let mut node = node;
    for (i, part) in parts.iter().enumerate() {
        let next_kind = part_kind(parts.get(i + 1).copied().unwrap_or_default(), create);
        node = match step(part)? {
            Step::Index(index) => {
                elements(node)?;
                match node.content.get_mut(index) {
                    Some(element) => element,
                    None => return Ok(None),
                }
            }
            Step::Last => {
                elements(node)?;
                let message = format!("no element for '{part}': the list is empty");
                node.content
                    .last_mut()
                    .ok_or_else(|| Error::invalid(message))?
            }
            Step::Element { key, value } => {
                elements(node)?;
                let at = match node.content.iter().position(|e| is_element(e, key, value)) {
                    Some(at) => at,
                    None => {
                        node.content.push(new_element(key, value));
                        node.content.len() - 1
                    }
                };
                &mut node.content[at]
            }
            Step::Field(name) => {
                if is_null(node) {
                    return Ok(None);
                }
                expect_kind(node, Kind::Mapping)?;
                let at = match position(node, name) {
                    Some(at) => at,
                    None => {
                        node.content.extend([Node::scalar(name), next_kind.node()]);
                        node.content.len() - 2
                    }
                };
                &mut node.content[at + 1]
            }
        };
    }
    Ok(Some(node))
}

/// The element that `[key=value]` creates: a mapping with that field, or a scalar where there is no key.
pub(crate) fn new_element(key: &str, value: &str) -> Node {
    if key.is_empty() {
        return Node::scalar(value);
    }
    let mut element = Create::Mapping.node();
    element
        .content
        .extend([Node::scalar(key), Node::scalar(value)]);
    element
}

/// What a part has to be so that `next` can be found in it.
pub(crate) fn part_kind(next: &str, at_end: Create) -> Create {
    match next {
        "" => at_end,
        _ if is_list_index(next) || next.parse::<i64>().is_ok_and(|n| n >= 0) => Create::Sequence,
        _ => Create::Mapping,
    }
}

/// The items of a list; none for null.
pub(crate) fn elements(node: &Node) -> Result<&[Node]> {
    expect_kind(node, Kind::Sequence)?;
    Ok(if is_null(node) { &[] } else { &node.content })
}

/// Splits a path; a delimiter after `\` belongs to the name.
pub(crate) fn split_path(path: &str, delimiter: char) -> Vec<String> {
    let mut parts = path.split(delimiter);
    let mut first = parts.next().unwrap_or_default();
    if first.is_empty() {
        first = parts.next().unwrap_or_default();
    }
    let mut out = vec![first.to_owned()];
    for part in parts {
        let last = out.last_mut().expect("there is a first part");
        if last.ends_with('\\') {
            last.pop();
            last.push(delimiter);
            last.push_str(part);
        } else {
            out.push(part.to_owned());
        }
    }
    out
}

/// Splits a dotted path in which `[...]` may hold dots.
pub(crate) fn split_bracketed_path(path: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut parts = split_path(path, '.').into_iter();
    while let Some(part) = parts.next() {
        if !part.starts_with('[') || part.ends_with(']') {
            out.push(part);
            continue;
        }
        let mut joined = part;
        for next in parts.by_ref() {
            joined.push('.');
            joined.push_str(&next);
            if next.ends_with(']') {
                break;
            }
        }
        let plain = !joined.contains('=');
        out.push(if plain {
            joined.trim_matches(['[', ']']).to_owned()
        } else {
            joined
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_split_as_in_kyaml() {
        let slash = |path, expected: &[&str]| assert_eq!(split_path(path, '/'), expected, "{path}");
        slash("", &[""]);
        slash("/a/b", &["a", "b"]);
        slash(r"a/b\/c/d\/e/f", &["a", "b/c", "d/e", "f"]);
        let dot =
            |path, expected: &[&str]| assert_eq!(split_bracketed_path(path), expected, "{path}");
        dot(
            "spec.data.[name=f.i.r.s.t.].key",
            &["spec", "data", "[name=f.i.r.s.t.]", "key"],
        );
        dot(r"spec\.replicas", &["spec.replicas"]);
        dot(
            "spec.data.[name=f.i.[r.s.t..key",
            &["spec", "data", "[name=f.i.[r.s.t..key"],
        );
        dot(
            "metadata.annotations.[a.b.c/d.e.f-g.]",
            &["metadata", "annotations", "a.b.c/d.e.f-g."],
        );
    }

    #[test]
    fn a_field_that_is_set_keeps_the_style_it_had() {
        let mut map = yaml::parse_one("a: '1'\nb: 2\n").unwrap().unwrap();
        set_text(&mut map, "a", "5");
        set_text(&mut map, "c", "yes");
        set_field(&mut map, "b", Node::null());
        assert_eq!(yaml::to_v3(&map).unwrap(), "a: '5'\nc: \"yes\"\n");
    }
}
