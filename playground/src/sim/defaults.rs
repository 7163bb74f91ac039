//! Defaults of the built-in kinds: what the real server fills in when an object is decoded.

use serde_json::{Map, Value, json};

use super::crd;
use super::kinds::Resource;

/// Mode of files in volumes that are made from objects: 0644.
const FILE_MODE: i64 = 420;

/// Where a DaemonSet counts its templates, as it did before they had revisions.
pub(crate) const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// Fills in the defaults of an object in the version that it came in.
pub(crate) fn fill(resource: &Resource, version: &str, object: &mut Value) {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("apps", "deployments") => deployment(object),
        ("apps", "statefulsets") => stateful_set(object),
        ("apps", "daemonsets") => {
            daemon_set(object);
            let annotations = at(map(object, "metadata"), "annotations");
            absent(annotations, TEMPLATE_GENERATION, "1");
        }
        ("apps", "replicasets") | ("", "replicationcontrollers") => {
            let spec = map(object, "spec");
            absent(spec, "replicas", 1);
            template(spec);
        }
        ("", "pods") => pod(map(object, "spec")),
        ("", "podtemplates") => template(ensure(object)),
        ("", "services") => service(map(object, "spec")),
        ("", "secrets") => secret(object),
        ("", "namespaces") => namespace(object),
        ("", "persistentvolumeclaims") => {
            absent(map(object, "spec"), "volumeMode", "Filesystem");
        }
        ("", "persistentvolumes") => {
            let spec = map(object, "spec");
            absent(spec, "volumeMode", "Filesystem");
            absent(spec, "persistentVolumeReclaimPolicy", "Retain");
        }
        ("", "limitranges") => limit_range(object),
        ("batch", "jobs") => job(map(object, "spec")),
        ("batch", "cronjobs") => cron_job(map(object, "spec")),
        ("networking.k8s.io", "networkpolicies") => network_policy(map(object, "spec")),
        ("networking.k8s.io", "ingresses") => {}
        ("autoscaling", "horizontalpodautoscalers") => autoscaler(version, map(object, "spec")),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => binding(object),
        ("storage.k8s.io", "storageclasses") => {
            let map = ensure(object);
            absent(map, "reclaimPolicy", "Delete");
            absent(map, "volumeBindingMode", "Immediate");
        }
        ("scheduling.k8s.io", "priorityclasses") => {
            absent(ensure(object), "preemptionPolicy", "PreemptLowerPriority");
        }
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations") => {
            webhooks(object, false)
        }
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations") => webhooks(object, true),
        ("apiregistration.k8s.io", "apiservices") => {
            if let Some(service) = map(object, "spec")
                .get_mut("service")
                .and_then(Value::as_object_mut)
            {
                absent(service, "port", 443);
            }
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => crd::default(object),
        _ => {}
    }
}

fn ensure(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was made an object")
}

fn map<'a>(object: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    ensure(ensure(object).entry(key).or_insert_with(|| json!({})))
}

fn absent(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    if map.get(key).is_none_or(Value::is_null) {
        map.insert(key.to_owned(), value.into());
    }
}

fn at<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    ensure(map.entry(key).or_insert_with(|| json!({})))
}

fn items<'a>(
    map: &'a mut Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    map.get_mut(key)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> &'a str {
    map.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn deployment(object: &mut Value) {
    let spec = map(object, "spec");
    absent(spec, "replicas", 1);
    absent(spec, "revisionHistoryLimit", 10);
    absent(spec, "progressDeadlineSeconds", 600);
    let strategy = at(spec, "strategy");
    absent(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate" {
        let rolling = at(strategy, "rollingUpdate");
        absent(rolling, "maxUnavailable", "25%");
        absent(rolling, "maxSurge", "25%");
    }
    template(spec);
}

fn stateful_set(object: &mut Value) {
    let spec = map(object, "spec");
    absent(spec, "podManagementPolicy", "OrderedReady");
    let strategy = at(spec, "updateStrategy");
    absent(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate" {
        absent(at(strategy, "rollingUpdate"), "partition", 0);
    }
    let retention = at(spec, "persistentVolumeClaimRetentionPolicy");
    absent(retention, "whenDeleted", "Retain");
    absent(retention, "whenScaled", "Retain");
    absent(spec, "replicas", 1);
    absent(spec, "revisionHistoryLimit", 10);
    for claim in items(spec, "volumeClaimTemplates") {
        absent(claim, "kind", "PersistentVolumeClaim");
        absent(claim, "apiVersion", "v1");
        absent(at(claim, "spec"), "volumeMode", "Filesystem");
        absent(at(claim, "status"), "phase", "Pending");
    }
    template(spec);
}

fn daemon_set(object: &mut Value) {
    let spec = map(object, "spec");
    let strategy = at(spec, "updateStrategy");
    absent(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate" {
        let rolling = at(strategy, "rollingUpdate");
        absent(rolling, "maxUnavailable", 1);
        absent(rolling, "maxSurge", 0);
    }
    absent(spec, "revisionHistoryLimit", 10);
    template(spec);
}

fn job(spec: &mut Map<String, Value>) {
    if spec.get("completions").is_none() && spec.get("parallelism").is_none() {
        spec.insert("completions".into(), 1.into());
    }
    absent(spec, "parallelism", 1);
    absent(spec, "backoffLimit", 6);
    absent(spec, "completionMode", "NonIndexed");
    absent(spec, "suspend", false);
    absent(
        spec,
        "podReplacementPolicy",
        if spec.contains_key("podFailurePolicy") {
            "Failed"
        } else {
            "TerminatingOrFailed"
        },
    );
    absent(spec, "manualSelector", false);
    template(spec);
}

fn cron_job(spec: &mut Map<String, Value>) {
    absent(spec, "concurrencyPolicy", "Allow");
    absent(spec, "suspend", false);
    absent(spec, "successfulJobsHistoryLimit", 3);
    absent(spec, "failedJobsHistoryLimit", 1);
    let inner = at(at(spec, "jobTemplate"), "spec");
    if inner.contains_key("template") {
        template(inner);
    }
}

fn template(spec: &mut Map<String, Value>) {
    pod_spec(at(at(spec, "template"), "spec"));
}

/// Defaults of pods alone, beyond those of their templates.
fn pod(spec: &mut Map<String, Value>) {
    absent(spec, "enableServiceLinks", true);
    pod_spec(spec);
    let host_network = spec.get("hostNetwork").and_then(Value::as_bool) == Some(true);
    for key in ["initContainers", "containers"] {
        for container in items(spec, key) {
            for port in items(container, "ports").filter(|_| host_network) {
                if let Some(number) = port.get("containerPort").cloned() {
                    absent(port, "hostPort", number);
                }
            }
            // A limit without a request is also the request.
            let limits = container
                .get("resources")
                .and_then(|r| r.get("limits"))
                .and_then(Value::as_object)
                .cloned();
            if let Some(limits) = limits {
                let requests = at(at(container, "resources"), "requests");
                limits
                    .into_iter()
                    .for_each(|(name, value)| absent(requests, &name, value));
            }
        }
    }
}

/// Defaults of pods, wherever they stand.
pub(crate) fn pod_spec(spec: &mut Map<String, Value>) {
    absent(spec, "restartPolicy", "Always");
    absent(spec, "terminationGracePeriodSeconds", 30);
    absent(spec, "dnsPolicy", "ClusterFirst");
    absent(spec, "securityContext", json!({}));
    absent(spec, "schedulerName", "default-scheduler");
    match (
        text(spec, "serviceAccountName").to_owned(),
        text(spec, "serviceAccount").to_owned(),
    ) {
        (name, _) if !name.is_empty() => {
            spec.insert("serviceAccount".into(), name.into());
        }
        (_, old) if !old.is_empty() => {
            spec.insert("serviceAccountName".into(), old.into());
        }
        _ => {}
    }
    for key in ["initContainers", "containers", "ephemeralContainers"] {
        items(spec, key).for_each(container);
    }
    for volume in items(spec, "volumes") {
        self::volume(volume);
    }
    for constraint in items(spec, "topologySpreadConstraints") {
        absent(constraint, "whenUnsatisfiable", "DoNotSchedule");
    }
}

fn container(container: &mut Map<String, Value>) {
    let image = text(container, "image").to_owned();
    if !image.is_empty() {
        let name = image.rsplit('/').next().unwrap_or(&image);
        let latest =
            !image.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest");
        absent(
            container,
            "imagePullPolicy",
            if latest { "Always" } else { "IfNotPresent" },
        );
    }
    absent(container, "terminationMessagePath", "/dev/termination-log");
    absent(container, "terminationMessagePolicy", "File");
    absent(container, "resources", json!({}));
    for port in items(container, "ports") {
        absent(port, "protocol", "TCP");
    }
    for variable in items(container, "env") {
        if let Some(field) = variable
            .get_mut("valueFrom")
            .and_then(|v| v.get_mut("fieldRef"))
            .and_then(Value::as_object_mut)
        {
            absent(field, "apiVersion", "v1");
        }
    }
    for key in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(key).and_then(Value::as_object_mut) {
            for (field, value) in [
                ("timeoutSeconds", 1),
                ("periodSeconds", 10),
                ("successThreshold", 1),
                ("failureThreshold", 3),
            ] {
                absent(probe, field, value);
            }
            handler(probe);
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(handler_of) = container
            .get_mut("lifecycle")
            .and_then(|l| l.get_mut(hook))
            .and_then(Value::as_object_mut)
        {
            handler(handler_of);
        }
    }
}

fn handler(handler: &mut Map<String, Value>) {
    if let Some(http) = handler.get_mut("httpGet").and_then(Value::as_object_mut) {
        absent(http, "path", "/");
        absent(http, "scheme", "HTTP");
    }
    if let Some(grpc) = handler.get_mut("grpc").and_then(Value::as_object_mut) {
        absent(grpc, "service", "");
    }
}

fn volume(volume: &mut Map<String, Value>) {
    let sources = volume.keys().filter(|k| *k != "name").count();
    if sources == 0 {
        volume.insert("emptyDir".into(), json!({}));
    }
    for key in ["secret", "configMap", "projected", "downwardAPI"] {
        if let Some(source) = volume.get_mut(key).and_then(Value::as_object_mut) {
            absent(source, "defaultMode", FILE_MODE);
            field_refs(source);
            for projection in items(source, "sources") {
                if let Some(token) = projection
                    .get_mut("serviceAccountToken")
                    .and_then(Value::as_object_mut)
                {
                    absent(token, "expirationSeconds", 3600);
                }
                if let Some(api) = projection
                    .get_mut("downwardAPI")
                    .and_then(Value::as_object_mut)
                {
                    field_refs(api);
                }
            }
        }
    }
    if let Some(path) = volume.get_mut("hostPath").and_then(Value::as_object_mut) {
        absent(path, "type", "");
    }
}

fn field_refs(source: &mut Map<String, Value>) {
    for item in items(source, "items") {
        if let Some(field) = item.get_mut("fieldRef").and_then(Value::as_object_mut) {
            absent(field, "apiVersion", "v1");
        }
    }
}

fn service(spec: &mut Map<String, Value>) {
    absent(spec, "sessionAffinity", "None");
    absent(spec, "type", "ClusterIP");
    if text(spec, "sessionAffinity") == "ClientIP" {
        absent(
            at(at(spec, "sessionAffinityConfig"), "clientIP"),
            "timeoutSeconds",
            10_800,
        );
    }
    let kind = text(spec, "type").to_owned();
    for port in items(spec, "ports") {
        absent(port, "protocol", "TCP");
        if port
            .get("targetPort")
            .is_none_or(|t| *t == json!(0) || *t == json!(""))
        {
            let number = port.get("port").cloned().unwrap_or_default();
            port.insert("targetPort".into(), number);
        }
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        absent(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        absent(spec, "allocateLoadBalancerNodePorts", true);
    }
    if kind != "ExternalName" {
        absent(spec, "internalTrafficPolicy", "Cluster");
    }
}

fn secret(object: &mut Value) {
    use base64::Engine as _;
    let secret = ensure(object);
    absent(secret, "type", "Opaque");
    if let Some(Value::Object(plain)) = secret.shift_remove("stringData") {
        let data = at(secret, "data");
        for (key, value) in plain {
            let bytes = value.as_str().unwrap_or_default().as_bytes().to_vec();
            data.insert(
                key,
                base64::engine::general_purpose::STANDARD
                    .encode(bytes)
                    .into(),
            );
        }
        data.sort_keys();
    }
}

fn namespace(object: &mut Value) {
    let name = object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if !name.is_empty() {
        at(map(object, "metadata"), "labels")
            .insert("kubernetes.io/metadata.name".into(), name.into());
    }
}

fn limit_range(object: &mut Value) {
    for limit in items(map(object, "spec"), "limits") {
        if text(limit, "type") != "Container" {
            continue;
        }
        if let Some(max) = limit.get("max").and_then(Value::as_object).cloned() {
            let default = at(limit, "default");
            max.into_iter().for_each(|(k, v)| absent(default, &k, v));
        }
        if let Some(default) = limit.get("default").and_then(Value::as_object).cloned() {
            let request = at(limit, "defaultRequest");
            default
                .into_iter()
                .for_each(|(k, v)| absent(request, &k, v));
        }
    }
}

fn network_policy(spec: &mut Map<String, Value>) {
    if spec.get("policyTypes").is_none() {
        let mut types = vec!["Ingress"];
        if spec
            .get("egress")
            .and_then(Value::as_array)
            .is_some_and(|e| !e.is_empty())
        {
            types.push("Egress");
        }
        spec.insert("policyTypes".into(), json!(types));
    }
    for key in ["ingress", "egress"] {
        for rule in items(spec, key) {
            for port in items(rule, "ports") {
                absent(port, "protocol", "TCP");
            }
        }
    }
}

fn autoscaler(version: &str, spec: &mut Map<String, Value>) {
    absent(spec, "minReplicas", 1);
    let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}});
    if version == "v2"
        && spec
            .get("metrics")
            .and_then(Value::as_array)
            .is_none_or(Vec::is_empty)
    {
        spec.insert("metrics".into(), json!([cpu]));
    }
}

fn binding(object: &mut Value) {
    let binding = ensure(object);
    if let Some(role) = binding.get_mut("roleRef").and_then(Value::as_object_mut)
        && text(role, "apiGroup").is_empty()
    {
        role.insert("apiGroup".into(), "rbac.authorization.k8s.io".into());
    }
    for subject in items(binding, "subjects") {
        if text(subject, "apiGroup").is_empty() && text(subject, "kind") != "ServiceAccount" {
            subject.insert("apiGroup".into(), "rbac.authorization.k8s.io".into());
        }
    }
}

fn webhooks(object: &mut Value, mutating: bool) {
    for webhook in items(ensure(object), "webhooks") {
        absent(webhook, "failurePolicy", "Fail");
        absent(webhook, "matchPolicy", "Equivalent");
        absent(webhook, "namespaceSelector", json!({}));
        absent(webhook, "objectSelector", json!({}));
        absent(webhook, "timeoutSeconds", 10);
        if mutating {
            absent(webhook, "reinvocationPolicy", "Never");
        }
        for rule in items(webhook, "rules") {
            absent(rule, "scope", "*");
        }
        if let Some(service) = webhook
            .get_mut("clientConfig")
            .and_then(|c| c.get_mut("service"))
            .and_then(Value::as_object_mut)
        {
            absent(service, "port", 443);
        }
    }
}
