//! Real clusters that serve one test after another: a start takes both cores for seconds, and what a test leaves is removed quickly.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context;
use capstan_playground::local::{Disk, LocalCluster, LocalOptions, Variant};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::Value;
use tokio::sync::Mutex;

use super::wait_for;

/// All that were started in this process. Nothing drops them: their reaper ends them with the process.
static POOL: Mutex<BTreeMap<String, Arc<LocalCluster>>> = Mutex::const_new(BTreeMap::new());

/// Collections whose objects reach beyond a namespace, with what their names have in common where a test made them.
const LEFT_BEHIND: [(&str, &str); 4] = [
    (
        "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
        "",
    ),
    (
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
        "",
    ),
    (
        "/apis/apiregistration.k8s.io/v1/apiservices",
        ".example.com",
    ),
    (
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        "",
    ),
];

/// Namespaces that every cluster has.
const OWN_NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Clusters of these names as if they were new: started where there are none yet, otherwise with everything removed that a test left.
/// A process has clusters of one kind of `disk`.
pub(super) async fn take(names: &[&str], disk: Disk) -> anyhow::Result<Vec<Arc<LocalCluster>>> {
    let mut pool = POOL.lock().await;
    for name in names {
        if let Some(used) = pool.get(*name) {
            clean(used)
                .await
                .with_context(|| format!("cleaning {name}"))?;
        }
    }
    let missing = names.iter().filter(|name| !pool.contains_key(**name));
    let options = missing.map(|name| {
        Ok(LocalOptions {
            disk,
            ..LocalOptions::full(name)?
        })
    });
    let options = options.collect::<anyhow::Result<_>>()?;
    for started in LocalCluster::start_all(options).await? {
        pool.insert(started.name().to_owned(), Arc::new(started));
    }
    Ok(names.iter().map(|name| pool[*name].clone()).collect())
}

async fn clean(cluster: &LocalCluster) -> anyhow::Result<()> {
    for part in Variant::Full.parts() {
        // A test that failed in the middle left it so.
        cluster.thaw(*part);
        if cluster.pid(*part).is_none() {
            cluster.restart(*part).await?;
        }
    }
    let config = Config::from_custom_kubeconfig(
        Kubeconfig::from_yaml(&cluster.kubeconfig())?,
        &KubeConfigOptions::default(),
    )
    .await?;
    let client = Client::try_from(config)?;
    for (collection, common) in LEFT_BEHIND {
        for name in names(&client, collection).await? {
            if name.contains(common) {
                delete(&client, &format!("{collection}/{name}")).await?;
            }
        }
    }
    let namespaces = "/api/v1/namespaces";
    wait_for("namespaces to be gone", async || {
        let mut left = names(&client, namespaces).await?;
        left.retain(|name| !OWN_NAMESPACES.contains(&name.as_str()));
        for name in &left {
            delete(&client, &format!("{namespaces}/{name}")).await?;
        }
        Ok(if left.is_empty() {
            Ok(())
        } else {
            Err(left.join(", "))
        })
    })
    .await
}

async fn names(client: &Client, collection: &str) -> anyhow::Result<Vec<String>> {
    let list: Value = client
        .request(http::Request::get(collection).body(Vec::new())?)
        .await?;
    let items = list["items"].as_array().into_iter().flatten();
    let names = items.filter_map(|it| it.pointer("/metadata/name")?.as_str());
    Ok(names.map(str::to_owned).collect())
}

async fn delete(client: &Client, path: &str) -> anyhow::Result<()> {
    let request = http::Request::delete(path).body(Vec::new())?;
    match client.request::<Value>(request).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() || status.code == 409 => Ok(()),
        Err(error) => Err(error).context(path.to_owned()),
    }
}
