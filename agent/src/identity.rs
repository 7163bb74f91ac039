//! Who the agent is: its own key, the hub's certificate for it, and what it trusts. The key is made here and leaves
//! only as the signature of a request.

use std::{fmt, fs, io, path::PathBuf, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use rcgen::{CertificateParams, KeyPair};
use serde::{Deserialize, Serialize};
use serde_json::json;
use x509_parser::pem::parse_x509_pem;

use crate::{
    cluster::{Actor, Address, ApplyOptions, Cluster, Resource},
    held::write_private,
    ledger::OWN_MANAGER,
};

/// What an agent is known by.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Its key (PKCS#8, PEM).
    pub(crate) key_pem: String,
    /// The hub's certificate for it; none before it is enrolled.
    pub(crate) certificate_pem: Option<String>,
    /// The hub's authority.
    pub(crate) ca_pem: Option<String>,
    /// The hub.
    pub(crate) hub_id: Option<String>,
    /// The name that the hub gave this cluster.
    pub(crate) cluster_name: Option<String>,
    /// UID of the namespace `kube-system` of the cluster that the agent was enrolled in.
    pub(crate) kube_system_uid: String,
    /// Seals what is kept on disk.
    pub(crate) seal_key: [u8; 32],
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("cluster_name", &self.cluster_name)
            .field("hub_id", &self.hub_id)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// A new one, for the cluster whose `kube-system` has this UID.
    pub(crate) fn new(kube_system_uid: &str) -> anyhow::Result<Self> {
        let mut seal_key = [0; 32];
        crate::seal::random(&mut seal_key)?;
        Ok(Self {
            key_pem: KeyPair::generate()?.serialize_pem(),
            certificate_pem: None,
            ca_pem: None,
            hub_id: None,
            cluster_name: None,
            kube_system_uid: kube_system_uid.to_owned(),
            seal_key,
        })
    }

    /// A request for a certificate, signed with the key. It names nothing: the hub decides what the certificate says.
    pub(crate) fn request(&self) -> anyhow::Result<Vec<u8>> {
        request(&KeyPair::from_pem(&self.key_pem)?)
    }

    /// How long until half of the certificate's life is over; zero where it is, or where there is none.
    pub(crate) fn until_renewal(&self, now_ms: u64) -> Duration {
        let Some(ends) = self.certificate_pem.as_deref().and_then(validity) else {
            return Duration::ZERO;
        };
        let (begin, end) = ends;
        let half = begin + (end - begin) / 2;
        let now = i64::try_from(now_ms / 1000).unwrap_or(i64::MAX);
        Duration::from_secs(u64::try_from(half - now).unwrap_or(0))
    }
}

/// A request for a certificate for `key`.
pub(crate) fn request(key: &KeyPair) -> anyhow::Result<Vec<u8>> {
    let params = CertificateParams::new(Vec::new())?;
    Ok(params.serialize_request(key)?.der().to_vec())
}

fn validity(pem: &str) -> Option<(i64, i64)> {
    let (_, pem) = parse_x509_pem(pem.as_bytes()).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let validity = certificate.validity();
    Some((
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    ))
}

/// Where an identity is kept.
pub(crate) enum IdentityStore<C> {
    /// A file of mode 0600.
    File(PathBuf),
    /// A Secret of the agent's namespace.
    Secret(Arc<C>, Address),
}

impl<C: Cluster> IdentityStore<C> {
    /// The store in a Secret.
    pub(crate) fn secret(cluster: Arc<C>, namespace: &str, name: &str) -> Self {
        let resource = Arc::new(Resource {
            group: String::new(),
            version: "v1".into(),
            kind: "Secret".into(),
            plural: "secrets".into(),
            namespaced: true,
        });
        let at = Address {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        Self::Secret(cluster, at)
    }

    /// The identity kept; none where there is none yet.
    pub(crate) async fn load(&self) -> anyhow::Result<Option<Identity>> {
        let bytes = match self {
            Self::File(path) => match fs::read(path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error.into()),
            },
            Self::Secret(cluster, at) => {
                let Some(live) = cluster.get(&Actor::Agent, at).await? else {
                    return Ok(None);
                };
                let text = live.0["data"]["identity"].as_str().unwrap_or_default();
                BASE64.decode(text)?
            }
        };
        Ok(Some(serde_json::from_slice(&bytes)?))
    }

    /// Keeps `identity`.
    pub(crate) async fn save(&self, identity: &Identity) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec(identity)?;
        match self {
            Self::File(path) => write_private(path, &bytes, true)?,
            Self::Secret(cluster, at) => {
                let body = json!({
                    "apiVersion": "v1", "kind": "Secret", "type": "capstan.dev/identity",
                    "metadata": {"name": at.name},
                    "data": {"identity": BASE64.encode(bytes)},
                });
                let options = ApplyOptions {
                    manager: OWN_MANAGER,
                    dry_run: false,
                };
                cluster.apply(&Actor::Agent, at, &body, options).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_key() {
        let identity = Identity::new("uid").unwrap();
        let shown = format!("{identity:?}");
        assert!(!shown.contains("PRIVATE") && !shown.contains("seal_key"));
        assert!(!identity.request().unwrap().is_empty());
        assert_eq!(identity.until_renewal(0), Duration::ZERO);
    }

    #[test]
    fn renewal_is_due_at_half_life() {
        let mut identity = Identity::new("uid").unwrap();
        let key = KeyPair::from_pem(&identity.key_pem).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 1, 3);
        identity.certificate_pem = Some(params.self_signed(&key).unwrap().pem());
        let begin = 1_767_225_600_000;
        assert_eq!(identity.until_renewal(begin), Duration::from_secs(86_400));
        assert_eq!(identity.until_renewal(begin + 90_000_000), Duration::ZERO);
    }
}
