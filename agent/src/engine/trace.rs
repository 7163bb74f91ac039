//! What becomes of new content, told to its commit's trace: how long applying took, and how long until it was healthy.

use capstan_core::{Digest, UnitKey};
use capstan_proto::Span;

use super::{Engine, now_ms, unit::UnitState};
use crate::{cluster::Cluster, pass::Outcome};

/// How far a unit's content has come, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// The pass under way began.
    pub(super) began_ms: u64,
    /// It was applied whole.
    applied_ms: Option<u64>,
    /// Nothing more is told: it is healthy, or it was there before.
    done: bool,
}

impl<C: Cluster> Engine<C> {
    /// A pass begins; `applied` is what the inventory says was applied before.
    pub(super) fn trace_begin(state: &mut UnitState, applied: Option<Digest>) {
        state.progress.began_ms = now_ms();
        state.progress.done |= applied.is_some() && applied == state.digest();
    }

    /// A pass over the present content has ended.
    pub(super) fn trace_applied(&self, key: &UnitKey, outcome: &Outcome) {
        let Some(state) = self.units.get(key) else {
            return;
        };
        // What fails again and again is told once.
        let progress = state.progress;
        if progress.done || progress.applied_ms.is_some() || state.failures > 1 {
            return;
        }
        let failed = outcome
            .trouble
            .iter()
            .chain(outcome.failures.values())
            .next();
        let error = failed.map(|it| it.message.as_str());
        let objects = ("capstan.objects", outcome.applied.to_string());
        self.span(key, "apply unit", progress.began_ms, error, vec![objects]);
    }

    /// The unit's state was looked at.
    pub(super) fn trace_health(&mut self, key: &UnitKey, healthy: bool) {
        let Some(state) = self.units.get_mut(key) else {
            return;
        };
        if state.progress.done || !state.is_applied() {
            return;
        }
        let applied_ms = *state.progress.applied_ms.get_or_insert_with(now_ms);
        if healthy {
            state.progress.done = true;
            self.span(key, "unit becomes healthy", applied_ms, None, Vec::new());
        }
    }

    fn span(
        &self,
        key: &UnitKey,
        name: &'static str,
        start_ms: u64,
        error: Option<&str>,
        mut attributes: Vec<(&'static str, String)>,
    ) {
        let revision = self.units.get(key).and_then(|it| it.revision.as_ref());
        let Some(revision) = revision.filter(|_| self.traces.is_on()) else {
            return;
        };
        attributes.push(("capstan.cluster", key.home.to_string()));
        attributes.push(("capstan.unit", key.to_string()));
        let span = Span {
            name,
            start_ms,
            end_ms: now_ms(),
            attributes,
            error,
            is_root: false,
        };
        self.traces.add(revision, span);
    }
}
