//! The calls of agents with a certificate.

use std::pin::Pin;

use capstan_core::Digest;
use capstan_proto::{
    BLOB_CHUNK_BYTES, MAX_BLOBS_PER_REQUEST,
    v1::{
        AgentMessage, BlobChunk, GetBlobsRequest, HubMessage, RenewRequest, RenewResponse,
        agent_link_server::AgentLink,
    },
};
use tokio::sync::mpsc;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use super::{Gate, gate::on_disk, live};
use crate::{
    identity::ClusterScope,
    state::Hub,
    store::{Batch, BlobError},
};

/// Messages that wait for one agent to read.
const OUTBOX: usize = 16;
/// Chunks of blobs that wait for one agent to read.
const BLOB_OUTBOX: usize = 4;

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
        let (scope, record) = self.gate.caller(&request).await?;
        let (outbox, answers) = mpsc::channel(OUTBOX);
        let hub = self.gate.hub.clone();
        tokio::spawn(live::run(
            hub,
            scope,
            record.value,
            request.into_inner(),
            outbox,
        ));
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn get_blobs(
        &self,
        request: Request<GetBlobsRequest>,
    ) -> Result<Response<Self::GetBlobsStream>, Status> {
        let scope = self.gate.scope(&request).await?;
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
        let (outbox, answers) = mpsc::channel(BLOB_OUTBOX);
        tokio::task::spawn_blocking(move || {
            for digest in digests {
                if let Err(status) = send_blob(&hub, &scope, &digest, &outbox) {
                    let _ = outbox.blocking_send(Err(status));
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn renew(
        &self,
        request: Request<RenewRequest>,
    ) -> Result<Response<RenewResponse>, Status> {
        let (scope, record) = self.gate.caller(&request).await?;
        let hub = self.gate.hub.clone();
        let issued = hub
            .authority
            .issue(scope.uid(), &request.into_inner().csr_der)
            .map_err(|it| Status::invalid_argument(it.to_string()))?;
        let ca_pem = hub.authority.pem().as_bytes().to_vec();
        let mut renewed = record.value;
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

fn send_blob(
    hub: &Hub,
    scope: &ClusterScope,
    digest: &Digest,
    outbox: &mpsc::Sender<Result<BlobChunk, Status>>,
) -> Result<(), Status> {
    let bytes = hub.blobs.get(digest).map_err(|error| {
        tracing::warn!(cluster = %scope.name(), %error, "a blob is missing; it is rendered again");
        if !matches!(error, BlobError::Io { .. }) {
            hub.blobs_lost();
        }
        Status::unavailable("a blob is not there at the moment; it is being made again")
    })?;
    hub.metrics.blob_bytes.inc_by(bytes.len() as u64);
    let mut first = digest.as_bytes().to_vec();
    let mut rest = bytes::Bytes::from(bytes);
    loop {
        let data = rest.split_to(rest.len().min(BLOB_CHUNK_BYTES));
        let chunk = BlobChunk {
            digest: std::mem::take(&mut first).into(),
            data,
            last: rest.is_empty(),
        };
        outbox
            .blocking_send(Ok(chunk))
            .map_err(|_| Status::cancelled("the agent has gone"))?;
        if rest.is_empty() {
            return Ok(());
        }
    }
}
