//! PURE: the hub's half of the conversation with one agent: an event in, effects out.
//!
//! At most one change is under way at a time, so a slow agent costs nothing but its own delay; while it works, newer
//! states replace each other and only the newest is sent next. Nothing is ever dropped, since what is sent is always
//! the difference to what the agent said that it holds.

use std::sync::Arc;

use capstan_core::{Delta, DesiredState, Digest, Generation, StoreEpoch};
use capstan_proto::{PROTOCOL, v1::refused::Reason};

/// Seconds after which something that the agent refused is tried again. It is tried at once when there is news.
pub(crate) const RETRY_MS: u64 = 15_000;
/// How long an agent may take to fetch and keep a state before it is offered again.
pub(crate) const RECEIVE_TIMEOUT_MS: u64 = 600_000;
/// Units and entries of one delta: below 4 MiB also with long names.
const MAX_DELTA_ENTRIES: usize = 4_000;
/// An agent that says nothing for this many heartbeats is gone.
const MISSED_HEARTBEATS: u64 = 3;

/// What the agent holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) epoch: StoreEpoch,
    pub(crate) generation: Generation,
    pub(crate) root: Digest,
}

impl Held {
    pub(crate) fn of(state: &DesiredState) -> Self {
        Self {
            epoch: state.epoch,
            generation: state.generation,
            root: state.root(),
        }
    }
}

/// What happens to a session.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The agent's first message.
    Hello {
        protocol: (u32, u32),
        held: Option<Held>,
        /// UID of `kube-system` and hub id match what the hub knows; otherwise why not.
        refused: Option<String>,
    },
    /// The cluster's newest desired state, at the start and whenever it changes.
    Desired(Arc<DesiredState>),
    Received {
        generation: Generation,
        root: Digest,
    },
    Refused {
        generation: Generation,
        reason: Reason,
    },
    /// Anything else from the agent: it lives.
    Heard,
    /// Time has passed: due at [`Session::due_ms`], and harmless at any other time.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    Welcome {
        protocol: u32,
        mode: Mode,
    },
    Delta(Delta),
    Snapshot(Arc<DesiredState>),
    /// The agent holds this now.
    Holds(Held),
    /// The stream ends, for this reason.
    Close {
        code: Close,
        message: String,
    },
}

/// What follows a welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    UpToDate,
    Delta,
    Full,
    Hold,
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// The agent broke the protocol, or speaks another.
    Protocol,
    /// It is not the agent that was enrolled.
    Identity,
    /// Nothing was heard for too long.
    Silent,
}

/// One conversation.
#[derive(Debug)]
pub(crate) struct Session {
    heartbeat_ms: u64,
    greeted: bool,
    latest: Option<Arc<DesiredState>>,
    /// A state that the agent holds and the hub still has: what a delta can start from.
    base: Option<Arc<DesiredState>>,
    held: Option<Held>,
    /// The state that the agent is known to hold.
    settled: Option<(StoreEpoch, Generation)>,
    /// What is under way, and since when.
    sent: Option<(Arc<DesiredState>, u64)>,
    /// The next thing sent must be whole.
    snapshot: bool,
    /// Not before then, unless there is news.
    retry_at: Option<u64>,
    heard_ms: u64,
}

impl Session {
    /// A conversation that begins now.
    pub(crate) fn new(now_ms: u64, heartbeat_ms: u64) -> Self {
        Self {
            heartbeat_ms,
            greeted: false,
            latest: None,
            base: None,
            held: None,
            settled: None,
            sent: None,
            snapshot: false,
            retry_at: None,
            heard_ms: now_ms,
        }
    }

    /// Takes an event. `known` finds a state that the agent says it holds among those that the hub still has.
    pub(crate) fn step(
        &mut self,
        now_ms: u64,
        event: Event,
        known: &dyn Fn(&Held) -> Option<Arc<DesiredState>>,
    ) -> Vec<Effect> {
        if !matches!(event, Event::Desired(_) | Event::Tick) {
            self.heard_ms = now_ms;
        }
        match event {
            Event::Hello {
                protocol,
                held,
                refused,
            } => {
                return self.hello(now_ms, protocol, held, refused, known);
            }
            Event::Desired(state) => {
                let same = |it: &DesiredState| {
                    it.epoch == state.epoch && it.generation == state.generation
                };
                if !self.latest.as_ref().is_some_and(|it| same(it)) {
                    self.retry_at = None;
                }
                self.latest = Some(state);
            }
            _ if !self.greeted && !matches!(event, Event::Tick) => {
                return close(Close::Protocol, "the first message must be Hello");
            }
            Event::Received { generation, root } => return self.received(now_ms, generation, root),
            Event::Refused { generation, reason } => self.refused(now_ms, generation, reason),
            Event::Heard => {}
            Event::Tick => {
                let silent = now_ms.saturating_sub(self.heard_ms);
                if silent > self.heartbeat_ms * MISSED_HEARTBEATS {
                    let message = format!("nothing was heard for {} s", silent / 1000);
                    return close(Close::Silent, message);
                }
                if matches!(self.sent, Some((_, at)) if now_ms.saturating_sub(at) > RECEIVE_TIMEOUT_MS)
                {
                    self.sent = None;
                    self.snapshot = true;
                }
                self.retry_at.take_if(|it| *it <= now_ms);
            }
        }
        self.send(now_ms).into_iter().collect()
    }

    /// When [`Event::Tick`] is due where nothing else happens before. Ten thousand idle sessions wake as seldom as they can.
    pub(crate) fn due_ms(&self) -> u64 {
        let silent = self.heard_ms + self.heartbeat_ms * MISSED_HEARTBEATS + 1;
        let received = self.sent.as_ref().map(|it| it.1 + RECEIVE_TIMEOUT_MS + 1);
        let others = received.into_iter().chain(self.retry_at);
        others.fold(silent, u64::min)
    }

    fn hello(
        &mut self,
        now_ms: u64,
        protocol: (u32, u32),
        held: Option<Held>,
        refused: Option<String>,
        known: &dyn Fn(&Held) -> Option<Arc<DesiredState>>,
    ) -> Vec<Effect> {
        if self.greeted {
            return close(Close::Protocol, "Hello was said twice");
        }
        if let Some(message) = refused {
            return close(Close::Identity, message);
        }
        let chosen = PROTOCOL.1.min(protocol.1);
        if chosen < PROTOCOL.0.max(protocol.0) {
            let message = format!(
                "the agent speaks protocol {} to {}, this hub {} to {}; upgrade the older of them",
                protocol.0, protocol.1, PROTOCOL.0, PROTOCOL.1
            );
            return close(Close::Protocol, message);
        }
        self.greeted = true;
        self.held = held;
        self.base = held.as_ref().and_then(known);
        let next = self.send(now_ms);
        let mode = match (&next, &self.latest) {
            (Some(Effect::Delta(_)), _) => Mode::Delta,
            (Some(_), _) => Mode::Full,
            (None, Some(_)) => Mode::UpToDate,
            (None, None) => Mode::Hold,
        };
        let welcome = Effect::Welcome {
            protocol: chosen,
            mode,
        };
        let holds = held.filter(|_| mode == Mode::UpToDate).map(Effect::Holds);
        [Some(welcome), holds, next].into_iter().flatten().collect()
    }

    fn received(&mut self, now_ms: u64, generation: Generation, root: Digest) -> Vec<Effect> {
        let Some((state, _)) = self.sent.take_if(|it| it.0.generation == generation) else {
            // An answer to something that was given up in the meantime: what it holds now is not known for sure.
            return self.send(now_ms).into_iter().collect();
        };
        if state.root() != root {
            self.snapshot = true;
            return self.send(now_ms).into_iter().collect();
        }
        let held = Held::of(&state);
        self.held = Some(held);
        self.base = Some(state);
        let next = self.send(now_ms);
        [Some(Effect::Holds(held)), next]
            .into_iter()
            .flatten()
            .collect()
    }

    fn refused(&mut self, now_ms: u64, generation: Generation, reason: Reason) {
        if self
            .sent
            .take_if(|it| it.0.generation == generation)
            .is_none()
        {
            return;
        }
        if reason == Reason::NeedSnapshot && !self.snapshot {
            self.snapshot = true;
        } else {
            self.retry_at = Some(now_ms + RETRY_MS);
        }
    }

    /// Sends the newest state where the agent does not hold it and nothing is under way.
    fn send(&mut self, now_ms: u64) -> Option<Effect> {
        let latest = self.latest.clone()?;
        if !self.greeted || self.sent.is_some() || self.retry_at.is_some_and(|it| now_ms < it) {
            return None;
        }
        // Digests are computed once for each state, not for each message of the agent.
        let name = (latest.epoch, latest.generation);
        if !self.snapshot && self.settled == Some(name) {
            return None;
        }
        if !self.snapshot && self.held == Some(Held::of(&latest)) {
            self.settled = Some(name);
            return None;
        }
        self.settled = None;
        self.retry_at = None;
        let whole = std::mem::take(&mut self.snapshot);
        let base = self
            .base
            .as_ref()
            .filter(|it| !whole && it.epoch == latest.epoch && it.generation < latest.generation);
        let delta = base.map(|it| it.delta(&latest)).filter(is_small);
        let effect = delta.map_or_else(|| Effect::Snapshot(latest.clone()), Effect::Delta);
        self.sent = Some((latest, now_ms));
        Some(effect)
    }
}

/// Whether a delta fits one message; a larger one goes as a snapshot, which is cut into pieces.
fn is_small(delta: &Delta) -> bool {
    let entries: usize = delta.upsert.values().map(|it| it.entries.len() + 1).sum();
    entries + delta.remove.len() <= MAX_DELTA_ENTRIES
}

fn close(code: Close, message: impl Into<String>) -> Vec<Effect> {
    vec![Effect::Close {
        code,
        message: message.into(),
    }]
}

#[cfg(test)]
mod tests;
