//! Other values in the places of secret ones: of the same kind, length and outer shape, so that a chart does the same with them.

use serde_json::Value as Json;

use crate::tree::Tree;

/// All leaves changed; maps, lists, names, booleans and nulls stay.
pub(crate) fn tree(tree: &Tree) -> Tree {
    match tree {
        Tree::Null | Tree::Bool(_) => tree.clone(),
        Tree::Number(number) => Tree::Number(other_number(*number)),
        Tree::Int(number) => Tree::Int(number.wrapping_add(1)),
        Tree::String(text) => Tree::String(other_text(&text.to_str()).as_str().into()),
        Tree::List(items) => Tree::List(items.iter().map(self::tree).collect()),
        Tree::Map(entries) => Tree::Map(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), self::tree(value)))
                .collect(),
        ),
    }
}

/// A Secret of the cluster, or a list of them: what says which one it is stays.
pub(crate) fn secret(object: &Json) -> Json {
    let Json::Object(fields) = object else {
        return object.clone();
    };
    let field = |(name, value): (&String, &Json)| {
        let value = match (name.as_str(), value) {
            ("apiVersion" | "kind" | "type" | "immutable", _) => value.clone(),
            ("items", Json::Array(items)) => items.iter().map(secret).collect(),
            ("metadata", Json::Object(metadata)) => metadata
                .iter()
                .map(|(name, value)| {
                    // The last applied configuration is one, and it has all data in it.
                    let says = matches!(name.as_str(), "annotations" | "managedFields");
                    let value = if says { json(value) } else { value.clone() };
                    (name.clone(), value)
                })
                .collect::<serde_json::Map<_, _>>()
                .into(),
            _ => json(value),
        };
        (name.clone(), value)
    };
    Json::Object(fields.iter().map(field).collect())
}

fn json(value: &Json) -> Json {
    match value {
        Json::Null | Json::Bool(_) => value.clone(),
        Json::Number(number) => number
            .as_i64()
            .map(|number| number.wrapping_add(1).into())
            .or_else(|| number.as_f64().map(|number| other_number(number).into()))
            .unwrap_or_else(|| 1.into()),
        Json::String(text) => other_text(text).into(),
        Json::Array(items) => items.iter().map(json).collect(),
        Json::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), json(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

fn other_number(number: f64) -> f64 {
    let other = number + 1.0;
    // Beyond 2^53 one more is no other number.
    if other == number { number / 2.0 } else { other }
}

/// Letters and digits become others, all the same; what is between them stays, so that YAML, JSON and addresses stay what they are.
fn other_text(text: &str) -> String {
    let with = |lower: char, upper: char, digit: char| -> String {
        text.chars()
            .map(|c| match c {
                '0'..='9' => digit,
                'A'..='Z' => upper,
                c if c.is_ascii() && !c.is_ascii_lowercase() => c,
                _ => lower,
            })
            .collect()
    };
    let other = with('x', 'X', '7');
    match () {
        () if text.is_empty() || other != text => other,
        () if text.chars().any(|c| c.is_ascii_alphanumeric()) => with('y', 'Y', '8'),
        () => format!("{text}x"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_keep_their_shape_and_differ() {
        for (text, other) in [
            ("", ""),
            ("hunter2", "xxxxxx7"),
            ("https://Me:9@h/é", "xxxxx://Xx:7@x/x"),
            ("x7", "y8"),
            ("--", "--x"),
        ] {
            assert_eq!(other_text(text), other);
        }
    }

    #[test]
    fn all_of_a_secret_changes_but_what_it_is_called() {
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"p": "aHVudGVyMg==", "n": 1e300},
            "metadata": {"name": "pw", "annotations": {"last": "hunter2"}},
        });
        let other = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"p": "xXXxxXXxXx==", "n": 5e299},
            "metadata": {"name": "pw", "annotations": {"last": "xxxxxx7"}},
        });
        assert_eq!(secret(&object), other);
        assert_eq!(
            secret(&json!({"kind": "SecretList", "items": [object]})),
            json!({"kind": "SecretList", "items": [other]})
        );
    }
}
