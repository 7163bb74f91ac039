//! Capstan's hub: follows Git, renders and plans what every cluster should be, streams it to the agents, and shows what
//! they report.
//!
//! Modules in the order in which data flows: `source` fetches, `render` and `plan` decide (pure), `planner` writes
//! to the `store` and publishes, `session` (pure) and `stream` talk with agents, `fleet` (pure) folds what they
//! report, `api` and `console` show it and take what people ask for. `identity` says who is who.

mod api;
mod app;
mod clock;
mod config;
mod console;
mod descriptors;
mod events;
mod files;
mod fleet;
mod identity;
mod limit;
mod links;
mod metrics;
mod plan;
mod planner;
mod render;
mod secret;
mod session;
mod source;
mod state;
mod store;
mod stream;
mod trace;
mod worker;

pub use app::{RunningHub, StartError, run, start};
pub use config::{ApiTls, Args, Config, ConfigError, CredentialGrant, FleetSource, Webhook};
