//! The port on a real API server, by way of `kube`'s client: its configuration, credentials and TLS. Requests and
//! answers are made and read here, so that an object is never held in a form fifteen times its size.

mod watch;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use kube::{
    Client, Config,
    client::Body,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    Actor, Address, ApplyOptions, Cluster, ClusterError, Discovery, Live, Preconditions, Resource,
    WatchEvent, WatchScope,
};

/// Longest answer that is read: a page of a list of large objects.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// Longest wait for an answer; an admission webhook may take 30 s of it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(45);
/// Times that a request is made before its error is given back.
const ATTEMPTS: u32 = 4;
/// Longest wait before the next attempt, whatever `Retry-After` says: the caller has a schedule of its own.
const MAX_RETRY_WAIT: Duration = Duration::from_secs(10);
/// First wait where the server says nothing.
const FIRST_RETRY_WAIT: Duration = Duration::from_millis(200);
/// Events of a watch that wait to be taken.
const WATCH_QUEUE: usize = 64;

const JSON: &str = "application/json";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// An API server behind `kube`'s client.
#[derive(Clone)]
pub(crate) struct KubeCluster {
    client: Client,
    requests: Arc<AtomicU64>,
}

impl KubeCluster {
    /// Connects with a kubeconfig, or where none is given as a pod of the cluster.
    ///
    /// # Errors
    /// When the configuration cannot be read. The cluster itself is not asked yet.
    pub(crate) async fn new(kubeconfig: Option<&Path>) -> anyhow::Result<Self> {
        let mut config = match kubeconfig {
            Some(path) => {
                let file = Kubeconfig::read_from(path)?;
                Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?
            }
            None => Config::incluster()?,
        };
        // Its own policy waits up to a thousand seconds; ours is bounded.
        config.default_retry = false;
        Ok(Self {
            client: Client::try_from(config)?,
            requests: Arc::default(),
        })
    }

    /// Requests made so far, watches included.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Body>, ClusterError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let answer = self.client.send(request.map(Body::from)).await;
        answer.map_err(|error| ClusterError::Unreachable(chain(&error)))
    }

    /// Makes a request, again where the server is busy, and gives its answer's bytes.
    async fn ask(&self, request: Request<Bytes>) -> Result<Bytes, ClusterError> {
        let mut wait = FIRST_RETRY_WAIT;
        for attempt in 1.. {
            let answer = tokio::time::timeout(REQUEST_TIMEOUT, async {
                read(self.send(request.clone()).await?).await
            });
            let error = match answer.await {
                Ok(Ok(bytes)) => return Ok(bytes),
                Ok(Err(error)) => error,
                Err(_) => {
                    let text = format!("nothing within {} s", REQUEST_TIMEOUT.as_secs());
                    return Err(ClusterError::Unreachable(text));
                }
            };
            let busy = match &error {
                ClusterError::Refused { code, .. } => matches!(code, 429 | 502..=504),
                ClusterError::Unreachable(_) => true,
            };
            if !busy || attempt == ATTEMPTS {
                return Err(error);
            }
            let asked = match &error {
                ClusterError::Refused { retry_after, .. } => *retry_after,
                ClusterError::Unreachable(_) => None,
            };
            tokio::time::sleep(asked.unwrap_or(wait).min(MAX_RETRY_WAIT)).await;
            wait *= 3;
        }
        unreachable!("the loop ends by returning")
    }

    async fn ask_json(&self, request: Request<Bytes>) -> Result<Value, ClusterError> {
        parse(&self.ask(request).await?)
    }

    async fn discover_legacy(&self, into: &mut Discovery) -> Result<(), ClusterError> {
        let core = self.ask_json(get("/api", JSON)).await?;
        let groups = self.ask_json(get("/apis", JSON)).await?;
        let mut versions: Vec<(String, String)> = Vec::new();
        for version in core["versions"].as_array().into_iter().flatten() {
            versions.push((String::new(), version.as_str().unwrap_or_default().into()));
        }
        for group in groups["groups"].as_array().into_iter().flatten() {
            let name = group["name"].as_str().unwrap_or_default();
            for version in group["versions"].as_array().into_iter().flatten() {
                let version = version["version"].as_str().unwrap_or_default();
                versions.push((name.into(), version.into()));
            }
        }
        for (group, version) in versions {
            let path = if group.is_empty() {
                format!("/api/{version}")
            } else {
                format!("/apis/{group}/{version}")
            };
            match self.ask_json(get(&path, JSON)).await {
                Ok(list) => into.add_legacy(&group, &version, &list),
                Err(_) => into.miss(&group),
            }
        }
        Ok(())
    }
}

impl Cluster for KubeCluster {
    async fn discover(&self) -> Result<Discovery, ClusterError> {
        let version = self.ask_json(get("/version", JSON)).await?;
        let mut discovery = Discovery::default();
        version["gitVersion"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut discovery.version);
        let core = self.ask_json(get("/api", AGGREGATED)).await?;
        let groups = self.ask_json(get("/apis", AGGREGATED)).await?;
        if !discovery.add_aggregated(&core) || !discovery.add_aggregated(&groups) {
            self.discover_legacy(&mut discovery).await?;
        }
        Ok(discovery)
    }

    async fn get(&self, actor: &Actor, at: &Address) -> Result<Option<Live>, ClusterError> {
        let request = acting(actor, get(&object_path(at), JSON));
        match self.ask_json(request).await {
            Ok(value) => Ok(Some(Live(value))),
            Err(error) if error.code() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn list(
        &self,
        resource: &Resource,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<Live>, ClusterError> {
        let path = format!(
            "{}?labelSelector={}",
            collection_path(resource, namespace),
            encode(labels)
        );
        let mut list = self.ask_json(get(&path, JSON)).await?;
        let items = match list["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        };
        Ok(items.into_iter().map(Live).collect())
    }

    async fn apply(
        &self,
        actor: &Actor,
        at: &Address,
        body: &Value,
        options: ApplyOptions<'_>,
    ) -> Result<Live, ClusterError> {
        let dry_run = if options.dry_run { "&dryRun=All" } else { "" };
        let path = format!(
            "{}?fieldManager={}&force=true&fieldValidation=Strict{dry_run}",
            object_path(at),
            encode(options.manager),
        );
        let request = with_body(Method::PATCH, &path, "application/apply-patch+yaml", body);
        self.ask_json(acting(actor, request)).await.map(Live)
    }

    async fn patch(
        &self,
        actor: &Actor,
        at: &Address,
        patch: &Value,
    ) -> Result<Live, ClusterError> {
        let path = object_path(at);
        let request = with_body(Method::PATCH, &path, "application/json-patch+json", patch);
        self.ask_json(acting(actor, request)).await.map(Live)
    }

    async fn delete(
        &self,
        actor: &Actor,
        at: &Address,
        only: &Preconditions,
    ) -> Result<(), ClusterError> {
        let mut preconditions = json!({"uid": only.uid});
        if !only.resource_version.is_empty() {
            preconditions["resourceVersion"] = only.resource_version.as_str().into();
        }
        let options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions",
            "propagationPolicy": "Background", "preconditions": preconditions,
        });
        let request = with_body(Method::DELETE, &object_path(at), JSON, &options);
        self.ask(acting(actor, request)).await.map(|_| ())
    }

    fn watch(&self, scope: WatchScope) -> BoxStream<'static, WatchEvent> {
        let (to, from) = tokio::sync::mpsc::channel(WATCH_QUEUE);
        let cluster = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = to.closed() => {}
                () = watch::run(&cluster, &scope, &to) => {}
            }
        });
        ReceiverStream::new(from).boxed()
    }
}

fn collection_path(resource: &Resource, namespace: &str) -> String {
    let Resource {
        group,
        version,
        plural,
        ..
    } = resource;
    let api = if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    };
    if namespace.is_empty() {
        format!("{api}/{plural}")
    } else {
        format!("{api}/namespaces/{}/{plural}", encode(namespace))
    }
}

fn object_path(at: &Address) -> String {
    let collection = collection_path(&at.resource, &at.namespace);
    format!("{collection}/{}", encode(&at.name))
}

/// Escapes everything but what RFC 3986 leaves unreserved.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte.into());
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn get(path: &str, accept: &str) -> Request<Bytes> {
    Request::get(path)
        .header(header::ACCEPT, accept)
        .body(Bytes::new())
        .expect("the path is escaped")
}

fn with_body(method: Method, path: &str, media_type: &str, body: &Value) -> Request<Bytes> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::ACCEPT, JSON)
        .header(header::CONTENT_TYPE, media_type)
        .body(body.to_string().into())
        .expect("the path is escaped")
}

fn acting(actor: &Actor, mut request: Request<Bytes>) -> Request<Bytes> {
    if let Actor::ServiceAccount { namespace, name } = actor {
        let user = format!("system:serviceaccount:{namespace}:{name}");
        let value = user.parse().expect("names of objects are ASCII");
        request.headers_mut().insert("Impersonate-User", value);
    }
    request
}

async fn read(response: Response<Body>) -> Result<Bytes, ClusterError> {
    let status = response.status();
    let retry_after = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|it| it.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
    let bytes = body
        .collect()
        .await
        .map_err(|error| ClusterError::Unreachable(format!("in the middle of an answer: {error}")))?
        .to_bytes();
    if status.is_success() {
        return Ok(bytes);
    }
    Err(refusal(status.as_u16(), &bytes, retry_after))
}

/// What a `Status` object, or whatever else came with an error, says.
fn refusal(code: u16, body: &[u8], retry_after: Option<Duration>) -> ClusterError {
    let status: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |field: &str| status.get(field).and_then(Value::as_str);
    let reason = text("reason").filter(|it| !it.is_empty());
    let plain = || String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
    ClusterError::Refused {
        code,
        reason: reason.map_or_else(|| format!("HTTP {code}"), str::to_owned),
        message: text("message").map_or_else(plain, str::to_owned),
        retry_after,
    }
}

fn parse(bytes: &[u8]) -> Result<Value, ClusterError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ClusterError::Unreachable(format!("its answer is not JSON: {error}")))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped() {
        let resource = Resource {
            group: "rbac.authorization.k8s.io".into(),
            version: "v1".into(),
            kind: "ClusterRole".into(),
            plural: "clusterroles".into(),
            namespaced: false,
        };
        let at = Address {
            resource: Arc::new(resource),
            namespace: String::new(),
            name: "system:a?b".into(),
        };
        assert_eq!(
            object_path(&at),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Aa%3Fb"
        );
    }

    #[test]
    fn refusals_are_read_from_a_status() {
        let body = br#"{"kind":"Status","reason":"Forbidden","message":"no"}"#;
        assert_eq!(refusal(403, body, None).to_string(), "Forbidden: no");
        assert_eq!(
            refusal(502, b"bad gateway", None).to_string(),
            "HTTP 502: bad gateway"
        );
    }
}
