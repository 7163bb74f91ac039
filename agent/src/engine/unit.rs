//! The state of one unit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use capstan_core::{
    ClusterName, Digest, Entry, MediaType, ObjectKey, Phase, Revision, Role, Unit, UnitKey,
    UnitKind, health::Verdict,
};
use serde_json::Value;
use tokio::{task::AbortHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{fights::Fights, trace::Progress};
use crate::{
    held::Held,
    pass::{Item, Outcome},
    policy::Policy,
    switches::Switches,
};

/// One unit, as wanted, done and seen.
#[derive(Debug, Default)]
pub(super) struct UnitState {
    /// As it is wanted; none where it is being removed.
    pub(super) unit: Option<Unit>,
    /// The revision that its content is from.
    pub(super) revision: Option<Revision>,
    pub(super) items: Arc<Vec<Item>>,
    /// A pass is due whatever is observed.
    pub(super) dirty: bool,
    /// A pass is under way.
    pub(super) running: bool,
    /// What the last pass did, for which content.
    pub(super) last: Option<(Option<Digest>, Outcome)>,
    /// When the content was last applied whole: health is waited for since then.
    pub(super) applied_at: Option<Instant>,
    /// Not tried again before.
    pub(super) retry_at: Option<Instant>,
    /// Failed passes in a row.
    pub(super) failures: u32,
    pub(super) confirmed: BTreeSet<Digest>,
    pub(super) corrected: u64,
    pub(super) fights: Fights,
    /// Objects that it waits for without owning them.
    pub(super) checks: BTreeMap<ObjectKey, Verdict>,
    pub(super) checker: Option<AbortHandle>,
    /// Drift that was reported and is left.
    pub(super) warned: BTreeSet<ObjectKey>,
    /// Tells a pass under way that its content is no longer wanted.
    pub(super) superseded: CancellationToken,
    /// The value of `requestedAt` last acted upon.
    pub(super) requested_at: Option<String>,
    /// Whether others may depend on it now.
    pub(super) ready: bool,
    pub(super) phase: Option<(Phase, u64)>,
    /// How far the content has come, for its commit's trace.
    pub(super) progress: Progress,
    /// When its state changes without any event.
    pub(super) wake_at: Option<Instant>,
}

impl UnitState {
    /// Digest of what is wanted.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.unit.as_ref().map(|it| it.digest)
    }

    /// Whether the content was applied and pruned without a failure.
    pub(super) fn is_applied(&self) -> bool {
        let wanted = self.digest();
        self.last
            .as_ref()
            .is_some_and(|(digest, outcome)| *digest == wanted && outcome.is_clean())
    }

    /// Takes new content.
    pub(super) fn replace(&mut self, unit: &Unit, items: Vec<Item>) {
        self.unit = Some(unit.clone());
        self.items = Arc::new(items);
        self.begin_anew();
    }

    /// Takes that it is no longer wanted.
    pub(super) fn remove(&mut self) {
        if self.unit.take().is_some() || self.phase.is_none() {
            self.items = Arc::default();
            self.begin_anew();
        }
    }

    fn begin_anew(&mut self) {
        self.dirty = true;
        self.ready = false;
        self.last = None;
        self.superseded.cancel();
        self.superseded = CancellationToken::new();
        self.retry_at = None;
        self.failures = 0;
        self.applied_at = None;
        self.progress = Progress::default();
        self.checks.clear();
        if let Some(checker) = self.checker.take() {
            checker.abort();
        }
    }
}

impl Drop for UnitState {
    fn drop(&mut self) {
        if let Some(checker) = &self.checker {
            checker.abort();
        }
    }
}

/// An entry with what its content says about how it is treated.
pub(super) fn item(entry: &Entry, held: &Held, policy: &Policy, namespace: &str) -> Item {
    let mut item = Item {
        key: entry.key.clone(),
        version: entry.version.clone(),
        digest: entry.digest,
        sensitive: entry.sensitive || (entry.key.group.is_empty() && entry.key.kind == "Secret"),
        switches: Switches::default(),
        refused: None,
    };
    if entry.role != Role::Object || entry.media_type != MediaType::Object {
        item.refused = Some(format!(
            "this version of the agent applies whole objects only, not a {:?} of type {:?}",
            entry.role, entry.media_type
        ));
        return item;
    }
    let content: Option<Value> = held
        .get(&entry.digest)
        .ok()
        .and_then(|it| serde_json::from_slice(&it).ok());
    let mut secret_type = String::new();
    if let Some(content) = content {
        item.switches = Switches::of(content.get("metadata").unwrap_or(&Value::Null));
        let found = content.get("type").and_then(Value::as_str);
        found.unwrap_or_default().clone_into(&mut secret_type);
    }
    item.refused = policy.refuses(namespace, &entry.key, &secret_type);
    item
}

/// The unit that a Flux object stands for, for health checks on such: it is asked of the engine, not of the cluster.
pub(super) fn unit_of(home: &ClusterName, object: &ObjectKey) -> Option<UnitKey> {
    let kind = match (object.group.as_str(), object.kind.as_str()) {
        ("kustomize.toolkit.fluxcd.io", "Kustomization") => UnitKind::Kustomization,
        ("helm.toolkit.fluxcd.io", "HelmRelease") => UnitKind::HelmRelease,
        _ => return None,
    };
    Some(UnitKey {
        home: home.clone(),
        kind,
        namespace: object.namespace.clone(),
        name: object.name.clone(),
    })
}
