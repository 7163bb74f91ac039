//! The one place where a peer becomes a [`ClusterScope`].

use std::{future::Future, sync::Arc};

use tonic::{Request, Status};

use super::Peer;
use crate::{
    identity::{ClusterScope, ScopeError, uid_of},
    state::Hub,
    store::{ClusterRecord, ClusterState, DbError, Versioned},
};

/// Checks callers.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) hub: Arc<Hub>,
}

impl Gate {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    /// The cluster that calls, as its certificate says and the store confirms.
    pub(crate) async fn scope<T>(&self, request: &Request<T>) -> Result<ClusterScope, Status> {
        Ok(self.caller(request).await?.0)
    }

    /// The same, with the cluster's record.
    pub(crate) fn caller<T>(
        &self,
        request: &Request<T>,
    ) -> impl Future<Output = Result<(ClusterScope, Versioned<ClusterRecord>), Status>> + use<T>
    {
        let leaf = request
            .extensions()
            .get::<Peer>()
            .and_then(|it| it.leaf.clone());
        let hub = self.hub.clone();
        async move {
            let leaf = leaf.ok_or_else(|| unauthenticated(&ScopeError::NoCertificate))?;
            let uid =
                uid_of(&leaf, hub.authority.trust_domain()).map_err(|it| unauthenticated(&it))?;
            let known = on_disk(move || hub.db.cluster(&uid)).await?;
            match known {
                Some(it) if it.value.state == ClusterState::Enrolled => {
                    let scope = ClusterScope::new(it.value.uid.clone(), it.value.name.clone());
                    Ok((scope, it))
                }
                // Unknown and revoked look the same from outside.
                _ => Err(Status::permission_denied(
                    "this cluster is not enrolled, or was revoked; `capstan cluster add` on the hub makes a new token",
                )),
            }
        }
    }
}

fn unauthenticated(error: &ScopeError) -> Status {
    Status::unauthenticated(error.to_string())
}

/// Runs something that waits for the disk where it may wait.
pub(crate) async fn on_disk<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, DbError> + Send + 'static,
) -> Result<T, Status> {
    match tokio::task::spawn_blocking(run).await {
        Ok(Ok(it)) => Ok(it),
        Ok(Err(error)) => {
            tracing::error!(%error, "the store failed");
            Err(Status::unavailable(
                "the hub's store is not available; try again later",
            ))
        }
        Err(_) => Err(Status::internal("the hub failed; its log says more")),
    }
}
