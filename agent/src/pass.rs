//! One pass over a unit: observe, decide, act, stage by stage; what the unit no longer has is pruned last. The result says
//! what was done and what was not.

mod prune;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use capstan_core::{
    Digest, Health, ObjectKey, Revision, UnitKey, desired::DriftMode, inventory::Owned,
    order::Stage,
};
use futures::StreamExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use self::prune::Waiting;
use crate::{
    app::ensure_namespace,
    apply::{Applier, Failure},
    cluster::{Actor, Cluster, Discovery, Resource},
    observed::{Sight, Topic},
    plan::{Apply, ChangeSet, PlanInput, Wanted, Why, plan},
    shared::{REQUESTS, Shared},
    switches::Switches,
};

/// Longest wait for definitions and namespaces to be ready before what needs them is applied.
const STAGE_TIMEOUT: Duration = Duration::from_secs(60);
/// Objects of one unit that are applied at the same time: as many as the agent has requests under way.
const OBJECTS_AT_ONCE: usize = REQUESTS;

/// An object of a unit, before it is known how its kind is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) key: ObjectKey,
    pub(crate) version: String,
    pub(crate) digest: Digest,
    pub(crate) sensitive: bool,
    pub(crate) switches: Switches,
    /// Its content, where it was completed here and is kept nowhere else.
    pub(crate) completed: Option<Completed>,
    /// Why it is not applied, whatever the cluster serves.
    pub(crate) refused: Option<String>,
}

/// Canonical JSON of an object that was completed here. `Debug` shows nothing of it, since secret values may be in it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Completed(pub(crate) Arc<[u8]>);

impl fmt::Debug for Completed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Completed(..)")
    }
}

/// What a pass is told.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) unit: UnitKey,
    /// What is applied: the digest of the unit's content; none where the unit is being removed.
    pub(crate) digest: Option<Digest>,
    pub(crate) items: Arc<Vec<Item>>,
    /// The unit's own namespace is a root's and is made where it is not there, as Flux's installation would have made it.
    pub(crate) makes_namespace: bool,
    pub(crate) actor: Actor,
    pub(crate) service_account: Option<String>,
    pub(crate) force: bool,
    pub(crate) prune: bool,
    pub(crate) mode: DriftMode,
    pub(crate) timeout: Duration,
    /// Deletions that somebody confirmed.
    pub(crate) confirmed: BTreeSet<Digest>,
    /// Why nothing is pruned at present.
    pub(crate) prune_hold: Option<String>,
    /// Objects that another unit wants: they are neither applied nor deleted here.
    pub(crate) others: Arc<BTreeMap<ObjectKey, UnitKey>>,
    /// Objects that are left for a while, since somebody else changes them again and again.
    pub(crate) held_back: BTreeSet<ObjectKey>,
    /// The revision that the content is from.
    pub(crate) revision: Option<Revision>,
    /// The content is no longer wanted: nothing is waited for any more.
    pub(crate) superseded: CancellationToken,
    pub(crate) now_ms: u64,
}

/// What a pass did.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Objects that were not applied, and why.
    pub(crate) failures: BTreeMap<ObjectKey, Failure>,
    /// Failures of the pass as a whole.
    pub(crate) trouble: Option<Failure>,
    /// A kind of some object is not served.
    pub(crate) misses_kinds: bool,
    /// Objects applied.
    pub(crate) applied: usize,
    /// Drift that was put back, and what it was.
    pub(crate) corrected: Vec<(ObjectKey, String)>,
    /// Drift that is only reported.
    pub(crate) drifted: BTreeSet<ObjectKey>,
    /// Objects deleted.
    pub(crate) pruned: Vec<ObjectKey>,
    /// A deletion that waits for a confirmation.
    pub(crate) waiting: Option<Waiting>,
}

impl Outcome {
    /// Whether everything was applied and pruned.
    pub(crate) fn is_clean(&self) -> bool {
        self.failures.is_empty() && self.trouble.is_none() && self.waiting.is_none()
    }

    /// Whether trying again soon may help.
    pub(crate) fn is_transient(&self) -> bool {
        self.trouble
            .iter()
            .chain(self.failures.values())
            .any(|it| it.transient)
    }
}

/// The items as they are served: with the namespace that they have, or why they are not applied.
pub(crate) fn resolve(
    items: &[Item],
    discovery: &Discovery,
    unit: &UnitKey,
    others: &BTreeMap<ObjectKey, UnitKey>,
) -> Vec<(Wanted, Option<Arc<Resource>>)> {
    let one = |item: &Item| {
        let mut key = item.key.clone();
        let mut refused = item.refused.clone();
        let resource = discovery.find(&key.group, &key.kind, &item.version);
        match &resource {
            Some(it) if !it.namespaced => key.namespace.clear(),
            Some(_) if key.namespace.is_empty() && refused.is_none() => {
                refused = Some("it has no namespace: set metadata.namespace, or the unit's spec.targetNamespace".into());
            }
            _ => {}
        }
        if let Some(owner) = others.get(&key).filter(|it| *it != unit)
            && refused.is_none()
        {
            refused = Some(format!(
                "{owner} declares it too, and has it; remove it from one of them"
            ));
        }
        let wanted = Wanted {
            key,
            version: item.version.clone(),
            digest: item.digest,
            sensitive: item.sensitive,
            switches: item.switches,
            completed: item.completed.clone(),
            refused,
        };
        (wanted, resource)
    };
    items.iter().map(one).collect()
}

/// A pass under way.
pub(crate) struct Pass<C> {
    pub(crate) shared: Arc<Shared<C>>,
    pub(crate) task: Task,
}

impl<C: Cluster> Pass<C> {
    /// Does it.
    pub(crate) async fn run(self) -> Outcome {
        let mut outcome = Outcome::default();
        let deadline = Instant::now() + self.task.timeout;
        let work = async {
            if self.apply_all(&mut outcome).await {
                self.prune(&mut outcome).await;
            }
        };
        if tokio::time::timeout_at(deadline, work).await.is_err() {
            outcome.trouble = Some(Failure {
                message: format!("not applied within {} s", self.task.timeout.as_secs()),
                transient: false,
            });
        }
        self.close(&mut outcome).await;
        outcome
    }

    fn resolve(&self) -> Vec<(Wanted, Option<Arc<Resource>>)> {
        let discovery = self.shared.discovery();
        let Task {
            items,
            unit,
            others,
            ..
        } = &self.task;
        resolve(items, &discovery, unit, others)
    }

    /// Applies every stage; `false` where something was not applied, so that nothing may be pruned.
    async fn apply_all(&self, outcome: &mut Outcome) -> bool {
        if self.task.digest.is_none() {
            return true;
        }
        if let Err(failure) = self.make_namespace().await {
            outcome.trouble = Some(failure);
            return false;
        }
        if let Err(failure) = self.announce().await {
            outcome.trouble = Some(failure);
            return false;
        }
        for stage in Stage::ALL {
            let mut served = self.resolve();
            served.retain(|(wanted, _)| Stage::of(&wanted.key) == stage);
            if served.is_empty() {
                continue;
            }
            self.find_unserved(&mut served).await;
            self.apply_stage(stage, &served, outcome).await;
            if !outcome.failures.is_empty() && stage != Stage::Rest {
                return false;
            }
            if self.task.superseded.is_cancelled() {
                outcome.trouble = Some(Failure {
                    message: "newer content has come".into(),
                    transient: true,
                });
                return false;
            }
        }
        outcome.failures.is_empty()
    }

    async fn make_namespace(&self) -> Result<(), Failure> {
        let name = &self.task.unit.namespace;
        if !self.task.makes_namespace || self.shared.made().contains(name) {
            return Ok(());
        }
        let made = ensure_namespace(self.shared.cluster.as_ref(), name).await;
        made.map_err(|error| Failure {
            message: format!("namespace {name}, in which the unit lives, cannot be made: {error}"),
            transient: error.is_transient(),
        })?;
        self.shared.made().insert(name.clone());
        Ok(())
    }

    /// Writes down what is about to be ours before it is made, so that nothing is ever forgotten.
    async fn announce(&self) -> Result<(), Failure> {
        let wanted = self.resolve();
        let new = {
            let mut units = self.shared.ledger.units();
            let inventory = units.entry(self.task.unit.clone()).or_default();
            let mut new = inventory.prune != self.task.prune
                || inventory.service_account != self.task.service_account;
            inventory.prune = self.task.prune;
            inventory
                .service_account
                .clone_from(&self.task.service_account);
            for (wanted, _) in wanted.iter().filter(|(it, _)| it.refused.is_none()) {
                if !inventory.objects.contains_key(&wanted.key) {
                    let owned = Owned::about_to_be(&wanted.version);
                    inventory.objects.insert(wanted.key.clone(), owned);
                    new = true;
                }
            }
            new
        };
        if !new {
            return Ok(());
        }
        let flushed = self.shared.ledger.flush(&self.task.unit).await;
        flushed.map_err(|error| Failure {
            message: format!("nothing is applied before the inventory is kept: {error}"),
            transient: true,
        })
    }

    /// Looks for kinds that were not served a moment ago: their definitions may have just been applied.
    async fn find_unserved(&self, served: &mut Vec<(Wanted, Option<Arc<Resource>>)>) {
        if served.iter().all(|(_, it)| it.is_some()) || self.shared.discover().await.is_err() {
            return;
        }
        let stage = Stage::of(&served[0].0.key);
        *served = self.resolve();
        served.retain(|(wanted, _)| Stage::of(&wanted.key) == stage);
    }

    async fn apply_stage(
        &self,
        stage: Stage,
        served: &[(Wanted, Option<Arc<Resource>>)],
        outcome: &mut Outcome,
    ) {
        let family = self.task.unit.kind;
        let mut topics = BTreeSet::new();
        for (wanted, resource) in served {
            match resource {
                Some(resource) => {
                    let topic = Topic::of(&wanted.key, family);
                    self.shared.watch(&topic, resource.clone());
                    topics.insert(topic);
                }
                None if wanted.refused.is_none() => {
                    outcome.misses_kinds = true;
                    let text = format!(
                        "the cluster does not serve {} {} (no definition for it yet?)",
                        wanted.key.kind, wanted.version
                    );
                    outcome
                        .failures
                        .insert(wanted.key.clone(), Failure::lasting(text));
                }
                None => {}
            }
        }
        let topics: Vec<Topic> = topics.into_iter().collect();
        self.shared.settle(&topics).await;
        let (wanted, resources): (Vec<Wanted>, Vec<Option<Arc<Resource>>>) =
            served.iter().cloned().unzip();
        let set = self.plan(&wanted);
        for (key, reason) in &set.refused {
            outcome
                .failures
                .insert(key.clone(), Failure::lasting(reason.clone()));
        }
        for key in &set.unknown {
            let text = "its kind could not be listed in time";
            let failure = Failure {
                message: text.into(),
                transient: true,
            };
            outcome.failures.entry(key.clone()).or_insert(failure);
        }
        let drifted = set.drifted.iter().map(|it| wanted[*it].key.clone());
        outcome.drifted.extend(drifted);
        let changes = &set.stages[stage as usize];
        self.execute(changes, &wanted, &resources, outcome).await;
        if stage != Stage::Rest && !changes.is_empty() {
            self.wait_ready(&wanted, outcome).await;
        }
    }

    fn plan(&self, wanted: &[Wanted]) -> ChangeSet {
        let units = self.shared.ledger.units();
        let inventory = units.get(&self.task.unit).cloned().unwrap_or_default();
        drop(units);
        let observed = self.shared.observed();
        plan(&PlanInput {
            unit: &self.task.unit,
            wanted,
            inventory: &inventory,
            sight: |key: &ObjectKey| observed.sight(key, self.task.unit.kind),
            mode: self.task.mode,
        })
    }

    /// Applies objects of one kind together, and kinds in order.
    async fn execute(
        &self,
        changes: &[Apply],
        wanted: &[Wanted],
        resources: &[Option<Arc<Resource>>],
        outcome: &mut Outcome,
    ) {
        let applier = Applier {
            shared: &self.shared,
            unit: &self.task.unit,
            actor: &self.task.actor,
            force: self.task.force,
        };
        let due = |it: &&Apply| {
            let key = &wanted[it.index].key;
            !(outcome.failures.contains_key(key)
                || it.why == Why::Drift && self.task.held_back.contains(key))
        };
        let due: Vec<&Apply> = changes.iter().filter(due).collect();
        for group in due.chunk_by(|a, b| wanted[a.index].key.kind == wanted[b.index].key.kind) {
            let applies: Vec<_> = group
                .iter()
                .map(|change| {
                    let (applier, wanted) = (&applier, &wanted[change.index]);
                    let resource = resources[change.index].clone();
                    async move {
                        let resource = resource?;
                        Some((wanted, applier.apply(wanted, change, resource).await))
                    }
                })
                .collect();
            let results: Vec<_> = futures::stream::iter(applies)
                .buffer_unordered(OBJECTS_AT_ONCE)
                .collect()
                .await;
            for (wanted, result) in results.into_iter().flatten() {
                match result {
                    Ok(drift) => {
                        outcome.applied += 1;
                        outcome
                            .corrected
                            .extend(drift.map(|it| (wanted.key.clone(), it)));
                    }
                    Err(failure) => {
                        outcome.failures.insert(wanted.key.clone(), failure);
                    }
                }
            }
        }
    }

    /// Waits until what the next stage needs is ready.
    async fn wait_ready(&self, wanted: &[Wanted], outcome: &mut Outcome) {
        let family = self.task.unit.kind;
        let waits: Vec<&ObjectKey> = wanted
            .iter()
            .map(|it| &it.key)
            .filter(|it| !outcome.failures.contains_key(it))
            .collect();
        let ready = |sight: Sight| match sight {
            Sight::Present(seen) => seen.health == Health::Current,
            // What cannot be watched cannot be waited for.
            Sight::Blind(_) => true,
            Sight::Unlisted | Sight::Absent => false,
        };
        let deadline = Instant::now() + STAGE_TIMEOUT;
        let all_ready = self.shared.until(deadline, |observed| {
            waits.iter().all(|it| ready(observed.sight(it, family)))
        });
        tokio::select! {
            _ = all_ready => {}
            () = self.task.superseded.cancelled() => return,
        }
        for key in waits {
            let sight = self.shared.observed().sight(key, family);
            if let Sight::Present(seen) = &sight
                && seen.health != Health::Current
            {
                let text = format!(
                    "not ready after {} s: {}",
                    STAGE_TIMEOUT.as_secs(),
                    seen.message
                );
                outcome.failures.insert(
                    key.clone(),
                    Failure {
                        message: text,
                        transient: true,
                    },
                );
            }
        }
        if wanted
            .iter()
            .any(|it| it.key.kind == "CustomResourceDefinition")
        {
            // An error shows when the new kinds are looked for.
            let _ = self.shared.discover().await;
        }
    }

    /// Keeps what is owned now.
    async fn close(&self, outcome: &mut Outcome) {
        if !outcome.failures.is_empty() {
            // The namespace may be gone: it is looked for again.
            self.shared.made().remove(&self.task.unit.namespace);
        }
        let changed = {
            let mut units = self.shared.ledger.units();
            let Some(inventory) = units.get_mut(&self.task.unit) else {
                return;
            };
            let before = inventory.applied;
            if outcome.failures.is_empty() && outcome.trouble.is_none() {
                inventory.applied = self.task.digest;
                if outcome.is_clean() {
                    inventory.revision.clone_from(&self.task.revision);
                }
            }
            let changed = inventory.applied != before
                || outcome.applied > 0
                || outcome.trouble.is_some()
                || !outcome.pruned.is_empty();
            if self.task.digest.is_none() && inventory.objects.is_empty() {
                units.remove(&self.task.unit);
            }
            changed || self.task.digest.is_none()
        };
        if !changed {
            return;
        }
        if let Err(error) = self.shared.ledger.flush(&self.task.unit).await {
            outcome.trouble.get_or_insert(Failure {
                message: format!("the inventory could not be kept: {error}"),
                transient: true,
            });
        }
    }
}
