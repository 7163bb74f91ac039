//! What each kind does with an object before it is stored: which fields a request cannot set, generations, and values that the server gives.

use serde_json::{Map, Value, json};

use super::apply::path::FieldSet;
use super::defaults::TEMPLATE_GENERATION;
use super::kinds;
use super::schema::{Schema, decode};
use super::state::{State, Target, text};
use super::status::Status;

/// Service addresses are given from 10.0.0.0/16, as in the local control plane.
const SERVICE_NETWORK: [u8; 2] = [10, 0];
/// The first node port.
const FIRST_NODE_PORT: u32 = 30_000;

/// Paths that a request cannot own.
pub(crate) fn reset_fields(target: &Target) -> FieldSet {
    let status = target.version().has_status();
    match (target.subresource(), target.resource.custom) {
        ("status", true) => FieldSet::of_fields(&[&["metadata"], &["spec"]]),
        ("status", false) => FieldSet::of_fields(&[&["spec"], &["metadata", "labels"]]),
        ("", _) if status => FieldSet::of_fields(&[&["status"]]),
        _ => FieldSet::default(),
    }
}

/// Metadata and status of an object that is created.
pub(crate) fn prepare_new(target: &Target, object: &mut Value, now: &str) {
    let version = target.version();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for key in [
            "resourceVersion",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "selfLink",
            "generation",
        ] {
            metadata.shift_remove(key);
        }
        metadata.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
        metadata.insert("creationTimestamp".into(), now.into());
        if kinds::has_generation(&target.resource) {
            metadata.insert("generation".into(), 1.into());
        }
    }
    if version.has_status() {
        reset_status(target, object, None);
    }
    order_metadata(object);
}

/// Puts the status back to what it was, or to that of a new object.
fn reset_status(target: &Target, object: &mut Value, live: Option<&Value>) {
    let status = match (live, &target.version().schema) {
        (Some(live), _) => live.get("status").cloned(),
        (None, Schema::BuiltIn(_)) => target
            .version()
            .schema
            .root()
            .child("status")
            .map(decode::zero)
            .filter(|v| !v.is_null()),
        (None, Schema::Custom(_)) => None,
    };
    if let Some(map) = object.as_object_mut() {
        match status {
            Some(status) => {
                map.insert("status".into(), status);
            }
            None => {
                map.shift_remove("status");
            }
        }
    }
    if live.is_none() {
        first_status(target, object);
    }
}

/// What new objects of some kinds have in their status.
fn first_status(target: &Target, object: &mut Value) {
    match (
        target.resource.group.as_str(),
        target.resource.plural.as_str(),
    ) {
        ("", "pods") => {
            object["status"] = json!({"phase": "Pending", "qosClass": qos_class(object)})
        }
        ("", "namespaces") => object["status"] = json!({"phase": "Active"}),
        ("", "persistentvolumes" | "persistentvolumeclaims") => {
            object["status"] = json!({"phase": "Pending"})
        }
        ("", "services") => object["status"] = json!({"loadBalancer": {}}),
        _ => {}
    }
}

fn qos_class(pod: &Value) -> &'static str {
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
    let mut best_effort = true;
    let mut guaranteed = true;
    for container in containers.into_iter().flatten() {
        let part = |name: &str| {
            container
                .pointer(&format!("/resources/{name}"))
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default()
        };
        let (limits, requests) = (part("limits"), part("requests"));
        best_effort &= limits.is_empty() && requests.is_empty();
        guaranteed &= ["cpu", "memory"]
            .iter()
            .all(|r| limits.contains_key(*r) && requests.get(*r) == limits.get(*r));
    }
    match (best_effort, guaranteed) {
        (true, _) => "BestEffort",
        (_, true) => "Guaranteed",
        _ => "Burstable",
    }
}

/// What an update keeps of the live object.
pub(crate) fn prepare_update(target: &Target, live: &Value, object: &mut Value) {
    if target.subresource() == "status" {
        only_status(target, live, object);
    } else if target.version().has_status() {
        reset_status(target, object, Some(live));
    }
    if let (Some(old), Some(new)) = (
        live["metadata"].as_object(),
        object["metadata"].as_object_mut(),
    ) {
        let kept = [
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "namespace",
            "name",
            "generateName",
            "selfLink",
        ];
        for key in kept {
            match old.get(key) {
                Some(value) => new.insert(key.into(), value.clone()),
                None => new.shift_remove(key),
            };
        }
    }
    if target.resource.is("apps", "daemonsets") {
        count_template(live, object);
    }
    if target.resource.is("", "namespaces") && target.subresource() != "finalize" {
        object["spec"]["finalizers"] = live["spec"]["finalizers"].clone();
    }
    order_metadata(object);
}

/// Counts a change of a DaemonSet's template, where clients of old look for it.
fn count_template(live: &Value, object: &mut Value) {
    let count = |object: &Value| -> i64 {
        let text = object["metadata"]["annotations"][TEMPLATE_GENERATION].as_str();
        text.and_then(|it| it.parse().ok()).unwrap_or(1)
    };
    let changed =
        !super::apply::typed::equal(&live["spec"]["template"], &object["spec"]["template"]);
    let next = count(live) + i64::from(changed);
    object["metadata"]["annotations"][TEMPLATE_GENERATION] = next.to_string().into();
}

fn only_status(target: &Target, live: &Value, object: &mut Value) {
    let status = object.get("status").cloned();
    let metadata = object["metadata"].clone();
    *object = live.clone();
    if let Some(map) = object.as_object_mut() {
        match status {
            Some(status) => map.insert("status".into(), status),
            None => map.shift_remove("status"),
        };
    }
    let mut kept = live["metadata"].clone();
    if !target.resource.custom {
        // Annotations, finalizers and owners can change with the status; labels cannot.
        for key in ["annotations", "finalizers", "ownerReferences"] {
            if let Some(map) = kept.as_object_mut() {
                match metadata.get(key) {
                    Some(value) => map.insert(key.into(), value.clone()),
                    None => map.shift_remove(key),
                };
            }
        }
    }
    object["metadata"] = kept;
}

/// Counts a change of anything but metadata and status.
pub(crate) fn bump_generation(target: &Target, live: &Value, object: &mut Value) {
    if !kinds::has_generation(&target.resource) || target.subresource() == "status" {
        return;
    }
    let ignores_status = target.version().has_status() || !target.resource.custom;
    let counts = |key: &str| match key {
        "metadata" | "apiVersion" | "kind" => false,
        "status" => !ignores_status,
        _ => true,
    };
    let relevant = |o: &Value| -> Map<String, Value> {
        let pairs = o.as_object().into_iter().flatten();
        pairs
            .filter(|(key, _)| counts(key))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    };
    if !super::apply::typed::equal(
        &Value::Object(relevant(live)),
        &Value::Object(relevant(object)),
    ) {
        let generation = live
            .pointer("/metadata/generation")
            .and_then(Value::as_i64)
            .unwrap_or(0);
        object["metadata"]["generation"] = (generation + 1).into();
        order_metadata(object);
    }
}

/// Writes metadata in the order in which the real server encodes it.
pub(crate) fn order_metadata(object: &mut Value) {
    const ORDER: [&str; 14] = [
        "name",
        "generateName",
        "namespace",
        "selfLink",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "labels",
        "annotations",
        "ownerReferences",
        "finalizers",
    ];
    let Some(metadata) = object["metadata"].as_object_mut() else {
        return;
    };
    let mut ordered = Map::new();
    for key in ORDER {
        if let Some(value) = metadata.shift_remove(key) {
            ordered.insert(key.into(), value);
        }
    }
    ordered.extend(std::mem::take(metadata));
    *metadata = ordered;
}

/// Kinds whose updates need no resource version.
pub(crate) fn unconditional_update(target: &Target) -> bool {
    if target.resource.custom {
        return false;
    }
    !matches!(
        (
            target.resource.group.as_str(),
            target.resource.plural.as_str()
        ),
        ("admissionregistration.k8s.io", _)
            | ("coordination.k8s.io", "leases")
            | ("node.k8s.io", _)
            | ("policy", "poddisruptionbudgets")
            | (
                "storage.k8s.io",
                "csidrivers" | "csinodes" | "csistoragecapacities" | "volumeattachments"
            )
            | ("apiextensions.k8s.io", _)
            | ("apiregistration.k8s.io", _)
    )
}

/// Kinds that an update creates where they are missing.
pub(crate) fn creates_on_update(target: &Target) -> bool {
    matches!(
        (
            target.resource.group.as_str(),
            target.resource.plural.as_str()
        ),
        ("coordination.k8s.io", "leases")
            | ("", "endpoints" | "events" | "limitranges" | "services")
            | ("node.k8s.io", _)
            | ("rbac.authorization.k8s.io", _)
    )
}

/// Kinds that are marked for deletion by code of their own know no grace and count no generation.
pub(crate) fn has_grace(target: &Target) -> bool {
    !target.resource.is("", "namespaces")
        && !target
            .resource
            .is("apiextensions.k8s.io", "customresourcedefinitions")
}

/// Kinds whose deletion answers with the object instead of a status.
pub(crate) fn returns_deleted(target: &Target) -> bool {
    matches!(
        (
            target.resource.group.as_str(),
            target.resource.plural.as_str()
        ),
        (
            "",
            "resourcequotas"
                | "persistentvolumes"
                | "serviceaccounts"
                | "persistentvolumeclaims"
                | "namespaces"
                | "pods"
                | "services"
                | "podtemplates"
        ) | (
            "storage.k8s.io",
            "csidrivers"
                | "storageclasses"
                | "volumeattachments"
                | "csinodes"
                | "volumeattributesclasses"
        ) | ("resource.k8s.io", _)
    )
}

/// Finalizers that a kind keeps outside metadata.
pub(crate) fn has_own_finalizers(object: &Value) -> bool {
    text(object, "/kind") == "Namespace"
        && object
            .pointer("/spec/finalizers")
            .and_then(Value::as_array)
            .is_some_and(|f| !f.is_empty())
}

/// Values that the server allocates.
pub(crate) fn before_create(
    state: &mut State,
    target: &Target,
    object: &mut Value,
    dry_run: bool,
) -> Result<(), Status> {
    match (
        target.resource.group.as_str(),
        target.resource.plural.as_str(),
    ) {
        ("", "services") => allocate_service(state, object, dry_run),
        ("", "namespaces") => object["spec"]["finalizers"] = json!(["kubernetes"]),
        ("", "persistentvolumeclaims") => {
            object["metadata"]["finalizers"] = json!(["kubernetes.io/pvc-protection"])
        }
        ("", "persistentvolumes") => {
            object["metadata"]["finalizers"] = json!(["kubernetes.io/pv-protection"])
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => super::crd::prepare_new(object),
        ("batch", "jobs") => label_job(object),
        _ => {}
    }
    Ok(())
}

fn allocate_service(state: &mut State, object: &mut Value, dry_run: bool) {
    let spec = &mut object["spec"];
    let kind = text(spec, "/type").to_owned();
    if kind == "ExternalName" {
        return;
    }
    let mut address = text(spec, "/clusterIP").to_owned();
    if address.is_empty() {
        let next = state.addresses + 1;
        if !dry_run {
            state.addresses = next;
        }
        let [a, b] = SERVICE_NETWORK;
        address = format!("{a}.{b}.{}.{}", (next / 250) % 256, next % 250 + 2);
    }
    spec["clusterIPs"] = json!([address]);
    spec["clusterIP"] = address.into();
    if spec.get("ipFamilies").is_none() {
        spec["ipFamilies"] = json!(["IPv4"]);
    }
    if spec.get("ipFamilyPolicy").is_none() {
        spec["ipFamilyPolicy"] = "SingleStack".into();
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        for port in spec["ports"].as_array_mut().into_iter().flatten() {
            if port.get("nodePort").is_none() {
                let next = state.addresses + 1;
                if !dry_run {
                    state.addresses = next;
                }
                port["nodePort"] = (FIRST_NODE_PORT + next % 2_768).into();
            }
        }
    }
}

/// A job selects its pods by its own uid unless it says otherwise.
fn label_job(object: &mut Value) {
    if object
        .pointer("/spec/manualSelector")
        .and_then(Value::as_bool)
        == Some(true)
        || object.pointer("/spec/selector").is_some()
    {
        return;
    }
    let (uid, name) = (
        object["metadata"]["uid"].clone(),
        object["metadata"]["name"].clone(),
    );
    object["spec"]["selector"] =
        json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
    let labels = &mut object["spec"]["template"]["metadata"]["labels"];
    if labels.is_null() {
        *labels = json!({});
    }
    for (key, value) in [
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("job-name", &name),
    ] {
        labels[key] = value.clone();
    }
    // Without labels of its own a job has those of its pods.
    let labels = labels.clone();
    let own = &mut object["metadata"]["labels"];
    if own.is_null() {
        *own = labels;
    }
    order_metadata(object);
}
