//! Where every pin goes next.

use std::collections::{BTreeMap, BTreeSet};

use capstan_core::{ClusterName, Revision, SourceKey};

use super::{Book, EnvironmentKey, Overrides, Pin};

/// A pipeline with its clusters found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pipeline {
    pub(crate) name: String,
    pub(crate) source: SourceKey,
    pub(crate) stages: Vec<Stage>,
}

/// One environment, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) auto: bool,
    /// A cluster is in the first environment that selects it.
    pub(crate) clusters: BTreeSet<ClusterName>,
}

impl Pipeline {
    pub(crate) fn key(&self, stage: &Stage) -> EnvironmentKey {
        EnvironmentKey::new(&self.name, &stage.name)
    }
}

/// Clusters that share a limit on how many may be changing at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) clusters: BTreeSet<ClusterName>,
    pub(crate) max_concurrent: Option<usize>,
}

/// Everything that decides where pins go.
pub(crate) struct PinInput<'a> {
    pub(crate) now_ms: u64,
    /// The newest revision of each source that could be fetched.
    pub(crate) heads: &'a BTreeMap<SourceKey, Revision>,
    /// The clusters, and the sources that each follows.
    pub(crate) follows: &'a BTreeMap<ClusterName, BTreeSet<SourceKey>>,
    pub(crate) pipelines: &'a [Pipeline],
    pub(crate) placements: &'a [Placed],
    pub(crate) overrides: &'a Overrides,
    /// Why a cluster is not healthy at what it is pinned to; empty: it is.
    pub(crate) unmet: &'a dyn Fn(&ClusterName, &SourceKey) -> Vec<String>,
    /// Whether a cluster cannot be reached: then it does not use up `maxConcurrent`.
    pub(crate) away: &'a dyn Fn(&ClusterName) -> bool,
}

/// What was decided, and what people should hear of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) book: Book,
    /// Reason word, cluster if it is about one, and message.
    pub(crate) notices: Vec<(&'static str, Option<ClusterName>, String)>,
}

/// Moves the pins. Deciding twice in a row without news changes nothing the second time.
pub(crate) fn decide(input: &PinInput<'_>, old: &Book) -> Decision {
    let mut decision = Decision {
        book: old.clone(),
        notices: Vec::new(),
    };
    let live: BTreeSet<EnvironmentKey> = input
        .pipelines
        .iter()
        .flat_map(|it| it.stages.iter().map(|stage| it.key(stage)))
        .collect();
    decision
        .book
        .environments
        .retain(|key, _| live.contains(key));
    for pipeline in input.pipelines {
        move_pipeline(input, old, pipeline, &mut decision);
    }
    move_clusters(input, old, &mut decision);
    decision
}

/// Why a stage's pinned revision is not healthy in every one of its clusters; empty: it is. A cluster that still follows
/// another revision (its turn has not come, or it is held or frozen) proves nothing.
pub(crate) fn unmet_of(
    input: &PinInput<'_>,
    book: &Book,
    pipeline: &Pipeline,
    stage: &Stage,
) -> Vec<String> {
    if stage.clusters.is_empty() {
        return vec![format!("environment {} has no cluster", stage.name)];
    }
    let key = pipeline.key(stage);
    let wanted = book
        .environments
        .get(&key)
        .and_then(|it| it.revision.as_ref());
    let of = |it: &ClusterName| {
        let pin = book
            .clusters
            .get(it)
            .and_then(|it| it.get(&pipeline.source));
        let follows = pin.and_then(|it| it.revision.as_ref());
        match (wanted, follows) {
            (Some(wanted), Some(follows)) if wanted != follows => {
                vec![format!("cluster {it} is still at {}", follows.short())]
            }
            (Some(_), None) => vec![format!("cluster {it} is at no revision yet")],
            _ => (input.unmet)(it, &pipeline.source),
        }
    };
    stage.clusters.iter().flat_map(of).collect()
}

fn move_pipeline(input: &PinInput<'_>, old: &Book, pipeline: &Pipeline, decision: &mut Decision) {
    let head = input.heads.get(&pipeline.source);
    // What the environment before has proven: its old pin, not the one it may be given in this round.
    let mut proven: Option<Revision> = None;
    for (at, stage) in pipeline.stages.iter().enumerate() {
        let key = pipeline.key(stage);
        let mut pin = old.environments.get(&key).cloned().unwrap_or_default();
        let healthy = pin.revision.is_some() && unmet_of(input, old, pipeline, stage).is_empty();
        if healthy {
            pin.mark_healthy();
        }
        let held = pin.hold.is_some();
        let offered = if at == 0 {
            head.cloned()
        } else {
            proven.clone()
        };
        proven = pin.revision.clone().filter(|_| healthy && !held);
        let frozen = is_frozen(input, &[&key.to_string()]);
        let follows = at == 0 || stage.auto;
        let first = pin.revision.is_none();
        let target = match offered {
            Some(it) if follows => Some(it),
            _ if first => existing(old, pipeline, stage),
            _ => None,
        };
        match target {
            Some(to) if !held && !frozen && pin.revision.as_ref() != Some(&to) => {
                let reason = match at {
                    0 => "follows the source".to_owned(),
                    _ if follows => format!("healthy in {}", pipeline.stages[at - 1].name),
                    _ => "was there before the pipeline".to_owned(),
                };
                let message = format!("{key} moves to {}: {reason}", to.short());
                decision.notices.push(("Promoted", None, message));
                pin.move_to(to, input.now_ms, "hub", &reason);
            }
            _ => {}
        }
        decision.book.environments.insert(key, pin);
    }
}

/// What the clusters of a stage already followed before there was a pipeline, where they agree.
fn existing(old: &Book, pipeline: &Pipeline, stage: &Stage) -> Option<Revision> {
    let pins = stage.clusters.iter().filter_map(|it| old.clusters.get(it));
    let mut revisions = pins.filter_map(|it| it.get(&pipeline.source)?.revision.as_ref());
    let first = revisions.next()?;
    revisions.all(|it| it == first).then(|| first.clone())
}

fn move_clusters(input: &PinInput<'_>, old: &Book, decision: &mut Decision) {
    let mut budgets = budgets(input);
    for (name, sources) in input.follows {
        let before = old.clusters.get(name).cloned().unwrap_or_default();
        let mut pins = before.clone();
        pins.retain(|source, _| sources.contains(source));
        let unhealthy = sources.iter().any(|it| !(input.unmet)(name, it).is_empty());
        let mut may_move = None;
        for source in sources {
            let pin = pins.entry(source.clone()).or_default();
            if pin.revision.is_some() && (input.unmet)(name, source).is_empty() {
                pin.mark_healthy();
            }
            let Some((to, by, reason)) = target(input, decision, name, source) else {
                continue;
            };
            if pin.hold.is_some() || pin.revision.as_ref() == Some(&to) {
                continue;
            }
            if is_frozen(input, &[name.as_str()]) {
                continue;
            }
            // A cluster that is changing already is counted; a first state changes nothing that runs.
            let counted = unhealthy || pin.revision.is_none();
            let allowed = *may_move.get_or_insert_with(|| counted || take(&mut budgets, name));
            if allowed {
                pin.move_to(to, input.now_ms, &by, &reason);
            }
        }
        decision.book.clusters.insert(name.clone(), pins);
    }
}

/// The revision that a cluster should follow of a source, who says so, and why.
fn target(
    input: &PinInput<'_>,
    decision: &Decision,
    name: &ClusterName,
    source: &SourceKey,
) -> Option<(Revision, String, String)> {
    let pipeline = input.pipelines.iter().find(|it| it.source == *source);
    let Some(pipeline) = pipeline else {
        let head = input.heads.get(source)?.clone();
        return Some((head, "hub".into(), "follows the source".into()));
    };
    let stage = pipeline.stages.iter().find(|it| it.clusters.contains(name));
    // A cluster that no environment selects comes last: it never runs ahead of a gate.
    let stage = stage.or(pipeline.stages.last())?;
    let key = pipeline.key(stage);
    let pin = decision.book.environments.get(&key)?;
    let by = format!("environment {key}");
    Some((pin.revision.clone()?, by, pin.reason.clone()))
}

/// Whether any of `scopes`, or everything, is frozen.
pub(crate) fn is_frozen(input: &PinInput<'_>, scopes: &[&str]) -> bool {
    let freezes = &input.overrides.freezes;
    freezes.contains_key("*") || scopes.iter().any(|it| freezes.contains_key(*it))
}

/// For each placement with a limit, its clusters and how many more of them may begin to change.
fn budgets<'a>(input: &'a PinInput<'_>) -> Vec<(&'a BTreeSet<ClusterName>, usize)> {
    let changing = |name: &ClusterName| {
        let sources = input.follows.get(name);
        let unmet = |it: &SourceKey| !(input.unmet)(name, it).is_empty();
        !(input.away)(name) && sources.is_some_and(|it| it.iter().any(unmet))
    };
    let limited = input.placements.iter().filter_map(|it| {
        let limit = it.max_concurrent?;
        let used = it.clusters.iter().filter(|name| changing(name)).count();
        Some((&it.clusters, limit.saturating_sub(used)))
    });
    limited.collect()
}

fn take(budgets: &mut [(&BTreeSet<ClusterName>, usize)], name: &ClusterName) -> bool {
    let mut concerned: Vec<_> = budgets
        .iter_mut()
        .filter(|it| it.0.contains(name))
        .collect();
    if concerned.iter().any(|it| it.1 == 0) {
        return false;
    }
    concerned.iter_mut().for_each(|it| it.1 -= 1);
    true
}

/// An empty pin, for what has none.
impl Pin {
    pub(crate) fn none() -> &'static Self {
        static NONE: Pin = Pin {
            revision: None,
            since_ms: 0,
            by: String::new(),
            reason: String::new(),
            healthy: Vec::new(),
            hold: None,
        };
        &NONE
    }
}

#[cfg(test)]
mod tests;
