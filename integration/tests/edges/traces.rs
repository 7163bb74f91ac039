//! One trace for a commit, from the fetch until it is healthy in every cluster.

use capstan_integration::harness::{Repository, wait_for};
use capstan_playground::git::GitServer;
use tonic::transport::Identity;

use super::{
    collector::{Collector, Seen},
    hub::Hub,
};

const FLEET: &str = "apiVersion: capstan.dev/v1alpha1\nkind: Placement\nmetadata: {name: all}\nspec:\n  clusters: {}\n  sync:\n  \
    - {sourceRef: {kind: GitRepository, name: fleet}, path: apps, wait: true}\n";
const APP: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n\
    apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\nstringData: {a: trace-canary-5520}\n";

/// What is told of a commit: service, span, cluster.
const EXPECTED: [(&str, &str, &str); 11] = [
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
];

/// The spans of a commit, once all that are expected are there.
async fn spans_of(collector: &Collector, commit: &str) -> Vec<Seen> {
    wait_for("every span of the commit", async || {
        let mut spans = collector.spans();
        spans.retain(|it| it.attributes.contains(commit));
        let is = |span: &Seen, (service, name, cluster): (&str, &str, &str)| {
            let of_cluster =
                cluster.is_empty() || span.attributes.contains(&format!("{cluster:?}"));
            span.service == service && span.name == name && of_cluster
        };
        let missing: Vec<_> = EXPECTED
            .into_iter()
            .filter(|it| !spans.iter().any(|span| is(span, *it)))
            .collect();
        Ok(match missing[..] {
            [] => Ok(spans),
            _ => Err(format!("missing: {missing:?}")),
        })
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_one_trace_over_hub_and_agents() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::default();
    let endpoint = format!("http://{}", collector.listen(None).await.unwrap());
    // One of the agents sends to an authority of its own.
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ca = folder.path().join("collector.crt");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
    let secured = collector.listen(Some(identity)).await.unwrap();
    let secured = [
        format!("--otlp-endpoint=https://localhost:{}", secured.port()),
        format!("--otlp-ca={}", ca.display()),
    ];
    let git = GitServer::start(folder.path(), None).await.unwrap();
    git.create("fleet.git").await.unwrap();
    let url = git.url("fleet.git");
    let work = folder.path().join("work");
    let repository = Repository::clone(&url, work).await.unwrap();
    let files = [("fleet/all.yaml", FLEET), ("apps/shop.yaml", APP)];
    let first = repository.commit("first", &files).await.unwrap();
    let config = format!(
        "poll_seconds = 1\notlp_endpoint = {endpoint:?}\n[fleet]\nurl = {url:?}\npath = \"fleet\"\n"
    );
    let hub = Hub::start(folder.path(), &config).await.unwrap();
    hub.at(&first).await.unwrap();
    let flag = [format!("--otlp-endpoint={endpoint}")];
    let _dev = hub.enrol(folder.path(), "dev", &flag).await.unwrap();
    let _prod = hub.enrol(folder.path(), "prod", &secured).await.unwrap();
    let second = APP.replace("name: shop", "name: shop, labels: {a: b}");
    let second = [("apps/shop.yaml", second.as_str())];
    let commit = repository.commit("second", &second).await.unwrap();

    let spans = spans_of(&collector, &commit).await;
    let roots: Vec<_> = spans.iter().filter(|it| it.parent.is_empty()).collect();
    assert_eq!(roots.len(), 1, "{spans:#?}");
    assert_eq!(roots[0].name, "fetch");
    for span in &spans {
        assert_eq!(span.trace, roots[0].trace, "{span:?}");
        assert!(
            span.parent.is_empty() || span.parent == roots[0].id,
            "{span:?}"
        );
        assert!(span.start <= span.end, "{span:?}");
    }
    let all = collector.spans();
    let others = all.iter().filter(|it| it.trace != roots[0].trace);
    assert!(
        others.count() > 0,
        "the first commit has a trace of its own"
    );
    assert!(!format!("{all:?}").contains("trace-canary"));
}
