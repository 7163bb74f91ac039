//! Accepting connections: bounded handshakes, bounded connections, and no busy loop when the process is out of files.
//!
//! No single peer can take the room of the others: who has shown no certificate has few connections for a short time, and a cluster has
//! not many either.

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use capstan_core::ClusterUid;
use rustls_pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Sleep, sleep},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::server::Connected;

use crate::{
    descriptors,
    identity::uid_of,
    limit::{AtOnce, Open, peer_of},
    state::Hub,
};

/// A peer that does not finish its handshake in this time is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes at once: enough for 500 agents a second, too few to exhaust the memory.
const MAX_HANDSHAKES: usize = 512;
/// Connections without a certificate, at once: they enrol.
const MAX_GUESTS: usize = 512;
/// Those of one address: many clusters can be behind one.
const MAX_GUESTS_PER_ADDRESS: usize = 256;
/// Time for enrolling; an agent connects anew with its certificate then.
const GUEST_TIME: Duration = Duration::from_secs(30);
/// Connections of one cluster at once: its agent has one, and those before it may not be known to be dead.
pub(super) const MAX_PER_CLUSTER: usize = 16;
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
    place: Place,
    _permit: OwnedSemaphorePermit,
}

/// What a connection is counted as while it is open.
#[derive(Default)]
struct Place {
    _cluster: Option<Open<ClusterUid>>,
    _guest: Option<(Open<IpAddr>, OwnedSemaphorePermit)>,
    /// When the time of a guest is over.
    ends: Option<Pin<Box<Sleep>>>,
}

/// Who may have how many connections.
#[derive(Clone)]
struct Places {
    guests: Arc<Semaphore>,
    addresses: AtOnce<IpAddr>,
    clusters: AtOnce<ClusterUid>,
}

impl Places {
    fn new() -> Self {
        Self {
            guests: Arc::new(Semaphore::new(MAX_GUESTS)),
            addresses: AtOnce::at_most(MAX_GUESTS_PER_ADDRESS),
            clusters: AtOnce::at_most(MAX_PER_CLUSTER),
        }
    }

    /// The place of a peer after its handshake, if there is one left. Whose certificate names no cluster is a guest.
    fn take(&self, address: IpAddr, peer: &Peer, trust_domain: &str) -> Option<Place> {
        let leaf = peer.leaf.as_ref();
        if let Some(uid) = leaf.and_then(|it| uid_of(it, trust_domain).ok()) {
            return Some(Place {
                _cluster: Some(self.clusters.open(uid)?),
                ..Place::default()
            });
        }
        let guest = self.guests.clone().try_acquire_owned().ok()?;
        Some(Place {
            _guest: Some((self.addresses.open(peer_of(address))?, guest)),
            ends: Some(Box::pin(sleep(GUEST_TIME))),
            ..Place::default()
        })
    }
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
        if let Some(ends) = &mut self.place.ends
            && ends.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
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
    let places = Places::new();
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
        let (stream, address) = match accepted {
            Ok(it) => it,
            Err(error) => {
                tracing::warn!(%error, "a connection of an agent could not be accepted");
                sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        // Heartbeats and small deltas must not wait for more bytes.
        let _ = stream.set_nodelay(true);
        let (acceptor, ready, places) = (acceptor.clone(), ready.clone(), places.clone());
        let trust_domain = hub.authority.trust_domain().to_owned();
        tokio::spawn(async move {
            let done = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await;
            drop(handshake);
            match done {
                Ok(Ok(stream)) => {
                    let certificates = stream.get_ref().1.peer_certificates();
                    let leaf = certificates
                        .and_then(|it| it.first())
                        .map(|it| it.clone().into_owned());
                    let peer = Peer { leaf };
                    let Some(place) = places.take(address.ip(), &peer, &trust_domain) else {
                        tracing::debug!(%address, "this peer has too many connections");
                        return;
                    };
                    let incoming = Incoming {
                        stream,
                        peer,
                        place,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_does_not_take_the_place_of_other_guests() {
        let places = Places::new();
        let take = |it: &str| places.take(it.parse().unwrap(), &Peer::default(), "capstan.local");
        let greedy: Vec<_> = (0..MAX_GUESTS_PER_ADDRESS)
            .map(|_| take("192.0.2.1").unwrap())
            .collect();
        assert!(take("192.0.2.1").is_none());
        let other = take("192.0.2.2").unwrap();
        drop(greedy);
        assert!(take("192.0.2.1").is_some());
        // And nobody stays a guest.
        let ends = other.ends.unwrap().deadline();
        assert!(ends <= tokio::time::Instant::now() + GUEST_TIME);
    }
}
