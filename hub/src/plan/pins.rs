//! Which revision of each source a cluster follows.
//!
//! Outside a pipeline, and in a pipeline's first environment, that is the newest. In a later environment it is what was
//! promoted: by a person, or by itself where the environment says `auto` and the revision is healthy in every cluster of
//! the environment before. A pin that is held, or whose cluster is frozen, does not move.

use std::collections::{BTreeMap, BTreeSet};

use capstan_core::{ClusterName, Revision, SourceKey};
use capstan_render::{
    capstan::{Environment, PipelineSpec, PlacementSpec},
    fleet::{DEFAULT_NAMESPACE, concurrency},
    flux::SourceRef,
};
use serde::{Deserialize, Serialize};

/// Revisions that a pin remembers as having been healthy, for a rollback.
pub const MAX_HEALTHY: usize = 10;

/// What a pin is of.
pub type PinKey = (ClusterName, SourceKey);
/// Clusters with their labels.
pub type Clusters = BTreeMap<ClusterName, BTreeMap<String, String>>;

/// The revision of one source that one cluster follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The revision.
    pub revision: Revision,
    /// Why it does not move, if it does not.
    pub hold: Option<Hold>,
    /// Revisions that were healthy here, the last one last, at most [`MAX_HEALTHY`].
    pub healthy: Vec<Revision>,
}

/// Who stopped a pin from moving, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// How a cluster stands with the revision that it is pinned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Every unit of the source is applied and healthy with exactly this content.
    Healthy,
    /// Not yet: being rendered, sent, applied or waited for.
    Changing,
    /// Something failed.
    Failed,
}

/// Everything that pins are decided from.
pub struct PinInput<'a> {
    /// The clusters.
    pub clusters: &'a Clusters,
    /// The pipelines.
    pub pipelines: &'a BTreeMap<String, PipelineSpec>,
    /// The placements, for their limit of clusters that may be changing at once.
    pub placements: &'a BTreeMap<String, PlacementSpec>,
    /// The newest revision of each source.
    pub newest: &'a BTreeMap<SourceKey, Revision>,
    /// The pins as they are.
    pub pins: &'a BTreeMap<PinKey, Pin>,
    /// How each pin stands. One that is missing is [`Standing::Changing`].
    pub standing: &'a BTreeMap<PinKey, Standing>,
    /// Clusters whose pins do not move.
    pub frozen: &'a BTreeSet<ClusterName>,
}

/// A pin that is set, with the reason for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinChange {
    /// Which.
    pub key: PinKey,
    /// What it is from now on.
    pub pin: Pin,
    /// Why; empty where only its history changed.
    pub reason: String,
}

/// Decides every pin once. Deciding again from the result changes nothing until something else does.
pub fn decide(input: &PinInput<'_>) -> Vec<PinChange> {
    let mut changes = Vec::new();
    let mut budget = Budget::new(input);
    for cluster in input.clusters.keys() {
        for source in input.newest.keys() {
            let key = (cluster.clone(), source.clone());
            changes.extend(decide_one(input, &key, &mut budget));
        }
    }
    changes
}

fn decide_one(input: &PinInput<'_>, key: &PinKey, budget: &mut Budget<'_>) -> Option<PinChange> {
    let current = input.pins.get(key);
    let remembered = current.and_then(|it| remember(it, input.standing_of(key)));
    let still = remembered.clone().map(|pin| PinChange {
        key: key.clone(),
        pin,
        reason: String::new(),
    });
    let stopped = input.frozen.contains(&key.0) || current.is_some_and(|it| it.hold.is_some());
    if stopped {
        return still;
    }
    let Some((revision, reason)) = wanted(input, key) else {
        return still;
    };
    if current.is_some_and(|it| it.revision == revision) || !budget.take(key, current.is_some()) {
        return still;
    }
    let healthy = remembered
        .as_ref()
        .or(current)
        .map(|it| it.healthy.clone())
        .unwrap_or_default();
    Some(PinChange {
        key: key.clone(),
        pin: Pin {
            revision,
            hold: None,
            healthy,
        },
        reason,
    })
}

/// The pin with its revision noted as healthy, where that is news.
fn remember(pin: &Pin, standing: Standing) -> Option<Pin> {
    if standing != Standing::Healthy || pin.healthy.last() == Some(&pin.revision) {
        return None;
    }
    let mut pin = pin.clone();
    pin.healthy.retain(|it| *it != pin.revision);
    pin.healthy.push(pin.revision.clone());
    let surplus = pin.healthy.len().saturating_sub(MAX_HEALTHY);
    pin.healthy.drain(..surplus);
    Some(pin)
}

/// The revision that a pin should have, and why. `None` where it stays as it is, or waits for its first promotion.
fn wanted(input: &PinInput<'_>, key: &PinKey) -> Option<(Revision, String)> {
    let newest = input.newest.get(&key.1)?;
    let Some((name, pipeline, at)) = input.environment_of(&key.0, &key.1) else {
        return Some((newest.clone(), "newest revision of the source".to_owned()));
    };
    let here = &pipeline.environments[at];
    if at == 0 {
        return Some((
            newest.clone(),
            format!("first environment of pipeline {name}"),
        ));
    }
    if here.auto
        && let Ok(revision) = settled(input, &key.1, &pipeline.environments[at - 1])
    {
        let before = &pipeline.environments[at - 1].name;
        return Some((
            revision,
            format!("healthy in all of {before} (pipeline {name})"),
        ));
    }
    if input.pins.contains_key(key) {
        return None;
    }
    let joined = common(input, &key.1, here)?;
    Some((
        joined,
        format!("revision of environment {} (pipeline {name})", here.name),
    ))
}

/// The revision that every cluster of an environment has and is healthy with.
///
/// # Errors
/// Says, for people, what is in the way.
pub fn settled(
    input: &PinInput<'_>,
    source: &SourceKey,
    environment: &Environment,
) -> Result<Revision, String> {
    let mut clusters = input.clusters_of(environment).peekable();
    if clusters.peek().is_none() {
        return Err(format!("environment {} has no clusters", environment.name));
    }
    let mut found: Option<&Revision> = None;
    for cluster in clusters {
        let key = (cluster.clone(), source.clone());
        let pin = input
            .pins
            .get(&key)
            .ok_or_else(|| format!("cluster {cluster} has no revision yet"))?;
        if let Some(other) = found.filter(|it| **it != pin.revision) {
            return Err(format!(
                "cluster {cluster} is at {}, others at {}",
                pin.revision.short(),
                other.short()
            ));
        }
        match input.standing_of(&key) {
            Standing::Healthy => found = Some(&pin.revision),
            Standing::Changing => {
                return Err(format!(
                    "cluster {cluster} is not healthy yet at {}",
                    pin.revision.short()
                ));
            }
            Standing::Failed => {
                return Err(format!(
                    "cluster {cluster} has failed at {}",
                    pin.revision.short()
                ));
            }
        }
    }
    found
        .cloned()
        .ok_or_else(|| format!("environment {} has no clusters", environment.name))
}

/// The revision that most clusters of an environment have; of several, the one that sorts last, so that the choice is the same everywhere.
pub fn common(
    input: &PinInput<'_>,
    source: &SourceKey,
    environment: &Environment,
) -> Option<Revision> {
    let mut counts: BTreeMap<&Revision, usize> = BTreeMap::new();
    for cluster in input.clusters_of(environment) {
        if let Some(pin) = input.pins.get(&(cluster.clone(), source.clone())) {
            *counts.entry(&pin.revision).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .max_by_key(|it| it.1)
        .map(|it| it.0.clone())
}

impl<'a> PinInput<'a> {
    /// How a pin stands.
    pub fn standing_of(&self, key: &PinKey) -> Standing {
        self.standing
            .get(key)
            .copied()
            .unwrap_or(Standing::Changing)
    }

    /// The clusters of an environment.
    pub fn clusters_of(
        &self,
        environment: &'a Environment,
    ) -> impl Iterator<Item = &'a ClusterName> {
        let chosen = self
            .clusters
            .iter()
            .filter(|it| environment.clusters.matches(it.1));
        chosen.map(|it| it.0)
    }

    /// The pipeline of a source that a cluster is in, and the index of the first environment that chooses it.
    pub fn environment_of(
        &self,
        cluster: &ClusterName,
        source: &SourceKey,
    ) -> Option<(&'a str, &'a PipelineSpec, usize)> {
        let labels = self.clusters.get(cluster)?;
        self.pipelines
            .iter()
            .filter(|it| pipeline_source(it.1) == *source)
            .find_map(|(name, pipeline)| {
                let at = pipeline
                    .environments
                    .iter()
                    .position(|it| it.clusters.matches(labels))?;
                Some((name.as_str(), pipeline, at))
            })
    }
}

/// The source whose pins a pipeline moves.
pub fn pipeline_source(pipeline: &PipelineSpec) -> SourceKey {
    source_of(&pipeline.source_ref)
}

fn source_of(reference: &SourceRef) -> SourceKey {
    let namespace = reference.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
    SourceKey {
        kind: reference.kind.clone(),
        namespace: namespace.to_owned(),
        name: reference.name.clone(),
    }
}

/// How many more clusters of each placement may begin to change. A cluster that failed keeps its place, which stops a bad
/// revision after as many clusters as may change at once.
struct Budget<'a> {
    left: BTreeMap<&'a str, usize>,
    input: &'a PinInput<'a>,
}

impl<'a> Budget<'a> {
    fn new(input: &'a PinInput<'a>) -> Self {
        let mut left = BTreeMap::new();
        for (name, placement) in input.placements {
            let Some(limit) = &placement.max_concurrent else {
                continue;
            };
            let clusters: Vec<_> = input
                .clusters
                .iter()
                .filter(|it| placement.clusters.matches(it.1))
                .collect();
            let Some(limit) = concurrency(limit, clusters.len()) else {
                continue;
            };
            let busy = clusters
                .iter()
                .filter(|it| changing(input, it.0, placement))
                .count();
            left.insert(name.as_str(), limit.saturating_sub(busy));
        }
        Self { left, input }
    }

    /// Whether the pin may move now. A cluster's first pin always may: there is nothing to protect yet.
    fn take(&mut self, key: &PinKey, has_pin: bool) -> bool {
        if !has_pin {
            return true;
        }
        let Some(labels) = self.input.clusters.get(&key.0) else {
            return false;
        };
        let concerned = |placement: &PlacementSpec| {
            placement.clusters.matches(labels)
                && placement
                    .sync
                    .iter()
                    .any(|it| source_of(&it.source_ref) == key.1)
        };
        let placements = self.input.placements.iter().filter(|it| concerned(it.1));
        let names: Vec<&str> = placements
            .map(|it| it.0.as_str())
            .filter(|it| self.left.contains_key(it))
            .collect();
        let already = |name: &str| changing(self.input, &key.0, &self.input.placements[name]);
        if names.iter().any(|it| self.left[it] == 0 && !already(it)) {
            return false;
        }
        for name in names {
            if !already(name)
                && let Some(left) = self.left.get_mut(name)
            {
                *left -= 1;
            }
        }
        true
    }
}

fn changing(input: &PinInput<'_>, cluster: &ClusterName, placement: &PlacementSpec) -> bool {
    placement.sync.iter().any(|sync| {
        let key = (cluster.clone(), source_of(&sync.source_ref));
        input.pins.contains_key(&key) && input.standing_of(&key) != Standing::Healthy
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A fleet of dev, staging and prod clusters with one source, as a test changes it.
    pub(crate) struct World {
        pub(crate) clusters: Clusters,
        pub(crate) pipelines: BTreeMap<String, PipelineSpec>,
        pub(crate) placements: BTreeMap<String, PlacementSpec>,
        pub(crate) newest: BTreeMap<SourceKey, Revision>,
        pub(crate) pins: BTreeMap<PinKey, Pin>,
        pub(crate) standing: BTreeMap<PinKey, Standing>,
        pub(crate) frozen: BTreeSet<ClusterName>,
    }

    pub(crate) fn fleet() -> SourceKey {
        "GitRepository/flux-system/fleet".parse().unwrap()
    }

    pub(crate) fn key(cluster: &str) -> PinKey {
        (cluster.parse().unwrap(), fleet())
    }

    impl World {
        pub(crate) fn new(clusters: &[(&str, &str)]) -> Self {
            let labels = |env: &str| BTreeMap::from([("env".to_owned(), env.to_owned())]);
            Self {
                clusters: clusters
                    .iter()
                    .map(|(name, env)| (name.parse().unwrap(), labels(env)))
                    .collect(),
                pipelines: BTreeMap::new(),
                placements: BTreeMap::new(),
                newest: BTreeMap::from([(fleet(), "main@sha1:1".parse().unwrap())]),
                pins: BTreeMap::new(),
                standing: BTreeMap::new(),
                frozen: BTreeSet::new(),
            }
        }

        pub(crate) fn with_pipeline(mut self, auto: &[&str]) -> Self {
            let environment = |name: &str| json!({"name": name, "clusters": {"matchLabels": {"env": name}}, "auto": auto.contains(&name)});
            let environments = ["dev", "staging", "prod"].map(environment);
            let pipeline = json!({
                "sourceRef": {"kind": "GitRepository", "name": "fleet"},
                "environments": environments,
            });
            self.pipelines
                .insert("platform".into(), serde_json::from_value(pipeline).unwrap());
            self
        }

        pub(crate) fn input(&self) -> PinInput<'_> {
            PinInput {
                clusters: &self.clusters,
                pipelines: &self.pipelines,
                placements: &self.placements,
                newest: &self.newest,
                pins: &self.pins,
                standing: &self.standing,
                frozen: &self.frozen,
            }
        }

        pub(crate) fn commit(&mut self, number: u32) {
            self.newest
                .insert(fleet(), format!("main@sha1:{number}").parse().unwrap());
        }

        pub(crate) fn settle(&mut self) {
            for change in decide(&self.input()) {
                if self.pins.get(&change.key).map(|it| &it.revision) != Some(&change.pin.revision) {
                    self.standing.remove(&change.key);
                }
                self.pins.insert(change.key, change.pin);
            }
        }

        pub(crate) fn set(&mut self, cluster: &str, standing: Standing) {
            self.standing.insert(key(cluster), standing);
            self.settle();
        }

        pub(crate) fn at(&self, cluster: &str) -> &str {
            self.pins
                .get(&key(cluster))
                .map_or("", |it| it.revision.commit())
        }
    }

    #[test]
    fn without_a_pipeline_everybody_follows_the_newest() {
        let mut world = World::new(&[("a", "dev"), ("b", "prod")]);
        world.settle();
        world.commit(2);
        world.settle();
        assert_eq!((world.at("a"), world.at("b")), ("2", "2"));
    }

    #[test]
    fn a_later_environment_waits_until_the_one_before_is_healthy() {
        let mut world = World::new(&[
            ("d", "dev"),
            ("s1", "staging"),
            ("s2", "staging"),
            ("p", "prod"),
        ])
        .with_pipeline(&["staging"]);
        world.settle();
        assert_eq!(
            (world.at("d"), world.at("s1"), world.at("p")),
            ("1", "", "")
        );
        world.set("d", Standing::Healthy);
        assert_eq!(
            (world.at("s1"), world.at("s2"), world.at("p")),
            ("1", "1", "")
        );
        world.set("s1", Standing::Healthy);
        world.set("s2", Standing::Healthy);
        assert_eq!(world.at("p"), "", "prod is not automatic");
    }

    #[test]
    fn a_failed_revision_does_not_move_on() {
        let mut world = World::new(&[("d", "dev"), ("s", "staging")]).with_pipeline(&["staging"]);
        world.settle();
        world.set("d", Standing::Healthy);
        world.commit(2);
        world.settle();
        world.set("d", Standing::Failed);
        assert_eq!((world.at("d"), world.at("s")), ("2", "1"));
    }

    #[test]
    fn a_cluster_that_joins_an_environment_takes_its_revision() {
        let mut world = World::new(&[("d", "dev"), ("p1", "prod")]).with_pipeline(&[]);
        world.settle();
        let pin = world.pins[&key("d")].clone();
        world.pins.insert(key("p1"), pin);
        world.commit(2);
        world.clusters.insert(
            "p2".parse().unwrap(),
            world.clusters[&"p1".parse().unwrap()].clone(),
        );
        world.settle();
        assert_eq!(
            (world.at("d"), world.at("p1"), world.at("p2")),
            ("2", "1", "1")
        );
    }

    #[test]
    fn what_is_held_or_frozen_stays() {
        let mut world = World::new(&[("a", "dev"), ("b", "dev")]);
        world.settle();
        let hold = Hold {
            actor: "ann".into(),
            reason: "incident".into(),
        };
        world.pins.get_mut(&key("a")).unwrap().hold = Some(hold);
        world.frozen.insert("b".parse().unwrap());
        world.commit(2);
        world.settle();
        assert_eq!((world.at("a"), world.at("b")), ("1", "1"));
    }

    #[test]
    fn as_many_clusters_change_at_once_as_the_placement_says() {
        let mut world = World::new(&[("a", "x"), ("b", "x"), ("c", "x"), ("d", "x")]);
        let placement = json!({
            "clusters": {}, "maxConcurrent": "50%",
            "sync": [{"sourceRef": {"kind": "GitRepository", "name": "fleet"}, "path": "a"}],
        });
        world
            .placements
            .insert("p".into(), serde_json::from_value(placement).unwrap());
        world.settle();
        for name in ["a", "b", "c", "d"] {
            world.set(name, Standing::Healthy);
        }
        world.commit(2);
        world.settle();
        world.settle();
        let at = |world: &World| {
            ["a", "b", "c", "d"]
                .map(|it| world.at(it).to_owned())
                .join("")
        };
        assert_eq!(at(&world), "2211");
        world.set("a", Standing::Failed);
        assert_eq!(at(&world), "2211", "a failed cluster keeps its place");
        world.set("b", Standing::Healthy);
        assert_eq!(at(&world), "2221");
    }

    #[test]
    fn healthy_revisions_are_remembered_in_order() {
        let mut world = World::new(&[("a", "dev")]);
        for number in 1..=12 {
            world.commit(number);
            world.settle();
            world.set("a", Standing::Healthy);
        }
        let healthy: Vec<_> = world.pins[&key("a")]
            .healthy
            .iter()
            .map(Revision::commit)
            .collect();
        assert_eq!(
            healthy,
            ["3", "4", "5", "6", "7", "8", "9", "10", "11", "12"]
        );
    }
}
