//! What the control plane does by itself: definitions are served, namespaces get and lose their content, dependents follow their owners,
//! workloads become ready.
//!
//! It runs under the lock of the cluster right after each write, so that what a test sees does not depend on the scheduler; only what waits
//! for the clock happens later.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::crd;
use super::delete::{DeleteOptions, FOREGROUND, ORPHAN};
use super::kinds::ResourceId;
use super::state::{Caller, State, Target, text};
use super::storage::Key;
use super::workloads;

/// Rounds of reactions to reactions after one write; more would mean that two controllers fight.
const MAX_ROUNDS: usize = 1_000;

/// Lets every controller react to what changed, and to the clock. Gives the time at which something is due next.
pub(crate) fn run(state: &mut State) -> Option<Timestamp> {
    for _ in 0..MAX_ROUNDS {
        let mut work: BTreeSet<(ResourceId, Key)> = BTreeSet::new();
        let mut released: BTreeSet<String> = BTreeSet::new();
        if let Ok(changes) = state.store.since(state.seen) {
            for change in changes {
                work.insert((ResourceId::clone(&change.resource), change.key.clone()));
                if change.new.is_none()
                    && let Some(old) = &change.old
                {
                    released.insert(text(old, "/metadata/uid").to_owned());
                    work.extend(owners_of(state, old));
                    work.insert((ResourceId::new("", "namespaces"), Key::new("", &change.key.namespace)));
                    if let Some(definition) = state.kinds.find(&change.resource.group, &change.resource.plural).filter(|r| r.custom) {
                        work.insert((crd::definitions(), Key::new("", &format!("{}.{}", definition.plural, definition.group))));
                    }
                }
            }
        }
        state.seen = state.store.version();
        let now = state.clock.now();
        while let Some(((at, id, key), ())) = state.timers.first_key_value() {
            if *at > now {
                break;
            }
            work.insert((id.clone(), key.clone()));
            state.timers.pop_first();
        }
        if work.is_empty() {
            break;
        }
        if state.controllers && !released.is_empty() {
            collect_orphans(state, &released);
        }
        for (id, key) in work {
            reconcile(state, &id, &key);
        }
    }
    state.timers.first_key_value().map(|((at, _, _), ())| *at)
}

fn reconcile(state: &mut State, id: &ResourceId, key: &Key) {
    if *id == crd::definitions() {
        crd::establish(state, key);
        finish_definition(state, key);
    }
    if !state.controllers {
        return;
    }
    if id.group.is_empty() && id.plural == "namespaces" {
        namespace(state, key);
    }
    dependents(state, id, key);
    if workloads::concerns(id) {
        workloads::reconcile(state, id, key);
    }
}

fn target(state: &State, id: &ResourceId, key: &Key) -> Option<Target> {
    let resource = state.kinds.find(&id.group, &id.plural)?;
    let version = resource.versions.first()?.name.clone();
    Some(Target { resource, version, namespace: key.namespace.clone(), name: key.name.clone(), subresource: None })
}

fn remove(state: &mut State, id: &ResourceId, key: &Key, options: &DeleteOptions) {
    if let Some(target) = target(state, id, key) {
        // Not found means that somebody else was faster.
        let _ = state.delete(&Caller::system("generic-garbage-collector"), &target, options);
    }
}

/// A definition that is being deleted goes when its objects are gone.
fn finish_definition(state: &mut State, key: &Key) {
    let Some(definition) = state.store.get(&crd::definitions(), key).cloned() else {
        let (plural, group) = key.name.split_once('.').unwrap_or((&key.name, ""));
        state.kinds.remove(&ResourceId::new(group, plural));
        return;
    };
    if definition.pointer("/metadata/deletionTimestamp").is_none() {
        return;
    }
    let id = ResourceId::new(text(&definition, "/spec/group"), text(&definition, "/spec/names/plural"));
    let objects: Vec<Key> = state.store.list(&id, None).map(|(k, _)| k.clone()).collect();
    for object in &objects {
        remove(state, &id, object, &DeleteOptions::default());
    }
    if state.store.list(&id, None).next().is_none() {
        release(state, &crd::definitions(), key, crd::CLEANUP);
    }
}

/// Takes a finalizer from an object; with the last one, an object that is being deleted goes.
fn release(state: &mut State, id: &ResourceId, key: &Key, finalizer: &str) {
    let Some(live) = state.store.get(id, key).cloned() else { return };
    let list = live.pointer("/metadata/finalizers").and_then(Value::as_array).cloned().unwrap_or_default();
    let rest: Vec<Value> = list.iter().filter(|f| f.as_str() != Some(finalizer)).cloned().collect();
    if rest.len() == list.len() {
        return;
    }
    if rest.is_empty() && live.pointer("/metadata/deletionTimestamp").is_some() {
        state.store.remove(id, key);
        return;
    }
    let mut changed = Value::clone(&live);
    changed["metadata"]["finalizers"] = rest.into();
    state.store.put(id, key.clone(), changed);
}

/// A namespace has an account and the cluster's certificates; one that is being deleted loses everything, then itself.
fn namespace(state: &mut State, key: &Key) {
    let id = ResourceId::new("", "namespaces");
    let Some(namespace) = state.store.get(&id, key).cloned() else { return };
    if namespace.pointer("/metadata/deletionTimestamp").is_none() {
        let caller = Caller::system("kube-controller-manager");
        for (plural, name, content) in [("serviceaccounts", "default", json!({})), ("configmaps", "kube-root-ca.crt", json!({"data": {"ca.crt": ""}}))] {
            if state.object("", plural, &key.name, name).is_none()
                && let Some(target) = target(state, &ResourceId::new("", plural), &Key::new(&key.name, name))
            {
                let mut body = content;
                body["metadata"] = json!({"name": name});
                // An account that exists already is what is wanted.
                let _ = state.create(&caller, &target, body);
            }
        }
        return;
    }
    let content: Vec<(ResourceId, Key)> = state.store.all().filter(|(_, k, _)| k.namespace == key.name).map(|(id, k, _)| (ResourceId::clone(id), k.clone())).collect();
    for (id, object) in &content {
        remove(state, id, object, &DeleteOptions { propagation: Some("Background".into()), ..DeleteOptions::default() });
    }
    let left: Vec<(ResourceId, Key)> = state.store.all().filter(|(_, k, _)| k.namespace == key.name).map(|(id, k, _)| (ResourceId::clone(id), k.clone())).collect();
    if left.is_empty() {
        let held = namespace.pointer("/metadata/finalizers").and_then(Value::as_array).is_some_and(|f| !f.is_empty());
        if held {
            let mut changed = Value::clone(&namespace);
            if changed["spec"].as_object_mut().and_then(|s| s.shift_remove("finalizers")).is_some() {
                state.store.put(&id, key.clone(), changed);
            }
        } else {
            state.store.remove(&id, key);
        }
        return;
    }
    namespace_waits(state, &id, key, &namespace, &left);
}

/// Says on a namespace what it waits for.
fn namespace_waits(state: &mut State, id: &ResourceId, key: &Key, namespace: &Value, left: &[(ResourceId, Key)]) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut finalizers: BTreeMap<String, usize> = BTreeMap::new();
    for (id, object) in left {
        *counts.entry(format!("{}.{}", id.plural, id.group)).or_default() += 1;
        let list = state.store.get(id, object).and_then(|o| o.pointer("/metadata/finalizers").and_then(Value::as_array).cloned()).unwrap_or_default();
        for finalizer in list.iter().filter_map(Value::as_str) {
            *finalizers.entry(finalizer.to_owned()).or_default() += 1;
        }
    }
    let now = state.clock.text();
    let listed = |counts: &BTreeMap<String, usize>, what: &str| counts.iter().map(|(name, n)| format!("{name} {what}{n} resource instances")).collect::<Vec<_>>().join(", ");
    let condition = |kind: &str, status: &str, reason: &str, message: &str| json!({"type": kind, "status": status, "lastTransitionTime": now, "reason": reason, "message": message});
    let remaining = format!("Some resources are remaining: {}", listed(&counts, "has "));
    let waiting = format!("Some content in the namespace has finalizers remaining: {}", listed(&finalizers, "in "));
    let mut changed = namespace.clone();
    changed["status"]["conditions"] = json!([
        condition("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered"),
        condition("NamespaceDeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
        condition("NamespaceDeletionContentFailure", "False", "ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
        condition("NamespaceContentRemaining", "True", "SomeResourcesRemain", &remaining),
        condition("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", &waiting)
    ]);
    let old = namespace.pointer("/status/conditions").and_then(Value::as_array).map(|c| c.iter().map(|c| c["message"].clone()).collect::<Vec<_>>());
    let new = changed.pointer("/status/conditions").and_then(Value::as_array).map(|c| c.iter().map(|c| c["message"].clone()).collect::<Vec<_>>());
    if old != new {
        state.store.put(id, key.clone(), changed);
    }
}

fn references(object: &Value) -> impl Iterator<Item = &Value> {
    object.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten()
}

fn owners_of(state: &State, object: &Value) -> Vec<(ResourceId, Key)> {
    let namespace = text(object, "/metadata/namespace");
    let owners = references(object).filter_map(|owner| {
        let group = text(owner, "/apiVersion").rsplit_once('/').map_or("", |(g, _)| g);
        let resource = state.kinds.by_kind(group, text(owner, "/kind"))?;
        Some((resource.id(), Key::new(if resource.namespaced { namespace } else { "" }, text(owner, "/name"))))
    });
    owners.collect()
}

/// Whether one of the owners of an object lives.
fn has_owner(state: &State, object: &Value) -> bool {
    owners_of(state, object).iter().zip(references(object)).any(|((id, key), owner)| state.store.get(id, key).is_some_and(|o| o["metadata"]["uid"] == owner["uid"]))
}

fn dependents_of(state: &State, uid: &str) -> Vec<(ResourceId, Key)> {
    let owned = state.store.all().filter(|(_, _, o)| references(o).any(|r| text(r, "/uid") == uid));
    owned.map(|(id, key, _)| (ResourceId::clone(id), key.clone())).collect()
}

/// Deletes what lost its last owner.
fn collect_orphans(state: &mut State, released: &BTreeSet<String>) {
    let lost = state.store.all().filter(|(_, _, o)| references(o).any(|r| released.contains(text(r, "/uid"))));
    let lost: Vec<(ResourceId, Key)> = lost.filter(|(_, _, o)| !has_owner(state, o)).map(|(id, key, _)| (ResourceId::clone(id), key.clone())).collect();
    for (id, key) in lost {
        remove(state, &id, &key, &DeleteOptions { propagation: Some("Background".into()), ..DeleteOptions::default() });
    }
}

/// An object whose owners do not exist goes; one that is being deleted in the foreground, or releases its dependents, waits for them.
fn dependents(state: &mut State, id: &ResourceId, key: &Key) {
    let Some(object) = state.store.get(id, key).cloned() else { return };
    let deleting = object.pointer("/metadata/deletionTimestamp").is_some();
    // Owners of kinds that are not served are left alone, as the real collector does.
    if !deleting && references(&object).next().is_some() && owners_of(state, &object).len() == references(&object).count() && !has_owner(state, &object) {
        remove(state, id, key, &DeleteOptions { propagation: Some("Background".into()), ..DeleteOptions::default() });
        return;
    }
    if !deleting {
        return;
    }
    let held = |finalizer: &str| object.pointer("/metadata/finalizers").and_then(Value::as_array).is_some_and(|l| l.iter().any(|f| f.as_str() == Some(finalizer)));
    let uid = text(&object, "/metadata/uid");
    if held(ORPHAN) {
        for (id, key) in dependents_of(state, uid) {
            let Some(dependent) = state.store.get(&id, &key).cloned() else { continue };
            let rest: Vec<Value> = references(&dependent).filter(|r| text(r, "/uid") != uid).cloned().collect();
            let mut changed = Value::clone(&dependent);
            changed["metadata"]["ownerReferences"] = rest.clone().into();
            if rest.is_empty()
                && let Some(metadata) = changed["metadata"].as_object_mut()
            {
                metadata.shift_remove("ownerReferences");
            }
            state.store.put(&id, key, changed);
        }
        release(state, id, key, ORPHAN);
    }
    if held(FOREGROUND) {
        for (id, key) in dependents_of(state, uid) {
            remove(state, &id, &key, &DeleteOptions { propagation: Some("Foreground".into()), ..DeleteOptions::default() });
        }
        let blocking = |r: &Value| text(r, "/uid") == uid && r["blockOwnerDeletion"] == true;
        if !state.store.all().any(|(_, _, o)| references(o).any(blocking)) {
            release(state, id, key, FOREGROUND);
        }
    }
}

/// Looks at every workload again, after the rules have changed.
pub(crate) fn revisit_workloads(state: &mut State) {
    let all: Vec<(ResourceId, Key)> = state.store.all().filter(|(id, _, _)| workloads::concerns(id)).map(|(id, key, _)| (ResourceId::clone(id), key.clone())).collect();
    if state.controllers {
        for (id, key) in all {
            workloads::reconcile(state, &id, &key);
        }
    }
}
