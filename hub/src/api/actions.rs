//! What people do with units and sources.

use axum::{
    Extension, Json,
    body::to_bytes,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use capstan_core::{SourceKey, UnitKey};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Actor, ApiError, MAX_BODY_BYTES, Peer, Served,
    error::{error, on_disk},
    lists::{UnitPath, no_unit},
};
use crate::{
    clock::{now_ms, rfc3339},
    plan::{Hold, Overrides, UnitOverride},
    planner,
    secret::Secret,
    source::{Announced, announced},
    state::{Audit, Hub},
    store::Batch,
};

/// Longest reason that is kept.
const MAX_REASON_CHARS: usize = 500;

/// Why somebody does something.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Why {
    pub(super) reason: String,
}

impl Why {
    pub(super) fn reason(&self) -> String {
        self.reason
            .chars()
            .filter(|it| !it.is_control())
            .take(MAX_REASON_CHARS)
            .collect()
    }
}

/// An answer to something that was done.
pub(super) fn done(message: impl Into<String>) -> Json<Value> {
    Json(json!({"message": message.into()}))
}

pub(super) fn audit(actor: &Actor, verb: &str, target: impl ToString, reason: &str) -> Audit {
    Audit {
        actor: actor.name(),
        verb: verb.to_owned(),
        target: target.to_string(),
        reason: reason.to_owned(),
    }
}

/// Changes the overrides, with nobody else changing them meanwhile.
pub(super) async fn change_overrides(
    served: &Served,
    audit: Audit,
    change: impl FnOnce(&Hub, &mut Overrides, &mut Batch) -> Result<(), ApiError> + Send + 'static,
) -> Result<(), ApiError> {
    let deciding = served.hub.deciding.lock().await;
    let hub = served.hub.clone();
    on_disk(move || {
        let mut overrides = hub.db.overrides()?.value;
        let mut batch = Batch::default();
        change(&hub, &mut overrides, &mut batch)?;
        batch.put_overrides(&overrides);
        hub.commit_audited(batch, audit)?;
        Ok(())
    })
    .await?;
    drop(deciding);
    served.hub.wake.notify_one();
    Ok(())
}

fn known(hub: &Hub, key: &UnitKey) -> Result<(), ApiError> {
    let cluster = hub.cluster_now(&key.home);
    let found = cluster.is_some_and(|it| it.unit_keys().contains(key));
    if found { Ok(()) } else { Err(no_unit(key)) }
}

/// Compare and apply now.
pub(crate) async fn reconcile(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Path(path): Path<UnitPath>,
    Json(why): Json<Why>,
) -> Result<Json<Value>, ApiError> {
    let key = path.key()?;
    known(&served.hub, &key)?;
    let source = {
        let cluster = served.hub.cluster_now(&key.home);
        let desired = cluster.and_then(|it| it.desired.clone());
        desired.and_then(|it| Some(it.units.get(&key)?.source.clone()))
    };
    if let Some(source) = &source {
        served.hub.fetch_now(source);
    }
    let at = format!("{}.{:03}", rfc3339(now_ms()), now_ms() % 1000);
    let asked = key.clone();
    change_overrides(
        &served,
        audit(&actor, "reconcile", &key, &why.reason()),
        move |hub, overrides, _| {
            let git = suspended_in_git(hub, &asked, overrides);
            let set = overrides
                .units
                .entry(asked)
                .or_insert_with(|| UnitOverride {
                    suspended_in_git: git,
                    ..UnitOverride::default()
                });
            set.requested_at = Some(at);
            Ok(())
        },
    )
    .await?;
    Ok(done(format!("{key} is compared and applied now")))
}

/// Whether Git suspends a unit, as far as it is known apart from what people set.
fn suspended_in_git(hub: &Hub, key: &UnitKey, overrides: &Overrides) -> bool {
    if let Some(set) = overrides.units.get(key) {
        return set.suspended_in_git;
    }
    let cluster = hub.cluster_now(&key.home);
    let desired = cluster.as_ref().and_then(|it| it.desired.as_ref());
    desired
        .and_then(|it| it.units.get(key))
        .is_some_and(|it| it.spec.suspend)
}

/// Leave a unit as it is.
pub(crate) async fn suspend(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Path(path): Path<UnitPath>,
    Json(why): Json<Why>,
) -> Result<Json<Value>, ApiError> {
    let key = path.key()?;
    known(&served.hub, &key)?;
    let hold = Hold {
        actor: actor.name(),
        reason: why.reason(),
        since_ms: now_ms(),
    };
    let asked = key.clone();
    change_overrides(
        &served,
        audit(&actor, "suspend", &key, &why.reason()),
        move |hub, overrides, _| {
            let git = suspended_in_git(hub, &asked, overrides);
            let set = overrides.units.entry(asked).or_default();
            set.suspend = Some(hold);
            set.suspended_in_git = git;
            Ok(())
        },
    )
    .await?;
    Ok(done(format!(
        "{key} is suspended: it stays as it is until `capstan resume`"
    )))
}

/// Take a unit up again.
pub(crate) async fn resume(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Path(path): Path<UnitPath>,
    Json(why): Json<Why>,
) -> Result<Json<Value>, ApiError> {
    let key = path.key()?;
    known(&served.hub, &key)?;
    let asked = key.clone();
    change_overrides(
        &served,
        audit(&actor, "resume", &key, &why.reason()),
        move |_, overrides, _| {
            let set = overrides
                .units
                .get_mut(&asked)
                .filter(|it| it.suspend.is_some());
            let not = || {
                ApiError::Refused(format!(
                    "{asked} was not suspended here; where Git suspends it, resume it there"
                ))
            };
            set.ok_or_else(not)?.suspend = None;
            Ok(())
        },
    )
    .await?;
    Ok(done(format!("{key} is taken up again")))
}

/// Confirm a removal: of an orphan, or what a fuse stopped.
pub(crate) async fn approve(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Path(path): Path<UnitPath>,
    Json(why): Json<Why>,
) -> Result<Json<Value>, ApiError> {
    let key = path.key()?;
    let hold = Hold {
        actor: actor.name(),
        reason: why.reason(),
        since_ms: now_ms(),
    };
    let (uid, orphaned, confirm) = {
        let cluster = served.hub.cluster_now(&key.home);
        let cluster = cluster.ok_or_else(|| no_unit(&key))?;
        let confirm = cluster.units.get(&key).and_then(|it| it.confirm);
        (
            cluster.uid.clone(),
            cluster.orphans.contains_key(&key),
            confirm,
        )
    };
    let audit = audit(&actor, "approve", &key, &why.reason());
    if orphaned {
        let asked = key.clone();
        change_overrides(&served, audit, move |hub, overrides, batch| {
            let mut orphans = hub.db.orphans(&asked.home)?;
            let orphan = orphans.get_mut(&asked).ok_or_else(|| no_unit(&asked))?;
            orphan.confirmed = Some(hold.clone());
            batch.put_orphans(&asked.home, &orphans);
            overrides.removals.insert(asked, hold);
            Ok(())
        })
        .await?;
        return Ok(done(format!("{key} is removed with its objects")));
    }
    let Some(digest) = confirm else {
        return Err(ApiError::Refused(format!(
            "{key} waits for no confirmation"
        )));
    };
    let hub = served.hub.clone();
    let command = planner::confirm(&key, &digest, &hold.actor, &hold.reason);
    on_disk(move || {
        hub.commit_audited(Batch::default(), audit)?;
        if hub.links.command(&uid, command) {
            Ok(())
        } else {
            Err(ApiError::Refused(
                "too many commands wait for this agent".into(),
            ))
        }
    })
    .await?;
    Ok(done(format!("{key}: the agent may go on")))
}

/// Fetch a source now.
pub(crate) async fn fetch(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Path(path): Path<(String, String, String)>,
    Json(why): Json<Why>,
) -> Result<Json<Value>, ApiError> {
    let key = source_key(&path)?;
    if !served.hub.fetch_now(&key) {
        return Err(ApiError::NotFound(format!(
            "there is no source {key}; `capstan get sources` lists all"
        )));
    }
    let (hub, audit) = (
        served.hub.clone(),
        audit(&actor, "reconcile", &key, &why.reason()),
    );
    let asked = key.clone();
    on_disk(move || {
        planner::forgive(&hub.db, &asked)?;
        Ok(hub.commit_audited(Batch::default(), audit)?)
    })
    .await?;
    served.hub.wake.notify_one();
    Ok(done(format!("{key} is fetched now")))
}

fn source_key((kind, namespace, name): &(String, String, String)) -> Result<SourceKey, ApiError> {
    let text = format!("{kind}/{namespace}/{name}");
    text.parse()
        .map_err(|it: capstan_core::IdError| ApiError::Bad(it.to_string()))
}

/// Announces news of a source. Whoever has no good signature learns nothing, not even whether there is such a source.
pub(crate) async fn webhook(
    State(served): State<Served>,
    peer: Peer,
    Path(path): Path<(String, String, String)>,
    request: Request,
) -> Response {
    if !served.access.webhooks.take(peer.0, now_ms()) {
        return ApiError::TooMany.into_response();
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        let message = format!("an announcement has at most {MAX_BODY_BYTES} bytes");
        return error(StatusCode::PAYLOAD_TOO_LARGE, "TooLarge", &message);
    };
    let refused = || {
        error(
            StatusCode::UNAUTHORIZED,
            "Unauthorized",
            "no signature that this source accepts",
        )
    };
    let Ok(key) = source_key(&path) else {
        return refused();
    };
    let hooks = served
        .hub
        .config
        .webhooks
        .iter()
        .filter(|it| it.source == key);
    let files: Vec<_> = hooks
        .filter_map(|it| Some(served.hub.config.secrets_dir.as_ref()?.join(&it.secret)))
        .collect();
    let good = tokio::task::spawn_blocking(move || {
        files.iter().any(|file| match Secret::read(file) {
            Ok(secret) => announced(&secret, &parts.headers, &body) == Announced::Yes,
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "the secret of a webhook cannot be read");
                false
            }
        })
    })
    .await;
    if !matches!(good, Ok(true)) || !served.hub.fetch_now(&key) {
        return refused();
    }
    tracing::info!(source = %key, peer = %peer.0, "news announced");
    (StatusCode::ACCEPTED, done("fetching")).into_response()
}
