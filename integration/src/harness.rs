//! A whole fleet on this machine: a Git server, a hub and agents as processes of their own, and clusters, simulated or real.
//!
//! Everything is started on free loopback ports below one temporary folder and is gone when the [`Fleet`] is dropped.
//! Waiting is always bounded and says what it last saw.

mod api;
mod canaries;
mod cluster;
mod git;
mod pool;
mod process;
mod repository;

use std::{
    collections::BTreeMap,
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use capstan_playground::ports;
use serde_json::{Value, json};
use tempfile::TempDir;

pub use api::Api;
pub use cluster::{Cluster, ClusterKind};
use git::Served;
pub use git::Transport;
pub use process::Process;
pub use repository::Repository;

/// How long a test waits for anything. Long, since machines are slow and noisy; a test that passes never waits that long.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// Where it is set, the folder of a fleet stays when it ends: its logs say what happened.
const KEEP: &str = "CAPSTAN_KEEP_FLEETS";
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// A running fleet.
pub struct Fleet {
    /// The fleet repository.
    pub repository: Repository,
    /// The clusters by name.
    pub clusters: BTreeMap<String, Cluster>,
    /// The hub's API.
    pub api: Api,
    /// The hub.
    pub hub: Process,
    /// The agents by cluster.
    pub agents: BTreeMap<String, Process>,
    /// Where each agent shows its health and metrics.
    agent_addresses: BTreeMap<String, SocketAddr>,
    _git: Served,
    folder: TempDir,
}

impl Fleet {
    /// Starts a fleet with a cluster for each name. `files` is what the repository holds at first; the fleet path is
    /// `fleet/`, and the repository itself is the source `GitRepository/flux-system/fleet`.
    ///
    /// # Errors
    /// When a part cannot be started.
    pub async fn start(
        kind: ClusterKind,
        names: &[&str],
        files: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        Self::start_over(Transport::Http, kind, names, files).await
    }

    /// A fleet without clusters, with more in the hub's configuration, as lines of TOML.
    ///
    /// # Errors
    /// When a part cannot be started.
    pub async fn start_configured(hub: &str, files: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::begin(Transport::Http, hub, (ClusterKind::Sim, &[]), files).await
    }

    /// The same, with a hub that follows the repository over `transport`.
    ///
    /// # Errors
    /// When a part cannot be started.
    pub async fn start_over(
        transport: Transport,
        kind: ClusterKind,
        names: &[&str],
        files: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        Self::begin(transport, "", (kind, names), files).await
    }

    async fn begin(
        transport: Transport,
        hub: &str,
        (kind, names): (ClusterKind, &[&str]),
        files: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("capstan-e2e-")
            .disable_cleanup(std::env::var_os(KEEP).is_some())
            .tempdir()?;
        let git = Served::start(transport, folder.path()).await?;
        let repository = Repository::clone(&git.push_url(), folder.path().join("work")).await?;
        repository.commit("first", files).await?;
        let started = Cluster::start_all(kind, names, folder.path()).await?;
        let named = names.iter().map(|name| (*name).to_owned());
        let clusters = named.zip(started).collect();
        let config = write_config(folder.path(), &format!("{hub}\n{}", git.hub_config()))?;
        let hub = Process::start(folder.path(), "hub", &["hub", "--config", &config])?;
        let api = api(&hub, folder.path()).await?;
        let mut fleet = Self {
            repository,
            clusters,
            api,
            hub,
            agents: BTreeMap::new(),
            agent_addresses: BTreeMap::new(),
            _git: git,
            folder,
        };
        for name in names {
            fleet.enrol(name).await?;
        }
        Ok(fleet)
    }

    /// Adds the cluster to the hub and starts its agent.
    ///
    /// # Errors
    /// When the hub refuses, or the agent cannot be started.
    pub async fn enrol(&mut self, name: &str) -> anyhow::Result<()> {
        let added = self.api.post("/clusters", &json!({"name": name})).await?;
        let token = added["token"].as_str().context("no token")?;
        let hub = added["hub"].as_str().context("no hub address")?;
        let token_file = self.folder.path().join(format!("{name}.token"));
        std::fs::write(&token_file, token)?;
        let ca = self.folder.path().join("hub/keys/ca.crt");
        let path = |it: &Path| it.to_string_lossy().into_owned();
        let listen = free_address()?;
        let args = [
            "agent".to_owned(),
            format!("--listen={listen}"),
            format!("--hub=https://{hub}"),
            format!("--hub-ca={}", path(&ca)),
            format!("--token-file={}", path(&token_file)),
            format!(
                "--state-dir={}",
                path(&self.folder.path().join(format!("agent-{name}")))
            ),
            format!("--kubeconfig={}", path(&self.clusters[name].kubeconfig)),
        ];
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let agent = Process::start(self.folder.path(), &format!("agent-{name}"), &args)?;
        self.agents.insert(name.to_owned(), agent);
        self.agent_addresses.insert(name.to_owned(), listen);
        Ok(())
    }

    /// The metrics of a cluster's agent, as Prometheus reads them.
    ///
    /// # Errors
    /// When there is no such agent, or it does not answer.
    pub async fn agent_metrics(&self, cluster: &str) -> anyhow::Result<String> {
        let address = self
            .agent_addresses
            .get(cluster)
            .with_context(|| format!("there is no agent of {cluster}"))?;
        Ok(reqwest::get(format!("http://{address}/metrics"))
            .await?
            .text()
            .await?)
    }

    /// The cluster of a name.
    ///
    /// # Panics
    /// When the fleet has none of that name.
    pub fn cluster(&self, name: &str) -> &Cluster {
        &self.clusters[name]
    }

    /// Waits until each of the units (`name` in `flux-system`) of a cluster is healthy at `commit`.
    ///
    /// # Errors
    /// When that does not happen in time; says what was last seen.
    pub async fn healthy(&self, cluster: &str, units: &[&str], commit: &str) -> anyhow::Result<()> {
        for unit in units {
            let what = format!("{cluster} {unit} to be healthy at {commit}");
            wait_for(&what, async || {
                let item = self.unit(cluster, unit).await?;
                let ready = condition(&item, "Ready");
                let revision = item["status"]["lastAppliedRevision"]
                    .as_str()
                    .unwrap_or_default();
                let good = ready["status"] == "True" && revision.ends_with(commit);
                Ok(if good {
                    Ok(())
                } else {
                    Err(format!("{ready} at {revision}"))
                })
            })
            .await?;
        }
        Ok(())
    }

    /// A unit in `flux-system`, as the API gives it; null where it is not there.
    ///
    /// # Errors
    /// When the hub does not answer.
    pub async fn unit(&self, cluster: &str, name: &str) -> anyhow::Result<Value> {
        let query = [
            ("cluster", cluster),
            ("namespace", "flux-system"),
            ("name", name),
        ];
        let mut list = self.api.get("/units", &query).await?;
        Ok(list["items"]
            .as_array_mut()
            .and_then(Vec::pop)
            .unwrap_or_default())
    }

    /// Waits until the unit has a condition with this type, status and a message that contains `text`.
    ///
    /// # Errors
    /// When that does not happen in time; says what was last seen.
    pub async fn says(
        &self,
        cluster: &str,
        unit: &str,
        kind: &str,
        status: &str,
        text: &str,
    ) -> anyhow::Result<()> {
        let what = format!("{cluster} {unit} to say {kind}={status} {text:?}");
        wait_for(&what, async || {
            let item = self.unit(cluster, unit).await?;
            let found = condition(&item, kind);
            let message = found["message"].as_str().unwrap_or_default();
            let good = found["status"] == status && message.contains(text);
            Ok(if good {
                Ok(())
            } else {
                Err(item["status"]["conditions"].to_string())
            })
        })
        .await
    }

    /// The folder below which everything is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Everything that the fleet wrote where people or machines may read it: logs, the hub's and the agents' folders.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn written(&self) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
        let mut files = Vec::new();
        let skipped = ["git", "work"].map(|it| self.folder.path().join(it));
        read_below(self.folder.path(), &skipped, &mut files)?;
        Ok(files)
    }
}

/// Whatever a test was about: no credential of the fleet may lie where it does not belong.
impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let leaks = self.written().map(|it| canaries::leaks(&it));
        // What cannot be read any more holds nothing.
        let leaks = leaks.unwrap_or_default();
        assert!(leaks.is_empty(), "credentials leaked: {leaks:?}");
    }
}

fn read_below(
    folder: &Path,
    skipped: &[PathBuf],
    files: &mut Vec<(PathBuf, Vec<u8>)>,
) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if skipped.contains(&path) {
            continue;
        }
        if path.is_dir() {
            read_below(&path, skipped, files)?;
        } else if path.is_file() {
            // A file that is being replaced is read the next time.
            if let Ok(content) = std::fs::read(&path) {
                files.push((path, content));
            }
        }
    }
    Ok(())
}

/// The condition of a type; null where there is none.
pub fn condition(item: &Value, kind: &str) -> Value {
    let all = item["status"]["conditions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    all.iter()
        .find(|it| it["type"] == kind)
        .cloned()
        .unwrap_or_default()
}

/// Looks until `look` gives `Ok`. Its `Err` says what it saw instead; the last one is in the error.
///
/// # Errors
/// After [`PATIENCE`], or when looking itself fails for that long.
pub async fn wait_for<T, F>(what: &str, mut look: F) -> anyhow::Result<T>
where
    F: AsyncFnMut() -> anyhow::Result<Result<T, String>>,
{
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let seen = match look().await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(seen)) => seen,
            Err(error) => format!("{error:#}"),
        };
        if tokio::time::Instant::now() >= deadline {
            anyhow::bail!(
                "waited {} s for {what}; last seen: {seen}",
                PATIENCE.as_secs()
            );
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Looks again and again for `period`, and fails as soon as `look` gives a reason: for what must not happen.
///
/// # Errors
/// With the reason.
pub async fn never<F, R>(what: &str, period: Duration, mut look: F) -> anyhow::Result<()>
where
    F: FnMut() -> R,
    R: Future<Output = anyhow::Result<Option<String>>>,
{
    let end = tokio::time::Instant::now() + period;
    while tokio::time::Instant::now() < end {
        if let Some(reason) = look().await? {
            anyhow::bail!("{what} happened: {reason}");
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// A loopback address that is nobody else's, for a part that must come back at the same one.
///
/// # Errors
/// When all ports are taken.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok((Ipv4Addr::LOCALHOST, ports::claim()?).into())
}

fn write_config(folder: &Path, source: &str) -> anyhow::Result<String> {
    let config = format!(
        "data_dir = {data:?}\nagents_listen = \"{agents}\"\napi_listen = \"{api}\"\nmetrics_listen = \"{metrics}\"\npoll_seconds = 1\nstatus_interval_ms = 200\n{source}",
        data = folder.join("hub"),
        agents = free_address()?,
        api = free_address()?,
        metrics = free_address()?,
    );
    let file = folder.join("hub.toml");
    std::fs::write(&file, &config)?;
    Ok(file.to_string_lossy().into_owned())
}

/// The API of a hub that is starting.
async fn api(hub: &Process, folder: &Path) -> anyhow::Result<Api> {
    let config = std::fs::read_to_string(folder.join("hub.toml"))?;
    let listen = config
        .lines()
        .find_map(|it| it.strip_prefix("api_listen = "))
        .context("api_listen")?;
    let url = format!("http://{}", listen.trim_matches('"'));
    wait_for("the hub to answer", async || {
        if let Some(ended) = hub.ended() {
            anyhow::bail!("the hub ended: {ended}");
        }
        let token = std::fs::read_to_string(folder.join("hub/admin.token"));
        let Ok(token) = token else {
            return Ok(Err("no admin token yet".to_owned()));
        };
        let api = Api::new(&url, token.trim());
        Ok(api
            .get("/hub", &[])
            .await
            .map(|_| api)
            .map_err(|error| format!("{error:#}")))
    })
    .await
}
