//! Versions of a kind: what is stored, and how another version shows it.

use serde_json::{Value, json};

use super::kinds::Resource;

/// The stored form of an object that came in some version.
pub(crate) fn to_stored(resource: &Resource, version: &str, mut object: Value) -> Value {
    if resource.is("autoscaling", "horizontalpodautoscalers") && version == "v1" {
        return autoscaler_to_v2(object);
    }
    if resource.is("events.k8s.io", "events") {
        return rename(object, "v1", &EVENT_FIELDS, false);
    }
    if resource.versions.len() > 1
        && let Some(stored) = resource.versions.first()
    {
        object["apiVersion"] = resource.api_version(&stored.name).into();
    }
    object
}

/// A stored object as a version shows it.
pub(crate) fn from_stored(resource: &Resource, version: &str, mut object: Value) -> Value {
    if resource.is("autoscaling", "horizontalpodautoscalers") && version == "v1" {
        return autoscaler_to_v1(object);
    }
    if resource.is("events.k8s.io", "events") {
        return rename(object, "events.k8s.io/v1", &EVENT_FIELDS, true);
    }
    object["apiVersion"] = resource.api_version(version).into();
    object
}

/// What fields of events are called in the core group and in their own.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

fn rename(mut object: Value, version: &str, fields: &[(&str, &str)], forward: bool) -> Value {
    object["apiVersion"] = version.into();
    if let Some(map) = object.as_object_mut() {
        for (core, own) in fields {
            let (from, to) = if forward { (core, own) } else { (own, core) };
            if let Some(value) = map.shift_remove(*from) {
                map.insert((*to).to_owned(), value);
            }
        }
    }
    object
}

fn autoscaler_to_v2(mut object: Value) -> Value {
    object["apiVersion"] = "autoscaling/v2".into();
    if let Some(spec) = object["spec"].as_object_mut()
        && let Some(target) = spec.shift_remove("targetCPUUtilizationPercentage")
    {
        let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": target}}});
        spec.insert("metrics".into(), json!([metric]));
    }
    if let Some(status) = object["status"].as_object_mut() {
        status.shift_remove("currentCPUUtilizationPercentage");
        status.entry("currentMetrics").or_insert(Value::Null);
    }
    object
}

fn autoscaler_to_v1(mut object: Value) -> Value {
    object["apiVersion"] = "autoscaling/v1".into();
    if let Some(spec) = object["spec"].as_object_mut()
        && let Some(metrics) = spec.shift_remove("metrics")
    {
        let cpu = metrics
            .as_array()
            .into_iter()
            .flatten()
            .find(|m| m.pointer("/resource/name").and_then(Value::as_str) == Some("cpu"));
        if let Some(target) = cpu.and_then(|m| m.pointer("/resource/target/averageUtilization")) {
            spec.insert("targetCPUUtilizationPercentage".into(), target.clone());
        }
    }
    if let Some(status) = object["status"].as_object_mut() {
        status.shift_remove("currentMetrics");
        status.shift_remove("conditions");
    }
    object
}
