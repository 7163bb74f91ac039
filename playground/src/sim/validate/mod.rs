//! What is wrong with an object: rules of metadata, of each kind, and of what cannot change.

mod immutable;
mod names;
mod pods;

use serde_json::{Value, json};

use super::crd;
use super::schema::Schema;
use super::state::{State, Target, text};
use super::status::FieldError;

type Outcome = Result<(), Vec<FieldError>>;

fn outcome(errors: Vec<FieldError>) -> Outcome {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

/// Checks an object that is created.
pub(crate) fn new_object(state: &State, target: &Target, object: &Value) -> Outcome {
    let mut errors = Vec::new();
    names::metadata(target, object, &mut errors);
    content(state, target, object, &mut errors);
    if target.resource.is("", "secrets") {
        secret_keys(object, &mut errors);
    }
    outcome(errors)
}

/// Checks an object that replaces another.
pub(crate) fn changed_object(
    state: &State,
    target: &Target,
    old: &Value,
    object: &Value,
) -> Outcome {
    let mut errors = Vec::new();
    names::labels_and_annotations(object, &mut errors);
    added_finalizers(old, object, &mut errors);
    content(state, target, object, &mut errors);
    immutable::check(target, old, object, &mut errors);
    if target.resource.is("", "secrets") {
        secret_keys(object, &mut errors);
    }
    outcome(errors)
}

/// What is allowed and hardly meant.
pub(crate) fn warnings(target: &Target, object: &Value) -> Vec<String> {
    let path = match (
        target.resource.group.as_str(),
        target.resource.plural.as_str(),
    ) {
        ("apps", _) | ("batch", "jobs") | ("", "replicationcontrollers") => "spec.template.spec",
        ("batch", "cronjobs") => "spec.jobTemplate.spec.template.spec",
        ("", "pods") => "spec",
        _ => return Vec::new(),
    };
    let at = format!("/{}/topologySpreadConstraints", path.replace('.', "/"));
    let constraints = object.pointer(&at).and_then(Value::as_array);
    let unselective = |(_, it): &(usize, &Value)| it["labelSelector"].is_null();
    let constraints = constraints.into_iter().flatten().enumerate();
    constraints
        .filter(unselective)
        .map(|(i, _)| format!("{path}.topologySpreadConstraints[{i}].labelSelector: a null labelSelector results in matching no pod"))
        .collect()
}

/// An object that is being deleted takes no further finalizers.
fn added_finalizers(old: &Value, object: &Value, errors: &mut Vec<FieldError>) {
    if old.pointer("/metadata/deletionTimestamp").is_none() {
        return;
    }
    let list = |o: &Value| {
        o.pointer("/metadata/finalizers")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let (before, after) = (list(old), list(object));
    let added: Vec<Value> = after.into_iter().filter(|f| !before.contains(f)).collect();
    if !added.is_empty() {
        let added: Vec<_> = added.iter().map(Value::to_string).collect();
        let why = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            added.join(", ")
        );
        // Both the API machinery and the kind check it.
        let error = FieldError::forbidden("metadata.finalizers", &why);
        errors.extend([error.clone(), error]);
    }
}

fn content(_state: &State, target: &Target, object: &Value, errors: &mut Vec<FieldError>) {
    if let Schema::Custom(custom) = &target.version().schema {
        if target.subresource() == "status" || target.subresource().is_empty() {
            errors.extend(custom.validate(object));
        }
        return;
    }
    match (
        target.resource.group.as_str(),
        target.resource.plural.as_str(),
    ) {
        ("apps", "deployments" | "replicasets" | "daemonsets" | "statefulsets") => {
            workload(object, errors)
        }
        ("batch", "jobs") => job(object, errors),
        ("batch", "cronjobs") => cron_job(object, errors),
        ("", "pods") => pods::spec(&object["spec"], "spec", "", errors),
        ("", "services") => service(object, errors),
        ("", "configmaps") => data(object, &["data", "binaryData"], errors),
        ("", "secrets") => data(object, &["data"], errors),
        ("", "persistentvolumeclaims") => claim(object, errors),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            binding(target, object, errors)
        }
        ("rbac.authorization.k8s.io", _) => role(target, object, errors),
        ("networking.k8s.io", "ingresses") => ingress(object, errors),
        ("autoscaling", _) => autoscaler(object, errors),
        ("policy", "poddisruptionbudgets") => budget(object, errors),
        ("storage.k8s.io", "storageclasses") if text(object, "/provisioner").is_empty() => {
            errors.push(FieldError::required("provisioner", ""));
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => crd::validate(object, errors),
        _ => {}
    }
}

fn workload(object: &Value, errors: &mut Vec<FieldError>) {
    negative(object, "/spec/replicas", "spec.replicas", errors);
    selector_and_template(object, errors);
    // Claims of a stateful set are volumes of its pods.
    let mut spec = object["spec"]["template"]["spec"].clone();
    let claims = object
        .pointer("/spec/volumeClaimTemplates")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let claims: Vec<Value> = claims
        .map(|claim| json!({"name": claim["metadata"]["name"]}))
        .collect();
    if !claims.is_empty() {
        let own = spec["volumes"].as_array().cloned().unwrap_or_default();
        spec["volumes"] = own.into_iter().chain(claims).collect();
    }
    pods::spec(&spec, "spec.template.spec", "Always", errors);
    let strategy = text(object, "/spec/strategy/type");
    if strategy == "Recreate"
        && object
            .pointer("/spec/strategy/rollingUpdate")
            .is_some_and(|r| !r.is_null())
    {
        errors.push(FieldError::forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        ));
    }
    if !matches!(strategy, "" | "Recreate" | "RollingUpdate") {
        errors.push(FieldError::not_supported(
            "spec.strategy.type",
            &strategy.into(),
            &["Recreate".into(), "RollingUpdate".into()],
        ));
    }
}

fn negative(object: &Value, pointer: &str, field: &str, errors: &mut Vec<FieldError>) {
    if let Some(value) = object
        .pointer(pointer)
        .filter(|v| v.as_i64().is_some_and(|n| n < 0))
    {
        errors.push(FieldError::invalid(
            field,
            value,
            "must be greater than or equal to 0",
        ));
    }
}

fn selector_and_template(object: &Value, errors: &mut Vec<FieldError>) {
    let selector = object.pointer("/spec/selector").filter(|s| !s.is_null());
    let labels = object.pointer("/spec/template/metadata/labels");
    match selector {
        None => {
            errors.push(FieldError::required("spec.selector", ""));
            errors.push(FieldError::invalid(
                "spec.template.metadata.labels",
                labels.unwrap_or(&Value::Null),
                "`selector` does not match template `labels`",
            ));
        }
        Some(selector) if selector.as_object().is_some_and(serde_json::Map::is_empty) => {
            errors.push(FieldError::invalid(
                "spec.selector",
                selector,
                &format!(
                    "empty selector is invalid for {}",
                    text(object, "/kind").to_lowercase()
                ),
            ));
        }
        Some(selector) if !super::selector::label_selector_matches(selector, labels) => {
            errors.push(FieldError::invalid(
                "spec.template.metadata.labels",
                labels.unwrap_or(&Value::Null),
                "`selector` does not match template `labels`",
            ));
        }
        Some(_) => {}
    }
}

fn job(object: &Value, errors: &mut Vec<FieldError>) {
    for field in ["parallelism", "completions", "backoffLimit"] {
        negative(
            object,
            &format!("/spec/{field}"),
            &format!("spec.{field}"),
            errors,
        );
    }
    job_template(
        &object["spec"]["template"]["spec"],
        "spec.template.spec",
        errors,
    );
}

fn job_template(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    pods::spec(spec, path, "", errors);
    let policy = text(spec, "/restartPolicy");
    if policy == "Always" {
        errors.push(FieldError::required(
            &format!("{path}.restartPolicy"),
            "valid values: \"OnFailure\", \"Never\"",
        ));
    }
}

fn cron_job(object: &Value, errors: &mut Vec<FieldError>) {
    let schedule = text(object, "/spec/schedule");
    if schedule.is_empty() {
        errors.push(FieldError::required("spec.schedule", ""));
    } else if !schedule.starts_with('@') && schedule.split_whitespace().count() != 5 {
        let count = schedule.split_whitespace().count();
        errors.push(FieldError::invalid(
            "spec.schedule",
            &schedule.into(),
            &format!("expected exactly 5 fields, found {count}: [{schedule}]"),
        ));
    }
    job_template(
        &object["spec"]["jobTemplate"]["spec"]["template"]["spec"],
        "spec.jobTemplate.spec.template.spec",
        errors,
    );
}

fn service(object: &Value, errors: &mut Vec<FieldError>) {
    let kind = text(object, "/spec/type");
    if !matches!(
        kind,
        "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName"
    ) {
        errors.push(FieldError::not_supported(
            "spec.type",
            &kind.into(),
            &[
                "ClusterIP".into(),
                "ExternalName".into(),
                "LoadBalancer".into(),
                "NodePort".into(),
            ],
        ));
    }
    if kind == "ExternalName" {
        if text(object, "/spec/externalName").is_empty() {
            errors.push(FieldError::required("spec.externalName", ""));
        }
        return;
    }
    let ports = object.pointer("/spec/ports").and_then(Value::as_array);
    if ports.is_none_or(Vec::is_empty) && text(object, "/spec/clusterIP") != "None" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    for (i, port) in ports.into_iter().flatten().enumerate() {
        let number = port["port"].as_i64().unwrap_or(0);
        if !(1..=65_535).contains(&number) {
            errors.push(FieldError::invalid(
                &format!("spec.ports[{i}].port"),
                &json!(number),
                "must be between 1 and 65535, inclusive",
            ));
        }
        if ports.is_some_and(|p| p.len() > 1) && text(port, "/name").is_empty() {
            errors.push(FieldError::required(&format!("spec.ports[{i}].name"), ""));
        }
        let same =
            |other: &Value| other["port"] == port["port"] && other["protocol"] == port["protocol"];
        if ports.is_some_and(|p| p[..i].iter().any(same)) {
            errors.push(FieldError::duplicate(
                &format!("spec.ports[{i}]"),
                &json!({"port": port["port"], "protocol": port["protocol"]}),
            ));
        }
    }
}

fn data(object: &Value, fields: &[&str], errors: &mut Vec<FieldError>) {
    /// The most that a ConfigMap or Secret may hold.
    const MAX_DATA: usize = 1_048_576;
    let mut total = 0;
    for field in fields {
        for (key, value) in object
            .get(*field)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            total += value.as_str().map_or(0, str::len);
            let fits = !key.is_empty()
                && key.len() <= 253
                && key
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
                && key != "."
                && key != "..";
            if !fits {
                let rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
                errors.push(FieldError::invalid(
                    &format!("{field}[{key}]"),
                    &key.as_str().into(),
                    rule,
                ));
            }
        }
    }
    if total > MAX_DATA {
        errors.push(FieldError::invalid(
            fields[0],
            &Value::from(""),
            &format!("Too long: may not be more than {MAX_DATA} bytes"),
        ));
    }
}

/// What Secrets of a type must hold.
fn secret_keys(object: &Value, errors: &mut Vec<FieldError>) {
    let needed: &[&str] = match text(object, "/type") {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    };
    for key in needed {
        if object["data"].get(*key).is_none() {
            errors.push(FieldError::required(&format!("data[{key}]"), ""));
        }
    }
}

fn claim(object: &Value, errors: &mut Vec<FieldError>) {
    if object
        .pointer("/spec/accessModes")
        .and_then(Value::as_array)
        .is_none_or(Vec::is_empty)
    {
        errors.push(FieldError::required(
            "spec.accessModes",
            "at least 1 access mode is required",
        ));
    }
    if object.pointer("/spec/resources/requests/storage").is_none() {
        errors.push(FieldError::required("spec.resources[storage]", ""));
    }
}

fn role(target: &Target, object: &Value, errors: &mut Vec<FieldError>) {
    for (i, rule) in object
        .get("rules")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        let some = |key: &str| {
            rule.get(key)
                .and_then(Value::as_array)
                .is_some_and(|l| !l.is_empty())
        };
        if !some("verbs") {
            errors.push(FieldError::required(
                &format!("rules[{i}].verbs"),
                "verbs must contain at least one value",
            ));
        }
        if some("nonResourceURLs") {
            if target.resource.namespaced {
                errors.push(FieldError::invalid(
                    &format!("rules[{i}].nonResourceURLs"),
                    &rule["nonResourceURLs"],
                    "namespaced rules cannot apply to non-resource URLs",
                ));
            }
            continue;
        }
        if !some("apiGroups") {
            errors.push(FieldError::required(
                &format!("rules[{i}].apiGroups"),
                "resource rules must supply at least one api group",
            ));
        }
        if !some("resources") {
            errors.push(FieldError::required(
                &format!("rules[{i}].resources"),
                "resource rules must supply at least one resource",
            ));
        }
    }
}

fn binding(target: &Target, object: &Value, errors: &mut Vec<FieldError>) {
    let kind = text(object, "/roleRef/kind");
    let allowed: &[Value] = if target.resource.namespaced {
        &["Role".into(), "ClusterRole".into()]
    } else {
        &["ClusterRole".into()]
    };
    if !allowed.iter().any(|k| k.as_str() == Some(kind)) {
        errors.push(FieldError::not_supported(
            "roleRef.kind",
            &kind.into(),
            allowed,
        ));
    }
    if text(object, "/roleRef/name").is_empty() {
        errors.push(FieldError::required("roleRef.name", ""));
    }
    for (i, subject) in object
        .get("subjects")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        if text(subject, "/name").is_empty() {
            errors.push(FieldError::required(&format!("subjects[{i}].name"), ""));
        }
        match text(subject, "/kind") {
            "ServiceAccount"
                if !target.resource.namespaced && text(subject, "/namespace").is_empty() =>
            {
                errors.push(FieldError::required(
                    &format!("subjects[{i}].namespace"),
                    "",
                ));
            }
            "ServiceAccount" | "User" | "Group" => {}
            other => errors.push(FieldError::not_supported(
                &format!("subjects[{i}].kind"),
                &other.into(),
                &["ServiceAccount".into(), "User".into(), "Group".into()],
            )),
        }
    }
}

fn ingress(object: &Value, errors: &mut Vec<FieldError>) {
    let some = |pointer: &str| {
        object
            .pointer(pointer)
            .is_some_and(|v| v.as_array().is_none_or(|a| !a.is_empty()) && !v.is_null())
    };
    if !some("/spec/rules") && !some("/spec/defaultBackend") {
        errors.push(FieldError::invalid(
            "spec",
            &json!([]),
            "either `defaultBackend` or `rules` must be specified",
        ));
    }
    for (i, rule) in object
        .pointer("/spec/rules")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        for (j, path) in rule
            .pointer("/http/paths")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .enumerate()
        {
            let field = format!("spec.rules[{i}].http.paths[{j}]");
            if text(path, "/pathType").is_empty() {
                errors.push(FieldError::required(
                    &format!("{field}.pathType"),
                    "pathType must be specified",
                ));
            }
            if matches!(text(path, "/pathType"), "Prefix" | "Exact")
                && !text(path, "/path").starts_with('/')
            {
                errors.push(FieldError::invalid(
                    &format!("{field}.path"),
                    &path["path"],
                    "must be an absolute path",
                ));
            }
        }
    }
}

fn autoscaler(object: &Value, errors: &mut Vec<FieldError>) {
    let (min, max) = (
        object
            .pointer("/spec/minReplicas")
            .and_then(Value::as_i64)
            .unwrap_or(1),
        object
            .pointer("/spec/maxReplicas")
            .and_then(Value::as_i64)
            .unwrap_or(0),
    );
    if max < 1 {
        errors.push(FieldError::invalid(
            "spec.maxReplicas",
            &json!(max),
            "must be greater than 0",
        ));
    } else if max < min {
        errors.push(FieldError::invalid(
            "spec.maxReplicas",
            &json!(max),
            "must be greater than or equal to `minReplicas`",
        ));
    }
    for field in ["kind", "name"] {
        if text(object, &format!("/spec/scaleTargetRef/{field}")).is_empty() {
            errors.push(FieldError::required(
                &format!("spec.scaleTargetRef.{field}"),
                "",
            ));
        }
    }
}

fn budget(object: &Value, errors: &mut Vec<FieldError>) {
    if object.pointer("/spec/minAvailable").is_some()
        && object.pointer("/spec/maxUnavailable").is_some()
    {
        errors.push(FieldError::invalid(
            "spec",
            &object["spec"],
            "minAvailable and maxUnavailable cannot be both set",
        ));
    }
}
