//! Fields that cannot change once an object exists.

use serde_json::{Value, json};

use super::pods;
use crate::sim::apply::typed;
use crate::sim::state::{Target, text};
use crate::sim::status::FieldError;

/// Fields that keep the value that they were created with.
pub(super) fn check(target: &Target, old: &Value, object: &Value, errors: &mut Vec<FieldError>) {
    let null = Value::Null;
    let mut same = |pointer: &str, field: &str| {
        let (before, after) = (
            old.pointer(pointer).unwrap_or(&null),
            object.pointer(pointer).unwrap_or(&null),
        );
        if !typed::equal(before, after) {
            errors.push(FieldError::invalid(field, after, "field is immutable"));
        }
    };
    match (
        target.resource.group.as_str(),
        target.resource.plural.as_str(),
    ) {
        ("apps", "deployments" | "replicasets" | "daemonsets") => {
            same("/spec/selector", "spec.selector")
        }
        ("apps", "statefulsets") => stateful_set(old, object, errors),
        ("batch", "jobs") => {
            same("/spec/completions", "spec.completions");
            same("/spec/selector", "spec.selector");
            same("/spec/template", "spec.template");
            same("/spec/completionMode", "spec.completionMode");
        }
        ("", "secrets" | "configmaps") => {
            if target.resource.plural == "secrets" {
                same("/type", "type");
            }
            frozen_data(old, object, errors);
        }
        ("", "services") => service_address(old, object, errors),
        ("", "persistentvolumeclaims") => claim_spec(old, object, errors),
        ("", "pods") => pods::unchanged(old, object, errors),
        ("storage.k8s.io", "storageclasses") => {
            for field in [
                "provisioner",
                "parameters",
                "reclaimPolicy",
                "volumeBindingMode",
            ] {
                if !typed::equal(
                    old.get(field).unwrap_or(&null),
                    object.get(field).unwrap_or(&null),
                ) {
                    errors.push(FieldError::forbidden(
                        field,
                        &format!("updates to {field} are forbidden."),
                    ));
                }
            }
        }
        ("scheduling.k8s.io", "priorityclasses") => same("/value", "value"),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings")
            if !typed::equal(&old["roleRef"], &object["roleRef"]) =>
        {
            let given = &object["roleRef"];
            // As its Go struct prints.
            let shown = json!({"APIGroup": given["apiGroup"], "Kind": given["kind"], "Name": given["name"]});
            errors.push(FieldError::invalid(
                "roleRef",
                &shown,
                "cannot change roleRef",
            ));
        }
        ("apiextensions.k8s.io", _) => {
            for field in ["scope", "group"] {
                same(&format!("/spec/{field}"), &format!("spec.{field}"));
            }
        }
        _ => {}
    }
}

fn stateful_set(old: &Value, object: &Value, errors: &mut Vec<FieldError>) {
    const MUTABLE: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let rest = |o: &Value| {
        let mut spec = o["spec"].clone();
        if let Some(map) = spec.as_object_mut() {
            MUTABLE.iter().for_each(|key| {
                map.shift_remove(*key);
            });
        }
        spec
    };
    if !typed::equal(&rest(old), &rest(object)) {
        let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        errors.push(FieldError::forbidden("spec", detail));
    }
}

fn frozen_data(old: &Value, object: &Value, errors: &mut Vec<FieldError>) {
    if old["immutable"] != true {
        return;
    }
    if object["immutable"] != true {
        errors.push(FieldError::forbidden(
            "immutable",
            "field is immutable when `immutable` is set",
        ));
    }
    for field in ["data", "binaryData"] {
        if !typed::equal(&old[field], &object[field]) {
            errors.push(FieldError::forbidden(
                field,
                "field is immutable when `immutable` is set",
            ));
        }
    }
}

fn service_address(old: &Value, object: &Value, errors: &mut Vec<FieldError>) {
    let (before, after) = (
        text(old, "/spec/clusterIP"),
        text(object, "/spec/clusterIP"),
    );
    if !before.is_empty() && before != after && text(object, "/spec/type") != "ExternalName" {
        let detail = if after.is_empty() {
            "primary clusterIP can not be unset"
        } else {
            "may not change once set"
        };
        errors.push(FieldError::invalid(
            "spec.clusterIPs[0]",
            &json!([after]),
            detail,
        ));
    }
}

fn claim_spec(old: &Value, object: &Value, errors: &mut Vec<FieldError>) {
    let rest = |o: &Value| {
        let mut spec = o["spec"].clone();
        if let Some(map) = spec.as_object_mut() {
            for key in ["resources", "volumeName", "volumeAttributesClassName"] {
                map.shift_remove(key);
            }
        }
        spec
    };
    if !typed::equal(&rest(old), &rest(object)) {
        errors.push(FieldError::forbidden("spec", "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"));
    }
}
