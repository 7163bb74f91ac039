//! The agent: one small process per cluster that keeps the cluster as the hub says it should be, and says how it is.
//!
//! It dials the hub, receives the cluster's desired state with the content that it lacks, applies it with server-side apply
//! under Flux's names and in Flux's order, watches what it applied, puts back what others change, deletes what is no
//! longer wanted, and reports. What it received it keeps, so that it goes on alone.
//!
//! The modules, in the order of the flow: `link` (the connection), `session` (the conversation, pure), `held` (what is kept
//! on disk), `engine` (who is due), `pass` (one unit, stage by stage), `plan` (what to do, pure), `apply` (one object),
//! `ledger` (the inventory, kept in the cluster), `observed` and `seen` (what is known of the cluster), `variables` (what completes
//! the text of units), `outbox` (what the hub is told), `cluster` (the port to the API server). `policy` bounds all of it.

mod admin;
mod app;
mod apply;
mod cluster;
mod config;
mod engine;
mod health_checks;
mod held;
mod identity;
mod ledger;
mod link;
mod observed;
mod outbox;
mod pass;
mod plan;
mod policy;
mod seal;
mod seen;
pub mod session;
mod shared;
mod switches;
mod variables;

#[cfg(test)]
mod scenarios;

pub use app::{run, terminated};
pub use config::{Args, Config};
pub use link::Backoff;
