//! The file that clients read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::pki::Identity;

/// A kubeconfig with everything in it, so that it can be copied anywhere. It is JSON, which is YAML too.
pub(super) fn kubeconfig(
    cluster: &str,
    url: &str,
    authority: &str,
    user: &str,
    identity: &Identity,
) -> String {
    let document = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"server": url, "certificate-authority-data": STANDARD.encode(authority)}}],
        "users": [{"name": user, "user": {
            "client-certificate-data": STANDARD.encode(&identity.certificate),
            "client-key-data": STANDARD.encode(&identity.key),
        }}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user}}],
        "current-context": cluster,
    });
    format!("{document:#}\n")
}
