//! The console in a real browser: somebody logs in with the one-time code, and sees a commit arrive without touching anything.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test file: a panic is the report"
)]

use std::path::Path;

use capstan_hub::{FleetSource, RunningHub};
use capstan_integration::harness::{Api, Cluster, ClusterKind, Repository};
use capstan_playground::{git::GitServer, local::browser::Browser, toolchest};
use serde_json::json;

const FLEET: &str = "apiVersion: capstan.dev/v1alpha1\nkind: Cluster\nmetadata: {name: dev}\n---\napiVersion: capstan.dev/v1alpha1\nkind: Placement\n\
    metadata: {name: platform}\nspec:\n  clusters: {}\n  sync:\n  - sourceRef: {kind: GitRepository, name: fleet}\n    path: ./clusters/${cluster_name}\n";
const APP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, namespace: default}\ndata: {value: \"1\"}\n";

async fn hub(folder: &Path, git: &GitServer) -> RunningHub {
    let any_port = ([127, 0, 0, 1], 0).into();
    let fleet = FleetSource {
        url: git.url("fleet.git"),
        branch: "main".to_owned(),
        path: "fleet".to_owned(),
        credentials: None,
        name: "fleet".to_owned(),
    };
    let config = capstan_hub::Config {
        data_dir: folder.join("hub"),
        agents_listen: any_port,
        api_listen: any_port,
        poll_seconds: Some(1),
        status_interval_ms: 200,
        fleet: Some(fleet),
        ..capstan_hub::Config::default()
    };
    capstan_hub::start(config).await.unwrap()
}

/// Enrols the cluster and runs its agent, until the test ends.
async fn agent(folder: &Path, hub: &RunningHub, cluster: &Cluster) {
    let token = std::fs::read_to_string(&hub.admin_token).unwrap();
    let api = Api::new(&hub.api_url, token.trim());
    let added = api
        .post("/clusters", &json!({"name": "dev"}))
        .await
        .unwrap();
    let token_file = folder.join("dev.token");
    std::fs::write(&token_file, added["token"].as_str().unwrap()).unwrap();
    let config = capstan_agent::Config {
        hub: format!("https://{}", hub.agents_addr),
        hub_ca: Some(hub.ca_certificate.clone()),
        hub_ca_pin: None,
        token_file: Some(token_file),
        state_dir: folder.join("agent"),
        kubeconfig: Some(cluster.kubeconfig.clone()),
        namespace: "capstan-system".to_owned(),
        identity_secret: None,
        listen: None,
        otlp_endpoint: None,
        otlp_ca: None,
    };
    tokio::spawn(capstan_agent::run(config, std::future::pending()));
}

/// Fails with what a page wrote to the browser's log, if anything is an error there.
async fn no_errors(browser: &Browser, page: &str) {
    let mut log = browser.log().await.unwrap();
    log.retain(|line| line.starts_with("SEVERE") || line.starts_with("WARNING"));
    assert!(log.is_empty(), "{page}: {log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_logs_in_and_sees_a_commit_arrive() {
    if let Err(error) = Browser::available() {
        assert!(toolchest::can_pass_over(&error.to_string()), "{error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let served = folder.path().join("git");
    std::fs::create_dir(&served).unwrap();
    let git = GitServer::start(&served, None).await.unwrap();
    git.create("fleet.git").await.unwrap();
    let work = folder.path().join("work");
    let repository = Repository::clone(&git.url("fleet.git"), work)
        .await
        .unwrap();
    let first = [("fleet/fleet.yaml", FLEET), ("clusters/dev/app.yaml", APP)];
    let first = repository.commit("first", &first).await.unwrap();
    let clusters = Cluster::start_all(ClusterKind::Sim, &["dev"], folder.path());
    let clusters = clusters.await.unwrap();
    let hub = hub(folder.path(), &git).await;
    agent(folder.path(), &hub, &clusters[0]).await;

    let browser = Browser::start().await.unwrap();
    let link = format!("{}/login?code={}", hub.api_url, hub.login_code());
    browser.open(&link).await.unwrap();
    browser.click("button[type=submit]").await.unwrap();
    browser.wait_for_text("1/1 units healthy").await.unwrap();
    browser.wait_for_text(&first[..12]).await.unwrap();
    no_errors(&browser, "the first page").await;

    // A mark that a reload would take away: what follows arrives by itself.
    browser
        .run("window.mark = 'still the same page'")
        .await
        .unwrap();
    let second = APP.replace("\"1\"", "\"2\"");
    let second = [("clusters/dev/app.yaml", second.as_str())];
    let second = repository.commit("second", &second).await.unwrap();
    browser.wait_for_text(&second[..12]).await.unwrap();
    let mark = browser.run("return window.mark").await.unwrap();
    assert_eq!(mark, "still the same page");
    no_errors(&browser, "the first page after a commit").await;

    for page in [
        "clusters/dev",
        "units/dev/Kustomization/flux-system/flux-system",
        "events",
    ] {
        let url = format!("{}/{page}", hub.api_url);
        browser.open(&url).await.unwrap();
        browser.wait_for_text("dev").await.unwrap();
        no_errors(&browser, page).await;
    }

    // The code was good once; what it says then is no secret, and lets nobody in.
    browser.click("header form button").await.unwrap();
    browser.wait_for_text("Admin token").await.unwrap();
    browser.open(&link).await.unwrap();
    browser.click("button[type=submit]").await.unwrap();
    browser.wait_for_text("Log in").await.unwrap();
    let text = browser.text().await.unwrap();
    assert!(!text.contains("units healthy"), "{text}");
    hub.shutdown().await;
}
