//! The gRPC side: who is calling, messages in and out, and nothing that decides.

mod accept;
mod agent_link;
mod enrolment;
mod gate;
mod live;

pub(crate) use accept::{Incoming, Peer, accept};
pub(crate) use gate::Gate;

use std::sync::Arc;

use capstan_proto::{
    MAX_MESSAGE_BYTES,
    v1::{agent_link_server::AgentLinkServer, enrolment_server::EnrolmentServer},
};
use tokio_stream::wrappers::ReceiverStream;

use crate::state::Hub;

/// HTTP/2 pings find a dead peer that TCP does not notice.
const KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
/// Streams that one agent may have open: its session and a few calls.
const MAX_STREAMS: u32 = 16;

/// Serves agents on `incoming` until the hub stops.
pub(crate) async fn serve(hub: Arc<Hub>, incoming: ReceiverStream<Incoming>) {
    let gate = Gate::new(hub.clone());
    let link = AgentLinkServer::new(agent_link::Service::new(gate.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES);
    let enrolment =
        EnrolmentServer::new(enrolment::Service::new(gate)).max_decoding_message_size(64 << 10);
    let stop = hub.stop.clone();
    let served = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(Some(MAX_STREAMS))
        .add_service(link)
        .add_service(enrolment)
        .serve_with_incoming_shutdown(incoming_ok(incoming), async move { stop.cancelled().await })
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the listener for agents has ended");
    }
}

fn incoming_ok(
    incoming: ReceiverStream<Incoming>,
) -> impl tokio_stream::Stream<Item = Result<Incoming, std::io::Error>> {
    use tokio_stream::StreamExt;
    incoming.map(Ok)
}

#[cfg(test)]
mod tests;
