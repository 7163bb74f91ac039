//! Real Kubernetes control planes on this machine, without Docker: for tests, the demo, and a person to play with.
//!
//! [`LocalCluster::start`] runs etcd, kube-apiserver and (in the full [`Variant`]) kube-controller-manager, kube-scheduler and kwok,
//! all on loopback, with ports, certificates and a data folder (mode 0700) of its own, so that several run side by side. The
//! binaries come from the [toolchest](crate::toolchest). Each part can be killed, frozen and started again while the rest runs.
//!
//! Nothing outlives its owner: dropping the cluster (also in a panic) kills every part and removes the data, and a small shell that
//! waits for the end of a pipe does the same where the process was killed and could not.
//!
//! ```no_run
//! # async fn example() -> Result<(), capstan_playground::local::LocalError> {
//! use capstan_playground::local::{LocalCluster, LocalOptions};
//! let cluster = LocalCluster::start(LocalOptions::full("dev")?).await?;
//! std::fs::write("kubeconfig", cluster.kubeconfig()).ok();
//! cluster.stop().await;
//! # Ok(())
//! # }
//! ```

pub mod browser;
mod cluster;
mod command;
mod error;
mod folder;
mod kubeconfig;
mod options;
mod pki;
mod ports;
mod process;
mod ready;
mod reaper;
mod setup;
pub mod ssh;

pub use cluster::LocalCluster;
pub use error::LocalError;
pub use options::{Disk, LocalOptions, Part, Variant};

/// Runs a control plane for a person until Ctrl-C (or until one of its parts ends, which is an error).
///
/// `announce` is called once, when the cluster can be used.
pub async fn up(
    options: LocalOptions,
    announce: impl FnOnce(&LocalCluster),
) -> Result<(), LocalError> {
    let cluster = tokio::select! {
        cluster = LocalCluster::start(options) => cluster?,
        _ = tokio::signal::ctrl_c() => return Ok(()),
    };
    announce(&cluster);
    let outcome = tokio::select! {
        ended = cluster.part_ended() => Err(ended),
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    cluster.stop().await;
    outcome
}
