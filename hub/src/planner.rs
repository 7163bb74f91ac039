//! The loop that plans: woken by a change or a period, it reads the whole state once, decides in pure code, writes once,
//! and publishes.

mod inputs;
mod quarantine;
mod round;
mod show;
mod sources;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use capstan_core::{ClusterName, Digest, Revision, SourceKey};
use capstan_render::{Fleet, Memo, flux::GitRepository};

pub(crate) use inputs::{Placing, fleet_key};
pub(crate) use quarantine::{forgive, stop_counting};
pub(crate) use round::confirm;
pub(crate) use sources::open_tree;

use crate::{
    plan::{Book, Overrides, PinInput, Pipeline, Placed, SharedUnits},
    state::Hub,
    store::DbError,
    worker::Worker,
};

/// Even without a change, everything is looked at in this time.
const PERIOD: Duration = Duration::from_secs(30);
/// Changes that come together are planned together.
const GATHER: Duration = Duration::from_millis(25);
/// Rest after a round, as many times as long as it took: planning takes half of a core at most, however fast commits come.
const REST: u32 = 1;
/// The same where only agents said something, of whom there may be a storm.
const REST_FROM_AGENTS: u32 = 2;
/// The longest rest.
const MAX_REST: Duration = Duration::from_secs(1);
/// Wait after a round that failed.
const BACKOFF: Duration = Duration::from_secs(2);

/// What the last round worked with, for whoever wants to decide or show something.
#[derive(Default)]
pub(crate) struct Planned {
    pub(crate) fleet: Option<Arc<Fleet>>,
    pub(crate) book: Book,
    pub(crate) overrides: Overrides,
    pub(crate) pipelines: Vec<Pipeline>,
    pub(crate) placements: Vec<Placed>,
    pub(crate) heads: BTreeMap<SourceKey, Revision>,
    pub(crate) follows: BTreeMap<ClusterName, BTreeSet<SourceKey>>,
    /// By cluster: what it is rendered from.
    pub(crate) placing: BTreeMap<ClusterName, Arc<Placing>>,
    /// The sources that the fleet grants.
    pub(crate) sources: BTreeMap<SourceKey, GitRepository>,
}

/// What the planner keeps between rounds. All of it can be lost.
#[derive(Default)]
pub(crate) struct Planner {
    memo: Arc<Memo>,
    /// The fleet as last parsed, and the tree it was parsed from.
    fleet: Option<(String, Arc<Fleet>)>,
    placings: inputs::Placings,
    /// By cluster: what it was last rendered from.
    rendered: BTreeMap<ClusterName, Digest>,
    /// Blobs that are known to be on disk.
    kept: BTreeSet<Digest>,
    /// Revisions that were rendered without harm since the hub started.
    proven: BTreeSet<String>,
    /// Confirmations that were sent, by unit and digest.
    confirmed: BTreeSet<(capstan_core::UnitKey, Digest)>,
}

impl Hub {
    /// What the last round worked with.
    pub(crate) fn planned(&self) -> Arc<Planned> {
        self.planned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A blob that should be there is not: the next round makes all of them again.
    pub(crate) fn blobs_lost(&self) {
        self.lost.store(true, std::sync::atomic::Ordering::Relaxed);
        self.wake.notify_one();
    }
}

impl Planned {
    /// Runs `decide` with what pins are decided from, as things are now.
    pub(crate) fn with_input<T>(
        &self,
        hub: &Hub,
        overrides: &Overrides,
        decide: impl FnOnce(&PinInput<'_>) -> T,
    ) -> T {
        let (unmet, away) = inputs::health(&hub.view_now(), &self.follows);
        let of = |name: &ClusterName, source: &SourceKey| {
            unmet
                .get(&(name.clone(), source.clone()))
                .cloned()
                .unwrap_or_default()
        };
        decide(&PinInput {
            now_ms: crate::clock::now_ms(),
            heads: &self.heads,
            follows: &self.follows,
            pipelines: &self.pipelines,
            placements: &self.placements,
            overrides,
            unmet: &of,
            away: &|it| away.contains(it),
        })
    }
}

/// The last round.
#[derive(Clone, Copy)]
struct Last {
    took: Duration,
    ended: Instant,
}

impl Last {
    /// How long to wait with the next round when there is news, where the last one ended so long ago.
    fn pause(self, rest: u32, ago: Duration) -> Duration {
        let rest = (self.took * rest).min(MAX_REST);
        GATHER.max(rest.saturating_sub(ago))
    }

    /// Waits until the next round is to begin: soon for a commit, also where one comes while agents are left waiting.
    async fn news(self, hub: &Hub) {
        let rest = |rest| tokio::time::sleep(self.pause(rest, self.ended.elapsed()));
        tokio::select! {
            () = hub.wake.notified() => return rest(REST).await,
            () = hub.heard.notified() => {}
        }
        tokio::select! {
            () = hub.wake.notified() => rest(REST).await,
            () = rest(REST_FROM_AGENTS) => {}
        }
    }
}

/// Plans until the hub stops.
pub(crate) async fn run(hub: Arc<Hub>) {
    let thread = match Worker::start("planner") {
        Ok(it) => it,
        Err(error) => {
            tracing::error!(%error, "no thread to plan in can be had; nothing is planned");
            return;
        }
    };
    let mut planner = Some(Planner::default());
    loop {
        let deciding = hub.deciding.lock().await;
        let (given, mut state) = (hub.clone(), planner.take().unwrap_or_default());
        let started = Instant::now();
        let round = move || {
            let result = state.round(&given);
            (state, result)
        };
        let done = thread.run(round).await;
        let last = Last {
            took: started.elapsed(),
            ended: Instant::now(),
        };
        hub.metrics.plan_seconds.observe(last.took.as_secs_f64());
        drop(deciding);
        let wait = match done {
            Ok((state, Ok(()))) => {
                planner = Some(state);
                PERIOD
            }
            Ok((state, Err(error))) => {
                tracing::error!(%error, "planning failed; it is tried again");
                planner = Some(state);
                BACKOFF
            }
            Err(error) => {
                tracing::error!(%error, "planning ended unexpectedly; it is tried again from the start");
                let db = hub.db.clone();
                let counted = tokio::task::spawn_blocking(move || quarantine::count_deaths(&db));
                if let Ok(Err(error)) = counted.await {
                    tracing::error!(%error, "what it ended on could not be written down");
                }
                BACKOFF
            }
        };
        tokio::select! {
            () = hub.stop.cancelled() => return,
            () = last.news(&hub) => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Makes what the store has known to those who read, before anything else runs.
pub(crate) fn restore(hub: &Hub) -> Result<(), DbError> {
    quarantine::count_deaths(&hub.db)?;
    let mut shared = SharedUnits::default();
    for (name, record) in hub.records() {
        let mut desired = hub.db.desired(&record.uid)?;
        desired.iter_mut().for_each(|it| shared.share(it));
        let desired = desired.map(Arc::new);
        let orphans = hub.db.orphans(&name)?;
        if let Some(state) = &desired {
            hub.links.publish(&record.uid, state.clone());
        }
        hub.change_view(|view| {
            let cluster = view.know(&name, &record.uid);
            cluster.labels = record.labels.clone();
            cluster.desired = desired;
            cluster.orphans = orphans;
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_after_a_quiet_time_do_not_wait_and_a_storm_does() {
        let ms = Duration::from_millis;
        let table = [
            (5, 0, 25, 25),
            (200, 0, 200, 400),
            (200, 300, 25, 100),
            (200, 10_000, 25, 25),
            (3_000, 0, 1_000, 1_000),
            (3_000, 1_000, 25, 25),
        ];
        for (took, ago, commit, agent) in table {
            let last = Last {
                took: ms(took),
                ended: Instant::now(),
            };
            let of = |rest| last.pause(rest, ms(ago));
            assert_eq!(
                (of(REST), of(REST_FROM_AGENTS)),
                (ms(commit), ms(agent)),
                "{took} {ago}"
            );
        }
    }
}
