//! Whether an object is ready, by kstatus' rules with Flux's exceptions, and what it waits for.

use serde_json::Value;

use crate::{object::ObjectKey, report::Health};

/// Health of one object, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The health.
    pub health: Health,
    /// Why it is not [`Health::Current`]; empty otherwise.
    pub message: String,
}

impl Verdict {
    fn current() -> Self {
        Self {
            health: Health::Current,
            message: String::new(),
        }
    }

    fn waiting(message: impl Into<String>) -> Self {
        Self {
            health: Health::InProgress,
            message: message.into(),
        }
    }

    fn failed(message: impl Into<String>) -> Self {
        Self {
            health: Health::Failed,
            message: message.into(),
        }
    }
}

/// Whether health of this kind depends on more than the object's metadata. Where it does not, the object's content need
/// not be watched, nor seen at all.
pub fn needs_body(key: &ObjectKey) -> bool {
    match key.group.as_str() {
        "" => !matches!(
            key.kind.as_str(),
            "ConfigMap"
                | "Secret"
                | "ServiceAccount"
                | "Namespace"
                | "LimitRange"
                | "ResourceQuota"
                | "Endpoints"
                | "PodTemplate"
        ),
        "batch" => key.kind != "CronJob",
        "rbac.authorization.k8s.io"
        | "storage.k8s.io"
        | "scheduling.k8s.io"
        | "node.k8s.io"
        | "admissionregistration.k8s.io"
        | "networking.k8s.io"
        | "discovery.k8s.io"
        | "coordination.k8s.io"
        | "autoscaling" => false,
        _ => true,
    }
}

/// The health of `object`, as it lives.
pub fn health(key: &ObjectKey, object: &Value) -> Verdict {
    if let Some(verdict) = generic(object) {
        return verdict;
    }
    match (key.group.as_str(), key.kind.as_str()) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "ReplicaSet") => replica_set(object),
        ("batch", "Job") => job(object),
        ("", "Pod") => pod(object),
        ("", "Service") => service(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        ("", "ConfigMap" | "Secret") | ("batch", "CronJob") | ("policy", "PodDisruptionBudget") => {
            Verdict::current()
        }
        _ => ready_condition(object),
    }
}

/// What holds for every kind: deletion, generation, and the standard abnormal conditions.
fn generic(object: &Value) -> Option<Verdict> {
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        return Some(Verdict {
            health: Health::Terminating,
            message: "is being deleted".into(),
        });
    }
    let generation = number(object, "/metadata/generation");
    let observed = number(object, "/status/observedGeneration");
    if let (Some(generation), Some(observed)) = (generation, observed)
        && generation != observed
    {
        return Some(Verdict::waiting(format!(
            "generation {generation} is not observed yet (last {observed})"
        )));
    }
    if let Some(it) = condition(object, "Reconciling")
        && it.is_true()
    {
        return Some(Verdict::waiting(it.says("is reconciling")));
    }
    if let Some(it) = condition(object, "Stalled")
        && it.is_true()
    {
        return Some(Verdict::failed(it.says("is stalled")));
    }
    None
}

fn ready_condition(object: &Value) -> Verdict {
    match condition(object, "Ready") {
        Some(it) if !it.is_true() => Verdict::waiting(it.says("is not ready")),
        _ => Verdict::current(),
    }
}

/// One comparison of replica counts: how many there must be, how many there are, and what to call them.
struct Count(i64, i64, &'static str);

fn missing(counts: impl IntoIterator<Item = Count>) -> Option<Verdict> {
    counts
        .into_iter()
        .find(|Count(need, have, _)| have < need)
        .map(|Count(need, have, what)| Verdict::waiting(format!("{have} of {need} {what}")))
}

fn deployment(object: &Value) -> Verdict {
    if let Some(it) = condition(object, "Progressing")
        && it.reason == "ProgressDeadlineExceeded"
    {
        return Verdict::failed(it.says("progress deadline exceeded"));
    }
    let spec = number(object, "/spec/replicas").unwrap_or(1);
    let replicas = status_number(object, "replicas");
    let updated = status_number(object, "updatedReplicas");
    let first = [
        Count(spec, replicas, "replicas exist"),
        Count(spec, updated, "replicas updated"),
    ];
    if let Some(verdict) = missing(first) {
        return verdict;
    }
    if replicas > spec {
        return Verdict::waiting(format!("{} old replicas are left", replicas - spec));
    }
    let last = [
        Count(
            updated,
            status_number(object, "availableReplicas"),
            "replicas available",
        ),
        Count(
            spec,
            status_number(object, "readyReplicas"),
            "replicas ready",
        ),
    ];
    if let Some(verdict) = missing(last) {
        return verdict;
    }
    // A deadline of the largest number means none, and then the controller sets no Progressing condition.
    let deadline =
        number(object, "/spec/progressDeadlineSeconds").unwrap_or(600) != i64::from(i32::MAX);
    let complete = condition(object, "Progressing")
        .is_some_and(|it| it.is_true() && it.reason == "NewReplicaSetAvailable");
    if deadline && !complete {
        return Verdict::waiting("the new ReplicaSet is not available");
    }
    match condition(object, "Available") {
        Some(it) if it.is_true() => Verdict::current(),
        Some(it) => Verdict::waiting(it.says("is not available")),
        None => Verdict::waiting("is not available"),
    }
}

fn stateful_set(object: &Value) -> Verdict {
    if object.pointer("/spec/updateStrategy/type") == Some(&"OnDelete".into()) {
        return Verdict::current();
    }
    let spec = number(object, "/spec/replicas").unwrap_or(1);
    let replicas = status_number(object, "replicas");
    let first = [
        Count(spec, replicas, "replicas exist"),
        Count(
            spec,
            status_number(object, "readyReplicas"),
            "replicas ready",
        ),
    ];
    if let Some(verdict) = missing(first) {
        return verdict;
    }
    if replicas > spec {
        return Verdict::waiting(format!("{} replicas too many", replicas - spec));
    }
    let updated = status_number(object, "updatedReplicas");
    match number(object, "/spec/updateStrategy/rollingUpdate/partition") {
        Some(partition) if partition > 0 => {
            let need = Count(spec - partition, updated, "replicas updated");
            return missing([need]).unwrap_or_else(Verdict::current);
        }
        _ => {}
    }
    let current = Count(
        spec,
        status_number(object, "currentReplicas"),
        "replicas at the current revision",
    );
    if let Some(verdict) = missing([current]) {
        return verdict;
    }
    let revision = |name: &str| object.pointer(&format!("/status/{name}"));
    if revision("currentRevision") != revision("updateRevision") {
        return Verdict::waiting("replicas of two revisions run");
    }
    Verdict::current()
}

fn daemon_set(object: &Value) -> Verdict {
    let Some(desired) = number(object, "/status/desiredNumberScheduled") else {
        return Verdict::waiting("is not scheduled yet");
    };
    let counts = [
        Count(
            desired,
            status_number(object, "currentNumberScheduled"),
            "pods scheduled",
        ),
        Count(
            desired,
            status_number(object, "updatedNumberScheduled"),
            "pods updated",
        ),
        Count(
            desired,
            status_number(object, "numberAvailable"),
            "pods available",
        ),
        Count(desired, status_number(object, "numberReady"), "pods ready"),
    ];
    missing(counts).unwrap_or_else(Verdict::current)
}

fn replica_set(object: &Value) -> Verdict {
    if let Some(it) = condition(object, "ReplicaFailure")
        && it.is_true()
    {
        return Verdict::waiting(it.says("replicas cannot be made"));
    }
    let spec = number(object, "/spec/replicas").unwrap_or(1);
    let counts = [
        Count(
            spec,
            status_number(object, "fullyLabeledReplicas"),
            "replicas labelled",
        ),
        Count(
            spec,
            status_number(object, "availableReplicas"),
            "replicas available",
        ),
        Count(
            spec,
            status_number(object, "readyReplicas"),
            "replicas ready",
        ),
    ];
    if let Some(verdict) = missing(counts) {
        return verdict;
    }
    let replicas = status_number(object, "replicas");
    if replicas > spec {
        return Verdict::waiting(format!("{} replicas too many", replicas - spec));
    }
    Verdict::current()
}

/// Flux waits for a Job's completion, where kstatus is content with its start. A suspended Job waits for nobody.
fn job(object: &Value) -> Verdict {
    if let Some(it) = condition(object, "Failed")
        && it.is_true()
    {
        return Verdict::failed(it.says("has failed"));
    }
    let is = |name| condition(object, name).is_some_and(|it| it.is_true());
    if is("Complete") || is("Suspended") || object.pointer("/spec/suspend") == Some(&true.into()) {
        return Verdict::current();
    }
    if object.pointer("/status/startTime").is_none() {
        return Verdict::waiting("has not started");
    }
    Verdict::waiting("is running")
}

fn pod(object: &Value) -> Verdict {
    let phase = object
        .pointer("/status/phase")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match phase {
        "Succeeded" => return Verdict::current(),
        "Failed" => return Verdict::failed("has failed"),
        _ => {}
    }
    if condition(object, "Ready").is_some_and(|it| it.is_true()) {
        return Verdict::current();
    }
    let statuses = ["initContainerStatuses", "containerStatuses"];
    let containers = statuses
        .iter()
        .filter_map(|it| object.pointer(&format!("/status/{it}")))
        .filter_map(Value::as_array)
        .flatten();
    for container in containers {
        let reason = container
            .pointer("/state/waiting/reason")
            .and_then(Value::as_str);
        if reason == Some("CrashLoopBackOff") {
            let name = container
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            return Verdict::failed(format!("container {name} crashes again and again"));
        }
    }
    if let Some(it) = condition(object, "PodScheduled")
        && !it.is_true()
    {
        return Verdict::waiting(it.says("is not scheduled"));
    }
    Verdict::waiting("is not ready")
}

fn service(object: &Value) -> Verdict {
    let is_balancer = object.pointer("/spec/type") == Some(&"LoadBalancer".into());
    let address = object.pointer("/spec/clusterIP").and_then(Value::as_str);
    if is_balancer && address.is_none_or(str::is_empty) {
        return Verdict::waiting("has no cluster IP");
    }
    Verdict::current()
}

fn claim(object: &Value) -> Verdict {
    match object.pointer("/status/phase").and_then(Value::as_str) {
        Some("Bound") => Verdict::current(),
        Some(phase) => Verdict::waiting(format!("is {phase}, not Bound")),
        None => Verdict::waiting("is not bound"),
    }
}

fn definition(object: &Value) -> Verdict {
    if let Some(it) = condition(object, "NamesAccepted")
        && it.status == "False"
    {
        return Verdict::failed(it.says("its names are taken"));
    }
    match condition(object, "Established") {
        Some(it) if it.is_true() => Verdict::current(),
        Some(it) if it.status == "False" && it.reason != "Installing" => {
            Verdict::failed(it.says("is not established"))
        }
        _ => Verdict::waiting("is not established yet"),
    }
}

struct Condition<'a> {
    status: &'a str,
    reason: &'a str,
    message: &'a str,
}

impl Condition<'_> {
    fn is_true(&self) -> bool {
        self.status == "True"
    }

    fn says(&self, otherwise: &str) -> String {
        match (self.reason, self.message) {
            ("", "") => otherwise.to_owned(),
            (reason, "") => format!("{otherwise}: {reason}"),
            ("", message) => format!("{otherwise}: {message}"),
            (reason, message) => format!("{otherwise}: {reason}: {message}"),
        }
    }
}

fn condition<'a>(object: &'a Value, name: &str) -> Option<Condition<'a>> {
    let all = object.pointer("/status/conditions")?.as_array()?;
    let one = all
        .iter()
        .find(|it| it.get("type").and_then(Value::as_str) == Some(name))?;
    let text = |field: &str| one.get(field).and_then(Value::as_str).unwrap_or_default();
    Some(Condition {
        status: text("status"),
        reason: text("reason"),
        message: text("message"),
    })
}

fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer)?.as_i64()
}

fn status_number(object: &Value, field: &str) -> i64 {
    number(object, &format!("/status/{field}")).unwrap_or(0)
}

#[cfg(test)]
mod tests;
