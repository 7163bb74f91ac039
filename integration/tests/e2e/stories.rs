//! The stories. Each starts a fleet of its own.

mod secrets;

pub(crate) use secrets::{planted_secrets_are_nowhere, variables_come_from_the_cluster};

use std::time::Duration;

use anyhow::{Context, ensure};
use capstan_integration::harness::{ClusterKind, Fleet, Transport, condition, never, wait_for};
use capstan_playground::{local::ssh::SshError, toolchest};
use serde_json::json;

const APP: &str = "/api/v1/namespaces/shop/configmaps/app";
const EXTRA: &str = "/api/v1/namespaces/shop/configmaps/extra";

const PLACEMENT: &str = "apiVersion: capstan.dev/v1alpha1\nkind: Placement\nmetadata: {name: platform}\nspec:\n  \
    clusters: {matchExpressions: [{key: left, operator: DoesNotExist}]}\n  sync:\n  \
    - sourceRef: {kind: GitRepository, name: fleet}\n    path: ./clusters/${cluster_name}\n";
const PIPELINE: &str = "apiVersion: capstan.dev/v1alpha1\nkind: Pipeline\nmetadata: {name: platform}\nspec:\n  \
    sourceRef: {kind: GitRepository, name: fleet}\n  environments:\n  \
    - {name: dev, clusters: {matchLabels: {env: dev}}}\n  \
    - {name: staging, clusters: {matchLabels: {env: staging}}, auto: true}\n  \
    - {name: prod, clusters: {matchLabels: {env: prod}}}\n";
const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";

fn cluster(name: &str, more_labels: &str) -> String {
    format!(
        "apiVersion: capstan.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: {name}, labels: {{env: {name}{more_labels}}}}}\n"
    )
}

fn kustomization(name: &str, path: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\nspec:\n  \
         interval: 10m\n  retryInterval: 2s\n  prune: true\n  wait: true\n  timeout: 1m\n  path: {path}\n  \
         sourceRef: {{kind: GitRepository, name: fleet}}\n"
    )
}

fn config_map(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop}}\ndata: {{value: {value:?}}}\n"
    )
}

/// A repository for the clusters: each has the unit `apps` over `apps/`, which has one ConfigMap.
fn files(clusters: &[&str], pipeline: bool) -> Vec<(String, String)> {
    let mut files = vec![
        ("fleet/placement.yaml".to_owned(), PLACEMENT.to_owned()),
        (
            "apps/app.yaml".to_owned(),
            format!("{NAMESPACE}---\n{}", config_map("app", "1")),
        ),
    ];
    if pipeline {
        files.push(("fleet/pipeline.yaml".to_owned(), PIPELINE.to_owned()));
    }
    for name in clusters {
        files.push((format!("fleet/{name}.yaml"), cluster(name, "")));
        files.push((
            format!("clusters/{name}/apps.yaml"),
            kustomization("apps", "./apps"),
        ));
    }
    files
}

async fn start(kind: ClusterKind, clusters: &[&str], pipeline: bool) -> anyhow::Result<Fleet> {
    start_with(kind, clusters, files(clusters, pipeline)).await
}

async fn start_with(
    kind: ClusterKind,
    clusters: &[&str],
    files: Vec<(String, String)>,
) -> anyhow::Result<Fleet> {
    Fleet::start(kind, clusters, &borrowed(&files)).await
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    let pairs = files.iter().map(|it| (it.0.as_str(), it.1.as_str()));
    pairs.collect()
}

async fn value_is(fleet: &Fleet, cluster: &str, value: &str) -> anyhow::Result<()> {
    fleet
        .cluster(cluster)
        .shows(APP, "/data/value", &json!(value))
        .await
        .context(cluster.to_owned())
}

pub(crate) async fn a_commit_reaches_dev_and_moves_on_when_promoted(
    kind: ClusterKind,
) -> anyhow::Result<()> {
    let fleet = start(kind, &["dev", "staging", "prod"], true).await?;
    let promote = "/pipelines/platform/environments/prod/promote";
    value_is(&fleet, "staging", "1").await?;
    wait_for("the first promotion", async || {
        let asked = fleet.api.post(promote, &json!({"reason": "first"})).await;
        Ok(asked.map_err(|error| format!("{error:#}")))
    })
    .await?;
    value_is(&fleet, "prod", "1").await?;
    fleet.healthy("prod", &["flux-system", "apps"], "").await?;

    let second = fleet
        .repository
        .commit(
            "second",
            &[(
                "apps/app.yaml",
                &format!("{NAMESPACE}---\n{}", config_map("app", "2")),
            )],
        )
        .await?;
    value_is(&fleet, "dev", "2").await?;
    value_is(&fleet, "staging", "2").await?;
    fleet.healthy("staging", &["apps"], &second).await?;
    value_is(&fleet, "prod", "1")
        .await
        .context("prod waits for a promotion")?;

    wait_for("the second promotion", async || {
        let asked = fleet.api.post(promote, &json!({"reason": "second"})).await;
        Ok(asked.map_err(|error| format!("{error:#}")))
    })
    .await?;
    value_is(&fleet, "prod", "2").await?;
    fleet.healthy("prod", &["apps"], &second).await?;

    let rollback = "/pipelines/platform/environments/prod/rollback";
    fleet
        .api
        .post(rollback, &json!({"reason": "a test"}))
        .await?;
    value_is(&fleet, "prod", "1").await?;
    value_is(&fleet, "dev", "2").await?;
    let audit = fleet.api.get("/audit", &[]).await?.to_string();
    ensure!(
        audit.contains("rollback") && audit.contains("a test"),
        "no audit record of the rollback: {audit}"
    );
    Ok(())
}

pub(crate) async fn without_a_pipeline_a_commit_reaches_every_cluster(
    kind: ClusterKind,
) -> anyhow::Result<()> {
    let names = ["dev", "staging", "prod"];
    let fleet = start(kind, &names, false).await?;
    for name in names {
        value_is(&fleet, name, "1").await?;
    }
    let second = fleet
        .repository
        .commit(
            "second",
            &[(
                "apps/app.yaml",
                &format!("{NAMESPACE}---\n{}", config_map("app", "2")),
            )],
        )
        .await?;
    for name in names {
        value_is(&fleet, name, "2").await?;
        fleet
            .healthy(name, &["flux-system", "apps"], &second)
            .await?;
    }
    Ok(())
}

pub(crate) async fn a_broken_manifest_stops_only_its_unit(kind: ClusterKind) -> anyhow::Result<()> {
    let mut files = files(&["dev"], false);
    files.push((
        "clusters/dev/other.yaml".into(),
        kustomization("other", "./other"),
    ));
    files.push(("other/extra.yaml".into(), config_map("extra", "1")));
    let fleet = start_with(kind, &["dev"], files).await?;
    value_is(&fleet, "dev", "1").await?;
    fleet
        .cluster("dev")
        .shows(EXTRA, "/data/value", &json!("1"))
        .await?;

    let broken = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [extra\n";
    let good = format!("{NAMESPACE}---\n{}", config_map("app", "2"));
    fleet
        .repository
        .commit(
            "broken",
            &[("other/extra.yaml", broken), ("apps/app.yaml", &good)],
        )
        .await?;
    value_is(&fleet, "dev", "2").await?;
    fleet
        .says("dev", "other", "Ready", "False", "other/extra.yaml:")
        .await?;
    let kept = fleet
        .cluster("dev")
        .get(EXTRA)
        .await?
        .context("the last good state is kept")?;
    ensure!(kept["data"]["value"] == "1", "{kept}");

    // What is kept is still corrected.
    fleet
        .cluster("dev")
        .patch(EXTRA, &json!({"data": {"value": "by hand"}}))
        .await?;
    fleet
        .cluster("dev")
        .shows(EXTRA, "/data/value", &json!("1"))
        .await
}

pub(crate) async fn a_hand_edit_is_put_back_and_its_author_named(
    kind: ClusterKind,
) -> anyhow::Result<()> {
    let fleet = start(kind, &["dev"], false).await?;
    value_is(&fleet, "dev", "1").await?;
    fleet.healthy("dev", &["apps"], "").await?;
    fleet
        .cluster("dev")
        .patch(
            APP,
            &json!({"data": {"value": "by hand"}, "metadata": {"labels": {"mine": "kept"}}}),
        )
        .await?;
    value_is(&fleet, "dev", "1").await?;
    let object = fleet.cluster("dev").get(APP).await?.context("app")?;
    ensure!(
        object["metadata"]["labels"]["mine"] == "kept",
        "a field that we do not declare is left alone: {object}"
    );
    wait_for("an event that names who changed it", async || {
        let events = fleet
            .api
            .get("/events", &[("cluster", "dev")])
            .await?
            .to_string();
        Ok(if events.contains("edited-by-hand") {
            Ok(())
        } else {
            Err(events)
        })
    })
    .await?;
    fleet.cluster("dev").delete(APP).await?;
    value_is(&fleet, "dev", "1").await
}

pub(crate) async fn a_removed_file_is_pruned(kind: ClusterKind) -> anyhow::Result<()> {
    let mut files = files(&["dev"], false);
    files.push(("apps/extra.yaml".into(), config_map("extra", "1")));
    let fleet = start_with(kind, &["dev"], files).await?;
    fleet
        .cluster("dev")
        .shows(EXTRA, "/data/value", &json!("1"))
        .await?;
    fleet.healthy("dev", &["apps"], "").await?;
    let removed = fleet
        .repository
        .remove("remove", &["apps/extra.yaml"])
        .await?;
    fleet.cluster("dev").gone(EXTRA).await?;
    fleet.healthy("dev", &["apps"], &removed).await?;
    value_is(&fleet, "dev", "1").await
}

pub(crate) async fn an_emptied_folder_waits_for_a_confirmation(
    kind: ClusterKind,
) -> anyhow::Result<()> {
    let mut files = files(&["dev"], false);
    files.push((
        "clusters/dev/other.yaml".into(),
        kustomization("other", "./other"),
    ));
    files.push(("other/extra.yaml".into(), config_map("extra", "1")));
    let fleet = start_with(kind, &["dev"], files).await?;
    fleet
        .cluster("dev")
        .shows(EXTRA, "/data/value", &json!("1"))
        .await?;
    fleet.healthy("dev", &["other"], "").await?;
    fleet
        .repository
        .commit("keep the folder", &[("other/README.md", "empty")])
        .await?;
    fleet
        .repository
        .remove("empty", &["other/extra.yaml"])
        .await?;
    wait_for("the fuse", async || {
        let unit = fleet.unit("dev", "other").await?;
        let waiting = condition(&unit, "AwaitingConfirmation");
        Ok(if waiting["status"] == "True" {
            Ok(())
        } else {
            Err(unit["status"].to_string())
        })
    })
    .await?;
    ensure!(
        fleet.cluster("dev").get(EXTRA).await?.is_some(),
        "the fuse holds"
    );
    let approve = "/units/dev/Kustomization/flux-system/other/approve";
    fleet.api.post(approve, &json!({"reason": "meant"})).await?;
    fleet.cluster("dev").gone(EXTRA).await
}

/// What a cluster's object says of every write to it.
async fn resource_version(fleet: &Fleet, cluster: &str) -> anyhow::Result<String> {
    let object = fleet.cluster(cluster).get(APP).await?.context("app")?;
    Ok(object["metadata"]["resourceVersion"].to_string())
}

pub(crate) async fn a_killed_hub_changes_nothing(kind: ClusterKind) -> anyhow::Result<()> {
    let fleet = start(kind, &["dev", "prod"], false).await?;
    for name in ["dev", "prod"] {
        value_is(&fleet, name, "1").await?;
        fleet.healthy(name, &["flux-system", "apps"], "").await?;
    }
    let before = resource_version(&fleet, "dev").await?;
    let generation = generation(&fleet, "dev").await?;
    fleet.hub.kill()?;
    fleet.hub.restart()?;
    for name in ["dev", "prod"] {
        fleet.healthy(name, &["flux-system", "apps"], "").await?;
    }
    ensure!(
        resource_version(&fleet, "dev").await? == before,
        "the same commit was applied twice"
    );
    ensure!(
        self::generation(&fleet, "dev").await? == generation,
        "the same commit made another generation"
    );
    fleet
        .repository
        .commit(
            "second",
            &[(
                "apps/app.yaml",
                &format!("{NAMESPACE}---\n{}", config_map("app", "2")),
            )],
        )
        .await?;
    value_is(&fleet, "dev", "2").await?;
    value_is(&fleet, "prod", "2").await
}

async fn generation(fleet: &Fleet, cluster: &str) -> anyhow::Result<String> {
    let item = fleet.api.get(&format!("/clusters/{cluster}"), &[]).await?;
    Ok(item["status"]["generation"].to_string())
}

pub(crate) async fn a_killed_agent_loses_nothing(kind: ClusterKind) -> anyhow::Result<()> {
    let fleet = start(kind, &["dev"], false).await?;
    value_is(&fleet, "dev", "1").await?;
    let agent = &fleet.agents["dev"];
    // Objects come and go while the agent is killed at whatever it is doing: none may be left behind that nobody owns.
    for round in 0..5 {
        let path = format!("apps/round-{round}.yaml");
        let name = format!("round-{round}");
        fleet
            .repository
            .commit("add", &[(&path, &config_map(&name, "1"))])
            .await?;
        let object = format!("/api/v1/namespaces/shop/configmaps/{name}");
        fleet
            .cluster("dev")
            .shows(&object, "/data/value", &json!("1"))
            .await?;
        agent.kill()?;
        agent.restart()?;
        fleet.repository.remove("remove", &[&path]).await?;
        fleet.cluster("dev").gone(&object).await?;
    }
    fleet.healthy("dev", &["apps"], "").await
}

pub(crate) async fn drift_is_corrected_while_the_hub_is_away(
    kind: ClusterKind,
) -> anyhow::Result<()> {
    let fleet = start(kind, &["dev"], false).await?;
    value_is(&fleet, "dev", "1").await?;
    fleet.healthy("dev", &["apps"], "").await?;
    fleet.hub.kill()?;
    fleet
        .cluster("dev")
        .patch(APP, &json!({"data": {"value": "by hand"}}))
        .await?;
    value_is(&fleet, "dev", "1").await?;
    // Also after a restart of its own, with nobody to ask.
    fleet.agents["dev"].kill()?;
    fleet
        .cluster("dev")
        .patch(APP, &json!({"data": {"value": "again"}}))
        .await?;
    fleet.agents["dev"].restart()?;
    value_is(&fleet, "dev", "1").await?;
    fleet.hub.restart()?;
    fleet.healthy("dev", &["apps"], "").await
}

pub(crate) async fn a_cluster_that_leaves_its_placement_keeps_its_objects(
    kind: ClusterKind,
) -> anyhow::Result<()> {
    let fleet = start(kind, &["dev"], false).await?;
    value_is(&fleet, "dev", "1").await?;
    fleet.healthy("dev", &["flux-system", "apps"], "").await?;
    fleet
        .repository
        .commit(
            "leave",
            &[("fleet/dev.yaml", &cluster("dev", ", left: \"yes\""))],
        )
        .await?;
    fleet
        .says("dev", "flux-system", "Ready", "False", "")
        .await?;
    let kept = never("a deletion", Duration::from_secs(3), async || {
        let there = fleet.cluster("dev").get(APP).await?.is_some();
        Ok((!there).then(|| "the object is gone".to_owned()))
    });
    kept.await
}

pub(crate) async fn a_repository_is_followed_over_ssh(kind: ClusterKind) -> anyhow::Result<()> {
    followed(Transport::Ssh, kind).await
}

pub(crate) async fn a_repository_is_followed_with_a_password(
    kind: ClusterKind,
) -> anyhow::Result<()> {
    followed(Transport::HttpWithLogin, kind).await
}

async fn followed(transport: Transport, kind: ClusterKind) -> anyhow::Result<()> {
    let files = files(&["dev"], false);
    let fleet = Fleet::start_over(transport, kind, &["dev"], &borrowed(&files)).await;
    let fleet = match fleet {
        Err(error) if error.downcast_ref().is_some_and(is_missing) => {
            ensure!(toolchest::can_pass_over(&format!("{error:#}")), "{error:#}");
            return Ok(());
        }
        fleet => fleet?,
    };
    value_is(&fleet, "dev", "1").await?;
    let second = format!("{NAMESPACE}---\n{}", config_map("app", "2"));
    let second = [("apps/app.yaml", second.as_str())];
    let second = fleet.repository.commit("second", &second).await?;
    value_is(&fleet, "dev", "2").await?;
    fleet
        .healthy("dev", &["flux-system", "apps"], &second)
        .await
}

fn is_missing(error: &SshError) -> bool {
    matches!(error, SshError::Missing { .. })
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |all, it| all << 8 | u32::from(*it)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    out
}
