//! Certificates of a cluster that is served over TLS: its own authority, its server certificate, and those of users.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::SimError;
use super::auth::User;

/// The authority and the listener of a cluster.
pub(crate) struct Tls {
    pub(crate) acceptor: tokio_rustls::TlsAcceptor,
    /// The certificate of the authority, PEM.
    pub(crate) authority: String,
    issuer: Issuer<'static, KeyPair>,
}

fn failed(what: &'static str) -> impl FnOnce(rcgen::Error) -> SimError {
    move |source| SimError::Certificate { what, source }
}

impl Tls {
    /// Makes an authority and a server certificate for loopback.
    pub(crate) fn new() -> Result<Tls, SimError> {
        let key = KeyPair::generate().map_err(failed("the key of the authority"))?;
        let mut params = CertificateParams::new(Vec::new()).map_err(failed("the authority"))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = name("simulated-kubernetes-ca", &[]);
        let authority = params.self_signed(&key).map_err(failed("the authority"))?;
        let issuer = Issuer::new(params, key);

        let server_key = KeyPair::generate().map_err(failed("the key of the server"))?;
        let names = [
            "127.0.0.1",
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
        ]
        .map(str::to_owned)
        .to_vec();
        let mut params = CertificateParams::new(names).map_err(failed("the server certificate"))?;
        params.distinguished_name = name("kube-apiserver", &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server = params
            .signed_by(&server_key, &issuer)
            .map_err(failed("the server certificate"))?;
        let acceptor = acceptor(authority.der().clone(), server.der().clone(), &server_key)?;
        Ok(Tls {
            acceptor,
            authority: authority.pem(),
            issuer,
        })
    }

    /// A client certificate and its key for a user, PEM.
    pub(crate) fn client(&self, user: &User) -> Result<(String, String), SimError> {
        let key = KeyPair::generate().map_err(failed("the key of a user"))?;
        let mut params =
            CertificateParams::new(Vec::new()).map_err(failed("a user certificate"))?;
        params.distinguished_name = name(&user.name, &user.groups);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(failed("a user certificate"))?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

fn name(common: &str, organisations: &[String]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    // One organisation is what a certificate of this library can name; users with more groups use tokens.
    if let Some(first) = organisations.first() {
        name.push(DnType::OrganizationName, first.as_str());
    }
    name.push(DnType::CommonName, common);
    name
}

fn acceptor(
    authority: CertificateDer<'static>,
    server: CertificateDer<'static>,
    key: &KeyPair,
) -> Result<tokio_rustls::TlsAcceptor, SimError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(authority)
        .map_err(|source| SimError::Tls { source })?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|e| SimError::Tls {
                source: rustls::Error::General(e.to_string()),
            })?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|e| SimError::Tls {
        source: rustls::Error::General(e.to_owned()),
    })?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|b| {
            b.with_client_cert_verifier(verifier)
                .with_single_cert(vec![server], key)
        })
        .map_err(|source| SimError::Tls { source })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tokio_rustls::TlsAcceptor::from(Arc::new(config)))
}

/// The user that a client certificate names: its common name, with its organisations as groups.
pub(crate) fn user_of(certificate: &CertificateDer<'_>) -> Option<User> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let subject = parsed.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = subject
        .iter_organization()
        .filter_map(|o| o.as_str().ok())
        .map(str::to_owned)
        .collect();
    Some(User {
        name,
        groups,
        ..User::default()
    })
}
