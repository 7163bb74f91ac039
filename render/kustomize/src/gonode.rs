//! A node as Go writes the struct that yaml.v3 has for it: kustomize hashes generated objects so that a patch made something else than a
//! ConfigMap or a Secret of. The notes that it keeps as annotations are part of that.

use std::fmt::Write as _;

use capstan_goyaml::{Kind, Node, Style, Tag};
use serde_json::Value;

use crate::gojson;
use crate::node::{self, NodeExt};
use crate::resource::{Memory, Note, Resource};

const DOMAIN: &str = "internal.config.kubernetes.io/";
const ENABLED: &str = "enabled";
/// Where the text that kustomize makes generated objects from has its first keys.
const FIRST_LINE: u32 = 2;

/// The text that is hashed for a generated object.
pub(crate) fn encoded(resource: &Resource) -> String {
    let mut object = resource.node().clone();
    place(&mut object);
    if let Ok(metadata) = node::mapping_at(&mut object, &["metadata"]) {
        let own = node::clear(metadata, "annotations");
        let own = own.map(|it| it.content).unwrap_or_default();
        let all = with_notes(own, &resource.memory);
        let mut map = node::Create::Mapping.node();
        map.content = all;
        // They were there from the beginning, before what else came into the metadata.
        let at = (resource.memory.annotations_at * 2).min(metadata.content.len());
        let entry = [Node::scalar("annotations"), map];
        metadata.content.splice(at..at, entry);
    }
    let mut out = String::new();
    write(&object, &mut out);
    out
}

/// Gives what was there from the beginning its lines.
fn place(object: &mut Node) {
    (object.line, object.column) = (FIRST_LINE, 1);
    let keys = object.content.iter_mut().step_by(2).take(2);
    for (line, key) in (FIRST_LINE..).zip(keys) {
        (key.line, key.column, key.tag) = (line, 1, Tag::Str);
    }
}

/// Annotations with what kustomize noted among them, in the order in which they came.
fn with_notes(own: Vec<Node>, memory: &Memory) -> Vec<Node> {
    let mut own = own.into_iter();
    let mut out: Vec<(Node, Node)> = Vec::new();
    let mut taken = 0;
    for (note, before) in &memory.notes {
        while taken < *before
            && let (Some(key), Some(value)) = (own.next(), own.next())
        {
            out.push((key, value));
            taken += 1;
        }
        out.extend(annotations(*note, memory));
        if matches!(note, Note::Generated | Note::Rewritten) {
            // All are written anew, as texts and in order.
            out.sort_by(|a, b| a.0.value.cmp(&b.0.value));
            for (key, value) in &mut out {
                *key = Node::scalar(key.value.clone());
                let lines = value.value.contains('\n');
                let style = if lines { Style::LITERAL } else { Style::NONE };
                *value = Node::string(value.value.clone()).styled(style);
            }
        }
    }
    let mut out: Vec<Node> = out.into_iter().flat_map(|(k, v)| [k, v]).collect();
    out.extend(own);
    out
}

fn annotations(note: Note, memory: &Memory) -> Vec<(Node, Node)> {
    let quoted = |text: String| Node::string(text).styled(Style::SINGLE_QUOTED);
    let entry = |name: &str, value: Node| (Node::scalar(format!("{DOMAIN}{name}")), value);
    let joined = |part: fn(&crate::resource::Previous) -> &str| {
        let parts: Vec<&str> = memory.previous.iter().map(part).collect();
        quoted(parts.join(","))
    };
    match note {
        Note::Generated => {
            let behavior = Node::string(memory.behavior.name());
            let mut all = vec![entry("generatorBehavior", behavior)];
            if memory.needs_hash {
                all.push(entry("needsHashSuffix", Node::string(ENABLED)));
            }
            all
        }
        Note::Rewritten => Vec::new(),
        Note::Previous => vec![
            entry("previousNames", joined(|it| &it.name)),
            entry("previousNamespaces", joined(|it| &it.namespace)),
            entry("previousKinds", joined(|it| &it.kind)),
        ],
        Note::Prefixes => vec![entry("prefixes", quoted(memory.prefixes.join(",")))],
        Note::Suffixes => vec![entry("suffixes", quoted(memory.suffixes.join(",")))],
        Note::AllowNameChange => vec![entry("allowNameChange", Node::string(ENABLED))],
        Note::AllowKindChange => vec![entry("allowKindChange", Node::string(ENABLED))],
    }
}

fn write(node: &Node, out: &mut String) {
    let kind = match node.kind {
        Kind::Sequence => 2,
        Kind::Mapping => 4,
        Kind::Scalar => 8,
        Kind::Alias => 16,
    };
    let text = |text: &str| gojson::to_string(&Value::from(text));
    // Writing to a text cannot fail.
    let _ = write!(
        out,
        "{{\"Kind\":{kind},\"Style\":{},\"Tag\":{},\"Value\":{},\"Anchor\":\"\",\"Alias\":null,\"Content\":",
        node.style.bits(),
        text(node.tag.as_str()),
        text(&node.value),
    );
    if node.content.is_empty() {
        out.push_str("null");
    } else {
        for (at, child) in node.content.iter().enumerate() {
            out.push(if at == 0 { '[' } else { ',' });
            write(child, out);
        }
        out.push(']');
    }
    let comments = node.comments().cloned().unwrap_or_default();
    let _ = write!(
        out,
        ",\"HeadComment\":{},\"LineComment\":{},\"FootComment\":{},\"Line\":{},\"Column\":{}}}",
        text(&comments.head),
        text(&comments.line),
        text(&comments.foot),
        node.line,
        node.column
    );
}
