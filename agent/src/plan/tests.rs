//! Stories of one object each.

use capstan_core::{Health, inventory::OwnFields};

use super::*;

fn unit() -> UnitKey {
    "dev/Kustomization/flux-system/apps".parse().unwrap()
}

fn key() -> ObjectKey {
    "ConfigMap/a/settings".parse().unwrap()
}

fn wanted(content: &str) -> Wanted {
    Wanted {
        key: key(),
        version: "v1".into(),
        digest: Digest::of(content.as_bytes()),
        sensitive: false,
        switches: Switches::default(),
        completed: None,
        refused: None,
    }
}

fn owned(content: &str, own: u64) -> UnitInventory {
    let owned = Owned {
        version: "v1".into(),
        uid: Some("u".into()),
        applied: Some(Digest::of(content.as_bytes())),
        own: Some(OwnFields(own)),
    };
    UnitInventory {
        objects: [(key(), owned)].into(),
        ..UnitInventory::default()
    }
}

fn seen(own: u64) -> Seen {
    Seen {
        uid: "u".into(),
        resource_version: "7".into(),
        owner: Some(Box::new(("flux-system".into(), "apps".into()))),
        own: Some(OwnFields(own)),
        take_over: false,
        switches: Switches::default(),
        health: Health::Current,
        message: "".into(),
    }
}

fn check(wanted: &Wanted, inventory: &UnitInventory, sight: Sight, mode: DriftMode) -> String {
    let set = plan(&PlanInput {
        unit: &unit(),
        wanted: std::slice::from_ref(wanted),
        inventory,
        sight: |_: &ObjectKey| sight.clone(),
        mode,
    });
    let applies: Vec<String> = set
        .stages
        .iter()
        .flatten()
        .map(|it| {
            let take_over = if it.take_over { " taking over" } else { "" };
            format!("apply {:?}{take_over}", it.why)
        })
        .collect();
    let drifted = set.drifted.iter().map(|_| "drifted".to_owned());
    let unknown = set.unknown.iter().map(|_| "unknown".to_owned());
    let refused = set.refused.iter().map(|it| format!("refused {}", it.1));
    let all: Vec<String> = applies
        .into_iter()
        .chain(drifted)
        .chain(unknown)
        .chain(refused)
        .collect();
    all.join(", ")
}

#[test]
fn what_is_as_it_was_left_costs_nothing() {
    let correct = DriftMode::Correct;
    let present = |own| Sight::Present(seen(own));
    assert_eq!(check(&wanted("1"), &owned("1", 5), present(5), correct), "");
    assert_eq!(
        check(&wanted("2"), &owned("1", 5), present(5), correct),
        "apply Content"
    );
    assert_eq!(
        check(&wanted("1"), &owned("1", 5), present(6), correct),
        "apply Drift"
    );
    assert_eq!(
        check(&wanted("1"), &owned("1", 5), Sight::Absent, correct),
        "apply Drift"
    );
    assert_eq!(
        check(
            &wanted("1"),
            &UnitInventory::default(),
            Sight::Absent,
            correct
        ),
        "apply Content"
    );
    assert_eq!(
        check(&wanted("1"), &owned("1", 5), Sight::Unlisted, correct),
        "unknown"
    );
    let blind = Sight::Blind("forbidden".into());
    assert_eq!(
        check(&wanted("1"), &owned("1", 5), blind.clone(), correct),
        ""
    );
    assert_eq!(
        check(&wanted("2"), &owned("1", 5), blind, correct),
        "apply Content"
    );
}

#[test]
fn warn_leaves_drift_and_applies_content() {
    let warn = DriftMode::Warn;
    let drifted = Sight::Present(seen(6));
    assert_eq!(
        check(&wanted("1"), &owned("1", 5), drifted.clone(), warn),
        "drifted"
    );
    assert_eq!(
        check(&wanted("2"), &owned("1", 5), drifted, warn),
        "apply Content"
    );
}

#[test]
fn switches_are_obeyed() {
    let correct = DriftMode::Correct;
    let with = |apply, leave| Switches {
        apply,
        leave,
        ..Switches::default()
    };
    let mut ignored = wanted("2");
    ignored.switches = with(ApplyPolicy::Ignore, false);
    assert_eq!(check(&ignored, &owned("1", 5), Sight::Absent, correct), "");
    let mut once = wanted("2");
    once.switches = with(ApplyPolicy::IfNotPresent, false);
    assert_eq!(
        check(&once, &owned("1", 5), Sight::Present(seen(6)), correct),
        ""
    );
    assert_eq!(
        check(&once, &UnitInventory::default(), Sight::Absent, correct),
        "apply Content"
    );
    let mut left = seen(6);
    left.switches.leave = true;
    assert_eq!(
        check(&wanted("2"), &owned("1", 5), Sight::Present(left), correct),
        ""
    );
    let mut kubectl = seen(5);
    kubectl.take_over = true;
    assert_eq!(
        check(
            &wanted("1"),
            &owned("1", 5),
            Sight::Present(kubectl.clone()),
            correct
        ),
        "apply Drift taking over"
    );
    let mut merged = wanted("1");
    merged.switches = with(ApplyPolicy::Merge, false);
    assert_eq!(
        check(&merged, &owned("1", 5), Sight::Present(kubectl), correct),
        ""
    );
}

#[test]
fn an_object_that_another_unit_labelled_is_taken_back() {
    let mut other = seen(5);
    other.owner = Some(Box::new(("flux-system".into(), "other".into())));
    assert_eq!(
        check(
            &wanted("1"),
            &owned("1", 5),
            Sight::Present(other),
            DriftMode::Correct
        ),
        "apply Drift"
    );
}

fn prune(sight: Sight, handed_over: bool) -> String {
    let plan = plan_prune(
        &unit(),
        &owned("1", 5),
        |_| false,
        |_| handed_over,
        |_| sight.clone(),
    );
    format!(
        "delete {} forget {} unknown {}",
        plan.delete.len(),
        plan.forget.len(),
        plan.unknown.len()
    )
}

#[test]
fn only_what_is_known_to_be_ours_is_deleted() {
    let delete = "delete 1 forget 0 unknown 0";
    let forget = "delete 0 forget 1 unknown 0";
    let unknown = "delete 0 forget 0 unknown 1";
    assert_eq!(prune(Sight::Present(seen(5)), false), delete);
    assert_eq!(
        prune(Sight::Present(seen(6)), false),
        delete,
        "drift does not save it"
    );
    assert_eq!(prune(Sight::Present(seen(5)), true), forget);
    assert_eq!(prune(Sight::Absent, false), forget);
    assert_eq!(prune(Sight::Unlisted, false), unknown);
    assert_eq!(prune(Sight::Blind("down".into()), false), unknown);
    let mut other = seen(5);
    other.owner = None;
    assert_eq!(prune(Sight::Present(other), false), forget);
    let mut kept = seen(5);
    kept.switches.keep = true;
    assert_eq!(prune(Sight::Present(kept), false), forget);
}
