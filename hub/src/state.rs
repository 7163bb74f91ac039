//! What the parts of a running hub share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use capstan_core::{ClusterName, ClusterUid, Event, Severity, report::bounded_message};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::now_ms,
    config::Config,
    events::EventLog,
    fleet::{ClusterView, FleetView},
    identity::Authority,
    limit::Turns,
    links::Links,
    metrics::Metrics,
    store::{Batch, Blobs, ClusterRecord, Db, DbError, HubRecord, Sealer},
    trace::Traces,
};

/// Sessions that begin in a second: after a restart of the hub all agents come back within moments, and each costs a
/// comparison and perhaps a snapshot. Whoever waits keeps its stream.
pub(crate) const SESSIONS_PER_SECOND: u32 = 1_000;
/// Bytes of a cluster's digest key.
const DIGEST_KEY_BYTES: usize = 32;

/// A running hub's shared parts.
pub(crate) struct Hub {
    pub(crate) config: Config,
    pub(crate) record: HubRecord,
    pub(crate) db: Db,
    pub(crate) blobs: Blobs,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) authority: Authority,
    pub(crate) links: Links,
    pub(crate) events: EventLog,
    pub(crate) metrics: Metrics,
    pub(crate) traces: Traces,
    /// The address that agents are given.
    pub(crate) agents_address: String,
    /// Agents that begin a session.
    pub(crate) admission: Turns,
    /// Wakes the planner: there is a commit, or somebody decided something.
    pub(crate) wake: Notify,
    /// Wakes it in its own time: an agent came, went or said something.
    pub(crate) heard: Notify,
    /// Sources that somebody wants fetched now.
    pub(crate) due: Mutex<std::collections::BTreeSet<capstan_core::SourceKey>>,
    /// Wakes the fetching.
    pub(crate) fetch: Notify,
    /// A blob was found missing.
    pub(crate) lost: std::sync::atomic::AtomicBool,
    /// Ends everything.
    pub(crate) stop: CancellationToken,
    /// What the planner last worked with, for the API.
    pub(crate) planned: Mutex<Arc<crate::planner::Planned>>,
    /// What is known of the sources.
    pub(crate) sources: Mutex<crate::source::SourceTable>,
    /// Held by whoever changes pins, overrides or orphans, so that two changes do not undo each other.
    pub(crate) deciding: tokio::sync::Mutex<()>,
    view: Mutex<FleetView>,
    view_changed: watch::Sender<u64>,
}

/// What a hub is made of before it runs.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) record: HubRecord,
    pub(crate) db: Db,
    pub(crate) blobs: Blobs,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) authority: Authority,
    pub(crate) events: EventLog,
    pub(crate) traces: Traces,
    pub(crate) agents_address: String,
}

impl Hub {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            config: parts.config,
            record: parts.record,
            db: parts.db,
            blobs: parts.blobs,
            sealer: parts.sealer,
            authority: parts.authority,
            links: Links::default(),
            events: parts.events,
            metrics: Metrics::default(),
            traces: parts.traces,
            agents_address: parts.agents_address,
            admission: Turns::per_second(SESSIONS_PER_SECOND),
            wake: Notify::new(),
            heard: Notify::new(),
            due: Mutex::default(),
            fetch: Notify::new(),
            lost: std::sync::atomic::AtomicBool::new(false),
            stop: CancellationToken::new(),
            planned: Mutex::default(),
            sources: Mutex::default(),
            deciding: tokio::sync::Mutex::new(()),
            view: Mutex::default(),
            view_changed: watch::channel(0).0,
        }
    }

    /// What is known now, to look at. Not held across anything slow.
    pub(crate) fn view(&self) -> MutexGuard<'_, FleetView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known now, to look at for as long as it takes: everybody else goes on.
    pub(crate) fn view_now(&self) -> FleetView {
        self.view().clone()
    }

    /// What is known now of one cluster.
    pub(crate) fn cluster_now(&self, name: &ClusterName) -> Option<Arc<ClusterView>> {
        self.view().clusters.get(name).cloned()
    }

    /// Changes what is known, and tells those who watch.
    pub(crate) fn change_view<T>(&self, change: impl FnOnce(&mut FleetView) -> T) -> T {
        let changed = change(&mut self.view());
        self.view_changed.send_modify(|it| *it += 1);
        changed
    }

    /// Changes what is known of one cluster, if there is such a one.
    pub(crate) fn change_cluster(&self, name: &ClusterName, change: impl FnOnce(&mut ClusterView)) {
        self.change_view(|view| view.cluster_mut(name).map(change));
    }

    /// Wakes when what is known changes.
    pub(crate) fn watch_view(&self) -> watch::Receiver<u64> {
        self.view_changed.subscribe()
    }

    /// Says that something happened.
    pub(crate) fn say(
        &self,
        cluster: Option<&ClusterName>,
        severity: Severity,
        reason: &str,
        message: impl Into<String>,
    ) {
        let event = Event {
            time_ms: now_ms(),
            severity,
            reason: reason.to_owned(),
            unit: None,
            object: None,
            message: bounded_message(message),
        };
        self.events.append(cluster.cloned(), event);
    }

    /// A new sealed digest key for the cluster `uid`.
    pub(crate) fn new_digest_key(&self, uid: &ClusterUid) -> Vec<u8> {
        let mut key = [0; DIGEST_KEY_BYTES];
        crate::secret::fill_random(&mut key);
        self.sealer.seal(uid.as_str().as_bytes(), &key)
    }

    /// The digest key of a cluster, or nothing where the sealing key is not the one it was sealed with.
    pub(crate) fn digest_key(&self, record: &ClusterRecord) -> Option<[u8; DIGEST_KEY_BYTES]> {
        let name = record.uid.as_str().as_bytes();
        let key = self.sealer.unseal(name, &record.sealed_digest_key)?;
        key.try_into().ok()
    }

    /// Commits a change that somebody made, with its audit record.
    pub(crate) fn commit_audited(&self, mut batch: Batch, audit: Audit) -> Result<u64, DbError> {
        batch.put_audit(&self.events.audit_record(audit, "ok"));
        self.db.commit(&batch)
    }

    /// The clusters by name.
    pub(crate) fn records(&self) -> BTreeMap<ClusterName, Arc<ClusterRecord>> {
        let all = self.db.clusters().into_iter();
        all.map(|it| (it.value.name.clone(), it.value)).collect()
    }
}

/// Who did what to what, and why.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    pub(crate) actor: String,
    pub(crate) verb: String,
    pub(crate) target: String,
    pub(crate) reason: String,
}
