//! The same requests to a real API server and to the simulated one: the answers are compared, and a difference is a bug of
//! the simulation. The requests are stories in `parity/stories/`, written as text; see `support/story.rs`.
//!
//! Where the real control plane is not built, the suite says so and passes.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "parity/discovery.rs"]
mod discovery;
#[path = "parity/normal.rs"]
mod normal;
#[allow(dead_code, reason = "shared with other tests")]
mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

use capstan_playground::local::{LocalCluster, LocalOptions};
use capstan_playground::sim::{SimCluster, SimOptions, User};
use normal::Normaliser;
use serde_json::{Value, json};
use support::client::Client;
use support::story::{self, Request, Story};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

/// Stories of one file that run at the same time: the simulation is not what is slow.
const STORIES_AT_ONCE: usize = 4;

/// Both servers live on it, whichever test needed them first.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static API_ONLY: OnceCell<Pair> = OnceCell::const_new();
static FULL: OnceCell<Pair> = OnceCell::const_new();

/// A real cluster and a simulated one.
struct Pair {
    real: LocalCluster,
    simulated: SimCluster,
}

impl Pair {
    async fn start(options: LocalOptions, simulated: SimOptions) -> Self {
        let real = LocalCluster::start(options).await.unwrap();
        Self {
            real,
            simulated: SimCluster::start(simulated).unwrap(),
        }
    }

    fn clients(&self) -> (Client, Client) {
        let simulated = Client::with_token(
            self.simulated.url(),
            self.simulated.token_for(User::admin()),
        );
        (Client::new(&self.real.kubeconfig()), simulated)
    }
}

/// Runs one file of stories against both and fails with every difference.
fn compare(file: &str, pair: impl AsyncFnOnce() -> &'static Pair) {
    if !support::available(&LocalOptions::full("parity").unwrap()) {
        return;
    }
    let stories = story::parse(file);
    let differences = RUNTIME.block_on(async {
        let pair = pair().await;
        let compared = stories.iter().map(|story| differences(story, pair));
        let results = futures::stream::iter(compared);
        let results: Vec<_> =
            futures::StreamExt::collect(futures::StreamExt::buffered(results, STORIES_AT_ONCE))
                .await;
        results.concat()
    });
    assert!(
        differences.is_empty(),
        "the simulation differs from a real API server (- real, + simulated):\n{differences}"
    );
}

/// How the two transcripts of `story` differ; empty if they are equal.
async fn differences(story: &Story, pair: &Pair) -> String {
    let (real, simulated) = pair.clients();
    let (real, simulated) = tokio::join!(play(story, &real), play(story, &simulated));
    let mut report = String::new();
    for ((request, real), simulated) in story.requests.iter().zip(&real).zip(&simulated) {
        if real != simulated {
            let diff = similar::TextDiff::from_lines(real, simulated);
            let shown = diff.unified_diff().context_radius(4).to_string();
            write!(
                report,
                "\n=== {}\n{} {}\n{shown}",
                story.title, request.verb, request.path
            )
            .unwrap();
        }
    }
    report
}

/// The normalised answers of one server to all requests of a story.
async fn play(story: &Story, client: &Client) -> Vec<String> {
    let namespace = story::namespace(&story.title);
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        .to_string();
    let create = Request {
        verb: "POST".to_owned(),
        path: "/api/v1/namespaces".to_owned(),
        body,
        ..Request::default()
    };
    let created = client.send(&create).await;
    assert_eq!(
        created["status"], 201,
        "namespace of story {}: {created}",
        story.title
    );
    let (mut normaliser, mut known, mut transcript) =
        (Normaliser::default(), BTreeMap::new(), Vec::new());
    for request in &story.requests {
        let filled = Request {
            name: None,
            verb: request.verb.clone(),
            path: fill(&request.path, &namespace, &known),
            headers: request
                .headers
                .iter()
                .map(|(header, value)| (header.clone(), fill(value, &namespace, &known)))
                .collect(),
            body: fill(&request.body, &namespace, &known),
        };
        let answer = client.send(&filled).await;
        transcript.push(normaliser.text(&answer));
        if let Some(name) = &request.name {
            known.insert(name.clone(), answer);
        }
    }
    transcript
}

/// Puts the namespace and values of earlier answers into `text`.
fn fill(text: &str, namespace: &str, known: &BTreeMap<String, Value>) -> String {
    let mut rest = text;
    let mut filled = String::new();
    while let Some((before, after)) = rest.split_once("{{") {
        let (reference, after) = after
            .split_once("}}")
            .unwrap_or_else(|| panic!("no end of {{{{ in {text}"));
        let (name, pointer) = reference
            .split_once(':')
            .unwrap_or_else(|| panic!("`name:/pointer` expected: {reference}"));
        let answer = known
            .get(name)
            .unwrap_or_else(|| panic!("no answer is called {name}"));
        let value = answer
            .get("body")
            .unwrap_or(answer)
            .pointer(pointer)
            .cloned()
            .unwrap_or(Value::Null);
        filled.push_str(before);
        filled.push_str(
            &value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned),
        );
        rest = after;
    }
    (filled + rest).replace("$ns", namespace)
}

#[test]
fn discovery_of_what_both_serve() {
    if !support::available(&LocalOptions::full("parity").unwrap()) {
        return;
    }
    let differences = RUNTIME.block_on(async {
        let (real, simulated) = api_only().await.clients();
        discovery::differences(&real, &simulated).await
    });
    assert!(
        differences.is_empty(),
        "discovery differs (- real, + simulated):\n{differences}"
    );
}

/// Defines one test for each file of stories.
macro_rules! stories {
    ($($test:ident: $file:literal on $pair:ident,)*) => {$(
        #[test]
        fn $test() {
            compare(include_str!(concat!("parity/stories/", $file)), $pair);
        }
    )*};
}

/// Nothing acts on objects, so that every answer is a consequence of the requests alone.
async fn api_only() -> &'static Pair {
    API_ONLY
        .get_or_init(async || {
            let simulated = SimOptions {
                controllers: false,
                ..SimOptions::default()
            };
            Pair::start(LocalOptions::api_only("parity-api").unwrap(), simulated).await
        })
        .await
}

/// With controllers: for what happens by itself in the end.
async fn full() -> &'static Pair {
    FULL.get_or_init(async || {
        Pair::start(
            LocalOptions::full("parity-full").unwrap(),
            SimOptions::default(),
        )
        .await
    })
    .await
}

stories! {
    an_agent: "agent.http" on api_only,
    server_side_apply: "apply.http" on api_only,
    other_writes: "write.http" on api_only,
    reads: "read.http" on api_only,
    watches: "watch.http" on api_only,
    deletions: "delete.http" on api_only,
    refusals: "refused.http" on api_only,
    namespaces: "namespaces.http" on api_only,
    custom_resources: "custom.http" on api_only,
    defaults: "defaults.http" on api_only,
    failures: "failures.http" on api_only,
    lifecycles: "lifecycle.http" on full,
}
