//! The agent's half of the conversation with the hub: events in, effects out. `agent.proto` explains the conversation.
//!
//! Nothing here waits, reads a clock or touches anything, so that every order of messages, losses and restarts can be
//! played through in a test.

use std::sync::Arc;

use capstan_core::{Delta, DesiredState, Digest, Generation, StoreEpoch, UnitKey};
use capstan_proto::{
    PROTOCOL, SnapshotAssembly,
    v1::{
        self, agent_message::Message as ToHub, hub_message::Message as FromHub,
        refused::Reason as Refusal,
    },
};

/// What the agent says of itself when it connects.
#[derive(Clone, Debug, Default)]
pub struct Greeting {
    /// Version of the API server.
    pub kube_version: String,
    /// Drawn at each start.
    pub incarnation_id: String,
    /// UID of the namespace `kube-system`.
    pub kube_system_uid: String,
    /// Milliseconds since 1970.
    pub clock_ms: u64,
}

/// What happens to the session.
#[derive(Debug)]
pub enum Event {
    /// A stream is open.
    Connected(Greeting),
    /// The stream is gone.
    Lost,
    /// The hub says something.
    Message {
        /// What.
        message: FromHub,
        /// When, in milliseconds since 1970.
        clock_ms: u64,
    },
    /// Every blob of the state last given with [`Effect::Fetch`] is kept, and so is the state.
    Kept {
        /// Its root.
        root: Digest,
    },
    /// It could not be.
    NotKept {
        /// Its root.
        root: Digest,
        /// Why.
        message: String,
    },
}

/// What the hub dictates for the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The hub.
    pub hub_id: String,
    /// The name that the hub has for this cluster.
    pub cluster_name: String,
    /// How often to ping, in milliseconds.
    pub heartbeat_ms: u32,
    /// Shortest time between two statuses, in milliseconds.
    pub status_interval_ms: u32,
    /// Longest wait before dialling again, in milliseconds.
    pub reconnect_spread_ms: u32,
    /// The hub's clock minus ours, in milliseconds.
    pub skew_ms: i64,
    /// The key under which sensitive content is addressed, where the hub gave one.
    pub digest_key: Option<[u8; 32]>,
}

/// What somebody tells the agent to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// A deletion that waited may go on.
    Confirm {
        /// Of which unit.
        unit: UnitKey,
        /// Which deletions.
        digest: Digest,
        /// Who says so.
        actor: String,
        /// Why.
        reason: String,
    },
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// Say this to the hub.
    Send(ToHub),
    /// The session has begun, on these terms.
    Began(Terms),
    /// Get the blobs that are missing for this state, keep both, and say [`Event::Kept`]. What was to be fetched before
    /// is no longer wanted.
    Fetch {
        /// The state.
        state: Arc<DesiredState>,
        /// The epoch within which absence may remove a unit.
        trusted_epoch: StoreEpoch,
    },
    /// This state is kept: it is what the cluster should be.
    Adopt {
        /// The state.
        state: Arc<DesiredState>,
        /// The epoch within which absence may remove a unit.
        trusted_epoch: StoreEpoch,
    },
    /// Do this.
    Obey(Order),
    /// The hub has this status.
    Acknowledged(u64),
    /// Dial again after a random time of at most this many milliseconds.
    Drain(u32),
    /// End the stream, for this reason.
    Close(String),
}

/// A state with the epoch within which it may remove units.
#[derive(Clone, Debug)]
struct Position {
    state: Arc<DesiredState>,
    root: Digest,
    trusted_epoch: StoreEpoch,
}

/// The session's state.
#[derive(Debug, Default)]
pub struct Session {
    /// The hub that the agent belongs to; none before the first Welcome.
    hub_id: Option<String>,
    held: Option<Position>,
    /// Received whole, and waiting for its blobs.
    pending: Option<Position>,
    /// Between Hello and the end of the stream.
    connected: bool,
    /// Welcome was received.
    welcome: bool,
    assembly: SnapshotAssembly,
}

impl Session {
    /// A session of an agent that holds `held`, if anything.
    pub fn new(hub_id: Option<String>, held: Option<(Arc<DesiredState>, StoreEpoch)>) -> Self {
        let held = held.map(|(state, trusted_epoch)| Position {
            root: state.root(),
            state,
            trusted_epoch,
        });
        Self {
            hub_id,
            held,
            ..Self::default()
        }
    }

    /// Generation and root of what is held.
    pub fn held(&self) -> Option<(Generation, Digest)> {
        self.held.as_ref().map(|it| (it.state.generation, it.root))
    }

    /// Takes an event.
    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Connected(greeting) => {
                self.connected = true;
                self.welcome = false;
                self.pending = None;
                self.assembly = SnapshotAssembly::default();
                vec![Effect::Send(ToHub::Hello(self.hello(greeting)))]
            }
            Event::Lost => {
                self.connected = false;
                self.welcome = false;
                self.assembly = SnapshotAssembly::default();
                // Blobs on their way are lost with the stream; the next Welcome brings the state again.
                self.pending = None;
                Vec::new()
            }
            Event::Message { .. } if !self.connected => Vec::new(),
            Event::Message { message, clock_ms } => self.hear(message, clock_ms),
            Event::Kept { root } => self.kept(root),
            Event::NotKept { root, message } => self.not_kept(root, message),
        }
    }

    fn hello(&self, greeting: Greeting) -> v1::Hello {
        v1::Hello {
            protocol_min: PROTOCOL.0,
            protocol_max: PROTOCOL.1,
            agent_version: env!("CARGO_PKG_VERSION").into(),
            kube_version: greeting.kube_version,
            incarnation_id: greeting.incarnation_id,
            kube_system_uid: greeting.kube_system_uid,
            hub_id: self.hub_id.clone().unwrap_or_default(),
            held: self.held.as_ref().map(|it| v1::Held {
                store_epoch: it.state.epoch.to_string(),
                generation: it.state.generation.0,
                root: it.root.as_bytes().to_vec().into(),
            }),
            clock_ms: greeting.clock_ms,
        }
    }

    fn hear(&mut self, message: FromHub, clock_ms: u64) -> Vec<Effect> {
        if !self.welcome && !matches!(message, FromHub::Welcome(_) | FromHub::Drain(_)) {
            return vec![Effect::Close("the hub spoke before its Welcome".into())];
        }
        match message {
            FromHub::Welcome(it) => self.welcomed(it, clock_ms),
            FromHub::Delta(it) => self.delta(it),
            FromHub::Snapshot(it) => self.snapshot(it),
            FromHub::StatusAck(it) => vec![Effect::Acknowledged(it.sequence)],
            FromHub::Command(it) => self.command(it),
            FromHub::Drain(it) => vec![Effect::Drain(it.reconnect_spread_ms)],
            FromHub::Ping(it) => vec![Effect::Send(ToHub::Pong(v1::Pong {
                sequence: it.sequence,
                clock_ms,
            }))],
            FromHub::Pong(_) => Vec::new(),
        }
    }

    fn welcomed(&mut self, welcome: v1::Welcome, clock_ms: u64) -> Vec<Effect> {
        if !(PROTOCOL.0..=PROTOCOL.1).contains(&welcome.protocol) {
            let text = format!(
                "the hub chose protocol {}, this agent speaks {} to {}",
                welcome.protocol, PROTOCOL.0, PROTOCOL.1
            );
            return vec![Effect::Close(text)];
        }
        if self.hub_id.as_ref().is_some_and(|it| *it != welcome.hub_id) {
            let text =
                "this is another hub than the one the agent belongs to; enrol it anew to move it";
            return vec![Effect::Close(text.into())];
        }
        self.hub_id = Some(welcome.hub_id.clone());
        self.welcome = true;
        let skew_ms =
            i64::try_from(welcome.clock_ms).unwrap_or(0) - i64::try_from(clock_ms).unwrap_or(0);
        vec![Effect::Began(Terms {
            hub_id: welcome.hub_id.clone(),
            cluster_name: welcome.cluster_name.clone(),
            heartbeat_ms: welcome.heartbeat_ms,
            status_interval_ms: welcome.status_interval_ms,
            reconnect_spread_ms: welcome.reconnect_spread_ms,
            skew_ms,
            digest_key: welcome.digest_key.as_ref().try_into().ok(),
        })]
    }

    fn delta(&mut self, wire: v1::Delta) -> Vec<Effect> {
        let generation = wire.to_generation;
        let delta = match Delta::try_from(wire) {
            Ok(delta) => delta,
            Err(error) => return refused(generation, Refusal::Invalid, error.to_string()),
        };
        let base = self.pending.as_ref().or(self.held.as_ref());
        let next = base.and_then(|it| Some((it.state.apply(&delta)?, it.trusted_epoch)));
        match next {
            Some((state, trusted_epoch)) => self.take(state, trusted_epoch),
            None => {
                let text = "it does not fit what is held";
                refused(generation, Refusal::NeedSnapshot, text.into())
            }
        }
    }

    fn snapshot(&mut self, chunk: v1::SnapshotChunk) -> Vec<Effect> {
        let generation = chunk.generation;
        let (state, promised) = match self.assembly.push(chunk) {
            Ok(None) => return Vec::new(),
            Ok(Some(whole)) => whole,
            Err(error) => return refused(generation, Refusal::Invalid, error.to_string()),
        };
        let root = state.root();
        if root != promised {
            let text = format!("its root is {root}, and {promised} was promised");
            return refused(generation, Refusal::Invalid, text);
        }
        let Some(held) = &self.held else {
            let epoch = state.epoch;
            return self.take(state, epoch);
        };
        let same_epoch = state.epoch == held.state.epoch;
        if same_epoch && state.generation < held.state.generation {
            let text = format!("generation {} is held", held.state.generation);
            return refused(generation, Refusal::Generation, text);
        }
        if same_epoch && state.generation == held.state.generation && root != held.root {
            let text = "another state of the same generation is held";
            return refused(generation, Refusal::Invalid, text.into());
        }
        let trusted_epoch = held.trusted_epoch;
        self.take(state, trusted_epoch)
    }

    fn take(&mut self, state: DesiredState, trusted_epoch: StoreEpoch) -> Vec<Effect> {
        let position = Position {
            root: state.root(),
            state: Arc::new(state),
            trusted_epoch,
        };
        let effect = Effect::Fetch {
            state: position.state.clone(),
            trusted_epoch,
        };
        self.pending = Some(position);
        vec![effect]
    }

    fn kept(&mut self, root: Digest) -> Vec<Effect> {
        let Some(position) = self.pending.take_if(|it| it.root == root) else {
            return Vec::new();
        };
        let adopt = Effect::Adopt {
            state: position.state.clone(),
            trusted_epoch: position.trusted_epoch,
        };
        let generation = position.state.generation;
        let mut effects = vec![adopt, received(generation, root)];
        if position.trusted_epoch != position.state.epoch {
            let text = "the hub's store is another one than before: nothing is removed until its epoch is confirmed";
            effects.extend(refused(generation.0, Refusal::Epoch, text.into()));
        }
        self.held = Some(position);
        effects
    }

    fn not_kept(&mut self, root: Digest, message: String) -> Vec<Effect> {
        match self.pending.take_if(|it| it.root == root) {
            Some(position) => refused(position.state.generation.0, Refusal::Blobs, message),
            None => Vec::new(),
        }
    }

    fn command(&mut self, command: v1::Command) -> Vec<Effect> {
        use v1::command::Command;
        match command.command {
            Some(Command::Confirm(it)) => {
                let digest = Digest::from_bytes(&it.digest);
                match (it.unit.parse(), digest) {
                    (Ok(unit), Ok(digest)) => vec![Effect::Obey(Order::Confirm {
                        unit,
                        digest,
                        actor: it.actor,
                        reason: it.reason,
                    })],
                    _ => Vec::new(),
                }
            }
            Some(Command::ConfirmEpoch(epoch)) => self.confirm_epoch(&epoch),
            None => Vec::new(),
        }
    }

    fn confirm_epoch(&mut self, epoch: &str) -> Vec<Effect> {
        let Ok(epoch) = epoch.parse::<StoreEpoch>() else {
            return Vec::new();
        };
        if let Some(pending) = &mut self.pending
            && pending.state.epoch == epoch
        {
            pending.trusted_epoch = epoch;
        }
        match &mut self.held {
            Some(held) if held.state.epoch == epoch => {
                held.trusted_epoch = epoch;
                vec![Effect::Adopt {
                    state: held.state.clone(),
                    trusted_epoch: epoch,
                }]
            }
            _ => Vec::new(),
        }
    }
}

fn received(generation: Generation, root: Digest) -> Effect {
    Effect::Send(ToHub::Received(v1::Received {
        generation: generation.0,
        root: root.as_bytes().to_vec().into(),
    }))
}

fn refused(generation: u64, reason: Refusal, message: String) -> Vec<Effect> {
    vec![Effect::Send(ToHub::Refused(v1::Refused {
        generation,
        reason: reason.into(),
        message: capstan_core::report::bounded_message(message),
    }))]
}

#[cfg(test)]
mod tests;
