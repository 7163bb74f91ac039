//! The connection to the hub: dialled, enrolled, kept alive, renewed, and dialled again after a loss. It carries messages
//! between the wire and the session, and does what the session asks for.

mod backoff;
mod fetch;
mod tls;

use std::{sync::Arc, time::Duration};

use capstan_core::{DesiredState, Digest, StoreEpoch};
use capstan_proto::{
    MAX_MESSAGE_BYTES,
    v1::{
        self, AgentMessage, agent_link_client::AgentLinkClient, agent_message,
        enrolment_client::EnrolmentClient,
    },
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

pub use self::backoff::Backoff;
use crate::{
    cluster::Cluster,
    config::Config,
    engine::{Reports, now_ms},
    held::{Held, HeldState},
    identity::{Identity, IdentityStore, request},
    session::{Effect, Event, Greeting, Session, Terms},
    shared::Input,
};

/// Messages that wait to be sent.
const SEND_QUEUE: usize = 64;
/// Heartbeats without a word from the hub after which the connection is given up.
const MISSED_HEARTBEATS: u32 = 3;
/// Bounds on what the hub dictates, in milliseconds: a wrong number must neither flood nor silence.
const HEARTBEAT_MS: std::ops::RangeInclusive<u32> = 1_000..=300_000;
/// As above.
const STATUS_INTERVAL_MS: std::ops::RangeInclusive<u32> = 50..=300_000;
/// A connection that lasted this long was a good one: the next loss begins with the shortest wait.
const STABLE: Duration = Duration::from_secs(60);
/// Wait after a failed renewal.
const RENEWAL_RETRY: Duration = Duration::from_secs(60);

/// How the connection is, for people and probes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkState {
    /// The session has begun.
    pub(crate) connected: bool,
    /// What went wrong last.
    pub(crate) error: Option<String>,
}

/// The connection.
pub(crate) struct Link<C> {
    pub(crate) config: Config,
    pub(crate) identity: Identity,
    pub(crate) store: IdentityStore<C>,
    pub(crate) session: Session,
    pub(crate) held: Arc<Held>,
    /// The state last kept, to see what changes.
    pub(crate) kept: Option<HeldState>,
    pub(crate) kube_version: String,
    pub(crate) incarnation_id: String,
    pub(crate) engine: mpsc::Sender<Input>,
    pub(crate) reports: Reports,
    pub(crate) state: watch::Sender<LinkState>,
}

enum End {
    /// The hub asked us to go, and to come back within this time.
    Drained(u32),
    Lost(anyhow::Error),
}

impl<C: Cluster> Link<C> {
    /// Stays connected until it is dropped.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let begun = Instant::now();
            let end = self.connection(&mut backoff).await;
            let was_connected = self.state.borrow().connected;
            for effect in self.session.step(Event::Lost) {
                tracing::debug!(?effect, "nothing is left to be done for a lost stream");
            }
            let stable = was_connected && begun.elapsed() >= STABLE;
            let wait = match end {
                End::Drained(spread_ms) => {
                    tracing::info!("the hub is going away; dialling again");
                    backoff.after_drain(spread_ms)
                }
                End::Lost(error) => {
                    let text = format!("{error:#}");
                    tracing::warn!(hub = self.config.hub, "connection to the hub lost: {text}");
                    self.state.send_modify(|it| it.error = Some(text));
                    backoff.after_loss(was_connected, stable)
                }
            };
            self.state.send_modify(|it| it.connected = false);
            tokio::time::sleep(wait).await;
        }
    }

    async fn connection(&mut self, backoff: &mut Backoff) -> End {
        match self.converse(backoff).await {
            Ok(end) => end,
            Err(error) => End::Lost(error),
        }
    }

    async fn converse(&mut self, backoff: &mut Backoff) -> anyhow::Result<End> {
        if self.identity.certificate_pem.is_none() {
            self.enrol().await?;
        }
        let channel = tls::dial(&self.config, &self.identity).await?;
        let mut client = AgentLinkClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let (to_hub, from_us) = mpsc::channel(SEND_QUEUE);
        let greeting = Greeting {
            kube_version: self.kube_version.clone(),
            incarnation_id: self.incarnation_id.clone(),
            kube_system_uid: self.identity.kube_system_uid.clone(),
            clock_ms: now_ms(),
        };
        let hello = self.session.step(Event::Connected(greeting));
        self.reports.outbox().restart();
        let mut talk = Talk {
            to_hub,
            terms: None,
            fetch: None,
            client: client.clone(),
        };
        if let Some(end) = self.act(hello, &mut talk, backoff).await? {
            return Ok(end);
        }
        let inbound = client.session(ReceiverStream::new(from_us)).await?;
        let end = self.pump(inbound.into_inner(), &mut talk, backoff).await;
        if let Some(fetch) = talk.fetch {
            fetch.abort();
        }
        end
    }

    async fn pump(
        &mut self,
        mut inbound: Streaming<v1::HubMessage>,
        talk: &mut Talk,
        backoff: &mut Backoff,
    ) -> anyhow::Result<End> {
        let mut heartbeat =
            tokio::time::interval(Duration::from_millis((*HEARTBEAT_MS.start()).into()));
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut bell = self.reports.bell();
        let mut status_at = Instant::now();
        let mut renew_at = Instant::now() + self.identity.until_renewal(now_ms());
        let mut heard = Instant::now();
        let mut sequence = 0;
        loop {
            let begun = talk.terms.is_some();
            let due = begun && self.reports.outbox().is_due();
            let effects = tokio::select! {
                message = inbound.message() => {
                    heard = Instant::now();
                    let Some(message) = message?.ok_or_else(|| anyhow::anyhow!("the hub ended the stream"))?.message else {
                        continue;
                    };
                    self.session.step(Event::Message { message, clock_ms: now_ms() })
                }
                done = finished(&mut talk.fetch) => {
                    talk.fetch = None;
                    self.fetched(done)
                }
                _ = heartbeat.tick() => {
                    let silent = heartbeat.period() * MISSED_HEARTBEATS;
                    anyhow::ensure!(!begun || heard.elapsed() < silent, "the hub is silent for {} s", silent.as_secs());
                    sequence += 1;
                    if begun {
                        talk.send(agent_message::Message::Ping(v1::Ping { sequence })).await?;
                    }
                    Vec::new()
                }
                () = tokio::time::sleep_until(status_at), if due => {
                    let interval = talk.terms.as_ref().map_or(1_000, |it| it.status_interval_ms);
                    status_at = Instant::now() + Duration::from_millis(interval.into());
                    self.say_status(talk).await?;
                    Vec::new()
                }
                _ = bell.changed(), if begun && !due => Vec::new(),
                () = tokio::time::sleep_until(renew_at), if begun => {
                    let wait = match self.renew(talk).await {
                        Ok(()) => self.identity.until_renewal(now_ms()),
                        Err(error) => {
                            tracing::warn!("the certificate could not be renewed: {error:#}");
                            Duration::ZERO
                        }
                    };
                    renew_at = Instant::now() + wait.max(RENEWAL_RETRY);
                    Vec::new()
                }
            };
            let had_terms = talk.terms.is_some();
            if let Some(end) = self.act(effects, talk, backoff).await? {
                return Ok(end);
            }
            if let (false, Some(terms)) = (had_terms, &talk.terms) {
                heartbeat = tokio::time::interval(Duration::from_millis(terms.heartbeat_ms.into()));
                heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
                self.state.send_modify(|it| {
                    *it = LinkState {
                        connected: true,
                        error: None,
                    };
                });
            }
        }
    }

    /// Does what the session asks for.
    async fn act(
        &mut self,
        effects: Vec<Effect>,
        talk: &mut Talk,
        backoff: &mut Backoff,
    ) -> anyhow::Result<Option<End>> {
        for effect in effects {
            match effect {
                Effect::Send(message) => talk.send(message).await?,
                Effect::Began(terms) => self.began(terms, talk, backoff).await?,
                Effect::Fetch {
                    state,
                    trusted_epoch,
                } => self.fetch(state, trusted_epoch, talk),
                Effect::Adopt {
                    state,
                    trusted_epoch,
                } => self.adopt(state, trusted_epoch).await?,
                Effect::Obey(order) => self.engine.send(Input::Order(order)).await?,
                Effect::Acknowledged(sequence) => self.reports.outbox().acknowledge(sequence),
                Effect::Drain(spread_ms) => return Ok(Some(End::Drained(spread_ms))),
                Effect::Close(reason) => anyhow::bail!(reason),
            }
        }
        Ok(None)
    }

    async fn began(
        &mut self,
        mut terms: Terms,
        talk: &mut Talk,
        backoff: &mut Backoff,
    ) -> anyhow::Result<()> {
        terms.heartbeat_ms = terms
            .heartbeat_ms
            .clamp(*HEARTBEAT_MS.start(), *HEARTBEAT_MS.end());
        terms.status_interval_ms = terms
            .status_interval_ms
            .clamp(*STATUS_INTERVAL_MS.start(), *STATUS_INTERVAL_MS.end());
        backoff.set_spread(terms.reconnect_spread_ms);
        tracing::info!(
            hub = terms.hub_id,
            cluster = terms.cluster_name,
            clock_skew_ms = terms.skew_ms,
            "connected to the hub"
        );
        let news = self.identity.hub_id.as_ref() != Some(&terms.hub_id)
            || self.identity.cluster_name.as_ref() != Some(&terms.cluster_name);
        if news {
            self.identity.hub_id = Some(terms.hub_id.clone());
            self.identity.cluster_name = Some(terms.cluster_name.clone());
            self.store.save(&self.identity).await?;
        }
        talk.terms = Some(terms);
        Ok(())
    }

    fn fetch(&self, state: Arc<DesiredState>, trusted_epoch: StoreEpoch, talk: &mut Talk) {
        if let Some(before) = talk.fetch.take() {
            before.abort();
        }
        let Some(terms) = &talk.terms else {
            return;
        };
        let digest_key = terms
            .digest_key
            .or(self.kept.as_ref().map(|it| it.digest_key))
            .unwrap_or_default();
        let next = HeldState {
            hub_id: terms.hub_id.clone(),
            kube_system_uid: self.identity.kube_system_uid.clone(),
            trusted_epoch,
            digest_key,
            state: DesiredState::clone(&state),
        };
        let (client, held) = (talk.client.clone(), self.held.clone());
        talk.fetch = Some(tokio::spawn(async move {
            let result = fetch::fetch(client, &held, &next).await;
            (state.root(), result.map(|()| next))
        }));
    }

    fn fetched(&mut self, done: Option<Fetched>) -> Vec<Effect> {
        match done {
            Some((root, Ok(kept))) => {
                self.kept = Some(kept);
                self.session.step(Event::Kept { root })
            }
            Some((root, Err(error))) => {
                let message = format!("{error:#}");
                tracing::warn!("the desired state could not be kept: {message}");
                self.session.step(Event::NotKept { root, message })
            }
            None => Vec::new(),
        }
    }

    async fn adopt(
        &mut self,
        state: Arc<DesiredState>,
        trusted_epoch: StoreEpoch,
    ) -> anyhow::Result<()> {
        if let Some(kept) = &mut self.kept
            && kept.trusted_epoch != trusted_epoch
        {
            kept.trusted_epoch = trusted_epoch;
            self.held.keep(kept)?;
        }
        tracing::info!(
            generation = state.generation.0,
            units = state.units.len(),
            "desired state received"
        );
        let digest_key = self.kept.as_ref().map(|it| it.digest_key);
        let input = Input::Adopt {
            state,
            trusted_epoch,
            hub_id: self.identity.hub_id.clone().unwrap_or_default(),
            digest_key: digest_key.unwrap_or_default(),
        };
        self.engine.send(input).await?;
        Ok(())
    }

    async fn say_status(&self, talk: &Talk) -> anyhow::Result<()> {
        let generation = self.session.held().map_or(0, |it| it.0.0);
        let statuses = self.reports.outbox().take(generation);
        for status in statuses {
            talk.send(agent_message::Message::Status(status)).await?;
        }
        Ok(())
    }

    /// Turns the one-time token into a certificate.
    async fn enrol(&mut self) -> anyhow::Result<()> {
        let path = self.config.token_file.as_ref().ok_or_else(|| {
            anyhow::anyhow!("the agent is not enrolled: give --token-file with the token of `capstan cluster add`")
        })?;
        let token = std::fs::read_to_string(path)
            .map_err(|error| anyhow::anyhow!("token file {}: {error}", path.display()))?;
        let channel = tls::dial(&self.config, &self.identity).await?;
        let answer = EnrolmentClient::new(channel)
            .enroll(v1::EnrollRequest {
                token: token.trim().to_owned(),
                csr_der: self.identity.request()?.into(),
                kube_system_uid: self.identity.kube_system_uid.clone(),
                agent_version: env!("CARGO_PKG_VERSION").into(),
            })
            .await?
            .into_inner();
        self.identity.certificate_pem = Some(String::from_utf8(answer.certificate_pem.to_vec())?);
        self.identity.ca_pem = Some(String::from_utf8(answer.ca_pem.to_vec())?);
        self.identity.cluster_name = Some(answer.cluster_name);
        self.identity.hub_id = Some(answer.hub_id);
        self.store.save(&self.identity).await?;
        tracing::info!(cluster = self.identity.cluster_name, "enrolled");
        Ok(())
    }

    /// Gets a certificate for a new key. The connection goes on with the old one; the next uses the new one.
    async fn renew(&mut self, talk: &Talk) -> anyhow::Result<()> {
        let key = rcgen::KeyPair::generate()?;
        let csr_der = request(&key)?.into();
        let mut client = talk.client.clone();
        let answer = client
            .renew(v1::RenewRequest { csr_der })
            .await?
            .into_inner();
        let next = Identity {
            key_pem: key.serialize_pem(),
            certificate_pem: Some(String::from_utf8(answer.certificate_pem.to_vec())?),
            ca_pem: Some(String::from_utf8(answer.ca_pem.to_vec())?),
            ..self.identity.clone()
        };
        self.store.save(&next).await?;
        self.identity = next;
        tracing::info!("certificate renewed");
        Ok(())
    }
}

type Fetched = (Digest, anyhow::Result<HeldState>);

/// One stream, as far as the session's effects need it.
struct Talk {
    to_hub: mpsc::Sender<AgentMessage>,
    terms: Option<Terms>,
    fetch: Option<JoinHandle<Fetched>>,
    client: AgentLinkClient<Channel>,
}

impl Talk {
    async fn send(&self, message: agent_message::Message) -> anyhow::Result<()> {
        let message = AgentMessage {
            message: Some(message),
        };
        let sent = self.to_hub.send(message).await;
        sent.map_err(|_| anyhow::anyhow!("the stream is closed"))
    }
}

/// Waits for the fetch under way; for ever where there is none.
async fn finished(fetch: &mut Option<JoinHandle<Fetched>>) -> Option<Fetched> {
    match fetch {
        // Aborted, or it panicked: the state is asked for again with the next message.
        Some(task) => task.await.ok(),
        None => std::future::pending().await,
    }
}
