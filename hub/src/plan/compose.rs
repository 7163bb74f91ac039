//! A cluster's desired state, from what was rendered and what it had.
//!
//! Nothing is removed because something could not be read: a unit that fails keeps its last good entries, and so does
//! everything below it; a root that no placement gives any more is left alone until somebody confirms that it may go.
//! Only what a parent was rendered without is removed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use capstan_core::{
    DesiredState, Digest, Entry, Generation, Origin, Revision, Source, SourceKey, StoreEpoch, Unit,
    UnitKey, report::bounded_message,
};
use capstan_render::{RenderedCluster, RenderedUnit, UnitOutcome};
use serde::{Deserialize, Serialize};

/// Why an orphaned unit is still there, for its status.
const ORPHANED: &str = "no placement gives this unit to the cluster any more; its objects are kept and left alone until \
                        `capstan approve` confirms that they may go";

/// What people changed about a cluster's units, over what Git says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    /// Units left alone.
    pub suspended: BTreeSet<UnitKey>,
    /// When somebody last asked for a reconciliation.
    pub requested_at: BTreeMap<UnitKey, String>,
    /// Orphaned units that may go.
    pub confirmed: BTreeSet<UnitKey>,
}

/// Everything that a desired state is made from.
pub struct ComposeInput<'a> {
    /// The store's present life.
    pub epoch: StoreEpoch,
    /// What the cluster had, if anything.
    pub previous: Option<&'a DesiredState>,
    /// What was rendered at its pins.
    pub rendered: &'a RenderedCluster,
    /// The revisions that it follows.
    pub pins: &'a BTreeMap<SourceKey, Revision>,
    /// What people changed.
    pub overrides: &'a Overrides,
}

/// A desired state, with what it is made of.
pub struct Composed {
    /// The state. Its generation is the previous one where nothing changed.
    pub state: DesiredState,
    /// Whether it is another than before.
    pub changed: bool,
    /// The bytes of its entries that were rendered now.
    pub blobs: BTreeMap<Digest, (Entry, Arc<[u8]>)>,
    /// Units that are left alone until somebody confirms that they may go.
    pub orphaned: BTreeSet<UnitKey>,
    /// Units that could not be rendered, with the reason; those that never could are not in the state.
    pub failed: BTreeMap<UnitKey, String>,
}

/// Makes the desired state.
pub fn compose(input: &ComposeInput<'_>) -> Composed {
    let empty = DesiredState::empty(input.epoch);
    let previous = input
        .previous
        .filter(|it| it.epoch == input.epoch)
        .unwrap_or(&empty);
    let old = input.previous.unwrap_or(&empty);
    let mut units = BTreeMap::new();
    let mut blobs = BTreeMap::new();
    let mut failed = BTreeMap::new();
    for (key, outcome) in &input.rendered.units {
        match outcome {
            UnitOutcome::Rendered(rendered) => {
                blobs.extend(
                    rendered
                        .entries
                        .iter()
                        .map(|it| (it.entry.digest, (it.entry.clone(), it.bytes.clone()))),
                );
                units.insert(key.clone(), fresh(input, key, rendered));
            }
            UnitOutcome::Failed { problems, .. } => {
                let message: Vec<String> = problems.iter().map(ToString::to_string).collect();
                let message = bounded_message(message.join("; "));
                if let Some(unit) = old.units.get(key) {
                    units.insert(key.clone(), last_good(input, old, key, unit, &message));
                }
                failed.insert(key.clone(), message);
            }
        }
    }
    let orphaned = keep_unnamed(input, old, &mut units);
    let sources = sources(input, old, &units);
    let mut state = DesiredState {
        epoch: input.epoch,
        generation: previous.generation,
        sources,
        units,
    };
    let changed = input
        .previous
        .is_none_or(|it| it.epoch != input.epoch || it.root() != state.root());
    if changed {
        state.generation = Generation(previous.generation.0.max(old.generation.0)).next();
    }
    Composed {
        state,
        changed,
        blobs,
        orphaned,
        failed,
    }
}

fn fresh(input: &ComposeInput<'_>, key: &UnitKey, rendered: &RenderedUnit) -> Unit {
    let pinned = input.pins.get(&rendered.source) == Some(&rendered.revision);
    let mut unit = Unit {
        digest: Digest::of(b""),
        spec: rendered.spec.clone(),
        origin: rendered.origin.clone(),
        source: rendered.source.clone(),
        held_at: (!pinned).then(|| rendered.revision.clone()),
        problem: None,
        entries: rendered.entries.iter().map(|it| it.entry.clone()).collect(),
    };
    override_spec(input, key, &mut unit);
    unit.seal()
}

fn override_spec(input: &ComposeInput<'_>, key: &UnitKey, unit: &mut Unit) {
    unit.spec.suspend |= input.overrides.suspended.contains(key);
    unit.spec.requested_at = input.overrides.requested_at.get(key).cloned();
}

/// The unit as it was, saying which revision that is and why it is not a newer one.
fn last_good(
    input: &ComposeInput<'_>,
    old: &DesiredState,
    key: &UnitKey,
    unit: &Unit,
    message: &str,
) -> Unit {
    let mut unit = Unit {
        held_at: old.revision_of(unit).cloned(),
        problem: Some(message.to_owned()),
        ..unit.clone()
    };
    override_spec(input, key, &mut unit);
    unit.seal()
}

/// Keeps the units of before that rendering did not name, except those that it shows to be gone. Gives the orphaned ones.
fn keep_unnamed(
    input: &ComposeInput<'_>,
    old: &DesiredState,
    units: &mut BTreeMap<UnitKey, Unit>,
) -> BTreeSet<UnitKey> {
    let mut orphaned = BTreeSet::new();
    for (key, unit) in &old.units {
        if input.rendered.units.contains_key(key) {
            continue;
        }
        match fate(input, old, key) {
            Fate::Gone => {}
            Fate::Kept => {
                let mut kept = unit.clone();
                kept.held_at = old.revision_of(unit).cloned();
                units.insert(key.clone(), kept.seal());
            }
            Fate::Orphaned => {
                let mut kept = unit.clone();
                kept.held_at = old.revision_of(unit).cloned();
                kept.spec.suspend = true;
                kept.problem = Some(ORPHANED.to_owned());
                units.insert(key.clone(), kept.seal());
                orphaned.insert(key.clone());
            }
        }
    }
    orphaned
}

enum Fate {
    Gone,
    Kept,
    Orphaned,
}

/// What becomes of a unit that rendering did not name: what its nearest ancestor that rendering did name says, or the
/// root's fate where there is none.
fn fate(input: &ComposeInput<'_>, old: &DesiredState, key: &UnitKey) -> Fate {
    if input.overrides.confirmed.contains(key) {
        return Fate::Gone;
    }
    let mut at = key;
    // A chain of parents is no longer than the units; a circle, which only a broken store could hold, ends too.
    for _ in 0..=old.units.len() {
        let Some(Origin::Parent { unit: parent }) = old.units.get(at).map(|it| &it.origin) else {
            return Fate::Orphaned;
        };
        match input.rendered.units.get(parent) {
            Some(UnitOutcome::Rendered(_)) => return Fate::Gone,
            Some(UnitOutcome::Failed { .. }) => return Fate::Kept,
            None if input.overrides.confirmed.contains(parent) => return Fate::Gone,
            None => at = parent,
        }
    }
    Fate::Kept
}

/// The pins of the sources that the units are from.
fn sources(
    input: &ComposeInput<'_>,
    old: &DesiredState,
    units: &BTreeMap<UnitKey, Unit>,
) -> BTreeMap<SourceKey, Source> {
    let used: BTreeSet<&SourceKey> = units.values().map(|it| &it.source).collect();
    let pinned = used.into_iter().filter_map(|key| {
        let now = input.pins.get(key).map(|it| Source {
            revision: it.clone(),
        });
        let source = now.or_else(|| old.sources.get(key).cloned())?;
        Some((key.clone(), source))
    });
    pinned.collect()
}

#[cfg(test)]
mod tests {
    use capstan_core::{MediaType, ObjectKey, Role, UnitSpec};
    use capstan_render::{Problem, RenderedEntry};

    use super::*;

    const EPOCH: StoreEpoch = StoreEpoch([5; 16]);

    fn source() -> SourceKey {
        "GitRepository/flux-system/fleet".parse().unwrap()
    }

    fn key(name: &str) -> UnitKey {
        format!("dev/Kustomization/flux-system/{name}")
            .parse()
            .unwrap()
    }

    fn rendered(parent: Option<&str>, revision: &str, content: &str) -> UnitOutcome {
        let object = ObjectKey {
            group: String::new(),
            kind: "ConfigMap".into(),
            namespace: "a".into(),
            name: "b".into(),
        };
        let bytes: Arc<[u8]> = content.as_bytes().into();
        let entry = Entry {
            key: object,
            version: "v1".into(),
            role: Role::Object,
            media_type: MediaType::Object,
            sensitive: false,
            digest: Digest::of(&bytes),
            bytes: bytes.len() as u64,
            path: "a.yaml".into(),
        };
        UnitOutcome::Rendered(RenderedUnit {
            spec: UnitSpec::default(),
            origin: origin(parent),
            source: source(),
            revision: revision.parse().unwrap(),
            entries: Arc::new(vec![RenderedEntry { entry, bytes }]),
            flux: Arc::default(),
        })
    }

    fn origin(parent: Option<&str>) -> Origin {
        match parent {
            Some(parent) => Origin::Parent { unit: key(parent) },
            None => Origin::Placement { name: "p".into() },
        }
    }

    fn failed(parent: Option<&str>) -> UnitOutcome {
        let problems = vec![Problem::error("broken").in_file("a.yaml", Some(3))];
        UnitOutcome::Failed {
            origin: origin(parent),
            source: Some(source()),
            problems,
        }
    }

    fn next(
        previous: Option<&DesiredState>,
        revision: &str,
        units: Vec<(&str, UnitOutcome)>,
        overrides: &Overrides,
    ) -> Composed {
        let rendered = RenderedCluster {
            units: units
                .into_iter()
                .map(|(name, it)| (key(name), it))
                .collect(),
            warnings: Vec::new(),
        };
        let pins = BTreeMap::from([(source(), revision.parse().unwrap())]);
        compose(&ComposeInput {
            epoch: EPOCH,
            previous,
            rendered: &rendered,
            pins: &pins,
            overrides,
        })
    }

    fn start() -> DesiredState {
        let units = vec![
            ("root", rendered(None, "m@sha1:1", "1")),
            ("apps", rendered(Some("root"), "m@sha1:1", "1")),
        ];
        next(None, "m@sha1:1", units, &Overrides::default()).state
    }

    #[test]
    fn composing_again_changes_nothing() {
        let first = start();
        assert_eq!(first.generation, Generation(1));
        let units = vec![
            ("root", rendered(None, "m@sha1:1", "1")),
            ("apps", rendered(Some("root"), "m@sha1:1", "1")),
        ];
        let again = next(Some(&first), "m@sha1:1", units, &Overrides::default());
        assert!(!again.changed);
        assert_eq!(again.state, first);
    }

    #[test]
    fn a_unit_that_fails_keeps_its_last_good_state() {
        let first = start();
        let units = vec![
            ("root", rendered(None, "m@sha1:2", "1")),
            ("apps", failed(Some("root"))),
        ];
        let composed = next(Some(&first), "m@sha1:2", units, &Overrides::default());
        let apps = &composed.state.units[&key("apps")];
        assert_eq!(apps.entries, first.units[&key("apps")].entries);
        assert_eq!(apps.held_at.as_ref().unwrap().commit(), "1");
        assert_eq!(apps.problem.as_deref(), Some("a.yaml:3: broken"));
        assert_eq!(
            composed
                .state
                .revision_of(&composed.state.units[&key("root")])
                .unwrap()
                .commit(),
            "2"
        );
        let units = vec![
            ("root", rendered(None, "m@sha1:3", "1")),
            ("apps", failed(Some("root"))),
        ];
        let still = next(
            Some(&composed.state),
            "m@sha1:3",
            units,
            &Overrides::default(),
        );
        assert_eq!(
            still.state.units[&key("apps")]
                .held_at
                .as_ref()
                .unwrap()
                .commit(),
            "1"
        );
    }

    #[test]
    fn a_failed_parent_removes_no_child() {
        let first = start();
        let composed = next(
            Some(&first),
            "m@sha1:2",
            vec![("root", failed(None))],
            &Overrides::default(),
        );
        assert_eq!(composed.state.units.len(), 2);
        assert!(composed.orphaned.is_empty());
    }

    #[test]
    fn what_a_parent_is_rendered_without_is_removed() {
        let first = start();
        let units = vec![("root", rendered(None, "m@sha1:2", "1"))];
        let composed = next(Some(&first), "m@sha1:2", units, &Overrides::default());
        assert_eq!(composed.state.units.len(), 1);
        assert_eq!(first.delta(&composed.state).remove, [key("apps")]);
    }

    #[test]
    fn a_root_that_no_placement_gives_is_orphaned_until_confirmed() {
        let first = start();
        let composed = next(Some(&first), "m@sha1:1", vec![], &Overrides::default());
        assert_eq!(
            composed.orphaned,
            BTreeSet::from([key("root"), key("apps")])
        );
        assert!(composed.state.units.values().all(|it| it.spec.suspend));
        let overrides = Overrides {
            confirmed: BTreeSet::from([key("root")]),
            ..Overrides::default()
        };
        let confirmed = next(Some(&composed.state), "m@sha1:1", vec![], &overrides);
        assert!(
            confirmed.state.units.is_empty(),
            "the children of a confirmed root go with it"
        );
    }

    #[test]
    fn an_orphan_that_comes_back_is_as_before() {
        let first = start();
        let orphaned = next(Some(&first), "m@sha1:1", vec![], &Overrides::default());
        let units = vec![
            ("root", rendered(None, "m@sha1:1", "1")),
            ("apps", rendered(Some("root"), "m@sha1:1", "1")),
        ];
        let back = next(
            Some(&orphaned.state),
            "m@sha1:1",
            units,
            &Overrides::default(),
        );
        assert_eq!(back.state.units, first.units);
        assert!(back.state.generation > orphaned.state.generation);
    }

    #[test]
    fn another_epoch_goes_on_counting() {
        let mut first = start();
        first.epoch = StoreEpoch([6; 16]);
        first.generation = Generation(41);
        let composed = next(
            Some(&first),
            "m@sha1:1",
            vec![("root", rendered(None, "m@sha1:1", "1"))],
            &Overrides::default(),
        );
        assert_eq!(composed.state.generation, Generation(42));
    }
}
