//! PURE: what is known of every cluster, folded from what is planned and what agents report.
//!
//! Nothing here is persisted: after a restart of the hub a cluster is unknown until its agent is back, and says so.

mod conditions;

use std::{collections::BTreeMap, sync::Arc};

use capstan_core::{
    ClusterName, ClusterUid, DesiredState, Generation, Phase, SourceKey, UnitKey, UnitReport,
    desired::MAX_UNITS,
};

use crate::plan::Orphans;
pub(crate) use conditions::{Condition, cluster_conditions, object_conditions, unit_state};

/// Everything that is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct FleetView {
    /// Each is shared with whoever reads it: a copy of the view is a look at one moment, and holds nobody up.
    pub(crate) clusters: BTreeMap<ClusterName, Arc<ClusterView>>,
    /// What is wrong in the fleet path, as people should read it.
    pub(crate) problems: Vec<String>,
}

impl FleetView {
    /// The cluster, of which nothing is known where it was not there, or another one had its name.
    pub(crate) fn know(&mut self, name: &ClusterName, uid: &ClusterUid) -> &mut ClusterView {
        let cluster = self.clusters.entry(name.clone());
        let cluster = cluster.or_insert_with(|| Arc::new(ClusterView::new(uid.clone())));
        if cluster.uid != *uid {
            *cluster = Arc::new(ClusterView::new(uid.clone()));
        }
        Arc::make_mut(cluster)
    }

    /// The cluster, to change it. Who reads it at the moment goes on seeing what it was.
    pub(crate) fn cluster_mut(&mut self, name: &ClusterName) -> Option<&mut ClusterView> {
        self.clusters.get_mut(name).map(Arc::make_mut)
    }
}

/// Everything that is known of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct ClusterView {
    pub(crate) uid: ClusterUid,
    pub(crate) labels: BTreeMap<String, String>,
    /// `pipeline/environment`, for each pipeline that has the cluster.
    pub(crate) environments: Vec<String>,
    pub(crate) link: Link,
    pub(crate) agent: AgentFacts,
    /// The generation that the agent holds, complete.
    pub(crate) received: Option<Generation>,
    /// What the agent last refused, and why.
    pub(crate) refused: Option<String>,
    /// The agent wants the store epoch confirmed before it removes anything.
    pub(crate) epoch_unconfirmed: bool,
    /// The cluster's own policy pauses the agent, and why.
    pub(crate) paused: Option<String>,
    pub(crate) desired: Option<Arc<DesiredState>>,
    pub(crate) orphans: Orphans,
    /// Units that could never be rendered.
    pub(crate) failed: BTreeMap<UnitKey, String>,
    /// Units that a person suspended: who, and why.
    pub(crate) suspended: BTreeMap<UnitKey, String>,
    /// What is not as people may expect, though everything was rendered.
    pub(crate) warnings: Vec<String>,
    pub(crate) units: BTreeMap<UnitKey, UnitReport>,
    /// When the agent last said something of its units.
    pub(crate) reported_ms: Option<u64>,
}

/// What an agent says of itself: untrusted, and used for nothing but showing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AgentFacts {
    pub(crate) version: String,
    pub(crate) kube_version: String,
    pub(crate) incarnation: String,
    /// Its clock minus the hub's.
    pub(crate) skew_ms: i64,
}

/// Whether the agent is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// No agent was seen since the hub started.
    Unknown,
    Connected {
        since_ms: u64,
    },
    Lost {
        since_ms: u64,
    },
}

/// A batch of reports.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) units: Vec<UnitReport>,
    pub(crate) gone: Vec<UnitKey>,
    /// Replaces everything known.
    pub(crate) full: bool,
    pub(crate) paused: Option<String>,
}

impl ClusterView {
    /// A cluster of which nothing is known yet.
    pub(crate) fn new(uid: ClusterUid) -> Self {
        Self {
            uid,
            labels: BTreeMap::new(),
            environments: Vec::new(),
            link: Link::Unknown,
            agent: AgentFacts::default(),
            received: None,
            refused: None,
            epoch_unconfirmed: false,
            paused: None,
            desired: None,
            orphans: Orphans::new(),
            failed: BTreeMap::new(),
            suspended: BTreeMap::new(),
            warnings: Vec::new(),
            units: BTreeMap::new(),
            reported_ms: None,
        }
    }

    /// Folds a report in. Units of other homes are not this cluster's to speak of.
    pub(crate) fn report(&mut self, home: &ClusterName, report: Report, now_ms: u64) {
        if report.full {
            self.units.clear();
        }
        for unit in report.units {
            // More units than a cluster may have are made up.
            let room = self.units.len() < MAX_UNITS || self.units.contains_key(&unit.key);
            if unit.key.home == *home && room {
                self.units.insert(unit.key.clone(), unit);
            }
        }
        for key in &report.gone {
            self.units.remove(key);
        }
        self.paused = report.paused;
        self.reported_ms = Some(now_ms);
    }

    /// Every unit that there is something to say of.
    pub(crate) fn unit_keys(&self) -> Vec<UnitKey> {
        let desired = self.desired.iter().flat_map(|it| it.units.keys());
        let mut keys: Vec<UnitKey> = desired
            .chain(self.units.keys())
            .chain(self.failed.keys())
            .cloned()
            .collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// Why the cluster is not healthy at what it should be of `source`; empty: it is. Only what the agent said of exactly
    /// this content counts.
    pub(crate) fn unmet(&self, name: &ClusterName, source: &SourceKey) -> Vec<String> {
        if !matches!(self.link, Link::Connected { .. }) {
            return vec![format!("cluster {name} is not connected")];
        }
        if let Some(why) = &self.paused {
            return vec![format!("cluster {name} is paused by its own policy: {why}")];
        }
        let Some(desired) = &self.desired else {
            return vec![format!("cluster {name} has no desired state yet")];
        };
        let failed = self.failed.iter();
        let mut unmet: Vec<String> = failed
            .map(|(key, why)| format!("{key} cannot be rendered: {why}"))
            .collect();
        for (key, unit) in &desired.units {
            if unit.source != *source || self.orphans.contains_key(key) {
                continue;
            }
            if let Some(problem) = &unit.problem {
                unmet.push(format!("{key} cannot be rendered: {problem}"));
                continue;
            }
            match self.units.get(key) {
                Some(it) if it.digest == unit.digest && it.phase == Phase::Healthy => {}
                Some(it) if it.digest == unit.digest => {
                    unmet.push(format!("{key} is {}", it.phase))
                }
                _ => unmet.push(format!("{key} has not reported on this revision yet")),
            }
        }
        unmet
    }
}

#[cfg(test)]
mod tests;
