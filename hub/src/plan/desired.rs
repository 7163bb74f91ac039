//! The next desired state of one cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use capstan_core::{
    DesiredState, Digest, Entries, Origin, Revision, Source, SourceKey, Unit, UnitKey, UnitSpec,
    report::bounded_message,
};

use super::{Orphan, Orphans, Overrides};

/// What became of one unit when the cluster was rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most are of the large one")]
pub(crate) enum Outcome {
    Rendered {
        spec: UnitSpec,
        origin: Origin,
        source: SourceKey,
        entries: Entries,
    },
    /// It keeps what it had.
    Failed { problem: String },
}

/// Everything that decides a cluster's next desired state.
pub(crate) struct NextInput<'a> {
    pub(crate) now_ms: u64,
    pub(crate) previous: &'a DesiredState,
    pub(crate) orphans: &'a Orphans,
    pub(crate) outcomes: &'a BTreeMap<UnitKey, Outcome>,
    pub(crate) revisions: &'a BTreeMap<SourceKey, Revision>,
    pub(crate) overrides: &'a Overrides,
    /// Set where not everything that declares units could be read: then nothing counts as no longer declared.
    pub(crate) incomplete: Option<&'a str>,
}

/// What it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Next {
    /// With the generation of the previous one: the store gives it its own.
    pub(crate) state: DesiredState,
    pub(crate) orphans: Orphans,
    /// Units without any state to keep that could not be rendered, and why.
    pub(crate) failed: BTreeMap<UnitKey, String>,
    /// Units that became orphans now.
    pub(crate) orphaned: Vec<UnitKey>,
    /// Units whose confirmed removal happens with this state.
    pub(crate) removed: Vec<UnitKey>,
}

/// Joins what was rendered with what the cluster had.
pub(crate) fn next(input: &NextInput<'_>) -> Next {
    let mut next = Next {
        state: DesiredState {
            generation: input.previous.generation,
            ..DesiredState::empty(input.previous.epoch)
        },
        orphans: Orphans::new(),
        failed: BTreeMap::new(),
        orphaned: Vec::new(),
        removed: Vec::new(),
    };
    for (key, outcome) in input.outcomes {
        match outcome {
            Outcome::Rendered {
                spec,
                origin,
                source,
                entries,
            } => {
                let unit = Unit {
                    digest: Digest::of(b""),
                    spec: overridden(input, key, spec),
                    origin: origin.clone(),
                    source: source.clone(),
                    held_at: None,
                    problem: None,
                    entries: entries.clone(),
                };
                let unit = sealed(input, key, unit);
                next.state.units.insert(key.clone(), unit);
            }
            Outcome::Failed { problem } => keep_failed(input, key, problem, &mut next),
        }
    }
    for (key, unit) in &input.previous.units {
        if !input.outcomes.contains_key(key) {
            keep_missing(input, key, unit, &mut next);
        }
    }
    next.state.sources = sources(input, &next.state.units);
    next
}

/// A unit that could not be rendered keeps its entries, at the revision that gave them.
fn keep_failed(input: &NextInput<'_>, key: &UnitKey, problem: &str, next: &mut Next) {
    match input.previous.units.get(key) {
        Some(unit) => {
            let kept = kept(input, key, unit, Some(problem));
            next.state.units.insert(key.clone(), kept);
        }
        None => {
            next.failed.insert(key.clone(), problem.to_owned());
        }
    }
}

/// A unit that was there and is not declared now.
fn keep_missing(input: &NextInput<'_>, key: &UnitKey, unit: &Arc<Unit>, next: &mut Next) {
    if let Some(ancestor) = failed_ancestor(input, unit) {
        let problem = format!(
            "{ancestor} could not be rendered, so it is not known whether this unit changed"
        );
        let kept = kept(input, key, unit, Some(&problem));
        next.state.units.insert(key.clone(), kept);
        return;
    }
    if let Some(reason) = input.incomplete {
        let kept = kept(input, key, unit, Some(reason));
        next.state.units.insert(key.clone(), kept);
        return;
    }
    let why = match &unit.origin {
        Origin::Placement { name } => format!("placement {name} does not give it any more"),
        Origin::Parent { unit } => format!("{unit} does not declare it any more"),
        Origin::FleetPath | Origin::Cluster => "it is not declared any more".to_owned(),
    };
    let orphan = input.orphans.get(key).cloned().unwrap_or_else(|| {
        next.orphaned.push(key.clone());
        Orphan {
            since_ms: input.now_ms,
            why: why.clone(),
            confirmed: None,
        }
    });
    if orphan.confirmed.is_some() {
        next.removed.push(key.clone());
        return;
    }
    let problem = format!("held: {why}; `capstan approve {key}` removes it");
    let kept = kept(input, key, unit, Some(&problem));
    next.state.units.insert(key.clone(), kept);
    next.orphans.insert(key.clone(), orphan);
}

/// The nearest unit above that could not be rendered now, or is itself only kept because of one.
fn failed_ancestor(input: &NextInput<'_>, unit: &Unit) -> Option<UnitKey> {
    let mut at = unit;
    let mut seen = BTreeSet::new();
    while let Origin::Parent { unit: parent } = &at.origin {
        if !seen.insert(parent) {
            return None;
        }
        match input.outcomes.get(parent) {
            Some(Outcome::Failed { .. }) => return Some(parent.clone()),
            Some(Outcome::Rendered { .. }) => return None,
            None => at = input.previous.units.get(parent)?,
        }
    }
    None
}

fn kept(
    input: &NextInput<'_>,
    key: &UnitKey,
    unit: &Arc<Unit>,
    problem: Option<&str>,
) -> Arc<Unit> {
    let held_at = input.previous.revision_of(unit).cloned();
    let mut spec = unit.spec.clone();
    // What is kept may hold a person's suspension already, so where there is an override it alone decides.
    if let Some(set) = input.overrides.units.get(key) {
        spec.suspend = set.suspended_in_git;
    }
    let kept = Unit {
        held_at,
        problem: problem.map(bounded_message),
        spec: overridden(input, key, &spec),
        ..(**unit).clone()
    };
    sealed(input, key, kept)
}

/// The unit with its digest; the one that the cluster had where it is still the same, so that it is in memory once.
fn sealed(input: &NextInput<'_>, key: &UnitKey, unit: Unit) -> Arc<Unit> {
    let unit = unit.seal();
    match input.previous.units.get(key) {
        Some(before) if before.digest == unit.digest => before.clone(),
        _ => Arc::new(unit),
    }
}

/// Makes clusters that have the same unit, or units of the same entries, share it.
#[derive(Default)]
pub(crate) struct SharedUnits {
    units: BTreeMap<Digest, Arc<Unit>>,
    entries: BTreeMap<Digest, Entries>,
}

impl SharedUnits {
    pub(crate) fn share(&mut self, state: &mut DesiredState) {
        for unit in state.units.values_mut() {
            if let Some(same) = self.units.get(&unit.digest) {
                *unit = same.clone();
                continue;
            }
            let entries = self.entries.entry(unit.entries.digest());
            let entries = entries.or_insert_with(|| unit.entries.clone());
            if !unit.entries.is_same_as(entries) {
                *unit = Arc::new(Unit {
                    entries: entries.clone(),
                    ..(**unit).clone()
                });
            }
            self.units.insert(unit.digest, unit.clone());
        }
    }
}

fn overridden(input: &NextInput<'_>, key: &UnitKey, spec: &UnitSpec) -> UnitSpec {
    let mut spec = spec.clone();
    if let Some(set) = input.overrides.units.get(key) {
        spec.suspend |= set.suspend.is_some();
        spec.requested_at = set.requested_at.clone().or(spec.requested_at);
    }
    spec
}

/// The revisions of the sources that units are rendered from. A source without a pin keeps the revision that it had.
fn sources(
    input: &NextInput<'_>,
    units: &BTreeMap<UnitKey, Arc<Unit>>,
) -> BTreeMap<SourceKey, Source> {
    let used: BTreeSet<&SourceKey> = units.values().map(|it| &it.source).collect();
    let of = |key: &SourceKey| {
        let pinned = input.revisions.get(key).cloned();
        let revision = pinned.map(|revision| Source { revision });
        revision.or_else(|| input.previous.sources.get(key).cloned())
    };
    let known = used
        .into_iter()
        .filter_map(|it| Some((it.clone(), of(it)?)));
    known.collect()
}

#[cfg(test)]
mod tests;
