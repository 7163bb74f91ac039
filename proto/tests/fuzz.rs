//! Messages that were damaged on the way, or made up: they are refused, or what is read of them can be sent on as it is.

#![allow(clippy::unwrap_used, reason = "a test file: a panic is the report")]

use std::{collections::BTreeMap, sync::Arc};

use capstan_core::{
    Counts, Delta, DesiredState, Digest, Entry, Event, Generation, Health, MediaType, ObjectKey,
    ObjectReport, Origin, Phase, Role, Severity, Source, StoreEpoch, Substitution, Unit, UnitKey,
    UnitReport, UnitSpec, VariableSource, VariableSourceKind,
};
use capstan_proto::{SnapshotAssembly, snapshot_chunks, v1};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;
use prost::Message;

fn object(name: &str) -> ObjectKey {
    ObjectKey {
        group: "apps".into(),
        kind: "Deployment".into(),
        namespace: "shop".into(),
        name: name.into(),
    }
}

fn unit_key(name: &str) -> UnitKey {
    format!("dev/Kustomization/flux-system/{name}")
        .parse()
        .unwrap()
}

fn unit() -> Arc<Unit> {
    let entry = Entry {
        key: object("web"),
        version: "v1".into(),
        role: Role::Crd,
        media_type: MediaType::Text,
        sensitive: true,
        digest: Digest::of(b"web"),
        bytes: 8,
        path: "web.yaml".into(),
    };
    let variable = VariableSource {
        kind: VariableSourceKind::Secret,
        name: "domain".into(),
        optional: true,
    };
    let substitution = Substitution {
        variables: BTreeMap::from([("region".into(), "eu".into())]),
        from: vec![variable],
        always: true,
    };
    let parent = Origin::Parent {
        unit: unit_key("flux-system"),
    };
    let unit = Unit {
        digest: Digest::of(b""),
        spec: UnitSpec {
            substitution: Some(substitution),
            ..UnitSpec::default()
        },
        origin: parent,
        source: "GitRepository/flux-system/fleet".parse().unwrap(),
        held_at: Some("main@sha1:0".parse().unwrap()),
        problem: Some("bad".into()),
        entries: vec![entry].into(),
    };
    Arc::new(unit.seal())
}

fn state() -> DesiredState {
    let source = Source {
        revision: "main@sha1:1".parse().unwrap(),
    };
    let fleet = "GitRepository/flux-system/fleet".parse().unwrap();
    DesiredState {
        epoch: StoreEpoch([3; 16]),
        generation: Generation(9),
        sources: BTreeMap::from([(fleet, source)]),
        units: BTreeMap::from([(unit_key("apps"), unit())]),
    }
}

fn report() -> UnitReport {
    let web = ObjectReport {
        key: object("web"),
        version: "v1".into(),
        health: Health::InProgress,
        drifted: true,
        message: "1 of 2".into(),
    };
    UnitReport {
        key: unit_key("apps"),
        digest: Digest::of(b"apps"),
        applied_revision: Some("main@sha1:0".parse().unwrap()),
        attempted_revision: Some("main@sha1:1".parse().unwrap()),
        phase: Phase::ALL[0],
        message: "waits".into(),
        since_ms: 7,
        counts: Counts::default(),
        confirm: Some(Digest::of(b"confirm")),
        objects: vec![web],
    }
}

fn event() -> Event {
    Event {
        time_ms: 7,
        severity: Severity::Warning,
        reason: "Drift".into(),
        unit: Some(unit_key("apps")),
        object: Some(object("web")),
        message: "put back".into(),
    }
}

/// Bytes that are overwritten, and where the rest is cut off, mostly nowhere.
type Damage = (Vec<(Index, u8)>, Option<Index>);

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = proptest::collection::vec(any::<(Index, u8)>(), 0..4);
    (bytes, proptest::option::weighted(0.1, any::<Index>()))
}

/// The message as it arrives, where it still is one.
fn damaged<M: Message + Default>(message: &M, (changes, cut): &Damage) -> Option<M> {
    let mut bytes = message.encode_to_vec();
    for (place, byte) in changes {
        let place = place.index(bytes.len());
        bytes[place] = *byte;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
    M::decode(&*bytes).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, max_shrink_iters: 512, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_snapshot_is_refused_or_read(damage in damage()) {
        let chunk = snapshot_chunks(&state()).remove(0);
        let read = damaged(&chunk, &damage).map(|it| SnapshotAssembly::default().push(it));
        if let Some(Ok(Some((state, _)))) = read {
            let mut assembly = SnapshotAssembly::default();
            let again = snapshot_chunks(&state).into_iter().map(|it| assembly.push(it).unwrap());
            prop_assert_eq!(again.last().unwrap().map(|it| it.0), Some(state));
        }
    }

    #[test]
    fn a_damaged_delta_is_refused_or_read(damage in damage()) {
        let state = state();
        let older = DesiredState { generation: Generation(3), units: BTreeMap::from([(unit_key("old"), unit())]), ..DesiredState::empty(state.epoch) };
        let delta = v1::Delta::from(&older.delta(&state));
        if let Some(Ok(delta)) = damaged(&delta, &damage).map(Delta::try_from) {
            prop_assert_eq!(Delta::try_from(v1::Delta::from(&delta)).unwrap(), delta);
        }
    }

    #[test]
    fn a_damaged_report_is_refused_or_read(damage in damage()) {
        if let Some(Ok(report)) = damaged(&v1::UnitReport::from(&report()), &damage).map(UnitReport::try_from) {
            prop_assert_eq!(UnitReport::try_from(v1::UnitReport::from(&report)).unwrap(), report);
        }
        if let Some(Ok(event)) = damaged(&v1::Event::from(&event()), &damage).map(Event::try_from) {
            prop_assert_eq!(Event::try_from(v1::Event::from(&event)).unwrap(), event);
        }
    }
}
