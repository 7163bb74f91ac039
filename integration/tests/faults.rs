//! Faults that need a real API server. Each test starts a cluster, a hub and an agent, breaks something, and wants the same end as if
//! nothing had been broken.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test file: a panic is the report"
)]

#[path = "e2e/real.rs"]
mod real;

use std::time::Duration;

use capstan_integration::harness::{Cluster, ClusterKind, Fleet, wait_for};
use capstan_playground::{
    local::{LocalCluster, Part},
    toolchest,
};
use serde_json::{Value, json};

/// Objects in the commit that is interrupted: enough for the fault to fall into the middle.
const MANY: usize = 200;

const CONFIG_MAPS: &str = "/api/v1/namespaces/shop/configmaps";

const FLEET_PATH: &str = "apiVersion: capstan.dev/v1alpha1\nkind: Cluster\nmetadata: {name: dev}\n---\napiVersion: capstan.dev/v1alpha1\nkind: Placement\n\
    metadata: {name: platform}\nspec:\n  clusters: {}\n  sync:\n  - sourceRef: {kind: GitRepository, name: fleet}\n    path: ./clusters/${cluster_name}\n";

/// The units of the one cluster.
const UNITS: [&str; 2] = ["flux-system", "apps"];

const APPS: &str = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps, namespace: flux-system}\nspec:\n  \
    interval: 10m\n  retryInterval: 2s\n  prune: true\n  wait: true\n  timeout: 1m\n  path: ./apps\n  sourceRef: {kind: GitRepository, name: fleet}\n";

fn config_map(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop}}\ndata: {{value: \"1\"}}\n"
    )
}

struct Broken {
    fleet: Fleet,
}

impl Broken {
    /// A healthy fleet of one real cluster, with ConfigMap `app`.
    async fn start() -> Self {
        let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
        let files = [
            ("fleet/fleet.yaml", FLEET_PATH),
            ("clusters/dev/apps.yaml", APPS),
            ("apps/namespace.yaml", namespace),
            ("apps/app.yaml", &config_map("app")),
        ];
        let fleet = Fleet::start(ClusterKind::Durable, &["dev"], &files)
            .await
            .unwrap();
        fleet.healthy("dev", &UNITS, "").await.unwrap();
        Self { fleet }
    }

    fn cluster(&self) -> &Cluster {
        self.fleet.cluster("dev")
    }

    fn control_plane(&self) -> &LocalCluster {
        self.cluster().local.as_ref().unwrap()
    }

    /// Commits further ConfigMaps.
    async fn commit(&self, names: &[&str]) -> String {
        let files: Vec<_> = names
            .iter()
            .map(|name| (format!("apps/{name}.yaml"), config_map(name)))
            .collect();
        let files: Vec<_> = files
            .iter()
            .map(|(path, content)| (path.as_str(), content.as_str()))
            .collect();
        self.fleet.repository.commit("more", &files).await.unwrap()
    }

    /// The commit has arrived, all of it.
    async fn arrived(&self, commit: &str, names: &[&str]) {
        self.fleet.healthy("dev", &UNITS, commit).await.unwrap();
        for name in names {
            let object = self
                .cluster()
                .get(&format!("{CONFIG_MAPS}/{name}"))
                .await
                .unwrap();
            assert_eq!(object.unwrap_or_default()["data"]["value"], "1", "{name}");
        }
    }

    /// What a person changes or deletes is put back: the agent sees the cluster again.
    async fn drift_is_corrected(&self) {
        let app = format!("{CONFIG_MAPS}/app");
        self.cluster()
            .patch(&app, &json!({"data": {"value": "by hand"}}))
            .await
            .unwrap();
        self.cluster()
            .shows(&app, "/data/value", &json!("1"))
            .await
            .unwrap();
        self.cluster().delete(&app).await.unwrap();
        self.cluster()
            .shows(&app, "/data/value", &json!("1"))
            .await
            .unwrap();
    }
}

/// Kills a part while a commit of many objects is being applied.
async fn killed_in_mid_apply(part: Part) {
    let broken = Broken::start().await;
    let names: Vec<_> = (0..MANY).map(|number| format!("m{number:03}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let commit = broken.commit(&names).await;
    broken
        .cluster()
        .shows(
            &format!("{CONFIG_MAPS}/{}", names[0]),
            "/data/value",
            &json!("1"),
        )
        .await
        .unwrap();
    broken.control_plane().kill(part).await;
    broken.control_plane().restart(part).await.unwrap();
    broken.arrived(&commit, &names).await;
    broken.drift_is_corrected().await;
}

async fn the_api_server_is_killed_in_mid_apply() {
    killed_in_mid_apply(Part::ApiServer).await;
}

async fn etcd_is_killed_in_mid_apply() {
    killed_in_mid_apply(Part::Etcd).await;
}

async fn the_api_server_hangs_for_a_while() {
    let broken = Broken::start().await;
    broken.control_plane().freeze(Part::ApiServer);
    let commit = broken.commit(&["late"]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    broken.control_plane().thaw(Part::ApiServer);
    broken.arrived(&commit, &["late"]).await;
    broken.drift_is_corrected().await;
}

async fn history_is_compacted_under_the_watches() {
    let broken = Broken::start().await;
    // The watches break, and the history that they would go on from is thrown away: 410 Gone.
    broken.control_plane().kill(Part::ApiServer).await;
    compact(&broken.control_plane().etcd_url()).await;
    broken
        .control_plane()
        .restart(Part::ApiServer)
        .await
        .unwrap();
    broken.drift_is_corrected().await;
    let commit = broken.commit(&["after"]).await;
    broken.arrived(&commit, &["after"]).await;
}

/// Throws away all of etcd's history but the newest revision.
async fn compact(etcd: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = async |path: &str, body: Value| -> Value {
        let request = client.post(format!("{etcd}/v3/kv/{path}")).json(&body);
        request.send().await.unwrap().json().await.unwrap()
    };
    let seen = post("range", json!({"key": "YQ=="})).await;
    let compacted = post(
        "compaction",
        json!({"revision": seen["header"]["revision"], "physical": true}),
    )
    .await;
    assert!(compacted["header"].is_object(), "{compacted}");
}

async fn the_certificate_of_the_api_server_is_rotated() {
    let broken = Broken::start().await;
    broken.control_plane().rotate_server_certificate().unwrap();
    broken
        .control_plane()
        .restart(Part::ApiServer)
        .await
        .unwrap();
    broken.drift_is_corrected().await;
}

async fn an_aggregated_api_is_down() {
    let broken = Broken::start().await;
    let service = json!({
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1.down.example.com"},
        "spec": {
            "group": "down.example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "insecureSkipTLSVerify": true, "service": {"name": "absent", "namespace": "default"},
        },
    });
    broken
        .cluster()
        .create("/apis/apiregistration.k8s.io/v1/apiservices", &service)
        .await
        .unwrap();
    // Not all that the server has can be known now, which is no reason to stop, nor to delete anything.
    let commit = broken.commit(&["b"]).await;
    broken.arrived(&commit, &["app", "b"]).await;
    broken.drift_is_corrected().await;
}

async fn a_webhook_hangs() {
    let broken = Broken::start().await;
    // Connections to it are accepted by the kernel and answered by nobody.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hook = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "silent"},
        "webhooks": [{
            "name": "silent.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "timeoutSeconds": 2,
            "clientConfig": {"url": format!("https://{}/", silent.local_addr().unwrap())},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}],
        }],
    });
    let hooks = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    broken.cluster().create(hooks, &hook).await.unwrap();
    refused(&broken, "silent.example.com").await;
    let commit = broken.commit(&["b"]).await;
    broken
        .fleet
        .says("dev", "apps", "Ready", "False", "silent.example.com")
        .await
        .unwrap();
    // What needs no new object goes on meanwhile.
    let app = format!("{CONFIG_MAPS}/app");
    broken
        .cluster()
        .patch(&app, &json!({"data": {"value": "by hand"}}))
        .await
        .unwrap();
    broken
        .cluster()
        .shows(&app, "/data/value", &json!("1"))
        .await
        .unwrap();
    broken
        .cluster()
        .delete(&format!("{hooks}/silent"))
        .await
        .unwrap();
    broken.arrived(&commit, &["b"]).await;
}

/// Waits until the API server refuses a new ConfigMap with these words: it learns of such a change a moment after it was made.
async fn refused(broken: &Broken, words: &str) {
    let path = format!("{CONFIG_MAPS}?dryRun=All");
    let probe = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}});
    wait_for(&format!("a refusal with {words}"), async || {
        let answer = broken.cluster().create(&path, &probe).await;
        Ok(match answer {
            Err(error) if format!("{error:#}").contains(words) => Ok(()),
            Err(error) => Err(format!("{error:#}")),
            Ok(_) => Err("accepted".to_owned()),
        })
    })
    .await
    .unwrap();
}

async fn a_quota_is_exceeded() {
    let broken = Broken::start().await;
    let quotas = "/api/v1/namespaces/shop/resourcequotas";
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"count/configmaps": "1"}}});
    broken.cluster().create(quotas, &quota).await.unwrap();
    refused(&broken, "exceeded quota").await;
    let commit = broken.commit(&["b"]).await;
    broken
        .fleet
        .says("dev", "apps", "Ready", "False", "exceeded quota")
        .await
        .unwrap();
    broken
        .cluster()
        .patch(
            &format!("{quotas}/q"),
            &json!({"spec": {"hard": {"count/configmaps": "100"}}}),
        )
        .await
        .unwrap();
    broken.arrived(&commit, &["b"]).await;
}

/// The library that gives a program another time, where Debian has it.
fn fake_time() -> Option<String> {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    let libraries = folders
        .flatten()
        .map(|it| it.path().join("faketime/libfaketimeMT.so.1"));
    let found = libraries.into_iter().find(|it| it.is_file())?;
    Some(found.to_string_lossy().into_owned())
}

async fn the_clock_of_the_cluster_is_wrong() {
    let Some(library) = fake_time() else {
        let missing = "libfaketime was not found; install Debian's faketime";
        assert!(toolchest::can_pass_over(missing), "{missing}");
        return;
    };
    let broken = Broken::start().await;
    let agent = &broken.fleet.agents["dev"];
    let at = |offset: &str| {
        agent.kill().unwrap();
        let environment = [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME", offset),
            // Periods last as long as ever.
            ("DONT_FAKE_MONOTONIC", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];
        agent.restart_with(&environment).unwrap();
    };

    // An hour ahead: everything goes on, and the hub says how far off the clock is.
    at("+1h");
    let commit = broken.commit(&["ahead"]).await;
    broken.arrived(&commit, &["ahead"]).await;
    let cluster = broken.fleet.api.get("/clusters/dev", &[]).await.unwrap();
    let skew = cluster["status"]["clockSkewMilliseconds"].as_i64().unwrap();
    let hour = 3_600_000;
    assert!((skew.abs() - hour).abs() < 60_000, "{skew} ms");

    // An hour behind: the hub's certificate is not valid yet, which is said; the cluster is looked after all the same.
    at("-1h");
    wait_for("the agent to say what is wrong", async || {
        let log = agent.log()?;
        let end = log.lines().rev().take(50).collect::<Vec<_>>().join("\n");
        Ok(if end.contains("not valid yet") {
            Ok(())
        } else {
            Err(end)
        })
    })
    .await
    .unwrap();
    broken.drift_is_corrected().await;
    let commit = broken.commit(&["behind"]).await;
    agent.kill().unwrap();
    agent.restart().unwrap();
    broken.arrived(&commit, &["behind"]).await;
}

macro_rules! faults {
    ($($name:ident),* $(,)?) => {
        mod real_cluster {
            $(
                #[test]
                fn $name() {
                    super::real::alone(super::$name);
                }
            )*
        }
    };
}

faults![
    the_api_server_is_killed_in_mid_apply,
    etcd_is_killed_in_mid_apply,
    the_api_server_hangs_for_a_while,
    history_is_compacted_under_the_watches,
    the_certificate_of_the_api_server_is_rotated,
    an_aggregated_api_is_down,
    a_webhook_hangs,
    a_quota_is_exceeded,
    the_clock_of_the_cluster_is_wrong,
];
