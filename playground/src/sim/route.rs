//! Requests as the API sees them: what a path, a method and the parameters ask for.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, Method};

/// A request with its body.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Who the client certificate names.
    pub(crate) peer: Option<super::auth::User>,
}

/// A path below `/api` or `/apis`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) plural: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
}

impl Request {
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map(String::as_str).unwrap_or_default()
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.query
            .get(name)
            .map(|v| matches!(v.as_str(), "" | "1" | "true" | "True" | "TRUE" | "t" | "T"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
    }

    /// What the path names, where it names a resource.
    pub(crate) fn resource(&self) -> Option<ResourcePath> {
        resource_path(&self.path)
    }

    /// The verb of a request for a resource.
    pub(crate) fn verb(&self, path: &ResourcePath) -> &'static str {
        let watching = self.flag("watch") == Some(true);
        match (self.method.as_str(), path.name.is_empty()) {
            ("GET" | "HEAD", true) if watching => "watch",
            ("GET" | "HEAD", true) => "list",
            ("GET" | "HEAD", false) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", true) => "deletecollection",
            ("DELETE", false) => "delete",
            _ => "",
        }
    }
}

/// Decodes one part of a path or query.
pub(crate) fn decode(text: &str, plus: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = bytes
            .get(i + 1..i + 3)
            .and_then(|h| std::str::from_utf8(h).ok())
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match (bytes[i], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                i += 2;
            }
            (b'+', _) if plus => out.push(b' '),
            (other, _) => out.push(other),
        }
        i += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The parameters of a query.
pub(crate) fn query_pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|p| !p.is_empty())
        .map(|p| p.split_once('=').unwrap_or((p, "")))
        .map(|(k, v)| (decode(k, true), decode(v, true)))
        .collect()
}

fn resource_path(path: &str) -> Option<ResourcePath> {
    let parts: Vec<String> = path
        .trim_matches('/')
        .split('/')
        .map(|p| decode(p, false))
        .collect();
    let (mut out, rest) = match parts.first().map(String::as_str) {
        Some("api") if parts.len() >= 3 => (
            ResourcePath {
                version: parts[1].clone(),
                ..ResourcePath::default()
            },
            &parts[2..],
        ),
        Some("apis") if parts.len() >= 4 => (
            ResourcePath {
                group: parts[1].clone(),
                version: parts[2].clone(),
                ..ResourcePath::default()
            },
            &parts[3..],
        ),
        _ => return None,
    };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let rest = match rest.as_slice() {
        // A namespace, and what belongs to it itself.
        ["namespaces", _, "status" | "finalize"] | ["namespaces"] | ["namespaces", _] => {
            rest.as_slice()
        }
        ["namespaces", namespace, tail @ ..] => {
            out.namespace = (*namespace).to_owned();
            tail
        }
        other => other,
    };
    out.plural = rest.first()?.to_string();
    out.name = rest.get(1).copied().unwrap_or_default().to_owned();
    out.subresource = rest.get(2..).map(|t| t.join("/")).unwrap_or_default();
    Some(out)
}

/// What an `Accept` header asks for, of what is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepted {
    Json,
    Metadata,
    AggregatedDiscovery,
    None,
}

/// The first form of the header that is served.
pub(crate) fn accepted(header: &str) -> Accepted {
    if header.trim().is_empty() {
        return Accepted::Json;
    }
    for range in header.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        if !matches!(media, "application/json" | "*/*" | "application/*") {
            continue;
        }
        let parameters: BTreeMap<&str, &str> = parts.filter_map(|p| p.split_once('=')).collect();
        match (parameters.get("as").copied(), parameters.get("v").copied()) {
            (None, _) => return Accepted::Json,
            (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some("v1")) => {
                return Accepted::Metadata;
            }
            (Some("APIGroupDiscoveryList"), Some("v2")) => return Accepted::AggregatedDiscovery,
            // Tables are not made; clients that ask for them take objects too.
            _ => {}
        }
    }
    Accepted::None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_resources() {
        let table = [
            (
                "/api/v1/namespaces/d/configmaps/a",
                Some(("", "v1", "d", "configmaps", "a", "")),
            ),
            (
                "/api/v1/namespaces/d",
                Some(("", "v1", "", "namespaces", "d", "")),
            ),
            (
                "/api/v1/namespaces/d/status",
                Some(("", "v1", "", "namespaces", "d", "status")),
            ),
            (
                "/apis/apps/v1/deployments",
                Some(("apps", "v1", "", "deployments", "", "")),
            ),
            (
                "/apis/apps/v1/namespaces/d/deployments/x/scale",
                Some(("apps", "v1", "d", "deployments", "x", "scale")),
            ),
            (
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
                Some((
                    "rbac.authorization.k8s.io",
                    "v1",
                    "",
                    "clusterroles",
                    "system:node",
                    "",
                )),
            ),
            ("/apis/apps/v1", None),
            ("/version", None),
        ];
        for (path, expected) in table {
            let found = resource_path(path);
            let found = found.as_ref().map(|p| {
                (
                    p.group.as_str(),
                    p.version.as_str(),
                    p.namespace.as_str(),
                    p.plural.as_str(),
                    p.name.as_str(),
                    p.subresource.as_str(),
                )
            });
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn accept_headers_choose_a_form() {
        let table = [
            ("", Accepted::Json),
            (
                "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
                Accepted::Metadata,
            ),
            (
                "application/vnd.kubernetes.protobuf, application/json",
                Accepted::Json,
            ),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
                Accepted::Json,
            ),
            (
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
                Accepted::AggregatedDiscovery,
            ),
            ("application/vnd.kubernetes.protobuf", Accepted::None),
        ];
        for (header, expected) in table {
            assert_eq!(accepted(header), expected, "{header}");
        }
    }
}
