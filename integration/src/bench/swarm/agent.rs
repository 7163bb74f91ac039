//! One agent of the swarm: the real session over a connection of its own, without a cluster.

use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

use anyhow::Context;
use capstan_agent::{
    Backoff,
    session::{Effect, Event, Greeting, Session, Terms},
};
use capstan_core::{DesiredState, Digest};
use capstan_proto::{
    MAX_BLOBS_PER_REQUEST, MAX_MESSAGE_BYTES,
    v1::{
        AgentMessage, EnrollRequest, GetBlobsRequest, HubMessage, Ping,
        agent_link_client::AgentLinkClient, agent_message::Message,
        enrolment_client::EnrolmentClient,
    },
};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{net::TcpStream, sync::mpsc, sync::watch};
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Streaming,
    transport::{Channel, Endpoint, Uri},
};

/// Wait after the hub takes no more enrolments for a moment.
const ENROLMENT_RETRY: Duration = Duration::from_millis(200);
/// Messages that wait to be sent.
const SEND_QUEUE: usize = 8;

/// Agents that have come so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Sessions that begun and hold what the hub wants.
    pub(super) in_sync: usize,
    /// States received whole, with their blobs.
    pub(super) received: usize,
    /// Sessions that ended after they had begun.
    pub(super) lost: usize,
}

/// Where the hub is.
pub(super) struct Hub {
    pub(super) address: String,
    pub(super) ca_pem: String,
}

/// An enrolled agent.
pub(super) struct Agent {
    address: String,
    tls: Arc<ClientConfig>,
    kube_system_uid: String,
    session: Session,
    blobs: BTreeSet<Digest>,
}

impl Agent {
    /// Turns a token into a certificate.
    pub(super) async fn enrol(hub: Hub, number: usize, token: &str) -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let request = CertificateParams::new(Vec::new())?.serialize_request(&key)?;
        let kube_system_uid = format!("00000000-0000-4000-8000-{number:012}");
        let open = client_config(&hub.ca_pem, None)?;
        let mut client = EnrolmentClient::new(dial(&hub.address, open).await?);
        let enroll = EnrollRequest {
            token: token.to_owned(),
            csr_der: request.der().to_vec().into(),
            kube_system_uid: kube_system_uid.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let answer = loop {
            match client.enroll(enroll.clone()).await {
                // So many a second, as the hub says.
                Err(status) if status.code() == Code::ResourceExhausted => {
                    tokio::time::sleep(ENROLMENT_RETRY).await;
                }
                answer => break answer?.into_inner(),
            }
        };
        let chain = CertificateDer::pem_slice_iter(&answer.certificate_pem);
        let chain = chain.collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| anyhow::anyhow!("the certificate: {error:?}"))?;
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|error| anyhow::anyhow!("the key: {error}"))?;
        Ok(Self {
            address: hub.address,
            tls: client_config(&hub.ca_pem, Some((chain, key)))?,
            kube_system_uid,
            session: Session::new(Some(answer.hub_id), None),
            blobs: BTreeSet::new(),
        })
    }

    /// Stays connected for ever, as a real agent does.
    pub(super) async fn live(mut self, tally: watch::Sender<Tally>) {
        let mut backoff = Backoff::default();
        loop {
            let mut begun = false;
            if let Err(error) = self.converse(&tally, &mut backoff, &mut begun).await {
                tracing::debug!("{error:#}");
            }
            self.session.step(Event::Lost);
            if begun {
                tally.send_modify(|it| it.lost += 1);
            }
            tokio::time::sleep(backoff.after_loss(begun, begun)).await;
        }
    }

    async fn converse(
        &mut self,
        tally: &watch::Sender<Tally>,
        backoff: &mut Backoff,
        begun: &mut bool,
    ) -> anyhow::Result<()> {
        let channel = dial(&self.address, self.tls.clone()).await?;
        let mut client = AgentLinkClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let (to_hub, from_us) = mpsc::channel(SEND_QUEUE);
        let hello = self.session.step(Event::Connected(Greeting {
            kube_version: "v1.36.0".to_owned(),
            incarnation_id: self.kube_system_uid.clone(),
            kube_system_uid: self.kube_system_uid.clone(),
            clock_ms: 0,
        }));
        let mut talk = Talk {
            to_hub,
            client: client.clone(),
            tally,
            terms: None,
            synced: false,
        };
        self.act(hello, &mut talk).await?;
        let inbound = client.session(ReceiverStream::new(from_us)).await?;
        let end = self.listen(inbound.into_inner(), &mut talk).await;
        if let Some(terms) = talk.terms {
            *begun = true;
            backoff.set_spread(terms.reconnect_spread_ms);
        }
        end
    }

    async fn listen(
        &mut self,
        mut inbound: Streaming<HubMessage>,
        talk: &mut Talk<'_>,
    ) -> anyhow::Result<()> {
        let mut sequence = 0;
        loop {
            let heartbeat = talk.terms.as_ref().map_or(15_000, |it| it.heartbeat_ms);
            let heard = inbound.message();
            let heard = tokio::time::timeout(Duration::from_millis(heartbeat.into()), heard).await;
            let Ok(heard) = heard else {
                sequence += 1;
                talk.send(Message::Ping(Ping { sequence })).await?;
                continue;
            };
            let message = heard?.context("the hub ended the stream")?.message;
            if let Some(message) = message {
                let event = Event::Message {
                    message,
                    clock_ms: 0,
                };
                let effects = self.session.step(event);
                self.act(effects, talk).await?;
            }
        }
    }

    async fn act(&mut self, effects: Vec<Effect>, talk: &mut Talk<'_>) -> anyhow::Result<()> {
        let mut effects: std::collections::VecDeque<_> = effects.into();
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Send(message) => talk.send(message).await?,
                Effect::Began(terms) => {
                    talk.terms = Some(terms);
                    if self.session.held().is_some() {
                        talk.in_sync();
                    }
                }
                Effect::Fetch { state, .. } => {
                    self.fetch(&state, talk).await?;
                    effects.extend(self.session.step(Event::Kept { root: state.root() }));
                }
                Effect::Adopt { .. } => {
                    talk.in_sync();
                    talk.tally.send_modify(|it| it.received += 1);
                }
                Effect::Drain(_) => anyhow::bail!("the hub is going away"),
                Effect::Close(reason) => anyhow::bail!(reason),
                Effect::Obey(_) | Effect::Acknowledged(_) => {}
            }
        }
        Ok(())
    }

    async fn fetch(&mut self, state: &DesiredState, talk: &mut Talk<'_>) -> anyhow::Result<()> {
        let entries = state.units.values().flat_map(|it| &it.entries);
        let wanted: BTreeSet<Digest> = entries.map(|it| it.digest).collect();
        let missing: Vec<Digest> = wanted.difference(&self.blobs).copied().collect();
        for part in missing.chunks(MAX_BLOBS_PER_REQUEST) {
            let digests = part.iter().map(|it| it.as_bytes().to_vec().into());
            let request = GetBlobsRequest {
                digests: digests.collect(),
            };
            let mut chunks = talk.client.get_blobs(request).await?.into_inner();
            while chunks.message().await?.is_some() {}
        }
        self.blobs = wanted;
        Ok(())
    }
}

/// One stream.
struct Talk<'t> {
    to_hub: mpsc::Sender<AgentMessage>,
    client: AgentLinkClient<Channel>,
    tally: &'t watch::Sender<Tally>,
    terms: Option<Terms>,
    synced: bool,
}

impl Talk<'_> {
    async fn send(&self, message: Message) -> anyhow::Result<()> {
        let message = AgentMessage {
            message: Some(message),
        };
        let sent = self.to_hub.send(message).await;
        sent.map_err(|_| anyhow::anyhow!("the stream is closed"))
    }

    /// Counted once for each stream.
    fn in_sync(&mut self) {
        if !std::mem::replace(&mut self.synced, true) {
            self.tally.send_modify(|it| it.in_sync += 1);
        }
    }
}

type ClientAuth = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client_config(ca_pem: &str, auth: Option<ClientAuth>) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.map_err(|error| anyhow::anyhow!("the hub's CA: {error:?}"))?)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots);
    let mut tls = match auth {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    // Each agent is alone on its machine: none would find another's session.
    tls.resumption = Resumption::disabled();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(tls))
}

async fn dial(address: &str, tls: Arc<ClientConfig>) -> anyhow::Result<Channel> {
    let host = address.rsplit_once(':').context("an address has a port")?.0;
    let name = ServerName::try_from(host.to_owned())?;
    let connector = TlsConnector::from(tls);
    let target = address.to_owned();
    let connect = move |_: Uri| {
        let (connector, name, target) = (connector.clone(), name.clone(), target.clone());
        async move {
            let stream = TcpStream::connect(target).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(TokioIo::new(connector.connect(name, stream).await?))
        }
    };
    // The connector brings its own TLS; of an https endpoint tonic would expect to add it.
    let endpoint = Endpoint::from_static("http://hub");
    Ok(endpoint
        .origin(format!("https://{address}").parse()?)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_while_idle(true)
        .connect_with_connector(tower::service_fn(connect))
        .await?)
}
