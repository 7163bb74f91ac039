//! Pods and their templates.

use serde_json::{Value, json};

use super::names::is_dns_label;
use crate::sim::apply::typed;
use crate::sim::quantity;
use crate::sim::state::text;
use crate::sim::status::FieldError;

/// Checks the spec of a pod. Workloads other than jobs need a restart policy of their own.
pub(super) fn spec(spec: &Value, path: &str, restart: &str, errors: &mut Vec<FieldError>) {
    let containers = spec.get("containers").and_then(Value::as_array);
    if containers.is_none_or(Vec::is_empty) {
        errors.push(FieldError::required(&format!("{path}.containers"), ""));
    }
    let volumes: Vec<&str> = spec
        .get("volumes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|v| text(v, "/name"))
        .collect();
    let mut names = Vec::new();
    for key in ["initContainers", "containers"] {
        for (i, item) in spec
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .enumerate()
        {
            let path = format!("{path}.{key}[{i}]");
            container(item, &path, &volumes, errors);
            requests(item, &path, errors);
            let name = text(item, "/name").to_owned();
            if names.contains(&name) {
                errors.push(FieldError::duplicate(
                    &format!("{path}.name"),
                    &name.as_str().into(),
                ));
            }
            names.push(name);
        }
    }
    let policy = text(spec, "/restartPolicy");
    if !restart.is_empty() && policy != restart {
        errors.push(FieldError::not_supported(
            &format!("{path}.restartPolicy"),
            &policy.into(),
            &[restart.into()],
        ));
    } else if !matches!(policy, "Always" | "OnFailure" | "Never" | "") {
        errors.push(FieldError::not_supported(
            &format!("{path}.restartPolicy"),
            &policy.into(),
            &["Always".into(), "OnFailure".into(), "Never".into()],
        ));
    }
}

fn container(container: &Value, path: &str, volumes: &[&str], errors: &mut Vec<FieldError>) {
    let name = text(container, "/name");
    if name.is_empty() {
        errors.push(FieldError::required(&format!("{path}.name"), ""));
    } else if !is_dns_label(name) {
        let rule = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
        errors.push(FieldError::invalid(
            &format!("{path}.name"),
            &name.into(),
            rule,
        ));
    }
    if text(container, "/image").trim().is_empty() {
        errors.push(FieldError::required(&format!("{path}.image"), ""));
    }
    let pull = text(container, "/imagePullPolicy");
    if !matches!(pull, "" | "Always" | "IfNotPresent" | "Never") {
        errors.push(FieldError::not_supported(
            &format!("{path}.imagePullPolicy"),
            &pull.into(),
            &["Always".into(), "IfNotPresent".into(), "Never".into()],
        ));
    }
    for (i, port) in container
        .get("ports")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        let number = port["containerPort"].as_i64().unwrap_or(0);
        if !(1..=65_535).contains(&number) {
            errors.push(FieldError::invalid(
                &format!("{path}.ports[{i}].containerPort"),
                &json!(number),
                "must be between 1 and 65535, inclusive",
            ));
        }
    }
    for (i, mount) in container
        .get("volumeMounts")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        let volume = text(mount, "/name");
        if !volumes.contains(&volume) {
            errors.push(FieldError::not_found(
                &format!("{path}.volumeMounts[{i}].name"),
                &volume.into(),
            ));
        }
        if text(mount, "/mountPath").is_empty() {
            errors.push(FieldError::required(
                &format!("{path}.volumeMounts[{i}].mountPath"),
                "",
            ));
        }
    }
    for (i, variable) in container
        .get("env")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        if text(variable, "/name").is_empty() {
            errors.push(FieldError::required(&format!("{path}.env[{i}].name"), ""));
        }
    }
}

/// Nothing may ask for more than it is limited to.
fn requests(container: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let given = |kind: &str| container.pointer(&format!("/resources/{kind}"));
    let requests = given("requests").and_then(Value::as_object);
    for (resource, asked) in requests.into_iter().flatten() {
        let limit = given("limits").and_then(|it| it.get(resource));
        let nano = |value: &Value| value.as_str().and_then(quantity::nano);
        if let (Some(least), Some(most), Some(limit)) = (nano(asked), limit.and_then(nano), limit)
            && least > most
        {
            let limit = limit.as_str().unwrap_or_default();
            errors.push(FieldError::invalid(
                &format!("{path}.resources.requests"),
                asked,
                &format!("must be less than or equal to {resource} limit of {limit}"),
            ));
        }
    }
}

/// Of a pod's spec only images, deadlines and added tolerations can change.
pub(super) fn unchanged(old: &Value, object: &Value, errors: &mut Vec<FieldError>) {
    let rest = |pod: &Value| {
        let mut spec = pod["spec"].clone();
        for key in ["containers", "initContainers"] {
            for container in spec
                .get_mut(key)
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                container["image"] = Value::Null;
            }
        }
        if let Some(map) = spec.as_object_mut() {
            for key in [
                "activeDeadlineSeconds",
                "tolerations",
                "terminationGracePeriodSeconds",
                "schedulingGates",
                "nodeName",
            ] {
                map.shift_remove(key);
            }
        }
        spec
    };
    if !typed::equal(&rest(old), &rest(object)) {
        let detail = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        errors.push(FieldError::forbidden("spec", detail));
    }
}
