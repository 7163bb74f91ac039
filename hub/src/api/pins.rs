//! Promotions, rollbacks, freezes: requests that go to the plan, which decides.

use axum::{
    Extension, Json,
    extract::{Path, State},
};
use capstan_core::Revision;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Actor, ApiError, Served,
    actions::{audit, change_overrides, done},
    error::on_disk,
    items::{item, list},
    lists::{cluster_name, no_cluster},
};
use crate::{
    clock::{now_ms, rfc3339},
    plan::{
        Book, EnvironmentKey, Freeze, Pin, PinInput, Refusal, Request, Target,
        promote as promote_pin, release as release_pin, rollback as rollback_pin, unmet_of,
    },
    store::Batch,
};

/// Where to, and why.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Move {
    reason: String,
    /// A revision, or the beginning of its commit.
    to: Option<String>,
    force: bool,
}

/// What to freeze.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Scope {
    /// `*`, a cluster, or `pipeline/environment`.
    scope: String,
    reason: String,
}

fn pin_value(pin: &Pin) -> Value {
    let hold = pin.hold.as_ref();
    json!({
        "revision": pin.revision,
        "since": pin.revision.as_ref().map(|_| rfc3339(pin.since_ms)),
        "by": pin.by,
        "reason": pin.reason,
        "healthy": pin.healthy,
        "hold": hold.map(|it| json!({"actor": it.actor, "reason": it.reason, "since": rfc3339(it.since_ms)})),
    })
}

/// Pipelines.
pub(crate) async fn pipelines(State(served): State<Served>) -> Json<Value> {
    let planned = served.hub.planned();
    let items = planned.with_input(&served.hub, &planned.overrides, |input| {
        let one = |pipeline: &crate::plan::Pipeline| {
            let environment = |stage: &crate::plan::Stage| {
                let key = pipeline.key(stage);
                let pin = planned.book.environments.get(&key).unwrap_or(Pin::none());
                let unmet = unmet_of(input, &planned.book, pipeline, stage);
                let frozen = input.overrides.freezes.contains_key(&key.to_string()) || input.overrides.freezes.contains_key("*");
                json!({
                    "name": stage.name,
                    "revision": pin.revision,
                    "auto": stage.auto,
                    "clusters": stage.clusters,
                    "pin": pin_value(pin),
                    "healthy": pin.revision.is_some() && unmet.is_empty(),
                    "waitsFor": unmet,
                    "frozen": frozen,
                })
            };
            let status = json!({
                "head": planned.heads.get(&pipeline.source),
                "revision": planned.heads.get(&pipeline.source),
                "environments": pipeline.stages.iter().map(environment).collect::<Vec<_>>(),
            });
            let spec = json!({"cluster": "", "kind": "Pipeline", "namespace": "", "source": pipeline.source});
            item("Pipeline", json!({"name": pipeline.name}), spec, status)
        };
        planned.pipelines.iter().map(one).collect()
    });
    Json(list("Pipeline", items))
}

/// What a decision moves.
struct Moved {
    to: Option<Revision>,
    changes: Vec<Value>,
}

impl Moved {
    fn answer(self, message: String) -> Json<Value> {
        Json(json!({"message": message, "changes": self.changes}))
    }

    fn short(&self) -> String {
        self.to.as_ref().map(Revision::short).unwrap_or_default()
    }
}

/// The clusters that a decision moves, from where to where.
fn changes(
    planned: &crate::planner::Planned,
    old: &Book,
    target: &Target,
    to: Option<&Revision>,
) -> Vec<Value> {
    let Some(to) = to else { return Vec::new() };
    let (clusters, source) = match target {
        Target::Cluster(name, source) => (vec![name.clone()], source.clone()),
        Target::Environment(key) => {
            let mut stages = planned
                .pipelines
                .iter()
                .flat_map(|it| it.stages.iter().map(move |stage| (it, stage)));
            let Some((pipeline, stage)) = stages.find(|(it, stage)| it.key(stage) == *key) else {
                return Vec::new();
            };
            (
                stage.clusters.iter().cloned().collect(),
                pipeline.source.clone(),
            )
        }
    };
    let from =
        |name: &capstan_core::ClusterName| old.clusters.get(name)?.get(&source)?.revision.clone();
    clusters
        .iter()
        .map(|it| json!({"cluster": it, "source": source, "from": from(it), "to": to}))
        .collect()
}

/// Runs one decision over the pins, with nobody else deciding meanwhile.
async fn decide(
    served: &Served,
    actor: &Actor,
    verb: &'static str,
    target: Target,
    asked: Move,
    run: impl FnOnce(&PinInput<'_>, &mut Book, &Target, &Request) -> Result<Option<Revision>, Refusal>
    + Send
    + 'static,
) -> Result<Moved, ApiError> {
    let audit = audit(actor, verb, &target, &asked.reason);
    let actor = actor.name();
    let deciding = served.hub.deciding.lock().await;
    let hub = served.hub.clone();
    let moved = on_disk(move || {
        let planned = hub.planned();
        let old = hub.db.book()?;
        let overrides = hub.db.overrides()?.value;
        let to = asked.to.as_deref().filter(|it| !it.is_empty());
        let to = to
            .map(|it| find_revision(&old, &planned.heads, it))
            .transpose()?;
        let request = Request {
            actor,
            reason: asked.reason,
            to,
            force: asked.force,
        };
        let mut book = old.clone();
        let decided = planned.with_input(&hub, &overrides, |input| {
            run(input, &mut book, &target, &request)
        });
        match decided {
            Ok(to) => {
                let mut batch = Batch::default();
                batch.put_book(&old, &book);
                hub.commit_audited(batch, audit)?;
                let changes = changes(&planned, &old, &target, to.as_ref());
                Ok(Moved { to, changes })
            }
            Err(refusal) => {
                let mut batch = Batch::default();
                batch.put_audit(
                    &hub.events
                        .audit_record(audit, &format!("refused: {refusal}")),
                );
                hub.db.commit(&batch)?;
                Err(refusal.into())
            }
        }
    })
    .await?;
    drop(deciding);
    served.hub.wake.notify_one();
    Ok(moved)
}

/// The one revision among those known whose commit begins with `text`, or the revision that `text` is.
pub(super) fn find_revision(
    book: &Book,
    heads: &std::collections::BTreeMap<capstan_core::SourceKey, Revision>,
    text: &str,
) -> Result<Revision, ApiError> {
    let pins = book
        .environments
        .values()
        .chain(book.clusters.values().flat_map(|it| it.values()));
    let known = pins
        .flat_map(|it| it.revision.iter().chain(&it.healthy))
        .chain(heads.values());
    let mut matching: Vec<&Revision> = known
        .filter(|it| it.as_str() == text || it.commit().starts_with(text))
        .collect();
    matching.sort();
    matching.dedup();
    match matching[..] {
        [one] => Ok(one.clone()),
        [] if text.contains(':') => text
            .parse()
            .map_err(|it: capstan_core::IdError| ApiError::Bad(it.to_string())),
        [] => Err(ApiError::NotFound(format!(
            "no pin has had a revision `{text}`; write it whole, as branch@sha1:commit"
        ))),
        _ => Err(ApiError::Bad(format!(
            "`{text}` is the beginning of several revisions; write more of it"
        ))),
    }
}

/// Gives an environment what is healthy in the one before.
pub(crate) async fn promote(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Path((pipeline, environment)): Path<(String, String)>,
    Json(asked): Json<Move>,
) -> Result<Json<Value>, ApiError> {
    let key = EnvironmentKey::new(&pipeline, &environment);
    let target = Target::Environment(key.clone());
    let run = move |input: &PinInput<'_>, book: &mut Book, _: &Target, request: &Request| {
        promote_pin(input, book, &key, request).map(Some)
    };
    let moved = decide(&served, &actor, "promote", target.clone(), asked, run).await?;
    let to = moved.short();
    served.hub.say(
        None,
        capstan_core::Severity::Info,
        "Promoted",
        format!("{target} moves to {to}, as {} asked", actor.name()),
    );
    Ok(moved.answer(format!("{target} moves to {to}")))
}

async fn roll_back(
    served: &Served,
    actor: &Actor,
    target: Target,
    asked: Move,
) -> Result<Json<Value>, ApiError> {
    let run = |input: &PinInput<'_>, book: &mut Book, target: &Target, request: &Request| {
        rollback_pin(input, book, target, request).map(Some)
    };
    let reason = asked.reason.clone();
    let moved = decide(served, actor, "rollback", target.clone(), asked, run).await?;
    let to = moved.short();
    let message = format!(
        "{target} goes back to {to} and is held there, as {} asked: {reason}",
        actor.name()
    );
    served
        .hub
        .say(None, capstan_core::Severity::Warning, "RolledBack", message);
    Ok(moved.answer(format!(
        "{target} goes back to {to}, and stays there until `capstan release`"
    )))
}

async fn let_go(
    served: &Served,
    actor: &Actor,
    target: Target,
    asked: Move,
) -> Result<Json<Value>, ApiError> {
    let run = |input: &PinInput<'_>, book: &mut Book, target: &Target, _: &Request| {
        release_pin(input, book, target).map(|()| None)
    };
    let moved = decide(served, actor, "release", target.clone(), asked, run).await?;
    Ok(moved.answer(format!("{target} may move again")))
}

/// Back to the last healthy revision.
pub(crate) async fn rollback(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Path((pipeline, environment)): Path<(String, String)>,
    Json(asked): Json<Move>,
) -> Result<Json<Value>, ApiError> {
    let target = Target::Environment(EnvironmentKey::new(&pipeline, &environment));
    roll_back(&served, &actor, target, asked).await
}

/// Ends a hold.
pub(crate) async fn release(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Path((pipeline, environment)): Path<(String, String)>,
    Json(asked): Json<Move>,
) -> Result<Json<Value>, ApiError> {
    let target = Target::Environment(EnvironmentKey::new(&pipeline, &environment));
    let_go(&served, &actor, target, asked).await
}

/// The one source that a cluster follows with a unit, for requests that name none.
fn cluster_target(served: &Served, name: &str) -> Result<Target, ApiError> {
    let name = cluster_name(name)?;
    let cluster = served.hub.cluster_now(&name);
    let cluster = cluster.ok_or_else(|| no_cluster(&name))?;
    let sources: Vec<_> = cluster
        .desired
        .iter()
        .flat_map(|it| it.sources.keys())
        .collect();
    match sources[..] {
        [one] => Ok(Target::Cluster(name, one.clone())),
        [] => Err(ApiError::Refused(format!("{name} follows no source yet"))),
        _ => Err(ApiError::Refused(format!(
            "{name} follows several sources; roll back an environment of a pipeline"
        ))),
    }
}

/// Back to the last healthy revision, for one cluster.
pub(crate) async fn rollback_cluster(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Json(asked): Json<Move>,
) -> Result<Json<Value>, ApiError> {
    let target = cluster_target(&served, &name)?;
    roll_back(&served, &actor, target, asked).await
}

/// Ends a hold of one cluster.
pub(crate) async fn release_cluster(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Json(asked): Json<Move>,
) -> Result<Json<Value>, ApiError> {
    let target = cluster_target(&served, &name)?;
    let_go(&served, &actor, target, asked).await
}

/// Stops pins from moving.
pub(crate) async fn freeze(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Json(asked): Json<Scope>,
) -> Result<Json<Value>, ApiError> {
    known_scope(&served, &asked.scope)?;
    let freeze = Freeze {
        actor: actor.name(),
        reason: asked.reason.clone(),
        since_ms: now_ms(),
    };
    let audit = audit(&actor, "freeze", &asked.scope, &asked.reason);
    let scope = asked.scope.clone();
    change_overrides(&served, audit, move |_, overrides, _| {
        overrides.freezes.insert(scope, freeze);
        Ok(())
    })
    .await?;
    Ok(done(format!(
        "{} is frozen: no pin moves there",
        asked.scope
    )))
}

/// Lets pins move again.
pub(crate) async fn unfreeze(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Json(asked): Json<Scope>,
) -> Result<Json<Value>, ApiError> {
    let audit = audit(&actor, "unfreeze", &asked.scope, &asked.reason);
    let scope = asked.scope.clone();
    change_overrides(&served, audit, move |_, overrides, _| {
        let was = overrides.freezes.remove(&scope);
        was.map(|_| ())
            .ok_or_else(|| ApiError::Refused(format!("{scope} is not frozen")))
    })
    .await?;
    Ok(done(format!("{} may move again", asked.scope)))
}

/// A freeze of something that does not exist would freeze nothing, and nobody would know.
fn known_scope(served: &Served, scope: &str) -> Result<(), ApiError> {
    let planned = served.hub.planned();
    let environments = planned
        .pipelines
        .iter()
        .flat_map(|it| it.stages.iter().map(|stage| it.key(stage).to_string()));
    let clusters = planned.placing.keys().map(ToString::to_string);
    let known = environments
        .chain(clusters)
        .chain(["*".to_owned()])
        .any(|it| it == scope);
    if known {
        return Ok(());
    }
    Err(ApiError::NotFound(format!(
        "`{scope}` is no scope: `*`, a cluster, or pipeline/environment"
    )))
}
