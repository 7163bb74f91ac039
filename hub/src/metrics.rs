//! Prometheus metrics, on a listener of their own.

use std::sync::Arc;

use axum::{Router, extract::State, http::header, response::IntoResponse, routing::get};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{fleet::Link, state::Hub};

/// Seconds, from a memoised plan to a fleet rendered anew.
const PLAN_BUCKETS: [f64; 9] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 20.0, 60.0];

/// What is counted.
pub(crate) struct Metrics {
    registry: Registry,
    clusters: Gauge,
    connected: Gauge,
    units: Gauge,
    units_ready: Gauge,
    objects: Gauge,
    /// Deltas sent.
    pub(crate) deltas: Counter,
    /// Snapshots sent.
    pub(crate) snapshots: Counter,
    /// Sessions that waited for their turn to begin.
    pub(crate) sessions_held: Counter,
    /// Statuses received.
    pub(crate) statuses: Counter,
    /// Bytes of blobs sent, before compression.
    pub(crate) blob_bytes: Counter,
    /// Fetches that succeeded.
    pub(crate) fetches: Counter,
    /// Fetches that failed.
    pub(crate) fetch_failures: Counter,
    /// Seconds that a plan took, with its rendering.
    pub(crate) plan_seconds: Histogram,
    /// Clusters rendered.
    pub(crate) renders: Counter,
    /// Batches written to the store by the planner.
    pub(crate) plan_writes: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let plan_seconds = Histogram::new(PLAN_BUCKETS);
        let mut registry = Registry::with_prefix("capstan_hub");
        macro_rules! metric {
            ($name:literal, $help:literal, $metric:expr) => {{
                let metric = $metric;
                registry.register($name, $help, metric.clone());
                metric
            }};
        }
        Self {
            clusters: metric!("clusters", "Clusters that were added", Gauge::default()),
            connected: metric!(
                "clusters_connected",
                "Clusters whose agent is connected",
                Gauge::default()
            ),
            units: metric!("units", "Units over all clusters", Gauge::default()),
            units_ready: metric!(
                "units_ready",
                "Units that are healthy with their newest content",
                Gauge::default()
            ),
            objects: metric!("objects", "Objects that agents own", Gauge::default()),
            deltas: metric!("deltas_sent", "Deltas sent to agents", Counter::default()),
            snapshots: metric!(
                "snapshots_sent",
                "Snapshots sent to agents",
                Counter::default()
            ),
            sessions_held: metric!(
                "sessions_held",
                "Sessions of agents that waited for their turn to begin",
                Counter::default()
            ),
            statuses: metric!(
                "statuses_received",
                "Statuses received from agents",
                Counter::default()
            ),
            blob_bytes: metric!(
                "blob_bytes_sent",
                "Bytes of blobs sent to agents",
                Counter::default()
            ),
            fetches: metric!(
                "fetches",
                "Fetches of sources that succeeded",
                Counter::default()
            ),
            fetch_failures: metric!(
                "fetch_failures",
                "Fetches of sources that failed",
                Counter::default()
            ),
            plan_seconds: metric!(
                "plan_seconds",
                "Seconds that a plan took with its rendering",
                plan_seconds
            ),
            renders: metric!("renders", "Clusters rendered", Counter::default()),
            plan_writes: metric!(
                "plan_writes",
                "Batches that plans wrote to the store",
                Counter::default()
            ),
            registry,
        }
    }
}

/// The metrics listener: `/metrics`, and `/healthz` and `/readyz` for whoever runs the hub.
pub(crate) fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(|| async { "ok\n" }))
        .with_state(hub)
}

async fn metrics(State(hub): State<Arc<Hub>>) -> impl IntoResponse {
    {
        let view = hub.view_now();
        let it = &hub.metrics;
        let (mut units, mut ready, mut objects) = (0, 0, 0);
        for cluster in view.clusters.values() {
            for key in cluster.unit_keys() {
                units += 1;
                let state = crate::fleet::unit_state(cluster, &key);
                ready += i64::from(state.conditions[0].status == "True");
            }
            objects += cluster
                .units
                .values()
                .map(|it| i64::from(it.counts.objects))
                .sum::<i64>();
        }
        let connected = view
            .clusters
            .values()
            .filter(|it| matches!(it.link, Link::Connected { .. }));
        it.connected
            .set(i64::try_from(connected.count()).unwrap_or(i64::MAX));
        it.clusters
            .set(i64::try_from(view.clusters.len()).unwrap_or(i64::MAX));
        it.units.set(units);
        it.units_ready.set(ready);
        it.objects.set(objects);
    }
    let mut text = String::new();
    encode(&mut text, &hub.metrics.registry).expect("writing to a text cannot fail");
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text)
}
