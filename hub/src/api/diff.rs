//! What a revision would change: rendered as the hub would render it, compared with what is desired now.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    Json,
    extract::{Path, Query, State},
};
use capstan_core::{
    ClusterName, DesiredState, Entry, MediaType, ObjectKey, Revision, SourceKey, UnitKey,
};
use capstan_render::{
    Memo, RenderedEntry,
    cluster::PinnedTree,
    substitute::{Variables, complete},
};
use serde::Deserialize;
use serde_json::{Value, json};
use similar::TextDiff;

use super::{
    ApiError, Served,
    error::on_disk,
    items::list,
    lists::{UnitPath, cluster_name, no_cluster},
    pins::find_revision,
};
use crate::{
    plan::Outcome,
    planner::{Planned, open_tree},
    render,
    state::Hub,
    store::BlobError,
};

/// Lines around a change.
const CONTEXT_LINES: usize = 3;
/// Changes that one answer has.
const MAX_CHANGES: usize = 5_000;

/// What to compare with.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    revision: Option<String>,
}

/// The differences of a cluster.
pub(crate) async fn cluster(
    State(served): State<Served>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, ApiError> {
    let name = cluster_name(&name)?;
    let hub = served.hub.clone();
    let items = on_disk(move || differences(&hub, &name, None, &asked)).await?;
    Ok(Json(list("Diff", items)))
}

/// The differences of a unit.
pub(crate) async fn unit(
    State(served): State<Served>,
    Path(path): Path<UnitPath>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, ApiError> {
    let key = path.key()?;
    let hub = served.hub.clone();
    let items = on_disk(move || differences(&hub, &key.home, Some(&key), &asked)).await?;
    Ok(Json(list("Diff", items)))
}

fn differences(
    hub: &Hub,
    name: &ClusterName,
    unit: Option<&UnitKey>,
    asked: &Asked,
) -> Result<Vec<Value>, ApiError> {
    let planned = hub.planned();
    if !planned.placing.contains_key(name) {
        return Err(no_cluster(name));
    }
    let wanted = asked.revision.as_ref().filter(|it| !it.is_empty());
    let wanted = wanted.map(|it| find(hub, &planned, it)).transpose()?;
    let items = cluster_differences(hub, &planned, name, wanted.as_ref(), unit)?;
    if items.len() > MAX_CHANGES {
        return Err(ApiError::Refused(format!(
            "more than {MAX_CHANGES} objects differ; ask for one unit"
        )));
    }
    Ok(items)
}

/// A revision that a pin has or had, or any commit that a mirror has.
fn find(hub: &Hub, planned: &Planned, text: &str) -> Result<Revision, ApiError> {
    match find_revision(&planned.book, &planned.heads, text) {
        Err(ApiError::NotFound(_)) => {
            let sources: Vec<SourceKey> = hub.source_table().sources.keys().cloned().collect();
            let revision: Option<Revision> = format!("sha1:{text}").parse().ok();
            let known = revision.filter(|it| {
                sources
                    .iter()
                    .any(|source| open_tree(hub, source, it).is_ok())
            });
            let not = || {
                ApiError::NotFound(format!(
                    "no source has a commit `{text}`; push it, write it whole, and `capstan reconcile SOURCE` fetches it"
                ))
            };
            known.ok_or_else(not)
        }
        other => other,
    }
}

fn cluster_differences(
    hub: &Hub,
    planned: &Planned,
    name: &ClusterName,
    wanted: Option<&Revision>,
    unit: Option<&UnitKey>,
) -> Result<Vec<Value>, ApiError> {
    let Some(record) = hub.db.cluster_named(name).map(|it| it.value) else {
        return Ok(Vec::new());
    };
    let Some(key) = hub.digest_key(&record) else {
        return Err(ApiError::Unavailable);
    };
    let placing = &planned.placing[name];
    let empty = DesiredState::empty(hub.record.epoch);
    let desired = hub
        .links
        .newest(&record.uid)
        .unwrap_or_else(|| Arc::new(empty));
    let mut trees: BTreeMap<SourceKey, Result<PinnedTree, String>> = BTreeMap::new();
    for source in planned.sources.keys() {
        let head = planned.heads.get(source);
        let pinned = desired.sources.get(source).map(|it| &it.revision);
        // A revision belongs to the sources whose mirror has it; the others stay where they are.
        let tree = match wanted {
            Some(wanted) => open_tree(hub, source, wanted).ok(),
            None => head.and_then(|it| open_tree(hub, source, it).ok()),
        };
        let present = || Some(open_tree(hub, source, pinned.or(head)?));
        if let Some(tree) = tree.map(Ok).or_else(present) {
            trees.insert(source.clone(), tree);
        }
    }
    let input = render::Input {
        name,
        roots: &placing.roots,
        sources: &planned.sources,
        trees: &trees,
        digest_key: &key,
    };
    let rendered = render::cluster(&input, &Memo::default());
    let contents: BTreeMap<_, _> = rendered
        .blobs
        .iter()
        .map(|it| (it.entry.digest, it))
        .collect();
    let mut items = Vec::new();
    let keys: BTreeSet<&UnitKey> = rendered
        .outcomes
        .keys()
        .chain(desired.units.keys())
        .collect();
    for it in keys
        .into_iter()
        .filter(|it| unit.is_none_or(|unit| unit == *it))
    {
        let old = desired
            .units
            .get(it)
            .map(|it| &*it.entries)
            .unwrap_or_default();
        match rendered.outcomes.get(it) {
            Some(Outcome::Rendered { entries, .. }) => {
                items.extend(unit_differences(hub, it, old, entries, &contents))
            }
            Some(Outcome::Failed { problem }) => {
                items.push(json!({"kind": "Difference", "cluster": it.home, "unit": it, "object": "", "action": "cannot be rendered", "diff": problem}));
            }
            None => {
                let said = "it would be held until its removal is confirmed";
                items.push(json!({"kind": "Difference", "cluster": it.home, "unit": it, "object": "", "action": "not declared", "diff": said}));
            }
        }
    }
    Ok(items)
}

fn unit_differences(
    hub: &Hub,
    unit: &UnitKey,
    old: &[Entry],
    new: &[Entry],
    contents: &BTreeMap<capstan_core::Digest, &RenderedEntry>,
) -> Vec<Value> {
    let by_key = |entries: &[Entry]| -> BTreeMap<ObjectKey, Entry> {
        entries
            .iter()
            .map(|it| (it.key.clone(), it.clone()))
            .collect()
    };
    let (old, new) = (by_key(old), by_key(new));
    let keys: BTreeSet<&ObjectKey> = old.keys().chain(new.keys()).collect();
    let mut items = Vec::new();
    for key in keys {
        let (before, after) = (old.get(key), new.get(key));
        let action = match (before, after) {
            (Some(before), Some(after)) if before.digest == after.digest => continue,
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        let rendered = |it: &Entry| {
            contents
                .get(&it.digest)
                .map(|it| it.bytes.to_vec())
                .unwrap_or_default()
        };
        let after = after.map(|it| shown(it, &rendered(it))).unwrap_or_default();
        let text = match present(hub, before) {
            Ok(before) => {
                let diff = TextDiff::from_lines(&before, &after);
                let mut unified = diff.unified_diff();
                unified.context_radius(CONTEXT_LINES).to_string()
            }
            Err(_) => {
                // It is rendered again, as for an agent that asks for it.
                hub.blobs_lost();
                "(the present content is not at hand and is being made again; ask again in a moment)\n"
                    .to_owned()
            }
        };
        items.push(json!({
            "kind": "Difference",
            "cluster": unit.home,
            "unit": unit,
            "object": key.to_string(),
            "action": action,
            "diff": text,
        }));
    }
    items
}

/// The object as it is desired now; nothing where there is none.
fn present(hub: &Hub, entry: Option<&Entry>) -> Result<String, BlobError> {
    match entry {
        Some(it) => Ok(shown(it, &hub.blobs.get(&it.digest)?)),
        None => Ok(String::new()),
    }
}

/// An object as its text has it, with its variables.
fn unreplaced(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    let object = complete(text, &Variables::new(false)).ok()?;
    Some(object.value)
}

/// An object as people read it. What is sensitive shows its keys and no values; that it changed is seen by its digest,
/// which says nothing of the content to whoever lacks the cluster's key.
fn shown(entry: &Entry, bytes: &[u8]) -> String {
    let parsed = match entry.media_type {
        // Text that its agent completes is shown as it was written, with its variables.
        MediaType::Text if !entry.sensitive => {
            return String::from_utf8_lossy(bytes).into_owned();
        }
        MediaType::Text => unreplaced(bytes),
        _ => serde_json::from_slice(bytes).ok(),
    };
    let Some(mut value) = parsed else {
        return String::new();
    };
    if entry.sensitive {
        for field in ["data", "stringData"] {
            let Some(map) = value.get_mut(field).and_then(Value::as_object_mut) else {
                continue;
            };
            for it in map.values_mut() {
                *it = json!("(not shown)");
            }
        }
        if let Some(annotations) = value
            .pointer_mut("/metadata/annotations")
            .and_then(Value::as_object_mut)
        {
            for it in annotations.values_mut() {
                *it = json!("(not shown)");
            }
        }
        value["content"] = json!(format!("(not shown, {})", entry.digest));
    }
    capstan_goyaml::marshal(&value).unwrap_or_default()
}
