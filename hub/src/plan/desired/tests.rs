//! What happens to units that change, fail and go.

use capstan_core::{Entry, MediaType, ObjectKey, Role, StoreEpoch};

use super::*;
use crate::plan::{Hold, UnitOverride};

fn key(name: &str) -> UnitKey {
    format!("dev/Kustomization/flux-system/{name}")
        .parse()
        .unwrap()
}

fn source() -> SourceKey {
    "GitRepository/flux-system/fleet".parse().unwrap()
}

fn entry(content: &str) -> Entry {
    Entry {
        key: ObjectKey {
            group: String::new(),
            kind: "ConfigMap".into(),
            namespace: "a".into(),
            name: "b".into(),
        },
        version: "v1".into(),
        role: Role::Object,
        media_type: MediaType::Object,
        sensitive: false,
        digest: Digest::of(content.as_bytes()),
        bytes: content.len() as u64,
        path: "a.yaml".into(),
    }
}

fn rendered(content: &str, parent: Option<&str>) -> Outcome {
    Outcome::Rendered {
        spec: UnitSpec::default(),
        origin: match parent {
            Some(it) => Origin::Parent { unit: key(it) },
            None => Origin::Placement { name: "p".into() },
        },
        source: source(),
        entries: vec![entry(content)].into(),
    }
}

fn failed() -> Outcome {
    Outcome::Failed {
        problem: "a.yaml:3: bad".into(),
    }
}

/// A cluster over several rounds.
struct Cluster {
    state: DesiredState,
    orphans: Orphans,
    overrides: Overrides,
    incomplete: Option<&'static str>,
}

impl Cluster {
    fn new() -> Self {
        Self {
            state: DesiredState::empty(StoreEpoch([0; 16])),
            orphans: Orphans::new(),
            overrides: Overrides::default(),
            incomplete: None,
        }
    }

    fn round(&mut self, revision: &str, outcomes: &[(&str, Outcome)]) -> Next {
        let outcomes = outcomes
            .iter()
            .map(|(name, it)| (key(name), it.clone()))
            .collect();
        let revisions =
            BTreeMap::from([(source(), format!("main@sha1:{revision}").parse().unwrap())]);
        let next = next(&NextInput {
            now_ms: 5,
            previous: &self.state,
            orphans: &self.orphans,
            outcomes: &outcomes,
            revisions: &revisions,
            overrides: &self.overrides,
            incomplete: self.incomplete,
        });
        self.state = next.state.clone();
        self.orphans = next.orphans.clone();
        next
    }
}

#[test]
fn the_same_input_gives_the_same_state() {
    let mut cluster = Cluster::new();
    cluster.round("1", &[("root", rendered("x", None))]);
    let before = cluster.state.clone();
    cluster.round("1", &[("root", rendered("x", None))]);
    assert_eq!(cluster.state, before);
}

#[test]
fn a_new_revision_that_changes_nothing_changes_only_the_source() {
    let mut cluster = Cluster::new();
    cluster.round("1", &[("root", rendered("x", None))]);
    let before = cluster.state.clone();
    cluster.round("2", &[("root", rendered("x", None))]);
    assert_eq!(cluster.state.units, before.units);
    assert_ne!(cluster.state.sources, before.sources);
}

#[test]
fn a_unit_that_fails_keeps_its_entries_and_its_children() {
    let mut cluster = Cluster::new();
    let all = [
        ("root", rendered("x", None)),
        ("child", rendered("y", Some("root"))),
        ("grandchild", rendered("z", Some("child"))),
        ("other", rendered("w", None)),
    ];
    cluster.round("1", &all);
    let before = cluster.state.clone();
    let next = cluster.round("2", &[("root", failed()), ("other", rendered("v", None))]);
    assert_eq!((next.orphaned, next.removed), (vec![], vec![]));
    for name in ["root", "child", "grandchild"] {
        let unit = &cluster.state.units[&key(name)];
        assert_eq!(unit.entries, before.units[&key(name)].entries, "{name}");
        assert_eq!(
            cluster.state.revision_of(unit).unwrap().commit(),
            "1",
            "{name}"
        );
        assert!(unit.problem.is_some(), "{name}");
    }
    assert_eq!(
        cluster.state.units[&key("root")].problem.as_deref(),
        Some("a.yaml:3: bad")
    );
    let other = &cluster.state.units[&key("other")];
    assert_eq!(cluster.state.revision_of(other).unwrap().commit(), "2");
    cluster.round("3", &[("root", failed()), ("other", rendered("v", None))]);
    let root = &cluster.state.units[&key("root")];
    assert_eq!(
        cluster.state.revision_of(root).unwrap().commit(),
        "1",
        "still the last good one"
    );
}

#[test]
fn a_new_unit_that_fails_is_told_and_not_sent() {
    let mut cluster = Cluster::new();
    let next = cluster.round("1", &[("root", failed())]);
    assert!(next.state.units.is_empty());
    assert_eq!(next.failed[&key("root")], "a.yaml:3: bad");
}

#[test]
fn a_unit_that_disappears_is_held_until_confirmed() {
    let mut cluster = Cluster::new();
    cluster.round(
        "1",
        &[("root", rendered("x", None)), ("gone", rendered("y", None))],
    );
    let next = cluster.round("2", &[("root", rendered("x", None))]);
    assert_eq!(next.orphaned, [key("gone")]);
    assert!(cluster.state.units.contains_key(&key("gone")));
    let next = cluster.round("3", &[("root", rendered("x", None))]);
    assert_eq!(next.orphaned, [], "said once");
    let hold = Hold {
        actor: "admin".into(),
        reason: "r".into(),
        since_ms: 1,
    };
    cluster.orphans.get_mut(&key("gone")).unwrap().confirmed = Some(hold);
    let next = cluster.round("3", &[("root", rendered("x", None))]);
    assert_eq!(next.removed, [key("gone")]);
    assert!(!cluster.state.units.contains_key(&key("gone")));
    assert!(cluster.orphans.is_empty());
}

#[test]
fn a_unit_that_comes_back_is_no_orphan_any_more() {
    let mut cluster = Cluster::new();
    cluster.round("1", &[("root", rendered("x", None))]);
    cluster.round("2", &[]);
    assert_eq!(cluster.orphans.len(), 1);
    cluster.round("3", &[("root", rendered("x", None))]);
    assert!(cluster.orphans.is_empty());
    assert_eq!(cluster.state.units[&key("root")].problem, None);
}

#[test]
fn what_could_not_be_read_orphans_nothing() {
    let mut cluster = Cluster::new();
    cluster.round("1", &[("root", rendered("x", None))]);
    cluster.incomplete = Some("fleet/a.yaml:1: bad");
    let next = cluster.round("2", &[]);
    assert_eq!(next.orphaned, []);
    let unit = &cluster.state.units[&key("root")];
    assert_eq!(unit.problem.as_deref(), Some("fleet/a.yaml:1: bad"));
}

#[test]
fn people_suspend_and_ask_for_reconciliation() {
    let mut cluster = Cluster::new();
    let set = UnitOverride {
        suspend: Some(Hold {
            actor: "a".into(),
            reason: "r".into(),
            since_ms: 1,
        }),
        requested_at: Some("now".into()),
        suspended_in_git: false,
    };
    cluster.overrides.units.insert(key("root"), set);
    cluster.round("1", &[("root", rendered("x", None))]);
    let spec = &cluster.state.units[&key("root")].spec;
    assert!(spec.suspend);
    assert_eq!(spec.requested_at.as_deref(), Some("now"));
    cluster.round("1", &[("root", failed())]);
    assert!(cluster.state.units[&key("root")].spec.suspend);
    cluster
        .overrides
        .units
        .get_mut(&key("root"))
        .unwrap()
        .suspend = None;
    cluster.round("1", &[("root", failed())]);
    assert!(
        !cluster.state.units[&key("root")].spec.suspend,
        "resumed while it cannot be rendered"
    );
}
