//! Wires the parts together.

use std::{future::Future, sync::Arc, time::Duration};

use anyhow::Context as _;
use capstan_core::ObjectKey;
use capstan_proto::CommitTraces;
use futures::StreamExt;
use serde_json::json;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use crate::{
    admin::Admin,
    cluster::{
        Actor, Address, ApplyOptions, Cluster, ClusterError, KubeCluster, Resource, WatchEvent,
        WatchScope,
    },
    config::Config,
    engine::{Engine, Reports},
    held::{Held, HeldState},
    identity::{Identity, IdentityStore},
    ledger::{Ledger, LedgerError, OWN_MANAGER},
    link::{Link, LinkState},
    policy::{POLICY, Policy},
    seal::Sealer,
    session::Session,
    shared::{Input, Shared},
};

/// Inputs of the engine that wait to be taken.
const INBOX: usize = 1_024;
/// Wait before the cluster is asked again at the start.
const START_RETRY: Duration = Duration::from_secs(2);

/// Runs an agent until `shutdown` is done.
///
/// # Errors
/// When it cannot begin: its configuration, kubeconfig, state folder or identity cannot be used. A cluster or a hub that
/// does not answer is waited for.
pub async fn run(config: Config, shutdown: impl Future<Output = ()> + Send) -> anyhow::Result<()> {
    let cluster = KubeCluster::new(config.kubeconfig.as_deref())
        .await
        .context("the cluster's configuration cannot be used")?;
    let counter = cluster.clone();
    let requests = Arc::new(move || counter.requests());
    let traces = CommitTraces::open(
        "capstan-agent",
        config.otlp_endpoint.as_deref(),
        config.otlp_ca.as_deref(),
    );
    let traces = Arc::new(traces.map_err(anyhow::Error::msg)?);
    let result = tokio::select! {
        result = agent(config, Arc::new(cluster), requests, traces.clone()) => result,
        () = shutdown => Ok(()),
    };
    // It blocks, and what it waits for may run on this very thread.
    let closed = tokio::task::spawn_blocking(move || traces.close()).await;
    if let Ok(Err(error)) = closed {
        tracing::warn!(error, "the last traces could not be sent");
    }
    result
}

/// Everything but the link: what goes on alone.
pub(crate) struct Started<C: Cluster> {
    pub(crate) shared: Arc<Shared<C>>,
    pub(crate) reports: Reports,
    pub(crate) engine: Engine<C>,
    pub(crate) inbox: mpsc::Sender<Input>,
    pub(crate) inputs: mpsc::Receiver<Input>,
    pub(crate) held: Arc<Held>,
    pub(crate) kept: Option<HeldState>,
    pub(crate) identity: Identity,
    pub(crate) store: IdentityStore<C>,
    pub(crate) kube_version: String,
}

/// Finds out where the agent is, who it is, and what it knew before; the engine is told, and does not run yet.
pub(crate) async fn start<C: Cluster>(
    config: &Config,
    cluster: Arc<C>,
) -> anyhow::Result<Started<C>> {
    std::fs::create_dir_all(&config.state_dir)
        .with_context(|| format!("state folder {}", config.state_dir.display()))?;
    let kube_system_uid = begin(cluster.as_ref(), &config.namespace).await;
    let store = match &config.identity_secret {
        Some(name) => IdentityStore::secret(cluster.clone(), &config.namespace, name),
        None => IdentityStore::File(config.state_dir.join("identity.json")),
    };
    let identity = identity(&store, &kube_system_uid).await?;
    let held = Held::open(&config.state_dir, Sealer::new(&identity.seal_key))
        .with_context(|| format!("state folder {}", config.state_dir.display()))?;
    let held = Arc::new(held);
    let kept = kept(&held, &identity);
    let (ledger, stamp) = open_ledger(cluster.clone(), &config.namespace).await;
    let (inbox, inputs) = mpsc::channel(INBOX);
    let shared = Arc::new(Shared::new(
        cluster.clone(),
        &config.namespace,
        ledger,
        held.clone(),
        inbox.clone(),
    ));
    let mut kube_version = String::new();
    if let Ok(discovery) = shared.discover().await {
        kube_version.clone_from(&discovery.version);
        inbox.send(Input::Discovered).await?;
    }
    let reports = Reports::default();
    let engine = Engine::new(shared.clone(), reports.clone(), stamp, kube_system_uid);
    let policy = first_policy(cluster.as_ref(), &config.namespace).await;
    inbox.send(Input::Policy(policy)).await?;
    if let Some(kept) = &kept {
        let input = Input::Adopt {
            state: Arc::new(kept.state.clone()),
            trusted_epoch: kept.trusted_epoch,
            hub_id: kept.hub_id.clone(),
            digest_key: kept.digest_key,
        };
        inbox.send(input).await?;
    }
    Ok(Started {
        shared,
        reports,
        engine,
        inbox,
        inputs,
        held,
        kept,
        identity,
        store,
        kube_version,
    })
}

/// The state kept before, where it is of this cluster and this hub.
fn kept(held: &Held, identity: &Identity) -> Option<HeldState> {
    let kept = held.load().unwrap_or_else(|error| {
        tracing::warn!("what was kept cannot be read and is asked of the hub again: {error}");
        None
    })?;
    let same_hub = identity.hub_id.as_ref().is_none_or(|it| *it == kept.hub_id);
    if !same_hub || kept.kube_system_uid != identity.kube_system_uid {
        tracing::error!("what was kept is of another cluster or hub; it is not used");
        return None;
    }
    Some(kept)
}

async fn agent<C: Cluster>(
    config: Config,
    cluster: Arc<C>,
    requests: Arc<dyn Fn() -> u64 + Send + Sync>,
    traces: Arc<CommitTraces>,
) -> anyhow::Result<()> {
    let Started {
        shared,
        reports,
        mut engine,
        inbox,
        inputs,
        held,
        kept,
        identity,
        store,
        kube_version,
    } = start(&config, cluster.clone()).await?;
    engine.traces = traces;
    let state = watch::Sender::new(LinkState::default());
    let link_state = state.subscribe();
    // Without all of its content the state is not held: the hub gives it anew, and meanwhile what is there is kept so.
    let whole = match kept.clone() {
        Some(kept) => {
            let held = held.clone();
            let looked = move || held.is_whole(&kept.state).then_some(kept);
            tokio::task::spawn_blocking(looked).await?
        }
        None => None,
    };
    let session = Session::new(
        identity.hub_id.clone(),
        whole.map(|it| (Arc::new(it.state), it.trusted_epoch)),
    );
    let link = Link {
        config: config.clone(),
        identity,
        store,
        session,
        held,
        kept,
        kube_version,
        incarnation_id: random_id()?,
        engine: inbox.clone(),
        reports: reports.clone(),
        state,
    };
    // Dropped with this future, they all end together.
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        engine.run(inputs).await;
        anyhow::Ok(())
    });
    tasks.spawn(async move {
        link.run().await;
        anyhow::Ok(())
    });
    tasks.spawn(follow_policy(cluster, config.namespace.clone(), inbox));
    if let Some(address) = config.listen {
        let admin = Admin {
            shared,
            reports,
            link: link_state,
            requests,
        };
        tasks.spawn(async move {
            admin
                .serve(address)
                .await
                .with_context(|| format!("cannot listen on {address}"))
        });
    }
    match tasks.join_next().await {
        Some(ended) => ended?,
        None => Ok(()),
    }
}

/// Waits for the cluster; gives the UID of its `kube-system`, and makes the agent's namespace where it is not there.
async fn begin<C: Cluster>(cluster: &C, namespace: &str) -> String {
    loop {
        match try_begin(cluster, namespace).await {
            Ok(uid) => return uid,
            Err(error) => {
                tracing::warn!("waiting for the cluster: {error}");
                tokio::time::sleep(START_RETRY).await;
            }
        }
    }
}

async fn try_begin<C: Cluster>(cluster: &C, namespace: &str) -> Result<String, ClusterError> {
    let at = namespace_at("kube-system");
    let system = cluster.get(&Actor::Agent, &at).await?;
    let uid = system.and_then(|it| Some(it.0.pointer("/metadata/uid")?.as_str()?.to_owned()));
    let uid =
        uid.ok_or_else(|| ClusterError::Unreachable("it has no namespace kube-system".into()))?;
    ensure_namespace(cluster, namespace).await?;
    Ok(uid)
}

fn namespace_at(name: &str) -> Address {
    let key = ObjectKey {
        group: String::new(),
        kind: "Namespace".into(),
        namespace: String::new(),
        name: name.into(),
    };
    Address::of(core("Namespace", "namespaces", false), &key)
}

/// Makes a namespace where it is not there. It belongs to no unit, so it is never pruned.
pub(crate) async fn ensure_namespace<C: Cluster>(
    cluster: &C,
    name: &str,
) -> Result<(), ClusterError> {
    let at = namespace_at(name);
    if cluster.get(&Actor::Agent, &at).await?.is_some() {
        return Ok(());
    }
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let options = ApplyOptions {
        manager: OWN_MANAGER,
        dry_run: false,
    };
    cluster.apply(&Actor::Agent, &at, &body, options).await?;
    Ok(())
}

async fn identity<C: Cluster>(
    store: &IdentityStore<C>,
    kube_system_uid: &str,
) -> anyhow::Result<Identity> {
    let found = store
        .load()
        .await
        .context("the agent's identity cannot be read")?;
    if let Some(identity) = found {
        anyhow::ensure!(
            identity.kube_system_uid == kube_system_uid,
            "the agent's identity is of another cluster (kube-system has UID {kube_system_uid}, and was {}): this is a \
             copy or a rebuilt cluster; nothing is written. Delete the identity and enrol the agent as a new cluster",
            identity.kube_system_uid
        );
        return Ok(identity);
    }
    let identity = Identity::new(kube_system_uid)?;
    store
        .save(&identity)
        .await
        .context("the agent's identity cannot be kept")?;
    Ok(identity)
}

async fn open_ledger<C: Cluster>(
    cluster: Arc<C>,
    namespace: &str,
) -> (Arc<Ledger>, Option<crate::ledger::Stamp>) {
    loop {
        match Ledger::open(cluster.clone(), namespace).await {
            Ok(found) => return found,
            Err(error) => {
                if matches!(error, LedgerError::Damaged { .. }) {
                    tracing::error!("nothing is written: {error}");
                } else {
                    tracing::warn!("waiting for the inventory: {error}");
                }
                tokio::time::sleep(START_RETRY).await;
            }
        }
    }
}

fn core(kind: &str, plural: &str, namespaced: bool) -> Arc<Resource> {
    Arc::new(Resource {
        group: String::new(),
        version: "v1".into(),
        kind: kind.into(),
        plural: plural.into(),
        namespaced,
    })
}

async fn read_policy<C: Cluster>(cluster: &C, namespace: &str) -> Result<Policy, ClusterError> {
    let at = Address {
        resource: core("ConfigMap", "configmaps", true),
        namespace: namespace.to_owned(),
        name: POLICY.to_owned(),
    };
    let live = cluster.get(&Actor::Agent, &at).await?;
    Ok(live.map_or_else(Policy::default, |it| Policy::parse(&it.0)))
}

/// The policy at the start: nothing is done before it is known.
async fn first_policy<C: Cluster>(cluster: &C, namespace: &str) -> Policy {
    loop {
        match read_policy(cluster, namespace).await {
            Ok(policy) => return policy,
            Err(error) => {
                tracing::warn!("waiting for the policy: {error}");
                tokio::time::sleep(START_RETRY).await;
            }
        }
    }
}

/// Reads the policy again whenever it changes.
pub(crate) async fn follow_policy<C: Cluster>(
    cluster: Arc<C>,
    namespace: String,
    inbox: mpsc::Sender<Input>,
) -> anyhow::Result<()> {
    let scope = WatchScope {
        resource: core("ConfigMap", "configmaps", true),
        namespace: namespace.clone(),
        labels: String::new(),
        name: POLICY.to_owned(),
        body: false,
    };
    let mut events = cluster.watch(scope);
    while let Some(event) = events.next().await {
        if matches!(event, WatchEvent::Restarted | WatchEvent::Failed(_)) {
            continue;
        }
        let policy = first_policy(cluster.as_ref(), &namespace).await;
        inbox.send(Input::Policy(policy)).await?;
    }
    Ok(())
}

fn random_id() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    crate::seal::random(&mut bytes)?;
    Ok(hex::encode(bytes))
}

/// Done when the process is asked to end, by Ctrl-C or SIGTERM.
pub async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
