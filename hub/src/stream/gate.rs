//! The one place where a peer becomes a [`ClusterScope`].

use std::sync::Arc;

use tonic::{Request, Status};

use super::Peer;
use crate::{
    identity::{ClusterScope, ScopeError, uid_of},
    limit::turn,
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
    pub(crate) fn scope<T>(&self, request: &Request<T>) -> Result<ClusterScope, Status> {
        Ok(self.caller(request)?.0)
    }

    /// The same, with the cluster's record.
    pub(crate) fn caller<T>(
        &self,
        request: &Request<T>,
    ) -> Result<(ClusterScope, Versioned<Arc<ClusterRecord>>), Status> {
        let hub = &self.hub;
        let peer = request.extensions().get::<Peer>();
        let leaf = peer.and_then(|it| it.leaf.as_ref());
        let leaf = leaf.ok_or_else(|| unauthenticated(&ScopeError::NoCertificate))?;
        let uid = uid_of(leaf, hub.authority.trust_domain()).map_err(|it| unauthenticated(&it))?;
        let known = hub.db.cluster(&uid);
        // Unknown and revoked look the same from outside.
        let known = known.filter(|it| it.value.state == ClusterState::Enrolled);
        let record = known.ok_or_else(|| {
            Status::permission_denied(
                "this cluster is not enrolled, or was revoked; `capstan cluster add` on the hub makes a new token",
            )
        })?;
        let scope = ClusterScope::new(record.value.uid.clone(), record.value.name.clone());
        Ok((scope, record))
    }
}

fn unauthenticated(error: &ScopeError) -> Status {
    Status::unauthenticated(error.to_string())
}

/// Runs something that waits for the disk where it may wait.
pub(crate) async fn on_disk<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, DbError> + Send + 'static,
) -> Result<T, Status> {
    let _turn = turn().await;
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
