//! What the plan remembers: pins, holds, freezes, orphans.

use std::{collections::BTreeMap, fmt};

use capstan_core::{ClusterName, Revision, SourceKey, UnitKey};
use serde::{Deserialize, Serialize};

/// Healthy revisions that a pin remembers, to roll back to.
const KEPT_HEALTHY: usize = 10;

/// An environment of a pipeline. Prints as `pipeline/environment`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EnvironmentKey {
    pub(crate) pipeline: String,
    pub(crate) environment: String,
}

impl EnvironmentKey {
    pub(crate) fn new(pipeline: &str, environment: &str) -> Self {
        Self {
            pipeline: pipeline.to_owned(),
            environment: environment.to_owned(),
        }
    }
}

impl fmt::Display for EnvironmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pipeline, self.environment)
    }
}

/// The revision that a cluster or an environment follows, and how it came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pin {
    /// None: nothing was promoted here yet.
    pub(crate) revision: Option<Revision>,
    pub(crate) since_ms: u64,
    /// Who or what moved it here.
    pub(crate) by: String,
    pub(crate) reason: String,
    /// Revisions that were healthy in every cluster, newest last.
    pub(crate) healthy: Vec<Revision>,
    /// Set by a rollback: stays where it is until released.
    pub(crate) hold: Option<Hold>,
}

impl Pin {
    pub(crate) fn move_to(&mut self, revision: Revision, now_ms: u64, by: &str, reason: &str) {
        self.revision = Some(revision);
        self.since_ms = now_ms;
        self.by = by.to_owned();
        self.reason = reason.to_owned();
    }

    /// Remembers that the pinned revision is healthy. The last one of the list is the newest to have become so.
    pub(super) fn mark_healthy(&mut self) {
        let Some(revision) = &self.revision else {
            return;
        };
        if self.healthy.last() == Some(revision) {
            return;
        }
        self.healthy.retain(|it| it != revision);
        self.healthy.push(revision.clone());
        let excess = self.healthy.len().saturating_sub(KEPT_HEALTHY);
        self.healthy.drain(..excess);
    }

    /// The newest healthy revision other than the pinned one.
    pub(crate) fn last_good(&self) -> Option<&Revision> {
        let mut others = self.healthy.iter().rev();
        others.find(|it| Some(*it) != self.revision.as_ref())
    }
}

/// Who holds a pin, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold {
    pub(crate) actor: String,
    pub(crate) reason: String,
    pub(crate) since_ms: u64,
}

/// All pins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Book {
    pub(crate) clusters: BTreeMap<ClusterName, BTreeMap<SourceKey, Pin>>,
    pub(crate) environments: BTreeMap<EnvironmentKey, Pin>,
}

/// What people have set beside Git.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Overrides {
    pub(crate) units: BTreeMap<UnitKey, UnitOverride>,
    /// By scope: `*`, a cluster's name, or `pipeline/environment`.
    pub(crate) freezes: BTreeMap<String, Freeze>,
    /// Units whose removal somebody confirmed, until the agent has removed them: its fuse is answered in this name.
    #[serde(default)]
    pub(crate) removals: BTreeMap<UnitKey, Hold>,
}

/// What somebody has set for one unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnitOverride {
    /// Suspended by this person, for this reason.
    pub(crate) suspend: Option<Hold>,
    /// Whether Git suspended the unit when a person last did.
    #[serde(default)]
    pub(crate) suspended_in_git: bool,
    /// When a reconciliation was last asked for.
    pub(crate) requested_at: Option<String>,
}

/// No pin in the scope moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Freeze {
    pub(crate) actor: String,
    pub(crate) reason: String,
    pub(crate) since_ms: u64,
}

/// Units of one cluster that nothing declares any more, and that stay until somebody confirms.
pub(crate) type Orphans = BTreeMap<UnitKey, Orphan>;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Orphan {
    pub(crate) since_ms: u64,
    pub(crate) why: String,
    /// Somebody confirmed: it is removed, and the agent's fuse is answered in this name.
    pub(crate) confirmed: Option<Hold>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_good_revision_is_never_the_pinned_one() {
        let revision = |it: &str| it.parse::<Revision>().unwrap();
        let mut pin = Pin::default();
        assert_eq!(pin.last_good(), None);
        for it in ["a", "b", "a", "a"] {
            pin.move_to(revision(it), 1, "", "");
            pin.mark_healthy();
        }
        assert_eq!(pin.healthy, [revision("b"), revision("a")]);
        assert_eq!(pin.last_good(), Some(&revision("b")));
        pin.move_to(revision("c"), 1, "", "");
        assert_eq!(pin.last_good(), Some(&revision("a")));
    }
}
