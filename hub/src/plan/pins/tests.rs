//! Tables over small fleets.

use super::*;
use crate::plan::{Freeze, Hold, Refusal, Request, Target, promote, release, rollback};

fn name(text: &str) -> ClusterName {
    text.parse().unwrap()
}

fn revision(text: &str) -> Revision {
    format!("main@sha1:{text}").parse().unwrap()
}

fn source() -> SourceKey {
    "GitRepository/flux-system/fleet".parse().unwrap()
}

/// A fleet whose pipeline is dev → staging (auto) → prod, with one cluster each.
struct Fleet {
    heads: BTreeMap<SourceKey, Revision>,
    follows: BTreeMap<ClusterName, BTreeSet<SourceKey>>,
    pipelines: Vec<Pipeline>,
    placements: Vec<Placed>,
    overrides: Overrides,
    sick: BTreeSet<ClusterName>,
    book: Book,
}

impl Fleet {
    fn new(with_pipeline: bool) -> Self {
        let names = ["dev", "staging", "prod"];
        let stage = |it: &str| Stage {
            name: it.into(),
            auto: it == "staging",
            clusters: [name(it)].into(),
        };
        let pipeline = Pipeline {
            name: "p".into(),
            source: source(),
            stages: names.map(stage).into(),
        };
        Self {
            heads: BTreeMap::new(),
            follows: names.map(|it| (name(it), [source()].into())).into(),
            pipelines: if with_pipeline {
                vec![pipeline]
            } else {
                Vec::new()
            },
            placements: Vec::new(),
            overrides: Overrides::default(),
            sick: BTreeSet::new(),
            book: Book::default(),
        }
    }

    fn with<T>(&mut self, run: impl FnOnce(&PinInput<'_>, &mut Book) -> T) -> T {
        let mut book = self.book.clone();
        let sick = self.sick.clone();
        let unmet = move |it: &ClusterName, _: &SourceKey| match sick.contains(it) {
            true => vec![format!("{it} is sick")],
            false => Vec::new(),
        };
        let input = PinInput {
            now_ms: 7,
            heads: &self.heads,
            follows: &self.follows,
            pipelines: &self.pipelines,
            placements: &self.placements,
            overrides: &self.overrides,
            unmet: &unmet,
            away: &|_| false,
        };
        let result = run(&input, &mut book);
        self.book = book;
        result
    }

    fn step(&mut self) -> [String; 3] {
        self.with(|input, book| *book = decide(input, book).book);
        ["dev", "staging", "prod"].map(|it| self.at(it))
    }

    fn commit(&mut self, text: &str) {
        self.heads.insert(source(), revision(text));
    }

    fn at(&self, cluster: &str) -> String {
        let pin = self
            .book
            .clusters
            .get(&name(cluster))
            .and_then(|it| it.get(&source()));
        let revision = pin.and_then(|it| it.revision.as_ref());
        revision.map_or("-".into(), |it| it.commit().to_owned())
    }
}

fn request(force: bool, reason: &str) -> Request {
    Request {
        actor: "admin".into(),
        reason: reason.into(),
        to: None,
        force,
    }
}

fn prod() -> EnvironmentKey {
    EnvironmentKey::new("p", "prod")
}

#[test]
fn without_a_pipeline_all_follow_the_source() {
    let mut fleet = Fleet::new(false);
    assert_eq!(fleet.step(), ["-", "-", "-"]);
    fleet.commit("1");
    assert_eq!(fleet.step(), ["1", "1", "1"]);
}

#[test]
fn a_revision_moves_on_when_it_is_healthy() {
    let mut fleet = Fleet::new(true);
    fleet.commit("1");
    fleet.sick = ["dev", "staging", "prod"].map(name).into();
    assert_eq!(fleet.step(), ["1", "-", "-"]);
    assert_eq!(fleet.step(), ["1", "-", "-"], "dev is not healthy yet");
    fleet.sick.remove(&name("dev"));
    assert_eq!(fleet.step(), ["1", "1", "-"], "staging is automatic");
    fleet.sick.clear();
    assert_eq!(fleet.step(), ["1", "1", "-"], "prod is not");
    let to = fleet.with(|input, book| promote(input, book, &prod(), &request(false, "")));
    assert_eq!(to, Ok(revision("1")));
    assert_eq!(fleet.step(), ["1", "1", "1"]);
    fleet.commit("2");
    assert_eq!(
        fleet.step(),
        ["2", "1", "1"],
        "what dev gets now is not proven by what it had"
    );
    assert_eq!(fleet.step(), ["2", "2", "1"]);
}

#[test]
fn promotion_needs_health_or_force_with_a_reason() {
    let mut fleet = Fleet::new(true);
    fleet.commit("1");
    fleet.step();
    fleet.step();
    fleet.sick = [name("staging")].into();
    let ask = |fleet: &mut Fleet, request: Request| {
        fleet.with(|input, book| promote(input, book, &prod(), &request))
    };
    let refused = ask(&mut fleet, request(false, "")).unwrap_err();
    assert!(refused.to_string().contains("staging is sick"), "{refused}");
    assert_eq!(ask(&mut fleet, request(true, "")), Err(Refusal::NoReason));
    assert_eq!(ask(&mut fleet, request(true, "outage")), Ok(revision("1")));
    let first = EnvironmentKey::new("p", "dev");
    let refused = fleet.with(|input, book| promote(input, book, &first, &request(false, "")));
    assert_eq!(refused, Err(Refusal::First("p/dev".into())));
}

#[test]
fn a_rollback_sticks_until_it_is_released() {
    let mut fleet = Fleet::new(true);
    fleet.commit("1");
    fleet.step();
    fleet.step();
    fleet.step();
    fleet.commit("2");
    fleet.step();
    fleet.step();
    assert_eq!(fleet.step(), ["2", "2", "-"]);
    let target = Target::Environment(EnvironmentKey::new("p", "staging"));
    let to = fleet.with(|input, book| rollback(input, book, &target, &request(false, "bad")));
    assert_eq!(to, Ok(revision("1")));
    assert_eq!(fleet.step(), ["2", "1", "-"]);
    fleet.commit("3");
    fleet.step();
    assert_eq!(fleet.step(), ["3", "1", "-"], "held");
    fleet
        .with(|input, book| release(input, book, &target))
        .unwrap();
    assert_eq!(fleet.step(), ["3", "3", "-"]);
    let again = fleet.with(|input, book| release(input, book, &target));
    assert!(matches!(again, Err(Refusal::NotHeld(_))));
}

#[test]
fn a_held_environment_proves_nothing() {
    let mut fleet = Fleet::new(true);
    fleet.commit("1");
    for _ in 0..3 {
        fleet.step();
    }
    let mut pin = fleet.book.environments[&EnvironmentKey::new("p", "dev")].clone();
    pin.move_to(revision("0"), 1, "", "");
    pin.hold = Some(Hold {
        actor: "a".into(),
        reason: "r".into(),
        since_ms: 1,
    });
    fleet
        .book
        .environments
        .insert(EnvironmentKey::new("p", "dev"), pin);
    fleet.step();
    assert_eq!(
        fleet.step(),
        ["0", "1", "-"],
        "staging does not go backwards"
    );
}

#[test]
fn what_is_frozen_does_not_move() {
    for scope in ["*", "dev"] {
        let mut fleet = Fleet::new(false);
        fleet.commit("1");
        fleet.step();
        let freeze = Freeze {
            actor: "a".into(),
            reason: "r".into(),
            since_ms: 1,
        };
        fleet.overrides.freezes.insert(scope.into(), freeze);
        fleet.commit("2");
        let rest = if scope == "*" { "1" } else { "2" };
        assert_eq!(fleet.step(), ["1", rest, rest]);
    }
}

#[test]
fn a_pipeline_over_a_running_fleet_moves_nothing_by_itself() {
    let mut fleet = Fleet::new(false);
    fleet.commit("1");
    fleet.step();
    fleet.pipelines = Fleet::new(true).pipelines;
    fleet.sick = [name("dev")].into();
    fleet.commit("2");
    assert_eq!(fleet.step(), ["2", "1", "1"]);
    assert_eq!(
        fleet.book.environments[&prod()].revision,
        Some(revision("1"))
    );
}

#[test]
fn only_so_many_change_at_once() {
    let mut fleet = Fleet::new(false);
    fleet.commit("1");
    fleet.step();
    let clusters = ["dev", "staging", "prod"].map(name).into();
    fleet.placements = vec![Placed {
        clusters,
        max_concurrent: Some(1),
    }];
    fleet.commit("2");
    assert_eq!(fleet.step(), ["2", "1", "1"], "in order of their names");
    fleet.sick = [name("dev")].into();
    assert_eq!(fleet.step(), ["2", "1", "1"]);
    fleet.sick.clear();
    assert_eq!(fleet.step(), ["2", "1", "2"]);
}

#[test]
fn an_environment_is_proven_only_when_all_its_clusters_have_moved() {
    let mut fleet = Fleet::new(true);
    fleet.pipelines[0].stages[0].clusters = ["dev", "prod"].map(name).into();
    fleet.pipelines[0].stages[2].clusters.clear();
    fleet.commit("1");
    fleet.step();
    assert_eq!(fleet.step(), ["1", "1", "1"]);
    fleet.placements = vec![Placed {
        clusters: ["dev", "prod"].map(name).into(),
        max_concurrent: Some(1),
    }];
    fleet.commit("2");
    assert_eq!(fleet.step(), ["2", "1", "1"], "one of two");
    assert_eq!(fleet.step(), ["2", "1", "2"], "staging waits for both");
    assert_eq!(fleet.step(), ["2", "2", "2"]);
}

#[test]
fn what_was_promoted_is_healthy_only_when_its_clusters_have_it() {
    let mut fleet = Fleet::new(true);
    fleet.commit("1");
    for _ in 0..3 {
        fleet.step();
    }
    let ask = |fleet: &mut Fleet| {
        fleet.with(|input, book| promote(input, book, &prod(), &request(false, "")))
    };
    ask(&mut fleet).unwrap();
    fleet.step();
    fleet.step();
    fleet.commit("2");
    for _ in 0..3 {
        fleet.step();
    }
    ask(&mut fleet).unwrap();
    fleet.step();
    fleet.sick = [name("prod")].into();
    fleet.step();
    let healthy = &fleet.book.environments[&prod()].healthy;
    assert_eq!(*healthy, [revision("1")], "2 never was");
}
