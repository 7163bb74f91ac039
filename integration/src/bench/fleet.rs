//! A fleet of one real cluster that benchmarks commit to, and the floor that it is compared with.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use capstan_integration::harness::{Cluster, ClusterKind, Fleet, condition};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::Measure;

/// The one cluster.
pub(super) const CLUSTER: &str = "bench";
/// Requests that the floor has under way at once: as many as the agent.
const FLOOR_CONCURRENCY: usize = 16;
/// Longest wait for a commit.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often the hub is asked whether a commit has arrived; finer than anything that is measured.
const LOOK: Duration = Duration::from_millis(10);

const FLEET_PATH: &str = "apiVersion: capstan.dev/v1alpha1\nkind: Cluster\nmetadata: {name: bench}\n---\n\
    apiVersion: capstan.dev/v1alpha1\nkind: Placement\nmetadata: {name: platform}\nspec:\n  clusters: {}\n  sync:\n  \
    - sourceRef: {kind: GitRepository, name: fleet}\n    path: ./clusters/${cluster_name}\n";

/// A fleet whose one cluster has the given units, each over `./NAME`.
pub(super) struct Bench {
    pub(super) fleet: Fleet,
}

/// One file of a commit.
pub(super) type File = (String, String);

impl Bench {
    /// Starts it, with `files` beside the fleet's own, and waits until its root unit is healthy.
    pub(super) async fn start(files: &[File]) -> anyhow::Result<Self> {
        let own = [
            ("fleet/fleet.yaml", FLEET_PATH),
            ("clusters/bench/README.md", "units"),
        ];
        let files = files.iter().map(|it| (it.0.as_str(), it.1.as_str()));
        let files: Vec<(&str, &str)> = own.into_iter().chain(files).collect();
        let fleet = Fleet::start(ClusterKind::Local, &[CLUSTER], &files)
            .await
            .context("start a fleet on a real cluster")?;
        fleet.healthy(CLUSTER, &["flux-system"], "").await?;
        Ok(Self { fleet })
    }

    pub(super) fn cluster(&self) -> &Cluster {
        self.fleet.cluster(CLUSTER)
    }

    /// Commits the files, tells the hub as a webhook would, and waits until the units are healthy at the commit. Gives the time from
    /// the end of the push.
    pub(super) async fn commit(&self, files: &[File], units: usize) -> anyhow::Result<Duration> {
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|it| (it.0.as_str(), it.1.as_str()))
            .collect();
        let commit = self.fleet.repository.commit("measured", &files).await?;
        let start = Instant::now();
        let source = "/sources/GitRepository/flux-system/fleet/reconcile";
        self.fleet
            .api
            .post(source, &json!({"reason": "measured"}))
            .await?;
        self.arrived(&commit, units, start).await?;
        Ok(start.elapsed())
    }

    async fn arrived(&self, commit: &str, units: usize, start: Instant) -> anyhow::Result<()> {
        loop {
            let list = self
                .fleet
                .api
                .get("/units", &[("cluster", CLUSTER)])
                .await?;
            let items = list["items"].as_array().map(Vec::as_slice);
            let items = items.unwrap_or_default();
            let healthy = items.iter().filter(|it| is_healthy(it, commit)).count();
            // The root unit is one more.
            if healthy == units + 1 {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                let late = items.iter().find(|it| !is_healthy(it, commit));
                let late = late.map_or_else(String::new, |it| it["status"].to_string());
                bail!(
                    "waited {} s for {units} units at {commit}: {healthy} are healthy; one that is not: {late}",
                    PATIENCE.as_secs()
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Requests that the agent has made to the API server so far.
    pub(super) async fn requests(&self) -> anyhow::Result<f64> {
        let metrics = self.fleet.agent_metrics(CLUSTER).await?;
        let line = metrics
            .lines()
            .find_map(|it| it.strip_prefix("capstan_agent_requests_total "));
        Ok(line.context("the agent counts no requests")?.parse()?)
    }

    /// What the agent has in memory: all of its pages, and those that are its own and no file's.
    pub(super) fn agent_memory(&self, what: &str) -> anyhow::Result<[Measure; 2]> {
        let pid = self.fleet.agents[CLUSTER].pid();
        let measure = |part: &str, field: &str| {
            anyhow::Ok(Measure {
                name: format!("{what}: agent memory{part}"),
                value: memory_mib(pid, field)?,
                unit: "MiB",
                baseline: None,
            })
        };
        Ok([
            measure("", "VmRSS:")?,
            measure(", without its program", "RssAnon:")?,
        ])
    }

    /// The floor: a bare client that server-side-applies the same objects, each at its path, the first (a namespace) alone.
    pub(super) async fn floor(&self, objects: &[(String, Value)]) -> anyhow::Result<Duration> {
        ensure!(!objects.is_empty(), "the floor needs objects");
        let start = Instant::now();
        let (first, others) = objects.split_at(1);
        for part in [first, others] {
            stream::iter(part)
                .map(|(path, object)| self.cluster().apply(path, object))
                .buffer_unordered(FLOOR_CONCURRENCY)
                .try_for_each(|_| async { Ok(()) })
                .await?;
        }
        Ok(start.elapsed())
    }
}

/// What `/proc` says of a process's memory, in MiB: `VmRSS:` for all of it, `RssAnon:` without the pages of files.
pub(super) fn memory_mib(pid: u32, field: &str) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).context(path)?;
    let kib = status.lines().find_map(|it| it.strip_prefix(field));
    let kib = kib.and_then(|it| it.trim().strip_suffix("kB"));
    let kib: f64 = kib
        .with_context(|| format!("no {field} in /proc, which only Linux has"))?
        .trim()
        .parse()?;
    Ok(kib / 1024.0)
}

fn is_healthy(unit: &Value, commit: &str) -> bool {
    let revision = unit["status"]["lastAppliedRevision"].as_str();
    condition(unit, "Ready")["status"] == "True" && revision.is_some_and(|it| it.ends_with(commit))
}

/// A unit `name` over the folder of that name.
pub(super) fn unit(name: &str) -> File {
    let text = format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\nspec:\n  \
         interval: 1h\n  prune: true\n  wait: true\n  timeout: 4m\n  path: ./{name}\n  sourceRef: {{kind: GitRepository, name: fleet}}\n"
    );
    (format!("clusters/{CLUSTER}/{name}.yaml"), text)
}

/// A Namespace and small ConfigMaps in it, as objects at their paths.
pub(super) fn objects(namespace: &str, count: usize, value: usize) -> Vec<(String, Value)> {
    let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    let mut all = vec![(format!("/api/v1/namespaces/{namespace}"), space)];
    all.extend((0..count).map(|number| {
        let name = format!("settings-{number}");
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace},
            "data": {"value": value.to_string(), "number": number.to_string()},
        });
        let path = format!("/api/v1/namespaces/{namespace}/configmaps/{name}");
        (path, object)
    }));
    all
}

/// The objects as one file of a repository.
pub(super) fn file(path: &str, objects: &[(String, Value)]) -> File {
    let mut text = String::new();
    for (_, object) in objects {
        // JSON is YAML; writing to a string cannot fail.
        let _ = writeln!(text, "---\n{object}");
    }
    (path.to_owned(), text)
}
