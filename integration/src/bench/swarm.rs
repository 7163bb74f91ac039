//! Many agents on one hub: what an idle hub costs, how long a commit takes to reach all, and how long they take to come back at once.
//!
//! An agent here has the real session machine, a certificate and a TLS connection of its own, and fetches the blobs that it lacks; it has no cluster.

mod agent;

use std::{
    ops::Range,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use capstan_integration::harness::Fleet;
use futures::{StreamExt, TryStreamExt, stream};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};

use self::agent::{Agent, Hub, Tally};
use super::{
    Measure,
    fleet::{File, file, memory_mib, objects},
    milliseconds,
};

/// Agents: the fleet grows from one size to the next, and everything is measured at each.
const SIZES: [usize; 3] = [1_000, 5_000, 10_000];
/// Enrolments under way at once.
const ENROLLING: usize = 64;
/// How many enrolments a second the hub is told to take: more than this machine can.
const ENROLMENTS: &str = "enrolments_per_second = 1000";
/// How long the idle hub is looked at.
const IDLE: Duration = Duration::from_secs(30);
/// Rest before that: what connecting has caused is over then.
const REST: Duration = Duration::from_secs(5);
/// Longest wait for all agents.
const PATIENCE: Duration = Duration::from_secs(300);
/// Objects of the base that all clusters share.
const SHARED_OBJECTS: usize = 10;
/// Ticks of the kernel's clock in a second, as `/proc` counts processor time on Linux.
const TICKS_PER_SECOND: f64 = 100.0;
/// Files that this process has open beside one connection for each agent.
const OTHER_FILES: usize = 500;

const PLACEMENT: &str = "apiVersion: capstan.dev/v1alpha1\nkind: Placement\nmetadata: {name: platform}\nspec:\n  clusters: {}\n  sync:\n  \
    - sourceRef: {kind: GitRepository, name: fleet}\n    path: ./base\n";

/// Measures at each size up to `largest`.
pub(crate) async fn run(largest: Option<usize>) -> anyhow::Result<Vec<Measure>> {
    let largest = largest.unwrap_or(SIZES[SIZES.len() - 1]);
    allow_files(largest + OTHER_FILES)?;
    let first = base(0);
    let files = [
        ("fleet/placement.yaml", PLACEMENT),
        (&first.0, first.1.as_str()),
    ];
    let mut swarm = Swarm {
        fleet: Fleet::start_configured(ENROLMENTS, &files).await?,
        tally: watch::Sender::new(Tally::default()),
        agents: JoinSet::new(),
        size: 0,
        measures: Vec::new(),
    };
    let smaller = SIZES.into_iter().filter(|it| *it < largest);
    for (number, size) in smaller.chain([largest]).enumerate() {
        swarm.grow(size).await?;
        swarm.idle().await?;
        swarm.commit(number + 1).await?;
        swarm.reconnect().await?;
    }
    Ok(swarm.measures)
}

/// The base at one of its revisions.
fn base(value: usize) -> File {
    file("base/all.yaml", &objects("shared", SHARED_OBJECTS, value))
}

/// A hub and its agents.
struct Swarm {
    fleet: Fleet,
    tally: watch::Sender<Tally>,
    agents: JoinSet<()>,
    size: usize,
    measures: Vec<Measure>,
}

impl Swarm {
    fn figure(&mut self, what: &str, value: f64, unit: &'static str) {
        self.measures.push(Measure {
            name: format!("{} agents: {what}", self.size),
            value,
            unit,
            baseline: None,
        });
    }

    /// Enrols and connects agents until there are `size`.
    async fn grow(&mut self, size: usize) -> anyhow::Result<()> {
        let old = std::mem::replace(&mut self.size, size);
        let start = Instant::now();
        let agents = enrol(&self.fleet, old..size).await?;
        let enrolled = start.elapsed().as_secs_f64();
        let rate = (size - old) as f64 / enrolled;
        self.figure("added and enrolled", rate, "per s");
        self.tally.send_replace(Tally::default());
        let start = Instant::now();
        for agent in agents {
            self.agents.spawn(agent.live(self.tally.clone()));
        }
        settled(&self.tally, size - old, |it| it.in_sync).await?;
        let connected = start.elapsed().as_secs_f64();
        self.figure("the new ones connected at once", connected, "s");
        Ok(())
    }

    /// What the hub costs while nothing happens, and how it answers.
    async fn idle(&mut self) -> anyhow::Result<()> {
        tokio::time::sleep(REST).await;
        let cpu = cpu_seconds(self.fleet.hub.pid())?;
        tokio::time::sleep(IDLE).await;
        let idle = cpu_seconds(self.fleet.hub.pid())? - cpu;
        let memory = memory_mib(self.fleet.hub.pid(), "VmRSS:")?;
        self.figure("idle hub, memory", memory, "MiB");
        let share = idle / IDLE.as_secs_f64() * 100.0;
        self.figure("idle hub, of a core", share, "%");
        let start = Instant::now();
        self.fleet.api.get("/clusters", &[]).await?;
        self.figure("API, all clusters", milliseconds(start.elapsed()), "ms");
        let start = Instant::now();
        self.fleet.api.text("/").await?;
        self.figure("console, its page", milliseconds(start.elapsed()), "ms");
        Ok(())
    }

    /// A commit that changes what all clusters share.
    async fn commit(&mut self, value: usize) -> anyhow::Result<()> {
        let changed = base(value);
        let files = [(changed.0.as_str(), changed.1.as_str())];
        self.tally.send_modify(|it| it.received = 0);
        let (hub, own) = (self.fleet.hub.pid(), std::process::id());
        self.fleet.repository.commit("measured", &files).await?;
        let (hub_before, own_before) = (cpu_seconds(hub)?, cpu_seconds(own)?);
        let start = Instant::now();
        let source = "/sources/GitRepository/flux-system/fleet/reconcile";
        let why = json!({"reason": "measured"});
        self.fleet.api.post(source, &why).await?;
        settled(&self.tally, self.size, |it| it.received).await?;
        let commit = start.elapsed().as_secs_f64();
        let cpu = cpu_seconds(hub)? - hub_before;
        let agents = cpu_seconds(own)? - own_before;
        self.figure("commit to received by all", commit, "s");
        self.figure("commit, processor time of the hub", cpu, "s");
        self.figure("commit, processor time of all agents", agents, "s");
        let memory = memory_mib(hub, "VmHWM:")?;
        self.figure("hub, most memory so far", memory, "MiB");
        let lost = self.tally.borrow().lost;
        self.figure("sessions lost until here", lost as f64, "count");
        Ok(())
    }

    /// The hub is killed and comes back at once, and so do all agents.
    async fn reconnect(&mut self) -> anyhow::Result<()> {
        self.tally.send_replace(Tally::default());
        self.fleet.hub.kill()?;
        let start = Instant::now();
        self.fleet.hub.restart()?;
        settled(&self.tally, self.size, |it| it.in_sync).await?;
        let back = start.elapsed().as_secs_f64();
        let again = self.tally.borrow().received;
        let cpu = cpu_seconds(self.fleet.hub.pid())?;
        self.figure("hub killed, all in sync again", back, "s");
        self.figure("reconnect, processor time of the hub", cpu, "s");
        self.figure("states received again", again as f64, "count");
        Ok(())
    }
}

/// Adds clusters and turns their tokens into certificates.
async fn enrol(fleet: &Fleet, numbers: Range<usize>) -> anyhow::Result<Vec<Agent>> {
    stream::iter(numbers)
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

/// Lets this process open as many files, and the hub that it starts.
fn allow_files(needed: usize) -> anyhow::Result<()> {
    let needed = u64::try_from(needed)?;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= needed {
        return Ok(());
    }
    ensure!(
        hard >= needed,
        "each agent is a connection: {needed} open files are needed in this process and in the hub, and {hard} are allowed; allow more \
         (`ulimit -n`), or measure fewer agents with --size"
    );
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

/// Processor time that a process has used.
fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/stat");
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
