//! `/livez`, `/readyz` and `/metrics`, for probes and Prometheus. Nothing in them is secret, and nothing can be changed.

use std::{
    convert::Infallible,
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use capstan_core::Phase;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

use crate::{cluster::Cluster, engine::Reports, link::LinkState, shared::Shared};

/// Connections at the same time: probes and a scraper.
const CONNECTIONS: usize = 16;
/// A request's head arrives within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// What is shown.
pub(crate) struct Admin<C> {
    pub(crate) shared: Arc<Shared<C>>,
    pub(crate) reports: Reports,
    pub(crate) link: watch::Receiver<LinkState>,
    pub(crate) requests: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl<C: Cluster> Admin<C> {
    /// Serves until it is dropped.
    pub(crate) async fn serve(self, address: SocketAddr) -> std::io::Result<()> {
        let listener = TcpListener::bind(address).await?;
        tracing::info!(address = %listener.local_addr()?, "health and metrics");
        let admin = Arc::new(self);
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(permit) = permits.clone().acquire_owned().await else {
                return Ok(());
            };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot take a connection");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            let admin = admin.clone();
            tokio::spawn(async move {
                let answer = service_fn(|request| {
                    let response = admin.answer(&request);
                    async move { Ok::<_, Infallible>(response) }
                });
                // A broken connection is its caller's business.
                let _ = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT)
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
                drop(permit);
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, text) = match request.uri().path() {
            "/livez" => (StatusCode::OK, "ok\n".into()),
            "/readyz" => self.ready(),
            "/metrics" => (StatusCode::OK, self.metrics()),
            _ => (StatusCode::NOT_FOUND, "not found\n".into()),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response
    }

    /// Ready means that it works, not that the hub is there: it goes on alone.
    fn ready(&self) -> (StatusCode, String) {
        let link = self.link.borrow().clone();
        match link.error {
            Some(error) if !link.connected => {
                (StatusCode::OK, format!("ok, without the hub: {error}\n"))
            }
            _ => (StatusCode::OK, "ok\n".into()),
        }
    }

    fn metrics(&self) -> String {
        let mut out = String::new();
        let mut metric = |name: &str, kind: &str, help: &str, value: u64| {
            // Writing to a string cannot fail.
            let _ = writeln!(
                out,
                "# HELP capstan_agent_{name} {help}\n# TYPE capstan_agent_{name} {kind}\ncapstan_agent_{name} {value}"
            );
        };
        let counters = &self.shared.counters;
        let get = |it: &std::sync::atomic::AtomicU64| it.load(Ordering::Relaxed);
        metric(
            "hub_connected",
            "gauge",
            "Whether the session with the hub is up.",
            self.link.borrow().connected.into(),
        );
        metric(
            "requests_total",
            "counter",
            "Requests to the API server.",
            (self.requests)(),
        );
        metric(
            "applied_total",
            "counter",
            "Objects applied.",
            get(&counters.applied),
        );
        metric(
            "corrected_total",
            "counter",
            "Objects put back after drift.",
            get(&counters.corrected),
        );
        metric(
            "pruned_total",
            "counter",
            "Objects deleted.",
            get(&counters.pruned),
        );
        metric(
            "failed_total",
            "counter",
            "Requests for objects that were refused.",
            get(&counters.failed),
        );
        let objects: usize = self
            .shared
            .ledger
            .units()
            .values()
            .map(|it| it.objects.len())
            .sum();
        metric(
            "objects",
            "gauge",
            "Objects in the inventory.",
            objects as u64,
        );
        let _ = writeln!(
            out,
            "# HELP capstan_agent_units Units by phase.\n# TYPE capstan_agent_units gauge"
        );
        let outbox = self.reports.outbox();
        for phase in Phase::ALL {
            let count = outbox.reports().filter(|it| it.phase == phase).count();
            let _ = writeln!(out, "capstan_agent_units{{phase=\"{phase}\"}} {count}");
        }
        out
    }
}
