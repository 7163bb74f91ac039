//! The JSON API. Every route is in one table with the verb it needs; what is not in the table does not exist, and what
//! does not say otherwise needs a person.

mod actions;
mod auth;
mod clusters;
mod diff;
mod error;
mod events;
mod items;
mod listen;
mod lists;
mod manifest;
mod openapi;
mod pins;
mod routes;

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, extract::DefaultBodyLimit, middleware};
use tokio::{net::TcpListener, task::JoinSet};

pub(crate) use auth::{ADMIN_TOKEN_FILE, Access, Actor, session_cookie};
pub(crate) use error::{ApiError, on_disk};
pub(crate) use items::age;
pub(crate) use listen::Peer;
pub(crate) use lists::UnitPath;
pub(crate) use routes::Need;

use crate::state::Hub;

/// Largest body of a request; a webhook's is the largest.
const MAX_BODY_BYTES: usize = 1 << 20;

/// What handlers share.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) hub: Arc<Hub>,
    pub(crate) access: Arc<Access>,
    /// Where the API listens, for the Host allow-list.
    pub(crate) address: SocketAddr,
}

/// The API and the console as one router.
pub(crate) fn router(served: &Served) -> Router {
    let mut router = Router::new();
    for route in routes::all() {
        let method = match route.need {
            Need::Nothing => route.handler,
            Need::Person => route.handler.layer(middleware::from_fn_with_state(
                served.clone(),
                auth::require,
            )),
        };
        router = router.route(&route.path, method);
    }
    router
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(served.clone(), auth::guard))
        .with_state(served.clone())
}

/// Serves until the hub stops. Gives the scheme of the address.
pub(crate) fn serve(
    tasks: &mut JoinSet<()>,
    served: Served,
    listener: TcpListener,
) -> Result<&'static str, String> {
    let router = router(&served).into_make_service_with_connect_info::<Peer>();
    let stop = served.hub.stop.clone();
    let stopped = async move { stop.cancelled().await };
    match &served.hub.config.api_tls {
        None => {
            tasks.spawn(async move {
                if let Err(error) = axum::serve(listener, router)
                    .with_graceful_shutdown(stopped)
                    .await
                {
                    tracing::error!(%error, "the listener of the API has ended");
                }
            });
            Ok("http")
        }
        Some(files) => {
            let listener = listen::TlsListener::start(tasks, &served, listener, files)?;
            tasks.spawn(async move {
                if let Err(error) = axum::serve(listener, router)
                    .with_graceful_shutdown(stopped)
                    .await
                {
                    tracing::error!(%error, "the listener of the API has ended");
                }
            });
            Ok("https")
        }
    }
}

#[cfg(test)]
mod tests;
