//! What the agent remembers of a live object: verdicts, not content.

use capstan_core::{
    Health, ObjectKey, UnitKey, UnitKind, drift,
    health::{Verdict, health},
    inventory::OwnFields,
};
use serde_json::Value;

use crate::switches::Switches;

/// The field manager of a unit's objects, as Flux names it, so that either can take over from the other.
pub(crate) fn manager(kind: UnitKind) -> &'static str {
    match kind {
        UnitKind::Kustomization => "kustomize-controller",
        UnitKind::HelmRelease => "helm-controller",
    }
}

/// The prefix of a unit's owner labels.
pub(crate) fn label_prefix(kind: UnitKind) -> &'static str {
    match kind {
        UnitKind::Kustomization => "kustomize.toolkit.fluxcd.io",
        UnitKind::HelmRelease => "helm.toolkit.fluxcd.io",
    }
}

/// One object as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its UID.
    pub(crate) uid: Box<str>,
    /// Its resource version.
    pub(crate) resource_version: Box<str>,
    /// The unit that its labels name, as (namespace, name).
    pub(crate) owner: Option<Box<(String, String)>>,
    /// The fields that are ours.
    pub(crate) own: Option<OwnFields>,
    /// Somebody set fields that are ours to take over.
    pub(crate) take_over: bool,
    /// What it says about itself.
    pub(crate) switches: Switches,
    /// Its health.
    pub(crate) health: Health,
    /// Why it is not healthy.
    pub(crate) message: Box<str>,
}

impl Seen {
    /// Looks at a live object of a unit of `kind`; none where it has no UID, that is, is not a live object.
    pub(crate) fn of(key: &ObjectKey, kind: UnitKind, live: &Value) -> Option<Self> {
        let metadata = live.get("metadata")?;
        let text = |field: &str| metadata.get(field).and_then(Value::as_str);
        let label = |name: &str| {
            let key = format!("{}/{name}", label_prefix(kind));
            metadata.get("labels")?.get(key)?.as_str()
        };
        let owner = label("namespace").zip(label("name"));
        let managed = metadata.get("managedFields").unwrap_or(&Value::Null);
        let Verdict { health, message } = health(key, live);
        Some(Self {
            uid: text("uid")?.into(),
            resource_version: text("resourceVersion").unwrap_or_default().into(),
            owner: owner.map(|(namespace, name)| Box::new((namespace.into(), name.into()))),
            own: drift::own_fields(managed, manager(kind)),
            take_over: drift::needs_take_over(managed, manager(kind)),
            switches: Switches::of(metadata),
            health,
            message: message.into(),
        })
    }

    /// Whether the object's labels say that it is of `unit`.
    pub(crate) fn is_of(&self, unit: &UnitKey) -> bool {
        self.owner
            .as_ref()
            .is_some_and(|it| it.0 == unit.namespace && it.1 == unit.name)
    }
}

/// The key of a live object of a known kind.
pub(crate) fn key_of(group: &str, kind: &str, live: &Value) -> Option<ObjectKey> {
    let metadata = live.get("metadata")?;
    let text = |field: &str| metadata.get(field).and_then(Value::as_str);
    Some(ObjectKey {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: text("namespace").unwrap_or_default().to_owned(),
        name: text("name")?.to_owned(),
    })
}
