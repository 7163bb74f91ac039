//! The few ways in which a build reads and writes YAML.

use capstan_goyaml::{
    Build, DecodeOptions, Dialect, EmitOptions, Error, JsonBuilder, Kind, Node, Resolved, Style,
    Tag, decode, emit, format_float, marshal, parse_first, resolve, unmarshal,
};
use serde_json::Value;

use crate::gojson;
use crate::node::NodeExt;
use crate::output::OutputBuilder;

/// The first document of a text, styles and positions kept.
pub(crate) fn parse_one(text: &str) -> Result<Option<Node>, Error> {
    Ok(parse_first(text.as_bytes(), Dialect::V3)?.map(|document| document.root))
}

/// A text as `YAMLToJSON` of `sigs.k8s.io/yaml` reads it, which is how kustomize reads its own files.
pub(crate) fn to_json(text: &str) -> Result<Value, Error> {
    unmarshal(text.as_bytes(), &mut JsonBuilder).map_err(|error| match error {
        Error::Convert(reason) => *reason,
        other => other,
    })
}

/// The same where a key that is there twice is an error.
pub(crate) fn to_json_strict(text: &str) -> Result<Value, Error> {
    const STRICT: DecodeOptions = DecodeOptions {
        dialect: Dialect::V2,
        strict: true,
        object: false,
    };
    match parse_first(text.as_bytes(), Dialect::V2)? {
        Some(document) => decode(&document.root, STRICT, &mut JsonBuilder),
        None => Ok(Value::Null),
    }
}

const VALUE: DecodeOptions = DecodeOptions {
    dialect: Dialect::V3,
    strict: false,
    object: false,
};
const OBJECT: DecodeOptions = DecodeOptions {
    object: true,
    ..VALUE
};

/// Any node as a value.
pub(crate) fn node_to_json(node: &Node) -> Result<Value, Error> {
    decode(node, VALUE, &mut JsonBuilder)
}

/// A node that is an object as a value.
pub(crate) fn object_to_json(node: &Node) -> Result<Value, Error> {
    read_back(node, &mut JsonBuilder)
}

fn read_back<B: Build>(node: &Node, build: &mut B) -> Result<B::Value, Error> {
    // kustomize writes the node and reads it back. That changes nothing but folded texts, whose indented lines yaml.v3 sets off by one
    // more empty line.
    if has_folded(node)
        && let Some(read_back) = parse_one(&to_v3(node)?)?
    {
        return decode_object(&read_back, build);
    }
    decode_object(node, build)
}

fn has_folded(node: &Node) -> bool {
    node.style.has(Style::FOLDED) || node.content.iter().any(has_folded)
}

fn decode_object<B: Build>(node: &Node, build: &mut B) -> Result<B::Value, Error> {
    match decode(node, OBJECT, build) {
        // Go since 1.27 writes maps with keys that are no strings, as text; before, it refused.
        Err(Error::Json(reason)) if reason.contains("map[interface {}]interface {}") => {
            let mut node = node.clone();
            name_keys(&mut node);
            decode(&node, OBJECT, build)
        }
        other => other,
    }
}

/// Turns keys that are numbers or dates into the strings that JSON has for them.
fn name_keys(node: &mut Node) {
    if node.kind == Kind::Mapping {
        for key in node
            .content
            .iter_mut()
            .step_by(2)
            .filter(|key| key.kind == Kind::Scalar && !key.style.is_quoted_or_block())
        {
            let text = match resolve(Dialect::V3, &key.value) {
                Resolved::Int(int) => int.to_string(),
                Resolved::Uint(int) => int.to_string(),
                Resolved::Float(float) if float.is_finite() => gojson::to_string(&float.into()),
                _ => continue,
            };
            *key = Node::string(text);
        }
    }
    node.content.iter_mut().for_each(name_keys);
}

/// An object as it is printed in the end.
pub(crate) fn to_output(node: &Node) -> Result<String, Error> {
    marshal(&read_back(node, &mut OutputBuilder)?)
}

/// A value as `sigs.k8s.io/yaml` writes it.
pub(crate) fn json_to_output(value: &Value) -> Result<String, Error> {
    marshal(value)
}

/// A node as kyaml writes it.
pub(crate) fn to_v3(node: &Node) -> Result<String, Error> {
    emit(node, EmitOptions::KYAML)
}

/// What the JSON text of a value reads as.
pub(crate) fn json_to_node(value: &Value) -> Node {
    from_json(value, &|number| {
        if number.is_f64() {
            gojson::to_string(&Value::Number(number.clone()))
        } else {
            number.to_string()
        }
    })
}

/// What a value becomes that went through Go's `interface{}`, where every number is a float64, and through yaml.v3.
pub(crate) fn json_to_node_with_floats(value: &Value) -> Node {
    from_json(value, &|number| {
        number
            .as_f64()
            .map_or_else(|| number.to_string(), format_float)
    })
}

fn from_json(value: &Value, number_text: &dyn Fn(&serde_json::Number) -> String) -> Node {
    match value {
        Value::Null => Node::null(),
        Value::Bool(truth) => Node::scalar(if *truth { "true" } else { "false" }).tagged(Tag::Bool),
        Value::Number(number) => {
            let text = number_text(number);
            let tag = resolve(Dialect::V3, &text).tag();
            Node::scalar(text).tagged(tag)
        }
        Value::String(text) => Node::string(&**text).styled(string_style(text)),
        Value::Array(items) => Node::sequence(
            items
                .iter()
                .map(|item| from_json(item, number_text))
                .collect(),
        ),
        Value::Object(map) => Node::mapping(map.iter().map(|(key, value)| {
            let key = Node::string(&**key).styled(string_style(key));
            (key, from_json(value, number_text))
        })),
    }
}

fn string_style(text: &str) -> Style {
    if text.contains('\n') {
        Style::LITERAL
    } else if resolve(Dialect::V3, text) == Resolved::Str
        && resolve(Dialect::V2, text) == Resolved::Str
    {
        Style::NONE
    } else {
        Style::DOUBLE_QUOTED
    }
}

/// Whether YAML 1.1 reads a plain text as something else than a string.
pub(crate) fn is_v2_non_string(text: &str) -> bool {
    if text.is_empty() || text.contains('\n') {
        return false;
    }
    if resolve(Dialect::V2, text) != Resolved::Str {
        return true;
    }
    let may_be_more = text.contains(": ")
        || text.ends_with(':')
        || text.starts_with(|c| "[{-?#!&*|>\"'%@`".contains(c));
    may_be_more
        && match parse_first(text.as_bytes(), Dialect::V2) {
            Ok(Some(document)) => {
                let root = &document.root;
                let is_string = root.style.is_quoted_or_block()
                    || resolve(Dialect::V2, &root.value) == Resolved::Str;
                root.kind != Kind::Scalar || !is_string
            }
            Ok(None) => true,
            Err(_) => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_more_than_strings() {
        for yes in ["yes", "1", "~", "a: b", "[a]", "- a", "# c", "1.5", "0x1f"] {
            assert!(is_v2_non_string(yes), "{yes}");
        }
        for no in ["", "abc", "a:b", "-a", "'1'", "[", "a\nb"] {
            assert!(!is_v2_non_string(no), "{no}");
        }
    }
}
