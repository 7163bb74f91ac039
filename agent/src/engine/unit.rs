//! The state of one unit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use capstan_core::{
    ClusterName, Digest, ObjectKey, Phase, Revision, Substitution, Unit, UnitKey, UnitKind,
    health::Verdict,
};
use capstan_render::substitute::Variables;
use tokio::{task::AbortHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{fights::Fights, trace::Progress};
use crate::pass::{Item, Outcome};

/// The variables of a unit's text.
#[derive(Debug, Default)]
pub(super) enum Inputs {
    /// They are not known yet.
    #[default]
    Unread,
    /// They are these.
    Read(Arc<Variables>),
    /// They cannot be had, or do not complete the text, and why. What was complete before stays so.
    Missing(String),
}

/// One unit, as wanted, done and seen.
#[derive(Debug, Default)]
pub(super) struct UnitState {
    /// As it is wanted; none where it is being removed.
    pub(super) unit: Option<Arc<Unit>>,
    /// The revision that its content is from.
    pub(super) revision: Option<Revision>,
    pub(super) items: Arc<Vec<Item>>,
    /// What its text is completed with.
    pub(super) inputs: Inputs,
    /// The items are those of the content wanted: without that, nothing is applied and nothing pruned.
    pub(super) complete: bool,
    /// Reads the variables.
    pub(super) reader: Option<AbortHandle>,
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

    /// Takes new content, of which items are made next.
    pub(super) fn replace(&mut self, unit: &Arc<Unit>) {
        self.unit = Some(unit.clone());
        self.complete = false;
        self.begin_anew();
        if unit.spec.substitution.is_none() {
            self.inputs = Inputs::Read(Arc::default());
        }
    }

    /// Where the unit takes variables from that are not known yet.
    pub(super) fn unread(&self) -> Option<&Substitution> {
        let substitution = self.unit.as_ref()?.spec.substitution.as_ref();
        substitution.filter(|_| matches!(self.inputs, Inputs::Unread))
    }

    /// Why its variables cannot be had, or do not complete its text.
    pub(super) fn lacks(&self) -> Option<&str> {
        match &self.inputs {
            Inputs::Missing(why) => Some(why),
            Inputs::Unread | Inputs::Read(_) => None,
        }
    }

    /// Takes that it is no longer wanted.
    pub(super) fn remove(&mut self) {
        if self.unit.take().is_some() || self.phase.is_none() {
            self.items = Arc::default();
            self.complete = true;
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
        self.inputs = Inputs::Unread;
        for task in [self.checker.take(), self.reader.take()] {
            task.inspect(AbortHandle::abort);
        }
    }
}

impl Drop for UnitState {
    fn drop(&mut self) {
        for task in [&self.checker, &self.reader].into_iter().flatten() {
            task.abort();
        }
    }
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
