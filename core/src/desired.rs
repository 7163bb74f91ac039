//! What a cluster should be: units with their entries, under a generation and a root digest.

mod entries;

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

pub use self::entries::Entries;
use crate::{
    digest::Digest,
    id::{Generation, Revision, SourceKey, StoreEpoch, UnitKey, UnitKind},
    object::ObjectKey,
    substitution::Substitution,
};

/// Units that one cluster may have. A root hash over all of them is computed with each change.
pub const MAX_UNITS: usize = 10_000;
/// Entries that one unit may have: what one inventory and one report are sized for.
pub const MAX_ENTRIES: usize = 10_000;

/// Everything that a cluster should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredState {
    /// Which life of the hub's store the generation belongs to.
    pub epoch: StoreEpoch,
    /// Goes up with every change, within the epoch.
    pub generation: Generation,
    /// The revision that the cluster follows of each source (its pins).
    pub sources: BTreeMap<SourceKey, Source>,
    /// The units. Clusters and generations that have the same one share it.
    pub units: BTreeMap<UnitKey, Arc<Unit>>,
}

/// A source as one cluster follows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The pinned revision.
    pub revision: Revision,
}

/// One unit: how it is applied, and what it consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Names this content of the unit. Made by the hub with [`Unit::seal`]; the agent takes it as given, so that a hub
    /// that knows a field more than the agent does not look like a broken stream.
    pub digest: Digest,
    /// How it is applied.
    pub spec: UnitSpec,
    /// Where it came from.
    pub origin: Origin,
    /// The source it is rendered from.
    pub source: SourceKey,
    /// The revision that the entries were rendered from, where that is not the one in [`DesiredState::sources`]: the
    /// newer revision could not be rendered and this is the last good one.
    pub held_at: Option<Revision>,
    /// Why the newest revision could not be rendered, for the unit's status. No secret values.
    pub problem: Option<String>,
    /// What it consists of, ordered by key.
    pub entries: Entries,
}

/// What the digest of a unit is made of, beside its entries.
#[derive(Serialize)]
struct Head<'a> {
    spec: &'a UnitSpec,
    origin: &'a Origin,
    source: &'a SourceKey,
    held_at: &'a Option<Revision>,
    problem: &'a Option<String>,
}

impl Unit {
    /// Sets the digest from everything else. What clusters have in common is digested once: the entries have a digest of
    /// their own.
    #[must_use]
    pub fn seal(mut self) -> Self {
        let head = Head {
            spec: &self.spec,
            origin: &self.origin,
            source: &self.source,
            held_at: &self.held_at,
            problem: &self.problem,
        };
        let head = serde_json::to_vec(&head).expect("a unit has only text keys");
        let entries = self.entries.digest();
        self.digest = Digest::of_parts([head.as_slice(), entries.as_bytes()]);
        self
    }
}

/// How a unit is applied: the fields of the Flux object that act in the cluster. Those that act on the rendering
/// (path, patches, target namespace, substitutions) have done their work when this is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitSpec {
    /// Delete what is in the inventory and no longer in the unit.
    pub prune: bool,
    /// Wait until everything is healthy before the unit counts as ready.
    pub wait: bool,
    /// Objects to wait for where `wait` is off. They need not be part of the unit.
    pub health_checks: Vec<ObjectRef>,
    /// How long applying and waiting may take.
    pub timeout_seconds: u32,
    /// Period of the full comparison that backs up the watches.
    pub interval_seconds: u32,
    /// Wait after a failure before the next try.
    pub retry_interval_seconds: u32,
    /// Leave the cluster as it is: nothing is applied, pruned or corrected.
    pub suspend: bool,
    /// Delete and create again what cannot be changed in place.
    pub force: bool,
    /// Correct drift (the default) or only report it.
    pub drift: DriftMode,
    /// Units that must be ready first.
    pub depends_on: Vec<UnitRef>,
    /// Apply as this service account of the unit's namespace, not as the agent.
    pub service_account: Option<String>,
    /// Changes when somebody asks for a reconciliation now; the value means nothing else.
    pub requested_at: Option<String>,
    /// What the agent completes entries of [`MediaType::Text`] with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substitution: Option<Substitution>,
}

impl Default for UnitSpec {
    /// Flux's defaults for a ten-minute interval.
    fn default() -> Self {
        Self {
            prune: false,
            wait: false,
            health_checks: Vec::new(),
            timeout_seconds: 570,
            interval_seconds: 600,
            retry_interval_seconds: 600,
            suspend: false,
            force: false,
            drift: DriftMode::Correct,
            depends_on: Vec::new(),
            service_account: None,
            requested_at: None,
            substitution: None,
        }
    }
}

/// What happens to drift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DriftMode {
    /// Put back what was changed.
    #[default]
    Correct,
    /// Say what was changed and by whom, and leave it.
    Warn,
}

/// A unit of the same cluster, as `dependsOn` names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnitRef {
    /// The Flux kind.
    pub kind: UnitKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for UnitRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// An object to wait for, with the version to ask the API server for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// API version without the group.
    pub version: String,
    /// Identity.
    pub key: ObjectKey,
}

/// Where a unit came from; it decides what the unit may reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// Declared in the fleet path itself.
    FleetPath,
    /// The root unit that a placement gives a cluster.
    Placement {
        /// The placement's name.
        name: String,
    },
    /// Yielded by rendering another unit; it has no more rights than that one.
    Parent {
        /// The unit that yielded it.
        unit: UnitKey,
    },
    /// Made in the cluster by somebody there.
    Cluster,
}

/// One thing that a unit consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Identity of the object (for a chart or values: of what they are kept under).
    pub key: ObjectKey,
    /// API version without the group.
    pub version: String,
    /// What part it plays.
    pub role: Role,
    /// What its bytes are.
    pub media_type: MediaType,
    /// Its bytes may be seen only in its own cluster: kept sealed, never shared, logged or shown.
    pub sensitive: bool,
    /// Digest of its bytes, under which the agent asks for them: [`Digest::of`], or where it is sensitive
    /// [`Digest::keyed`] with the cluster's digest key.
    pub digest: Digest,
    /// Length of its bytes.
    pub bytes: u64,
    /// The file of the source that it came from, for messages. Empty where no single file made it.
    pub path: String,
}

/// What part an entry plays in its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// Applied, watched, corrected, pruned.
    Object,
    /// A custom resource definition of a chart's `crds` folder: applied by the release's CRD policy, never pruned.
    Crd,
    /// A Helm hook.
    Hook,
    /// A Helm test.
    Test,
    /// A chart that the agent renders itself.
    Chart,
    /// Values for it.
    Values,
}

/// What the bytes of an entry are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaType {
    /// Canonical JSON of one object.
    Object,
    /// YAML of one object that holds variables. The agent completes it with values that only the cluster knows, as
    /// [`UnitSpec::substitution`] says; until then the entry's key is that of the object with its variables.
    Text,
    /// A chart archive.
    Chart,
    /// A values file.
    Values,
}

impl DesiredState {
    /// A state with nothing in it.
    pub fn empty(epoch: StoreEpoch) -> Self {
        Self {
            epoch,
            generation: Generation(0),
            sources: BTreeMap::new(),
            units: BTreeMap::new(),
        }
    }

    /// The digest of the whole: both sides compute it, and a difference means that a delta was lost.
    pub fn root(&self) -> Digest {
        let sources = self.sources.iter().flat_map(|(key, it)| {
            [
                key.to_string().into_bytes(),
                it.revision.as_str().as_bytes().to_vec(),
            ]
        });
        let units = self
            .units
            .iter()
            .flat_map(|(key, it)| [key.to_string().into_bytes(), it.digest.as_bytes().to_vec()]);
        let parts: Vec<Vec<u8>> = sources.chain([b"units".to_vec()]).chain(units).collect();
        Digest::of_parts(parts.iter().map(Vec::as_slice))
    }

    /// The revision that a unit's entries were rendered from.
    pub fn revision_of<'a>(&'a self, unit: &'a Unit) -> Option<&'a Revision> {
        unit.held_at
            .as_ref()
            .or_else(|| self.sources.get(&unit.source).map(|it| &it.revision))
    }

    /// The digests that the state names: what its cluster may ask for.
    pub fn names(&self, digest: &Digest) -> bool {
        let mut entries = self.units.values().flat_map(|it| &it.entries);
        entries.any(|it| it.digest == *digest)
    }

    /// What takes `self` to `next`.
    pub fn delta(&self, next: &Self) -> Delta {
        let changed = |key: &UnitKey, unit: &Arc<Unit>| {
            self.units
                .get(key)
                .is_none_or(|it| it.digest != unit.digest)
        };
        let moved = |key: &SourceKey, source: &Source| self.sources.get(key) != Some(source);
        Delta {
            from: self.generation,
            to: next.generation,
            sources: pick(&next.sources, moved),
            sources_removed: missing(&self.sources, &next.sources),
            upsert: pick(&next.units, changed),
            remove: missing(&self.units, &next.units),
            root: next.root(),
        }
    }

    /// The state after `delta`, or `None` where it does not start here or does not give the root that it promises:
    /// then the receiver asks for a snapshot.
    pub fn apply(&self, delta: &Delta) -> Option<Self> {
        if delta.from != self.generation || delta.to <= delta.from {
            return None;
        }
        let mut next = self.clone();
        next.generation = delta.to;
        next.sources.extend(delta.sources.clone());
        next.units.extend(delta.upsert.clone());
        for key in &delta.sources_removed {
            next.sources.remove(key);
        }
        for key in &delta.remove {
            next.units.remove(key);
        }
        (next.root() == delta.root).then_some(next)
    }
}

/// A change of a desired state. Removal is always named, never implied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The generation it applies to.
    pub from: Generation,
    /// The generation it gives.
    pub to: Generation,
    /// Sources whose revision changed.
    pub sources: BTreeMap<SourceKey, Source>,
    /// Sources no longer followed.
    pub sources_removed: Vec<SourceKey>,
    /// Units added or changed, whole.
    pub upsert: BTreeMap<UnitKey, Arc<Unit>>,
    /// Units removed: the agent prunes what they own, as their spec and its fuse say.
    pub remove: Vec<UnitKey>,
    /// Root of the state it gives.
    pub root: Digest,
}

fn pick<K: Ord + Clone, V: Clone>(
    map: &BTreeMap<K, V>,
    keep: impl Fn(&K, &V) -> bool,
) -> BTreeMap<K, V> {
    let kept = map.iter().filter(|(key, it)| keep(key, it));
    kept.map(|(key, it)| (key.clone(), it.clone())).collect()
}

fn missing<K: Ord + Clone, V>(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>) -> Vec<K> {
    let gone = old.keys().filter(|it| !new.contains_key(*it));
    gone.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(content: &str) -> Unit {
        let key = ObjectKey {
            group: String::new(),
            kind: "ConfigMap".into(),
            namespace: "a".into(),
            name: "b".into(),
        };
        Unit {
            digest: Digest::of(b""),
            spec: UnitSpec::default(),
            origin: Origin::Placement { name: "p".into() },
            source: "GitRepository/flux-system/fleet".parse().unwrap(),
            held_at: None,
            problem: None,
            entries: vec![Entry {
                key,
                version: "v1".into(),
                role: Role::Object,
                media_type: MediaType::Object,
                sensitive: false,
                digest: Digest::of(content.as_bytes()),
                bytes: content.len() as u64,
                path: "a.yaml".into(),
            }]
            .into(),
        }
        .seal()
    }

    fn state(generation: u64, revision: &str, units: &[(&str, &str)]) -> DesiredState {
        let source = Source {
            revision: revision.parse().unwrap(),
        };
        DesiredState {
            epoch: StoreEpoch([1; 16]),
            generation: Generation(generation),
            sources: [("GitRepository/flux-system/fleet".parse().unwrap(), source)].into(),
            units: units
                .iter()
                .map(|(name, content)| {
                    let key = format!("dev/Kustomization/flux-system/{name}");
                    (key.parse().unwrap(), Arc::new(unit(content)))
                })
                .collect(),
        }
    }

    #[test]
    fn a_delta_takes_one_state_to_the_next() {
        let old = state(
            4,
            "main@sha1:a",
            &[("gone", "1"), ("kept", "1"), ("changed", "1")],
        );
        let new = state(
            5,
            "main@sha1:b",
            &[("kept", "1"), ("changed", "2"), ("new", "1")],
        );
        let delta = old.delta(&new);
        assert_eq!(delta.remove.len(), 1);
        assert_eq!(delta.upsert.len(), 2);
        assert_eq!(old.apply(&delta), Some(new));
    }

    #[test]
    fn a_revision_that_changes_no_unit_is_one_source() {
        let old = state(4, "main@sha1:a", &[("kept", "1")]);
        let delta = old.delta(&state(5, "main@sha1:b", &[("kept", "1")]));
        assert!(delta.upsert.is_empty() && delta.remove.is_empty());
        assert_eq!(delta.sources.len(), 1);
    }

    #[test]
    fn a_delta_that_does_not_fit_is_refused() {
        let old = state(4, "main@sha1:a", &[("kept", "1")]);
        let new = state(5, "main@sha1:a", &[("kept", "2")]);
        let delta = old.delta(&new);
        assert_eq!(
            state(3, "main@sha1:a", &[("kept", "1")]).apply(&delta),
            None,
            "other start"
        );
        assert_eq!(
            state(4, "main@sha1:a", &[("lost", "1")]).apply(&delta),
            None,
            "other content"
        );
    }
}
