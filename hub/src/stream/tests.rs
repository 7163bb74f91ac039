//! Real TLS and real calls: enrolment, a session, and every call against what belongs to somebody else.

use std::{collections::BTreeSet, sync::Arc};

use capstan_core::{
    DesiredState, Digest, Entry, Generation, MediaType, ObjectKey, Origin, Role, Source, Unit,
    UnitSpec,
};
use capstan_proto::v1::{
    self, agent_link_client::AgentLinkClient, agent_message::Message,
    enrolment_client::EnrolmentClient, hub_message::Message as FromHub,
};
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint, Uri},
};

use super::*;
use crate::{
    clock::now_ms,
    config::Config,
    identity::{ServerIdentity, TOKEN_LIFE_MS, new_token, server_config},
    store::{Batch, ClusterRecord, ClusterState, TokenRecord},
};

/// The calls of the protocol, and whether each is tried against foreign resources below. A call that is added to the
/// protocol fails [`every_call_is_tried`] until it is here.
const CALLS: [&str; 4] = [
    "AgentLink/GetBlobs",
    "AgentLink/Renew",
    "AgentLink/Session",
    "Enrolment/Enroll",
];

struct Here {
    _folder: tempfile::TempDir,
    hub: Arc<Hub>,
    address: std::net::SocketAddr,
}

impl Drop for Here {
    fn drop(&mut self) {
        self.hub.stop.cancel();
    }
}

/// An agent's identity.
struct Agent {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Here {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: folder.path().join("hub"),
            ..Config::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let opened = tokio::task::spawn_blocking(move || crate::app::open(config, address)).await;
        let (hub, _) = opened.unwrap().unwrap();
        let identity = ServerIdentity::new(&hub.authority, &["localhost".to_owned()]).unwrap();
        let tls = server_config(&hub.authority, Arc::new(identity)).unwrap();
        let (ready, incoming) = mpsc::channel(8);
        tokio::spawn(accept(
            hub.clone(),
            listener,
            tokio_rustls::TlsAcceptor::from(Arc::new(tls)),
            ready,
        ));
        tokio::spawn(serve(hub.clone(), ReceiverStream::new(incoming)));
        Self {
            _folder: folder,
            hub,
            address,
        }
    }

    /// Adds a cluster, and gives a token for it.
    fn add(&self, name: &str) -> String {
        let uid = uuid::Uuid::new_v4().to_string().parse().unwrap();
        let record = ClusterRecord {
            sealed_digest_key: self.hub.new_digest_key(&uid),
            ..ClusterRecord::added(uid, name.parse().unwrap(), now_ms())
        };
        self.hub.change_view(|it| {
            it.know(&record.name, &record.uid);
        });
        self.token(&record, now_ms() + TOKEN_LIFE_MS, true)
    }

    fn token(&self, record: &ClusterRecord, expires_ms: u64, new: bool) -> String {
        let made = new_token();
        let mut batch = Batch::default();
        if new {
            batch.put_cluster(record, None);
        }
        batch.put_token(
            &made.id,
            &TokenRecord {
                hash: made.hash,
                cluster: record.uid.clone(),
                expires_ms,
            },
        );
        self.hub.db.commit(&batch).unwrap();
        made.token.expose_text().to_owned()
    }

    fn record(&self, name: &str) -> ClusterRecord {
        self.hub
            .db
            .cluster_named(&name.parse().unwrap())
            .map(|it| (*it.value).clone())
            .unwrap()
    }

    async fn channel(&self, agent: Option<&Agent>) -> Channel {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.hub.authority.certificate().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match agent {
            Some(it) => config
                .with_client_auth_cert(it.chain.clone(), it.key.clone_key())
                .unwrap(),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let address = self.address;
        let connect = tower::service_fn(move |_: Uri| {
            let connector = connector.clone();
            async move {
                let stream = tokio::net::TcpStream::connect(address).await?;
                let name = ServerName::try_from("localhost").unwrap();
                let stream = connector.connect(name, stream).await?;
                Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(stream))
            }
        });
        Endpoint::from_static("http://hub")
            .connect_with_connector(connect)
            .await
            .unwrap()
    }

    async fn enroll(&self, token: &str, kube_system: &str) -> Result<Agent, Status> {
        let key = KeyPair::generate().unwrap();
        let csr = CertificateParams::default()
            .serialize_request(&key)
            .unwrap();
        let mut client = EnrolmentClient::new(self.channel(None).await);
        let request = v1::EnrollRequest {
            token: token.to_owned(),
            csr_der: csr.der().to_vec().into(),
            kube_system_uid: kube_system.to_owned(),
            agent_version: "test".to_owned(),
        };
        let answer = client.enroll(request).await?.into_inner();
        let chain =
            CertificateDer::pem_slice_iter(&answer.certificate_pem).collect::<Result<_, _>>();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Ok(Agent {
            chain: chain.unwrap(),
            key,
        })
    }

    async fn agent(&self, name: &str) -> Agent {
        let token = self.add(name);
        self.enroll(&token, name).await.unwrap()
    }

    /// Gives a cluster a state with one object of this content, and gives its digest.
    fn publish(&self, name: &str, generation: u64, content: &str) -> Digest {
        let record = self.record(name);
        let digest = Digest::of(content.as_bytes());
        self.hub
            .blobs
            .put(&digest, content.as_bytes(), false)
            .unwrap();
        let mut state = DesiredState::empty(self.hub.record.epoch);
        state.generation = Generation(generation);
        let source: capstan_core::SourceKey = "GitRepository/flux-system/fleet".parse().unwrap();
        let revision = "main@sha1:1".parse().unwrap();
        state.sources.insert(source.clone(), Source { revision });
        let entry = Entry {
            key: ObjectKey {
                group: String::new(),
                kind: "ConfigMap".into(),
                namespace: "a".into(),
                name: "b".into(),
            },
            version: "v1".into(),
            role: Role::Object,
            media_type: MediaType::Object,
            sensitive: false,
            digest,
            bytes: content.len() as u64,
            path: String::new(),
        };
        let unit = Unit {
            digest: Digest::of(b""),
            spec: UnitSpec::default(),
            origin: Origin::FleetPath,
            source,
            held_at: None,
            problem: None,
            entries: vec![entry].into(),
        };
        let key = format!("{name}/Kustomization/flux-system/apps")
            .parse()
            .unwrap();
        state.units.insert(key, Arc::new(unit.seal()));
        self.hub.links.publish(&record.uid, Arc::new(state));
        digest
    }

    async fn blob(&self, agent: Option<&Agent>, digest: &Digest) -> Result<Vec<u8>, Status> {
        let mut client = AgentLinkClient::new(self.channel(agent).await);
        let request = v1::GetBlobsRequest {
            digests: vec![digest.as_bytes().to_vec().into()],
        };
        let mut chunks = client.get_blobs(request).await?.into_inner();
        let mut content = Vec::new();
        while let Some(chunk) = chunks.message().await? {
            content.extend_from_slice(&chunk.data);
        }
        Ok(content)
    }
}

fn hello(kube_system: &str) -> v1::AgentMessage {
    let hello = v1::Hello {
        protocol_min: 1,
        protocol_max: 1,
        kube_system_uid: kube_system.to_owned(),
        ..v1::Hello::default()
    };
    v1::AgentMessage {
        message: Some(Message::Hello(hello)),
    }
}

/// An open session: what the agent says, and what it hears.
struct Talk {
    say: mpsc::Sender<v1::AgentMessage>,
    hear: tonic::Streaming<v1::HubMessage>,
}

async fn talk(here: &Here, agent: Option<&Agent>, first: v1::AgentMessage) -> Result<Talk, Status> {
    let (say, said) = mpsc::channel(8);
    say.send(first).await.unwrap();
    let mut client = AgentLinkClient::new(here.channel(agent).await);
    let hear = client
        .session(Request::new(ReceiverStream::new(said)))
        .await?
        .into_inner();
    Ok(Talk { say, hear })
}

impl Talk {
    async fn next(&mut self) -> Result<FromHub, Status> {
        let message = self.hear.message().await?;
        message
            .and_then(|it| it.message)
            .ok_or_else(|| Status::cancelled("the stream ended"))
    }
}

#[tokio::test]
async fn a_token_is_good_once_and_for_its_cluster_only() {
    let here = Here::new().await;
    let token = here.add("dev");
    let code = |it: Result<Agent, Status>| it.err().map(|it| it.code());
    assert_eq!(
        code(here.enroll("0000.1111", "k").await),
        Some(Code::PermissionDenied)
    );
    let (one, two) = tokio::join!(here.enroll(&token, "k"), here.enroll(&token, "k"));
    assert_eq!(
        usize::from(one.is_ok()) + usize::from(two.is_ok()),
        1,
        "two with one token"
    );
    assert_eq!(
        code(here.enroll(&token, "k").await),
        Some(Code::PermissionDenied)
    );
    let record = here.record("dev");
    let late = here.token(&record, now_ms() - 1, false);
    assert_eq!(
        code(here.enroll(&late, "k").await),
        Some(Code::PermissionDenied)
    );
    let again = here.token(&record, now_ms() + 1000, false);
    assert_eq!(
        code(here.enroll(&again, "another").await),
        Some(Code::FailedPrecondition)
    );
    assert!(here.enroll(&again, "k").await.is_ok());
}

/// Asks for a blob that nobody has, and gives how that was refused.
async fn ask(channel: &Channel) -> Status {
    let mut client = AgentLinkClient::new(channel.clone());
    let digests = vec![Digest::of(b"nowhere").as_bytes().to_vec().into()];
    match client.get_blobs(v1::GetBlobsRequest { digests }).await {
        Ok(chunks) => chunks.into_inner().message().await.unwrap_err(),
        Err(status) => status,
    }
}

#[tokio::test]
async fn one_cluster_does_not_take_the_connections_of_others() {
    let here = Here::new().await;
    let (greedy, other) = (here.agent("greedy").await, here.agent("other").await);
    let digest = here.publish("other", 1, "{}");
    let answered = |it: &Status| it.code() == Code::PermissionDenied;
    let mut open = Vec::new();
    for _ in 0..accept::MAX_PER_CLUSTER {
        let channel = here.channel(Some(&greedy)).await;
        let refused = ask(&channel).await;
        assert!(answered(&refused), "{refused:?}");
        open.push(channel);
    }
    let refused = ask(&here.channel(Some(&greedy)).await).await;
    assert!(!answered(&refused), "{refused:?}");
    assert!(here.blob(Some(&other), &digest).await.is_ok());
}

#[tokio::test]
async fn a_state_is_received_with_its_content() {
    let here = Here::new().await;
    let agent = here.agent("dev").await;
    let digest = here.publish("dev", 1, "{\"a\":1}");
    let mut talk = talk(&here, Some(&agent), hello("dev")).await.unwrap();
    let FromHub::Welcome(welcome) = talk.next().await.unwrap() else {
        panic!("no welcome")
    };
    assert_eq!(
        (welcome.mode(), welcome.cluster_name.as_str()),
        (v1::welcome::Mode::Full, "dev")
    );
    assert_eq!(welcome.digest_key.len(), 32);
    let FromHub::Snapshot(chunk) = talk.next().await.unwrap() else {
        panic!("no snapshot")
    };
    assert!(chunk.last);
    assert_eq!(
        here.blob(Some(&agent), &digest).await.unwrap(),
        b"{\"a\":1}"
    );
    let received = v1::Received {
        generation: chunk.generation,
        root: chunk.root.clone(),
    };
    talk.say
        .send(v1::AgentMessage {
            message: Some(Message::Received(received)),
        })
        .await
        .unwrap();
    here.publish("dev", 2, "{\"a\":2}");
    let FromHub::Delta(delta) = talk.next().await.unwrap() else {
        panic!("no delta")
    };
    assert_eq!((delta.from_generation, delta.to_generation), (1, 2));
    let mut newer = self::talk(&here, Some(&agent), hello("dev")).await.unwrap();
    assert!(newer.next().await.is_ok());
    while let Ok(it) = talk.next().await {
        assert!(
            matches!(it, FromHub::Drain(_)),
            "a newer session ends the older one"
        );
    }
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one case for each call, beside each other"
)]
async fn every_call_is_tried() {
    let proto = include_str!("../../../proto/proto/agent.proto");
    let mut service = "";
    let mut calls = BTreeSet::new();
    for line in proto.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("service") => service = words.next().unwrap(),
            Some("rpc") => {
                let name = words.collect::<Vec<_>>().join(" ");
                calls.insert(format!(
                    "{service}/{}",
                    name.split('(').next().unwrap().trim()
                ));
            }
            _ => {}
        }
    }
    assert_eq!(
        calls.into_iter().collect::<Vec<_>>(),
        CALLS,
        "a call was added: try it against foreign resources too"
    );
    let here = Here::new().await;
    let (mine, theirs) = (here.agent("mine").await, here.agent("theirs").await);
    let own = here.publish("mine", 1, "own");
    let foreign = here.publish("theirs", 1, "foreign");
    for call in CALLS {
        match call {
            "AgentLink/GetBlobs" => {
                assert_eq!(here.blob(Some(&mine), &own).await.unwrap(), b"own");
                let denied = here.blob(Some(&mine), &foreign).await.unwrap_err();
                let nowhere = here
                    .blob(Some(&mine), &Digest::of(b"nowhere"))
                    .await
                    .unwrap_err();
                assert_eq!(denied.code(), Code::PermissionDenied);
                assert_eq!(
                    denied.message(),
                    nowhere.message(),
                    "what exists elsewhere must look like what does not"
                );
                assert_eq!(
                    here.blob(None, &own).await.unwrap_err().code(),
                    Code::Unauthenticated
                );
            }
            "AgentLink/Renew" => {
                let key = KeyPair::generate().unwrap();
                let mut params = CertificateParams::default();
                let name = format!(
                    "spiffe://capstan.local/cluster/{}",
                    here.record("theirs").uid
                );
                params
                    .subject_alt_names
                    .push(rcgen::SanType::URI(name.try_into().unwrap()));
                let csr = params.serialize_request(&key).unwrap();
                let request = v1::RenewRequest {
                    csr_der: csr.der().to_vec().into(),
                };
                let mut client = AgentLinkClient::new(here.channel(Some(&mine)).await);
                let renewed = client.renew(request.clone()).await.unwrap().into_inner();
                let leaf = CertificateDer::from_pem_slice(&renewed.certificate_pem).unwrap();
                let uid = crate::identity::uid_of(&leaf, "capstan.local").unwrap();
                assert_eq!(
                    uid,
                    here.record("mine").uid,
                    "whatever the request asks for"
                );
                let mut nobody = AgentLinkClient::new(here.channel(None).await);
                assert_eq!(
                    nobody.renew(request).await.unwrap_err().code(),
                    Code::Unauthenticated
                );
            }
            "AgentLink/Session" => {
                let nobody = talk(&here, None, hello("theirs")).await.err().unwrap();
                assert_eq!(nobody.code(), Code::Unauthenticated);
                let mut copied = talk(&here, Some(&mine), hello("theirs")).await.unwrap();
                assert_eq!(
                    copied.next().await.unwrap_err().code(),
                    Code::PermissionDenied
                );
                let mut own = talk(&here, Some(&mine), hello("mine")).await.unwrap();
                own.next().await.unwrap();
                let lie = v1::UnitReport {
                    key: "theirs/Kustomization/flux-system/apps".into(),
                    digest: vec![0; 32].into(),
                    phase: "Healthy".into(),
                    ..v1::UnitReport::default()
                };
                let status = v1::Status {
                    sequence: 7,
                    units: vec![lie],
                    ..v1::Status::default()
                };
                own.say
                    .send(v1::AgentMessage {
                        message: Some(Message::Status(status)),
                    })
                    .await
                    .unwrap();
                while !matches!(own.next().await.unwrap(), FromHub::StatusAck(_)) {}
                let view = here.hub.view();
                let known = view.clusters.values();
                assert!(
                    known.clone().any(|it| it.reported_ms.is_some()),
                    "the report was taken"
                );
                assert!(
                    known.clone().all(|it| it.units.is_empty()),
                    "an agent spoke for another cluster"
                );
            }
            "Enrolment/Enroll" => {
                let token = here.add("third");
                let agent = here.enroll(&token, "third").await.unwrap();
                let leaf = agent.chain.first().unwrap();
                let uid = crate::identity::uid_of(leaf, "capstan.local").unwrap();
                assert_eq!(uid, here.record("third").uid);
            }
            _ => unreachable!("checked above"),
        }
    }
    drop(theirs);
}

#[tokio::test]
async fn revoking_ends_the_live_session_and_every_later_call() {
    let here = Here::new().await;
    let agent = here.agent("dev").await;
    let digest = here.publish("dev", 1, "x");
    let mut talk = talk(&here, Some(&agent), hello("dev")).await.unwrap();
    talk.next().await.unwrap();
    let found = here.hub.db.cluster_named(&"dev".parse().unwrap()).unwrap();
    let mut record = (*found.value).clone();
    record.state = ClusterState::Revoked;
    let mut batch = Batch::default();
    batch.put_cluster(&record, Some(found.revision));
    here.hub.db.commit(&batch).unwrap();
    here.hub.links.cut(&record.uid);
    while talk.next().await.is_ok() {}
    assert_eq!(
        here.blob(Some(&agent), &digest).await.unwrap_err().code(),
        Code::PermissionDenied
    );
    let again = self::talk(&here, Some(&agent), hello("dev"))
        .await
        .err()
        .unwrap();
    assert_eq!(again.code(), Code::PermissionDenied);
}
