//! What the engine and the passes of its units share.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use capstan_core::ObjectKey;
use futures::StreamExt;
use serde_json::Value;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::AbortHandle,
    time::Instant,
};

use crate::{
    cluster::{Cluster, ClusterError, Discovery, Resource, WatchEvent, WatchScope},
    health_checks::Checked,
    held::Held,
    ledger::Ledger,
    observed::{Observed, Topic},
    policy::Policy,
    seen::label_prefix,
    session::Order,
    variables::{Places, Read},
};

/// Requests that change objects, at the same time: enough to keep an API server busy, little enough to leave it to others.
pub(crate) const REQUESTS: usize = 16;
/// Shortest time between two discoveries.
const DISCOVERY_GAP: Duration = Duration::from_millis(500);
/// Longest wait for the first list of a kind before its objects are applied without it.
const LIST_TIMEOUT: Duration = Duration::from_secs(15);

/// What the engine is told.
#[derive(Debug)]
pub(crate) enum Input {
    /// This is what the cluster should be.
    Adopt {
        /// The state.
        state: Arc<capstan_core::DesiredState>,
        /// The epoch within which absence may remove a unit.
        trusted_epoch: capstan_core::StoreEpoch,
        /// The hub.
        hub_id: String,
        /// The key under which sensitive content is addressed.
        digest_key: [u8; 32],
    },
    /// The hub tells the agent to do this.
    Order(Order),
    /// A watch says something.
    Watch(Topic, WatchEvent),
    /// The cluster's policy is this.
    Policy(Policy),
    /// Objects that a unit waits for were looked at.
    Checked(Checked),
    /// The variables of a unit were read.
    Variables(Read),
    /// The kinds served may have changed.
    Discovered,
}

/// The counters that are shown as metrics.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Objects applied.
    pub(crate) applied: AtomicU64,
    /// Drift put back.
    pub(crate) corrected: AtomicU64,
    /// Objects deleted.
    pub(crate) pruned: AtomicU64,
    /// Requests that failed.
    pub(crate) failed: AtomicU64,
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What is shared.
pub(crate) struct Shared<C> {
    pub(crate) cluster: Arc<C>,
    /// The agent's own namespace.
    pub(crate) namespace: String,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) held: Arc<Held>,
    pub(crate) permits: Semaphore,
    pub(crate) counters: Counters,
    pub(crate) inbox: mpsc::Sender<Input>,
    /// Where units take variables from.
    pub(crate) places: Places,
    /// Namespaces of units that are known to be there.
    made: Mutex<BTreeSet<String>>,
    observed: Mutex<Observed>,
    changed: watch::Sender<u64>,
    discovery: Mutex<Arc<Discovery>>,
    discovered_at: tokio::sync::Mutex<Option<Instant>>,
    /// Managed fields of objects that were changed by others, to say who and what.
    notes: Mutex<BTreeMap<ObjectKey, Value>>,
    watches: Mutex<BTreeMap<Topic, AbortHandle>>,
}

impl<C: Cluster> Shared<C> {
    pub(crate) fn new(
        cluster: Arc<C>,
        namespace: &str,
        ledger: Arc<Ledger>,
        held: Arc<Held>,
        inbox: mpsc::Sender<Input>,
    ) -> Self {
        Self {
            cluster,
            namespace: namespace.to_owned(),
            ledger,
            held,
            permits: Semaphore::new(REQUESTS),
            counters: Counters::default(),
            inbox,
            places: Places::default(),
            made: Mutex::default(),
            observed: Mutex::default(),
            changed: watch::Sender::new(0),
            discovery: Mutex::default(),
            discovered_at: tokio::sync::Mutex::default(),
            notes: Mutex::default(),
            watches: Mutex::default(),
        }
    }

    /// Namespaces that units live in and that are known to be there. Held for moments only.
    pub(crate) fn made(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.made.lock().expect("nothing panics while it is set")
    }

    /// What is known of the cluster. Held for moments only.
    pub(crate) fn observed(&self) -> MutexGuard<'_, Observed> {
        self.observed
            .lock()
            .expect("nothing panics while it is changed")
    }

    /// Says that something observed has changed.
    pub(crate) fn bump(&self) {
        self.changed.send_modify(|it| *it += 1);
    }

    /// Waits until `done` says so of what is observed; `false` where it did not before `deadline`.
    pub(crate) async fn until(&self, deadline: Instant, done: impl Fn(&Observed) -> bool) -> bool {
        let mut changes = self.changed.subscribe();
        loop {
            if done(&self.observed()) {
                return true;
            }
            match tokio::time::timeout_at(deadline, changes.changed()).await {
                Ok(Ok(())) => {}
                _ => return done(&self.observed()),
            }
        }
    }

    /// The kinds served, as last discovered.
    pub(crate) fn discovery(&self) -> Arc<Discovery> {
        self.discovery
            .lock()
            .expect("nothing panics while it is set")
            .clone()
    }

    /// Discovers anew, unless that was done a moment ago.
    pub(crate) async fn discover(&self) -> Result<Arc<Discovery>, ClusterError> {
        let mut last = self.discovered_at.lock().await;
        if last.is_some_and(|it| it.elapsed() < DISCOVERY_GAP) {
            tokio::time::sleep(DISCOVERY_GAP).await;
        }
        let found = self.cluster.discover().await?;
        *last = Some(Instant::now());
        let mut slot = self
            .discovery
            .lock()
            .expect("nothing panics while it is set");
        *slot = Arc::new(found.or_last(&slot));
        Ok(slot.clone())
    }

    /// Remembers who has which fields of an object that is not as we left it.
    pub(crate) fn note(&self, key: &ObjectKey, managed: Option<Value>) {
        let mut notes = self.notes.lock().expect("nothing panics while it is set");
        match managed {
            Some(managed) => {
                notes.insert(key.clone(), managed);
            }
            None => {
                notes.remove(key);
            }
        }
    }

    /// What was noted of an object.
    pub(crate) fn noted(&self, key: &ObjectKey) -> Option<Value> {
        let notes = self.notes.lock().expect("nothing panics while it is set");
        notes.get(key).cloned()
    }

    /// Watches a kind, where it is not watched yet.
    pub(crate) fn watch(&self, topic: &Topic, resource: Arc<Resource>) {
        if !self.observed().begin(topic) {
            return;
        }
        let probe = ObjectKey {
            group: topic.group.clone(),
            kind: topic.kind.clone(),
            namespace: String::new(),
            name: String::new(),
        };
        let scope = WatchScope {
            resource,
            namespace: String::new(),
            labels: format!("{}/name", label_prefix(topic.family)),
            name: String::new(),
            body: capstan_core::health::needs_body(&probe),
        };
        let mut stream = self.cluster.watch(scope);
        let inbox = self.inbox.clone();
        let to = topic.clone();
        let task = tokio::spawn(async move {
            while let Some(event) = stream.next().await {
                if inbox.send(Input::Watch(to.clone(), event)).await.is_err() {
                    return;
                }
            }
        });
        let mut watches = self.watches.lock().expect("nothing panics while it is set");
        watches.insert(topic.clone(), task.abort_handle());
    }

    /// Ends the watches of kinds that nothing is about any more.
    pub(crate) fn keep_watching(&self, needed: impl Fn(&Topic) -> bool) {
        let mut watches = self.watches.lock().expect("nothing panics while it is set");
        watches.retain(|topic, task| {
            let keep = needed(topic);
            if !keep {
                task.abort();
                self.observed().end(topic);
            }
            keep
        });
    }

    /// Waits until the kinds are listed, or known not to be.
    pub(crate) async fn settle(&self, topics: &[Topic]) {
        let deadline = Instant::now() + LIST_TIMEOUT;
        self.until(deadline, |observed| {
            topics.iter().all(|it| observed.is_settled(it))
        })
        .await;
    }
}

impl<C> Drop for Shared<C> {
    fn drop(&mut self) {
        if let Ok(watches) = self.watches.get_mut() {
            for task in watches.values() {
                task.abort();
            }
        }
    }
}
