//! Turning a one-time token into a certificate.

use capstan_proto::v1::{EnrollRequest, EnrollResponse, enrolment_server::Enrolment};
use tonic::{Request, Response, Status};

use super::{Gate, gate::on_disk};
use crate::{
    clock::now_ms,
    identity::{Issued, parse_token},
    limit::RateLimit,
    state::Hub,
    store::{Batch, ClusterState, DbError, StoreError},
};

/// Longest UID of a namespace.
const MAX_UID_BYTES: usize = 128;

/// The service for agents without a certificate.
pub(crate) struct Service {
    gate: Gate,
    limit: RateLimit,
}

impl Service {
    pub(crate) fn new(gate: Gate) -> Self {
        let limit = RateLimit::per_second(gate.hub.config.enrolments_per_second);
        Self { gate, limit }
    }
}

/// What enrolling gave, or why not; the same words for every token that is no good.
enum Enrolled {
    Yes { issued: Issued, name: String },
    BadToken,
    BadRequest(String),
    OtherCluster,
}

#[tonic::async_trait]
impl Enrolment for Service {
    async fn enroll(
        &self,
        request: Request<EnrollRequest>,
    ) -> Result<Response<EnrollResponse>, Status> {
        if !self.limit.take(now_ms()) {
            return Err(Status::resource_exhausted(
                "too many enrolments at once; try again in a few seconds",
            ));
        }
        let request = request.into_inner();
        let uid = &request.kube_system_uid;
        if uid.is_empty() || uid.len() > MAX_UID_BYTES {
            return Err(Status::invalid_argument("kube_system_uid must be set"));
        }
        let hub = self.gate.hub.clone();
        let enrolled = on_disk(move || enroll(&hub, &request)).await?;
        match enrolled {
            Enrolled::Yes { issued, name } => {
                let hub = &self.gate.hub;
                if let Ok(cluster) = name.parse() {
                    hub.say(
                        Some(&cluster),
                        capstan_core::Severity::Info,
                        "Enrolled",
                        "an agent has enrolled",
                    );
                }
                hub.heard.notify_one();
                Ok(Response::new(EnrollResponse {
                    certificate_pem: issued.pem.into_bytes().into(),
                    ca_pem: hub.authority.pem().as_bytes().to_vec().into(),
                    cluster_name: name,
                    hub_id: hub.record.hub_id.clone(),
                }))
            }
            Enrolled::BadToken => Err(Status::permission_denied(
                "the token is not good: used, expired or wrong; `capstan cluster token` makes a new one",
            )),
            Enrolled::BadRequest(reason) => Err(Status::invalid_argument(reason)),
            Enrolled::OtherCluster => Err(Status::failed_precondition(
                "another Kubernetes cluster was enrolled under this name; `capstan cluster remove` it and add it again",
            )),
        }
    }
}

fn enroll(hub: &Hub, request: &EnrollRequest) -> Result<Enrolled, DbError> {
    let Some((id, hash)) = parse_token(&request.token) else {
        return Ok(Enrolled::BadToken);
    };
    let Some(token) = hub.db.token(id)? else {
        return Ok(Enrolled::BadToken);
    };
    use subtle::ConstantTimeEq;
    let same: bool = token.value.hash.as_bytes().ct_eq(hash.as_bytes()).into();
    if !same || now_ms() > token.value.expires_ms {
        return Ok(Enrolled::BadToken);
    }
    let Some(cluster) = hub.db.cluster(&token.value.cluster) else {
        return Ok(Enrolled::BadToken);
    };
    let mut record = (*cluster.value).clone();
    if record.state == ClusterState::Revoked {
        return Ok(Enrolled::BadToken);
    }
    if record
        .kube_system_uid
        .as_ref()
        .is_some_and(|it| *it != request.kube_system_uid)
    {
        return Ok(Enrolled::OtherCluster);
    }
    let issued = match hub.authority.issue(&record.uid, &request.csr_der) {
        Ok(issued) => issued,
        Err(error) => return Ok(Enrolled::BadRequest(error.to_string())),
    };
    record.state = ClusterState::Enrolled;
    record.kube_system_uid = Some(request.kube_system_uid.clone());
    record.certificates += 1;
    record.certificate_ends_ms = Some(issued.ends_ms);
    let mut batch = Batch::default();
    batch.take_token(id, token.revision);
    batch.put_cluster(&record, Some(cluster.revision));
    match hub.db.commit(&batch) {
        Ok(_) => Ok(Enrolled::Yes {
            issued,
            name: record.name.to_string(),
        }),
        // Two with one token: the other was first.
        Err(DbError::Store(StoreError::Conflict { .. })) => Ok(Enrolled::BadToken),
        Err(error) => Err(error),
    }
}
