//! One session: pumps messages between the wire and [`Session`], and folds reports into the view.

use std::{pin::pin, sync::Arc, time::Duration};

use capstan_core::{
    ClusterName, Digest, Event as Happening, Generation, Severity, UnitKey, UnitReport,
};
use capstan_proto::{
    WireError, snapshot_chunks,
    v1::{self, agent_message::Message as FromAgent, hub_message::Message as ToAgent},
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::{
    clock::now_ms,
    fleet::{AgentFacts, Link, Report},
    identity::ClusterScope,
    links::Seat,
    secret::random_below,
    session::{Close, Effect, Event, Held, Mode, Session},
    state::Hub,
    store::{ClusterRecord, ClusterState},
};

/// A session ends after this and the agent dials again, so that load spreads after a change of the fleet's size.
const AGE_MS: u64 = 3_600_000;
/// An agent that does not read for this long is cut: it would hold what is to be sent in memory.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest texts that an agent says of itself.
const MAX_FACT_BYTES: usize = 128;
/// Heartbeats of all agents together in a second, where agents are many.
const HEARTBEATS_PER_SECOND: u64 = 400;
/// However many there are, none is silent for longer: proxies close what says nothing for a minute.
const MAX_SHARED_HEARTBEAT_MS: u64 = 25_000;
/// Reconnecting agents spread over at least this.
const MIN_SPREAD_MS: u32 = 1_000;
/// And at most this.
const MAX_SPREAD_MS: u32 = 15_000;
/// Agents that may dial again in a second.
const ADMISSION_PER_SECOND: u32 = 500;

/// Messages for the agent, in boxes: a channel has room for 32 of what it carries, also where nothing is said.
type Outbox = mpsc::Sender<Result<Box<v1::HubMessage>, Status>>;

struct Live {
    hub: Arc<Hub>,
    scope: ClusterScope,
    record: Arc<ClusterRecord>,
    outbox: Outbox,
    begun: Instant,
    session: Session,
    heartbeat_ms: u64,
    seat: Seat,
}

/// Ends the session: nothing more to say, or this.
type Ended = Option<Status>;

/// Runs a session until either side, a newer session or a revocation ends it.
pub(crate) async fn run(
    hub: Arc<Hub>,
    scope: ClusterScope,
    record: Arc<ClusterRecord>,
    mut inbox: Streaming<v1::AgentMessage>,
    outbox: Outbox,
) {
    let seat = hub.links.sit(scope.uid(), &hub.stop);
    // A revocation cuts the session that it finds; one between the check of the certificate and here would find none.
    let known = hub.db.cluster(scope.uid());
    if !known.is_some_and(|it| it.value.state == ClusterState::Enrolled) {
        hub.links.cut(scope.uid());
        let _ = outbox.try_send(Err(Status::permission_denied("the cluster was revoked")));
        return;
    }
    let cut = seat.cut.clone();
    let clusters = hub.view().clusters.len();
    let heartbeat_ms = heartbeat_ms(hub.config.heartbeat_seconds, clusters);
    let mut live = Live {
        hub,
        scope,
        record,
        outbox,
        begun: Instant::now(),
        session: Session::new(0, heartbeat_ms),
        heartbeat_ms,
        seat,
    };
    let ended = tokio::select! {
        () = cut.cancelled() => ended_by(&live, &cut),
        it = live.pump(&mut inbox) => it,
    };
    live.leave();
    if let Some(status) = ended {
        tracing::info!(cluster = %live.scope.name(), reason = status.message(), "session ended");
        let _ = live.outbox.try_send(Err(status));
    }
}

fn ended_by(live: &Live, _: &CancellationToken) -> Ended {
    let spread = live.spread();
    let drain = ToAgent::Drain(v1::Drain {
        reconnect_spread_ms: spread,
    });
    let _ = live.outbox.try_send(Ok(Box::new(v1::HubMessage {
        message: Some(drain),
    })));
    let reason = match live.hub.stop.is_cancelled() {
        true => "the hub is going away",
        false => "a newer session took over, or the cluster was revoked",
    };
    Some(Status::aborted(reason))
}

impl Live {
    async fn pump(&mut self, inbox: &mut Streaming<v1::AgentMessage>) -> Ended {
        let age = AGE_MS * 4 / 5 + random_below(AGE_MS * 2 / 5);
        let mut ends = pin!(tokio::time::sleep(Duration::from_millis(age)));
        let wait = self.hub.admission.take(Instant::now().into_std());
        if !wait.is_zero() {
            self.hub.metrics.sessions_held.inc();
            tokio::time::sleep(wait).await;
        }
        if let Some(state) = self.hub.links.newest(self.scope.uid())
            && let Err(ended) = self.step(Event::Desired(state)).await
        {
            return ended;
        }
        let mut due = pin!(tokio::time::sleep(self.until_due()));
        loop {
            let done = tokio::select! {
                message = inbox.message() => match message {
                    Ok(Some(message)) => self.message(message).await,
                    Ok(None) => return None,
                    Err(status) => {
                        tracing::debug!(cluster = %self.scope.name(), %status, "the stream broke");
                        return None;
                    }
                },
                _ = self.seat.news.changed() => self.news().await,
                () = &mut due => {
                    let done = self.step(Event::Tick).await;
                    due.as_mut().reset(Instant::now() + self.until_due());
                    done
                }
                () = &mut ends => {
                    let drain = v1::Drain { reconnect_spread_ms: self.spread() };
                    let _ = self.send(ToAgent::Drain(drain)).await;
                    return None;
                }
            };
            if let Err(ended) = done {
                return ended;
            }
            // Later is found out when it fires, so that no message has to move it; sooner is not.
            let next = Instant::now() + self.until_due();
            if next < due.deadline() {
                due.as_mut().reset(next);
            }
        }
    }

    /// How long the session can be left alone.
    fn until_due(&self) -> Duration {
        Duration::from_millis(self.session.due_ms().saturating_sub(self.clock_ms()))
    }

    /// Milliseconds since the session began: a clock of the machine that is set makes no agent silent.
    fn clock_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A new desired state, or commands.
    async fn news(&mut self) -> Result<(), Ended> {
        if let Some(state) = self.hub.links.newest(self.scope.uid()) {
            self.step(Event::Desired(state)).await?;
        }
        self.commands().await
    }

    async fn commands(&mut self) -> Result<(), Ended> {
        for command in self.hub.links.take_commands(self.scope.uid()) {
            self.send(ToAgent::Command(command)).await?;
        }
        Ok(())
    }

    async fn message(&mut self, message: v1::AgentMessage) -> Result<(), Ended> {
        let event = match message.message {
            Some(FromAgent::Hello(hello)) => self.hello(hello).map_err(invalid)?,
            Some(FromAgent::Received(it)) => Event::Received {
                generation: Generation(it.generation),
                root: digest("received.root", &it.root).map_err(invalid)?,
            },
            Some(FromAgent::Refused(it)) => self.refused(it),
            Some(FromAgent::Status(status)) => {
                // The session's rules come first: a report before Hello is none.
                self.step(Event::Heard).await?;
                let sequence = status.sequence;
                self.status(status).map_err(invalid)?;
                return self
                    .send(ToAgent::StatusAck(v1::StatusAck { sequence }))
                    .await;
            }
            Some(FromAgent::Ping(ping)) => {
                self.step(Event::Heard).await?;
                let pong = v1::Pong {
                    sequence: ping.sequence,
                    clock_ms: now_ms(),
                };
                return self.send(ToAgent::Pong(pong)).await;
            }
            // A message that this version does not know is ignored, as the protocol says.
            Some(FromAgent::Pong(_)) | None => Event::Heard,
        };
        self.step(event).await
    }

    async fn step(&mut self, event: Event) -> Result<(), Ended> {
        let hub = self.hub.clone();
        let uid = self.scope.uid().clone();
        let greets = matches!(event, Event::Hello { .. });
        let clock_ms = self.clock_ms();
        let effects = self
            .session
            .step(clock_ms, event, &|held| hub.links.known(&uid, held));
        for effect in effects {
            self.execute(effect).await?;
        }
        if greets {
            self.commands().await
        } else {
            Ok(())
        }
    }

    async fn execute(&mut self, effect: Effect) -> Result<(), Ended> {
        match effect {
            Effect::Welcome { protocol, mode } => {
                let welcome = self.welcome(protocol, mode)?;
                self.send(ToAgent::Welcome(welcome)).await
            }
            Effect::Delta(delta) => {
                self.hub.metrics.deltas.inc();
                self.send(ToAgent::Delta((&delta).into())).await
            }
            Effect::Snapshot(state) => {
                self.hub.metrics.snapshots.inc();
                for chunk in snapshot_chunks(&state) {
                    self.send(ToAgent::Snapshot(chunk)).await?;
                }
                Ok(())
            }
            Effect::Holds(held) => {
                self.hub.traces.received(self.scope.name(), held.generation);
                self.hub.change_cluster(self.scope.name(), |it| {
                    it.received = Some(held.generation);
                    it.refused = None;
                    it.epoch_unconfirmed = false;
                });
                Ok(())
            }
            Effect::Close { code, message } => Err(Some(match code {
                Close::Protocol => Status::invalid_argument(message),
                Close::Identity => Status::permission_denied(message),
                Close::Silent => Status::deadline_exceeded(message),
            })),
        }
    }

    async fn send(&self, message: ToAgent) -> Result<(), Ended> {
        let message = Box::new(v1::HubMessage {
            message: Some(message),
        });
        let sent = tokio::time::timeout(SEND_TIMEOUT, self.outbox.send(Ok(message))).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(None),
            Err(_) => Err(Some(Status::deadline_exceeded("the agent does not read"))),
        }
    }

    fn hello(&mut self, hello: v1::Hello) -> Result<Event, WireError> {
        let held = hello.held.map(|it| {
            Ok(Held {
                epoch: it.store_epoch.parse().map_err(|source| WireError::Id {
                    field: "held.store_epoch",
                    source,
                })?,
                generation: Generation(it.generation),
                root: digest("held.root", &it.root)?,
            })
        });
        let held = held.transpose()?;
        let refused = self.identity_problem(&hello.kube_system_uid, &hello.hub_id);
        let now = now_ms();
        if refused.is_none() {
            let facts = AgentFacts {
                version: bounded(hello.agent_version),
                kube_version: bounded(hello.kube_version),
                incarnation: bounded(hello.incarnation_id),
                skew_ms: i64::try_from(hello.clock_ms)
                    .unwrap_or(0)
                    .saturating_sub(i64::try_from(now).unwrap_or(0)),
            };
            self.hub.change_cluster(self.scope.name(), |it| {
                it.agent = facts;
                it.link = Link::Connected { since_ms: now };
            });
            self.hub.say(
                Some(self.scope.name()),
                Severity::Info,
                "Connected",
                "the agent is connected",
            );
            self.hub.heard.notify_one();
        }
        Ok(Event::Hello {
            protocol: (hello.protocol_min, hello.protocol_max),
            held,
            refused,
        })
    }

    fn identity_problem(&self, kube_system_uid: &str, hub_id: &str) -> Option<String> {
        if self.record.kube_system_uid.as_deref() != Some(kube_system_uid) {
            return Some("this is another Kubernetes cluster than the one that enrolled: a copy or a restore; enrol it as a cluster of its own".into());
        }
        let other = !hub_id.is_empty() && hub_id != self.hub.record.hub_id;
        other.then(|| "the agent belongs to another hub".into())
    }

    fn welcome(&self, protocol: u32, mode: Mode) -> Result<v1::Welcome, Ended> {
        use v1::welcome::Mode as Wire;
        let mode = match mode {
            Mode::UpToDate => Wire::UpToDate,
            Mode::Delta => Wire::Delta,
            Mode::Full => Wire::Full,
            Mode::Hold => Wire::Hold,
        };
        let Some(key) = self.hub.digest_key(&self.record) else {
            let message = "the hub's sealing key is not the one this cluster was added with";
            return Err(Some(Status::failed_precondition(message)));
        };
        Ok(v1::Welcome {
            protocol,
            hub_id: self.hub.record.hub_id.clone(),
            cluster_name: self.scope.name().to_string(),
            store_epoch: self.hub.record.epoch.to_string(),
            mode: mode.into(),
            heartbeat_ms: u32::try_from(self.heartbeat_ms).unwrap_or(u32::MAX),
            status_interval_ms: self.hub.config.status_interval_ms,
            reconnect_spread_ms: self.spread(),
            clock_ms: now_ms(),
            digest_key: key.to_vec().into(),
        })
    }

    /// Time over which all agents together should dial again.
    fn spread(&self) -> u32 {
        let clusters = u32::try_from(self.hub.view().clusters.len()).unwrap_or(u32::MAX);
        (clusters.saturating_mul(1000) / ADMISSION_PER_SECOND).clamp(MIN_SPREAD_MS, MAX_SPREAD_MS)
    }

    fn refused(&self, refused: v1::Refused) -> Event {
        let reason = refused.reason();
        let why = capstan_core::report::bounded_message(refused.message);
        let message = format!(
            "the agent refused generation {}: {}: {why}",
            refused.generation,
            reason.as_str_name()
        );
        tracing::warn!(cluster = %self.scope.name(), "{message}");
        self.hub.change_cluster(self.scope.name(), |it| {
            it.epoch_unconfirmed |= reason == v1::refused::Reason::Epoch;
            it.refused = Some(message.clone());
        });
        self.hub.say(
            Some(self.scope.name()),
            Severity::Warning,
            "Refused",
            message,
        );
        Event::Refused {
            generation: Generation(refused.generation),
            reason,
        }
    }

    fn status(&self, status: v1::Status) -> Result<(), WireError> {
        let name = self.scope.name();
        let units: Vec<UnitReport> = status
            .units
            .into_iter()
            .map(TryInto::try_into)
            .collect::<Result<_, _>>()?;
        let key = |it: &String| {
            it.parse::<UnitKey>().map_err(|source| WireError::Id {
                field: "units_gone",
                source,
            })
        };
        let gone = status
            .units_gone
            .iter()
            .map(key)
            .collect::<Result<Vec<_>, _>>()?;
        let events: Vec<Happening> = status
            .events
            .into_iter()
            .map(TryInto::try_into)
            .collect::<Result<_, _>>()?;
        let paused = (!status.policy_paused.is_empty()).then(|| bounded(status.policy_paused));
        self.hub.metrics.statuses.inc();
        let report = Report {
            units,
            gone,
            full: status.full,
            paused,
        };
        self.hub
            .change_cluster(name, |it| it.report(name, report, now_ms()));
        self.hub.traces.reported(name, &self.hub);
        for event in events {
            self.hub
                .events
                .append(Some(name.clone()), only_own(name, event));
        }
        self.hub.heard.notify_one();
        Ok(())
    }

    fn leave(&self) {
        if !self.hub.links.leave(self.scope.uid(), self.seat.number) {
            return;
        }
        let now = now_ms();
        let mut was_connected = false;
        self.hub.change_cluster(self.scope.name(), |it| {
            was_connected = matches!(it.link, Link::Connected { .. });
            if was_connected {
                it.link = Link::Lost { since_ms: now };
            }
        });
        if was_connected {
            self.hub.say(
                Some(self.scope.name()),
                Severity::Warning,
                "Disconnected",
                "the agent is away",
            );
            self.hub.heard.notify_one();
        }
    }
}

/// How often each of so many agents says that it lives: as is configured, and less often in a large fleet.
fn heartbeat_ms(configured_seconds: u64, clusters: usize) -> u64 {
    let configured = configured_seconds * 1000;
    let shared = clusters as u64 * 1000 / HEARTBEATS_PER_SECOND;
    configured.max(shared.min(MAX_SHARED_HEARTBEAT_MS))
}

/// An event cannot speak of another cluster's unit.
fn only_own(name: &ClusterName, mut event: Happening) -> Happening {
    event.unit = event.unit.filter(|it| it.home == *name);
    event
}

fn digest(field: &'static str, bytes: &[u8]) -> Result<Digest, WireError> {
    Digest::from_bytes(bytes).map_err(|source| WireError::Id { field, source })
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn invalid(error: WireError) -> Ended {
    Some(Status::invalid_argument(error.to_string()))
}

fn bounded(text: String) -> String {
    text.chars()
        .filter(|it| !it.is_control())
        .take(MAX_FACT_BYTES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_agents_say_less_often_that_they_live() {
        let table = [
            (15, 0, 15_000),
            (15, 6_000, 15_000),
            (15, 8_000, 20_000),
            (15, 10_000, 25_000),
            (15, 100_000, 25_000),
            (40, 100_000, 40_000),
        ];
        for (configured, clusters, expect) in table {
            assert_eq!(heartbeat_ms(configured, clusters), expect, "{clusters}");
        }
    }
}
