//! Clusters that come and go.

use capstan_integration::harness::Repository;
use capstan_playground::git::GitServer;
use serde_json::json;

use super::hub::Hub;

const FLEET: &str = "apiVersion: capstan.dev/v1alpha1\nkind: Placement\nmetadata: {name: all}\nspec:\n  clusters: {}\n  sync:\n  \
    - {sourceRef: {kind: GitRepository, name: fleet}, path: apps}\n";
const APP: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n\
    apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, namespace: shop}\ndata: {a: b}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_added_again_gets_everything_though_nothing_changed() {
    let folder = tempfile::tempdir().unwrap();
    let git = GitServer::start(folder.path(), None).await.unwrap();
    git.create("fleet.git").await.unwrap();
    let url = git.url("fleet.git");
    let work = folder.path().join("work");
    let repository = Repository::clone(&url, work).await.unwrap();
    let files = [("fleet/all.yaml", FLEET), ("apps/app.yaml", APP)];
    repository.commit("first", &files).await.unwrap();
    let config = format!("poll_seconds = 1\n[fleet]\nurl = {url:?}\npath = \"fleet\"\n");
    let hub = Hub::start(folder.path(), &config).await.unwrap();
    let path = "/api/v1/namespaces/shop/configmaps/app";
    for round in ["first", "second"] {
        let own = folder.path().join(round);
        std::fs::create_dir(&own).unwrap();
        let (cluster, _agent) = hub.enrol(&own, "dev", &[]).await.unwrap();
        cluster.shows(path, "/data/a", &json!("b")).await.unwrap();
        let request = reqwest::Client::new()
            .delete(format!("{}/api/v1/clusters/dev", hub.api.url))
            .bearer_auth(&hub.api.token);
        assert!(request.send().await.unwrap().status().is_success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_can_be_lost() {
    let folder = tempfile::tempdir().unwrap();
    let git = GitServer::start(folder.path(), None).await.unwrap();
    let mut clones = Vec::new();
    for name in ["fleet", "apps"] {
        git.create(&format!("{name}.git")).await.unwrap();
        let work = folder.path().join(name);
        let url = git.url(&format!("{name}.git"));
        clones.push(Repository::clone(&url, work).await.unwrap());
    }
    let source = format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: apps, namespace: flux-system}}\n\
         spec: {{interval: 1s, url: {:?}, ref: {{branch: main}}}}\n",
        git.url("apps.git")
    );
    let placement = FLEET.replace("name: fleet", "name: apps");
    let files = [
        ("fleet/all.yaml", placement.as_str()),
        ("fleet/apps.yaml", &source),
    ];
    clones[0].commit("fleet", &files).await.unwrap();
    let commit = clones[1]
        .commit("apps", &[("apps/app.yaml", APP)])
        .await
        .unwrap();
    let url = git.url("fleet.git");
    let config = format!("poll_seconds = 1\n[fleet]\nurl = {url:?}\npath = \"fleet\"\n");
    let hub = Hub::start(folder.path(), &config).await.unwrap();
    let (_cluster, _agent) = hub.enrol(folder.path(), "dev", &[]).await.unwrap();
    hub.ready("flux-system", &commit).await.unwrap();
    hub.process.kill().unwrap();
    std::fs::rename(
        folder.path().join("hub/mirrors"),
        folder.path().join("away"),
    )
    .unwrap();
    hub.process.restart().unwrap();
    hub.ready("flux-system", &commit).await.unwrap();
}
