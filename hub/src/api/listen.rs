//! Connections to the API: who is at their other end, and TLS.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, connect_info::Connected},
    http::request::Parts,
    serve::IncomingStream,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::Served;
use crate::config::ApiTls;

/// A peer that does not finish its handshake in this time is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections whose handshake is done and that wait to be served.
const READY: usize = 64;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(stream.remote_addr().ip())
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Self(stream.remote_addr().ip())
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<ConnectInfo<Self>>();
        // Only what came over no connection, as in a test, has none.
        Ok(known.map_or(Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), |it| it.0))
    }
}

/// Gives connections whose handshake is done.
pub(super) struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl TlsListener {
    pub(super) fn start(
        tasks: &mut JoinSet<()>,
        served: &Served,
        listener: TcpListener,
        files: &ApiTls,
    ) -> Result<Self, String> {
        let acceptor = acceptor(files)?;
        let (sender, ready) = mpsc::channel(READY);
        let stop = served.hub.stop.clone();
        tasks.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = stop.cancelled() => return,
                    it = listener.accept() => it,
                };
                let Ok((stream, peer)) = accepted else {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                };
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                tokio::spawn(async move {
                    let done =
                        tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await;
                    if let Ok(Ok(stream)) = done {
                        let _ = sender.send((stream, peer)).await;
                    }
                });
            }
        });
        Ok(Self {
            ready,
            address: served.address,
        })
    }
}

fn acceptor(files: &ApiTls) -> Result<TlsAcceptor, String> {
    let wrong = |path: &std::path::Path, it: &dyn std::fmt::Display| {
        format!("api_tls: {}: {it}", path.display())
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&files.certificate)
        .map_err(|it| wrong(&files.certificate, &it))?
        .collect();
    let chain = chain.map_err(|it| wrong(&files.certificate, &it))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|it| wrong(&files.key, &it))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|it| it.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|it| wrong(&files.certificate, &it))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(it) => it,
            // The hub stops; the server is told by other means.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
