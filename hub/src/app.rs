//! Wiring: opens everything, starts the loops and listeners, and stops them.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    api::{self, Access},
    config::{Config, ConfigError},
    events::EventLog,
    files,
    identity::{Authority, SERVER_LIFE, ServerIdentity, server_config},
    metrics, planner, source,
    state::{Hub, Parts},
    store::{Blobs, Db, Embedded, Sealer},
    stream,
    trace::Traces,
};

/// Handshakes that wait for the gRPC server to take them.
const READY_CONNECTIONS: usize = 128;
/// Events are written to the store at most this often.
const EVENT_WRITE: Duration = Duration::from_millis(250);
/// Blobs that nothing names are looked for this often.
const SWEEP: Duration = Duration::from_secs(3600);
/// How long stopping may take before it is done anyway.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the hub cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something under the data folder.
    #[error("{what} in {path} cannot be opened: {reason}")]
    Open {
        /// What.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// An address to listen on.
    #[error("{what} cannot listen on {address}: {reason}; is another hub running?")]
    Listen {
        /// What for.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// A hub that runs in this process until it is dropped or shut down.
pub struct RunningHub {
    hub: Arc<Hub>,
    access: Arc<Access>,
    tasks: JoinSet<()>,
    /// Where the API and the console are, such as `http://127.0.0.1:7080`.
    pub api_url: String,
    /// Where agents connect.
    pub agents_addr: SocketAddr,
    /// Where the metrics are, if anywhere.
    pub metrics_addr: Option<SocketAddr>,
    /// File with the admin token.
    pub admin_token: PathBuf,
    /// File with the certificate that agents trust.
    pub ca_certificate: PathBuf,
}

/// Starts a hub. It works when this returns; what it does further goes on in the background.
///
/// # Errors
/// When something cannot be opened, made or listened on.
pub async fn start(config: Config) -> Result<RunningHub, StartError> {
    config.check()?;
    tracing::info!("starting: {config}");
    let agents = listen("the listener for agents", config.agents_listen).await?;
    let api_listener = listen("the API", config.api_listen).await?;
    let agents_addr = local(&agents, config.agents_listen)?;
    let api_addr = local(&api_listener, config.api_listen)?;
    let names = server_names(&config);
    let opened = tokio::task::spawn_blocking({
        let config = config.clone();
        move || open(config, agents_addr)
    });
    let (hub, access) = opened
        .await
        .map_err(|it| StartError::Other(it.to_string()))??;
    let wrong = |it: &dyn std::fmt::Display| StartError::Other(it.to_string());
    let identity = ServerIdentity::new(&hub.authority, &names).map_err(|it| wrong(&it))?;
    let identity = Arc::new(identity);
    let tls = server_config(&hub.authority, identity.clone()).map_err(|it| wrong(&it))?;
    let mut tasks = JoinSet::new();
    let (ready, incoming) = mpsc::channel(READY_CONNECTIONS);
    tasks.spawn(stream::accept(
        hub.clone(),
        agents,
        TlsAcceptor::from(Arc::new(tls)),
        ready,
    ));
    tasks.spawn(stream::serve(hub.clone(), ReceiverStream::new(incoming)));
    tasks.spawn(source::run(hub.clone()));
    tasks.spawn(planner::run(hub.clone()));
    tasks.spawn(write_events(hub.clone()));
    tasks.spawn(renew_identity(hub.clone(), identity, names));
    tasks.spawn(sweep_blobs(hub.clone()));
    let served = api::Served {
        hub: hub.clone(),
        access: access.clone(),
        address: api_addr,
    };
    let scheme = api::serve(&mut tasks, served, api_listener).map_err(StartError::Other)?;
    let mut metrics_addr = None;
    if let Some(address) = config.metrics_listen {
        let listener = listen("the metrics", address).await?;
        metrics_addr = Some(local(&listener, address)?);
        let router = metrics::router(hub.clone());
        let stop = hub.stop.clone();
        tasks.spawn(async move {
            let stopped = async move { stop.cancelled().await };
            if let Err(error) = axum::serve(listener, router)
                .with_graceful_shutdown(stopped)
                .await
            {
                tracing::error!(%error, "the listener for metrics has ended");
            }
        });
    }
    let data = &config.data_dir;
    Ok(RunningHub {
        api_url: format!("{scheme}://{api_addr}"),
        agents_addr,
        metrics_addr,
        admin_token: data.join(api::ADMIN_TOKEN_FILE),
        ca_certificate: data.join("keys").join("ca.crt"),
        hub,
        access,
        tasks,
    })
}

/// Runs a hub until Ctrl-C or SIGTERM.
///
/// # Errors
/// When it cannot start.
pub async fn run(config: Config) -> Result<(), StartError> {
    let hub = start(config).await?;
    tracing::info!(api = hub.api_url, agents = %hub.agents_addr, "the hub runs; the admin token is in {}", hub.admin_token.display());
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|it| StartError::Other(it.to_string()))?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
    hub.shutdown().await;
    Ok(())
}

impl RunningHub {
    /// A code that lets one person into the console once, within ten minutes: `<api_url>/login?code=<code>`.
    pub fn login_code(&self) -> String {
        self.access.new_login_code()
    }

    /// Tells agents to dial again, writes what is not written, and ends everything.
    pub async fn shutdown(mut self) {
        self.hub.stop.cancel();
        let mut tasks = std::mem::take(&mut self.tasks);
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_TIMEOUT, all).await.is_err() {
            tracing::warn!("some tasks did not end in time");
        }
        let hub = self.hub.clone();
        let flushed = tokio::task::spawn_blocking(move || {
            if let Err(error) = hub.events.flush(&hub.db) {
                tracing::warn!(%error, "the last events could not be written");
            }
            if let Err(error) = planner::stop_counting(&hub.db) {
                tracing::warn!(%error, "the store could not be told that the hub stops on purpose");
            }
            hub.traces.close();
        });
        let _ = flushed.await;
    }
}

impl Drop for RunningHub {
    fn drop(&mut self) {
        self.hub.stop.cancel();
    }
}

async fn listen(what: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|it| StartError::Listen {
            what,
            address,
            reason: it.to_string(),
        })
}

fn local(listener: &TcpListener, asked: SocketAddr) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|it| StartError::Listen {
        what: "a listener",
        address: asked,
        reason: it.to_string(),
    })
}

/// The names in the certificate for agents.
fn server_names(config: &Config) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"]
        .map(ToOwned::to_owned)
        .into();
    names.extend(config.agents_names.iter().cloned());
    let ip = config.agents_listen.ip();
    if !ip.is_unspecified() {
        names.push(ip.to_string());
    }
    names.sort();
    names.dedup();
    names
}

pub(crate) fn open(
    config: Config,
    agents_addr: SocketAddr,
) -> Result<(Arc<Hub>, Arc<Access>), StartError> {
    let data = config.data_dir.clone();
    let failed = |what: &'static str, path: &Path| {
        let path = path.to_owned();
        move |reason: String| StartError::Open { what, path, reason }
    };
    let keys = data.join("keys");
    files::make_private_folder(&keys)
        .map_err(|it| failed("the data folder", &data)(it.to_string()))?;
    let path = data.join("store.redb");
    let store = Embedded::open(&path).map_err(|it| failed("the store", &path)(it.to_string()))?;
    let in_store = |it: crate::store::DbError| failed("the store", &path)(it.to_string());
    let db = Db::open(Arc::new(store)).map_err(in_store)?;
    let record = db.hub().map_err(in_store)?;
    let events = EventLog::open(&db).map_err(in_store)?;
    let key = keys.join("sealing.key");
    let sealer =
        Sealer::open(&key).map_err(|it| failed("the sealing key", &key)(it.to_string()))?;
    let sealer = Arc::new(sealer);
    let folder = data.join("blobs");
    let blobs = Blobs::open(&folder, sealer.clone())
        .map_err(|it| failed("the blobs", &folder)(it.to_string()))?;
    let authority = Authority::open(&keys, &config.trust_domain)
        .map_err(|it| failed("the certificate authority", &keys)(it.to_string()))?;
    let access =
        Access::open(&data).map_err(|it| failed("the admin token", &data)(it.to_string()))?;
    let traces = Traces::open(config.otlp_endpoint.as_deref(), config.otlp_ca.as_deref())
        .map_err(StartError::Other)?;
    let agents_address = match (config.agents_address.as_str(), config.agents_names.first()) {
        ("", Some(name)) => format!("{name}:{}", agents_addr.port()),
        ("", None) => agents_addr.to_string(),
        (given, _) => given.to_owned(),
    };
    let hub = Hub::new(Parts {
        config,
        record,
        db,
        blobs,
        sealer,
        authority,
        events,
        traces,
        agents_address,
    });
    let mirrors = hub.mirrors();
    source::unlock(&mirrors).map_err(|it| failed("a mirror", &mirrors)(it.to_string()))?;
    planner::restore(&hub).map_err(in_store)?;
    Ok((Arc::new(hub), Arc::new(access)))
}

async fn write_events(hub: Arc<Hub>) {
    loop {
        tokio::select! {
            () = hub.stop.cancelled() => return,
            () = hub.events.unwritten() => tokio::time::sleep(EVENT_WRITE).await,
        }
        let worker = hub.clone();
        let written = tokio::task::spawn_blocking(move || worker.events.flush(&worker.db)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "events could not be written");
        }
    }
}

async fn renew_identity(hub: Arc<Hub>, identity: Arc<ServerIdentity>, names: Vec<String>) {
    loop {
        tokio::select! {
            () = hub.stop.cancelled() => return,
            () = tokio::time::sleep(SERVER_LIFE / 2) => {}
        }
        if let Err(error) = identity.renew(&hub.authority, &names) {
            tracing::error!(%error, "the hub's own certificate could not be renewed");
        }
    }
}

async fn sweep_blobs(hub: Arc<Hub>) {
    loop {
        tokio::select! {
            () = hub.stop.cancelled() => return,
            () = tokio::time::sleep(SWEEP) => {}
        }
        let worker = hub.clone();
        let swept =
            tokio::task::spawn_blocking(move || worker.blobs.sweep(&worker.links.all_named()))
                .await;
        match swept {
            Ok(Ok(removed)) => tracing::debug!(removed, "swept blobs"),
            Ok(Err(error)) => tracing::warn!(%error, "blobs could not be swept"),
            Err(_) => {}
        }
    }
}
