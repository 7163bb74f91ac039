//! How a unit is, in one phase and a few words. Pure: everything it is made from is given.

use std::collections::{BTreeMap, BTreeSet};

use capstan_core::{
    Counts, Health, ObjectKey, ObjectReport, Phase, Unit,
    health::Verdict,
    inventory::UnitInventory,
    report::{MAX_REPORTED_OBJECTS, bounded_message},
};

use crate::{observed::Sight, pass::Outcome};

/// Objects that a message names.
const NAMED: usize = 3;

/// What a unit is judged by.
pub(super) struct View<'a, S: Fn(&ObjectKey) -> Sight> {
    /// As it is wanted; none where it is being removed.
    pub(super) unit: Option<&'a Unit>,
    /// Why nothing at all is written.
    pub(super) stopped: Option<&'a str>,
    /// Why its text cannot be completed.
    pub(super) lacks: Option<&'a str>,
    /// What it waits for before it is applied.
    pub(super) waits_for: Option<String>,
    pub(super) running: bool,
    /// The last pass, where it was about this content.
    pub(super) last: Option<&'a Outcome>,
    /// Objects that differ at this moment and are left for now.
    pub(super) differing: &'a BTreeSet<ObjectKey>,
    pub(super) inventory: &'a UnitInventory,
    pub(super) checks: &'a BTreeMap<ObjectKey, Verdict>,
    /// The time to become healthy is over.
    pub(super) late: bool,
    pub(super) sight: S,
}

/// The judgement.
pub(super) struct Judgement {
    pub(super) phase: Phase,
    pub(super) message: String,
    pub(super) counts: Counts,
    pub(super) objects: Vec<ObjectReport>,
    /// Whether all that it has and waits for is healthy.
    pub(super) healthy: bool,
    /// Whether what the unit itself asks to be checked is healthy: everything with `wait`, else what `healthChecks` names.
    pub(super) checked: bool,
}

/// Judges a unit.
pub(super) fn judge<S: Fn(&ObjectKey) -> Sight>(view: &View<'_, S>) -> Judgement {
    let objects = reports(view);
    let mut counts = Counts {
        objects: size(view.inventory.objects.len()),
        current: size(
            objects
                .iter()
                .filter(|it| it.health == Health::Current)
                .count(),
        ),
        drifted: size(objects.iter().filter(|it| it.drifted).count()),
        failed: size(view.last.map_or(0, |it| it.failures.len())),
        corrected: 0,
    };
    counts.current = counts.current.min(counts.objects);
    let health = health(view, &objects);
    let checked = match view.unit {
        Some(unit) if !unit.spec.wait => unit.spec.health_checks.iter().all(|it| {
            let own = objects.iter().find(|own| own.key == it.key);
            let other = view.checks.get(&it.key).map(|it| it.health);
            own.map(|it| it.health).or(other) == Some(Health::Current)
        }),
        _ => matches!(health, HealthOfAll::Current),
    };
    let (phase, message) = phase(view, &health);
    let mut objects = objects;
    objects.sort_by(|a, b| {
        let bad = |it: &ObjectReport| (it.message.is_empty(), !it.drifted, it.health);
        bad(a).cmp(&bad(b)).then_with(|| a.key.cmp(&b.key))
    });
    objects.truncate(MAX_REPORTED_OBJECTS);
    Judgement {
        phase,
        message: bounded_message(message),
        counts,
        objects,
        healthy: matches!(health, HealthOfAll::Current),
        checked,
    }
}

enum HealthOfAll {
    Current,
    Waiting(String),
    Failed(String),
}

fn phase<S: Fn(&ObjectKey) -> Sight>(view: &View<'_, S>, health: &HealthOfAll) -> (Phase, String) {
    if let Some(reason) = view.stopped {
        return (Phase::Suspended, reason.to_owned());
    }
    let waiting = view.last.and_then(|it| it.waiting.as_ref());
    let Some(unit) = view.unit else {
        let message = match (waiting, view.last.and_then(|it| it.trouble.as_ref())) {
            (Some(it), _) => it.message.clone(),
            (None, Some(it)) => it.message.clone(),
            (None, None) => "it is being removed".into(),
        };
        return (Phase::Orphaned, message);
    };
    if unit.spec.suspend {
        return (Phase::Suspended, "spec.suspend is set".into());
    }
    if let Some(problem) = &unit.problem {
        return (Phase::Failed, problem.clone());
    }
    if let Some(reason) = &view.waits_for {
        return (Phase::Waiting, reason.clone());
    }
    if let Some(reason) = view.lacks {
        return (Phase::Failed, reason.to_owned());
    }
    if view.running && view.last.is_none() {
        return (Phase::Applying, String::new());
    }
    let Some(last) = view.last else {
        return (Phase::Pending, String::new());
    };
    if let Some(it) = &last.trouble {
        return (Phase::Failed, it.message.clone());
    }
    if !last.failures.is_empty() {
        return (
            Phase::Failed,
            name_some(
                last.failures
                    .iter()
                    .map(|(key, it)| (key, it.message.as_str())),
            ),
        );
    }
    if let Some(it) = waiting {
        return (Phase::Waiting, it.message.clone());
    }
    match health {
        HealthOfAll::Failed(message) => (Phase::Degraded, message.clone()),
        HealthOfAll::Waiting(message) if view.late => (
            Phase::Degraded,
            format!(
                "not healthy within {} s: {message}",
                unit.spec.timeout_seconds
            ),
        ),
        HealthOfAll::Waiting(message) => (Phase::Applied, message.clone()),
        HealthOfAll::Current => (Phase::Healthy, String::new()),
    }
}

fn reports<S: Fn(&ObjectKey) -> Sight>(view: &View<'_, S>) -> Vec<ObjectReport> {
    let mut out: Vec<ObjectReport> = Vec::with_capacity(view.inventory.objects.len());
    let failures = view.last.map(|it| &it.failures);
    for (key, owned) in &view.inventory.objects {
        let failure = failures.and_then(|it| it.get(key));
        let (health, message) = match (view.sight)(key) {
            Sight::Present(seen) => (seen.health, seen.message.to_string()),
            Sight::Absent => (Health::NotFound, "is not there".into()),
            Sight::Unlisted => (Health::Unknown, String::new()),
            Sight::Blind(reason) => (Health::Unknown, format!("cannot be watched: {reason}")),
        };
        out.push(ObjectReport {
            key: key.clone(),
            version: owned.version.clone(),
            health,
            drifted: view.differing.contains(key),
            message: bounded_message(failure.map_or(message, |it| it.message.clone())),
        });
    }
    for (key, failure) in failures.into_iter().flatten() {
        if !view.inventory.objects.contains_key(key) {
            out.push(ObjectReport {
                key: key.clone(),
                version: String::new(),
                health: Health::Unknown,
                drifted: false,
                message: bounded_message(failure.message.as_str()),
            });
        }
    }
    out
}

fn health<S: Fn(&ObjectKey) -> Sight>(view: &View<'_, S>, objects: &[ObjectReport]) -> HealthOfAll {
    let own = objects
        .iter()
        .filter(|it| view.inventory.objects.contains_key(&it.key));
    let own = own.map(|it| (&it.key, it.health, it.message.as_str()));
    let missing = view
        .unit
        .iter()
        .flat_map(|it| &it.spec.health_checks)
        .filter(|it| !view.inventory.objects.contains_key(&it.key))
        .map(|it| match view.checks.get(&it.key) {
            Some(verdict) => (&it.key, verdict.health, verdict.message.as_str()),
            None => (&it.key, Health::Unknown, "was not looked at yet"),
        });
    let all: Vec<_> = own.chain(missing).collect();
    let failed: Vec<_> = all.iter().filter(|it| it.1 == Health::Failed).collect();
    if !failed.is_empty() {
        return HealthOfAll::Failed(name_some(failed.into_iter().map(|it| (it.0, it.2))));
    }
    let waiting: Vec<_> = all.iter().filter(|it| it.1 != Health::Current).collect();
    if waiting.is_empty() {
        return HealthOfAll::Current;
    }
    HealthOfAll::Waiting(name_some(waiting.into_iter().map(|it| (it.0, it.2))))
}

fn name_some<'a>(items: impl Iterator<Item = (&'a ObjectKey, &'a str)>) -> String {
    let mut parts = Vec::new();
    let mut more = 0;
    for (key, message) in items {
        if parts.len() < NAMED {
            parts.push(format!("{key}: {message}"));
        } else {
            more += 1;
        }
    }
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    parts.join("; ")
}

fn size(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
