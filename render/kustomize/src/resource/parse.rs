//! From the text of a file to objects.

use capstan_goyaml::{Kind, Node, Style, Tag};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::MAX_ALIASED_VALUES;
use crate::node;
use crate::resource::Resource;
use crate::schema::Schema;
use crate::yaml;

/// How errors about text that is no YAML begin; kustomize tells them from others by it.
const MALFORMED: &str = "MalformedYAMLError";

/// The objects in a text: documents, and what `List` kinds hold.
pub(crate) fn objects(text: &str, schema: &Schema) -> Result<Vec<Resource>> {
    let nodes = keep_objects(documents(text)?)?;
    let nodes = inline_lists(nodes)?;
    Ok(nodes
        .into_iter()
        .map(|node| Resource::new(node, schema))
        .collect())
}

/// The documents of a text, aliases spelled out.
fn documents(text: &str) -> Result<Vec<Node>> {
    // A single character is found faster than two.
    let text = if text.contains('\r') {
        text.replace("\r\n", "\n").into()
    } else {
        std::borrow::Cow::Borrowed(text)
    };
    let texts = split(&text)?;
    let mut out = Vec::new();
    let mut budget = MAX_ALIASED_VALUES;
    let mut line = 0;
    for (at, part) in texts.iter().enumerate() {
        // The lines of the last part are nobody's offset.
        let lines = if at + 1 < texts.len() {
            count_lines(part)
        } else {
            0
        };
        let parsed = yaml::parse_one(part).map_err(|e| {
            let at = e.line().map(|l| l + line);
            Error::new(ErrorKind::MalformedYaml, format!("{MALFORMED}: {e}")).at_line(at)
        })?;
        let Some(mut document) = parsed.filter(|node| !node::is_null(node)) else {
            line += lines;
            continue;
        };
        document.line += line;
        line += lines;
        let kind = node::top_text(&document, "kind");
        let is_wrapper = texts.len() == 1 && (kind == "ResourceList" || kind == "List");
        if is_wrapper
            && (document.get("items").is_some() || document.get("functionConfig").is_some())
        {
            out.extend(
                document
                    .get_mut("items")
                    .map(|items| std::mem::take(&mut items.content))
                    .unwrap_or_default(),
            );
        } else {
            out.push(document);
        }
    }
    for document in &mut out {
        spell_out(document, &mut budget)?;
    }
    Ok(out)
}

fn count_lines(text: &str) -> u32 {
    // The separator line that followed the part belongs to it.
    u32::try_from(text.bytes().filter(|b| *b == b'\n').count() + 1).unwrap_or(u32::MAX)
}

/// Splits at lines that start with `---`; only a comment may follow on such a line.
fn split(text: &str) -> Result<Vec<&str>> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut from = 0;
    while let Some(at) = text[from..].find("\n---").map(|at| at + from) {
        let Some(end) = text[at + 4..].find('\n').map(|end| at + 4 + end) else {
            break;
        };
        let rest = text[at + 4..end].trim();
        if !rest.is_empty() && !rest.starts_with('#') {
            return Err(Error::invalid(format!(
                "invalid document separator: {}",
                text[at..end].trim()
            )));
        }
        // The line break before the separator ends the document.
        parts.push(&text[start..=at]);
        start = end + 1;
        from = start;
    }
    if !text.is_empty() {
        parts.push(&text[start..]);
    }
    Ok(parts)
}

/// Replaces aliases by what they stand for and merges `<<`.
fn spell_out(node: &mut Node, budget: &mut usize) -> Result<()> {
    if node.anchor().is_some() {
        node.set_anchor(None);
    }
    match node.kind {
        Kind::Scalar => return Ok(()),
        Kind::Alias => {
            let target = node.alias().cloned();
            *node = target.ok_or_else(|| {
                Error::invalid(format!("anchor '{}' value contains itself", node.value))
            })?;
            *budget = budget.checked_sub(node.count()).ok_or_else(|| {
                let message = format!("read objects: aliases add more than {MAX_ALIASED_VALUES} values; spell them out where they are needed");
                Error::new(ErrorKind::Limit, message)
            })?;
            return spell_out(node, budget);
        }
        Kind::Mapping => merge_keys(node)?,
        Kind::Sequence => {}
    }
    node.content
        .iter_mut()
        .try_for_each(|child| spell_out(child, budget))
}

fn merge_keys(map: &mut Node) -> Result<()> {
    let mut merges = map.entries().filter(|(key, _)| key.tag == Tag::Merge);
    let first = merges.next().map(|(_, value)| value.clone());
    if merges.next().is_some() {
        return Err(Error::invalid("duplicate merge key"));
    }
    drop(merges);
    if let Some(value) = first {
        let sources = merge_sources(&value)?;
        node::clear(map, "<<");
        let own = map.clone();
        for source in sources.iter().chain([&own]) {
            for (key, value) in source.entries() {
                set_entry(map, key, value);
            }
        }
    }
    // kyaml sets every field again, and takes a null key for an empty one: it is there twice then, which the output refuses.
    let null_keys: Vec<_> = map
        .entries()
        .filter(|(key, _)| node::is_null(key) && !key.value.is_empty())
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    for (key, value) in null_keys {
        map.content.extend([key, value]);
    }
    Ok(())
}

fn set_entry(map: &mut Node, key: &Node, value: &Node) {
    match node::position(map, node::text(key)) {
        Some(at) => {
            map.content[at] = key.clone();
            map.content[at + 1] = value.clone();
        }
        None => map.content.extend([key.clone(), value.clone()]),
    }
}

/// The mappings that `<<` names, in the order in which they are applied: later ones win.
fn merge_sources(value: &Node) -> Result<Vec<Node>> {
    match value.kind {
        Kind::Mapping => Ok(vec![value.clone()]),
        Kind::Alias => match value.alias() {
            Some(target) if target.kind == Kind::Mapping => Ok(vec![target.clone()]),
            _ => Err(Error::invalid(
                "invalid map merge: received alias for a non-map value",
            )),
        },
        Kind::Sequence => {
            let mut out = Vec::new();
            for item in value.content.iter().rev() {
                if item.kind == Kind::Sequence {
                    return Err(Error::invalid(
                        "invalid map merge: received a nested sequence",
                    ));
                }
                out.extend(merge_sources(item)?);
            }
            Ok(out)
        }
        Kind::Scalar => Err(Error::invalid(
            "map merge requires map or sequence of maps as the value",
        )),
    }
}

/// Drops empty documents; what is left has to say what it is.
fn keep_objects(nodes: Vec<Node>) -> Result<Vec<Node>> {
    let mut out = Vec::with_capacity(nodes.len());
    for node in nodes {
        if node::is_nil_or_empty(&node) {
            continue;
        }
        check_metadata(&node).map_err(|reason| {
            Error::invalid(reason).at_line(Some(node.line).filter(|line| *line > 0))
        })?;
        out.push(node);
    }
    Ok(out)
}

fn check_metadata(object: &Node) -> std::result::Result<(), String> {
    let is_set = |field: &str| {
        object
            .get(field)
            .is_some_and(|value| !node::is_nil_or_empty(value))
    };
    if !["apiVersion", "kind", "metadata"]
        .iter()
        .any(|field| is_set(field))
    {
        return Err("missing Resource metadata".to_owned());
    }
    let field = |name: &str| {
        if is_set(name) {
            node::top_text(object, name)
        } else {
            ""
        }
    };
    let kind = field("kind");
    let shown = || {
        let map = |name| {
            let mut entries: Vec<String> = node::meta_map(object, name)
                .map(|(k, v)| format!("{k}:{v}"))
                .collect();
            entries.sort();
            format!("map[{}]", entries.join(" "))
        };
        let (name, namespace) = (
            node::meta_text(object, "name"),
            node::meta_text(object, "namespace"),
        );
        format!(
            "{{{{{} {kind}}} {{{{{name} {namespace}}} {} {}}}}}",
            field("apiVersion"),
            map("labels"),
            map("annotations")
        )
    };
    if kind.is_empty() {
        return Err(format!("missing kind in object {}", shown()));
    }
    if !kind.ends_with("List") && node::meta_text(object, "name").is_empty() {
        return Err(format!("missing metadata.name in object {}", shown()));
    }
    Ok(())
}

/// Puts the items of `SomethingList` objects at the end of the list, in place of these objects.
fn inline_lists(nodes: Vec<Node>) -> Result<Vec<Node>> {
    let mut out = Vec::with_capacity(nodes.len());
    let mut queue = std::collections::VecDeque::from(nodes);
    while let Some(object) = queue.pop_front() {
        let kind = node::top_text(&object, "kind");
        let Some(items) = object.get("items").filter(|_| kind.ends_with("List")) else {
            out.push(object);
            continue;
        };
        if node::is_null(items) {
            continue;
        }
        if items.kind != Kind::Sequence {
            let found = if items.kind == Kind::Mapping {
                "map[string]interface {}"
            } else {
                "string"
            };
            return Err(Error::invalid(format!(
                "expected array in {kind}/items, but found {found}"
            )));
        }
        let mut inner = Vec::new();
        for item in &items.content {
            let json = yaml::node_to_json(item)
                .map_err(|e| Error::invalid(format!("trouble expanding list of {kind}; {e}")))?;
            let mut item_node = as_json_text(&json);
            item_node.line = item.line;
            inner.push(item_node);
        }
        queue.extend(keep_objects(inner)?);
    }
    Ok(out)
}

/// The node that the JSON text of a value reads as.
fn as_json_text(value: &serde_json::Value) -> Node {
    fn quote(node: &mut Node) {
        if node.kind == Kind::Scalar && node.tag == Tag::Str {
            node.style = Style::DOUBLE_QUOTED;
        }
        node.content.iter_mut().for_each(quote);
    }
    let mut node = yaml::json_to_node(value);
    quote(&mut node);
    node
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let objects = objects(text, &Schema::builtin()).unwrap();
        objects.iter().map(|o| o.id().name.clone()).collect()
    }

    fn error(text: &str) -> String {
        objects(text, &Schema::builtin()).unwrap_err().to_string()
    }

    #[test]
    fn documents_are_split_and_lists_follow_what_comes_after_them() {
        let object =
            |name: &str| format!("{{apiVersion: v1, kind: X, metadata: {{name: {name}}}}}\n");
        assert_eq!(
            names(&format!(
                "{}--- # comment\n{}---\n",
                object("a"),
                object("b")
            )),
            ["a", "b"]
        );
        let list = format!(
            "{{apiVersion: v1, kind: XList, items: [{}, null]}}\n",
            object("l").trim()
        );
        assert_eq!(names(&format!("{list}---\n{}", object("b"))), ["b", "l"]);
        assert_eq!(
            names(&format!("kind: List\nitems:\n- {}", object("i"))),
            ["i"]
        );
        assert!(names("# nothing\n---\n---\n{}\n").is_empty());
        assert_eq!(
            error("a: 1\n--- b\nc: 1\n"),
            "invalid document separator: --- b"
        );
    }

    #[test]
    fn objects_have_to_say_what_they_are() {
        assert_eq!(
            error("apiVersion: v1\nkind: Pod\nmetadata: {labels: {a: b}}\n"),
            "missing metadata.name in object {{v1 Pod} {{ } map[a:b] map[]}}"
        );
        assert_eq!(
            error("apiVersion: v1\nmetadata: {name: n, namespace: s}\n"),
            "missing kind in object {{v1 } {{n s} map[] map[]}}"
        );
        assert_eq!(error("- a\n"), "missing Resource metadata");
        assert!(error("a: [\n").starts_with("MalformedYAMLError: yaml: "));
    }

    #[test]
    fn aliases_and_merge_keys_are_spelled_out() {
        let text = "apiVersion: v1\nkind: X\nmetadata: {name: a}\nbase: &b {x: 1, y: 2}\nall: {<<: *b, y: 3}\nsame: *b\n";
        let objects = objects(text, &Schema::builtin()).unwrap();
        let text = objects[0].to_yaml().unwrap();
        assert!(text.contains("all:\n  x: 1\n  \"y\": 3\n"), "{text}");
        assert!(text.contains("same:\n  x: 1\n  \"y\": 2\n"), "{text}");
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = "apiVersion: v1\nkind: X\nmetadata: {name: a}\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..10 {
            let refs = vec![format!("*a{}", i - 1); 10].join(", ");
            text += &format!("a{i}: &a{i} [{refs}]\n");
        }
        let error = objects(&text, &Schema::builtin()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
    }
}
