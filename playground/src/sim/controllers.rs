//! What the control plane does by itself: definitions are served, namespaces get and lose their content, dependents follow their owners,
//! workloads become ready.
//!
//! It runs under the lock of the cluster right after each write, so that what a test sees does not depend on the scheduler; only what waits
//! for the clock happens later.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::crd;
use super::delete::DeleteOptions;
use super::gc;
use super::kinds::ResourceId;
use super::namespaces;
use super::quota;
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
                    work.extend(gc::owners_of(state, old));
                    work.insert((
                        ResourceId::new("", "namespaces"),
                        Key::new("", &change.key.namespace),
                    ));
                    if let Some(definition) = state
                        .kinds
                        .find(&change.resource.group, &change.resource.plural)
                        .filter(|r| r.custom)
                    {
                        work.insert((
                            crd::definitions(),
                            Key::new("", &format!("{}.{}", definition.plural, definition.group)),
                        ));
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
            gc::collect_orphans(state, &released);
        }
        let namespaces: BTreeSet<String> =
            work.iter().map(|(_, key)| key.namespace.clone()).collect();
        for (id, key) in work {
            reconcile(state, &id, &key);
        }
        if state.controllers {
            namespaces.iter().for_each(|it| quota::refresh(state, it));
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
        namespaces::reconcile(state, key);
    }
    gc::dependents(state, id, key);
    if workloads::concerns(id) {
        workloads::reconcile(state, id, key);
    }
}

pub(super) fn target(state: &State, id: &ResourceId, key: &Key) -> Option<Target> {
    let resource = state.kinds.find(&id.group, &id.plural)?;
    let version = resource.versions.first()?.name.clone();
    Some(Target {
        resource,
        version,
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        subresource: None,
    })
}

pub(super) fn remove(state: &mut State, id: &ResourceId, key: &Key, options: &DeleteOptions) {
    if let Some(target) = target(state, id, key) {
        // Not found means that somebody else was faster.
        let _ = state.delete(
            &Caller::system("generic-garbage-collector"),
            &target,
            options,
        );
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
    let id = ResourceId::new(
        text(&definition, "/spec/group"),
        text(&definition, "/spec/names/plural"),
    );
    let objects: Vec<Key> = state
        .store
        .list(&id, None)
        .map(|(k, _)| k.clone())
        .collect();
    for object in &objects {
        remove(state, &id, object, &DeleteOptions::default());
    }
    if state.store.list(&id, None).next().is_none() {
        release(state, &crd::definitions(), key, crd::CLEANUP);
    }
}

/// Takes a finalizer from an object; with the last one, an object that is being deleted goes.
pub(super) fn release(state: &mut State, id: &ResourceId, key: &Key, finalizer: &str) {
    let Some(live) = state.store.get(id, key).cloned() else {
        return;
    };
    let list = live
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let rest: Vec<Value> = list
        .iter()
        .filter(|f| f.as_str() != Some(finalizer))
        .cloned()
        .collect();
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

/// Looks at every workload again, after the rules have changed.
pub(crate) fn revisit_workloads(state: &mut State) {
    let all: Vec<(ResourceId, Key)> = state
        .store
        .all()
        .filter(|(id, _, _)| workloads::concerns(id))
        .map(|(id, key, _)| (ResourceId::clone(id), key.clone()))
        .collect();
    if state.controllers {
        for (id, key) in all {
            workloads::reconcile(state, &id, &key);
        }
    }
}
