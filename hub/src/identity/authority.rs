//! The hub's certificate authority. Its key lies beside the store, for the owner alone.

use std::{
    io,
    path::Path,
    time::{Duration, SystemTime},
};

use capstan_core::ClusterUid;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
    string::Ia5String,
};
use rustls_pki_types::{
    CertificateDer, CertificateSigningRequestDer, PrivateKeyDer, pem::PemObject,
};

use crate::{files, secret::fill_random};

/// Long, since changing it means telling every agent.
const CA_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Short, since agents renew at half of it and there are no revocation lists.
const AGENT_LIFE: Duration = Duration::from_secs(24 * 3600);
/// The hub makes itself a new one at half of it.
pub(crate) const SERVER_LIFE: Duration = Duration::from_secs(7 * 86_400);
/// Clocks differ.
const BACKDATE: Duration = Duration::from_secs(300);
/// Bytes of a random serial number.
const SERIAL_BYTES: usize = 16;
/// Largest certificate request: one key and a few names that are ignored.
const MAX_CSR_BYTES: usize = 8 << 10;

/// What can go wrong with certificates.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    #[error("the certificate authority in {path} cannot be used: {reason}")]
    Files { path: String, reason: String },
    #[error("the certificate request is not one: {0}")]
    Request(String),
    #[error("a certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// Signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    trust_domain: String,
}

/// A certificate for an agent.
pub(crate) struct Issued {
    pub(crate) pem: String,
    pub(crate) ends_ms: u64,
}

impl Authority {
    /// Reads the key and certificate in `folder`, or makes them.
    pub(crate) fn open(folder: &Path, trust_domain: &str) -> Result<Self, AuthorityError> {
        let failed = |reason: String| AuthorityError::Files {
            path: folder.display().to_string(),
            reason,
        };
        let read = |name: &str, make: &dyn Fn() -> Result<String, AuthorityError>| {
            let bytes = files::read_or_make(&folder.join(name), || {
                let made = make().map_err(io::Error::other)?;
                Ok(made.into_bytes())
            });
            bytes
                .map(|it| String::from_utf8_lossy(&it).into_owned())
                .map_err(|it| failed(it.to_string()))
        };
        let key = read("ca.key", &|| Ok(KeyPair::generate()?.serialize_pem()))?;
        let key = KeyPair::from_pem(&key).map_err(|it| failed(it.to_string()))?;
        let pem = read("ca.crt", &|| Ok(ca_params()?.self_signed(&key)?.pem()))?;
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|it| failed(format!("ca.crt: {it:?}")))?;
        let issuer =
            Issuer::from_ca_cert_der(&certificate, key).map_err(|it| failed(it.to_string()))?;
        Ok(Self {
            issuer,
            certificate,
            pem,
            trust_domain: trust_domain.to_owned(),
        })
    }

    /// The authority's own certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub(crate) fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// A certificate for the agent of `uid`, for the key that signed the request. Every name in the request is ignored.
    pub(crate) fn issue(&self, uid: &ClusterUid, request: &[u8]) -> Result<Issued, AuthorityError> {
        if request.len() > MAX_CSR_BYTES {
            let message = format!("{} bytes, more than {MAX_CSR_BYTES}", request.len());
            return Err(AuthorityError::Request(message));
        }
        let request = CertificateSigningRequestDer::from(request.to_vec());
        let request = CertificateSigningRequestParams::from_der(&request)
            .map_err(|it| AuthorityError::Request(it.to_string()))?;
        let name = format!("spiffe://{}/cluster/{uid}", self.trust_domain);
        let mut params = leaf_params(vec![SanType::URI(ia5(&name)?)], AGENT_LIFE)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&request.public_key, &self.issuer)?;
        let ends = SystemTime::now() + AGENT_LIFE;
        let since = ends
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Ok(Issued {
            pem: certificate.pem(),
            ends_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// A certificate and key for the hub's own listener.
    pub(crate) fn server(
        &self,
        names: &[String],
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), AuthorityError> {
        let own = format!("spiffe://{}/hub", self.trust_domain);
        let mut all = vec![SanType::URI(ia5(&own)?)];
        for name in names {
            all.push(match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(ia5(name)?),
            });
        }
        let mut params = leaf_params(all, SERVER_LIFE)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Ok((
            vec![certificate.der().clone(), self.certificate.clone()],
            key,
        ))
    }
}

fn ia5(text: &str) -> Result<Ia5String, AuthorityError> {
    Ok(text.try_into()?)
}

fn ca_params() -> Result<CertificateParams, AuthorityError> {
    let mut params = leaf_params(Vec::new(), CA_LIFE)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
        .distinguished_name
        .push(DnType::CommonName, "Capstan hub");
    Ok(params)
}

fn leaf_params(names: Vec<SanType>, life: Duration) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::new(Vec::new())?;
    let now = SystemTime::now();
    let mut serial = [0; SERIAL_BYTES];
    fill_random(&mut serial);
    // The first bit would make the number negative.
    serial[0] &= 0x7f;
    params.not_before = (now - BACKDATE).into();
    params.not_after = (now + life).into();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.subject_alt_names = names;
    params.distinguished_name = DistinguishedName::new();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{ScopeError, uid_of};

    const UID: &str = "3e1f0c3a-5a0e-4c55-9e0b-0d2b2a3f7c11";

    fn leaf(pem: &str) -> Vec<u8> {
        CertificateDer::from_pem_slice(pem.as_bytes())
            .unwrap()
            .to_vec()
    }

    #[test]
    fn the_name_comes_from_the_hub_and_never_from_the_request() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), "example.org").unwrap();
        let mut params = CertificateParams::new(vec!["other.example".into()]).unwrap();
        let foreign = "spiffe://example.org/cluster/00000000-0000-4000-8000-000000000000";
        params
            .subject_alt_names
            .push(SanType::URI(ia5(foreign).unwrap()));
        params.distinguished_name.push(DnType::CommonName, foreign);
        let request = params
            .serialize_request(&KeyPair::generate().unwrap())
            .unwrap();
        let issued = authority
            .issue(&UID.parse().unwrap(), request.der())
            .unwrap();
        let uid = uid_of(&leaf(&issued.pem), "example.org").unwrap();
        assert_eq!(uid.as_str(), UID);
        let other = uid_of(&leaf(&issued.pem), "example.or");
        assert_eq!(other, Err(ScopeError::NoCluster));
        assert!(authority.issue(&UID.parse().unwrap(), b"junk").is_err());
    }

    #[test]
    fn a_certificate_that_names_anything_else_is_no_cluster() {
        let key = KeyPair::generate().unwrap();
        let good = format!("spiffe://example.org/cluster/{UID}");
        let table = [
            vec![],
            vec![format!("{good}x")],
            vec![format!("x{good}")],
            vec![good.replace("example", "eXample")],
            vec![good.replace("/cluster/", "/cluster//")],
            vec![good.replace(UID, "")],
            vec![good.clone(), good.clone()],
            vec!["spiffe://example.org/hub".to_owned()],
        ];
        for names in table {
            let sans = names.iter().map(|it| SanType::URI(ia5(it).unwrap()));
            let params = leaf_params(sans.collect(), AGENT_LIFE).unwrap();
            let certificate = params.self_signed(&key).unwrap();
            let given = uid_of(certificate.der(), "example.org");
            assert_eq!(given, Err(ScopeError::NoCluster), "{names:?}");
        }
    }

    #[test]
    fn the_authority_is_the_same_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open(folder.path(), "a").unwrap();
        let second = Authority::open(folder.path(), "a").unwrap();
        assert_eq!(first.pem(), second.pem());
    }
}
