//! The clusters of the demo: simulated, local, or kind. Each is started, gives a kubeconfig, and is removed.

use std::{path::Path, process::Stdio};

use anyhow::{Context, bail};
use capstan_playground::{
    local::{LocalCluster, LocalError, LocalOptions},
    sim::{SimCluster, SimOptions},
};
use tokio::process::Command;

use super::Platform;
use crate::output::tell;

/// Running clusters. Their kubeconfigs are `NAME.kubeconfig` in the demo's folder.
pub(super) enum Clusters {
    Sim { _clusters: Vec<SimCluster> },
    Local { clusters: Vec<LocalCluster> },
    Kind { names: Vec<String> },
}

impl Clusters {
    /// Starts a cluster for each name.
    pub(super) async fn start(
        platform: Platform,
        names: &[&str],
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let kubeconfig = |name: &str, text: &str| {
            let file = folder.join(format!("{name}.kubeconfig"));
            crate::commands::cluster::write_private(&file, text)
                .with_context(|| file.display().to_string())
        };
        match platform {
            Platform::Sim => {
                let mut clusters = Vec::new();
                for name in names {
                    let options = SimOptions {
                        name: (*name).to_owned(),
                        // kubectl sends no token in the clear.
                        tls: true,
                        ..SimOptions::default()
                    };
                    let cluster = SimCluster::start(options)?;
                    kubeconfig(name, &cluster.kubeconfig())?;
                    clusters.push(cluster);
                }
                Ok(Self::Sim {
                    _clusters: clusters,
                })
            }
            Platform::Local => {
                tell("  each: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok");
                let options = names.iter().map(|name| {
                    let options = LocalOptions::full(name)?;
                    Ok(options.on_progress(|progress| tell(&progress.to_string())))
                });
                let options = options.collect::<Result<_, LocalError>>()?;
                let clusters = LocalCluster::start_all(options).await?;
                for cluster in &clusters {
                    kubeconfig(cluster.name(), &cluster.kubeconfig())?;
                }
                Ok(Self::Local { clusters })
            }
            Platform::Kind => {
                let mut started = Self::Kind { names: Vec::new() };
                let outcome = started.start_kind(names, &kubeconfig).await;
                if let Err(error) = outcome {
                    started.stop().await;
                    return Err(error);
                }
                Ok(started)
            }
        }
    }

    async fn start_kind(
        &mut self,
        names: &[&str],
        kubeconfig: &impl Fn(&str, &str) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Self::Kind { names: started } = self else {
            return Ok(());
        };
        for name in names {
            let cluster = format!("capstan-{name}");
            tell(&format!("  {cluster}: kind create cluster"));
            kind(&["create", "cluster", "--name", &cluster, "--wait", "120s"]).await?;
            started.push(cluster.clone());
            kubeconfig(
                name,
                &kind(&["get", "kubeconfig", "--name", &cluster]).await?,
            )?;
        }
        Ok(())
    }

    /// Removes them.
    pub(super) async fn stop(self) {
        match self {
            Self::Sim { .. } => {}
            Self::Local { clusters } => {
                for cluster in clusters {
                    cluster.stop().await;
                }
            }
            Self::Kind { names } => {
                for name in names {
                    if let Err(error) = kind(&["delete", "cluster", "--name", &name]).await {
                        tell(&format!("{name} could not be removed: {error:#}"));
                    }
                }
            }
        }
    }
}

async fn kind(args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("kind")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .await;
    let output =
        output.context("kind: not found; install it and Docker, or use --clusters sim or local")?;
    if !output.status.success() {
        bail!(
            "kind {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}
