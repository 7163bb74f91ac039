//! Drift, read from an object's `managedFields`: whether the fields that we declared are still ours, who has the others,
//! and what to write so that fields set with kubectl are ours to undo.
//!
//! The API server takes a field away from us when somebody else changes it, so our own entry tells all without looking
//! at a single value: what an admission webhook or the server's defaults made of our values is no drift, and a Secret's
//! content need not be read.

use serde_json::{Map, Value, json};

use crate::{digest::Digest, inventory::OwnFields, object::canonical_json};

/// Most lost fields that are named one by one.
pub const MAX_NAMED_FIELDS: usize = 8;

/// A field that we declare and that is no longer ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its path, such as `spec.template.spec.containers[name=web].image`.
    pub path: String,
    /// Who has it now; none where it was removed.
    pub by: Option<Writer>,
}

/// Whoever changed a field, as `managedFields` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// The field manager, such as `kubectl-edit`.
    pub manager: String,
    /// When, as the API server wrote it.
    pub time: String,
}

/// The fields that `managed` says are ours; none where nothing is.
pub fn own_fields(managed: &Value, manager: &str) -> Option<OwnFields> {
    let entry = entries(managed).find(|it| is_ours(it, manager))?;
    let content = json!([entry.get("fieldsV1"), entry.get("time")]);
    let digest = Digest::of(&canonical_json(&content));
    let head = digest.as_bytes()[..8]
        .try_into()
        .expect("a digest has 32 bytes");
    Some(OwnFields(u64::from_be_bytes(head)))
}

/// Whether somebody set fields with kubectl, or before server-side apply, that are ours to take over.
pub fn needs_take_over(managed: &Value, manager: &str) -> bool {
    entries(managed).any(|it| is_taken_over(it, manager))
}

/// `managed` with what is ours to take over merged into our own entry, so that the next apply undoes what we do not
/// declare; none where there is nothing to take over.
pub fn take_over(managed: &Value, manager: &str) -> Option<Value> {
    if !needs_take_over(managed, manager) {
        return None;
    }
    let (ours, others): (Vec<&Value>, Vec<&Value>) =
        entries(managed).partition(|it| is_ours(it, manager) || is_taken_over(it, manager));
    let mut fields = Value::Object(Map::new());
    for entry in &ours {
        if let Some(more) = entry.get("fieldsV1") {
            merge(&mut fields, more);
        }
    }
    let model = ours.iter().find(|it| is_ours(it, manager)).or(ours.first());
    let mut entry = (*model?).clone();
    entry["manager"] = manager.into();
    entry["operation"] = "Apply".into();
    entry["fieldsV1"] = fields;
    let rest = others.into_iter().cloned();
    Some(Value::Array([entry].into_iter().chain(rest).collect()))
}

/// The last one other than us who wrote to the object itself (not to a subresource such as its status).
pub fn last_writer(managed: &Value, manager: &str) -> Option<Writer> {
    entries(managed)
        .filter(|it| !is_ours(it, manager) && !has_subresource(it))
        .max_by_key(|it| text(it, "time"))
        .map(writer)
}

/// The fields of `desired` that are not ours, with who has them.
pub fn lost(desired: &Value, managed: &Value, manager: &str) -> Vec<Lost> {
    let nothing = Value::Object(Map::new());
    let ours = entries(managed).find(|it| is_ours(it, manager));
    let set = ours.and_then(|it| it.get("fieldsV1")).unwrap_or(&nothing);
    let mut paths = Vec::new();
    let Some(map) = desired.as_object() else {
        return Vec::new();
    };
    for (name, value) in map {
        match name.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => {
                let inner = set.get("f:metadata").unwrap_or(&nothing);
                for part in ["labels", "annotations"] {
                    let here = vec!["f:metadata".to_owned()];
                    if let Some(value) = value.get(part) {
                        walk_field(part, value, inner, &here, &mut paths);
                    }
                }
            }
            _ => walk_field(name, value, set, &[], &mut paths),
        }
    }
    let owner = |path: &[String]| {
        entries(managed)
            .filter(|it| !is_ours(it, manager) && has_path(it.get("fieldsV1"), path))
            .max_by_key(|it| text(it, "time"))
            .map(writer)
    };
    let name = |path: Vec<String>| Lost {
        by: owner(&path),
        path: display(&path),
    };
    paths.into_iter().map(name).collect()
}

/// `lost` in a few words, for an event or a report. Values never are in it.
pub fn describe(lost: &[Lost]) -> String {
    let mut parts: Vec<String> = lost
        .iter()
        .take(MAX_NAMED_FIELDS)
        .map(|it| match &it.by {
            Some(by) => format!("{} by {}", it.path, by.manager),
            None => format!("{} removed", it.path),
        })
        .collect();
    if lost.len() > MAX_NAMED_FIELDS {
        parts.push(format!("{} more", lost.len() - MAX_NAMED_FIELDS));
    }
    parts.join(", ")
}

fn entries(managed: &Value) -> impl Iterator<Item = &Value> {
    managed.as_array().into_iter().flatten()
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn writer(entry: &Value) -> Writer {
    Writer {
        manager: text(entry, "manager").chars().take(128).collect(),
        time: text(entry, "time").chars().take(32).collect(),
    }
}

fn has_subresource(entry: &Value) -> bool {
    !text(entry, "subresource").is_empty()
}

fn is_ours(entry: &Value, manager: &str) -> bool {
    text(entry, "manager") == manager
        && text(entry, "operation") == "Apply"
        && !has_subresource(entry)
}

/// Flux's list: kubectl in all its ways, what was there before the first server-side apply, and our own name used
/// without it.
fn is_taken_over(entry: &Value, manager: &str) -> bool {
    let name = text(entry, "manager");
    let update = text(entry, "operation") == "Update";
    !has_subresource(entry)
        && (name.starts_with("kubectl")
            || (update && (name == "before-first-apply" || name == manager)))
}

fn merge(into: &mut Value, more: &Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        for (key, value) in more {
            match into.get_mut(key) {
                Some(inner) => merge(inner, value),
                None => {
                    into.insert(key.clone(), value.clone());
                }
            }
        }
    }
}

fn is_leaf(node: &Value) -> bool {
    node.as_object().is_none_or(Map::is_empty)
}

fn walk_field(
    name: &str,
    value: &Value,
    set: &Value,
    above: &[String],
    out: &mut Vec<Vec<String>>,
) {
    let empty = match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    if empty {
        return;
    }
    let mut path = above.to_vec();
    path.push(format!("f:{name}"));
    match set.get(format!("f:{name}")) {
        None => out.push(path),
        Some(node) if is_leaf(node) => {}
        Some(node) => walk(value, node, &path, out),
    }
}

fn walk(value: &Value, node: &Value, path: &[String], out: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                walk_field(name, inner, node, path, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut here = path.to_vec();
                match item_key(node, item) {
                    Some(key) => {
                        here.push(key.to_owned());
                        walk(item, &node[key], &here, out);
                    }
                    None => {
                        here.push(made_up_key(item));
                        out.push(here);
                    }
                }
            }
        }
        _ => {}
    }
}

/// The entry of a list's field set that stands for `item`: `k:{"name":"web"}` for a map, `v:"text"` for a scalar.
/// What the item does not say was defaulted by the server, and fits.
fn item_key<'a>(node: &'a Value, item: &Value) -> Option<&'a str> {
    let fits = |key: &&String| {
        if let Some(scalar) = key.strip_prefix("v:") {
            return serde_json::from_str::<Value>(scalar).is_ok_and(|it| it == *item);
        }
        let Some(keys) = key.strip_prefix("k:") else {
            return false;
        };
        let keys: Option<Map<String, Value>> = serde_json::from_str(keys).ok();
        keys.is_some_and(|keys| {
            keys.iter()
                .all(|(name, value)| item.get(name).is_none_or(|it| it == value))
        })
    };
    node.as_object()?.keys().find(fits).map(String::as_str)
}

fn made_up_key(item: &Value) -> String {
    match item.get("name") {
        Some(name) => format!("k:{}", json!({"name": name})),
        None => "k:{}".to_owned(),
    }
}

fn has_path(set: Option<&Value>, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return true;
    };
    match set.and_then(|it| it.get(first)) {
        Some(node) => is_leaf(node) || has_path(Some(node), rest),
        None => false,
    }
}

fn display(path: &[String]) -> String {
    let mut out = String::new();
    for part in path {
        if let Some(name) = part.strip_prefix("f:") {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(name);
            continue;
        }
        let keys: Map<String, Value> = part
            .strip_prefix("k:")
            .and_then(|it| serde_json::from_str(it).ok())
            .unwrap_or_default();
        let pairs: Vec<String> = keys
            .iter()
            .map(|(name, it)| match it {
                Value::String(it) => format!("{name}={it}"),
                other => format!("{name}={other}"),
            })
            .collect();
        out.push_str(&format!("[{}]", pairs.join(",")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: &str = "kustomize-controller";

    fn entry(manager: &str, operation: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "time": "2026-01-01T00:00:00Z",
               "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    fn ours() -> Value {
        json!({
            "f:metadata": {"f:labels": {"f:app": {}}},
            "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {
                "k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {},
                    "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}},
            }}}},
        })
    }

    fn desired() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "a", "labels": {"app": "web"}},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [
                {"name": "web", "image": "web:1", "ports": [{"containerPort": 80}]},
            ]}}},
        })
    }

    #[test]
    fn nothing_is_lost_while_every_declared_field_is_ours() {
        let managed = json!([entry(US, "Apply", ours())]);
        assert_eq!(lost(&desired(), &managed, US), []);
    }

    #[test]
    fn a_field_that_somebody_took_is_named_with_its_taker() {
        let mut rest = ours();
        rest["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"web\"}"]
            .as_object_mut()
            .unwrap()
            .remove("f:image");
        rest["f:spec"].as_object_mut().unwrap().remove("f:replicas");
        let taken = json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {"f:image": {}}}}}}});
        let managed = json!([
            entry(US, "Apply", rest),
            entry("kubectl-edit", "Update", taken)
        ]);
        assert_eq!(
            describe(&lost(&desired(), &managed, US)),
            "spec.replicas removed, spec.template.spec.containers[name=web].image by kubectl-edit"
        );
    }

    #[test]
    fn our_fields_change_with_our_entry_only() {
        let before = json!([entry(US, "Apply", ours())]);
        let status = json!([
            entry(US, "Apply", ours()),
            {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status",
             "time": "2026-02-02T00:00:00Z", "fieldsV1": {"f:status": {}}},
        ]);
        assert_eq!(own_fields(&before, US), own_fields(&status, US));
        let shrunk = json!([entry(US, "Apply", json!({"f:spec": {}}))]);
        assert_ne!(own_fields(&before, US), own_fields(&shrunk, US));
        assert_eq!(own_fields(&json!([]), US), None);
    }

    #[test]
    fn kubectl_is_taken_over_and_others_are_not() {
        let managed = json!([
            entry(
                "kubectl-edit",
                "Update",
                json!({"f:spec": {"f:paused": {}}})
            ),
            entry("hpa", "Update", json!({"f:spec": {"f:replicas": {}}})),
            entry(US, "Apply", ours()),
        ]);
        let after = take_over(&managed, US).unwrap();
        assert_eq!(after.as_array().unwrap().len(), 2);
        assert_eq!(after[0]["manager"], US);
        assert_eq!(after[0]["fieldsV1"]["f:spec"]["f:paused"], json!({}));
        assert_eq!(
            after[0]["fieldsV1"]["f:metadata"],
            json!({"f:labels": {"f:app": {}}})
        );
        assert_eq!(after[1]["manager"], "hpa");
        assert_eq!(take_over(&after, US), None);
    }

    #[test]
    fn scaling_through_the_subresource_is_no_take_over() {
        let mut scale = entry("kubectl", "Update", json!({"f:spec": {"f:replicas": {}}}));
        scale["subresource"] = "scale".into();
        assert!(!needs_take_over(&json!([scale]), US));
    }

    #[test]
    fn flux_client_side_apply_is_respected() {
        let kept = entry("flux-client-side-apply", "Update", json!({"f:data": {}}));
        assert!(!needs_take_over(&json!([kept]), US));
    }
}
