//! What a cluster is set up with: its programs, a client, its node, its files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::pki::{Identity, Pki};
use super::ports::Ports;
use super::ready::chain;
use super::{LocalError, LocalOptions, Part};

/// The name of the one node of a full cluster.
pub(super) const NODE: &str = "node-0";

/// The paths of all binaries that the variant needs, built where they are missing.
pub(super) async fn programs(
    options: &LocalOptions,
) -> Result<BTreeMap<Part, PathBuf>, LocalError> {
    let (chest, parts) = (options.toolchest.clone(), options.variant.parts());
    let found = tokio::task::spawn_blocking(move || {
        parts
            .iter()
            .map(|part| Ok((*part, chest.path(part.tool())?)))
            .collect()
    });
    found.await.expect("finding tools does not panic")
}

/// Where an API server with these ports listens.
pub(super) fn url(ports: &Ports) -> String {
    format!("https://127.0.0.1:{}", ports.api_server)
}

/// A client of the cluster's administrator.
pub(super) fn client(
    cluster: &str,
    pki: &Pki,
    admin: &Identity,
) -> Result<reqwest::Client, LocalError> {
    let identity =
        reqwest::Identity::from_pem(format!("{}{}", admin.certificate, admin.key).as_bytes());
    let authority = reqwest::Certificate::from_pem(pki.authority.as_bytes());
    let built = identity.and_then(|identity| {
        // Straight to the loopback, whatever proxy the environment names.
        reqwest::Client::builder()
            .no_proxy()
            .identity(identity)
            .tls_certs_only([authority?])
            .build()
    });
    built.map_err(|error| LocalError::Request {
        cluster: cluster.to_owned(),
        doing: "making a client".to_owned(),
        reason: chain(&error),
    })
}

/// The one node of a full cluster.
pub(super) fn node() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NODE,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
        },
    })
}

/// Whether a node says that it is.
pub(super) fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| {
        all.iter()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    })
}

/// Replaces a file as a whole, so that nobody reads half of it.
pub(super) fn write(path: &Path, text: &str) -> Result<(), LocalError> {
    let new = path.with_extension("new");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, path))
        .map_err(io(path, "writing"))
}

/// What was attempted with a file, for an error.
pub(super) fn io<'a>(
    path: &'a Path,
    doing: &'static str,
) -> impl FnOnce(std::io::Error) -> LocalError + 'a {
    move |source| LocalError::Io {
        path: path.to_owned(),
        doing,
        source,
    }
}
