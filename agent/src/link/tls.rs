//! Dials the hub over TLS 1.3 with the agent's own certificate, trusting the hub's authority alone.

use std::{io, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use capstan_core::Digest;
use hyper_util::rt::TokioIo;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::{config::Config, identity::Identity};

/// Longest wait for a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Period of HTTP/2 pings, which find a dead peer; proxies that ignore them are found by the session's own.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Longest wait for the answer to one.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// The port where the address names none.
const HTTPS_PORT: u16 = 443;

/// Dials the hub.
pub(super) async fn dial(config: &Config, identity: &Identity) -> anyhow::Result<Channel> {
    let uri: Uri = config
        .hub
        .parse()
        .with_context(|| format!("`{}` is not the address of a hub", config.hub))?;
    let (Some("https"), Some(host)) = (uri.scheme_str(), uri.host()) else {
        bail!(
            "`{}` is not the address of a hub: https://HOST:PORT",
            config.hub
        );
    };
    let host = host.trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(HTTPS_PORT);
    let name = ServerName::try_from(host.clone())
        .with_context(|| format!("`{host}` is not a host name"))?;
    let connector = TlsConnector::from(Arc::new(client_config(config, identity)?));
    let connect = move |_: Uri| {
        let (connector, name, host) = (connector.clone(), name.clone(), host.clone());
        async move {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            let stream = connector.connect(name, stream).await?;
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    };
    // The connector brings its own TLS; of an https endpoint tonic would expect to add it.
    let endpoint = Endpoint::from_static("http://hub")
        .origin(uri)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    let channel = endpoint.connect_with_connector(tower::service_fn(connect));
    tokio::time::timeout(CONNECT_TIMEOUT, channel)
        .await
        .context("no connection in time")?
        .context("cannot connect")
}

fn client_config(config: &Config, identity: &Identity) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let file = || config.hub_ca.as_ref();
    let pem = match (&identity.ca_pem, file()) {
        (Some(pem), _) => Some(pem.clone()),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path);
            Some(text.with_context(|| format!("the hub's CA in {}", path.display()))?)
        }
        (None, None) => None,
    };
    let builder = match (pem, config.hub_ca_pin) {
        (Some(pem), _) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate
                    .map_err(|error| anyhow::anyhow!("the hub's CA is not PEM: {error:?}"))?;
                roots.add(certificate)?;
            }
            builder.with_root_certificates(roots)
        }
        (None, Some(pin)) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { pin, provider })),
        (None, None) => bail!("give the hub's CA (--hub-ca) or its pin (--hub-ca-pin)"),
    };
    let mut tls = match &identity.certificate_pem {
        Some(pem) => {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
            let chain = chain.map_err(|_| anyhow::anyhow!("the agent's certificate is damaged"))?;
            let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes())
                .map_err(|_| anyhow::anyhow!("the agent's key is damaged"))?;
            builder.with_client_auth_cert(chain, key)?
        }
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(tls)
}

/// Trusts the one authority whose certificate has this digest, as the hub shows it in its chain.
#[derive(Debug)]
struct Pinned {
    pin: Digest,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = intermediates
            .iter()
            .find(|it| Digest::of(it) == self.pin)
            .ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
                .build()
                .map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
