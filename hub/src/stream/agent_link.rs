//! The calls of agents with a certificate.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use capstan_core::Digest;
use capstan_proto::{
    BLOB_CHUNK_BYTES, MAX_BLOBS_PER_REQUEST,
    v1::{
        AgentMessage, BlobChunk, GetBlobsRequest, HubMessage, RenewRequest, RenewResponse,
        agent_link_server::AgentLink,
    },
};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Gate, gate::on_disk, live};
use crate::{
    identity::ClusterScope,
    state::Hub,
    store::{Batch, BlobError},
};

/// Messages that wait for one agent to read.
const OUTBOX: usize = 16;

/// The service.
pub(crate) struct Service {
    gate: Gate,
}

impl Service {
    pub(crate) fn new(gate: Gate) -> Self {
        Self { gate }
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl AgentLink for Service {
    type SessionStream = Answers<HubMessage>;
    type GetBlobsStream = Answers<BlobChunk>;

    async fn session(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (scope, record) = self.gate.caller(&request)?;
        let (outbox, answers) = mpsc::channel(OUTBOX);
        let hub = self.gate.hub.clone();
        tokio::spawn(live::run(
            hub,
            scope,
            record.value,
            request.into_inner(),
            outbox,
        ));
        let answers = ReceiverStream::new(answers).map_ok(|it| *it);
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get_blobs(
        &self,
        request: Request<GetBlobsRequest>,
    ) -> Result<Response<Self::GetBlobsStream>, Status> {
        let scope = self.gate.scope(&request)?;
        let asked = request.into_inner().digests;
        if asked.len() > MAX_BLOBS_PER_REQUEST {
            let message = format!("at most {MAX_BLOBS_PER_REQUEST} digests in one call");
            return Err(Status::invalid_argument(message));
        }
        let parsed: Result<Vec<Digest>, _> =
            asked.iter().map(|it| Digest::from_bytes(it)).collect();
        let digests = parsed.map_err(|it| Status::invalid_argument(it.to_string()))?;
        let hub = self.gate.hub.clone();
        if !hub.links.names(scope.uid(), &digests) {
            // What exists for another cluster and what exists nowhere must look the same.
            return Err(Status::permission_denied(
                "a digest is not named by this cluster's desired state",
            ));
        }
        Ok(Response::new(Box::pin(pieces(hub, scope, digests))))
    }

    async fn renew(
        &self,
        request: Request<RenewRequest>,
    ) -> Result<Response<RenewResponse>, Status> {
        let (scope, record) = self.gate.caller(&request)?;
        let hub = self.gate.hub.clone();
        let issued = hub
            .authority
            .issue(scope.uid(), &request.into_inner().csr_der)
            .map_err(|it| Status::invalid_argument(it.to_string()))?;
        let ca_pem = hub.authority.pem().as_bytes().to_vec();
        let mut renewed = (*record.value).clone();
        renewed.certificates += 1;
        renewed.certificate_ends_ms = Some(issued.ends_ms);
        on_disk(move || {
            let mut batch = Batch::default();
            // Fails where the cluster was revoked in the meantime.
            batch.put_cluster(&renewed, Some(record.revision));
            hub.db.commit(&batch)
        })
        .await?;
        Ok(Response::new(RenewResponse {
            certificate_pem: issued.pem.into_bytes().into(),
            ca_pem: ca_pem.into(),
        }))
    }
}

/// The content of all `digests`, cut into pieces, as fast as the agent reads.
fn pieces(
    hub: Arc<Hub>,
    scope: ClusterScope,
    digests: Vec<Digest>,
) -> impl Stream<Item = Result<BlobChunk, Status>> + Send {
    stream::iter(digests)
        .then(move |digest| content(hub.clone(), scope.clone(), digest))
        .map_ok(|(digest, content)| stream::iter(chunks(&digest, content).map(Ok)))
        .try_flatten()
}

async fn content(
    hub: Arc<Hub>,
    scope: ClusterScope,
    digest: Digest,
) -> Result<(Digest, Bytes), Status> {
    let found = match hub.blobs.hot(&digest) {
        Some(content) => Ok(content),
        None => {
            let worker = hub.clone();
            tokio::task::spawn_blocking(move || worker.blobs.get(&digest))
                .await
                .map_err(|_| Status::internal("the hub failed; its log says more"))?
        }
    };
    let content = found.map_err(|error| {
        tracing::warn!(cluster = %scope.name(), %error, "a blob is missing; it is rendered again");
        if !matches!(error, BlobError::Io { .. }) {
            hub.blobs_lost();
        }
        Status::unavailable("a blob is not there at the moment; it is being made again")
    })?;
    hub.metrics.blob_bytes.inc_by(content.len() as u64);
    Ok((digest, content))
}

/// The pieces of one blob; the first says which one it is, and the last that it is the last. Even an empty one has a piece.
fn chunks(digest: &Digest, content: Bytes) -> impl Iterator<Item = BlobChunk> + use<> {
    let mut name = Bytes::copy_from_slice(digest.as_bytes());
    let mut rest = Some(content);
    std::iter::from_fn(move || {
        let mut content = rest.take()?;
        let data = content.split_to(content.len().min(BLOB_CHUNK_BYTES));
        let last = content.is_empty();
        rest = (!last).then_some(content);
        Some(BlobChunk {
            digest: std::mem::take(&mut name),
            data,
            last,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_cut_into_pieces_that_name_it_once() {
        let digest = Digest::of(b"");
        let pieces = |bytes: usize| -> Vec<(bool, usize, bool)> {
            let all = chunks(&digest, Bytes::from(vec![0; bytes]));
            all.map(|it| (!it.digest.is_empty(), it.data.len(), it.last))
                .collect()
        };
        assert_eq!(pieces(0), [(true, 0, true)]);
        assert_eq!(pieces(BLOB_CHUNK_BYTES), [(true, BLOB_CHUNK_BYTES, true)]);
        assert_eq!(
            pieces(BLOB_CHUNK_BYTES + 1),
            [(true, BLOB_CHUNK_BYTES, false), (false, 1, true)]
        );
    }
}
