//! Deleting: preconditions, finalizers and what happens to dependents.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::crd;
use super::read::Shape;
use super::selector::Selector;
use super::state::{Answer, Caller, State, Target, text};
use super::status::Status;
use super::storage::Key;
use super::strategy;

/// Holds an owner until its dependents are gone.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// Holds an owner until its dependents are released.
pub(crate) const ORPHAN: &str = "orphan";

/// What a deletion asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) propagation: Option<String>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

impl DeleteOptions {
    /// Dependents follow by themselves.
    pub(crate) fn background() -> DeleteOptions {
        DeleteOptions {
            propagation: Some("Background".into()),
            ..DeleteOptions::default()
        }
    }

    /// Reads the body of a deletion, and the parameters where the body does not say.
    pub(crate) fn parse(
        body: Option<&Value>,
        parameter: Option<&str>,
    ) -> Result<DeleteOptions, Status> {
        let mut options = DeleteOptions::default();
        if let Some(body) = body {
            let get = |pointer: &str| {
                body.pointer(pointer)
                    .and_then(Value::as_str)
                    .map(str::to_owned)
            };
            options = DeleteOptions {
                propagation: get("/propagationPolicy"),
                uid: get("/preconditions/uid"),
                resource_version: get("/preconditions/resourceVersion"),
            };
            if let Some(orphan) = body.get("orphanDependents").and_then(Value::as_bool) {
                options.propagation = Some(if orphan { "Orphan" } else { "Background" }.into());
            }
        }
        options.propagation = options.propagation.or_else(|| parameter.map(str::to_owned));
        match options.propagation.as_deref() {
            None | Some("Background" | "Foreground" | "Orphan") => Ok(options),
            Some(other) => {
                let error = super::status::FieldError::not_supported(
                    "propagationPolicy",
                    &other.into(),
                    &[
                        "Foreground".into(),
                        "Background".into(),
                        "Orphan".into(),
                        "nil".into(),
                    ],
                );
                Err(Status::invalid(
                    &super::status::About::new("meta.k8s.io", "DeleteOptions", ""),
                    &[error],
                ))
            }
        }
    }
}

impl State {
    /// Deletes one object.
    pub(crate) fn delete(
        &mut self,
        caller: &Caller,
        target: &Target,
        options: &DeleteOptions,
    ) -> Result<Answer, Status> {
        let Some(live) = self
            .store
            .get(&target.resource.id(), &target.key())
            .cloned()
        else {
            return Err(Status::not_found(&target.about()));
        };
        check_preconditions(target, &live, options)?;
        if target.resource.is("", "namespaces")
            && matches!(
                target.name.as_str(),
                "default" | "kube-system" | "kube-public"
            )
        {
            return Err(Status::forbidden(
                &target.about(),
                "this namespace may not be deleted",
            ));
        }
        let (object, gone) = self.mark_or_remove(caller, target, &live, options);
        let shown = self.convert_out(target, &object);
        if gone && !strategy::returns_deleted(target) {
            return Ok(Answer::ok(success(target, &object)));
        }
        Ok(Answer::ok(shown))
    }

    /// Deletes what a selector finds.
    pub(crate) fn delete_collection(
        &mut self,
        caller: &Caller,
        target: &Target,
        selector: &Selector,
        options: &DeleteOptions,
    ) -> Result<Answer, Status> {
        let namespace = target
            .resource
            .namespaced
            .then_some(target.namespace.as_str());
        let found: Vec<(Key, Arc<Value>)> = self
            .store
            .list(&target.resource.id(), namespace)
            .filter(|(_, o)| selector.matches(o))
            .map(|(k, o)| (k.clone(), Arc::clone(o)))
            .collect();
        let mut items = Vec::new();
        for (key, live) in found {
            let one = Target {
                name: key.name.clone(),
                namespace: key.namespace.clone(),
                ..target.clone()
            };
            self.mark_or_remove(caller, &one, &live, options);
            // As they were found; items of typed lists do not repeat their kind.
            items.push(self.list_item(target, &live, Shape::Full));
        }
        let version = self.store.version().to_string();
        let list = json!({"kind": target.resource.list_kind, "apiVersion": target.api_version(), "metadata": {"resourceVersion": version}, "items": items});
        Ok(Answer::ok(list))
    }

    /// Removes an object, or marks it where something holds it.
    fn mark_or_remove(
        &mut self,
        caller: &Caller,
        target: &Target,
        live: &Arc<Value>,
        options: &DeleteOptions,
    ) -> (Value, bool) {
        let id = target.resource.id();
        let mut object = Value::clone(live);
        let finalizers = finalizers_for(target, live, options);
        let held = !finalizers.is_empty() || strategy::has_own_finalizers(&object);
        if !held {
            if caller.dry_run {
                return (object, true);
            }
            let last = self.store.remove(&id, &target.key());
            return (last.unwrap_or(object), true);
        }
        let marked = object.pointer("/metadata/deletionTimestamp").is_some();
        let now = self.clock.text();
        let metadata = object["metadata"]
            .as_object_mut()
            .expect("a stored object has metadata");
        metadata.insert("finalizers".into(), finalizers.into());
        if metadata["finalizers"].as_array().is_some_and(Vec::is_empty) {
            metadata.shift_remove("finalizers");
        }
        if !marked {
            metadata.insert("deletionTimestamp".into(), now.clone().into());
            if strategy::has_grace(target) {
                metadata.insert("deletionGracePeriodSeconds".into(), 0.into());
            }
            if strategy::has_grace(target)
                && let Some(generation) = metadata.get("generation").and_then(Value::as_i64)
            {
                metadata.insert("generation".into(), (generation + 1).into());
            }
        }
        if target.resource.is("", "namespaces") {
            object["status"]["phase"] = "Terminating".into();
        }
        if target.resource.id() == crd::definitions() {
            crd::mark_going(&mut object, &now);
        }
        strategy::order_metadata(&mut object);
        if caller.dry_run || object == **live {
            return (object, false);
        }
        let stored = self.store.put(&id, target.key(), object);
        (Value::clone(&stored), false)
    }
}

fn check_preconditions(
    target: &Target,
    live: &Value,
    options: &DeleteOptions,
) -> Result<(), Status> {
    let fail = |what: &str, given: &str, actual: &str| {
        let since = match what {
            "UID" => "deleted and then recreated",
            _ => "modified",
        };
        let why = format!(
            "the {what} in the precondition ({given}) does not match the {what} in record ({actual}). The object might have been {since}"
        );
        Err(Status::conflict(&target.about_kind(), &why))
    };
    if let Some(uid) = options
        .uid
        .as_deref()
        .filter(|uid| *uid != text(live, "/metadata/uid"))
    {
        return fail("UID", uid, text(live, "/metadata/uid"));
    }
    if let Some(version) = options
        .resource_version
        .as_deref()
        .filter(|v| *v != text(live, "/metadata/resourceVersion"))
    {
        return fail(
            "ResourceVersion",
            version,
            text(live, "/metadata/resourceVersion"),
        );
    }
    Ok(())
}

/// The finalizers that an object has once it is asked to go, by how its dependents are treated.
fn finalizers_for(target: &Target, live: &Value, options: &DeleteOptions) -> Vec<String> {
    let current = live
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array);
    let mut finalizers: Vec<String> = current
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let had = |f: &str| finalizers.iter().any(|x| x == f);
    let policy = match options.propagation.as_deref() {
        Some(policy) => policy,
        None if had(ORPHAN) => "Orphan",
        None if had(FOREGROUND) => "Foreground",
        None if target.resource.is("batch", "jobs") => "Orphan",
        None => "Background",
    };
    finalizers.retain(|f| f != ORPHAN && f != FOREGROUND);
    match policy {
        "Foreground" => finalizers.push(FOREGROUND.into()),
        "Orphan" => finalizers.push(ORPHAN.into()),
        _ => {}
    }
    finalizers
}

fn success(target: &Target, object: &Value) -> Value {
    let mut details = Map::new();
    details.insert("name".into(), target.name.clone().into());
    if !target.resource.group.is_empty() {
        details.insert("group".into(), target.resource.group.clone().into());
    }
    details.insert("kind".into(), target.resource.plural.clone().into());
    details.insert("uid".into(), object["metadata"]["uid"].clone());
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
