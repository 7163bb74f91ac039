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
