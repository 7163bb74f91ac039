//! Clusters, units and objects as Kubernetes-style items.

use capstan_core::{ClusterName, UnitKey};
use serde_json::{Value, json};

use crate::{
    clock::rfc3339,
    fleet::{ClusterView, Condition, Link, cluster_conditions, object_conditions, unit_state},
    store::{ClusterRecord, ClusterState},
};

/// Version of everything that the API lists.
const API_VERSION: &str = "capstan.dev/v1alpha1";

/// A list.
pub(crate) fn list(kind: &str, items: Vec<Value>) -> Value {
    json!({"apiVersion": API_VERSION, "kind": format!("{kind}List"), "items": items})
}

/// An item of one.
pub(crate) fn item(kind: &str, metadata: Value, spec: Value, status: Value) -> Value {
    json!({"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec, "status": status})
}

fn conditions(all: &[Condition]) -> Value {
    let one = |it: &Condition| {
        let mut value = json!({"type": it.kind, "status": it.status, "reason": it.reason, "message": it.message});
        if let Some(since) = it.since_ms {
            value["lastTransitionTime"] = json!(rfc3339(since));
        }
        value
    };
    all.iter().map(one).collect()
}

/// Text for a state of identity.
fn state_word(state: ClusterState) -> &'static str {
    match state {
        ClusterState::Pending => "Pending",
        ClusterState::Enrolled => "Enrolled",
        ClusterState::Revoked => "Revoked",
    }
}

/// A cluster.
pub(crate) fn cluster_item(
    name: &ClusterName,
    view: &ClusterView,
    record: Option<&ClusterRecord>,
) -> Value {
    let keys = view.unit_keys();
    let ready = keys
        .iter()
        .filter(|it| unit_state(view, it).conditions[0].status == "True")
        .count();
    let objects: u64 = view
        .units
        .values()
        .map(|it| u64::from(it.counts.objects))
        .sum();
    let sources = view.desired.iter().flat_map(|it| &it.sources);
    let pins: serde_json::Map<String, Value> = sources
        .map(|(key, it)| (key.to_string(), json!(it.revision)))
        .collect();
    let revision = pins.values().next().cloned().unwrap_or_default();
    let mut status = json!({
        "conditions": conditions(&cluster_conditions(view)),
        "connected": matches!(view.link, Link::Connected { .. }),
        "revision": revision,
        "revisions": pins,
        "units": keys.len(),
        "unitsReady": ready,
        "objects": objects,
        "generation": view.desired.as_ref().map(|it| it.generation.0),
        "receivedGeneration": view.received.map(|it| it.0),
        "agentVersion": view.agent.version,
        "kubeVersion": view.agent.kube_version,
        "incarnation": view.agent.incarnation,
        "clockSkewMilliseconds": view.agent.skew_ms,
    });
    let (word, since) = match view.link {
        Link::Connected { since_ms } => ("Connected", Some(since_ms)),
        Link::Lost { since_ms } => ("Lost", Some(since_ms)),
        Link::Unknown => ("Unknown", None),
    };
    status["link"] = json!({"state": word, "since": since.map(rfc3339)});
    if let Some(record) = record {
        status["identity"] = json!(state_word(record.state));
        status["certificateEnds"] = json!(record.certificate_ends_ms.map(rfc3339));
    }
    let spec = json!({"cluster": name, "kind": "Cluster", "namespace": "", "environments": view.environments});
    let created = record.map(|it| rfc3339(it.created_ms));
    let metadata =
        json!({"name": name, "uid": view.uid, "labels": view.labels, "creationTimestamp": created});
    item("Cluster", metadata, spec, status)
}

/// A unit.
pub(crate) fn unit_item(view: &ClusterView, key: &UnitKey) -> Value {
    let state = unit_state(view, key);
    let desired = view.desired.as_ref().and_then(|it| it.units.get(key));
    let report = view.units.get(key);
    let mut spec = json!({
        "cluster": key.home,
        "kind": key.kind,
        "namespace": key.namespace,
        "environments": view.environments,
    });
    if let Some(unit) = desired {
        spec["source"] = json!(unit.source);
        spec["suspend"] = json!(unit.spec.suspend);
        spec["prune"] = json!(unit.spec.prune);
        spec["wait"] = json!(unit.spec.wait);
        spec["dependsOn"] = unit
            .spec
            .depends_on
            .iter()
            .map(|it| json!(it.to_string()))
            .collect();
        spec["origin"] = json!(unit.origin);
    }
    let mut status = json!({
        "state": state.word,
        "conditions": conditions(&state.conditions),
        "revision": state.revision,
        "lastAppliedRevision": state.applied_revision,
        "entries": desired.map(|it| it.entries.len()),
        "digest": desired.map(|it| it.digest),
    });
    if let Some(report) = report {
        let counts = &report.counts;
        status["objects"] = json!(counts.objects);
        status["objectsReady"] = json!(counts.current);
        status["drifted"] = json!(counts.drifted);
        status["failed"] = json!(counts.failed);
        status["driftCorrected"] = json!(counts.corrected);
        status["since"] = json!(rfc3339(report.since_ms));
        status["message"] = json!(report.message);
        status["lastAttemptedRevision"] = json!(report.attempted_revision);
        status["confirm"] = json!(report.confirm);
    }
    if let Some(hold) = view.orphans.get(key) {
        status["orphaned"] = json!({"why": hold.why, "since": rfc3339(hold.since_ms)});
    }
    item("Unit", json!({"name": key.name, "key": key}), spec, status)
}

/// The objects of a unit, worst first.
pub(crate) fn object_items(view: &ClusterView, key: &UnitKey) -> Vec<Value> {
    let Some(report) = view.units.get(key) else {
        return Vec::new();
    };
    let revision = unit_state(view, key).revision;
    let one = |it: &capstan_core::ObjectReport| {
        let spec = json!({
            "cluster": key.home,
            "kind": it.key.kind,
            "group": it.key.group,
            "version": it.version,
            "namespace": it.key.namespace,
            "unit": key,
        });
        let status = json!({
            "health": it.health.as_str(),
            "drifted": it.drifted,
            "message": it.message,
            "conditions": conditions(&object_conditions(view, it)),
            "revision": revision,
        });
        item(
            "Object",
            json!({"name": it.key.name, "key": it.key.to_string()}),
            spec,
            status,
        )
    };
    report.objects.iter().map(one).collect()
}

/// How long ago, as kubectl writes it.
pub(crate) fn age(now_ms: u64, since_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(since_ms) / 1000;
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn ages_are_short() {
        let table = [
            (0, "0s"),
            (119_000, "119s"),
            (120_000, "2m"),
            (7_200_000, "2h"),
            (172_800_000, "2d"),
        ];
        for (ms, expect) in table {
            assert_eq!(age(ms, 0), expect);
        }
    }
}
