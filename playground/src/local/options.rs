//! What a local cluster is made of.

use std::fmt;

use crate::toolchest::{Tool, Toolchest};

use super::LocalError;

/// One process of a control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The store.
    Etcd,
    /// The API server.
    ApiServer,
    /// Controllers: Deployments, garbage collection, namespaces, quotas, service accounts.
    ControllerManager,
    /// Puts pods on the node.
    Scheduler,
    /// Plays the node's kubelet: pods become ready without containers.
    Kwok,
}

impl Part {
    /// The tool that it runs.
    pub(super) fn tool(self) -> Tool {
        match self {
            Self::Etcd => Tool::Etcd,
            Self::ApiServer => Tool::KubeApiserver,
            Self::ControllerManager => Tool::KubeControllerManager,
            Self::Scheduler => Tool::KubeScheduler,
            Self::Kwok => Tool::Kwok,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tool().fmt(f)
    }
}

/// Which parts run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// etcd and the API server: objects are stored and watched, and nothing acts on them. About 325 MB.
    ApiOnly,
    /// Everything: Deployments roll out and become ready. About 545 MB.
    Full,
}

impl Variant {
    /// Its parts, in the order in which they start.
    pub fn parts(self) -> &'static [Part] {
        match self {
            Self::ApiOnly => &[Part::Etcd, Part::ApiServer],
            Self::Full => &[
                Part::Etcd,
                Part::ApiServer,
                Part::ControllerManager,
                Part::Scheduler,
                Part::Kwok,
            ],
        }
    }
}

/// How careful etcd is with what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// Writes are not synced: several times faster. For all that does not test what a crash of etcd leaves.
    Fast,
    /// Every write is synced before it is acknowledged, as in production.
    Durable,
}

/// What [`LocalCluster::start`](super::LocalCluster::start) starts.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// Names the cluster in its kubeconfig, in messages and in the folder of its data.
    pub name: String,
    /// Which parts run.
    pub variant: Variant,
    /// How careful etcd is.
    pub disk: Disk,
    /// Further flags of the API server, after ours: the last of two equal flags counts.
    pub api_server_flags: Vec<String>,
    /// Where the binaries come from.
    pub toolchest: Toolchest,
}

impl LocalOptions {
    /// A full control plane, with tools as the environment describes them.
    pub fn full(name: &str) -> Result<Self, LocalError> {
        let toolchest = Toolchest::from_env()?;
        Ok(Self {
            name: name.to_owned(),
            variant: Variant::Full,
            disk: Disk::Fast,
            api_server_flags: Vec::new(),
            toolchest,
        })
    }

    /// etcd and an API server only.
    pub fn api_only(name: &str) -> Result<Self, LocalError> {
        Ok(Self {
            variant: Variant::ApiOnly,
            ..Self::full(name)?
        })
    }

    /// The same, and `report` hears how far a build of its tools is.
    pub fn on_progress(
        mut self,
        report: impl Fn(&crate::toolchest::Progress) + Send + Sync + 'static,
    ) -> Self {
        self.toolchest = self.toolchest.on_progress(report);
        self
    }

    /// The tools that this cluster needs.
    pub fn tools(&self) -> Vec<Tool> {
        self.variant
            .parts()
            .iter()
            .map(|part| part.tool())
            .collect()
    }
}
