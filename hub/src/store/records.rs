//! What is kept under which key.

use std::collections::{BTreeMap, BTreeSet};

use capstan_core::{ClusterName, ClusterUid, Digest, Event, StoreEpoch};
use serde::{Deserialize, Serialize};

/// Who this hub is; made with the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HubRecord {
    pub(crate) hub_id: String,
    pub(crate) epoch: StoreEpoch,
}

/// A cluster that was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClusterRecord {
    pub(crate) uid: ClusterUid,
    pub(crate) name: ClusterName,
    /// Given with `cluster add`; the fleet path's labels and variables win over them.
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) created_ms: u64,
    pub(crate) state: ClusterState,
    /// UID of the namespace `kube-system` of the cluster that enrolled; another cluster is refused.
    pub(crate) kube_system_uid: Option<String>,
    /// The cluster's digest key, sealed under the cluster's UID.
    pub(crate) sealed_digest_key: Vec<u8>,
    /// Certificates issued so far.
    pub(crate) certificates: u64,
    /// When the newest certificate ends.
    pub(crate) certificate_ends_ms: Option<u64>,
}

impl ClusterRecord {
    /// One that was just added: without labels, variables and a key yet.
    pub(crate) fn added(uid: ClusterUid, name: ClusterName, created_ms: u64) -> Self {
        Self {
            uid,
            name,
            labels: BTreeMap::new(),
            variables: BTreeMap::new(),
            created_ms,
            state: ClusterState::Pending,
            kube_system_uid: None,
            sealed_digest_key: Vec::new(),
            certificates: 0,
            certificate_ends_ms: None,
        }
    }
}

/// How far a cluster's identity has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ClusterState {
    /// Added, no agent has enrolled.
    Pending,
    /// An agent has a certificate.
    Enrolled,
    /// No certificate of it is accepted any more.
    Revoked,
}

/// A one-time token. The token itself is kept nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenRecord {
    pub(crate) hash: Digest,
    pub(crate) cluster: ClusterUid,
    pub(crate) expires_ms: u64,
}

/// Revisions on which the hub may die while it renders them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RenderingRecord {
    /// What is being rendered for the first time, as `SOURCE REVISION`. Still here at a start: the hub died on one of them.
    pub(crate) now: BTreeSet<String>,
    /// How often it died, by the same.
    pub(crate) deaths: BTreeMap<String, u32>,
}

/// A numbered event of the hub or of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventRecord {
    pub(crate) number: u64,
    /// The cluster it is about; none for the hub's own.
    pub(crate) cluster: Option<ClusterName>,
    pub(crate) event: Event,
}

/// A change that somebody made or was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AuditRecord {
    pub(crate) number: u64,
    pub(crate) time_ms: u64,
    pub(crate) actor: String,
    pub(crate) verb: String,
    pub(crate) target: String,
    pub(crate) reason: String,
    /// `ok`, or why it was refused.
    pub(crate) outcome: String,
}
