//! The end of a pass: what the unit owns and no longer has is deleted, unless somebody should look at it first.

use std::collections::BTreeSet;

use capstan_core::{
    Digest, ObjectKey,
    fuse::{Circumstances, Deletion, WINDOW_MS, confirmation, judge},
};
use futures::StreamExt;

use super::{Outcome, Pass};
use crate::{
    apply::Failure,
    cluster::{Address, Cluster, ClusterError, Preconditions},
    observed::Topic,
    plan::{PrunePlan, plan_prune},
    seen::Seen,
    shared::count,
};

/// Objects of one unit that are deleted at the same time.
const DELETIONS_AT_ONCE: usize = 8;
/// Times that a deletion is tried when the object changes under it.
const ATTEMPTS: usize = 4;

/// A deletion that waits for a confirmation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// What to confirm.
    pub(crate) digest: Digest,
    /// How many objects, and why somebody should look.
    pub(crate) message: String,
}

impl<C: Cluster> Pass<C> {
    pub(super) async fn prune(&self, outcome: &mut Outcome) {
        let wanted: BTreeSet<ObjectKey> = self.resolve().into_iter().map(|it| it.0.key).collect();
        let candidates: Vec<ObjectKey> = {
            let units = self.shared.ledger.units();
            let Some(inventory) = units.get(&self.task.unit) else {
                return;
            };
            let unwanted = inventory.unwanted(|it| wanted.contains(it));
            unwanted.map(|it| it.0.clone()).collect()
        };
        if candidates.is_empty() {
            return;
        }
        if !self.task.prune {
            self.forget(&candidates);
            return;
        }
        if let Some(reason) = &self.task.prune_hold {
            outcome.trouble = Some(Failure::lasting(format!(
                "{} objects are to be pruned, and are kept: {reason}",
                candidates.len()
            )));
            return;
        }
        let plan = self.plan_prune(&candidates, &wanted).await;
        self.forget(&plan.forget);
        if !plan.unknown.is_empty() {
            outcome.trouble = Some(Failure {
                message: format!(
                    "{} objects are to be pruned and could not be looked at, the first is {}",
                    plan.unknown.len(),
                    plan.unknown[0]
                ),
                transient: true,
            });
        }
        match self.judge(&plan) {
            Ok(()) => self.delete(plan, outcome).await,
            Err(waiting) => outcome.waiting = Some(waiting),
        }
    }

    async fn plan_prune(
        &self,
        candidates: &[ObjectKey],
        wanted: &BTreeSet<ObjectKey>,
    ) -> PrunePlan {
        let family = self.task.unit.kind;
        let discovery = self.shared.discovery();
        let mut topics = BTreeSet::new();
        let mut unserved = BTreeSet::new();
        for key in candidates {
            match discovery.preferred(&key.group, &key.kind) {
                Some(resource) => {
                    let topic = Topic::of(key, family);
                    self.shared.watch(&topic, resource);
                    topics.insert(topic);
                }
                // Only a complete discovery proves that a kind, and so its objects, are gone.
                None if discovery.is_complete_for(&key.group) => {
                    unserved.insert(key.clone());
                }
                None => {}
            }
        }
        let topics: Vec<Topic> = topics.into_iter().collect();
        self.shared.settle(&topics).await;
        let units = self.shared.ledger.units();
        let inventory = units.get(&self.task.unit).cloned().unwrap_or_default();
        drop(units);
        let observed = self.shared.observed();
        let handed_over = |key: &ObjectKey| {
            let other = self.task.others.get(key);
            unserved.contains(key) || other.is_some_and(|it| *it != self.task.unit)
        };
        plan_prune(
            &self.task.unit,
            &inventory,
            |it| wanted.contains(it),
            handed_over,
            |it| observed.sight(it, family),
        )
    }

    fn forget(&self, keys: &[ObjectKey]) {
        if let Some(inventory) = self.shared.ledger.units().get_mut(&self.task.unit) {
            for key in keys {
                inventory.objects.remove(key);
            }
        }
    }

    /// Judges and, where they may go on, counts the deletions in one step: two units cannot both take the last of what is
    /// free.
    fn judge(&self, plan: &PrunePlan) -> Result<(), Waiting> {
        let deletions: Vec<Deletion> = plan.delete.iter().map(|it| it.0.clone()).collect();
        let digest = confirmation(&self.task.unit, &deletions);
        if deletions.is_empty() || self.task.confirmed.contains(&digest) {
            return Ok(());
        }
        let now = self.task.now_ms;
        let mut units = self.shared.ledger.units();
        let recent = |it: &&(u64, u32)| it.0 + WINDOW_MS > now;
        let pruned = units
            .values()
            .flat_map(|it| it.pruned.iter().filter(recent))
            .map(|it| it.1 as usize)
            .sum();
        let at = Circumstances {
            unit_objects: units.get(&self.task.unit).map_or(0, |it| it.objects.len()),
            cluster_objects: units.values().map(|it| it.objects.len()).sum(),
            cluster_pruned: pruned,
        };
        if let Err(reason) = judge(&deletions, at) {
            return Err(Waiting {
                digest,
                message: format!(
                    "{} objects are to be deleted and wait for a confirmation, since {reason}",
                    deletions.len()
                ),
            });
        }
        if let Some(inventory) = units.get_mut(&self.task.unit) {
            inventory.pruned.retain(|it| it.0 + WINDOW_MS > now);
            let many = u32::try_from(deletions.len()).unwrap_or(u32::MAX);
            inventory.pruned.push((now, many));
        }
        Ok(())
    }

    /// Deletes one kind after the other, in the reverse order of application.
    async fn delete(&self, plan: PrunePlan, outcome: &mut Outcome) {
        let groups = plan.delete.chunk_by(|a, b| a.0.key.kind == b.0.key.kind);
        for group in groups {
            let deletions: Vec<_> = group
                .iter()
                .map(|(deletion, version, resource_version)| async move {
                    let result = self.delete_one(deletion, version, resource_version).await;
                    (deletion.key.clone(), result)
                })
                .collect();
            let results: Vec<_> = futures::stream::iter(deletions)
                .buffer_unordered(DELETIONS_AT_ONCE)
                .collect()
                .await;
            for (key, result) in results {
                match result {
                    Ok(()) => {
                        count(&self.shared.counters.pruned);
                        self.forget(std::slice::from_ref(&key));
                        outcome.pruned.push(key);
                    }
                    Err(failure) => {
                        count(&self.shared.counters.failed);
                        outcome.failures.insert(key, failure);
                    }
                }
            }
        }
    }

    async fn delete_one(
        &self,
        deletion: &Deletion,
        version: &str,
        resource_version: &str,
    ) -> Result<(), Failure> {
        let key = &deletion.key;
        let discovery = self.shared.discovery();
        let found = discovery
            .find(&key.group, &key.kind, version)
            .or_else(|| discovery.preferred(&key.group, &key.kind));
        let Some(resource) = found else {
            return Err(Failure {
                message: "it is to be pruned, and its kind is not served at present".into(),
                transient: true,
            });
        };
        let at = Address::of(resource, key);
        let mut only = Preconditions {
            uid: deletion.uid.clone(),
            resource_version: resource_version.to_owned(),
        };
        let failed = |error: &ClusterError| Failure {
            message: format!("prune refused ({error})"),
            transient: error.is_transient(),
        };
        for _ in 0..ATTEMPTS {
            let _permit = self.shared.permits.acquire().await;
            let answer = self
                .shared
                .cluster
                .delete(&self.task.actor, &at, &only)
                .await;
            match answer {
                Ok(()) => return Ok(()),
                Err(error) if error.code() == Some(404) => return Ok(()),
                Err(error) if error.code() == Some(409) => {}
                Err(error) => return Err(failed(&error)),
            }
            let live = self.shared.cluster.get(&self.task.actor, &at).await;
            let Some(live) = live.map_err(|it| failed(&it))? else {
                return Ok(());
            };
            match Seen::of(key, self.task.unit.kind, &live.0) {
                Some(seen) if *seen.uid == *only.uid && seen.is_of(&self.task.unit) => {
                    only.resource_version = seen.resource_version.to_string();
                }
                // Another object of that name, or no longer ours.
                _ => return Ok(()),
            }
        }
        Err(Failure {
            message: "it is to be pruned, and changes too fast".into(),
            transient: true,
        })
    }
}
