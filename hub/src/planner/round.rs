//! One round of planning.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, atomic::Ordering},
};

use capstan_core::{
    ClusterName, DesiredState, Digest, Generation, Revision, Severity, SourceKey, UnitKey,
};
use capstan_proto::v1;
use capstan_render::{Fleet, cluster::PinnedTree, flux::GitRepository};

use super::{
    Placing, Planned, Planner, fleet_key, inputs, quarantine,
    show::{say, say_problems, show_clusters, show_places},
    sources::{follow_sources, keep_pins, open_tree},
};
use crate::{
    clock::now_ms,
    plan::{Book, Decision, Next, NextInput, Orphans, Overrides, SharedUnits, decide, next},
    render,
    source::Mirror,
    state::Hub,
    store::{Batch, ClusterRecord, DbError},
};

/// Problems of the fleet path, and warnings of a cluster, that are shown; there may be one for each file.
const MAX_SHOWN_PROBLEMS: usize = 100;

/// What is shown of the fleet path before the first fetch.
const NOT_FETCHED: &str = "the fleet repository has not been fetched yet";
/// Blobs that are remembered to be on disk; that a forgotten one is there is found out by looking.
const MAX_KEPT: usize = 1_000_000;

/// The trees at the revisions that clusters follow, opened once for all of them.
type Trees = BTreeMap<(SourceKey, Revision), Result<PinnedTree, String>>;

/// What a round found out of one cluster.
struct Planning {
    name: ClusterName,
    record: Arc<ClusterRecord>,
    fingerprint: Digest,
    previous: Arc<DesiredState>,
    orphans: Orphans,
    next: Next,
    warnings: Vec<String>,
    /// Every source could be read; otherwise it is rendered again though nothing changes.
    all_read: bool,
}

impl Planner {
    /// Reads, decides, writes once, publishes.
    pub(super) fn round(&mut self, hub: &Hub) -> Result<(), DbError> {
        if hub.lost.swap(false, Ordering::Relaxed) {
            self.rendered.clear();
            self.kept.clear();
        }
        let records = hub.records();
        self.rendered.retain(|it, _| records.contains_key(it));
        if self.kept.len() > MAX_KEPT {
            self.kept.clear();
        }
        show_clusters(hub, &records);
        let suspects = hub.db.rendering()?;
        let usable = || quarantine::usable_heads(&suspects, hub.source_table().heads());
        let Some(fleet) = self.read_fleet(hub, usable().1) else {
            return Ok(());
        };
        let sources = follow_sources(hub, &fleet);
        let overrides = hub.db.overrides()?.value;
        let placing = self.placings.of(&fleet, &records);
        let planned = Planned {
            book: hub.db.book()?,
            overrides: overrides.clone(),
            pipelines: inputs::pipelines(&fleet, &placing),
            placements: inputs::placed(&fleet, &placing),
            heads: usable().0,
            follows: follows(&placing, &sources),
            fleet: Some(fleet.clone()),
            placing,
            sources,
        };
        let sources = &planned.sources;
        let started = now_ms();
        let mut decision =
            planned.with_input(hub, &overrides, |input| decide(input, &planned.book));
        let told = quarantine::told(hub, &records);
        let moves = quarantine::hold_back(&suspects, &self.proven, &told, &mut decision.book);
        quarantine::begin(hub, &suspects, &moves)?;
        let plannings = self.plan_clusters(hub, &fleet, &records, &planned, sources, &decision)?;
        let generation = self.write(hub, &planned.book, &decision, &plannings)?;
        quarantine::end(hub, &moves)?;
        self.proven.extend(moves);
        for it in &plannings {
            if it.all_read {
                self.rendered.insert(it.name.clone(), it.fingerprint);
            } else {
                self.rendered.remove(&it.name);
            }
        }
        self.publish(hub, plannings, generation, started);
        say(hub, &decision);
        if decision.book != planned.book {
            keep_pins(hub, &decision.book);
            hub.wake.notify_one();
        }
        show_places(hub, &planned);
        self.confirm_removals(hub, &overrides)?;
        let planned = Planned {
            book: decision.book,
            ..planned
        };
        *hub.planned.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(planned);
        Ok(())
    }

    /// The fleet path at the newest revision that could be read. One that cannot be read leaves the last one standing.
    fn read_fleet(&mut self, hub: &Hub, more_problems: Vec<String>) -> Option<Arc<Fleet>> {
        let configured = hub.config.fleet.as_ref()?;
        let key = fleet_key(configured);
        let spec = inputs::fleet_spec(&hub.config, configured);
        if !hub.source_table().sources.contains_key(&key) {
            let only = BTreeMap::from([(key.clone(), spec.clone())]);
            hub.source_table().follow(&only, &hub.mirrors());
            hub.fetch.notify_one();
        }
        let head = hub.source_table().heads().remove(&key);
        let read = head.map(|head| {
            let mirror = Mirror::open(&hub.mirrors(), &spec).map_err(|it| it.to_string())?;
            let (id, tree) = mirror.tree(&head).map_err(|it| it.to_string())?;
            if self.fleet.as_ref().is_some_and(|it| it.0 == id) {
                return Ok(None);
            }
            let fleet = render::read_fleet(&*tree, &configured.path)?;
            Ok::<_, String>(Some((id, Arc::new(fleet))))
        });
        let mut problems = Vec::new();
        match read {
            Some(Ok(Some(fleet))) => {
                self.fleet = Some(fleet);
            }
            Some(Ok(None)) => {}
            Some(Err(problem)) => problems.push(format!(
                "the fleet path cannot be read, so the last one that could be stays: {problem}"
            )),
            None => problems.push(NOT_FETCHED.to_owned()),
        }
        let fleet = self.fleet.as_ref().map(|it| it.1.clone());
        let shown = fleet
            .iter()
            .flat_map(|it| &it.problems)
            .map(ToString::to_string);
        problems.extend(shown.take(MAX_SHOWN_PROBLEMS));
        problems.extend(more_problems);
        if hub.view().problems != problems {
            // Every start begins so; where it stays so, the fetch says why.
            for it in problems.iter().filter(|it| *it != NOT_FETCHED) {
                hub.say(None, Severity::Warning, "FleetPathProblem", it.clone());
            }
            hub.change_view(|view| view.problems = problems);
        }
        fleet
    }

    fn plan_clusters(
        &mut self,
        hub: &Hub,
        fleet: &Fleet,
        records: &BTreeMap<ClusterName, Arc<ClusterRecord>>,
        planned: &Planned,
        sources: &BTreeMap<SourceKey, GitRepository>,
        decision: &Decision,
    ) -> Result<Vec<Planning>, DbError> {
        let mut trees = Trees::new();
        let mut plannings = Vec::new();
        let mut shared = SharedUnits::default();
        let mut all_orphans = hub.db.all_orphans()?;
        let empty = Arc::new(DesiredState::empty(hub.record.epoch));
        let common = Digest::of(format!("{:?}", (sources, fleet.is_complete())).as_bytes());
        let mut sets: BTreeMap<&ClusterName, Vec<_>> = BTreeMap::new();
        for set in &planned.overrides.units {
            sets.entry(&set.0.home).or_default().push(set);
        }
        for (name, record) in records {
            let placing = &planned.placing[name];
            let pins = pins_of(&decision.book, name);
            let previous = hub.links.newest(&record.uid);
            if pins.is_empty() && previous.is_none() {
                continue;
            }
            let orphans = all_orphans.remove(name).unwrap_or_default();
            let fingerprint = Digest::of(
                format!(
                    "{:?}",
                    (
                        &record.uid,
                        &placing.digest,
                        &pins,
                        &orphans,
                        sets.get(name),
                        common,
                    )
                )
                .as_bytes(),
            );
            if self.rendered.get(name) == Some(&fingerprint) {
                continue;
            }
            let cluster = Cluster {
                hub,
                name,
                record,
                placing,
                pins: &pins,
                sources,
            };
            let (rendered, all_read) = self.render(&cluster, &mut trees)?;
            let incomplete = incomplete(fleet, placing);
            let previous = previous.unwrap_or_else(|| empty.clone());
            let mut next = next(&NextInput {
                now_ms: now_ms(),
                previous: &previous,
                orphans: &orphans,
                outcomes: &rendered.outcomes,
                revisions: &pins,
                overrides: &planned.overrides,
                incomplete: incomplete.as_deref(),
            });
            shared.share(&mut next.state);
            plannings.push(Planning {
                name: name.clone(),
                record: record.clone(),
                fingerprint,
                previous,
                orphans,
                next,
                warnings: rendered.warnings,
                all_read,
            });
        }
        Ok(plannings)
    }

    /// Renders a cluster and keeps the content. Gives whether every source could be read.
    fn render(
        &mut self,
        cluster: &Cluster<'_>,
        trees: &mut Trees,
    ) -> Result<(render::Rendered, bool), DbError> {
        let Cluster {
            hub,
            name,
            record,
            placing,
            pins,
            sources,
        } = *cluster;
        let mut at_pins = BTreeMap::new();
        for (source, revision) in pins {
            let tree = trees
                .entry((source.clone(), revision.clone()))
                .or_insert_with(|| open_tree(hub, source, revision));
            if let Err(error) = tree {
                tracing::warn!(cluster = %name, %source, %revision, error, "a pinned revision cannot be read");
            }
            at_pins.insert(source.clone(), tree.clone());
        }
        let all_read = at_pins.values().all(Result::is_ok);
        let key = hub.digest_key(record).ok_or_else(|| DbError::Record {
            key: format!("clusters/{}", record.uid),
            reason: "its digest key was sealed with another sealing key".to_owned(),
        })?;
        hub.metrics.renders.inc();
        let rendered = render::cluster(
            &render::Input {
                name,
                roots: &placing.roots,
                sources,
                trees: &at_pins,
                digest_key: &key,
            },
            &self.memo,
        );
        for blob in &rendered.blobs {
            if !self.kept.contains(&blob.entry.digest) {
                match hub
                    .blobs
                    .put(&blob.entry.digest, &blob.bytes, blob.entry.sensitive)
                {
                    Ok(()) => _ = self.kept.insert(blob.entry.digest),
                    Err(error) => {
                        return Err(DbError::Record {
                            key: "blobs".to_owned(),
                            reason: error.to_string(),
                        });
                    }
                }
            }
        }
        Ok((rendered, all_read))
    }

    /// One batch for everything. Nothing is written where nothing changed.
    fn write(
        &self,
        hub: &Hub,
        old: &Book,
        decision: &Decision,
        plannings: &[Planning],
    ) -> Result<Option<u64>, DbError> {
        let mut batch = Batch::default();
        batch.put_book(old, &decision.book);
        for it in plannings {
            if it.is_news() {
                let chunks = hub.db.desired_chunks(&it.record.uid)?;
                batch.put_desired(&it.record.uid, &it.next.state, chunks);
            }
            if it.orphans != it.next.orphans {
                batch.put_orphans(&it.name, &it.next.orphans);
            }
        }
        if batch.is_empty() {
            return Ok(None);
        }
        hub.metrics.plan_writes.inc();
        hub.db.commit(&batch).map(Some)
    }

    fn publish(&self, hub: &Hub, plannings: Vec<Planning>, generation: Option<u64>, started: u64) {
        for it in plannings {
            let news = it.is_news();
            let state = match generation {
                Some(generation) if news => {
                    let state = DesiredState {
                        generation: Generation(generation),
                        ..it.next.state
                    };
                    let state = Arc::new(state);
                    let times = (started, now_ms());
                    hub.traces.planned(&it.name, (&it.previous, &state), times);
                    hub.links.publish(&it.record.uid, state.clone());
                    Some(state)
                }
                _ => None,
            };
            let old_failed = hub
                .view()
                .clusters
                .get(&it.name)
                .map(|it| it.failed.clone())
                .unwrap_or_default();
            for (key, why) in &it.next.failed {
                if old_failed.get(key) != Some(why) {
                    hub.say(
                        Some(&it.name),
                        Severity::Warning,
                        "RenderFailed",
                        format!("{key}: {why}"),
                    );
                }
            }
            if let Some(state) = &state {
                say_problems(hub, &it.name, &it.previous, state);
            }
            for key in &it.next.orphaned {
                let why = it.next.orphans.get(key).map_or("", |it| it.why.as_str());
                let message = format!("{key} is held: {why}; `capstan approve {key}` removes it");
                hub.say(Some(&it.name), Severity::Warning, "Orphaned", message);
            }
            for key in &it.next.removed {
                hub.say(
                    Some(&it.name),
                    Severity::Info,
                    "Removed",
                    format!("{key} is removed, as confirmed"),
                );
            }
            for warning in &it.warnings {
                tracing::warn!(cluster = %it.name, "{warning}");
            }
            let warnings = it.warnings.into_iter().take(MAX_SHOWN_PROBLEMS).collect();
            hub.change_cluster(&it.name, |view| {
                view.orphans = it.next.orphans;
                view.failed = it.next.failed;
                view.warnings = warnings;
                if let Some(state) = state {
                    view.desired = Some(state);
                }
            });
        }
    }

    /// Answers the fuses of removals that somebody confirmed here, and forgets those that are done.
    fn confirm_removals(&mut self, hub: &Hub, overrides: &Overrides) -> Result<(), DbError> {
        let mut done = Vec::new();
        for (key, hold) in &overrides.removals {
            let view = hub.view();
            let Some(cluster) = view.clusters.get(&key.home) else {
                done.push(key.clone());
                continue;
            };
            let listed = cluster
                .desired
                .as_ref()
                .is_some_and(|it| it.units.contains_key(key));
            match cluster.units.get(key) {
                Some(report) if !listed => {
                    if let Some(digest) = report.confirm
                        && self.confirmed.insert((key.clone(), digest))
                    {
                        let command = confirm(key, &digest, &hold.actor, &hold.reason);
                        hub.links.command(&cluster.uid, command);
                    }
                }
                None if !listed && cluster.reported_ms.is_some_and(|it| it > hold.since_ms) => {
                    done.push(key.clone())
                }
                _ => {}
            }
        }
        if !done.is_empty() {
            let mut overrides = overrides.clone();
            overrides.removals.retain(|it, _| !done.contains(it));
            let mut batch = Batch::default();
            batch.put_overrides(&overrides);
            hub.db.commit(&batch)?;
        }
        Ok(())
    }
}

impl Planning {
    fn is_news(&self) -> bool {
        let (old, new) = (&self.previous, &self.next.state);
        let first = old.generation == Generation(0);
        first || old.units != new.units || old.sources != new.sources || old.epoch != new.epoch
    }
}

/// The revisions that a cluster follows.
fn pins_of(book: &Book, name: &ClusterName) -> BTreeMap<SourceKey, Revision> {
    let pins = book.clusters.get(name).into_iter().flatten();
    pins.filter_map(|(source, pin)| Some((source.clone(), pin.revision.clone()?)))
        .collect()
}

/// One cluster in a round.
#[derive(Clone, Copy)]
struct Cluster<'a> {
    hub: &'a Hub,
    name: &'a ClusterName,
    record: &'a ClusterRecord,
    placing: &'a Placing,
    pins: &'a BTreeMap<SourceKey, Revision>,
    sources: &'a BTreeMap<SourceKey, GitRepository>,
}

/// Lets a deletion go on that the agent's fuse stopped.
pub(crate) fn confirm(key: &UnitKey, digest: &Digest, actor: &str, reason: &str) -> v1::Command {
    v1::Command {
        id: uuid::Uuid::new_v4().to_string(),
        command: Some(v1::command::Command::Confirm(v1::Confirm {
            unit: key.to_string(),
            digest: digest.as_bytes().to_vec().into(),
            actor: actor.to_owned(),
            reason: reason.to_owned(),
        })),
    }
}

fn incomplete(fleet: &Fleet, placing: &Placing) -> Option<String> {
    let problem = placing.problems.first().cloned().or_else(|| {
        let mut errors = fleet.problems.iter();
        let error = errors.find(|it| it.level == capstan_render::Level::Error)?;
        Some(error.to_string())
    })?;
    Some(format!(
        "not everything in the fleet path can be read, so nothing counts as removed: {problem}"
    ))
}

fn follows(
    placing: &BTreeMap<ClusterName, Arc<Placing>>,
    sources: &BTreeMap<SourceKey, GitRepository>,
) -> BTreeMap<ClusterName, BTreeSet<SourceKey>> {
    let of = |it: &Placing| {
        if it.roots.is_empty() {
            BTreeSet::new()
        } else {
            sources.keys().cloned().collect()
        }
    };
    placing
        .iter()
        .map(|(name, it)| (name.clone(), of(it)))
        .collect()
}
