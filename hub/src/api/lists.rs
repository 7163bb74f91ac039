//! What there is.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, Query, State},
    response::Response,
};
use capstan_core::{ClusterName, SourceKey, UnitKey};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ApiError, Served,
    error::listed,
    items::{cluster_item, item, list, object_items, unit_item},
};
use crate::{clock::rfc3339, fleet::ClusterView, source::without_credentials, state::Hub};

/// What to list. An empty value is no filter.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Filter {
    cluster: Option<String>,
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    environment: Option<String>,
    unit: Option<String>,
}

fn passes(filter: Option<&String>, value: &str) -> bool {
    filter.is_none_or(|it| it.is_empty() || it == value)
}

impl Filter {
    fn takes_cluster(&self, name: &ClusterName, environments: &[String]) -> bool {
        let environment = self.environment.as_ref().filter(|it| !it.is_empty());
        let in_environment = environment.is_none_or(|wanted| {
            let named =
                |it: &String| it == wanted || it.split_once('/').is_some_and(|it| it.1 == wanted);
            environments.iter().any(named)
        });
        passes(self.cluster.as_ref(), name.as_str()) && in_environment
    }

    fn takes_unit(&self, key: &UnitKey) -> bool {
        passes(self.kind.as_ref(), key.kind.as_str())
            && passes(self.namespace.as_ref(), &key.namespace)
            && (passes(self.name.as_ref(), &key.name)
                || passes(self.name.as_ref(), &key.to_string()))
            && passes(self.unit.as_ref(), &key.to_string())
    }
}

/// The parts of a unit's address.
#[derive(Debug, Deserialize)]
pub(crate) struct UnitPath {
    pub(super) cluster: String,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl UnitPath {
    pub(crate) fn key(&self) -> Result<UnitKey, ApiError> {
        let text = format!(
            "{}/{}/{}/{}",
            self.cluster, self.kind, self.namespace, self.name
        );
        text.parse()
            .map_err(|it: capstan_core::IdError| ApiError::Bad(it.to_string()))
    }
}

/// The hub itself.
pub(crate) async fn hub(State(served): State<Served>) -> Json<Value> {
    let hub = &served.hub;
    let problems = hub.view().problems.clone();
    let overrides = hub.planned().overrides.clone();
    let freezes: BTreeMap<_, _> = overrides
        .freezes
        .iter()
        .map(|(scope, it)| {
            (
                scope.clone(),
                json!({"actor": it.actor, "reason": it.reason, "since": rfc3339(it.since_ms)}),
            )
        })
        .collect();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "hubId": hub.record.hub_id,
        "storeEpoch": hub.record.epoch,
        "agentsAddress": hub.agents_address,
        "trustDomain": hub.authority.trust_domain(),
        "caCertificate": hub.authority.pem(),
        "fleetProblems": problems,
        "freezes": freezes,
    }))
}

/// Clusters.
pub(crate) async fn clusters(
    State(served): State<Served>,
    Query(filter): Query<Filter>,
) -> Result<Response, ApiError> {
    listed(move || {
        let hub = &served.hub;
        let view = hub.view_now();
        let shown = view.clusters.iter().filter(|(name, it)| {
            filter.takes_cluster(name, &it.environments)
                && passes(filter.name.as_ref(), name.as_str())
        });
        let record = |it: &ClusterView| hub.db.cluster(&it.uid).map(|it| it.value);
        let items = shown.map(|(name, it)| cluster_item(name, it, record(it).as_deref()));
        list("Cluster", items.collect())
    })
    .await
}

/// One cluster.
pub(crate) async fn cluster(
    State(served): State<Served>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let name = cluster_name(&name)?;
    let cluster = served.hub.cluster_now(&name);
    let cluster = cluster.ok_or_else(|| no_cluster(&name))?;
    let record = served.hub.db.cluster(&cluster.uid).map(|it| it.value);
    Ok(Json(cluster_item(&name, &cluster, record.as_deref())))
}

/// Units.
pub(crate) async fn units(
    State(served): State<Served>,
    Query(filter): Query<Filter>,
) -> Result<Response, ApiError> {
    listed(move || {
        let view = served.hub.view_now();
        let mut items = Vec::new();
        for (name, cluster) in &view.clusters {
            if filter.takes_cluster(name, &cluster.environments) {
                let keys = cluster.unit_keys();
                items.extend(
                    keys.iter()
                        .filter(|it| filter.takes_unit(it))
                        .map(|it| unit_item(cluster, it)),
                );
            }
        }
        list("Unit", items)
    })
    .await
}

/// One unit, with its entries.
pub(crate) async fn unit(
    State(served): State<Served>,
    Path(path): Path<UnitPath>,
) -> Result<Json<Value>, ApiError> {
    let key = path.key()?;
    let found = {
        let cluster = served.hub.cluster_now(&key.home);
        let cluster = cluster.ok_or_else(|| no_cluster(&key.home))?;
        if !cluster.unit_keys().contains(&key) {
            return Err(no_unit(&key));
        }
        let mut found = unit_item(&cluster, &key);
        if let Some(unit) = cluster.desired.as_ref().and_then(|it| it.units.get(&key)) {
            let entry = |it: &capstan_core::Entry| json!({"key": it.key.to_string(), "path": it.path, "digest": it.digest});
            found["entries"] = unit.entries.iter().map(entry).collect();
        }
        found
    };
    Ok(Json(found))
}

/// Objects.
pub(crate) async fn objects(
    State(served): State<Served>,
    Query(filter): Query<Filter>,
) -> Result<Response, ApiError> {
    listed(move || {
        let view = served.hub.view_now();
        let mut items = Vec::new();
        for (name, cluster) in &view.clusters {
            if !filter.takes_cluster(name, &cluster.environments) {
                continue;
            }
            for key in cluster
                .units
                .keys()
                .filter(|it| passes(filter.unit.as_ref(), &it.to_string()))
            {
                let text = |it: &Value, pointer: &str| {
                    it.pointer(pointer)
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .to_owned()
                };
                let shown = object_items(cluster, key).into_iter().filter(|it| {
                    passes(filter.kind.as_ref(), &text(it, "/spec/kind"))
                        && passes(filter.namespace.as_ref(), &text(it, "/spec/namespace"))
                        && passes(filter.name.as_ref(), &text(it, "/metadata/name"))
                });
                items.extend(shown);
            }
        }
        list("Object", items)
    })
    .await
}

/// Sources.
pub(crate) async fn sources(State(served): State<Served>) -> Json<Value> {
    let table = served.hub.source_table();
    let one = |(key, it): (&SourceKey, &crate::source::SourceStatus)| {
        let (status, reason) = match (&it.error, &it.head) {
            (Some(_), _) => ("False", "FetchFailed"),
            (None, Some(_)) => ("True", "Fetched"),
            (None, None) => ("Unknown", "NotFetchedYet"),
        };
        let message = it.error.clone().unwrap_or_default();
        let condition =
            json!({"type": "Ready", "status": status, "reason": reason, "message": message});
        let spec = json!({
            "kind": key.kind,
            "namespace": key.namespace,
            "cluster": "",
            "url": without_credentials(&it.spec.url),
            "follows": it.spec.follow.to_string(),
            "intervalSeconds": it.spec.interval.as_secs(),
            "suspend": it.spec.suspend,
        });
        let status = json!({"conditions": [condition], "revision": it.head, "fetched": it.fetched_ms.map(rfc3339)});
        item(
            "Source",
            json!({"name": key.name, "key": key}),
            spec,
            status,
        )
    };
    Json(list("Source", table.sources.iter().map(one).collect()))
}

pub(super) fn cluster_name(text: &str) -> Result<ClusterName, ApiError> {
    text.parse()
        .map_err(|it: capstan_core::IdError| ApiError::Bad(it.to_string()))
}

pub(super) fn no_cluster(name: &ClusterName) -> ApiError {
    ApiError::NotFound(format!(
        "there is no cluster {name}; `capstan get clusters` lists those that were added"
    ))
}

pub(super) fn no_unit(key: &UnitKey) -> ApiError {
    ApiError::NotFound(format!(
        "there is no unit {key}; `capstan get units` lists all"
    ))
}

/// What is wrong in Git: in the fleet path, and in what units are rendered from.
pub(crate) async fn problems(State(served): State<Served>) -> Result<Response, ApiError> {
    listed(move || list("Problem", all_problems(&served.hub))).await
}

fn all_problems(hub: &Hub) -> Vec<Value> {
    let problem = |level: &str,
                   file: Option<&String>,
                   line: Option<u32>,
                   unit: Option<&UnitKey>,
                   message: String| {
        let cluster = unit.map(|it| &it.home);
        json!({"kind": "Problem", "level": level, "cluster": cluster, "file": file, "line": line, "unit": unit, "message": message})
    };
    let mut items = Vec::new();
    if let Some(fleet) = &hub.planned().fleet {
        for it in &fleet.problems {
            let level = if it.level == capstan_render::Level::Error {
                "Error"
            } else {
                "Warning"
            };
            items.push(problem(
                level,
                it.file.as_ref(),
                it.line,
                None,
                it.message.clone(),
            ));
        }
    } else {
        let view = hub.view_now();
        items.extend(
            view.problems
                .iter()
                .map(|it| problem("Error", None, None, None, it.clone())),
        );
    }
    for placing in hub.planned().placing.values() {
        items.extend(
            placing
                .problems
                .iter()
                .map(|it| problem("Error", None, None, None, it.clone())),
        );
    }
    let view = hub.view_now();
    for (name, cluster) in &view.clusters {
        let kept = cluster.desired.iter().flat_map(|it| &it.units);
        let kept = kept
            .filter(|it| !cluster.orphans.contains_key(it.0))
            .filter_map(|(key, it)| Some((key, it.problem.clone()?)));
        let failed = cluster.failed.iter().map(|(key, it)| (key, it.clone()));
        items.extend(
            kept.chain(failed)
                .map(|(key, message)| problem("Error", None, None, Some(key), message)),
        );
        items.extend(cluster.warnings.iter().map(|message| {
            let mut item = problem("Warning", None, None, None, message.clone());
            item["cluster"] = json!(name);
            item
        }));
    }
    items
}
