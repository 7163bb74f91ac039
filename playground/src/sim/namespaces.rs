//! Namespaces: what each has from the start, and how one that is deleted loses everything, then itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::controllers::{remove, target};
use super::delete::DeleteOptions;
use super::kinds::ResourceId;
use super::state::{Caller, State};
use super::storage::Key;

/// A namespace has an account and the cluster's certificates; one that is being deleted loses everything, then itself.
pub(super) fn reconcile(state: &mut State, key: &Key) {
    let id = ResourceId::new("", "namespaces");
    let Some(namespace) = state.store.get(&id, key).cloned() else {
        return;
    };
    if namespace.pointer("/metadata/deletionTimestamp").is_none() {
        furnish(state, key);
        return;
    }
    for (id, object) in &content_of(state, key) {
        remove(state, id, object, &DeleteOptions::background());
    }
    let left = content_of(state, key);
    if !left.is_empty() {
        namespace_waits(state, &id, key, &namespace, &left);
        return;
    }
    let held = namespace
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array)
        .is_some_and(|f| !f.is_empty());
    if !held {
        state.store.remove(&id, key);
        return;
    }
    let mut changed = Value::clone(&namespace);
    if changed["spec"]
        .as_object_mut()
        .and_then(|s| s.shift_remove("finalizers"))
        .is_some()
    {
        state.store.put(&id, key.clone(), changed);
    }
}

/// What every namespace has.
fn furnish(state: &mut State, key: &Key) {
    let caller = Caller::system("kube-controller-manager");
    for (plural, name, content) in [
        ("serviceaccounts", "default", json!({})),
        (
            "configmaps",
            "kube-root-ca.crt",
            json!({"data": {"ca.crt": ""}}),
        ),
    ] {
        if state.object("", plural, &key.name, name).is_none()
            && let Some(target) = target(
                state,
                &ResourceId::new("", plural),
                &Key::new(&key.name, name),
            )
        {
            let mut body = content;
            body["metadata"] = json!({"name": name});
            // An account that exists already is what is wanted.
            let _ = state.create(&caller, &target, body);
        }
    }
}

fn content_of(state: &State, key: &Key) -> Vec<(ResourceId, Key)> {
    let inside = state
        .store
        .all()
        .filter(|(_, k, _)| k.namespace == key.name);
    inside
        .map(|(id, k, _)| (ResourceId::clone(id), k.clone()))
        .collect()
}

/// Says on a namespace what it waits for.
fn namespace_waits(
    state: &mut State,
    id: &ResourceId,
    key: &Key,
    namespace: &Value,
    left: &[(ResourceId, Key)],
) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut finalizers: BTreeMap<String, usize> = BTreeMap::new();
    for (id, object) in left {
        *counts
            .entry(format!("{}.{}", id.plural, id.group))
            .or_default() += 1;
        let list = state
            .store
            .get(id, object)
            .and_then(|o| {
                o.pointer("/metadata/finalizers")
                    .and_then(Value::as_array)
                    .cloned()
            })
            .unwrap_or_default();
        for finalizer in list.iter().filter_map(Value::as_str) {
            *finalizers.entry(finalizer.to_owned()).or_default() += 1;
        }
    }
    let mut changed = namespace.clone();
    changed["status"]["conditions"] = waiting_conditions(&state.clock.text(), &counts, &finalizers);
    let old = namespace
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .map(|c| c.iter().map(|c| c["message"].clone()).collect::<Vec<_>>());
    let new = changed
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .map(|c| c.iter().map(|c| c["message"].clone()).collect::<Vec<_>>());
    if old != new {
        state.store.put(id, key.clone(), changed);
    }
}

fn waiting_conditions(
    now: &str,
    counts: &BTreeMap<String, usize>,
    finalizers: &BTreeMap<String, usize>,
) -> Value {
    let listed = |counts: &BTreeMap<String, usize>, what: &str| {
        counts
            .iter()
            .map(|(name, n)| format!("{name} {what}{n} resource instances"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let condition = |kind: &str, status: &str, reason: &str, message: &str| json!({"type": kind, "status": status, "lastTransitionTime": now, "reason": reason, "message": message});
    let remaining = format!("Some resources are remaining: {}", listed(counts, "has "));
    let waiting = format!(
        "Some content in the namespace has finalizers remaining: {}",
        listed(finalizers, "in ")
    );
    json!([
        condition(
            "NamespaceDeletionDiscoveryFailure",
            "False",
            "ResourcesDiscovered",
            "All resources successfully discovered"
        ),
        condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed"
        ),
        condition(
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization"
        ),
        condition(
            "NamespaceContentRemaining",
            "True",
            "SomeResourcesRemain",
            &remaining
        ),
        condition(
            "NamespaceFinalizersRemaining",
            "True",
            "SomeFinalizersRemain",
            &waiting
        )
    ])
}
