//! The hub's part of a commit's trace: fetched, planned, delivered, and healthy in each cluster.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, PoisonError},
};

use capstan_core::{ClusterName, DesiredState, Generation, Revision};
use capstan_proto::{CommitTraces, Span};

use crate::{clock::now_ms, state::Hub};

/// The revisions that are on their way to clusters.
#[derive(Default)]
pub(crate) struct Traces {
    commits: CommitTraces,
    /// By cluster: the newest state on its way.
    moving: Mutex<BTreeMap<ClusterName, Moving>>,
}

struct Moving {
    /// What is new in it.
    revisions: Vec<Revision>,
    generation: Generation,
    planned_ms: u64,
    received_ms: Option<u64>,
}

impl Traces {
    /// Exports to `endpoint`, where there is one, whose authority is in the file `ca`.
    pub(crate) fn open(endpoint: Option<&str>, ca: Option<&Path>) -> Result<Self, String> {
        Ok(Self {
            commits: CommitTraces::open("capstan-hub", endpoint, ca)?,
            moving: Mutex::default(),
        })
    }

    fn moving(&self) -> std::sync::MutexGuard<'_, BTreeMap<ClusterName, Moving>> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn span(
        &self,
        name: &'static str,
        revision: &Revision,
        (start_ms, end_ms): (u64, u64),
        attributes: Vec<(&'static str, String)>,
    ) {
        let span = Span {
            name,
            start_ms,
            end_ms,
            attributes,
            ..Span::default()
        };
        self.commits.add(revision, span);
    }

    /// A revision was fetched.
    pub(crate) fn fetched(&self, revision: &Revision, start_ms: u64, end_ms: u64) {
        let span = Span {
            name: "fetch",
            start_ms,
            end_ms,
            is_root: true,
            ..Span::default()
        };
        self.commits.add(revision, span);
    }

    /// A cluster's state was rendered, planned and stored.
    pub(crate) fn planned(
        &self,
        name: &ClusterName,
        (old, new): (&DesiredState, &DesiredState),
        times: (u64, u64),
    ) {
        if !self.commits.is_on() {
            return;
        }
        let changed = new
            .sources
            .iter()
            .filter(|it| old.sources.get(it.0) != Some(it.1));
        let revisions: Vec<Revision> = changed.map(|it| it.1.revision.clone()).collect();
        for revision in &revisions {
            let more = vec![
                ("capstan.cluster", name.to_string()),
                ("capstan.generation", new.generation.to_string()),
            ];
            self.span("plan", revision, times, more);
        }
        let moving = Moving {
            revisions,
            generation: new.generation,
            planned_ms: times.1,
            received_ms: None,
        };
        self.moving().insert(name.clone(), moving);
    }

    /// An agent holds a state.
    pub(crate) fn received(&self, name: &ClusterName, generation: Generation) {
        let now = now_ms();
        let (revisions, planned_ms) = {
            let mut moving = self.moving();
            let Some(it) = moving
                .get_mut(name)
                .filter(|it| it.generation == generation)
            else {
                return;
            };
            it.received_ms = Some(now);
            (it.revisions.clone(), it.planned_ms)
        };
        for revision in &revisions {
            let more = vec![("capstan.cluster", name.to_string())];
            self.span("deliver", revision, (planned_ms, now), more);
        }
    }

    /// An agent reported; the trace ends for its cluster when everything is healthy.
    pub(crate) fn reported(&self, name: &ClusterName, hub: &Hub) {
        if !self.commits.is_on() {
            return;
        }
        let healthy = {
            let view = hub.view();
            let cluster = view.clusters.get(name);
            cluster.is_some_and(|it| {
                let desired = it.desired.as_ref();
                desired.is_some_and(|state| {
                    state
                        .sources
                        .keys()
                        .all(|source| it.unmet(name, source).is_empty())
                })
            })
        };
        let done = {
            let mut moving = self.moving();
            let ready = moving.get(name).and_then(|it| it.received_ms).is_some();
            if healthy && ready {
                moving.remove(name)
            } else {
                None
            }
        };
        let Some(done) = done else { return };
        let times = (done.received_ms.unwrap_or(done.planned_ms), now_ms());
        for revision in &done.revisions {
            let more = vec![("capstan.cluster", name.to_string())];
            self.span("apply until healthy", revision, times, more);
        }
    }

    /// Sends what was not sent yet.
    pub(crate) fn close(&self) {
        if let Err(error) = self.commits.close() {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}
