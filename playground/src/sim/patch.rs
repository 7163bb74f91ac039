//! JSON patch, merge patch and strategic merge patch.

use serde_json::{Map, Value};

use super::schema::{Node, Patch, SchemaRef};
use super::status::Status;

/// The largest number of operations in one JSON patch, as on the real server.
const MAX_OPERATIONS: usize = 10_000;

/// Applies a JSON patch.
pub(crate) fn json(object: &mut Value, patch: Value) -> Result<(), Status> {
    if patch
        .as_array()
        .is_some_and(|ops| ops.len() > MAX_OPERATIONS)
    {
        return Err(Status::custom(
            413,
            "RequestEntityTooLarge",
            format!(
                "Request entity is too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}"
            ),
        ));
    }
    let kind = match &patch {
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) | Value::Null => "bool",
    };
    let patch: json_patch::Patch = serde_json::from_value(patch).map_err(|error| {
        Status::bad_request(match kind {
            "array" => format!("error decoding patch: {error}"),
            kind => format!(
                "error decoding patch: json: cannot unmarshal {kind} into Go value of type []handlers.jsonPatchOp"
            ),
        })
    })?;
    json_patch::patch(object, &patch).map_err(|_| Status::rejected())
}

/// Applies a merge patch.
pub(crate) fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Some(map) = object.as_object_mut() else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            map.shift_remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Applies a strategic merge patch of a built-in kind.
pub(crate) fn strategic(
    schema: SchemaRef<'_>,
    object: &mut Value,
    patch: &Value,
) -> Result<(), Status> {
    strategic_map(schema, object, patch)
}

const DIRECTIVE: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

fn strategic_map(schema: SchemaRef<'_>, object: &mut Value, patch: &Value) -> Result<(), Status> {
    let Value::Object(patch) = patch else {
        return Err(Status::bad_request(
            "a strategic merge patch must be an object",
        ));
    };
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        Some("replace") => {
            *object = Value::Object(
                patch
                    .iter()
                    .filter(|(k, _)| *k != DIRECTIVE)
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect(),
            );
            return Ok(());
        }
        Some("delete") => {
            *object = Value::Object(Map::new());
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => {
            return Err(Status::bad_request(format!(
                "Unknown patch type: {other} in map"
            )));
        }
    }
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Some(map) = object.as_object_mut() else {
        return Ok(());
    };
    if let Some(retain) = patch.get(RETAIN).and_then(Value::as_array) {
        map.retain(|key, _| retain.iter().any(|k| k.as_str() == Some(key)));
    }
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix(DELETE_FROM) {
            if let (Some(items), Some(gone)) = (
                map.get_mut(list).and_then(Value::as_array_mut),
                value.as_array(),
            ) {
                items.retain(|item| !gone.contains(item));
            }
        } else if !key.starts_with('$') {
            strategic_field(schema, map, key, value)?;
        }
    }
    for (key, order) in patch {
        if let (Some(list), Some(order)) = (key.strip_prefix(ORDER), order.as_array()) {
            reorder(
                field_patch(schema, list).key.as_deref(),
                map.get_mut(list),
                order,
            );
        }
    }
    Ok(())
}

fn field_patch(schema: SchemaRef<'_>, key: &str) -> Patch {
    match schema.node() {
        Node::Object { fields, .. } => fields.get(key).map(|f| f.patch.clone()).unwrap_or_default(),
        _ => Patch::default(),
    }
}

fn strategic_field(
    schema: SchemaRef<'_>,
    map: &mut Map<String, Value>,
    key: &str,
    value: &Value,
) -> Result<(), Status> {
    if value.is_null() {
        map.shift_remove(key);
        return Ok(());
    }
    let strategy = field_patch(schema, key);
    let child = schema.child(key);
    match (value, child) {
        (Value::Object(_), Some(child)) => {
            strategic_map(child, map.entry(key).or_insert(Value::Null), value)
        }
        (Value::Array(items), Some(child)) if strategy.merge => {
            let element = match child.node() {
                Node::List { element, .. } => child.at(*element),
                _ => child,
            };
            let live = map.entry(key).or_insert_with(|| Value::Array(Vec::new()));
            if !live.is_array() {
                *live = Value::Array(Vec::new());
            }
            let live = live.as_array_mut().expect("it was made a list");
            let before = live.clone();
            merge_list(element, strategy.key.as_deref(), live, items)?;
            order(strategy.key.as_deref(), live, &before, items);
            Ok(())
        }
        _ => {
            map.insert(key.to_owned(), value.clone());
            Ok(())
        }
    }
}

fn merge_list(
    element: SchemaRef<'_>,
    key: Option<&str>,
    live: &mut Vec<Value>,
    patch: &[Value],
) -> Result<(), Status> {
    let Some(key) = key else {
        for item in patch.iter().filter(|item| !item.is_object()) {
            if !live.contains(item) {
                live.push(item.clone());
            }
        }
        return Ok(());
    };
    if patch
        .iter()
        .any(|item| item.get(DIRECTIVE).and_then(Value::as_str) == Some("replace"))
    {
        *live = patch
            .iter()
            .filter(|item| item.get(DIRECTIVE).is_none())
            .cloned()
            .collect();
        return Ok(());
    }
    for item in patch {
        let Some(id) = item.get(key) else {
            return Err(Status::bad_request(format!(
                "map: {item} does not contain declared merge key: {key}"
            )));
        };
        let at = live.iter().position(|other| other.get(key) == Some(id));
        if item.get(DIRECTIVE).and_then(Value::as_str) == Some("delete") {
            live.retain(|other| other.get(key) != Some(id));
        } else if let Some(at) = at {
            strategic_map(element, &mut live[at], item)?;
        } else {
            let mut new = Value::Object(Map::new());
            strategic_map(element, &mut new, item)?;
            live.push(new);
        }
    }
    Ok(())
}

/// Puts a merged list in order: what the patch names in the order of the patch, the rest in the order it had, each before what follows it there.
fn order(key: Option<&str>, merged: &mut Vec<Value>, before: &[Value], patch: &[Value]) {
    let id = |item: &Value| match key {
        Some(key) => item.get(key).cloned().unwrap_or_default(),
        None => item.clone(),
    };
    let place = |list: &[Value], item: &Value| list.iter().position(|it| id(it) == id(item));
    let (mut named, rest): (Vec<Value>, Vec<Value>) = std::mem::take(merged)
        .into_iter()
        .partition(|item| place(patch, item).is_some());
    named.sort_by_key(|item| place(patch, item));
    let (mut named, mut rest) = (named.into_iter().peekable(), rest.into_iter().peekable());
    while let (Some(left), Some(right)) = (rest.peek(), named.peek()) {
        let first = match (place(before, left), place(before, right)) {
            (Some(left), Some(right)) => left < right,
            _ => false,
        };
        merged.extend(if first { rest.next() } else { named.next() });
    }
    merged.extend(rest);
    merged.extend(named);
}

fn reorder(key: Option<&str>, list: Option<&mut Value>, order: &[Value]) {
    let Some(items) = list.and_then(Value::as_array_mut) else {
        return;
    };
    let id = |item: &Value| {
        key.map_or_else(
            || item.clone(),
            |k| item.get(k).cloned().unwrap_or_default(),
        )
    };
    let wanted: Vec<Value> = order.iter().map(id).collect();
    let place = |item: &Value| wanted.iter().position(|w| *w == id(item));
    let mut listed: Vec<Value> = items
        .iter()
        .filter(|i| place(i).is_some())
        .cloned()
        .collect();
    listed.sort_by_key(|i| place(i));
    let others: Vec<Value> = items
        .iter()
        .filter(|i| place(i).is_none())
        .cloned()
        .collect();
    *items = listed.into_iter().chain(others).collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::schema::{Schema, built_in};
    use serde_json::json;

    #[test]
    fn a_strategic_patch_merges_lists_by_key() {
        let node = built_in()
            .kinds
            .iter()
            .find(|k| k.kind == "Pod")
            .unwrap()
            .node;
        let mut pod = json!({"metadata": {"finalizers": ["a"]}, "spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}], "tolerations": [{"key": "x"}]}});
        let patch = json!({"metadata": {"finalizers": ["b"], "$deleteFromPrimitiveList/finalizers": ["a"]},
                           "spec": {"containers": [{"name": "b", "image": "2"}, {"name": "a", "$patch": "delete"}, {"name": "c"}], "tolerations": [{"key": "y"}]}});
        strategic(Schema::BuiltIn(node).root(), &mut pod, &patch).unwrap();
        assert_eq!(
            pod["spec"]["containers"],
            json!([{"name": "b", "image": "2"}, {"name": "c"}])
        );
        assert_eq!(
            pod["spec"]["tolerations"],
            json!([{"key": "y"}]),
            "a list without a merge key is replaced"
        );
        assert_eq!(pod["metadata"]["finalizers"], json!(["b"]));
    }

    #[test]
    fn a_merge_patch_removes_nulls() {
        let mut object = json!({"a": {"b": 1, "c": 2}, "d": [1]});
        merge(
            &mut object,
            &json!({"a": {"b": null, "e": {"f": 1}}, "d": [2]}),
        );
        assert_eq!(object, json!({"a": {"c": 2, "e": {"f": 1}}, "d": [2]}));
    }
}
