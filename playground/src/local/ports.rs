//! Free ports, picked by the kernel.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use super::LocalError;

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
    /// Six ports that nobody listens on now. Another process may take one before it is used: whoever starts
    /// a cluster tries again with others then.
    pub(super) fn pick() -> Result<Self, LocalError> {
        // All six are held open until the last is known, so that they differ.
        let held = (0..6)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(LocalError::Port)?;
        let ports = held
            .iter()
            .map(|listener| Ok(listener.local_addr()?.port()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(LocalError::Port)?;
        Ok(Self {
            etcd_client: ports[0],
            etcd_peer: ports[1],
            api_server: ports[2],
            controller_manager: ports[3],
            scheduler: ports[4],
            kwok: ports[5],
        })
    }
}

/// A port that nobody listens on now.
pub(super) fn pick_one() -> io::Result<u16> {
    Ok(free()?.local_addr()?.port())
}

fn free() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
}
