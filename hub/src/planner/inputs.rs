//! What a round works with: the fleet path joined with the clusters that were added.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use capstan_core::{ClusterName, Digest, SourceKey};
use capstan_render::{
    Fleet, RootUnit,
    capstan::PlacementSpec,
    cluster::roots,
    fleet::{DEFAULT_NAMESPACE, concurrency},
    flux::{GitRepository, SourceRef},
};

use crate::{
    config::{Config, FleetSource},
    fleet::{FleetView, Link},
    plan::{Pipeline, Placed, Stage},
    source::{DEFAULT_TIMEOUT, Follow, SourceSpec},
    store::ClusterRecord,
};

/// What one cluster is rendered from.
#[derive(Clone, Debug)]
pub(crate) struct Placing {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) roots: Vec<RootUnit>,
    /// What is wrong with placements that concern it.
    pub(crate) problems: Vec<String>,
    /// Of the roots and problems.
    pub(crate) digest: Digest,
}

/// What was placed for each cluster, until the fleet path or the cluster's record changes.
#[derive(Default)]
pub(crate) struct Placings {
    fleet: Option<Arc<Fleet>>,
    known: BTreeMap<ClusterName, (Arc<ClusterRecord>, Arc<Placing>)>,
}

/// What the fleet repository is called in `sourceRef`.
pub(crate) fn fleet_key(fleet: &FleetSource) -> SourceKey {
    SourceKey {
        kind: "GitRepository".to_owned(),
        namespace: DEFAULT_NAMESPACE.to_owned(),
        name: fleet.name.clone(),
    }
}

fn source_key(reference: &SourceRef) -> SourceKey {
    SourceKey {
        kind: reference.kind.clone(),
        namespace: reference
            .namespace
            .clone()
            .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
        name: reference.name.clone(),
    }
}

/// The fleet repository as a source.
pub(crate) fn fleet_spec(config: &Config, fleet: &FleetSource) -> SourceSpec {
    SourceSpec {
        url: fleet.url.clone(),
        follow: Follow::Branch(fleet.branch.clone()),
        credentials: fleet.credentials.clone(),
        interval: config.poll(),
        timeout: DEFAULT_TIMEOUT,
        suspend: false,
        ignore: None,
    }
}

/// A declared source as one to follow.
pub(crate) fn spec_of(config: &Config, declared: &GitRepository) -> SourceSpec {
    let seconds = |text: &str| capstan_render::duration::parse_seconds(text).map(u64::from);
    let timeout = declared.timeout.as_deref().and_then(seconds);
    let interval = std::time::Duration::from_secs(u64::from(declared.interval_seconds().max(1)));
    SourceSpec {
        url: declared.url.clone(),
        follow: follow(declared),
        credentials: declared.secret_ref.as_ref().map(|it| it.name.clone()),
        interval: config.poll_seconds.map_or(interval, |it| {
            interval.min(std::time::Duration::from_secs(it))
        }),
        timeout: timeout.map_or(DEFAULT_TIMEOUT, std::time::Duration::from_secs),
        suspend: declared.suspend,
        ignore: declared.ignore.clone(),
    }
}

/// Flux's order: a commit wins over a name, that over a range, that over a tag, that over a branch.
fn follow(declared: &GitRepository) -> Follow {
    let reference = declared.reference.clone().unwrap_or_default();
    if let Some(it) = reference.commit {
        Follow::Commit(it)
    } else if let Some(it) = reference.name {
        Follow::Ref(it)
    } else if let Some(it) = reference.semver {
        Follow::Semver(it)
    } else if let Some(it) = reference.tag {
        Follow::Tag(it)
    } else {
        Follow::Branch(reference.branch.unwrap_or_else(|| "master".to_owned()))
    }
}

impl Placings {
    /// The clusters with their labels and roots.
    pub(crate) fn of(
        &mut self,
        fleet: &Arc<Fleet>,
        records: &BTreeMap<ClusterName, Arc<ClusterRecord>>,
    ) -> BTreeMap<ClusterName, Arc<Placing>> {
        if !self.fleet.as_ref().is_some_and(|it| Arc::ptr_eq(it, fleet)) {
            self.known.clear();
            self.fleet = Some(fleet.clone());
        }
        self.known.retain(|name, _| records.contains_key(name));
        for (name, record) in records {
            let known = self.known.get(name);
            if !known.is_some_and(|it| Arc::ptr_eq(&it.0, record)) {
                let placing = Arc::new(place(fleet, name, record));
                self.known.insert(name.clone(), (record.clone(), placing));
            }
        }
        let all = self.known.iter();
        all.map(|(name, it)| (name.clone(), it.1.clone())).collect()
    }
}

/// One cluster. Labels and variables that the fleet path declares win.
fn place(fleet: &Fleet, name: &ClusterName, record: &ClusterRecord) -> Placing {
    let declared = fleet.clusters.get(name).cloned().unwrap_or_default();
    let mut labels = record.labels.clone();
    labels.extend(declared.labels);
    let mut variables = record.variables.clone();
    variables.extend(declared.variables);
    let (roots, problems) = roots(name, &labels, &variables, &fleet.placements);
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Placing {
        digest: Digest::of(format!("{:?}", (&roots, &problems)).as_bytes()),
        labels,
        roots,
        problems,
    }
}

/// The pipelines with their clusters.
pub(crate) fn pipelines(
    fleet: &Fleet,
    placing: &BTreeMap<ClusterName, Arc<Placing>>,
) -> Vec<Pipeline> {
    let pipeline = |(name, spec): (&String, &capstan_render::capstan::PipelineSpec)| {
        let mut taken: BTreeSet<ClusterName> = BTreeSet::new();
        let stages = spec.environments.iter().map(|environment| {
            let selected = placing
                .iter()
                .filter(|(_, it)| environment.clusters.matches(&it.labels));
            let clusters: BTreeSet<ClusterName> = selected
                .map(|it| it.0.clone())
                .filter(|it| !taken.contains(it))
                .collect();
            taken.extend(clusters.clone());
            Stage {
                name: environment.name.clone(),
                auto: environment.auto,
                clusters,
            }
        });
        Pipeline {
            name: name.clone(),
            source: source_key(&spec.source_ref),
            stages: stages.collect(),
        }
    };
    fleet.pipelines.iter().map(pipeline).collect()
}

/// The placements with their clusters and limits.
pub(crate) fn placed(fleet: &Fleet, placing: &BTreeMap<ClusterName, Arc<Placing>>) -> Vec<Placed> {
    let placed = |spec: &PlacementSpec| {
        let selected = placing
            .iter()
            .filter(|(_, it)| spec.clusters.matches(&it.labels));
        let clusters: BTreeSet<ClusterName> = selected.map(|it| it.0.clone()).collect();
        let limit = spec.max_concurrent.as_ref();
        Placed {
            max_concurrent: limit.and_then(|it| concurrency(it, clusters.len())),
            clusters,
        }
    };
    fleet.placements.values().map(placed).collect()
}

/// Why each cluster is not healthy at what it has of each source, and which clusters are away.
#[expect(clippy::type_complexity, reason = "used in two places, side by side")]
pub(crate) fn health(
    view: &FleetView,
    follows: &BTreeMap<ClusterName, BTreeSet<SourceKey>>,
) -> (
    BTreeMap<(ClusterName, SourceKey), Vec<String>>,
    BTreeSet<ClusterName>,
) {
    let mut unmet = BTreeMap::new();
    let mut away = BTreeSet::new();
    for (name, sources) in follows {
        let Some(cluster) = view.clusters.get(name) else {
            continue;
        };
        if !matches!(cluster.link, Link::Connected { .. }) {
            away.insert(name.clone());
        }
        for source in sources {
            unmet.insert((name.clone(), source.clone()), cluster.unmet(name, source));
        }
    }
    (unmet, away)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_placed_again_when_its_record_or_the_fleet_path_changes() {
        let uid: capstan_core::ClusterUid = "3e1f0c3a-5a0e-4c55-9e0b-0d2b2a3f7c11".parse().unwrap();
        let record = |zone: &str| ClusterRecord {
            labels: [("zone".to_owned(), zone.to_owned())].into(),
            ..ClusterRecord::added(uid.clone(), "dev".parse().unwrap(), 0)
        };
        let mut placings = Placings::default();
        let dev: ClusterName = "dev".parse().unwrap();
        let mut place = |fleet: &Arc<Fleet>, record: &Arc<ClusterRecord>| {
            let all = placings.of(fleet, &[(dev.clone(), record.clone())].into());
            all[&dev].clone()
        };
        let (fleet, one) = (Arc::new(Fleet::default()), Arc::new(record("a")));
        let first = place(&fleet, &one);
        assert!(Arc::ptr_eq(&first, &place(&fleet, &one)));
        let moved = place(&fleet, &Arc::new(record("b")));
        assert_eq!(moved.labels["zone"], "b");
        let mut declares = Fleet::default();
        let labels = [("zone".to_owned(), "git".to_owned())].into();
        let declared = capstan_render::fleet::DeclaredCluster {
            labels,
            ..Default::default()
        };
        declares.clusters.insert(dev.clone(), declared);
        let declared = place(&Arc::new(declares), &one);
        assert_eq!(declared.labels["zone"], "git", "what Git declares wins");
        assert!(placings.of(&fleet, &BTreeMap::new()).is_empty());
    }
}
