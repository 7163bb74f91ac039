//! Reports fold into one word per unit.

use capstan_core::{Counts, Digest, Entries, Origin, Source, StoreEpoch, Unit, UnitSpec};

use super::*;

fn name() -> ClusterName {
    "dev".parse().unwrap()
}

fn source() -> SourceKey {
    "GitRepository/flux-system/fleet".parse().unwrap()
}

fn key() -> UnitKey {
    "dev/Kustomization/flux-system/apps".parse().unwrap()
}

fn unit(problem: Option<&str>) -> Unit {
    Unit {
        digest: Digest::of(b""),
        spec: UnitSpec::default(),
        origin: Origin::FleetPath,
        source: source(),
        held_at: None,
        problem: problem.map(ToOwned::to_owned),
        entries: Entries::default(),
    }
    .seal()
}

fn cluster(unit: Unit) -> ClusterView {
    let mut state = DesiredState::empty(StoreEpoch([0; 16]));
    let revision = "main@sha1:1".parse().unwrap();
    state.sources.insert(source(), Source { revision });
    state.units.insert(key(), Arc::new(unit));
    let uid = "3e1f0c3a-5a0e-4c55-9e0b-0d2b2a3f7c11".parse().unwrap();
    let mut view = ClusterView::new(uid);
    view.desired = Some(Arc::new(state));
    view.link = Link::Connected { since_ms: 1 };
    view
}

fn report(digest: Digest, phase: Phase) -> Report {
    let unit = UnitReport {
        key: key(),
        digest,
        applied_revision: None,
        attempted_revision: None,
        phase,
        message: "because".into(),
        since_ms: 3,
        counts: Counts::default(),
        confirm: None,
        objects: Vec::new(),
    };
    Report {
        units: vec![unit],
        gone: Vec::new(),
        full: false,
        paused: None,
    }
}

#[test]
fn healthy_is_what_the_agent_said_of_exactly_this_content() {
    let mut view = cluster(unit(None));
    assert_eq!(unit_state(&view, &key()).word, "Pending");
    assert_eq!(view.unmet(&name(), &source()).len(), 1);
    view.report(&name(), report(Digest::of(b"older"), Phase::Healthy), 4);
    assert_eq!(unit_state(&view, &key()).word, "Outdated");
    assert_eq!(view.unmet(&name(), &source()).len(), 1);
    let digest = unit(None).digest;
    view.report(&name(), report(digest, Phase::Applied), 4);
    assert_eq!(
        view.unmet(&name(), &source()),
        ["dev/Kustomization/flux-system/apps is Applied"]
    );
    view.report(&name(), report(digest, Phase::Healthy), 4);
    assert_eq!(unit_state(&view, &key()).word, "Healthy");
    assert_eq!(cluster_conditions(&view)[0].status, "True");
    assert!(view.unmet(&name(), &source()).is_empty());
    view.link = Link::Lost { since_ms: 5 };
    assert_eq!(unit_state(&view, &key()).word, "Unknown");
    assert_eq!(
        view.unmet(&name(), &source()),
        ["cluster dev is not connected"]
    );
}

#[test]
fn a_unit_that_cannot_be_rendered_is_never_healthy() {
    let broken = unit(Some("a.yaml:3: bad"));
    let digest = broken.digest;
    let mut view = cluster(broken);
    view.report(&name(), report(digest, Phase::Healthy), 4);
    let state = unit_state(&view, &key());
    assert_eq!(state.word, "RenderFailed");
    assert!(state.conditions[0].message.starts_with("a.yaml:3: bad"));
    assert_eq!(view.unmet(&name(), &source()).len(), 1);
}

#[test]
fn an_agent_speaks_only_of_its_own_units() {
    let mut view = cluster(unit(None));
    let other = "prod".parse().unwrap();
    view.report(&other, report(unit(None).digest, Phase::Healthy), 4);
    assert!(view.units.is_empty());
}

#[test]
fn a_full_report_replaces_what_was_known() {
    let mut view = cluster(unit(None));
    view.report(&name(), report(unit(None).digest, Phase::Healthy), 4);
    let full = Report {
        units: Vec::new(),
        gone: Vec::new(),
        full: true,
        paused: Some("lunch".into()),
    };
    view.report(&name(), full, 5);
    assert!(view.units.is_empty());
    assert_eq!(view.unmet(&name(), &source()).len(), 1);
}
