//! The TLS side of the listener for agents: TLS 1.3 alone, client certificates of our own authority, and a server
//! certificate that is replaced without closing anything.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};

use super::{Authority, AuthorityError};

/// The certificate that the listener shows now.
#[derive(Debug)]
pub(crate) struct ServerIdentity(RwLock<Arc<CertifiedKey>>);

impl ServerIdentity {
    /// Makes the first one.
    pub(crate) fn new(authority: &Authority, names: &[String]) -> Result<Self, AuthorityError> {
        Ok(Self(RwLock::new(Self::make(authority, names)?)))
    }

    /// Makes another, for connections from now on.
    pub(crate) fn renew(
        &self,
        authority: &Authority,
        names: &[String],
    ) -> Result<(), AuthorityError> {
        let made = Self::make(authority, names)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = made;
        Ok(())
    }

    fn make(authority: &Authority, names: &[String]) -> Result<Arc<CertifiedKey>, AuthorityError> {
        let (chain, key) = authority.server(names)?;
        let provider = aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider)
            .map_err(|it| AuthorityError::Request(it.to_string()))?;
        Ok(Arc::new(key))
    }
}

impl ResolvesServerCert for ServerIdentity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(
            self.0
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        )
    }
}

/// The listener's configuration. A client certificate is checked where there is one; a caller without can only enrol.
pub(crate) fn server_config(
    authority: &Authority,
    identity: Arc<ServerIdentity>,
) -> Result<ServerConfig, AuthorityError> {
    let wrong = |it: &dyn std::fmt::Display| AuthorityError::Request(it.to_string());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.certificate().clone())
        .map_err(|it| wrong(&it))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|it| wrong(&it))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|it| wrong(&it))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(identity);
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A stream lasts an hour, and no ticket outlives a restart, after which all agents come at once.
    config.send_tls13_tickets = 0;
    Ok(config)
}
