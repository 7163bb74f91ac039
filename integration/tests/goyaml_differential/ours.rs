//! The same questions, answered by capstan-goyaml.

use capstan_goyaml::{
    DecodeOptions, Dialect, Document, EmitOptions, Error, JsonBuilder, Kind, Node, decode,
    emit_documents, marshal, marshal_v3, parse, parse_first, unmarshal_object,
};
use serde_json::{Value, json};

use crate::oracle::Answer;

pub(crate) fn answer(operation: &str, text: &str) -> Answer {
    match run(operation, text) {
        Ok(text) => Answer::Text(text),
        Err(error) => Answer::Error(error.to_string()),
    }
}

fn run(operation: &str, text: &str) -> Result<String, Error> {
    let input = text.as_bytes();
    let v2 = DecodeOptions {
        dialect: Dialect::V2,
        strict: false,
        object: false,
    };
    let v3 = DecodeOptions {
        dialect: Dialect::V3,
        ..v2
    };
    match operation {
        "sigs-to-json" => to_json(input, v2),
        "sigs-to-json-strict" => to_json(input, DecodeOptions { strict: true, ..v2 }),
        "sigs-object" => Ok(unmarshal_object(input, &mut JsonBuilder)?
            .map_or("{}".to_owned(), |value| go_json(&floats(value)))),
        "v3-to-json" => to_json(input, v3),
        "v3-object-to-json" => to_json(input, DecodeOptions { object: true, ..v3 }),
        "v3-tree" => Ok(parse(input, Dialect::V3)?.iter().map(tree).collect()),
        "v3-compact" => emit_documents(&parse(input, Dialect::V3)?, EmitOptions::KYAML),
        "v3-wide" => emit_documents(&parse(input, Dialect::V3)?, EmitOptions::KYAML_WIDE),
        "v3-default" => emit_documents(&parse(input, Dialect::V3)?, EmitOptions::V3),
        "sigs-marshal" => marshal(&value(text)),
        "v3-marshal" => marshal_v3(&value(text), EmitOptions::KYAML_WIDE),
        other => panic!("no operation {other}"),
    }
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).expect("the generator makes JSON")
}

fn to_json(input: &[u8], options: DecodeOptions) -> Result<String, Error> {
    match parse_first(input, options.dialect)? {
        Some(document) => Ok(go_json(&decode(&document.root, options, &mut JsonBuilder)?)),
        None if options.object => Ok("{}".to_owned()),
        None => Ok("null".to_owned()),
    }
}

fn tree(document: &Document) -> String {
    let comments = &document.comments;
    let mut lines = go_json(&json!([
        "document",
        [comments.head, comments.line, comments.foot]
    ])) + "\n";
    write(&mut lines, &document.root, 1);
    lines
}

fn write(lines: &mut String, node: &Node, depth: usize) {
    let kind = match node.kind {
        Kind::Scalar => "scalar",
        Kind::Sequence => "sequence",
        Kind::Mapping => "mapping",
        Kind::Alias => "alias",
    };
    let comments = node.comments().cloned().unwrap_or_default();
    let comments = [comments.head, comments.line, comments.foot];
    let (style, tag, anchor) = (
        node.style.bits(),
        node.tag.as_str(),
        node.anchor().unwrap_or_default(),
    );
    let line = json!([
        depth,
        kind,
        style,
        tag,
        anchor,
        node.line,
        node.column,
        node.value.as_str(),
        comments
    ]);
    lines.push_str(&go_json(&line));
    lines.push('\n');
    for child in &node.content {
        write(lines, child, depth + 1);
    }
}

/// Numbers as Go's `interface{}` holds them.
fn floats(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(items) => items.into_iter().map(floats).collect(),
        Value::Object(entries) => Value::Object(
            entries
                .into_iter()
                .map(|(key, value)| (key, floats(value)))
                .collect(),
        ),
        other => other,
    }
}

/// JSON as Go's encoder writes it: sorted, escaped for HTML, floats in its own form.
fn go_json(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) => value.to_string(),
        Value::Number(number) if !number.is_f64() => number.to_string(),
        Value::Number(number) => go_float(number.as_f64().expect("it is one")),
        Value::String(text) => go_string(text),
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(go_json).collect::<Vec<_>>().join(",")
        ),
        Value::Object(entries) => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by_key(|(key, _)| key.as_bytes());
            let entries: Vec<_> = sorted
                .iter()
                .map(|(key, value)| format!("{}:{}", go_string(key), go_json(value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
    }
}

fn go_float(float: f64) -> String {
    if float != 0.0 && (float.abs() < 1e-6 || float.abs() >= 1e21) {
        let text = format!("{float:e}");
        return if text.contains("e-") {
            text
        } else {
            text.replace('e', "e+")
        };
    }
    float.to_string()
}

fn go_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x08' => quoted.push_str("\\b"),
            '\x0C' => quoted.push_str("\\f"),
            '\0'..'\x20' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                quoted.push_str(&format!("\\u{:04x}", c as u32))
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
