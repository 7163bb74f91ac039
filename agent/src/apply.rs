//! Applies one object: the body as it is sent, fields taken over from kubectl, and what is done when a field cannot be
//! changed in place.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use capstan_core::{ObjectKey, UnitKey, drift, fuse::holds_data, inventory::Owned};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::{
    cluster::{Actor, Address, ApplyOptions, Cluster, ClusterError, Live, Preconditions, Resource},
    observed::Sight,
    plan::{Apply, Wanted, Why},
    seen::{Seen, label_prefix, manager},
    shared::{Shared, count},
    switches::ApplyPolicy,
};

/// Times that a take-over is tried when the object changes under it.
const TAKE_OVER_ATTEMPTS: usize = 4;
/// Longest wait for an object to go that is to be created again.
const GONE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time between two looks at it.
const GONE_PERIOD: Duration = Duration::from_millis(500);

/// Why an object was not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// For people; no secret values.
    pub(crate) message: String,
    /// It may be otherwise soon.
    pub(crate) transient: bool,
}

impl Failure {
    pub(crate) fn lasting(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            transient: false,
        }
    }

    fn of(error: &ClusterError, sensitive: bool, hint: &str) -> Self {
        let text = if sensitive {
            error.masked()
        } else {
            error.to_string()
        };
        Self {
            message: format!("apply refused ({text}){hint}"),
            transient: error.is_transient(),
        }
    }
}

/// In which unit's name, and how.
pub(crate) struct Applier<'a, C> {
    pub(crate) shared: &'a Arc<Shared<C>>,
    pub(crate) unit: &'a UnitKey,
    pub(crate) actor: &'a Actor,
    pub(crate) force: bool,
}

impl<C: Cluster> Applier<'_, C> {
    /// Applies one object and records it. Gives what was put back, where that was drift.
    pub(crate) async fn apply(
        &self,
        wanted: &Wanted,
        change: &Apply,
        resource: Arc<Resource>,
    ) -> Result<Option<String>, Failure> {
        let body = self.body(wanted, &resource)?;
        let at = Address::of(resource, &wanted.key);
        let drifted = (change.why == Why::Drift).then(|| self.explain(&wanted.key, &body));
        if change.take_over {
            self.take_over(wanted, &at).await?;
        }
        let mut live = self.send(wanted, &at, &body).await?;
        let managed = live.0.pointer("/metadata/managedFields");
        let name = manager(self.unit.kind);
        if wanted.switches.apply == ApplyPolicy::Override
            && managed.is_some_and(|it| drift::needs_take_over(it, name))
        {
            self.take_over(wanted, &at).await?;
            live = self.send(wanted, &at, &body).await?;
        }
        self.record(wanted, &live);
        count(&self.shared.counters.applied);
        Ok(drifted)
    }

    /// The object as it is sent: with owner labels, and without what cannot be applied.
    fn body(&self, wanted: &Wanted, resource: &Resource) -> Result<Value, Failure> {
        let held = &self.shared.held;
        let bytes = match &wanted.completed {
            Some(completed) => completed.0.to_vec(),
            None => held.get(&wanted.digest).map_err(|error| Failure {
                message: format!("its content cannot be read from the state folder: {error}"),
                transient: true,
            })?,
        };
        let mut body: Value = serde_json::from_slice(&bytes).map_err(|_| {
            held.forget(&wanted.digest);
            Failure::lasting("its content is not JSON")
        })?;
        complete(&mut body, self.unit, &wanted.key, resource.namespaced);
        Ok(body)
    }

    fn explain(&self, key: &ObjectKey, body: &Value) -> String {
        match self.shared.noted(key) {
            None if matches!(
                self.shared.observed().sight(key, self.unit.kind),
                Sight::Absent
            ) =>
            {
                "it was deleted, or lost its owner labels".into()
            }
            None => "it was not as it was left".into(),
            Some(managed) => {
                let name = manager(self.unit.kind);
                let lost = drift::lost(body, &managed, name);
                match (lost.is_empty(), drift::last_writer(&managed, name)) {
                    (false, _) => drift::describe(&lost),
                    (true, Some(writer)) => {
                        format!("fields that are not declared, by {}", writer.manager)
                    }
                    (true, None) => "its owner labels or fields".into(),
                }
            }
        }
    }

    async fn send(&self, wanted: &Wanted, at: &Address, body: &Value) -> Result<Live, Failure> {
        let error = match self.send_once(at, body).await {
            Ok(live) => return Ok(live),
            Err(error) => error,
        };
        count(&self.shared.counters.failed);
        if !is_immutable(&error) {
            let hint = match error.code() {
                Some(403) => "; who applies it lacks the right",
                _ => "",
            };
            return Err(Failure::of(&error, wanted.sensitive, hint));
        }
        if !(self.force || wanted.switches.force) {
            let hint = "; a field cannot be changed in place: set spec.force, or delete the object";
            return Err(Failure::of(&error, wanted.sensitive, hint));
        }
        if holds_data(&wanted.key) {
            let hint =
                "; it would have to be deleted first, which takes its data: delete it by hand";
            return Err(Failure::of(&error, wanted.sensitive, hint));
        }
        self.remove(wanted, at).await?;
        self.send_once(at, body)
            .await
            .map_err(|error| Failure::of(&error, wanted.sensitive, " after it was deleted"))
    }

    async fn send_once(&self, at: &Address, body: &Value) -> Result<Live, ClusterError> {
        let _permit = self.shared.permits.acquire().await;
        let options = ApplyOptions {
            manager: manager(self.unit.kind),
            dry_run: false,
        };
        self.shared
            .cluster
            .apply(self.actor, at, body, options)
            .await
    }

    /// Makes the fields that others set with kubectl ours, so that the next apply undoes them.
    async fn take_over(&self, wanted: &Wanted, at: &Address) -> Result<(), Failure> {
        let failed = |error: &ClusterError| Failure::of(error, wanted.sensitive, "");
        for _ in 0..TAKE_OVER_ATTEMPTS {
            let _permit = self.shared.permits.acquire().await;
            let live = self.shared.cluster.get(self.actor, at).await;
            let Some(live) = live.map_err(|it| failed(&it))? else {
                return Ok(());
            };
            let Some(patch) = take_over_patch(&live.0, manager(self.unit.kind)) else {
                return Ok(());
            };
            match self.shared.cluster.patch(self.actor, at, &patch).await {
                Ok(_) => return Ok(()),
                // Changed in between: a resource version that is tested for and not there is 422 on some servers.
                Err(error) if matches!(error.code(), Some(409 | 422)) => {}
                Err(error) if error.code() == Some(404) => return Ok(()),
                Err(error) => return Err(failed(&error)),
            }
        }
        Err(Failure {
            message: "it changes faster than its fields can be taken over".into(),
            transient: true,
        })
    }

    async fn remove(&self, wanted: &Wanted, at: &Address) -> Result<(), Failure> {
        let failed = |error: &ClusterError| Failure::of(error, wanted.sensitive, "");
        let live = self.shared.cluster.get(self.actor, at).await;
        let Some(live) = live.map_err(|it| failed(&it))? else {
            return Ok(());
        };
        let only = Preconditions {
            uid: text(&live.0, "uid"),
            resource_version: text(&live.0, "resourceVersion"),
        };
        self.shared
            .cluster
            .delete(self.actor, at, &only)
            .await
            .map_err(|it| failed(&it))?;
        let deadline = Instant::now() + GONE_TIMEOUT;
        while Instant::now() < deadline {
            let live = self.shared.cluster.get(self.actor, at).await;
            match live.map_err(|it| failed(&it))? {
                Some(live) if text(&live.0, "uid") == only.uid => {
                    tokio::time::sleep(GONE_PERIOD).await;
                }
                _ => return Ok(()),
            }
        }
        Err(Failure {
            message: format!(
                "it was deleted to be created again, and is not gone after {} s: look at its finalizers",
                GONE_TIMEOUT.as_secs()
            ),
            transient: true,
        })
    }

    fn record(&self, wanted: &Wanted, live: &Live) {
        let Some(seen) = Seen::of(&wanted.key, self.unit.kind, &live.0) else {
            return;
        };
        let owned = Owned {
            version: wanted.version.clone(),
            uid: Some(seen.uid.to_string()),
            applied: Some(wanted.digest),
            own: seen.own,
        };
        if let Some(unit) = self.shared.ledger.units().get_mut(self.unit) {
            unit.objects.insert(wanted.key.clone(), owned);
        }
        self.shared.note(&wanted.key, None);
        self.shared
            .observed()
            .put(&wanted.key, self.unit.kind, seen);
        self.shared.bump();
    }
}

fn text(live: &Value, field: &str) -> String {
    let found = live.pointer("/metadata").and_then(|it| it.get(field));
    found.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn is_immutable(error: &ClusterError) -> bool {
    match error {
        ClusterError::Refused { code, message, .. } => {
            matches!(code, 400 | 409 | 422)
                && [
                    "immutable",
                    "may not be changed",
                    "updates to statefulset spec",
                    "Forbidden: updates to",
                ]
                .iter()
                .any(|it| message.contains(it))
        }
        ClusterError::Unreachable(_) => false,
    }
}

/// Adds the owner labels, and leaves out what only a live object has.
fn complete(body: &mut Value, unit: &UnitKey, key: &ObjectKey, namespaced: bool) {
    let Some(map) = body.as_object_mut() else {
        return;
    };
    map.remove("status");
    if key.is_secret() {
        encode_string_data(map);
    }
    let metadata = map
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()));
    let Some(metadata) = metadata.as_object_mut() else {
        return;
    };
    for field in [
        "managedFields",
        "resourceVersion",
        "uid",
        "creationTimestamp",
        "generation",
        "selfLink",
    ] {
        metadata.remove(field);
    }
    if !namespaced {
        metadata.remove("namespace");
    }
    let labels = metadata
        .entry("labels")
        .or_insert_with(|| Value::Object(Map::new()));
    if labels.is_null() {
        *labels = Value::Object(Map::new());
    }
    let prefix = label_prefix(unit.kind);
    if let Some(labels) = labels.as_object_mut() {
        labels.insert(format!("{prefix}/name"), unit.name.as_str().into());
        labels.insert(
            format!("{prefix}/namespace"),
            unit.namespace.as_str().into(),
        );
    }
}

/// What is written as `stringData` lives as `data`: applied as the first, a value that is no longer declared would stay.
fn encode_string_data(secret: &mut Map<String, Value>) {
    let Some(Value::Object(texts)) = secret.remove("stringData") else {
        return;
    };
    let data = secret
        .entry("data")
        .or_insert_with(|| Value::Object(Map::new()));
    if data.is_null() {
        *data = Value::Object(Map::new());
    }
    if let Some(data) = data.as_object_mut() {
        for (name, text) in texts {
            let encoded = BASE64.encode(text.as_str().unwrap_or_default());
            data.insert(name, encoded.into());
        }
    }
}

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The patch that takes over what is ours to take over; none where there is nothing.
fn take_over_patch(live: &Value, manager: &str) -> Option<Value> {
    let managed = live.pointer("/metadata/managedFields")?;
    let managed = drift::take_over(managed, manager)?;
    let mut patch = vec![
        json!({"op": "replace", "path": "/metadata/managedFields", "value": managed}),
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": text(live, "resourceVersion")}),
    ];
    let annotations = live.pointer("/metadata/annotations");
    if annotations.and_then(|it| it.get(LAST_APPLIED)).is_some() {
        let path = format!("/metadata/annotations/{}", LAST_APPLIED.replace('/', "~1"));
        patch.push(json!({"op": "remove", "path": path}));
    }
    Some(Value::Array(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_carries_owner_labels_and_nothing_live() {
        let unit = "dev/Kustomization/flux-system/apps".parse().unwrap();
        let key = "Secret/a/s".parse().unwrap();
        let mut body = json!({
            "apiVersion": "v1", "kind": "Secret", "status": {},
            "metadata": {"name": "s", "namespace": "a", "creationTimestamp": null, "labels": null},
            "data": {"a": "MQ=="}, "stringData": {"b": "2"},
        });
        complete(&mut body, &unit, &key, true);
        assert_eq!(
            body,
            json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": "s", "namespace": "a", "labels": {
                    "kustomize.toolkit.fluxcd.io/name": "apps",
                    "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}},
                "data": {"a": "MQ==", "b": "Mg=="},
            })
        );
    }

    #[test]
    fn a_take_over_is_bound_to_what_was_seen() {
        let live = json!({"metadata": {
            "resourceVersion": "7",
            "annotations": {LAST_APPLIED: "{}"},
            "managedFields": [{"manager": "kubectl-client-side-apply", "operation": "Update", "fieldsV1": {"f:data": {}}}],
        }});
        let patch = take_over_patch(&live, "kustomize-controller").unwrap();
        assert_eq!(patch[1]["value"], "7");
        assert_eq!(
            patch[2]["path"],
            "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"
        );
        assert_eq!(take_over_patch(&json!({"metadata": {}}), "x"), None);
    }

    #[test]
    fn secret_values_are_not_in_a_failure() {
        let error = ClusterError::Refused {
            code: 422,
            reason: "Invalid".into(),
            message: "data[x]: Invalid value: \"canary\"".into(),
            retry_after: None,
        };
        assert!(!Failure::of(&error, true, "").message.contains("canary"));
        assert!(Failure::of(&error, false, "").message.contains("canary"));
    }
}
