//! Adding clusters and cutting them off.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension, Json,
    extract::{Path, State},
};
use capstan_core::{ClusterName, ClusterUid};
use capstan_proto::v1;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Actor, ApiError, Served,
    actions::{Why, audit, done},
    error::on_disk,
    lists::{cluster_name, no_cluster},
    manifest,
};
use crate::{
    clock::{now_ms, rfc3339},
    identity::{TOKEN_LIFE_MS, new_token},
    secret::Secret,
    state::{Audit, Hub},
    store::{Batch, ClusterRecord, ClusterState, TokenRecord, Versioned},
};

/// Labels and variables of one cluster.
const MAX_PAIRS: usize = 100;
/// Longest key or value.
const MAX_PAIR_BYTES: usize = 1024;

/// A cluster to add.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Add {
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    reason: String,
}

/// Adds a cluster.
pub(crate) async fn add(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Json(asked): Json<Add>,
) -> Result<Json<Value>, ApiError> {
    let name = cluster_name(&asked.name)?;
    let pairs = asked.labels.iter().chain(&asked.variables);
    if pairs.clone().count() > MAX_PAIRS
        || pairs
            .into_iter()
            .any(|it| it.0.len() + it.1.len() > MAX_PAIR_BYTES)
    {
        return Err(ApiError::Bad(format!(
            "at most {MAX_PAIRS} labels and variables of {MAX_PAIR_BYTES} bytes"
        )));
    }
    let uid: ClusterUid = uuid::Uuid::new_v4()
        .to_string()
        .parse()
        .map_err(|_| ApiError::Unavailable)?;
    let audit = audit(&actor, "cluster add", &name, &asked.reason);
    let hub = served.hub.clone();
    let answer = on_disk(move || {
        if hub.db.cluster_named(&name).is_some() {
            return Err(ApiError::Refused(format!(
                "there is a cluster {name} already; `capstan cluster token {name}` makes a new token for it"
            )));
        }
        let record = ClusterRecord {
            sealed_digest_key: hub.new_digest_key(&uid),
            labels: asked.labels,
            variables: asked.variables,
            ..ClusterRecord::added(uid, name, now_ms())
        };
        let mut batch = Batch::default();
        batch.put_cluster(&record, None);
        let token = put_token(&mut batch, &record.uid);
        hub.commit_audited(batch, audit)?;
        // Now, and not with the next plan: its agent may be connected before that, and is to be seen.
        hub.change_view(|view| {
            view.know(&record.name, &record.uid);
        });
        Ok(enrolment(&hub, &record, &token))
    })
    .await?;
    served.hub.heard.notify_one();
    Ok(Json(answer))
}

fn put_token(batch: &mut Batch, uid: &ClusterUid) -> Secret {
    let made = new_token();
    let record = TokenRecord {
        hash: made.hash,
        cluster: uid.clone(),
        expires_ms: now_ms() + TOKEN_LIFE_MS,
    };
    batch.put_token(&made.id, &record);
    made.token
}

/// The one answer that has the token in it.
fn enrolment(hub: &Hub, record: &ClusterRecord, token: &Secret) -> Value {
    json!({
        "metadata": {"name": record.name, "uid": record.uid},
        "token": token.expose_text(),
        "expires": rfc3339(now_ms() + TOKEN_LIFE_MS),
        "hub": hub.agents_address,
        "caCertificate": hub.authority.pem(),
        "manifest": manifest::agent(hub, record.name.as_str(), token),
    })
}

fn find(hub: &Hub, name: &ClusterName) -> Result<Versioned<Arc<ClusterRecord>>, ApiError> {
    hub.db.cluster_named(name).ok_or_else(|| no_cluster(name))
}

/// Deletes the tokens of a cluster that nobody has used.
fn drop_tokens(hub: &Hub, uid: &ClusterUid, batch: &mut Batch) -> Result<(), ApiError> {
    for (id, token) in hub.db.tokens()? {
        if token.value.cluster == *uid || token.value.expires_ms < now_ms() {
            batch.delete_token(&id);
        }
    }
    Ok(())
}

/// A new token for a cluster; those before it are no good any more.
pub(crate) async fn token(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Json(why): Json<Why>,
) -> Result<Json<Value>, ApiError> {
    let name = cluster_name(&name)?;
    let audit = audit(&actor, "cluster token", &name, &why.reason());
    let hub = served.hub.clone();
    let answer = on_disk(move || {
        let found = find(&hub, &name)?;
        let mut record = (*found.value).clone();
        let mut batch = Batch::default();
        drop_tokens(&hub, &record.uid, &mut batch)?;
        if record.state == ClusterState::Revoked {
            record.state = ClusterState::Pending;
        }
        batch.put_cluster(&record, Some(found.revision));
        let token = put_token(&mut batch, &record.uid);
        hub.commit_audited(batch, audit)?;
        Ok(enrolment(&hub, &record, &token))
    })
    .await?;
    Ok(Json(answer))
}

/// Cuts a cluster off.
pub(crate) async fn revoke(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Json(why): Json<Why>,
) -> Result<Json<Value>, ApiError> {
    let name = cluster_name(&name)?;
    let audit = audit(&actor, "cluster revoke", &name, &why.reason());
    let hub = served.hub.clone();
    let asked = name.clone();
    on_disk(move || {
        let found = find(&hub, &asked)?;
        let mut record = (*found.value).clone();
        record.state = ClusterState::Revoked;
        let mut batch = Batch::default();
        drop_tokens(&hub, &record.uid, &mut batch)?;
        batch.put_cluster(&record, Some(found.revision));
        hub.commit_audited(batch, audit)?;
        // Only now: a session that began before would else begin again.
        hub.links.cut(&record.uid);
        Ok(())
    })
    .await?;
    Ok(done(format!(
        "{name} is cut off; its objects stay, and its agent goes on correcting drift by what it holds"
    )))
}

/// Forgets a cluster. Nothing is deleted in it.
pub(crate) async fn remove(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    why: Option<Json<Why>>,
) -> Result<Json<Value>, ApiError> {
    let name = cluster_name(&name)?;
    let reason = why.map(|it| it.0.reason()).unwrap_or_default();
    let audit: Audit = audit(&actor, "cluster remove", &name, &reason);
    let hub = served.hub.clone();
    let asked = name.clone();
    let _deciding = served.hub.deciding.lock().await;
    on_disk(move || {
        let record = find(&hub, &asked)?.value;
        let mut batch = Batch::default();
        drop_tokens(&hub, &record.uid, &mut batch)?;
        batch.delete_cluster(&record, hub.db.desired_chunks(&record.uid)?);
        // A cluster that gets the name later is another one.
        let mut overrides = hub.db.overrides()?.value;
        overrides.units.retain(|it, _| it.home != asked);
        overrides.removals.retain(|it, _| it.home != asked);
        overrides.freezes.remove(asked.as_str());
        batch.put_overrides(&overrides);
        hub.commit_audited(batch, audit)?;
        hub.links.forget(&record.uid);
        hub.change_view(|view| view.clusters.remove(&asked));
        Ok(())
    })
    .await?;
    served.hub.wake.notify_one();
    Ok(done(format!(
        "{name} is forgotten; its objects stay where they are"
    )))
}

/// Lets the agent remove units although the store epoch changed.
pub(crate) async fn confirm_epoch(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Json(why): Json<Why>,
) -> Result<Json<Value>, ApiError> {
    let name = cluster_name(&name)?;
    let audit = audit(&actor, "approve epoch", &name, &why.reason());
    let hub = served.hub.clone();
    on_disk(move || {
        let record = find(&hub, &name)?.value;
        hub.commit_audited(Batch::default(), audit)?;
        let command = v1::Command {
            id: uuid::Uuid::new_v4().to_string(),
            command: Some(v1::command::Command::ConfirmEpoch(
                hub.record.epoch.to_string(),
            )),
        };
        if hub.links.command(&record.uid, command) {
            Ok(done(
                "the agent may take this hub's word for what is to be removed",
            ))
        } else {
            Err(ApiError::Refused(
                "too many commands wait for this agent".into(),
            ))
        }
    })
    .await
}
