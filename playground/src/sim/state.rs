//! The state of one cluster, behind one lock: what requests read and change, and what controllers work on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::auth::{Credentials, User};
use super::kinds::{Kinds, Resource, ResourceId, Version};
use super::storage::{Key, Store};
use super::workloads::Policies;

/// The cluster's own time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    /// Set where time stands still unless it is moved.
    pub(crate) frozen: Option<Timestamp>,
    offset: Duration,
}

impl Clock {
    pub(crate) fn new(frozen: Option<Timestamp>) -> Clock {
        Clock {
            frozen,
            offset: Duration::ZERO,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let base = self.frozen.unwrap_or_else(Timestamp::now);
        base.checked_add(self.offset).unwrap_or(base)
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.offset += by;
    }

    /// As objects write times: UTC, whole seconds.
    pub(crate) fn text(&self) -> String {
        seconds(self.now())
    }
}

/// A time with whole seconds in UTC.
pub(crate) fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Everything that a cluster knows.
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) kinds: Kinds,
    pub(crate) clock: Clock,
    pub(crate) policies: Policies,
    pub(crate) credentials: Credentials,
    /// Whether requests are checked against roles.
    pub(crate) rbac: bool,
    /// Whether the work of the controller manager is done.
    pub(crate) controllers: bool,
    /// Addresses given to services so far.
    pub(crate) addresses: u32,
    /// The newest change that the controllers have seen.
    pub(crate) seen: u64,
    /// Objects that controllers look at again at a time.
    pub(crate) timers: BTreeMap<(Timestamp, ResourceId, Key), ()>,
}

impl State {
    pub(crate) fn new(
        clock: Clock,
        credentials: Credentials,
        rbac: bool,
        controllers: bool,
        policies: Policies,
    ) -> State {
        State {
            store: Store::default(),
            kinds: Kinds::default(),
            clock,
            policies,
            credentials,
            rbac,
            controllers,
            addresses: 0,
            seen: 0,
            timers: BTreeMap::new(),
        }
    }

    /// An object by group, plural, namespace and name.
    pub(crate) fn object(
        &self,
        group: &str,
        plural: &str,
        namespace: &str,
        name: &str,
    ) -> Option<&Arc<Value>> {
        self.store
            .get(&ResourceId::new(group, plural), &Key::new(namespace, name))
    }
}

/// How unknown fields are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// Who asks, and with what options.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) user: User,
    /// The field manager, resolved from the parameter or the user agent.
    pub(crate) manager: String,
    /// Whether it was named in the request.
    pub(crate) manager_given: bool,
    pub(crate) dry_run: bool,
    pub(crate) force: bool,
    pub(crate) force_given: bool,
    pub(crate) validation: FieldValidation,
}

impl Caller {
    /// A part of the control plane that acts for itself.
    pub(crate) fn system(manager: &str) -> Caller {
        Caller {
            user: User::system(manager),
            manager: manager.to_owned(),
            manager_given: true,
            dry_run: false,
            force: false,
            force_given: false,
            validation: FieldValidation::Ignore,
        }
    }
}

/// What a request is about.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) resource: Arc<Resource>,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) subresource: Option<String>,
}

impl Target {
    pub(crate) fn version(&self) -> &Version {
        self.resource
            .version(&self.version)
            .expect("a target is made for a served version")
    }

    pub(crate) fn api_version(&self) -> String {
        self.resource.api_version(&self.version)
    }

    /// Group, version and kind as Go prints them.
    pub(crate) fn gvk(&self) -> String {
        let (resource, version) = (&self.resource, &self.version);
        super::identity::group_version_kind(&resource.group, version, &resource.kind)
    }

    pub(crate) fn key(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }

    pub(crate) fn about(&self) -> super::status::About {
        super::status::About::new(&self.resource.group, &self.resource.plural, &self.name)
    }

    /// For errors that name the kind, not the resource.
    pub(crate) fn about_kind(&self) -> super::status::About {
        super::status::About::new(&self.resource.group, &self.resource.kind, &self.name)
    }

    pub(crate) fn subresource(&self) -> &str {
        self.subresource.as_deref().unwrap_or_default()
    }
}

/// An answer that carries an object.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Value,
    pub(crate) warnings: Vec<String>,
}

impl Answer {
    pub(crate) fn ok(body: Value) -> Answer {
        Answer {
            code: 200,
            body,
            warnings: Vec::new(),
        }
    }
}

/// A text at a place of an object; empty where there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
