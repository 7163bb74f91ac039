//! What surrounds a fleet: Git servers with TLS and pinned keys, announcements of news, a collector of traces, and the
//! manifests that people apply.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test file: a panic is the report"
)]

#[path = "edges/clusters.rs"]
mod clusters;
#[path = "edges/collector.rs"]
mod collector;
#[path = "edges/flux.rs"]
mod flux;
#[path = "edges/hub.rs"]
mod hub;
#[path = "edges/manifests.rs"]
mod manifests;
#[path = "edges/sources.rs"]
mod sources;
#[path = "edges/traces.rs"]
mod traces;
