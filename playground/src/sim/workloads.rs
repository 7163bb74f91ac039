//! Workloads that become ready, slow or failing, as told: only their status is made, no ReplicaSets, Pods or Events.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::kinds::ResourceId;
use super::state::{Caller, State, Target, text};
use super::storage::Key;

/// What becomes of a workload after each change of its spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It is ready at once.
    Immediately,
    /// It is ready after this time on the cluster's clock.
    After(Duration),
    /// It stays in progress.
    Never,
    /// It fails after this time, with this message.
    Fails {
        /// How long it is in progress before.
        after: Duration,
        /// What its condition says.
        message: String,
    },
}

/// Which workloads a readiness is for. What is empty matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkloadMatch {
    /// The kind, `Deployment`.
    pub kind: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl WorkloadMatch {
    /// One workload by kind, namespace and name.
    #[must_use]
    pub fn one(kind: &str, namespace: &str, name: &str) -> WorkloadMatch {
        WorkloadMatch {
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    fn fits(&self, kind: &str, key: &Key) -> bool {
        let fits = |pattern: &str, value: &str| pattern.is_empty() || pattern == value;
        fits(&self.kind, kind)
            && fits(&self.namespace, &key.namespace)
            && fits(&self.name, &key.name)
    }
}

/// The rules of a cluster, and since when each workload is in progress.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    rules: Vec<(WorkloadMatch, Readiness)>,
    started: BTreeMap<(ResourceId, Key), (i64, Timestamp)>,
}

impl Policies {
    /// A rule; of those that match, the newest counts.
    pub(crate) fn set(&mut self, which: WorkloadMatch, readiness: Readiness) {
        self.rules.retain(|(w, _)| *w != which);
        self.rules.push((which, readiness));
    }

    fn of(&self, kind: &str, key: &Key) -> Readiness {
        self.rules
            .iter()
            .rev()
            .find(|(which, _)| which.fits(kind, key))
            .map_or(Readiness::Immediately, |(_, r)| r.clone())
    }

    /// Since when the generation of a workload is in progress.
    fn since(&mut self, id: &ResourceId, key: &Key, generation: i64, now: Timestamp) -> Timestamp {
        let entry = self
            .started
            .entry((id.clone(), key.clone()))
            .or_insert((generation, now));
        if entry.0 != generation {
            *entry = (generation, now);
        }
        entry.1
    }

    pub(crate) fn forget(&mut self, id: &ResourceId, key: &Key) {
        self.started.remove(&(id.clone(), key.clone()));
    }
}

#[derive(Clone, PartialEq)]
enum Phase {
    Progressing,
    Ready,
    Failed(String),
}

/// Whether a kind has a status that is made here.
pub(crate) fn concerns(id: &ResourceId) -> bool {
    matches!(
        (id.group.as_str(), id.plural.as_str()),
        (
            "apps",
            "deployments" | "statefulsets" | "daemonsets" | "replicasets"
        ) | ("batch", "jobs")
            | ("", "pods" | "persistentvolumeclaims")
            | ("policy", "poddisruptionbudgets")
    )
}

/// Brings the status of a workload up to date; sets a timer where it changes later.
pub(crate) fn reconcile(state: &mut State, id: &ResourceId, key: &Key) {
    let Some(object) = state.store.get(id, key).cloned() else {
        state.policies.forget(id, key);
        return;
    };
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        return;
    }
    let Some(resource) = state.kinds.find(&id.group, &id.plural) else {
        return;
    };
    let generation = object
        .pointer("/metadata/generation")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    let now = state.clock.now();
    let since = state.policies.since(id, key, generation, now);
    let due = |after: Duration| since.checked_add(after).unwrap_or(since);
    let (phase, timer) = match state.policies.of(&resource.kind, key) {
        Readiness::Immediately => (Phase::Ready, None),
        Readiness::Never => (Phase::Progressing, None),
        Readiness::After(after) if now >= due(after) => (Phase::Ready, None),
        Readiness::After(after) => (Phase::Progressing, Some(due(after))),
        Readiness::Fails { after, message } if now >= due(after) => (Phase::Failed(message), None),
        Readiness::Fails { after, .. } => (Phase::Progressing, Some(due(after))),
    };
    if let Some(at) = timer {
        state.timers.insert((at, id.clone(), key.clone()), ());
    }
    let mut changed = Value::clone(&object);
    let status = status_of(
        &resource.kind,
        &object,
        generation,
        &phase,
        &state.clock.text(),
    );
    changed["status"] = status;
    if resource.kind == "Deployment" {
        let revision = changed
            .pointer("/metadata/annotations/deployment.kubernetes.io~1revision")
            .is_none();
        if revision {
            if changed["metadata"].get("annotations").is_none() {
                changed["metadata"]["annotations"] = json!({});
            }
            changed["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "1".into();
        }
    }
    let target = Target {
        version: resource.versions[0].name.clone(),
        resource,
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        subresource: Some("status".into()),
    };
    let who = if id.plural == "pods" {
        "kubelet"
    } else {
        "kube-controller-manager"
    };
    if let Err(status) = state.update(&Caller::system(who), &target, changed) {
        tracing::warn!(
            kind = target.resource.kind,
            name = key.name,
            message = status.message(),
            "the status of a simulated workload was refused"
        );
    }
}

/// Conditions with their times kept where the status of a condition stays.
fn conditions(
    old: &Value,
    now: &str,
    wanted: &[(&str, &str, &str, &str)],
    update_time: bool,
) -> Value {
    let before = old
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let made = wanted.iter().map(|(kind, status, reason, message)| {
        let known = before
            .iter()
            .find(|c| c["type"] == *kind && c["status"] == *status);
        let since = known
            .map_or(now, |c| text(c, "/lastTransitionTime"))
            .to_owned();
        let mut condition = json!({"type": kind, "status": status});
        if update_time {
            let same = known.is_some_and(|c| c["reason"] == *reason && c["message"] == *message);
            condition["lastUpdateTime"] = if same {
                known
                    .map(|c| c["lastUpdateTime"].clone())
                    .unwrap_or_default()
            } else {
                now.into()
            };
        }
        condition["lastTransitionTime"] = since.into();
        condition["reason"] = (*reason).into();
        condition["message"] = (*message).into();
        condition
    });
    Value::Array(made.collect())
}

fn status_of(kind: &str, object: &Value, generation: i64, phase: &Phase, now: &str) -> Value {
    match kind {
        "Deployment" => deployment(object, generation, phase, now),
        "StatefulSet" => stateful_set(object, generation, phase),
        "DaemonSet" => daemon_set(generation, phase),
        "ReplicaSet" => {
            let replicas = object
                .pointer("/spec/replicas")
                .and_then(Value::as_i64)
                .unwrap_or(1);
            let ready = if *phase == Phase::Ready { replicas } else { 0 };
            json!({"replicas": replicas, "fullyLabeledReplicas": replicas, "readyReplicas": ready, "availableReplicas": ready, "terminatingReplicas": 0, "observedGeneration": generation})
        }
        "Job" => job(object, phase, now),
        "Pod" => pod(object, phase, now),
        "PersistentVolumeClaim" => match phase {
            Phase::Ready => {
                let capacity = object
                    .pointer("/spec/resources/requests")
                    .cloned()
                    .unwrap_or_default();
                json!({"phase": "Bound", "accessModes": object["spec"]["accessModes"], "capacity": capacity})
            }
            _ => json!({"phase": "Pending"}),
        },
        _ => {
            let sufficient = [("DisruptionAllowed", "False", "InsufficientPods", "")];
            json!({"observedGeneration": generation, "disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0, "conditions": conditions(object, now, &sufficient, false)})
        }
    }
}

fn deployment(object: &Value, generation: i64, phase: &Phase, now: &str) -> Value {
    let replicas = object
        .pointer("/spec/replicas")
        .and_then(Value::as_i64)
        .unwrap_or(1);
    let name = text(object, "/metadata/name");
    let set = format!("{name}-{}", short_hash(&object["spec"]["template"]));
    let available_before = object
        .pointer("/status/availableReplicas")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    let ready = *phase == Phase::Ready || replicas == 0;
    let available = if ready {
        replicas
    } else {
        available_before.min(replicas)
    };
    // While old replicas still serve, none is updated; from nothing, all are, but unavailable.
    let updated = if ready || available_before == 0 {
        replicas
    } else {
        0
    };
    let enough = ready || available >= replicas;
    let availability = if enough {
        (
            "Available",
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        )
    } else {
        (
            "Available",
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    };
    let done = format!("ReplicaSet {set:?} has successfully progressed.");
    let going = format!("ReplicaSet {set:?} is progressing.");
    let progress = match phase {
        _ if ready => (
            "Progressing",
            "True",
            "NewReplicaSetAvailable",
            done.as_str(),
        ),
        Phase::Failed(message) => (
            "Progressing",
            "False",
            "ProgressDeadlineExceeded",
            message.as_str(),
        ),
        _ => ("Progressing", "True", "ReplicaSetUpdated", going.as_str()),
    };
    let mut status = json!({"observedGeneration": generation});
    for (key, value) in [
        ("replicas", replicas),
        ("updatedReplicas", updated),
        ("readyReplicas", available),
        ("availableReplicas", available),
        ("unavailableReplicas", replicas - available),
    ] {
        if value > 0 {
            status[key] = value.into();
        }
    }
    status["terminatingReplicas"] = 0.into();
    status["conditions"] = conditions(object, now, &[availability, progress], true);
    status
}

/// Ten characters that stand for a template, as in the names of replica sets.
fn short_hash(template: &Value) -> String {
    // FNV-1a: stable between runs, and nothing depends on its strength.
    let hash = template
        .to_string()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{:010x}", hash & 0xff_ffff_ffff)
}

fn stateful_set(object: &Value, generation: i64, phase: &Phase) -> Value {
    let replicas = object
        .pointer("/spec/replicas")
        .and_then(Value::as_i64)
        .unwrap_or(1);
    let revision = format!(
        "{}-{}",
        text(object, "/metadata/name"),
        short_hash(&object["spec"]["template"])
    );
    let current = object
        .pointer("/status/currentRevision")
        .cloned()
        .unwrap_or_else(|| revision.clone().into());
    if *phase == Phase::Ready {
        return json!({"observedGeneration": generation, "replicas": replicas, "readyReplicas": replicas, "currentReplicas": replicas, "updatedReplicas": replicas,
                      "currentRevision": revision, "updateRevision": revision, "collisionCount": 0, "availableReplicas": replicas});
    }
    let before = object
        .pointer("/status/readyReplicas")
        .and_then(Value::as_i64)
        .unwrap_or(0)
        .min(replicas);
    let updated = i64::from(before == 0).min(replicas);
    json!({"observedGeneration": generation, "replicas": before.max(updated), "readyReplicas": before, "currentReplicas": before.max(updated), "updatedReplicas": updated,
           "currentRevision": current, "updateRevision": revision, "collisionCount": 0, "availableReplicas": before})
}

fn daemon_set(generation: i64, phase: &Phase) -> Value {
    let ready = i64::from(*phase == Phase::Ready);
    let mut status = json!({"currentNumberScheduled": 1, "numberMisscheduled": 0, "desiredNumberScheduled": 1, "numberReady": ready, "observedGeneration": generation, "updatedNumberScheduled": 1});
    status[if ready == 1 {
        "numberAvailable"
    } else {
        "numberUnavailable"
    }] = 1.into();
    status
}

fn job(object: &Value, phase: &Phase, now: &str) -> Value {
    let start = object
        .pointer("/status/startTime")
        .and_then(Value::as_str)
        .unwrap_or(now);
    if object.pointer("/spec/suspend") == Some(&Value::Bool(true)) {
        return json!({"conditions": conditions(object, now, &[("Suspended", "True", "JobSuspended", "Job suspended")], false)});
    }
    let completions = object
        .pointer("/spec/completions")
        .and_then(Value::as_i64)
        .unwrap_or(1);
    match phase {
        Phase::Progressing => {
            json!({"startTime": start, "active": 1, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}})
        }
        Phase::Ready => {
            let message = "Reached expected number of succeeded pods";
            let wanted = [
                ("SuccessCriteriaMet", "True", "CompletionsReached", message),
                ("Complete", "True", "CompletionsReached", message),
            ];
            let finished = object
                .pointer("/status/completionTime")
                .and_then(Value::as_str)
                .unwrap_or(now);
            json!({"conditions": conditions(object, now, &wanted, false), "startTime": start, "completionTime": finished, "succeeded": completions, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}})
        }
        Phase::Failed(message) => {
            let wanted = [
                (
                    "FailureTarget",
                    "True",
                    "BackoffLimitExceeded",
                    message.as_str(),
                ),
                ("Failed", "True", "BackoffLimitExceeded", message.as_str()),
            ];
            json!({"conditions": conditions(object, now, &wanted, false), "startTime": start, "failed": 1, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}})
        }
    }
}

fn pod(object: &Value, phase: &Phase, now: &str) -> Value {
    let ready = *phase == Phase::Ready;
    let yes = if ready { "True" } else { "False" };
    let reason = if ready { "" } else { "ContainersNotReady" };
    let wanted = [
        ("PodScheduled", "True", "", ""),
        ("Initialized", "True", "", ""),
        ("ContainersReady", yes, reason, ""),
        ("Ready", yes, reason, ""),
    ];
    let once = text(object, "/spec/restartPolicy") != "Always";
    let phase_text = match phase {
        Phase::Failed(_) => "Failed",
        Phase::Ready if once => "Succeeded",
        Phase::Ready => "Running",
        Phase::Progressing => "Pending",
    };
    let start = object
        .pointer("/status/startTime")
        .and_then(Value::as_str)
        .unwrap_or(now);
    let mut status = json!({"phase": phase_text, "conditions": conditions(object, now, &wanted, false), "startTime": start, "qosClass": object["status"]["qosClass"]});
    if let Phase::Failed(message) = phase {
        status["message"] = message.clone().into();
    }
    status
}
