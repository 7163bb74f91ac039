//! Validates objects of custom kinds against their schema.

use serde_json::{Map, Value};

use super::custom::{flag, join};
use crate::sim::status::FieldError;

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Checks a value and all below it.
pub(super) fn object(
    value: &Value,
    schema: &Value,
    root: bool,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    if value.is_null() && flag(schema, "nullable") {
        return;
    }
    if !type_fits(value, schema, path, errors) {
        return;
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        errors.push(FieldError::not_supported(path, value, allowed));
    }
    bounds(value, schema, path, errors);
    combinations(value, schema, path, errors);
    match value {
        Value::Object(map) => members(map, schema, root, path, errors),
        Value::Array(items) => {
            if let Some(child) = schema.get("items") {
                for (i, item) in items.iter().enumerate() {
                    object(item, child, false, &format!("{path}[{i}]"), errors);
                }
            }
            check_duplicates(items, schema, path, errors);
        }
        _ => {}
    }
}

/// Whether a value is of the type that is declared; without one, everything is.
fn type_fits(value: &Value, schema: &Value, path: &str, errors: &mut Vec<FieldError>) -> bool {
    let actual = type_of(value);
    let body = |text: String| {
        if path.is_empty() {
            text
        } else {
            format!("{path} in body {text}")
        }
    };
    if flag(schema, "x-kubernetes-int-or-string") {
        let fits = value.is_i64() || value.is_string();
        if !fits {
            errors.push(FieldError::type_invalid(
                path,
                actual,
                &body(format!("must be of type integer,string: {actual:?}")),
            ));
        }
        return fits;
    }
    let Some(expected) = schema.get("type").and_then(Value::as_str) else {
        return true;
    };
    let fits = actual == expected || (expected == "number" && actual == "integer");
    if !fits {
        errors.push(FieldError::type_invalid(
            path,
            actual,
            &body(format!("must be of type {expected}: {actual:?}")),
        ));
    }
    fits
}

fn members(
    map: &Map<String, Value>,
    schema: &Value,
    root: bool,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    for name in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if !map.contains_key(name) {
            errors.push(FieldError::required(&join(path, name), ""));
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let additional = schema.get("additionalProperties").filter(|a| a.is_object());
    for (key, value) in map {
        if root && matches!(key.as_str(), "metadata" | "apiVersion" | "kind") {
            continue;
        }
        if let Some(child) = properties.and_then(|p| p.get(key)).or(additional) {
            object(value, child, false, &join(path, key), errors);
        }
    }
}

fn check_duplicates(items: &[Value], schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let keys: Vec<&str> = schema
        .get("x-kubernetes-list-map-keys")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let identity = |item: &Value| -> Value {
        if keys.is_empty() {
            item.clone()
        } else {
            keys.iter()
                .map(|k| item.get(*k).cloned().unwrap_or_default())
                .collect()
        }
    };
    if !matches!(
        schema.get("x-kubernetes-list-type").and_then(Value::as_str),
        Some("set" | "map")
    ) {
        return;
    }
    for (i, item) in items.iter().enumerate() {
        if items[..i]
            .iter()
            .any(|other| identity(other) == identity(item))
        {
            errors.push(FieldError::duplicate(&format!("{path}[{i}]"), item));
        }
    }
}

/// Limits of numbers, lengths and patterns.
fn bounds(value: &Value, schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let limit = |key: &str| schema.get(key).and_then(Value::as_f64);
    let count = |key: &str| {
        schema
            .get(key)
            .and_then(Value::as_u64)
            .and_then(|n| usize::try_from(n).ok())
    };
    let mut wrong = |text: String| {
        errors.push(FieldError::invalid(
            path,
            value,
            &format!("{path} in body {text}"),
        ))
    };
    if let Some(number) = value.as_f64() {
        let exclusive = |key: &str| flag(schema, key);
        if let Some(max) = limit("maximum") {
            if exclusive("exclusiveMaximum") && number >= max {
                wrong(format!("should be less than {max}"));
            } else if number > max {
                wrong(format!("should be less than or equal to {max}"));
            }
        }
        if let Some(min) = limit("minimum") {
            if exclusive("exclusiveMinimum") && number <= min {
                wrong(format!("should be greater than {min}"));
            } else if number < min {
                wrong(format!("should be greater than or equal to {min}"));
            }
        }
    }
    if let Some(text) = value.as_str() {
        if let Some(min) = count("minLength").filter(|min| text.chars().count() < *min) {
            wrong(format!("should be at least {min} chars long"));
        }
        if let Some(max) = count("maxLength").filter(|max| text.chars().count() > *max) {
            wrong(format!("should be at most {max} chars long"));
        }
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && regex::Regex::new(pattern).is_ok_and(|re| !re.is_match(text))
        {
            wrong(format!("should match '{pattern}'"));
        }
    }
    if let Some(items) = value.as_array() {
        if let Some(min) = count("minItems").filter(|min| items.len() < *min) {
            wrong(format!("should have at least {min} items"));
        }
        if let Some(max) = count("maxItems").filter(|max| items.len() > *max) {
            wrong(format!("should have at most {max} items"));
        }
    }
    if let Some(max) =
        count("maxProperties").filter(|max| value.as_object().is_some_and(|o| o.len() > *max))
    {
        wrong(format!("should have at most {max} properties"));
    }
}

/// `allOf`, `anyOf`, `oneOf` and `not`, by whether the parts hold.
fn combinations(value: &Value, schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let holds = |part: &Value| {
        let mut found = Vec::new();
        object(value, part, false, path, &mut found);
        found.is_empty()
    };
    let parts = |key: &str| schema.get(key).and_then(Value::as_array);
    for part in parts("allOf").into_iter().flatten() {
        object(value, part, false, path, errors);
    }
    if flag(schema, "x-kubernetes-int-or-string") {
        return;
    }
    if let Some(any) = parts("anyOf")
        && !any.iter().any(holds)
    {
        errors.push(FieldError::invalid(
            path,
            value,
            &format!("{path} in body must validate at least one schema (anyOf)"),
        ));
    }
    if let Some(one) = parts("oneOf")
        && one.iter().filter(|part| holds(part)).count() != 1
    {
        errors.push(FieldError::invalid(
            path,
            value,
            &format!("{path} in body must validate one and only one schema (oneOf)"),
        ));
    }
    if schema.get("not").is_some_and(holds) {
        errors.push(FieldError::invalid(
            path,
            value,
            &format!("{path} in body must not validate the schema (not)"),
        ));
    }
}
