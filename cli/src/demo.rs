//! `capstan demo`: a sample fleet, end to end, on this machine: a Git server, a hub, three clusters with an agent each.

mod clusters;
mod fleet;
mod suggest;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use capstan_hub::{FleetSource, RunningHub};
use capstan_playground::git::GitServer;
use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    api::Api,
    commands::{get, wait},
    output::{Format, tell, text},
};
use clusters::Clusters;
use suggest::{Suggestions, Tools};

/// The clusters, as the sample's fleet path declares them. The last one waits for a promotion.
const NAMES: [&str; 3] = ["dev", "staging", "prod"];
/// How long until everything is healthy, from the start of the hub.
const PATIENCE: Duration = Duration::from_secs(120);

/// `capstan demo`.
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// What clusters: simulated in this process, real API servers on this machine, or kind in Docker.
    #[arg(long, value_enum, default_value = "sim")]
    clusters: Platform,
    /// Wait until all is healthy, print the fleet, clean up and end.
    #[arg(long)]
    once: bool,
}

/// What clusters the demo runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Platform {
    /// Simulated in this process.
    Sim,
    /// Real API servers on this machine; built from source the first time.
    Local,
    /// kind, which needs Docker.
    Kind,
}

/// Runs the demo.
pub(crate) async fn run(args: &Demo) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("capstan-demo-")
        .tempdir()
        .context("a temporary folder")?;
    let running = tokio::select! {
        running = Running::start(args.clusters, folder.path()) => running?,
        () = capstan_agent::terminated() => bail!("stopped before everything ran"),
    };
    let outcome = tokio::select! {
        outcome = running.show(args.once, folder.path()) => outcome,
        () = capstan_agent::terminated() => Ok(()),
    };
    tell("Cleaning up.");
    running.stop().await;
    outcome
}

struct Running {
    git: GitServer,
    hub: RunningHub,
    clusters: Clusters,
    agents: JoinSet<anyhow::Result<()>>,
    stop: watch::Sender<bool>,
    api: Api,
    started: Instant,
}

impl Running {
    async fn start(platform: Platform, folder: &Path) -> anyhow::Result<Self> {
        tell("Serving a sample fleet repository.");
        let repositories = folder.join("git");
        std::fs::create_dir(&repositories)?;
        let git = GitServer::start(&repositories, None).await?;
        fleet::publish(&git, folder).await?;
        tell(&format!("Starting {} clusters.", NAMES.len()));
        let clusters = Clusters::start(platform, &NAMES, folder).await?;
        tell("Starting the hub.");
        let started = Instant::now();
        let hub = capstan_hub::start(hub_config(&git, folder)).await?;
        let token = std::fs::read_to_string(&hub.admin_token)?;
        let api = Api::to(&hub.api_url, token.trim())?;
        let stop = watch::Sender::new(false);
        let mut agents = JoinSet::new();
        for name in NAMES {
            tell(&format!("Enrolling the agent of {name}."));
            let config = agent_config(&api, &hub, name, folder).await?;
            let mut stopped = stop.subscribe();
            agents.spawn(async move {
                let shutdown = async move {
                    // The sender is dropped only when the demo ends.
                    let _ = stopped.wait_for(|it| *it).await;
                };
                capstan_agent::run(config, shutdown).await
            });
        }
        Ok(Self {
            git,
            hub,
            clusters,
            agents,
            stop,
            api,
            started,
        })
    }

    /// Waits for dev and staging, promotes to prod, waits for that too, and says what to try.
    async fn show(&self, once: bool, folder: &Path) -> anyhow::Result<()> {
        for name in &NAMES[..2] {
            self.healthy(name).await?;
        }
        tell("dev and staging are healthy. Promoting to prod.");
        let promote = "/pipelines/platform/environments/prod/promote";
        self.settled("the promotion to prod", async || {
            let asked = self
                .api
                .post(promote, &json!({"reason": "the demo's first promotion"}))
                .await;
            Ok(asked.err().map(|error| format!("{error:#}")))
        })
        .await?;
        self.healthy("prod").await?;
        tell(&format!(
            "Everything is healthy, {:.1} s after the hub started.\n",
            self.started.elapsed().as_secs_f64()
        ));
        get::run(
            &self.api,
            &get::Get::all(get::Kind::Clusters, Format::Table),
        )
        .await?;
        crate::output::print("\n")?;
        get::run(&self.api, &get::Get::all(get::Kind::Units, Format::Table)).await?;
        if once {
            return Ok(());
        }
        self.say_what_to_try(folder).await;
        std::future::pending().await
    }

    async fn healthy(&self, cluster: &str) -> anyhow::Result<()> {
        self.settled(cluster, async || {
            let units = self.api.get("/units", &[("cluster", cluster)]).await?;
            let items = units["items"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            // The root and the two applications that it yields.
            let expected = 3;
            let missing = (items.len() < expected)
                .then(|| format!("{} of {expected} units are there", items.len()));
            Ok(wait::unmet(items, None).or(missing))
        })
        .await
    }

    /// Looks until nothing is unmet any more, and says what is whenever that changes.
    async fn settled(
        &self,
        what: &str,
        mut unmet: impl AsyncFnMut() -> anyhow::Result<Option<String>>,
    ) -> anyhow::Result<()> {
        let mut last = String::new();
        wait::on_changes(&self.api, async || {
            let Some(reason) = unmet().await? else {
                return Ok(true);
            };
            if self.started.elapsed() > PATIENCE {
                bail!(
                    "{what}: not within {} s; last: {reason}",
                    PATIENCE.as_secs()
                );
            }
            if reason != last {
                tell(&format!("  {what}: {reason}"));
                last.clone_from(&reason);
            }
            Ok(false)
        })
        .await
    }

    async fn say_what_to_try(&self, folder: &Path) {
        let what = Suggestions {
            api: &self.hub.api_url,
            code: &self.hub.login_code(),
            token: &self.hub.admin_token,
            repository: &self.git.url(fleet::REPOSITORY),
            kubeconfig: &folder.join("dev.kubeconfig"),
            tools: Tools::find().await,
        };
        tell(&what.to_string());
    }

    async fn stop(mut self) {
        self.stop.send_replace(true);
        let drain = async {
            while let Some(ended) = self.agents.join_next().await {
                if let Ok(Err(error)) = ended {
                    tell(&format!("an agent ended: {error:#}"));
                }
            }
        };
        // An agent that hangs ends with this process.
        let _ = tokio::time::timeout(Duration::from_secs(5), drain).await;
        self.hub.shutdown().await;
        self.clusters.stop().await;
    }
}

fn hub_config(git: &GitServer, folder: &Path) -> capstan_hub::Config {
    let any_port = ([127, 0, 0, 1], 0).into();
    capstan_hub::Config {
        data_dir: folder.join("hub"),
        agents_listen: any_port,
        api_listen: any_port,
        poll_seconds: Some(1),
        status_interval_ms: 250,
        fleet: Some(FleetSource {
            url: git.url(fleet::REPOSITORY),
            branch: "main".to_owned(),
            path: "fleet".to_owned(),
            credentials: None,
            name: "fleet".to_owned(),
        }),
        ..capstan_hub::Config::default()
    }
}

/// Makes the cluster's identity and gives the configuration that its agent enrols with.
async fn agent_config(
    api: &Api,
    hub: &RunningHub,
    name: &str,
    folder: &Path,
) -> anyhow::Result<capstan_agent::Config> {
    let added = api
        .post("/clusters", &json!({"name": name}))
        .await
        .with_context(|| format!("cluster {name}"))?;
    let token_file = folder.join(format!("{name}.token"));
    crate::commands::cluster::write_private(&token_file, &text(&added, "/token"))?;
    Ok(capstan_agent::Config {
        hub: format!("https://{}", hub.agents_addr),
        hub_ca: Some(hub.ca_certificate.clone()),
        hub_ca_pin: None,
        token_file: Some(token_file),
        state_dir: folder.join(format!("agent-{name}")),
        kubeconfig: Some(folder.join(format!("{name}.kubeconfig"))),
        namespace: "capstan-system".to_owned(),
        identity_secret: None,
        listen: None,
        otlp_endpoint: None,
        otlp_ca: None,
    })
}
