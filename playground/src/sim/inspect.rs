//! What tests see of a cluster, and do to it behind the back of its clients.

use std::collections::BTreeMap;

use serde_json::Value;

use super::SimCluster;
use super::delete::DeleteOptions;
use super::faults::Fault;
use super::handler;
use super::kinds::ResourceId;
use super::patch;
use super::record::Recorded;
use super::state::{Caller, State, Target, text};
use super::status::Status;

/// Names an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRef {
    /// `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// Empty for what is in no namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectRef {
    /// An object by version, kind, namespace and name.
    #[must_use]
    pub fn new(api_version: &str, kind: &str, namespace: &str, name: &str) -> ObjectRef {
        ObjectRef {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    fn of(object: &Value) -> ObjectRef {
        ObjectRef::new(
            text(object, "/apiVersion"),
            text(object, "/kind"),
            text(object, "/metadata/namespace"),
            text(object, "/metadata/name"),
        )
    }
}

/// The cluster refused, with the code and the text of its `Status`.
#[derive(Debug, thiserror::Error)]
#[error("the simulated cluster refused ({code}): {message}")]
pub struct Refused {
    /// The HTTP code.
    pub code: u16,
    /// What the status says.
    pub message: String,
}

impl From<Status> for Refused {
    fn from(status: Status) -> Refused {
        Refused {
            code: status.code,
            message: status.message().to_owned(),
        }
    }
}

fn target(state: &State, object: &ObjectRef) -> Result<Target, Refused> {
    let (group, version) = object
        .api_version
        .split_once('/')
        .unwrap_or(("", &object.api_version));
    let resource = state
        .kinds
        .by_kind(group, &object.kind)
        .filter(|r| r.version(version).is_some());
    let resource = resource.ok_or_else(|| Refused {
        code: 404,
        message: format!("{} {} is not served", object.api_version, object.kind),
    })?;
    Ok(Target {
        resource,
        version: version.to_owned(),
        namespace: object.namespace.clone(),
        name: object.name.clone(),
        subresource: None,
    })
}

fn caller(manager: &str) -> Caller {
    Caller {
        manager: manager.to_owned(),
        user: super::User::admin(),
        ..Caller::system("test")
    }
}

impl SimCluster {
    /// An object as it is stored, or nothing.
    #[must_use]
    pub fn get(&self, object: &ObjectRef) -> Option<Value> {
        let state = self.cluster.lock();
        let target = target(&state, object).ok()?;
        state.get(&target).ok()
    }

    /// All objects as they are stored, by resource and key.
    #[must_use]
    pub fn objects(&self) -> Vec<Value> {
        self.cluster
            .lock()
            .store
            .all()
            .map(|(_, _, object)| Value::clone(object))
            .collect()
    }

    /// The objects of one kind.
    #[must_use]
    pub fn objects_of(&self, group: &str, plural: &str) -> Vec<Value> {
        self.cluster
            .lock()
            .store
            .list(&ResourceId::new(group, plural), None)
            .map(|(_, object)| Value::clone(object))
            .collect()
    }

    /// Creates an object, or replaces it whole, as another manager would with an update.
    ///
    /// # Errors
    /// When the object is refused.
    pub fn put_as(&self, manager: &str, object: &Value) -> Result<Value, Refused> {
        self.cluster.write(|state| {
            let target = target(state, &ObjectRef::of(object))?;
            let mut object = object.clone();
            let answer = match state.get(&target) {
                Ok(live) => {
                    object["metadata"]["resourceVersion"] =
                        live["metadata"]["resourceVersion"].clone();
                    state.update(&caller(manager), &target, object)
                }
                Err(_) => state.create(&caller(manager), &target, object),
            };
            Ok(answer?.body)
        })
    }

    /// Applies a configuration as a manager.
    ///
    /// # Errors
    /// When it is refused, by a conflict too.
    pub fn apply_as(&self, manager: &str, object: &Value, force: bool) -> Result<Value, Refused> {
        self.cluster.write(|state| {
            let target = target(state, &ObjectRef::of(object))?;
            let caller = Caller {
                force,
                force_given: true,
                ..caller(manager)
            };
            Ok(state.apply(&caller, &target, object.clone())?.body)
        })
    }

    /// Changes an object by a merge patch, as `kubectl edit` would.
    ///
    /// # Errors
    /// When it is refused.
    pub fn patch_as(
        &self,
        manager: &str,
        object: &ObjectRef,
        change: &Value,
    ) -> Result<Value, Refused> {
        self.patch_at(manager, object, None, change)
    }

    /// Changes the status of an object by a merge patch, as its controller would.
    ///
    /// # Errors
    /// When it is refused.
    pub fn patch_status_as(
        &self,
        manager: &str,
        object: &ObjectRef,
        change: &Value,
    ) -> Result<Value, Refused> {
        self.patch_at(manager, object, Some("status".into()), change)
    }

    fn patch_at(
        &self,
        manager: &str,
        object: &ObjectRef,
        subresource: Option<String>,
        change: &Value,
    ) -> Result<Value, Refused> {
        self.cluster.write(|state| {
            let target = Target {
                subresource,
                ..target(state, object)?
            };
            let live = state
                .store
                .get(&target.resource.id(), &target.key())
                .cloned()
                .ok_or_else(|| Status::not_found(&target.about()))?;
            let mut changed = state.convert_out(&target, &live);
            patch::merge(&mut changed, change);
            Ok(state
                .patched(&caller(manager), &target, &live, changed)?
                .body)
        })
    }

    /// Deletes an object in the background.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn delete(&self, object: &ObjectRef) -> Result<(), Refused> {
        self.cluster.write(|state| {
            let target = target(state, object)?;
            state.delete(&caller("kubectl"), &target, &DeleteOptions::default())?;
            Ok(())
        })
    }

    /// The newest resource version.
    #[must_use]
    pub fn resource_version(&self) -> u64 {
        self.cluster.lock().store.version()
    }

    /// The uid of `kube-system`, by which a cluster is known.
    #[must_use]
    pub fn uid(&self) -> String {
        handler::cluster_uid(&self.cluster.lock())
    }

    /// Forgets the past: watches from before have to list again.
    pub fn compact(&self) {
        self.cluster.lock().store.compact();
        // Watches that are behind are to find out now.
        self.cluster.woken.send_modify(|_| ());
    }

    /// Adds a fault and gives its number.
    pub fn inject(&self, fault: Fault) -> u64 {
        self.cluster.observed().faults.add(fault)
    }

    /// Takes a fault away.
    pub fn heal(&self, fault: u64) {
        self.cluster.observed().faults.remove(fault);
    }

    /// Takes all faults away.
    pub fn heal_all(&self) {
        self.cluster.observed().faults.clear();
    }

    /// The requests since the start, or since they were cleared; the oldest go first where there are very many.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.cluster.observed().record.all()
    }

    /// How often each verb was asked of each resource.
    #[must_use]
    pub fn request_counts(&self) -> BTreeMap<(String, String), u64> {
        self.cluster.observed().record.counts()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.cluster.observed().record.clear();
    }
}
