//! What a peer may touch, taken from its certificate and nothing else.

use capstan_core::{ClusterName, ClusterUid};
use x509_parser::{extensions::GeneralName, prelude::FromDer};

/// Proof that a request comes from this cluster. It is made only from a peer certificate that was checked against the
/// store, and is the only way that handlers for agents reach a cluster's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClusterScope {
    uid: ClusterUid,
    name: ClusterName,
}

impl ClusterScope {
    /// Only the stream's gate makes one, after it has looked the UID up.
    pub(crate) fn new(uid: ClusterUid, name: ClusterName) -> Self {
        Self { uid, name }
    }

    pub(crate) fn uid(&self) -> &ClusterUid {
        &self.uid
    }

    pub(crate) fn name(&self) -> &ClusterName {
        &self.name
    }
}

/// Why a certificate names no cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScopeError {
    #[error("a client certificate is needed; enrol the agent first")]
    NoCertificate,
    #[error("the client certificate does not name exactly one cluster of this hub")]
    NoCluster,
}

/// The UID in a certificate's one name. Compared whole, byte by byte: nothing but
/// `spiffe://<trust domain>/cluster/<uid>` counts, and a second name of any kind spoils it.
pub(crate) fn uid_of(leaf: &[u8], trust_domain: &str) -> Result<ClusterUid, ScopeError> {
    let (rest, certificate) = x509_parser::certificate::X509Certificate::from_der(leaf)
        .map_err(|_| ScopeError::NoCluster)?;
    if !rest.is_empty() {
        return Err(ScopeError::NoCluster);
    }
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| ScopeError::NoCluster)?
        .ok_or(ScopeError::NoCluster)?;
    let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else {
        return Err(ScopeError::NoCluster);
    };
    let uid = uri
        .strip_prefix("spiffe://")
        .and_then(|it| it.strip_prefix(trust_domain))
        .and_then(|it| it.strip_prefix("/cluster/"));
    uid.and_then(|it| it.parse().ok())
        .ok_or(ScopeError::NoCluster)
}
