//! Clusters, simulated or real, that a test looks into and changes by hand.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use capstan_playground::{
    local::{Disk, LocalCluster},
    sim::{SimCluster, SimOptions},
};
use futures::{Stream, StreamExt, future::try_join_all};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
    core::WatchEvent,
};
use serde_json::Value;

use super::{pool, wait_for};

/// What clusters a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterKind {
    /// In this process.
    Sim,
    /// etcd, an API server and the rest, as processes. They serve one test after another: such tests run one at a time, on one runtime.
    Local,
    /// The same, with every write synced to disk: for tests that kill etcd.
    Durable,
}

/// A running cluster.
pub struct Cluster {
    /// Its kubeconfig, of an administrator.
    pub kubeconfig: PathBuf,
    client: Client,
    /// The simulated cluster, where it is one.
    pub sim: Option<SimCluster>,
    /// The real one, where it is one.
    pub local: Option<Arc<LocalCluster>>,
}

impl Cluster {
    /// Starts clusters.
    ///
    /// # Errors
    /// When one cannot be started.
    pub async fn start_all(
        kind: ClusterKind,
        names: &[&str],
        folder: &Path,
    ) -> anyhow::Result<Vec<Self>> {
        match kind {
            ClusterKind::Sim => {
                let started = names.iter().map(|name| Self::simulated(name, folder));
                try_join_all(started).await
            }
            ClusterKind::Local | ClusterKind::Durable => {
                let disk = match kind {
                    ClusterKind::Durable => Disk::Durable,
                    _ => Disk::Fast,
                };
                let started = pool::take(names, disk).await?.into_iter();
                let wrapped = started.map(async |local| {
                    let (name, kubeconfig) = (local.name().to_owned(), local.kubeconfig());
                    Self::new(&name, folder, &kubeconfig, None, Some(local)).await
                });
                try_join_all(wrapped).await
            }
        }
    }

    /// Starts one simulated cluster.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn simulated(name: &str, folder: &Path) -> anyhow::Result<Self> {
        let options = SimOptions {
            name: name.to_owned(),
            ..SimOptions::default()
        };
        let sim = SimCluster::start(options)?;
        let kubeconfig = sim.kubeconfig();
        Self::new(name, folder, &kubeconfig, Some(sim), None).await
    }

    async fn new(
        name: &str,
        folder: &Path,
        text: &str,
        sim: Option<SimCluster>,
        local: Option<Arc<LocalCluster>>,
    ) -> anyhow::Result<Self> {
        let kubeconfig = folder.join(format!("{name}.kubeconfig"));
        std::fs::write(&kubeconfig, text)?;
        let config = Config::from_custom_kubeconfig(
            Kubeconfig::from_yaml(text)?,
            &KubeConfigOptions::default(),
        )
        .await?;
        Ok(Self {
            kubeconfig,
            client: Client::try_from(config)?,
            sim,
            local,
        })
    }

    /// The object at a path such as `/api/v1/namespaces/shop/configmaps/app`; nothing where there is none.
    ///
    /// # Errors
    /// When the API server does not answer or refuses.
    pub async fn get(&self, path: &str) -> anyhow::Result<Option<Value>> {
        let request = http::Request::get(path).body(Vec::new())?;
        match self.client.request::<Value>(request).await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
            Err(error) => Err(error).context(path.to_owned()),
        }
    }

    /// Changes the object at `path` by a merge patch, as somebody who is not kubectl would: what kubectl changes is taken over whole, as Flux does.
    ///
    /// # Errors
    /// When the API server does not answer or refuses.
    pub async fn patch(&self, path: &str, patch: &Value) -> anyhow::Result<Value> {
        let request = http::Request::patch(format!("{path}?fieldManager=edited-by-hand"))
            .header("content-type", "application/merge-patch+json")
            .body(patch.to_string().into_bytes())?;
        Ok(self.client.request(request).await?)
    }

    /// Applies the object at `path` by server-side apply, as a client of its own.
    ///
    /// # Errors
    /// When the API server does not answer or refuses.
    pub async fn apply(&self, path: &str, object: &Value) -> anyhow::Result<Value> {
        let request = http::Request::patch(format!("{path}?fieldManager=a-client&force=true"))
            .header("content-type", "application/apply-patch+yaml")
            .body(object.to_string().into_bytes())?;
        Ok(self.client.request(request).await?)
    }

    /// Deletes the object at `path`.
    ///
    /// # Errors
    /// When the API server does not answer or refuses.
    pub async fn delete(&self, path: &str) -> anyhow::Result<()> {
        let request = http::Request::delete(path).body(Vec::new())?;
        self.client.request::<Value>(request).await?;
        Ok(())
    }

    /// Creates an object below the collection at `path`.
    ///
    /// # Errors
    /// When the API server does not answer or refuses.
    pub async fn create(&self, path: &str, object: &Value) -> anyhow::Result<Value> {
        let request = http::Request::post(path)
            .header("content-type", "application/json")
            .body(object.to_string().into_bytes())?;
        Ok(self.client.request(request).await?)
    }

    /// What changes in the collection at `path` from now on: each object as it is after its change.
    ///
    /// # Errors
    /// When the API server does not answer or refuses.
    pub async fn watch(
        &self,
        path: &str,
    ) -> anyhow::Result<impl Stream<Item = anyhow::Result<Value>> + use<>> {
        let list = self.get(path).await?.context("no such collection")?;
        let version = list["metadata"]["resourceVersion"].as_str();
        let version = version.context("a list without a version")?;
        let uri = format!("{path}?watch=true&resourceVersion={version}");
        let request = http::Request::get(uri).body(Vec::new())?;
        let events = self.client.request_events::<Value>(request).await?;
        Ok(events.map(|event| match event? {
            WatchEvent::Added(it) | WatchEvent::Modified(it) | WatchEvent::Deleted(it) => Ok(it),
            other => anyhow::bail!("an event that is none of an object: {other:?}"),
        }))
    }

    /// Waits until the field of the object at `path` is `expect`.
    ///
    /// # Errors
    /// When that does not happen in time; says what was last seen.
    pub async fn shows(&self, path: &str, pointer: &str, expect: &Value) -> anyhow::Result<()> {
        wait_for(&format!("{path} to show {pointer}={expect}"), async || {
            let object = self.get(path).await?.unwrap_or_default();
            let found = object.pointer(pointer).cloned().unwrap_or_default();
            Ok(if found == *expect {
                Ok(())
            } else {
                Err(found.to_string())
            })
        })
        .await
    }

    /// Waits until there is nothing at `path`.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn gone(&self, path: &str) -> anyhow::Result<()> {
        wait_for(&format!("{path} to be gone"), async || {
            let object = self.get(path).await?;
            Ok(object.map_or(Ok(()), |it| Err(format!("{}", it["metadata"]))))
        })
        .await
    }
}
