//! A hub and an agent that are killed again and again, wherever they are, while commits come and go: after each time the cluster is
//! exactly what Git says, and nothing was written or deleted that did not have to be.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test file: a panic is the report"
)]

#[path = "e2e/real.rs"]
mod real;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use capstan_integration::harness::{ClusterKind, Fleet, condition, wait_for};
use serde_json::{Value, json};

/// Kills in all: most on the simulation, where a round takes little but the hub's look at Git.
const KILLS_SIMULATED: usize = 80;
const KILLS_REAL: usize = 20;

/// Where the sequence of changes and kills begins; the moments that they fall into differ from run to run all the same.
const SEED: u64 = 20_260_823;

const CONFIG_MAPS: &str = "/api/v1/namespaces/shop/configmaps";
const UNITS: [&str; 2] = ["flux-system", "apps"];

/// Objects that no commit touches.
const KEEPERS: usize = 5;

/// Somebody else's object among ours.
const BYSTANDER: &str = "bystander";

const FLEET_PATH: &str = "apiVersion: capstan.dev/v1alpha1\nkind: Cluster\nmetadata: {name: dev}\n---\napiVersion: capstan.dev/v1alpha1\nkind: Placement\n\
    metadata: {name: platform}\nspec:\n  clusters: {}\n  sync:\n  - sourceRef: {kind: GitRepository, name: fleet}\n    path: ./clusters/${cluster_name}\n";

const APPS: &str = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps, namespace: flux-system}\nspec:\n  \
    interval: 10m\n  retryInterval: 2s\n  prune: true\n  wait: true\n  timeout: 1m\n  path: ./apps\n  sourceRef: {kind: GitRepository, name: fleet}\n";

fn config_map(name: &str, value: u64) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop}}\ndata: {{value: \"{value}\"}}\n"
    )
}

/// `SplitMix64`: the same numbers from the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// What must not change: uid and version of the objects that nobody touches.
type Untouched = BTreeMap<String, (Value, Value)>;

struct Churn {
    fleet: Fleet,
    random: Random,
    /// What Git holds: name and value.
    wanted: BTreeMap<String, u64>,
    untouched: Untouched,
    generation: u64,
}

impl Churn {
    async fn start(kind: ClusterKind) -> anyhow::Result<Self> {
        let wanted: BTreeMap<_, _> = (0..KEEPERS)
            .map(|number| (format!("keeper-{number}"), 1))
            .collect();
        let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
        let mut files = vec![
            ("fleet/fleet.yaml".to_owned(), FLEET_PATH.to_owned()),
            ("clusters/dev/apps.yaml".to_owned(), APPS.to_owned()),
            ("apps/namespace.yaml".to_owned(), namespace.to_owned()),
        ];
        files.extend(
            wanted
                .iter()
                .map(|(name, value)| (format!("apps/{name}.yaml"), config_map(name, *value))),
        );
        let files: Vec<_> = files
            .iter()
            .map(|it| (it.0.as_str(), it.1.as_str()))
            .collect();
        let fleet = Fleet::start(kind, &["dev"], &files).await?;
        fleet.healthy("dev", &UNITS, "").await?;
        let bystander = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": BYSTANDER}, "data": {"value": "mine"}});
        fleet.cluster("dev").create(CONFIG_MAPS, &bystander).await?;
        let mut churn = Self {
            fleet,
            random: Random(SEED),
            wanted,
            untouched: Untouched::new(),
            generation: 0,
        };
        churn.untouched = churn.untouched_now().await?;
        ensure!(
            churn.untouched.len() == KEEPERS + 1,
            "{:?}",
            churn.untouched
        );
        Ok(churn)
    }

    async fn live(&self) -> anyhow::Result<Vec<Value>> {
        let list = self.fleet.cluster("dev").get(CONFIG_MAPS).await?;
        let mut list = list.context("no list")?;
        let items = list["items"].as_array_mut().map(std::mem::take);
        let mut items = items.context("no items")?;
        // Every namespace of a real cluster has it.
        items.retain(|it| it["metadata"]["name"] != "kube-root-ca.crt");
        Ok(items)
    }

    async fn untouched_now(&self) -> anyhow::Result<Untouched> {
        let named = self.live().await?.into_iter().filter_map(|it| {
            let name = it["metadata"]["name"].as_str()?.to_owned();
            let (uid, version) = (&it["metadata"]["uid"], &it["metadata"]["resourceVersion"]);
            let ours = name == BYSTANDER || name.starts_with("keeper-");
            ours.then(|| (name, (uid.clone(), version.clone())))
        });
        Ok(named.collect())
    }

    /// Adds, changes and removes some objects, and gives the commit.
    async fn commit(&mut self, round: usize) -> anyhow::Result<String> {
        let mut files = Vec::new();
        for number in 0..=self.random.below(3) {
            let value = self.random.below(1_000);
            self.wanted.insert(format!("m-{round}-{number}"), value);
            files.push((format!("m-{round}-{number}"), value));
        }
        for name in self.some_changing() {
            let value = 1_000 + self.random.below(1_000);
            self.wanted.insert(name.clone(), value);
            files.push((name, value));
        }
        let files: Vec<_> = files
            .iter()
            .map(|(name, value)| (format!("apps/{name}.yaml"), config_map(name, *value)))
            .collect();
        let files: Vec<_> = files
            .iter()
            .map(|it| (it.0.as_str(), it.1.as_str()))
            .collect();
        let commit = self.fleet.repository.commit("more", &files).await?;
        if self.wanted.len() < KEEPERS + 12 {
            return Ok(commit);
        }
        let removed = self.some_changing();
        let paths: Vec<_> = removed
            .iter()
            .map(|name| format!("apps/{name}.yaml"))
            .collect();
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        self.wanted.retain(|name, _| !removed.contains(name));
        self.fleet.repository.remove("fewer", &paths).await
    }

    /// Up to three of the objects that commits change.
    fn some_changing(&mut self) -> Vec<String> {
        let mut names: Vec<_> = self.wanted.keys().cloned().collect();
        names.retain(|name| name.starts_with("m-"));
        let mut some = Vec::new();
        for _ in 0..=self.random.below(3) {
            if !names.is_empty() {
                let at = self.random.below(names.len() as u64);
                some.push(names.swap_remove(usize::try_from(at).unwrap()));
            }
        }
        some
    }

    /// Kills the hub or the agent some time after the commit, and lets it stay away for another.
    async fn kill(&mut self) -> anyhow::Result<()> {
        // The hub looks at Git once a second: within this it fetches, renders, sends, and the agent applies and reports, or it is about to.
        self.wait(1_300).await;
        let victim = match self.random.below(2) {
            0 => &self.fleet.hub,
            _ => &self.fleet.agents["dev"],
        };
        victim.kill()?;
        let away = self.random.below(300);
        tokio::time::sleep(Duration::from_millis(away)).await;
        victim.restart()
    }

    async fn wait(&mut self, up_to_milliseconds: u64) {
        let wait = self.random.below(up_to_milliseconds);
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }

    /// Waits until the commit has arrived; many deletions in a day wait for a person, who says yes.
    async fn settle(&self, commit: &str) -> anyhow::Result<()> {
        wait_for(&format!("{commit} to arrive"), async || {
            let apps = self.fleet.unit("dev", "apps").await?;
            if condition(&apps, "AwaitingConfirmation")["status"] == "True" {
                let approve = "/units/dev/Kustomization/flux-system/apps/approve";
                self.fleet
                    .api
                    .post(approve, &json!({"reason": "meant"}))
                    .await?;
            }
            let ready = condition(&apps, "Ready");
            let revision = apps["status"]["lastAppliedRevision"]
                .as_str()
                .unwrap_or_default();
            let arrived = ready["status"] == "True" && revision.ends_with(commit);
            Ok(if arrived {
                Ok(())
            } else {
                Err(format!("{ready} at {revision}"))
            })
        })
        .await
    }

    /// The cluster is what Git says, and nothing else happened.
    async fn check(&mut self) -> anyhow::Result<()> {
        let live = self.live().await?;
        let found: BTreeMap<_, _> = live
            .iter()
            .map(|it| {
                (
                    it["metadata"]["name"].to_string(),
                    it["data"]["value"].clone(),
                )
            })
            .collect();
        let mut expected: BTreeMap<_, _> = self
            .wanted
            .iter()
            .map(|(name, value)| (json!(name).to_string(), json!(value.to_string())))
            .collect();
        expected.insert(json!(BYSTANDER).to_string(), json!("mine"));
        ensure!(
            found == expected,
            "in the cluster: {found:?}\nin Git: {expected:?}"
        );
        let untouched = self.untouched_now().await?;
        ensure!(
            untouched == self.untouched,
            "objects that nobody changed were written or replaced: {untouched:?}, before {:?}",
            self.untouched
        );
        let cluster = self.fleet.api.get("/clusters/dev", &[]).await?;
        let generation = cluster["status"]["generation"]
            .as_u64()
            .context("generation")?;
        ensure!(
            generation >= self.generation,
            "generation {generation} after {}",
            self.generation
        );
        self.generation = generation;
        Ok(())
    }
}

async fn killed_again_and_again(kind: ClusterKind, kills: usize) -> anyhow::Result<()> {
    let mut churn = Churn::start(kind).await?;
    for round in 0..kills {
        let what = || format!("round {round}");
        let commit = churn.commit(round).await.with_context(what)?;
        churn.kill().await.with_context(what)?;
        churn.settle(&commit).await.with_context(what)?;
        churn.check().await.with_context(what)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_simulated_cluster() {
    killed_again_and_again(ClusterKind::Sim, KILLS_SIMULATED)
        .await
        .unwrap();
}

#[test]
fn on_a_real_cluster() {
    real::alone(async || {
        killed_again_and_again(ClusterKind::Local, KILLS_REAL)
            .await
            .unwrap();
    });
}
