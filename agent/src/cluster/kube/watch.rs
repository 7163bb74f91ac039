//! One watch: a list in pages, then its changes, again from the start where the server has forgotten.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Request;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use tokio::sync::mpsc::Sender;

use super::{
    super::{ClusterError, Live, WatchEvent, WatchScope},
    KubeCluster, collection_path, encode, get, read, refusal,
};

/// Objects in a page of a list: a page is in memory at once.
const PAGE: usize = 100;
/// How long a watch lasts before it is opened anew; the server's own limit is between five and ten minutes.
const WATCH_SECONDS: u64 = 290;
/// Nothing at all for this long after the end that was agreed: the connection is dead.
const GRACE: Duration = Duration::from_secs(15);
/// Longest line: one object with its frame.
const MAX_LINE_BYTES: usize = 16 << 20;
/// Wait after a failure; doubled with each up to [`MAX_BACKOFF`].
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
/// Longest wait after a failure.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// The receiver is gone.
struct Gone;

enum Stop {
    Gone,
    /// The resource version is too old: list again.
    Expired,
    Failed(ClusterError),
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<ClusterError> for Stop {
    fn from(error: ClusterError) -> Self {
        if error.code() == Some(410) {
            return Self::Expired;
        }
        Self::Failed(error)
    }
}

/// Watches until nobody listens.
pub(super) async fn run(cluster: &KubeCluster, scope: &WatchScope, to: &Sender<WatchEvent>) {
    let mut version: Option<String> = None;
    let mut backoff = FIRST_BACKOFF;
    loop {
        let round = async {
            let from = match version.take() {
                Some(version) => version,
                None => list(cluster, scope, to).await?,
            };
            follow(cluster, scope, to, from).await
        };
        match round.await {
            Ok(next) => {
                version = Some(next);
                backoff = FIRST_BACKOFF;
            }
            Err(Stop::Gone) => return,
            Err(Stop::Expired) => {}
            Err(Stop::Failed(error)) => {
                if to.send(WatchEvent::Failed(error)).await.is_err() {
                    return;
                }
                let mut random = [0];
                // Without randomness the wait is only less spread.
                let _ = getrandom::fill(&mut random);
                let spread = backoff / 2 * u32::from(random[0]) / 255;
                tokio::time::sleep(backoff / 2 + spread).await;
                backoff = (backoff * 2).min(MAX_BACKOFF);
            }
        }
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    metadata: PageMeta,
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize, Default)]
struct PageMeta {
    #[serde(rename = "resourceVersion", default)]
    resource_version: String,
    #[serde(rename = "continue", default)]
    more: Option<String>,
}

async fn tell(to: &Sender<WatchEvent>, event: WatchEvent) -> Result<(), Gone> {
    to.send(event).await.map_err(|_| Gone)
}

async fn list(
    cluster: &KubeCluster,
    scope: &WatchScope,
    to: &Sender<WatchEvent>,
) -> Result<String, Stop> {
    tell(to, WatchEvent::Restarted).await?;
    let mut more = String::new();
    loop {
        let extra = format!("limit={PAGE}&continue={}", encode(&more));
        let bytes = cluster.ask(request(scope, &extra, true)).await?;
        let page: Page<'_> = serde_json::from_slice(&bytes).map_err(unreadable)?;
        for item in page.items.into_iter().flatten() {
            let mut value: Value = serde_json::from_str(item.get()).map_err(unreadable)?;
            name_kind(&mut value, scope);
            tell(to, WatchEvent::Applied(Live(value))).await?;
        }
        match page.metadata.more {
            Some(next) if !next.is_empty() => more = next,
            _ => {
                tell(to, WatchEvent::Synced).await?;
                return Ok(page.metadata.resource_version);
            }
        }
    }
}

/// Follows the changes after `version`; gives the version to go on from when the watch ends as agreed.
async fn follow(
    cluster: &KubeCluster,
    scope: &WatchScope,
    to: &Sender<WatchEvent>,
    mut version: String,
) -> Result<String, Stop> {
    let extra = format!(
        "watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={}",
        encode(&version)
    );
    let response = cluster.send(request(scope, &extra, false)).await?;
    if !response.status().is_success() {
        read(response).await?;
        return Err(Stop::Expired);
    }
    let mut body = response.into_body();
    let mut buffer = BytesMut::new();
    let end = tokio::time::Instant::now() + Duration::from_secs(WATCH_SECONDS) + GRACE;
    loop {
        let frame = match tokio::time::timeout_at(end, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            // The connection ended; what was seen so far stands, and the next watch goes on from there.
            Ok(Some(Err(_)) | None) | Err(_) => return Ok(version),
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        buffer.extend_from_slice(&data);
        while let Some(at) = buffer.iter().position(|it| *it == b'\n') {
            let line = buffer.split_to(at + 1);
            if let Some(next) = take(&line, scope, to).await? {
                version = next;
            }
        }
        if buffer.len() > MAX_LINE_BYTES {
            let text = format!("a watch event of more than {MAX_LINE_BYTES} bytes");
            return Err(Stop::Failed(ClusterError::Unreachable(text)));
        }
    }
}

#[derive(Deserialize)]
struct Line {
    r#type: String,
    object: Value,
}

async fn take(
    line: &[u8],
    scope: &WatchScope,
    to: &Sender<WatchEvent>,
) -> Result<Option<String>, Stop> {
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    let Line {
        r#type: kind,
        mut object,
    } = serde_json::from_slice(line).map_err(unreadable)?;
    if kind == "ERROR" {
        let code = object.get("code").and_then(Value::as_u64).unwrap_or(500);
        let code = u16::try_from(code).unwrap_or(500);
        return Err(refusal(code, object.to_string().as_bytes(), None).into());
    }
    let version = object
        .pointer("/metadata/resourceVersion")
        .and_then(Value::as_str)
        .map(str::to_owned);
    name_kind(&mut object, scope);
    match kind.as_str() {
        "ADDED" | "MODIFIED" => tell(to, WatchEvent::Applied(Live(object))).await?,
        "DELETED" => tell(to, WatchEvent::Deleted(Live(object))).await?,
        _ => {}
    }
    Ok(version)
}

/// Items of a list, and metadata alone, do not say what kind they are of.
fn name_kind(value: &mut Value, scope: &WatchScope) {
    let resource = &scope.resource;
    let version = if resource.group.is_empty() {
        resource.version.clone()
    } else {
        format!("{}/{}", resource.group, resource.version)
    };
    if let Some(map) = value.as_object_mut() {
        map.insert("apiVersion".into(), version.into());
        map.insert("kind".into(), resource.kind.as_str().into());
    }
}

fn request(scope: &WatchScope, extra: &str, list: bool) -> Request<Bytes> {
    let mut path = format!(
        "{}?{extra}",
        collection_path(&scope.resource, &scope.namespace)
    );
    if !scope.labels.is_empty() {
        path = format!("{path}&labelSelector={}", encode(&scope.labels));
    }
    if !scope.name.is_empty() {
        let field = format!("metadata.name={}", scope.name);
        path = format!("{path}&fieldSelector={}", encode(&field));
    }
    let accept = match (scope.body, list) {
        (true, _) => "application/json",
        (false, true) => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        (false, false) => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    };
    let mut request = get(&path, accept);
    if !list {
        // A compressed stream of events is not read event by event.
        let identity = http::HeaderValue::from_static("identity");
        request
            .headers_mut()
            .insert(http::header::ACCEPT_ENCODING, identity);
    }
    request
}

fn unreadable(error: serde_json::Error) -> Stop {
    Stop::Failed(ClusterError::Unreachable(format!(
        "its answer to a watch cannot be read: {error}"
    )))
}
