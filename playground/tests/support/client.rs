//! Speaks plain HTTP to a server named by a kubeconfig, so that every byte of an answer can be compared.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt;
use serde_json::{Value, json};

use super::story::Request;

/// How long an answer may take: far longer than any does, since the machine may be busy.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// How long a condition is waited for.
const UNTIL_LIMIT: Duration = Duration::from_secs(90);

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long after its last event a watch is taken to have nothing more to say.
const QUIET: Duration = Duration::from_millis(700);

/// How long a watch is given for its first event: a busy machine may need longer for it than a watch is quiet.
const FIRST_EVENT: Duration = Duration::from_secs(3);

/// One of the two servers.
pub(crate) struct Client {
    base: String,
    http: reqwest::Client,
    token: Option<String>,
}

impl Client {
    /// A client as a real cluster's kubeconfig describes it: in JSON, with a certificate.
    pub(crate) fn new(kubeconfig: &str) -> Self {
        let config: Value = serde_json::from_str(kubeconfig).expect("the kubeconfig is JSON");
        let (cluster, user) = (
            &config["clusters"][0]["cluster"],
            &config["users"][0]["user"],
        );
        let pem = |value: &Value| {
            value
                .as_str()
                .map(|text| STANDARD.decode(text).expect("base64"))
        };
        let mut builder = reqwest::Client::builder().no_proxy().timeout(ANSWER_LIMIT);
        if let Some(authority) = pem(&cluster["certificate-authority-data"]) {
            builder = builder.tls_certs_only([
                reqwest::Certificate::from_pem(&authority).expect("a certificate")
            ]);
        }
        if let (Some(certificate), Some(key)) = (
            pem(&user["client-certificate-data"]),
            pem(&user["client-key-data"]),
        ) {
            builder = builder.identity(
                reqwest::Identity::from_pem(&[certificate, key].concat()).expect("an identity"),
            );
        }
        Self {
            base: cluster["server"].as_str().expect("a server").to_owned(),
            http: builder.build().expect("a client"),
            token: None,
        }
    }

    /// A client of a server without TLS.
    pub(crate) fn with_token(base: String, token: String) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_LIMIT)
            .build()
            .expect("a client");
        Self {
            base,
            http,
            token: Some(token),
        }
    }

    /// Sends one request and gives the answer as a value: `status`, `warnings`, `body`; or `events` of a watch.
    pub(crate) async fn send(&self, request: &Request) -> Value {
        match request.verb.as_str() {
            "WATCH" => self.watch(request).await,
            "UNTIL" | "UNTIL-POST" => self.until(request).await,
            _ => self.once(request, &request.path).await,
        }
    }

    async fn once(&self, request: &Request, path: &str) -> Value {
        let answer = self.open(request, path).await;
        let (status, warnings, kind) = (
            answer.status().as_u16(),
            headers(&answer, "warning"),
            headers(&answer, "content-type"),
        );
        let text = answer.text().await.expect("the body arrives");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        json!({"status": status, "warnings": warnings, "type": kind, "body": body})
    }

    async fn open(&self, request: &Request, path: &str) -> reqwest::Response {
        let (method, content) = match request.verb.as_str() {
            "APPLY" => ("PATCH", "application/apply-patch+yaml"),
            "MERGE" => ("PATCH", "application/merge-patch+json"),
            "STRATEGIC" => ("PATCH", "application/strategic-merge-patch+json"),
            "JSON" => ("PATCH", "application/json-patch+json"),
            "WATCH" | "UNTIL" => ("GET", ""),
            "UNTIL-POST" => ("POST", "application/json"),
            other => (other, "application/json"),
        };
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let mut builder = self.http.request(method, format!("{}{path}", self.base));
        if !request
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("accept"))
        {
            builder = builder.header("accept", "application/json");
        }
        if let Some(token) = &self.token {
            builder = builder.bearer_auth(token);
        }
        if !request.body.is_empty() {
            builder = builder
                .header("content-type", content)
                .body(request.body.clone());
        }
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        builder
            .send()
            .await
            .unwrap_or_else(|error| panic!("{} {path}: {error:?}", request.verb))
    }

    /// Reads what a watch says until it is quiet or ends. An answer that is no stream is given as it is.
    async fn watch(&self, request: &Request) -> Value {
        let answer = self.open(request, &request.path).await;
        let status = answer.status().as_u16();
        if status != 200 {
            let body: Value = answer.json().await.expect("a Status");
            return json!({"status": status, "body": body});
        }
        let (mut stream, mut text, mut ended) = (answer.bytes_stream(), Vec::new(), false);
        loop {
            let patience = if text.is_empty() { FIRST_EVENT } else { QUIET };
            match tokio::time::timeout(patience, stream.next()).await {
                Ok(Some(chunk)) => text.extend(chunk.expect("a chunk")),
                Ok(None) => {
                    ended = true;
                    break;
                }
                Err(_) => break,
            }
        }
        let events: Vec<Value> = serde_json::Deserializer::from_slice(&text)
            .into_iter()
            .map(|event| event.expect("JSON"))
            .filter(|event| !is_progress(event))
            .collect();
        json!({"status": status, "ended": ended, "events": events})
    }

    /// `UNTIL path /pointer == value` (a GET, or a POST with `UNTIL-POST`): looks until the answer has that value there, `absent` for none, and gives only that.
    async fn until(&self, request: &Request) -> Value {
        let parts: Vec<&str> = request.path.splitn(4, ' ').collect();
        let [path, pointer, "==", expected] = parts[..] else {
            panic!("`UNTIL path /pointer == value` expected: {}", request.path)
        };
        let deadline = tokio::time::Instant::now() + UNTIL_LIMIT;
        loop {
            let answer = self.once(request, path).await;
            let found = answer
                .pointer(pointer)
                .map_or("absent".to_owned(), Value::to_string);
            if found == expected {
                return json!({"until": format!("{pointer} is {expected}")});
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "GET {path}: {pointer} is {found}, not {expected}, after {UNTIL_LIMIT:?}: {answer}"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// A bookmark that only says how far the watch is: a server may send one at any time, or none. The one that ends a streamed list is promised.
fn is_progress(event: &Value) -> bool {
    event["type"] == "BOOKMARK"
        && event["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"].is_null()
}

fn headers(answer: &reqwest::Response, name: &str) -> Vec<String> {
    let mut all: Vec<_> = answer
        .headers()
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    all.sort();
    all
}
