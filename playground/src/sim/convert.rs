//! Versions of a kind: what is stored, and how another version shows it.

use serde_json::{Value, json};

use super::kinds::Resource;
use super::status::Status;

/// The stored form of an object that came in some version.
pub(crate) fn to_stored(
    resource: &Resource,
    version: &str,
    mut object: Value,
) -> Result<Value, Status> {
    if resource.is("autoscaling", "horizontalpodautoscalers") && version == "v1" {
        return Ok(autoscaler_to_v2(object));
    }
    if resource.is("events.k8s.io", "events") {
        return Err(Status::not_simulated(
            "writing events through events.k8s.io; use the core group",
        ));
    }
    if resource.versions.len() > 1
        && let Some(stored) = resource.versions.first()
    {
        object["apiVersion"] = resource.api_version(&stored.name).into();
    }
    Ok(object)
}

/// A stored object as a version shows it.
pub(crate) fn from_stored(resource: &Resource, version: &str, mut object: Value) -> Value {
    if resource.is("autoscaling", "horizontalpodautoscalers") && version == "v1" {
        return autoscaler_to_v1(object);
    }
    object["apiVersion"] = resource.api_version(version).into();
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
