//! Conversations, one by one and at random, with an agent that keeps the rules and a network that does not.

use std::collections::BTreeMap;

use capstan_core::{DesiredState, Entries, Origin, Source, Unit, UnitSpec};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

fn state(generation: u64, names: &[u8]) -> Arc<DesiredState> {
    let unit = Unit {
        digest: Digest::of(b""),
        spec: UnitSpec::default(),
        origin: Origin::FleetPath,
        source: "GitRepository/flux-system/fleet".parse().unwrap(),
        held_at: None,
        problem: None,
        entries: Entries::default(),
    }
    .seal();
    let key = |it: &u8| format!("dev/Kustomization/a/u{it}").parse().unwrap();
    let source = Source {
        revision: format!("main@sha1:{generation}").parse().unwrap(),
    };
    Arc::new(DesiredState {
        epoch: StoreEpoch([1; 16]),
        generation: Generation(generation),
        sources: BTreeMap::from([("GitRepository/flux-system/fleet".parse().unwrap(), source)]),
        units: names
            .iter()
            .map(|it| (key(it), Arc::new(unit.clone())))
            .collect(),
    })
}

fn hello(held: Option<Held>) -> Event {
    Event::Hello {
        protocol: (1, 1),
        held,
        refused: None,
    }
}

fn nothing(_: &Held) -> Option<Arc<DesiredState>> {
    None
}

#[test]
fn a_new_agent_gets_everything_and_then_what_changes() {
    let mut session = Session::new(0, 1_000);
    let (one, two) = (state(1, &[1]), state(2, &[1, 2]));
    assert_eq!(session.step(0, Event::Desired(one.clone()), &nothing), []);
    let effects = session.step(0, hello(None), &nothing);
    assert!(matches!(
        effects[0],
        Effect::Welcome {
            mode: Mode::Full,
            ..
        }
    ));
    assert_eq!(effects[1], Effect::Snapshot(one.clone()));
    assert_eq!(
        session.step(1, Event::Desired(two.clone()), &nothing),
        [],
        "one at a time"
    );
    let received = Event::Received {
        generation: one.generation,
        root: one.root(),
    };
    let effects = session.step(2, received, &nothing);
    assert_eq!(
        effects,
        [
            Effect::Holds(Held::of(&one)),
            Effect::Delta(one.delta(&two))
        ]
    );
}

#[test]
fn an_agent_that_holds_the_newest_is_told_so() {
    let one = state(1, &[1]);
    let mut session = Session::new(0, 1_000);
    session.step(0, Event::Desired(one.clone()), &nothing);
    let effects = session.step(0, hello(Some(Held::of(&one))), &nothing);
    assert!(matches!(
        effects[..],
        [
            Effect::Welcome {
                mode: Mode::UpToDate,
                ..
            },
            Effect::Holds(_)
        ]
    ));
}

#[test]
fn an_agent_without_a_state_waits() {
    let mut session = Session::new(0, 1_000);
    let effects = session.step(0, hello(None), &nothing);
    assert_eq!(
        effects,
        [Effect::Welcome {
            protocol: 1,
            mode: Mode::Hold
        }]
    );
    let effects = session.step(1, Event::Desired(state(1, &[])), &nothing);
    assert!(matches!(effects[..], [Effect::Snapshot(_)]));
}

#[test]
fn a_delta_that_does_not_fit_becomes_a_snapshot() {
    let (one, two) = (state(1, &[1]), state(2, &[2]));
    let mut session = Session::new(0, 1_000);
    session.step(0, Event::Desired(two.clone()), &nothing);
    let known = |_: &Held| Some(one.clone());
    let effects = session.step(0, hello(Some(Held::of(&one))), &known);
    assert!(matches!(effects[1], Effect::Delta(_)));
    let refused = |reason| Event::Refused {
        generation: two.generation,
        reason,
    };
    let effects = session.step(1, refused(Reason::NeedSnapshot), &nothing);
    assert_eq!(effects, [Effect::Snapshot(two.clone())]);
    assert_eq!(
        session.step(2, refused(Reason::Blobs), &nothing),
        [],
        "tried again later"
    );
    assert_eq!(session.step(500, Event::Tick, &nothing), []);
    session.step(RETRY_MS + 2, Event::Heard, &nothing);
    let effects = session.step(RETRY_MS + 3, Event::Tick, &nothing);
    assert_eq!(effects, [], "it was sent when the agent was heard again");
    assert!(session.sent.is_some());
}

#[test]
fn a_session_is_due_when_something_is_tried_again_or_given_up() {
    let one = state(1, &[1]);
    let mut session = Session::new(0, 1_000_000);
    let silent = 3_000_001;
    assert_eq!(session.due_ms(), silent);
    session.step(0, Event::Desired(one.clone()), &nothing);
    session.step(0, hello(None), &nothing);
    assert_eq!(session.due_ms(), RECEIVE_TIMEOUT_MS + 1);
    let refused = Event::Refused {
        generation: one.generation,
        reason: Reason::Blobs,
    };
    session.step(5, refused, &nothing);
    assert_eq!(session.due_ms(), 5 + RETRY_MS);
    let effects = session.step(5 + RETRY_MS, Event::Tick, &nothing);
    assert!(matches!(effects[..], [Effect::Snapshot(_)]));
    let received = Event::Received {
        generation: one.generation,
        root: one.root(),
    };
    session.step(20_000, received, &nothing);
    assert_eq!(session.due_ms(), 20_000 + silent, "nothing but silence");
}

#[test]
fn what_breaks_the_rules_is_closed() {
    let closed = |effects: &[Effect]| match effects {
        [Effect::Close { code, .. }] => Some(*code),
        _ => None,
    };
    let mut session = Session::new(0, 1_000);
    assert_eq!(
        closed(&session.step(0, Event::Heard, &nothing)),
        Some(Close::Protocol)
    );
    let mut session = Session::new(0, 1_000);
    let newer = Event::Hello {
        protocol: (9, 10),
        held: None,
        refused: None,
    };
    assert_eq!(
        closed(&session.step(0, newer, &nothing)),
        Some(Close::Protocol)
    );
    let mut session = Session::new(0, 1_000);
    let other = Event::Hello {
        protocol: (1, 1),
        held: None,
        refused: Some("other".into()),
    };
    assert_eq!(
        closed(&session.step(0, other, &nothing)),
        Some(Close::Identity)
    );
    let mut session = Session::new(0, 1_000);
    session.step(0, hello(None), &nothing);
    assert_eq!(closed(&session.step(3_000, Event::Tick, &nothing)), None);
    assert_eq!(
        closed(&session.step(3_001, Event::Tick, &nothing)),
        Some(Close::Silent)
    );
    let mut session = Session::new(0, 1_000);
    session.step(0, hello(None), &nothing);
    assert_eq!(
        closed(&session.step(0, hello(None), &nothing)),
        Some(Close::Protocol)
    );
}

/// An agent that keeps the rules: it takes what fits and refuses what does not.
struct Agent {
    state: Option<DesiredState>,
}

impl Agent {
    fn take(&mut self, effect: &Effect) -> Option<Event> {
        let (generation, next) = match effect {
            Effect::Snapshot(state) => (state.generation, Some((**state).clone())),
            Effect::Delta(delta) => {
                let next = self.state.as_ref().and_then(|it| it.apply(delta));
                (delta.to, next)
            }
            _ => return None,
        };
        let Some(next) = next else {
            return Some(Event::Refused {
                generation,
                reason: Reason::NeedSnapshot,
            });
        };
        if let Some(old) = &self.state {
            assert!(
                old.generation <= next.generation,
                "no generation goes backwards"
            );
        }
        let received = Event::Received {
            generation,
            root: next.root(),
        };
        self.state = Some(next);
        Some(received)
    }
}

/// Time passes, and the session is woken when it is due and at no other time.
fn pass(session: &mut Session, mut now: u64, until: u64) -> Vec<Effect> {
    let mut effects = Vec::new();
    while session.due_ms() <= until {
        now = now.max(session.due_ms());
        effects.extend(session.step(now, Event::Tick, &nothing));
        assert!(session.due_ms() > now, "a session does not spin");
    }
    effects
}

#[derive(Clone, Debug)]
enum Step {
    Change(Vec<u8>),
    /// The agent reads and answers what has arrived.
    Work,
    /// The agent's answers are lost with the stream, and it dials again; with or without what it kept.
    Reconnect {
        forgets: bool,
        hub_forgets: bool,
    },
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        proptest::collection::vec(0_u8..6, 0..4).prop_map(Step::Change),
        Just(Step::Work),
        (any::<bool>(), any::<bool>()).prop_map(|(forgets, hub_forgets)| Step::Reconnect {
            forgets,
            hub_forgets
        }),
        (0_u64..20_000).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_agent_ends_with_the_newest(steps in steps()) {
        let heartbeat = 1_000_000_000;
        let mut now = 0;
        let mut states = vec![state(1, &[])];
        let mut agent = Agent { state: None };
        let mut session = Session::new(now, heartbeat);
        let mut inbox: Vec<Effect> = Vec::new();
        let mut known: Vec<Arc<DesiredState>> = Vec::new();
        let find = |known: &[Arc<DesiredState>], held: &Held| {
            known.iter().find(|it| Held::of(it) == *held).cloned()
        };
        inbox.extend(session.step(now, Event::Desired(states[0].clone()), &nothing));
        inbox.extend(session.step(now, hello(None), &nothing));
        let work = |session: &mut Session, agent: &mut Agent, inbox: &mut Vec<Effect>, now: u64| {
            for effect in std::mem::take(inbox) {
                if let Some(answer) = agent.take(&effect) {
                    let more = session.step(now, answer, &nothing);
                    let under_way = more.iter().filter(|it| matches!(it, Effect::Delta(_) | Effect::Snapshot(_)));
                    assert!(under_way.count() <= 1);
                    inbox.extend(more);
                }
            }
        };
        for step in steps {
            match step {
                Step::Change(names) => {
                    let next = state(states.len() as u64 + 1, &names);
                    states.push(next.clone());
                    known.push(next.clone());
                    inbox.extend(session.step(now, Event::Desired(next), &nothing));
                }
                Step::Work => work(&mut session, &mut agent, &mut inbox, now),
                Step::Reconnect { forgets, hub_forgets } => {
                    if forgets {
                        agent.state = None;
                    }
                    if hub_forgets {
                        known.clear();
                    }
                    inbox.clear();
                    session = Session::new(now, heartbeat);
                    let newest = states.last().unwrap().clone();
                    inbox.extend(session.step(now, Event::Desired(newest), &nothing));
                    let held = agent.state.as_ref().map(Held::of);
                    inbox.extend(session.step(now, hello(held), &|it| find(&known, it)));
                }
                Step::Wait(ms) => {
                    inbox.extend(pass(&mut session, now, now + ms));
                    now += ms;
                }
            }
        }
        for _ in 0..10 {
            inbox.extend(pass(&mut session, now, now + RETRY_MS));
            now += RETRY_MS;
            work(&mut session, &mut agent, &mut inbox, now);
        }
        prop_assert_eq!(agent.state.as_ref(), states.last().map(|it| &**it));
    }
}
