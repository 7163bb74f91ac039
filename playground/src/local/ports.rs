//! The ports of one cluster.

use super::LocalError;
use crate::ports::claim;

/// The ports of one cluster, all on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) etcd_client: u16,
    pub(super) etcd_peer: u16,
    pub(super) api_server: u16,
    pub(super) controller_manager: u16,
    pub(super) scheduler: u16,
    pub(super) kwok: u16,
}

impl Ports {
    /// Six ports that nobody listens on now. A process that is not ours may take one before it is used: whoever starts
    /// a cluster tries again with others then.
    pub(super) fn pick() -> Result<Self, LocalError> {
        let pick = || claim().map_err(LocalError::Port);
        Ok(Self {
            etcd_client: pick()?,
            etcd_peer: pick()?,
            api_server: pick()?,
            controller_manager: pick()?,
            scheduler: pick()?,
            kwok: pick()?,
        })
    }
}
