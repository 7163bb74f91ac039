//! One turn of the engine: every unit that something happened to is looked at, its pass started where one is due, and
//! its report made.

use std::{
    collections::BTreeSet,
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use capstan_core::{
    Digest, ObjectKey, Phase, Severity, Substitution, UnitKey, UnitReport, UnitSpec,
    desired::DriftMode, drift::last_writer, inventory::UnitInventory,
};
use futures::FutureExt;
use tokio::{task::JoinError, time::Instant};

use super::{
    DISCOVERY_PERIOD, Engine,
    evaluate::{Judgement, View, judge},
    now_ms,
    unit::{UnitState, unit_of},
};
use crate::{
    apply::Failure,
    cluster::{Actor, Cluster},
    health_checks,
    pass::{Outcome, Pass, Task, resolve},
    plan::{PlanInput, plan},
    seen::manager,
    shared::Input,
};

/// Passes at the same time. Each waits for requests most of the time; the requests have a limit of their own.
const PASSES: usize = 64;
/// Wait after a first failure that may pass; doubled with each, up to the unit's retry interval.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Shortest time that a pass has, as in Flux.
const MIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a removed unit's pass may take.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(600);

impl<C: Cluster> Engine<C> {
    /// When to look again although nothing happens.
    pub(super) fn next_wake(&self) -> Instant {
        let wakes = self.units.values().filter_map(|it| it.wake_at);
        let discovery = (!self.discovering).then_some(self.discover_at);
        let far = Instant::now() + DISCOVERY_PERIOD;
        wakes.chain(discovery).min().unwrap_or(far).min(far)
    }

    /// Time has passed.
    pub(super) fn wake(&mut self) {
        let now = Instant::now();
        let due = |it: &UnitState| it.wake_at.is_some_and(|it| it <= now);
        for (key, state) in &mut self.units {
            if due(state) {
                state.wake_at = None;
                self.touched.insert(key.clone());
            }
        }
        if self.discover_at <= now && !self.discovering {
            self.discovering = true;
            self.discover_at = now + DISCOVERY_PERIOD;
            let shared = self.shared.clone();
            self.chores.spawn(async move {
                while let Err(error) = shared.discover().await {
                    tracing::warn!(%error, "discovery failed");
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
                // The engine has ended where nobody takes it.
                let _ = shared.inbox.send(Input::Discovered).await;
            });
        }
    }

    /// Takes the result of a pass.
    pub(super) fn finish(&mut self, done: Result<(UnitKey, Option<Digest>, Outcome), JoinError>) {
        self.touched.append(&mut self.starved);
        let (key, digest, outcome) = match done {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%error, "a pass ended without a result");
                return;
            }
        };
        let now = Instant::now();
        let mut fights = Vec::new();
        let Some(state) = self.units.get_mut(&key) else {
            return;
        };
        state.running = false;
        state.corrected += outcome.corrected.len() as u64;
        for (object, _) in &outcome.corrected {
            fights.extend(
                state
                    .fights
                    .corrected(object, now)
                    .map(|it| (object.clone(), it)),
            );
        }
        if state.digest() == digest {
            if outcome.is_clean() {
                state.failures = 0;
                state.retry_at = None;
                state.applied_at.get_or_insert(now);
            } else if outcome.trouble.is_some() || !outcome.failures.is_empty() {
                let retry = retry_wait(state, outcome.is_transient());
                state.failures += 1;
                state.retry_at = Some(now + retry);
            }
        }
        self.announce(&key, &outcome, fights);
        if self.units.get(&key).is_some_and(|it| it.digest() == digest) {
            self.trace_applied(&key, &outcome);
        }
        if let Some(state) = self.units.get_mut(&key) {
            state.last = Some((digest, outcome));
        }
        self.touched.insert(key);
    }

    fn announce(&self, key: &UnitKey, outcome: &Outcome, fights: Vec<(ObjectKey, Duration)>) {
        let counters = &self.shared.counters;
        for (object, what) in &outcome.corrected {
            counters.corrected.fetch_add(1, Ordering::Relaxed);
            let text = format!("put back: {what}");
            self.say(
                Severity::Warning,
                "DriftCorrected",
                Some(key),
                Some(object),
                text,
            );
        }
        for (object, wait) in fights {
            let text = format!(
                "somebody changes it back again and again; corrected again after {} s",
                wait.as_secs()
            );
            self.say(
                Severity::Warning,
                "DriftFight",
                Some(key),
                Some(&object),
                text,
            );
        }
        for object in &outcome.pruned {
            let text = "deleted: the unit no longer has it".into();
            self.say(Severity::Info, "Pruned", Some(key), Some(object), text);
        }
        let known = self
            .units
            .get(key)
            .and_then(|it| it.last.as_ref())
            .and_then(|it| it.1.waiting.as_ref());
        if let Some(waiting) = &outcome.waiting
            && known != Some(waiting)
        {
            let text = waiting.message.clone();
            self.say(
                Severity::Warning,
                "ConfirmationNeeded",
                Some(key),
                None,
                text,
            );
        }
    }

    /// Looks at every unit that something happened to.
    pub(super) fn turn(&mut self) {
        let mut news = false;
        while let Some(key) = self.touched.pop_first() {
            let state = |it: &UnitState| (it.ready, it.is_applied(), it.phase.map(|it| it.0));
            let before = self.units.get(&key).map(state);
            news |= self.look(&key);
            if before != self.units.get(&key).map(state) {
                self.touch_dependents(&key);
            }
        }
        if news {
            self.reports.ring();
        }
    }

    /// Looks at one unit; `true` where there is something new to report.
    fn look(&mut self, key: &UnitKey) -> bool {
        if !self.units.contains_key(key) {
            return false;
        }
        let now = Instant::now();
        let stopped = self.stranger.clone().or_else(|| {
            let reason = self.policy.pause.as_ref()?;
            Some(format!("paused by the cluster's policy: {reason}"))
        });
        let waits_for = self.waits_for(key);
        let state = &self.units[key];
        if self.is_forgotten(key, state) {
            self.units.remove(key);
            self.reports.outbox().remove(key);
            return true;
        }
        if !state.running {
            let (due, drifted) = self.is_due(key, state, now);
            let held_back = state.fights.held_back(now);
            let suspended = state.unit.as_ref().is_some_and(|it| it.spec.suspend);
            let may_start =
                stopped.is_none() && waits_for.is_none() && !suspended && self.discovered;
            let complete = state.complete;
            if may_start {
                self.read_variables(key);
            }
            if due && may_start && complete {
                if self.passes.len() < PASSES {
                    self.start(key, held_back);
                } else {
                    self.starved.insert(key.clone());
                }
            }
            self.warn(key, &drifted);
            return self.publish(key, stopped.as_deref(), waits_for, &drifted, now);
        }
        self.publish(key, stopped.as_deref(), waits_for, &BTreeSet::new(), now)
    }

    /// Says that something drifted and is left so.
    fn warn(&mut self, key: &UnitKey, drifted: &BTreeSet<ObjectKey>) {
        let Some(state) = self.units.get_mut(key) else {
            return;
        };
        let warns = |it: &Arc<capstan_core::Unit>| it.spec.drift == DriftMode::Warn;
        if !state.unit.as_ref().is_some_and(warns) {
            return;
        }
        let new: Vec<ObjectKey> = drifted.difference(&state.warned).cloned().collect();
        state.warned.clone_from(drifted);
        for object in new {
            let who = self
                .shared
                .noted(&object)
                .and_then(|it| last_writer(&it, manager(key.kind)));
            let text = match who {
                Some(writer) => format!("changed by {}; left so, as the unit says", writer.manager),
                None => "changed or deleted; left so, as the unit says".into(),
            };
            self.say(
                Severity::Warning,
                "DriftDetected",
                Some(key),
                Some(&object),
                text,
            );
        }
    }

    /// Whether a removed unit has nothing left that it owns.
    fn is_forgotten(&self, key: &UnitKey, state: &UnitState) -> bool {
        let owns = |it: &UnitInventory| !it.objects.is_empty();
        state.unit.is_none()
            && !state.running
            && !self.shared.ledger.units().get(key).is_some_and(owns)
    }

    /// Whether a pass is due, and the objects that differ from what is declared.
    fn is_due(
        &self,
        key: &UnitKey,
        state: &UnitState,
        now: Instant,
    ) -> (bool, BTreeSet<ObjectKey>) {
        let waits = state.retry_at.is_some_and(|it| it > now);
        let Some(unit) = &state.unit else {
            return (!waits && self.removal_is_due(state), BTreeSet::new());
        };
        let discovery = self.shared.discovery();
        let resolved = resolve(&state.items, &discovery, key, &self.owners);
        let wanted: Vec<_> = resolved.into_iter().map(|it| it.0).collect();
        let units = self.shared.ledger.units();
        let nothing = UnitInventory::default();
        let inventory = units.get(key).unwrap_or(&nothing);
        let observed = self.shared.observed();
        let set = plan(&PlanInput {
            unit: key,
            wanted: &wanted,
            inventory,
            sight: |it: &ObjectKey| observed.sight(it, key.kind),
            mode: DriftMode::Correct,
        });
        let changes: Vec<_> = set.stages.iter().flatten().collect();
        let is_drift = |it: &&&crate::plan::Apply| it.why == crate::plan::Why::Drift;
        let drifted: BTreeSet<ObjectKey> = changes
            .iter()
            .filter(is_drift)
            .map(|it| wanted[it.index].key.clone())
            .collect();
        let held_back = state.fights.held_back(now);
        let correct = unit.spec.drift == DriftMode::Correct
            && drifted.iter().any(|it| !held_back.contains(it));
        let never = state.last.is_none();
        let retry = state.retry_at.is_some_and(|it| it <= now);
        let asked =
            unit.spec.requested_at.is_some() && state.requested_at != unit.spec.requested_at;
        (
            (state.dirty || never || retry || correct || asked) && (!waits || state.dirty),
            drifted,
        )
    }

    fn removal_is_due(&self, state: &UnitState) -> bool {
        let retry = state.retry_at.is_some_and(|it| it <= Instant::now());
        state.dirty || retry || state.last.is_none()
    }

    /// What a pass of a unit is told.
    fn task(&self, key: &UnitKey, state: &UnitState, held_back: BTreeSet<ObjectKey>) -> Task {
        let spec = match &state.unit {
            Some(unit) => unit.spec.clone(),
            None => {
                let units = self.shared.ledger.units();
                let inventory = units.get(key).cloned().unwrap_or_default();
                UnitSpec {
                    prune: inventory.prune,
                    service_account: inventory.service_account,
                    ..UnitSpec::default()
                }
            }
        };
        let actor = actor(key, spec.service_account.as_deref());
        let timeout = match &state.unit {
            Some(unit) => Duration::from_secs(unit.spec.timeout_seconds.into()).max(MIN_TIMEOUT),
            None => REMOVAL_TIMEOUT,
        };
        let mut confirmed = state.confirmed.clone();
        confirmed.extend(self.policy.confirmed.iter().copied());
        Task {
            unit: key.clone(),
            digest: state.digest(),
            items: state.items.clone(),
            makes_namespace: self.makes_namespace(key),
            actor,
            service_account: spec.service_account,
            force: spec.force,
            prune: spec.prune,
            mode: spec.drift,
            timeout,
            confirmed,
            prune_hold: self.prune_hold.clone(),
            others: self.owners.clone(),
            held_back,
            revision: state.revision.clone(),
            superseded: state.superseded.clone(),
            now_ms: now_ms(),
        }
    }

    fn start(&mut self, key: &UnitKey, held_back: BTreeSet<ObjectKey>) {
        let task = self.task(key, &self.units[key], held_back);
        let applied = self
            .shared
            .ledger
            .units()
            .get(key)
            .and_then(|it| it.applied);
        let Some(state) = self.units.get_mut(key) else {
            return;
        };
        Self::trace_begin(state, applied);
        state.dirty = false;
        state.running = true;
        state.retry_at = None;
        if let Some(unit) = &state.unit {
            state.requested_at.clone_from(&unit.spec.requested_at);
            let checks = unit.spec.health_checks.iter();
            let checks = checks.filter(|it| unit_of(&key.home, &it.key).is_none());
            let checks: Vec<_> = checks.cloned().collect();
            if state.checker.is_none() && !checks.is_empty() {
                let follow = health_checks::follow(
                    self.shared.clone(),
                    key.clone(),
                    unit.digest,
                    task.actor.clone(),
                    checks,
                );
                state.checker = Some(tokio::spawn(follow).abort_handle());
            }
        }
        let (digest, key, shared) = (task.digest, key.clone(), self.shared.clone());
        self.passes.spawn(async move {
            let run = AssertUnwindSafe(Pass { shared, task }.run());
            let outcome = run.catch_unwind().await.unwrap_or_else(|_| Outcome {
                trouble: Some(Failure::lasting(
                    "the pass ended by a defect of the agent; see its log",
                )),
                ..Outcome::default()
            });
            (key, digest, outcome)
        });
    }

    /// Makes a unit's report; `true` where it says something new.
    fn publish(
        &mut self,
        key: &UnitKey,
        stopped: Option<&str>,
        waits_for: Option<String>,
        differing: &BTreeSet<ObjectKey>,
        now: Instant,
    ) -> bool {
        let units = self.check_units(key);
        let Some(state) = self.units.get_mut(key) else {
            return false;
        };
        let checks = state.checks.clone().into_iter().chain(units).collect();
        let late_at = state
            .unit
            .as_ref()
            .zip(state.applied_at)
            .map(|(unit, at)| at + Duration::from_secs(unit.spec.timeout_seconds.into()));
        let waits = |it: &UnitState| {
            it.unit
                .as_ref()
                .is_some_and(|it| it.spec.wait || !it.spec.health_checks.is_empty())
        };
        let late = waits(state) && late_at.is_some_and(|it| it <= now);
        let digest = state.digest();
        let last = state
            .last
            .as_ref()
            .filter(|it| it.0 == digest)
            .map(|it| &it.1);
        let units = self.shared.ledger.units();
        let nothing = UnitInventory::default();
        let inventory = units.get(key).unwrap_or(&nothing);
        let observed = self.shared.observed();
        let reads = state.unread().map(reading);
        let judgement = judge(&View {
            unit: state.unit.as_deref(),
            stopped,
            lacks: state.lacks(),
            waits_for: waits_for.or(reads),
            running: state.running,
            last,
            differing,
            inventory,
            checks: &checks,
            late,
            sight: |it: &ObjectKey| observed.sight(it, key.kind),
        });
        drop(observed);
        state.ready = state.is_applied()
            && state.lacks().is_none()
            && state.unit.as_ref().is_some_and(|it| it.problem.is_none())
            && (!waits(state) || judgement.checked);
        state.fights.settle(now);
        let fights = state.fights.next(now);
        let late_at = late_at.filter(|it| waits(state) && *it > now && !judgement.healthy);
        let wakes = [state.retry_at, fights, late_at];
        state.wake_at = wakes.into_iter().flatten().min();
        let healthy = judgement.phase == Phase::Healthy;
        let report = report(key, state, judgement, inventory);
        drop(units);
        self.trace_health(key, healthy);
        self.reports.outbox().report(report)
    }
}

fn reading(substitution: &Substitution) -> String {
    let from: Vec<String> = substitution.from.iter().map(ToString::to_string).collect();
    format!("reads its variables from {}", from.join(", "))
}

/// In whose name the work of a unit is done.
pub(super) fn actor(key: &UnitKey, service_account: Option<&str>) -> Actor {
    match service_account {
        Some(name) => Actor::ServiceAccount {
            namespace: key.namespace.clone(),
            name: name.to_owned(),
        },
        None => Actor::Agent,
    }
}

fn retry_wait(state: &UnitState, transient: bool) -> Duration {
    let interval = state
        .unit
        .as_ref()
        .map_or(60, |it| it.spec.retry_interval_seconds);
    let interval = Duration::from_secs(interval.max(1).into());
    if transient {
        let wait = FIRST_RETRY.saturating_mul(1 << state.failures.min(10));
        return wait.min(interval);
    }
    interval
}

fn report(
    key: &UnitKey,
    state: &mut UnitState,
    judgement: Judgement,
    inventory: &UnitInventory,
) -> UnitReport {
    let Judgement {
        phase,
        message,
        mut counts,
        objects,
        ..
    } = judgement;
    counts.corrected = state.corrected;
    let since = match state.phase {
        Some((before, since)) if before == phase => since,
        _ => now_ms(),
    };
    state.phase = Some((phase, since));
    let applied = inventory.applied == state.digest() && inventory.applied.is_some();
    let outcome = state.last.as_ref().map(|it| &it.1);
    let waiting = outcome.and_then(|it| it.waiting.as_ref());
    let orphan = phase == Phase::Orphaned || phase == Phase::Waiting;
    UnitReport {
        key: key.clone(),
        digest: state.digest().unwrap_or_else(|| Digest::of(b"")),
        applied_revision: if applied {
            state.revision.clone()
        } else {
            inventory.revision.clone()
        },
        attempted_revision: state.last.as_ref().and(state.revision.clone()),
        phase,
        message,
        since_ms: since,
        counts,
        confirm: waiting.filter(|_| orphan).map(|it| it.digest),
        objects,
    }
}
