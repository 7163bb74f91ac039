//! Accepting connections: bounded handshakes, bounded connections, and no busy loop when the process is out of files.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustls_pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::server::Connected;

use crate::{descriptors, state::Hub};

/// A peer that does not finish its handshake in this time is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes at once: enough for 500 agents a second, too few to exhaust the memory.
const MAX_HANDSHAKES: usize = 512;
/// Wait after an accept that failed, such as for want of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(200);

/// The leaf certificate of a peer, if it showed one that our authority signed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    pub(crate) leaf: Option<CertificateDer<'static>>,
}

/// A connection whose handshake is done.
pub(crate) struct Incoming {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    _permit: OwnedSemaphorePermit,
}

impl Connected for Incoming {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Incoming {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Incoming {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Accepts connections until the hub stops, and hands over those whose handshake succeeded.
pub(crate) async fn accept(
    hub: Arc<Hub>,
    listener: TcpListener,
    acceptor: TlsAcceptor,
    ready: mpsc::Sender<Incoming>,
) {
    let connections = Arc::new(Semaphore::new(descriptors::connections()));
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    loop {
        let permits = async {
            let connection = connections.clone().acquire_owned().await.ok()?;
            let handshake = handshakes.clone().acquire_owned().await.ok()?;
            Some((connection, handshake, listener.accept().await))
        };
        let accepted = tokio::select! {
            () = hub.stop.cancelled() => return,
            it = permits => it,
        };
        let Some((connection, handshake, accepted)) = accepted else {
            return;
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection of an agent could not be accepted");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        // Heartbeats and small deltas must not wait for more bytes.
        let _ = stream.set_nodelay(true);
        let (acceptor, ready) = (acceptor.clone(), ready.clone());
        tokio::spawn(async move {
            let done = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await;
            drop(handshake);
            match done {
                Ok(Ok(stream)) => {
                    let certificates = stream.get_ref().1.peer_certificates();
                    let leaf = certificates
                        .and_then(|it| it.first())
                        .map(|it| it.clone().into_owned());
                    let incoming = Incoming {
                        stream,
                        peer: Peer { leaf },
                        _permit: connection,
                    };
                    let _ = ready.send(incoming).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "a handshake failed"),
                Err(_) => tracing::debug!("a handshake took too long"),
            }
        });
    }
}
