//! The session against a model of the hub: scripted tables, and a seeded simulation with losses, restarts of both sides
//! and failing blobs, with its invariants checked after every event.

use std::collections::VecDeque;

use capstan_core::{Entries, Origin, Source, Unit, UnitSpec};
use capstan_proto::snapshot_chunks;

use super::*;

fn epoch(seed: u8) -> StoreEpoch {
    StoreEpoch([seed; 16])
}

fn state(seed: u8, generation: u64, units: &[(u8, u64)]) -> DesiredState {
    let source: capstan_core::SourceKey = "GitRepository/flux-system/fleet".parse().unwrap();
    let unit = |content: u64| {
        Unit {
            digest: Digest::of(b""),
            spec: UnitSpec {
                requested_at: Some(content.to_string()),
                ..UnitSpec::default()
            },
            origin: Origin::FleetPath,
            source: source.clone(),
            held_at: None,
            problem: None,
            entries: Entries::default(),
        }
        .seal()
    };
    let key = |name: u8| format!("dev/Kustomization/a/u{name}").parse().unwrap();
    DesiredState {
        epoch: epoch(seed),
        generation: Generation(generation),
        sources: [(
            source.clone(),
            Source {
                revision: format!("main@sha1:{generation}").parse().unwrap(),
            },
        )]
        .into(),
        units: units
            .iter()
            .map(|(name, content)| (key(*name), Arc::new(unit(*content))))
            .collect(),
    }
}

fn welcome(hub: &str) -> FromHub {
    FromHub::Welcome(v1::Welcome {
        protocol: PROTOCOL.1,
        hub_id: hub.into(),
        cluster_name: "dev".into(),
        ..v1::Welcome::default()
    })
}

fn hear(session: &mut Session, message: FromHub) -> Vec<Effect> {
    session.step(Event::Message {
        message,
        clock_ms: 1,
    })
}

fn connected(session: &mut Session) {
    session.step(Event::Connected(Greeting::default()));
    hear(session, welcome("hub"));
}

/// Plays a snapshot, blobs included, and gives what is said to the hub.
fn take(session: &mut Session, state: &DesiredState) -> Vec<String> {
    let mut said = Vec::new();
    for chunk in snapshot_chunks(state) {
        for effect in hear(session, FromHub::Snapshot(chunk)) {
            said.push(show(&effect));
            if let Effect::Fetch { state, .. } = effect {
                let kept = session.step(Event::Kept { root: state.root() });
                said.extend(kept.iter().map(show));
            }
        }
    }
    said
}

fn show(effect: &Effect) -> String {
    match effect {
        Effect::Send(ToHub::Received(it)) => format!("received {}", it.generation),
        Effect::Send(ToHub::Refused(it)) => {
            format!("refused {} {:?}", it.generation, it.reason())
        }
        Effect::Fetch { state, .. } => format!("fetch {}", state.generation),
        Effect::Adopt {
            state,
            trusted_epoch,
        } => {
            let trust = if *trusted_epoch == state.epoch {
                ""
            } else {
                " without removing"
            };
            format!("adopt {}{trust}", state.generation)
        }
        Effect::Close(reason) => format!("close: {reason}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_snapshot_is_adopted_when_its_blobs_are_kept() {
    let mut session = Session::default();
    connected(&mut session);
    let state = state(1, 3, &[(1, 1)]);
    assert_eq!(
        take(&mut session, &state),
        ["fetch 3", "adopt 3", "received 3"]
    );
    assert_eq!(session.held(), Some((Generation(3), state.root())));
}

#[test]
fn a_delta_that_does_not_fit_asks_for_a_snapshot() {
    let mut session = Session::default();
    connected(&mut session);
    let (a, b, c) = (
        state(1, 1, &[(1, 1)]),
        state(1, 2, &[(1, 2)]),
        state(1, 3, &[(1, 3)]),
    );
    take(&mut session, &a);
    let effects = hear(&mut session, FromHub::Delta((&b.delta(&c)).into()));
    assert_eq!(show(&effects[0]), "refused 3 NeedSnapshot");
    let effects = hear(&mut session, FromHub::Delta((&a.delta(&b)).into()));
    assert_eq!(show(&effects[0]), "fetch 2");
}

#[test]
fn blobs_that_cannot_be_had_leave_what_is_held() {
    let mut session = Session::default();
    connected(&mut session);
    let (a, b) = (state(1, 1, &[(1, 1)]), state(1, 2, &[(1, 2)]));
    take(&mut session, &a);
    hear(&mut session, FromHub::Delta((&a.delta(&b)).into()));
    let effects = session.step(Event::NotKept {
        root: b.root(),
        message: "no".into(),
    });
    assert_eq!(show(&effects[0]), "refused 2 Blobs");
    assert_eq!(session.held(), Some((Generation(1), a.root())));
}

#[test]
fn generations_never_go_down_and_never_mean_two_things() {
    let mut session = Session::default();
    connected(&mut session);
    take(&mut session, &state(1, 5, &[(1, 1)]));
    assert_eq!(
        take(&mut session, &state(1, 4, &[(1, 1)])),
        ["refused 4 Generation"]
    );
    assert_eq!(
        take(&mut session, &state(1, 5, &[(2, 9)])),
        ["refused 5 Invalid"]
    );
}

#[test]
fn another_epoch_removes_nothing_until_it_is_confirmed() {
    let mut session = Session::default();
    connected(&mut session);
    take(&mut session, &state(1, 5, &[(1, 1)]));
    let restored = state(2, 1, &[]);
    assert_eq!(
        take(&mut session, &restored),
        [
            "fetch 1",
            "adopt 1 without removing",
            "received 1",
            "refused 1 Epoch"
        ]
    );
    let command = |epoch: StoreEpoch| {
        FromHub::Command(v1::Command {
            id: String::new(),
            command: Some(v1::command::Command::ConfirmEpoch(epoch.to_string())),
        })
    };
    assert!(
        hear(&mut session, command(epoch(3))).is_empty(),
        "another epoch was confirmed"
    );
    let effects = hear(&mut session, command(epoch(2)));
    assert_eq!(show(&effects[0]), "adopt 1");
}

#[test]
fn another_hub_is_not_listened_to() {
    let mut session = Session::new(Some("hub".into()), None);
    session.step(Event::Connected(Greeting::default()));
    let effects = hear(&mut session, welcome("other"));
    assert!(show(&effects[0]).starts_with("close: this is another hub"));
}

#[test]
fn nothing_is_taken_before_the_welcome() {
    let mut session = Session::default();
    session.step(Event::Connected(Greeting::default()));
    let chunk = snapshot_chunks(&state(1, 1, &[])).remove(0);
    let effects = hear(&mut session, FromHub::Snapshot(chunk));
    assert!(show(&effects[0]).starts_with("close"));
}

/// A small generator: the sequence is the same for a seed in every build.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// The hub as far as an agent can tell: a history of states, and what it thinks the agent holds.
struct Model {
    history: Vec<DesiredState>,
    /// What the agent said that it holds, on this stream.
    base: Option<usize>,
    /// Sent, and not yet answered.
    sent: Option<usize>,
    /// On their way to the agent.
    wire: VecDeque<FromHub>,
}

impl Model {
    fn latest(&self) -> usize {
        self.history.len() - 1
    }

    fn find(&self, generation: u64, root: &[u8]) -> Option<usize> {
        let same = |it: &DesiredState| {
            it.generation.0 == generation && it.root().as_bytes().as_slice() == root
        };
        self.history.iter().position(same)
    }

    fn send(&mut self, random: &mut Random) {
        if self.sent.is_some() || self.base == Some(self.latest()) {
            return;
        }
        let to = self.latest();
        match self.base.filter(|_| random.below(4) > 0) {
            Some(from) => {
                let delta = self.history[from].delta(&self.history[to]);
                self.wire.push_back(FromHub::Delta((&delta).into()));
            }
            None => {
                let chunks = snapshot_chunks(&self.history[to]);
                self.wire.extend(chunks.into_iter().map(FromHub::Snapshot));
            }
        }
        self.sent = Some(to);
    }

    fn hear(&mut self, message: &ToHub, random: &mut Random) {
        match message {
            ToHub::Hello(it) => {
                let held = it.held.as_ref();
                self.base = held.and_then(|it| self.find(it.generation, &it.root));
                self.sent = None;
                self.wire = VecDeque::from([welcome("hub")]);
            }
            ToHub::Received(it) => {
                self.base = self.find(it.generation, &it.root);
                self.sent = None;
            }
            ToHub::Refused(it) => {
                if it.reason() == Refusal::NeedSnapshot {
                    self.base = None;
                }
                self.sent = None;
            }
            _ => {}
        }
        self.send(random);
    }
}

#[test]
fn simulation_every_agent_reaches_the_hubs_state() {
    for seed in 0..300 {
        simulate(seed);
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one loop over one state: its parts would share all of it"
)]
fn simulate(seed: u64) {
    let mut random = Random(seed);
    let mut model = Model {
        history: vec![state(1, 1, &[(1, 1)])],
        base: None,
        sent: None,
        wire: VecDeque::new(),
    };
    let mut session = Session::default();
    // What the disk holds: it alone survives a restart.
    let mut disk: Option<(Arc<DesiredState>, StoreEpoch)> = None;
    let mut fetching: Option<(Arc<DesiredState>, StoreEpoch)> = None;
    let mut connected = false;
    let mut log = Vec::new();
    for round in 0..400 {
        let calm = round >= 300;
        let before = disk.clone();
        let event = match random.below(if calm { 4 } else { 8 }) {
            _ if !connected => {
                connected = true;
                Event::Connected(Greeting::default())
            }
            0..=2 => match model.wire.pop_front() {
                Some(message) => Event::Message {
                    message,
                    clock_ms: 0,
                },
                None => continue,
            },
            3 => match fetching.take() {
                Some((state, _)) if !calm && random.below(3) == 0 => Event::NotKept {
                    root: state.root(),
                    message: "lost".into(),
                },
                Some((state, trusted)) => {
                    let root = state.root();
                    disk = Some((state, trusted));
                    Event::Kept { root }
                }
                None => continue,
            },
            4 | 5 => {
                let next = model.history.len() as u64 + 1;
                let units: Vec<(u8, u64)> = (0..6)
                    .filter(|_| random.below(2) == 0)
                    .map(|it| (it, next * 10 + u64::from(it) % 2))
                    .collect();
                model.history.push(state(1, next, &units));
                model.send(&mut random);
                continue;
            }
            6 => {
                connected = false;
                fetching = None;
                Event::Lost
            }
            _ => {
                // Killed: what was in memory is gone.
                connected = false;
                fetching = None;
                session = Session::new(Some("hub".into()), disk.clone());
                continue;
            }
        };
        log.push(format!("{event:?}").chars().take(80).collect::<String>());
        for effect in session.step(event) {
            match effect {
                Effect::Send(message) => model.hear(&message, &mut random),
                Effect::Fetch {
                    state,
                    trusted_epoch,
                } => fetching = Some((state, trusted_epoch)),
                Effect::Adopt { state, .. } => {
                    let held = disk.as_ref().map(|it| it.0.root());
                    assert_eq!(
                        held,
                        Some(state.root()),
                        "seed {seed}: adopted what is not kept: {log:#?}"
                    );
                }
                Effect::Close(reason) => panic!("seed {seed}: closed: {reason}: {log:#?}"),
                _ => {}
            }
        }
        if let (Some(before), Some(after)) = (&before, &disk) {
            assert!(
                before.0.generation <= after.0.generation,
                "seed {seed}: went back: {log:#?}"
            );
        }
    }
    let held = disk.map(|it| it.0.generation);
    let latest = model.history[model.latest()].generation;
    assert_eq!(held, Some(latest), "seed {seed}: {log:#?}");
}
