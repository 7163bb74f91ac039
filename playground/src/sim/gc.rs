//! Owners and dependents: what loses its last owner goes, and an owner waits for its dependents where it was asked to.

use std::collections::BTreeSet;

use serde_json::Value;

use super::controllers::{release, remove};
use super::delete::{DeleteOptions, FOREGROUND, ORPHAN};
use super::kinds::ResourceId;
use super::state::{State, text};
use super::storage::Key;

fn references(object: &Value) -> impl Iterator<Item = &Value> {
    object
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

pub(super) fn owners_of(state: &State, object: &Value) -> Vec<(ResourceId, Key)> {
    let namespace = text(object, "/metadata/namespace");
    let owners = references(object).filter_map(|owner| {
        let group = text(owner, "/apiVersion")
            .rsplit_once('/')
            .map_or("", |(g, _)| g);
        let resource = state.kinds.by_kind(group, text(owner, "/kind"))?;
        Some((
            resource.id(),
            Key::new(
                if resource.namespaced { namespace } else { "" },
                text(owner, "/name"),
            ),
        ))
    });
    owners.collect()
}

/// Whether one of the owners of an object lives.
fn has_owner(state: &State, object: &Value) -> bool {
    owners_of(state, object)
        .iter()
        .zip(references(object))
        .any(|((id, key), owner)| {
            state
                .store
                .get(id, key)
                .is_some_and(|o| o["metadata"]["uid"] == owner["uid"])
        })
}

fn dependents_of(state: &State, uid: &str) -> Vec<(ResourceId, Key)> {
    let owned = state
        .store
        .all()
        .filter(|(_, _, o)| references(o).any(|r| text(r, "/uid") == uid));
    owned
        .map(|(id, key, _)| (ResourceId::clone(id), key.clone()))
        .collect()
}

/// Deletes what lost its last owner.
pub(super) fn collect_orphans(state: &mut State, released: &BTreeSet<String>) {
    let lost = state
        .store
        .all()
        .filter(|(_, _, o)| references(o).any(|r| released.contains(text(r, "/uid"))));
    let lost: Vec<(ResourceId, Key)> = lost
        .filter(|(_, _, o)| !has_owner(state, o))
        .map(|(id, key, _)| (ResourceId::clone(id), key.clone()))
        .collect();
    for (id, key) in lost {
        remove(state, &id, &key, &DeleteOptions::background());
    }
}

/// An object whose owners do not exist goes; one that is being deleted in the foreground, or releases its dependents, waits for them.
pub(super) fn dependents(state: &mut State, id: &ResourceId, key: &Key) {
    let Some(object) = state.store.get(id, key).cloned() else {
        return;
    };
    let deleting = object.pointer("/metadata/deletionTimestamp").is_some();
    // Owners of kinds that are not served are left alone, as the real collector does.
    if !deleting
        && references(&object).next().is_some()
        && owners_of(state, &object).len() == references(&object).count()
        && !has_owner(state, &object)
    {
        remove(state, id, key, &DeleteOptions::background());
        return;
    }
    if !deleting {
        return;
    }
    let uid = text(&object, "/metadata/uid");
    if held(&object, ORPHAN) {
        orphan_dependents(state, uid);
        release(state, id, key, ORPHAN);
    }
    if held(&object, FOREGROUND) {
        for (id, key) in dependents_of(state, uid) {
            let options = DeleteOptions {
                propagation: Some("Foreground".into()),
                ..DeleteOptions::default()
            };
            remove(state, &id, &key, &options);
        }
        let blocking = |r: &Value| text(r, "/uid") == uid && r["blockOwnerDeletion"] == true;
        if !state
            .store
            .all()
            .any(|(_, _, o)| references(o).any(blocking))
        {
            release(state, id, key, FOREGROUND);
        }
    }
}

fn held(object: &Value, finalizer: &str) -> bool {
    let list = object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array);
    list.is_some_and(|l| l.iter().any(|f| f.as_str() == Some(finalizer)))
}

/// Takes an owner out of the references of what it owned.
fn orphan_dependents(state: &mut State, uid: &str) {
    for (id, key) in dependents_of(state, uid) {
        let Some(dependent) = state.store.get(&id, &key).cloned() else {
            continue;
        };
        let rest: Vec<Value> = references(&dependent)
            .filter(|r| text(r, "/uid") != uid)
            .cloned()
            .collect();
        let mut changed = Value::clone(&dependent);
        let Some(metadata) = changed["metadata"].as_object_mut() else {
            continue;
        };
        if rest.is_empty() {
            metadata.shift_remove("ownerReferences");
        } else {
            metadata.insert("ownerReferences".into(), rest.into());
        }
        state.store.put(&id, key, changed);
    }
}
