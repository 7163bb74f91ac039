//! One trace for a commit, from the fetch until it is healthy in every cluster.

use std::collections::BTreeSet;

use capstan_integration::harness::{Repository, wait_for};
use capstan_playground::git::GitServer;

use super::{collector::Collector, hub::Hub};

const FLEET: &str = "apiVersion: capstan.dev/v1alpha1\nkind: Placement\nmetadata: {name: all}\nspec:\n  clusters: {}\n  sync:\n  \
    - {sourceRef: {kind: GitRepository, name: fleet}, path: apps, wait: true}\n";
const APP: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n\
    apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\nstringData: {a: trace-canary-5520}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_one_trace_over_hub_and_agents() {
    let folder = tempfile::tempdir().unwrap();
    let (collector, address) = Collector::start().await.unwrap();
    let endpoint = format!("http://{address}");
    let git = GitServer::start(folder.path(), None).await.unwrap();
    git.create("fleet.git").await.unwrap();
    let url = git.url("fleet.git");
    let work = folder.path().join("work");
    let repository = Repository::clone(&url, work).await.unwrap();
    let files = [("fleet/all.yaml", FLEET), ("apps/shop.yaml", APP)];
    repository.commit("first", &files).await.unwrap();
    let config = format!(
        "poll_seconds = 1\notlp_endpoint = {endpoint:?}\n[fleet]\nurl = {url:?}\npath = \"fleet\"\n"
    );
    let hub = Hub::start(folder.path(), &config).await.unwrap();
    let flag = [format!("--otlp-endpoint={endpoint}")];
    let mut fleet = Vec::new();
    for name in ["dev", "prod"] {
        fleet.push(hub.enrol(folder.path(), name, &flag).await.unwrap());
    }
    let second = APP.replace("name: shop", "name: shop, labels: {a: b}");
    let commit = repository
        .commit("second", &[("apps/shop.yaml", &second)])
        .await
        .unwrap();

    let expect: BTreeSet<(String, String)> = [
        ("capstan-hub", "fetch", ""),
        ("capstan-hub", "plan", "dev"),
        ("capstan-hub", "plan", "prod"),
        ("capstan-hub", "deliver", "dev"),
        ("capstan-hub", "deliver", "prod"),
        ("capstan-agent", "apply unit", "dev"),
        ("capstan-agent", "apply unit", "prod"),
        ("capstan-agent", "unit becomes healthy", "dev"),
        ("capstan-agent", "unit becomes healthy", "prod"),
        ("capstan-hub", "apply until healthy", "dev"),
        ("capstan-hub", "apply until healthy", "prod"),
    ]
    .map(|it| (format!("{} {}", it.0, it.1), it.2.to_owned()))
    .into();
    let spans = wait_for("every span of the second commit", async || {
        let spans = collector.spans();
        let of_commit = spans
            .into_iter()
            .filter(|it| it.attributes.contains(&commit));
        let of_commit: Vec<_> = of_commit.collect();
        let cluster = |it: &str| {
            ["dev", "prod"]
                .into_iter()
                .find(|name| it.contains(&format!("\"{name}\"")))
        };
        let seen = of_commit.iter().map(|it| {
            let cluster = cluster(&it.attributes).unwrap_or_default();
            (format!("{} {}", it.service, it.name), cluster.to_owned())
        });
        let missing: Vec<_> = {
            let seen: BTreeSet<_> = seen.collect();
            expect.difference(&seen).cloned().collect()
        };
        Ok(if missing.is_empty() {
            Ok(of_commit)
        } else {
            Err(format!("missing: {missing:?}"))
        })
    })
    .await
    .unwrap();

    let traces: BTreeSet<_> = spans.iter().map(|it| it.trace.clone()).collect();
    assert_eq!(traces.len(), 1, "{spans:#?}");
    let roots: Vec<_> = spans.iter().filter(|it| it.parent.is_empty()).collect();
    assert_eq!(roots.len(), 1, "{spans:#?}");
    assert_eq!(roots[0].name, "fetch");
    for span in &spans {
        assert!(
            span.parent.is_empty() || span.parent == roots[0].id,
            "{span:?}"
        );
        assert!(span.start <= span.end, "{span:?}");
    }
    let all = collector.spans();
    assert!(
        all.iter().any(|it| it.trace != spans[0].trace),
        "the first commit has a trace of its own"
    );
    assert!(!format!("{all:?}").contains("trace-canary"));
}
