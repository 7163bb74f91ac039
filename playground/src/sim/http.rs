//! The wire: connections, TLS, bodies and streams. One task per connection, none per cluster but its listener and its clock.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

use super::auth::User;
use super::cluster::{Cluster, Gate};
use super::faults::Action;
use super::handler::{self, MAX_BODY, Reply};
use super::record::Recorded;
use super::route::{Request, query_pairs};
use super::status::Status;
use super::watch::{self, BOOKMARK_PERIOD, Watch};

type Body = BoxBody<Bytes, Infallible>;

/// The connection is to be closed without an answer.
#[derive(Debug)]
struct Abort;

impl std::fmt::Display for Abort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was reset on purpose")
    }
}

impl std::error::Error for Abort {}

/// Accepts connections until the cluster is stopped.
pub(crate) async fn listen(cluster: Arc<Cluster>, listener: TcpListener) {
    let mut gate = cluster.gate.subscribe();
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, address)) = accepted {
                    connections.spawn(connection(Arc::clone(&cluster), stream, address));
                }
            }
            _ = gate.wait_for(|g| *g == Gate::Stopped) => break,
            Some(_) = connections.join_next() => {}
        }
    }
    // Ends every connection in the middle of whatever it does, as a killed process would.
    connections.shutdown().await;
}

async fn connection(cluster: Arc<Cluster>, stream: TcpStream, address: SocketAddr) {
    // Small answers must not wait for more.
    let _ = stream.set_nodelay(true);
    let served = match &cluster.tls {
        None => serve(cluster, TokioIo::new(stream), None).await,
        Some(tls) => match tls.acceptor.accept(stream).await {
            Ok(stream) => {
                let peer = stream
                    .get_ref()
                    .1
                    .peer_certificates()
                    .and_then(|c| c.first())
                    .and_then(|c| super::tls::user_of(c));
                serve(cluster, TokioIo::new(stream), peer).await
            }
            Err(error) => {
                tracing::debug!(%address, %error, "a TLS handshake with a simulated cluster failed");
                return;
            }
        },
    };
    if let Err(error) = served {
        tracing::trace!(%address, error, "a connection to a simulated cluster ended");
    }
}

async fn serve<S>(
    cluster: Arc<Cluster>,
    stream: TokioIo<S>,
    peer: Option<User>,
) -> Result<(), String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(Arc::clone(&cluster), request, peer.clone()));
    hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
        .serve_connection(stream, service)
        .await
        .map_err(|e| e.to_string())
}

async fn answer(
    cluster: Arc<Cluster>,
    request: hyper::Request<Incoming>,
    peer: Option<User>,
) -> Result<Response<Body>, Abort> {
    cluster.thawed().await;
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            return Ok(plain(Reply::from(Status::custom(
                413,
                "RequestEntityTooLarge",
                format!("Request entity is too large: limit is {MAX_BODY}"),
            ))));
        }
    };
    let request = Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: query_pairs(parts.uri.query().unwrap_or_default())
            .into_iter()
            .collect(),
        headers: parts.headers,
        body,
        peer,
    };
    let user = super::authn::authenticate(&cluster.lock(), &request);
    let recorded = describe(
        &request,
        parts.uri.query().unwrap_or_default(),
        user.as_ref().map(|u| u.name.as_str()).unwrap_or_default(),
    );
    let (number, action) = {
        let mut observed = cluster.observed();
        let action = observed.faults.hit(&recorded);
        (observed.record.note(recorded), action)
    };
    if let Some(status) = before(action.as_ref()).await? {
        cluster.observed().record.answered(number, status.code);
        return Ok(plain(Reply::from(status)));
    }
    let reply = match user {
        Ok(user) => cluster.write(|state| handler::handle(state, &request, &user)),
        Err(status) => Reply::from(status),
    };
    if action == Some(Action::ResetAfter) {
        return Err(Abort);
    }
    let reply = match reply {
        Reply::Watch { watch, timeout } => {
            cluster.observed().record.answered(number, 200);
            return Ok(stream(cluster, *watch, timeout));
        }
        other => other,
    };
    let response = plain(reply);
    cluster
        .observed()
        .record
        .answered(number, response.status().as_u16());
    Ok(response)
}

/// What a fault does before a request is looked at.
async fn before(action: Option<&Action>) -> Result<Option<Status>, Abort> {
    match action {
        None | Some(Action::ResetAfter) => Ok(None),
        Some(Action::Delay(time)) => {
            tokio::time::sleep(*time).await;
            Ok(None)
        }
        Some(Action::Hang) => std::future::pending().await,
        Some(Action::Reset) => Err(Abort),
        Some(Action::Status {
            code,
            retry_after,
            message,
        }) => {
            let status = match (code, message.is_empty()) {
                (429, true) => Status::too_many(retry_after.unwrap_or(1)),
                (500, true) => Status::internal("a fault was asked for"),
                (503, true) => Status::custom(
                    503,
                    "ServiceUnavailable",
                    "the server is currently unable to handle the request",
                ),
                (_, true) => Status::custom(*code, "", "a fault was asked for"),
                (_, false) => Status::custom(*code, "", message.clone()),
            };
            Ok(Some(match retry_after {
                Some(seconds) => status.with_retry(*seconds),
                None => status,
            }))
        }
    }
}

fn describe(request: &Request, query: &str, user: &str) -> Recorded {
    let mut recorded = Recorded {
        path: request.path.clone(),
        query: query.to_owned(),
        content_type: request.header("content-type").to_owned(),
        user: user.to_owned(),
        verb: request.method.as_str().to_lowercase(),
        ..Recorded::default()
    };
    if let Some(path) = request.resource() {
        recorded.verb = request.verb(&path).to_owned();
        recorded.resource = if path.subresource.is_empty() {
            path.plural
        } else {
            format!("{}/{}", path.plural, path.subresource)
        };
        recorded.group = path.group;
        recorded.namespace = path.namespace;
        recorded.name = path.name;
    }
    recorded
}

fn full(bytes: Vec<u8>) -> Body {
    Full::new(Bytes::from(bytes)).boxed()
}

/// Go's clients know the aggregated form of discovery by its media type alone.
fn media_of(body: &serde_json::Value) -> &'static str {
    if body["kind"] == "APIGroupDiscoveryList" {
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    } else {
        "application/json"
    }
}

fn plain(reply: Reply) -> Response<Body> {
    let (code, media, bytes, warnings, retry_after) = match reply {
        Reply::Json {
            code,
            body,
            warnings,
            retry_after,
        } => (
            code,
            media_of(&body),
            body.to_string().into_bytes(),
            warnings,
            retry_after,
        ),
        Reply::Text { code, body } => (
            code,
            "text/plain; charset=utf-8",
            body.into_bytes(),
            Vec::new(),
            None,
        ),
        Reply::Watch { .. } => (
            500,
            "text/plain",
            b"a watch is a stream".to_vec(),
            Vec::new(),
            None,
        ),
    };
    let mut response = Response::new(full(bytes));
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert("content-type", http::HeaderValue::from_static(media));
    headers.insert(
        "cache-control",
        http::HeaderValue::from_static("no-cache, private"),
    );
    headers.insert(
        "audit-id",
        uuid::Uuid::new_v4()
            .to_string()
            .parse()
            .unwrap_or(http::HeaderValue::from_static("none")),
    );
    for warning in warnings {
        let text = format!("299 - {:?}", warning);
        if let Ok(value) = text.parse() {
            headers.append("warning", value);
        }
    }
    if let Some(seconds) = retry_after {
        headers.insert("retry-after", seconds.into());
    }
    response
}

/// The state of one watch connection.
struct Streaming {
    cluster: Arc<Cluster>,
    watch: Watch,
    until: Instant,
    bookmark_at: Instant,
    woken: tokio::sync::watch::Receiver<u64>,
    /// Headers are sent at once: the first turn gives what is there, even if it is nothing.
    done: bool,
}

fn stream(cluster: Arc<Cluster>, watch: Watch, timeout: Duration) -> Response<Body> {
    let now = Instant::now();
    let woken = cluster.woken.subscribe();
    let streaming = Streaming {
        cluster,
        watch,
        until: now + timeout,
        bookmark_at: now + BOOKMARK_PERIOD,
        woken,
        done: false,
    };
    let chunks = futures::stream::unfold(streaming, next_chunk)
        .map(|bytes| Ok::<_, Infallible>(Frame::data(Bytes::from(bytes))));
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(chunks)));
    response.headers_mut().insert(
        "content-type",
        http::HeaderValue::from_static("application/json"),
    );
    response.headers_mut().insert(
        "cache-control",
        http::HeaderValue::from_static("no-cache, private"),
    );
    response
}

async fn next_chunk(mut streaming: Streaming) -> Option<(Vec<u8>, Streaming)> {
    while !streaming.done {
        streaming.cluster.thawed().await;
        streaming.woken.mark_unchanged();
        let events = streaming.watch.poll(&streaming.cluster.lock());
        match events {
            None => return None,
            Some(events) if !events.is_empty() => {
                let bytes = events.iter().flat_map(watch::line).collect();
                return Some((bytes, streaming));
            }
            Some(_) => {}
        }
        let now = Instant::now();
        if now >= streaming.until {
            // The last word of a watch that asked for it is how far it came.
            streaming.done = true;
            if streaming.watch.bookmarks {
                return Some((watch::line(&streaming.watch.bookmark()), streaming));
            }
            return None;
        }
        if streaming.watch.bookmarks && now >= streaming.bookmark_at {
            streaming.bookmark_at = now + BOOKMARK_PERIOD;
            return Some((watch::line(&streaming.watch.bookmark()), streaming));
        }
        let wait = streaming
            .until
            .min(streaming.bookmark_at)
            .saturating_duration_since(now);
        // Either there is something new, or something is due; both are looked at above.
        let _ = tokio::time::timeout(wait, streaming.woken.changed()).await;
    }
    None
}
