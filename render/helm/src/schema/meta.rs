//! The schema of schemas, for each draft.
//!
//! The rules are those of the specification; from 2019-09 on they are grouped by vocabulary, because the validator's messages show the groups.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::compile::Compiler;
use super::draft::Draft;
use super::node::{Node, NodeId};

static COMPILED: LazyLock<BTreeMap<&'static str, (Vec<Node>, NodeId)>> = LazyLock::new(|| {
    let none = BTreeMap::new();
    let compile = |draft: Draft| {
        Compiler::trusted(&none)
            .compile(draft.url(), schema(draft))
            .expect("the schemas of schemas are fixed and covered by tests")
    };
    [Draft::V4, Draft::V6, Draft::V7, Draft::V2019, Draft::V2020]
        .into_iter()
        .map(|draft| (draft.url(), compile(draft)))
        .collect()
});

/// The compiled schema of schemas.
pub(super) fn compiled(draft: Draft) -> &'static (Vec<Node>, NodeId) {
    &COMPILED[draft.url()]
}

/// The schema of schemas as a document.
pub(super) fn schema(draft: Draft) -> Value {
    if draft < Draft::V2019 {
        let mut properties = merge([
            core(draft),
            applicator(draft),
            validation(draft),
            annotations(draft),
            rest(draft),
        ]);
        if draft == Draft::V4 {
            properties["exclusiveMaximum"] = json!({"type": "boolean"});
            properties["exclusiveMinimum"] = json!({"type": "boolean"});
            properties["multipleOf"] =
                json!({"type": "number", "minimum": 0, "exclusiveMinimum": true});
            return json!({
                "$schema": draft.url(), "type": "object", "properties": properties,
                "dependencies": {"exclusiveMaximum": ["maximum"], "exclusiveMinimum": ["minimum"]},
            });
        }
        return json!({"$schema": draft.url(), "type": ["object", "boolean"], "properties": properties});
    }
    let group =
        |properties: Value| json!({"type": ["object", "boolean"], "properties": properties});
    json!({
        "$schema": draft.url(),
        "allOf": [group(core(draft)), group(applicator(draft)), group(validation(draft)), group(annotations(draft)), group(rest(draft))],
        "type": ["object", "boolean"],
        "properties": {
            "definitions": map(),
            "dependencies": {"type": "object", "additionalProperties": {"anyOf": [this(), string_list(draft)]}},
        },
    })
}

fn this() -> Value {
    json!({"$ref": "#"})
}

fn list() -> Value {
    json!({"type": "array", "minItems": 1, "items": this()})
}

fn map() -> Value {
    json!({"type": "object", "additionalProperties": this()})
}

fn string_list(draft: Draft) -> Value {
    let mut rule = json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true});
    if draft == Draft::V4 {
        rule["minItems"] = json!(1);
    }
    rule
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn merge<const N: usize>(groups: [Value; N]) -> Value {
    Value::Object(
        groups
            .into_iter()
            .filter_map(|group| {
                if let Value::Object(members) = group {
                    Some(members)
                } else {
                    None
                }
            })
            .flatten()
            .collect(),
    )
}

fn core(draft: Draft) -> Value {
    let mut properties = json!({
        "$schema": {"type": "string", "format": "uri"},
        "$ref": {"type": "string"},
    });
    if draft >= Draft::V6 {
        properties["$ref"]["format"] = json!("uri-reference");
    }
    properties[draft.id_keyword()] = match draft {
        Draft::V4 => json!({"type": "string"}),
        Draft::V6 | Draft::V7 => json!({"type": "string", "format": "uri-reference"}),
        Draft::V2019 | Draft::V2020 => {
            json!({"type": "string", "format": "uri-reference", "pattern": "^[^#]*#?$"})
        }
    };
    if draft >= Draft::V7 {
        properties["$comment"] = json!({"type": "string"});
    }
    if draft >= Draft::V2019 {
        let anchor = if draft == Draft::V2019 {
            "^[A-Za-z][-A-Za-z0-9.:_]*$"
        } else {
            "^[A-Za-z_][-A-Za-z0-9._]*$"
        };
        properties["$anchor"] = json!({"type": "string", "pattern": anchor});
        properties["$defs"] = map();
        properties["$vocabulary"] =
            json!({"type": "object", "additionalProperties": {"type": "boolean"}});
    }
    if draft == Draft::V2019 {
        properties["$recursiveRef"] = json!({"type": "string", "format": "uri-reference"});
        properties["$recursiveAnchor"] = json!({"type": "boolean"});
    }
    if draft == Draft::V2020 {
        properties["$dynamicRef"] = json!({"type": "string", "format": "uri-reference"});
        properties["$dynamicAnchor"] =
            json!({"type": "string", "pattern": "^[A-Za-z_][-A-Za-z0-9._]*$"});
    }
    properties
}

fn applicator(draft: Draft) -> Value {
    let mut properties = json!({"allOf": list(), "anyOf": list(), "oneOf": list(), "not": this(), "properties": map(), "patternProperties": map()});
    let mut add = |names: &[&str], rule: &Value| {
        for name in names {
            properties[*name] = rule.clone();
        }
    };
    match draft {
        Draft::V4 => {
            let schema_or_flag = json!({"anyOf": [{"type": "boolean"}, this()]});
            add(
                &["additionalProperties", "additionalItems"],
                &schema_or_flag,
            );
        }
        Draft::V2020 => add(&["additionalProperties"], &this()),
        _ => add(&["additionalProperties", "additionalItems"], &this()),
    }
    match draft {
        Draft::V2020 => {
            add(
                &["items", "unevaluatedItems", "unevaluatedProperties"],
                &this(),
            );
            add(&["prefixItems"], &list());
        }
        _ => add(&["items"], &json!({"anyOf": [this(), list()]})),
    }
    if draft >= Draft::V6 {
        add(&["contains", "propertyNames"], &this());
        let names = json!({"type": "object", "additionalProperties": this(), "propertyNames": {"format": "regex"}});
        add(&["patternProperties"], &names);
    }
    if draft >= Draft::V7 {
        add(&["if", "then", "else"], &this());
    }
    if draft == Draft::V2019 {
        add(&["unevaluatedItems", "unevaluatedProperties"], &this());
    }
    if draft >= Draft::V2019 {
        add(&["dependentSchemas"], &map());
    } else {
        add(&["definitions"], &map());
        add(
            &["dependencies"],
            &json!({"type": "object", "additionalProperties": {"anyOf": [this(), string_list(draft)]}}),
        );
    }
    properties
}

fn validation(draft: Draft) -> Value {
    let simple =
        json!({"enum": ["array", "boolean", "integer", "null", "number", "object", "string"]});
    let mut properties = json!({
        "type": {"anyOf": [simple, {"type": "array", "items": simple, "minItems": 1, "uniqueItems": true}]},
        "multipleOf": {"type": "number", "exclusiveMinimum": 0},
        "maximum": {"type": "number"}, "exclusiveMaximum": {"type": "number"},
        "minimum": {"type": "number"}, "exclusiveMinimum": {"type": "number"},
        "pattern": {"type": "string", "format": "regex"},
        "uniqueItems": {"type": "boolean"},
        "required": string_list(draft),
    });
    for name in [
        "maxLength",
        "minLength",
        "maxItems",
        "minItems",
        "maxProperties",
        "minProperties",
    ] {
        properties[name] = count();
    }
    properties["enum"] = match draft {
        Draft::V2019 | Draft::V2020 => json!({"type": "array"}),
        _ => json!({"type": "array", "minItems": 1, "uniqueItems": true}),
    };
    if draft >= Draft::V2019 {
        properties["maxContains"] = count();
        properties["minContains"] = count();
        properties["dependentRequired"] =
            json!({"type": "object", "additionalProperties": string_list(draft)});
    }
    properties
}

fn annotations(draft: Draft) -> Value {
    let mut properties = json!({"title": {"type": "string"}, "description": {"type": "string"}});
    let mut add = |names: &[&str], kind: &str| {
        for name in names {
            properties[*name] = json!({"type": kind});
        }
    };
    if draft >= Draft::V6 {
        add(&["examples"], "array");
    }
    if draft >= Draft::V7 {
        add(&["readOnly", "writeOnly"], "boolean");
    }
    if draft >= Draft::V2019 {
        add(&["deprecated"], "boolean");
    }
    properties
}

fn rest(draft: Draft) -> Value {
    let mut properties = json!({"format": {"type": "string"}});
    if draft >= Draft::V7 {
        properties["contentEncoding"] = json!({"type": "string"});
        properties["contentMediaType"] = json!({"type": "string"});
    }
    if draft >= Draft::V2019 {
        properties["contentSchema"] = this();
    }
    properties
}
