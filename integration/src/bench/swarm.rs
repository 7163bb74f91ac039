//! Many agents on one hub: what an idle hub costs, how long a commit takes to reach all, and how long they take to come back at once.
//!
//! An agent here has the real session machine, a certificate and a TLS connection of its own, and fetches the blobs that it lacks; it has no cluster.

mod agent;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use capstan_integration::harness::{ClusterKind, Fleet};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};

use self::agent::{Agent, Hub, Tally};
use super::{
    Measure,
    fleet::{file, memory_mib, objects},
};

/// Agents; the first size shows how the figures grow.
const SIZES: [usize; 2] = [1_000, 10_000];
/// Enrolments under way at once.
const ENROLLING: usize = 64;
/// How long the idle hub is looked at.
const IDLE: Duration = Duration::from_secs(30);
/// Longest wait for all agents.
const PATIENCE: Duration = Duration::from_secs(300);
/// Objects of the base that all clusters share.
const SHARED_OBJECTS: usize = 10;
/// Ticks of the kernel's clock in a second, as `/proc` counts processor time on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

const PLACEMENT: &str = "apiVersion: capstan.dev/v1alpha1\nkind: Placement\nmetadata: {name: platform}\nspec:\n  clusters: {}\n  sync:\n  \
    - sourceRef: {kind: GitRepository, name: fleet}\n    path: ./base\n";

pub(crate) async fn run() -> anyhow::Result<Vec<Measure>> {
    let mut measures = Vec::new();
    for size in SIZES {
        measures.extend(measure(size).await?);
    }
    Ok(measures)
}

async fn measure(size: usize) -> anyhow::Result<Vec<Measure>> {
    let base = |value| file("base/all.yaml", &objects("shared", SHARED_OBJECTS, value));
    let first = base(0);
    let files = [
        ("fleet/placement.yaml", PLACEMENT),
        (&first.0, first.1.as_str()),
    ];
    let fleet = Fleet::start(ClusterKind::Sim, &[], &files).await?;
    let figure = |what: &str, value: f64, unit: &'static str| Measure {
        name: format!("{size} agents: {what}"),
        value,
        unit,
        baseline: None,
    };
    let start = Instant::now();
    let agents = enrol(&fleet, size).await?;
    let enrolled = start.elapsed();

    let start = Instant::now();
    let tally = watch::Sender::new(Tally::default());
    let mut tasks = JoinSet::new();
    for agent in agents {
        tasks.spawn(agent.live(tally.clone()));
    }
    settled(&tally, size, |it| it.in_sync).await?;
    let connected = start.elapsed();

    let cpu = cpu_seconds(&fleet)?;
    tokio::time::sleep(IDLE).await;
    let idle = (cpu_seconds(&fleet)? - cpu) / IDLE.as_secs_f64() * 100.0;
    let memory = memory_mib(fleet.hub.pid(), "VmRSS:")?;

    let changed = base(1);
    let files = [(changed.0.as_str(), changed.1.as_str())];
    tally.send_modify(|it| it.received = 0);
    let cpu = cpu_seconds(&fleet)?;
    fleet.repository.commit("measured", &files).await?;
    let start = Instant::now();
    let source = "/sources/GitRepository/flux-system/fleet/reconcile";
    fleet
        .api
        .post(source, &json!({"reason": "measured"}))
        .await?;
    settled(&tally, size, |it| it.received).await?;
    let commit = start.elapsed();
    let commit_cpu = cpu_seconds(&fleet)? - cpu;

    tally.send_modify(|it| *it = Tally::default());
    fleet.hub.kill()?;
    let start = Instant::now();
    fleet.hub.restart()?;
    settled(&tally, size, |it| it.in_sync).await?;
    let back = start.elapsed();
    let again = tally.borrow().received;
    fleet.api.get("/hub", &[]).await?;
    Ok(vec![
        figure("enrolled", enrolled.as_secs_f64(), "s"),
        figure("first connection of all", connected.as_secs_f64(), "s"),
        figure("idle hub, memory", memory, "MiB"),
        figure("idle hub, of a core", idle, "%"),
        figure("commit to received by all", commit.as_secs_f64(), "s"),
        figure("commit, processor time of the hub", commit_cpu, "s"),
        figure("hub killed, all in sync again", back.as_secs_f64(), "s"),
        figure("states received again", again as f64, "count"),
    ])
}

/// Adds clusters and turns their tokens into certificates.
async fn enrol(fleet: &Fleet, size: usize) -> anyhow::Result<Vec<Agent>> {
    stream::iter(0..size)
        .map(async |number| {
            let name = format!("swarm-{number}");
            let added = fleet.api.post("/clusters", &json!({"name": name})).await?;
            let token = added["token"].as_str().context("no token")?;
            let address = added["hub"].as_str().context("no address of the hub")?;
            let hub = Hub {
                address: address.to_owned(),
                ca_pem: std::fs::read_to_string(ca(fleet))?,
            };
            Agent::enrol(hub, number, token).await
        })
        .buffer_unordered(ENROLLING)
        .try_collect()
        .await
}

fn ca(fleet: &Fleet) -> impl AsRef<Path> {
    fleet.folder().join("hub/keys/ca.crt")
}

/// Waits until all agents are counted.
async fn settled(
    tally: &watch::Sender<Tally>,
    size: usize,
    count: impl Fn(&Tally) -> usize,
) -> anyhow::Result<()> {
    let mut seen = tally.subscribe();
    let all = seen.wait_for(|it| count(it) >= size);
    if tokio::time::timeout(PATIENCE, all).await.is_err() {
        let last = tally.borrow();
        bail!(
            "waited {} s for {size} agents; last seen: {last:?}",
            PATIENCE.as_secs()
        );
    }
    Ok(())
}

/// Processor time that the hub has used.
fn cpu_seconds(fleet: &Fleet) -> anyhow::Result<f64> {
    let path = format!("/proc/{}/stat", fleet.hub.pid());
    let stat = std::fs::read_to_string(&path).context(path)?;
    // The name of the program is in parentheses and may hold spaces; user and system time are the 14th and 15th field.
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks: Vec<f64> = fields
        .skip(11)
        .take(2)
        .filter_map(|it| it.parse().ok())
        .collect();
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}
