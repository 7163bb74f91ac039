//! Git repositories that the hub follows: bare mirrors, fetched by poll and on request, read from the object database.

mod egress;
mod follow;
mod http;
mod ignore;
mod mirror;
mod ssh;
mod tree;
mod webhook;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::Duration,
};

use capstan_core::{Revision, Severity, SourceKey};
use tokio::{sync::Semaphore, task::JoinSet};

pub(crate) use egress::without_credentials;
pub(crate) use follow::Follow;
pub(crate) use mirror::{Mirror, SourceError, unlock};
pub(crate) use webhook::{Announced, announced};

use crate::{clock::now_ms, secret::random_below, state::Hub};

/// Fetches at once. Each holds a pack in memory for a while.
const MAX_FETCHES: usize = 4;
/// A fetch that takes longer is given up, unless the source says otherwise.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// After a failure the wait doubles from here to the source's own interval.
const FIRST_RETRY_MS: u64 = 5_000;

/// What to follow and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceSpec {
    pub(crate) url: String,
    pub(crate) follow: Follow,
    pub(crate) credentials: Option<String>,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) suspend: bool,
    /// What of the repository is no part of the source, as its `spec.ignore` says.
    pub(crate) ignore: Option<String>,
}

/// What is known of one source.
#[derive(Clone, Debug)]
pub(crate) struct SourceStatus {
    pub(crate) spec: SourceSpec,
    /// The newest revision that was fetched.
    pub(crate) head: Option<Revision>,
    pub(crate) fetched_ms: Option<u64>,
    pub(crate) error: Option<String>,
    pub(crate) failures: u32,
    due_ms: u64,
    running: bool,
}

/// What is known of all sources.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceTable {
    pub(crate) sources: BTreeMap<SourceKey, SourceStatus>,
}

impl SourceTable {
    /// Follows these from now on. What is known of one that did not change stays.
    pub(crate) fn follow(
        &mut self,
        specs: &BTreeMap<SourceKey, SourceSpec>,
        folder: &std::path::Path,
    ) {
        self.sources.retain(|key, _| specs.contains_key(key));
        for (key, spec) in specs {
            match self.sources.get_mut(key) {
                Some(status) if status.spec == *spec => {}
                Some(status)
                    if status.spec.url == spec.url && status.spec.follow == spec.follow =>
                {
                    status.spec = spec.clone();
                    status.due_ms = 0;
                }
                _ => {
                    // What an earlier run fetched is as good as what can be fetched now, until it has been.
                    let head = Mirror::open(folder, spec)
                        .ok()
                        .and_then(|it| it.head(&spec.follow));
                    let status = SourceStatus {
                        spec: spec.clone(),
                        head,
                        fetched_ms: None,
                        error: None,
                        failures: 0,
                        due_ms: 0,
                        running: false,
                    };
                    self.sources.insert(key.clone(), status);
                }
            }
        }
    }

    /// The newest revision of each.
    pub(crate) fn heads(&self) -> BTreeMap<SourceKey, Revision> {
        let heads = self.sources.iter();
        heads
            .filter_map(|(key, it)| Some((key.clone(), it.head.clone()?)))
            .collect()
    }
}

impl Hub {
    pub(crate) fn source_table(&self) -> std::sync::MutexGuard<'_, SourceTable> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where mirrors are.
    pub(crate) fn mirrors(&self) -> PathBuf {
        self.config.data_dir.join("mirrors")
    }

    /// Asks for a fetch now. Gives whether there is such a source.
    pub(crate) fn fetch_now(&self, key: &SourceKey) -> bool {
        let known = self.source_table().sources.contains_key(key);
        if known {
            self.due
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(key.clone());
            self.fetch.notify_one();
        }
        known
    }
}

/// Fetches what is due, until the hub stops.
pub(crate) async fn run(hub: Arc<Hub>) {
    let slots = Arc::new(Semaphore::new(MAX_FETCHES));
    let mut running = JoinSet::new();
    loop {
        let (due, next_ms) = take_due(&hub, now_ms());
        for (key, spec) in due {
            running.spawn(fetch(hub.clone(), slots.clone(), key, spec));
        }
        let wait = Duration::from_millis(next_ms.saturating_sub(now_ms()).clamp(10, 60_000));
        tokio::select! {
            () = hub.stop.cancelled() => return,
            () = hub.fetch.notified() => {}
            () = tokio::time::sleep(wait) => {}
            Some(_) = running.join_next() => {}
        }
    }
}

/// The sources to fetch now, marked as running, and when the next is due.
fn take_due(hub: &Hub, now: u64) -> (Vec<(SourceKey, SourceSpec)>, u64) {
    let mut asked = hub.due.lock().unwrap_or_else(PoisonError::into_inner);
    let mut table = hub.source_table();
    let mut due = Vec::new();
    let mut next = u64::MAX;
    asked.retain(|it| table.sources.get(it).is_some_and(|it| !it.spec.suspend));
    for (key, status) in &mut table.sources {
        if status.running || status.spec.suspend {
            continue;
        }
        if asked.remove(key) || status.due_ms <= now {
            status.running = true;
            due.push((key.clone(), status.spec.clone()));
        } else {
            next = next.min(status.due_ms);
        }
    }
    (due, next)
}

async fn fetch(hub: Arc<Hub>, slots: Arc<Semaphore>, key: SourceKey, spec: SourceSpec) {
    let Ok(_slot) = slots.acquire_owned().await else {
        return;
    };
    let started = now_ms();
    let (config, folder, work) = (hub.config.clone(), hub.mirrors(), spec.clone());
    let fetched = tokio::task::spawn_blocking(move || -> Result<Revision, SourceError> {
        let egress = egress::Egress::new(&config, &work)?;
        Mirror::open(&folder, &work)?.fetch(&work.follow, egress)
    })
    .await;
    let fetched =
        fetched.unwrap_or_else(|_| Err(SourceError::Failed("the fetch ended unexpectedly".into())));
    let counter = match &fetched {
        Ok(_) => &hub.metrics.fetches,
        Err(_) => &hub.metrics.fetch_failures,
    };
    counter.inc();
    let now = now_ms();
    let (before, news) = {
        let mut table = hub.source_table();
        let status = table.sources.get_mut(&key);
        let before = status.as_ref().and_then(|it| it.head.clone());
        let news = match status {
            Some(it) if it.spec == spec => it.fetched(fetched, now),
            // What was asked for is another thing by now: it is fetched at once.
            Some(it) => {
                it.running = false;
                it.due_ms = 0;
                None
            }
            None => None,
        };
        (before, news)
    };
    match news {
        Some(Ok(head)) => {
            if before.as_ref() != Some(&head) {
                hub.traces.fetched(&head, started, now);
            }
            let message = format!("{key} is at {}", head.short());
            hub.say(None, Severity::Info, "Fetched", message);
        }
        Some(Err(message)) => {
            hub.say(
                None,
                Severity::Warning,
                "FetchFailed",
                format!("{key}: {message}"),
            );
        }
        None => return,
    }
    hub.wake.notify_one();
}

impl SourceStatus {
    /// Takes the outcome of a fetch, and gives it back where it is news.
    fn fetched(
        &mut self,
        outcome: Result<Revision, SourceError>,
        now: u64,
    ) -> Option<Result<Revision, String>> {
        self.running = false;
        let interval = u64::try_from(self.spec.interval.as_millis()).unwrap_or(u64::MAX);
        match outcome {
            Ok(head) => {
                let news = self.head.as_ref() != Some(&head) || self.fetched_ms.is_none();
                self.head = Some(head.clone());
                self.fetched_ms = Some(now);
                self.error = None;
                self.failures = 0;
                self.due_ms = now + interval / 10 * 9 + random_below(interval / 5 + 1);
                news.then_some(Ok(head))
            }
            Err(error) => {
                let message = error.to_string();
                let news = self.error.as_ref() != Some(&message);
                self.failures += 1;
                let backoff =
                    (FIRST_RETRY_MS << self.failures.min(10)).min(interval.max(FIRST_RETRY_MS));
                self.due_ms = now + backoff / 2 + random_below(backoff / 2 + 1);
                self.error = Some(message.clone());
                news.then_some(Err(message))
            }
        }
    }
}
