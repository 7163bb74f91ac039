//! The certificates of one cluster: an authority of its own, and all that it signs.

use std::net::{IpAddr, Ipv4Addr};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

use super::LocalError;

/// The first address of [`SERVICE_RANGE`], which the `kubernetes` Service has.
const SERVICE_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// Addresses of Services.
pub(super) const SERVICE_RANGE: &str = "10.0.0.0/16";

/// Names by which the API server is reached, besides 127.0.0.1 and [`SERVICE_ADDRESS`].
const SERVER_NAMES: [&str; 4] = [
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
];

/// A certificate and its key, in PEM.
pub(super) struct Identity {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// The authority of one cluster. It lives in memory: who has the cluster's value can make itself anyone in it.
pub(super) struct Pki {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, in PEM.
    pub(super) authority: String,
}

impl std::fmt::Debug for Pki {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pki").finish_non_exhaustive()
    }
}

impl Pki {
    /// A new authority for the cluster `name`.
    pub(super) fn new(name: &str) -> Result<Self, LocalError> {
        let subject = format!("capstan playground {name}");
        let failed = certificate_of(&subject);
        let key = KeyPair::generate().map_err(&failed)?;
        let mut params = params(&subject, None, vec![]).map_err(&failed)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let authority = params.self_signed(&key).map_err(&failed)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            authority,
        })
    }

    /// A client certificate: `user`, in `group`.
    pub(super) fn client(&self, user: &str, group: Option<&str>) -> Result<Identity, LocalError> {
        let failed = certificate_of(user);
        let mut params = params(user, group, vec![]).map_err(&failed)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params).map_err(&failed)
    }

    /// A server certificate for every part of the control plane.
    pub(super) fn server(&self) -> Result<Identity, LocalError> {
        let failed = certificate_of("kube-apiserver");
        let names = SERVER_NAMES.map(str::to_owned).to_vec();
        let mut params = params("kube-apiserver", None, names).map_err(&failed)?;
        let addresses = [Ipv4Addr::LOCALHOST, SERVICE_ADDRESS]
            .map(|address| SanType::IpAddress(IpAddr::V4(address)));
        params.subject_alt_names.extend(addresses);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params).map_err(&failed)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Identity, rcgen::Error> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Identity {
            certificate,
            key: key.serialize_pem(),
        })
    }
}

/// The key pair that signs service account tokens: (private, public), in PEM.
pub(super) fn token_keys() -> Result<(String, String), LocalError> {
    let key = KeyPair::generate().map_err(certificate_of("service account tokens"))?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

/// Valid for as long as anyone may wish to keep a playground: what expires is tested with certificates made for that.
fn params(
    name: &str,
    group: Option<&str>,
    names: Vec<String>,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(group) = group {
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
    }
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2099, 12, 31);
    Ok(params)
}

fn certificate_of(subject: &str) -> impl Fn(rcgen::Error) -> LocalError {
    let subject = subject.to_owned();
    move |source| LocalError::Certificate {
        subject: subject.clone(),
        source,
    }
}
