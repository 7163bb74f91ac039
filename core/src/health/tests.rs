//! One table per kind.

use serde_json::{Value, json};

use super::health;

fn check(kind: &str, object: Value, expect: &str) {
    let key = format!("{kind}/a/x").parse().unwrap();
    let got = health(&key, &object);
    let text = format!("{} {}", got.health, got.message);
    assert_eq!(text.trim(), expect, "{kind} {object}");
}

fn condition(name: &str, status: &str, reason: &str) -> Value {
    json!({"type": name, "status": status, "reason": reason})
}

#[test]
fn what_holds_for_every_kind() {
    let kind = "Widget.example.com";
    check(kind, json!({}), "Current");
    check(
        kind,
        json!({"metadata": {"deletionTimestamp": "x"}}),
        "Terminating is being deleted",
    );
    check(
        kind,
        json!({"metadata": {"generation": 2}, "status": {"observedGeneration": 1}}),
        "InProgress generation 2 is not observed yet (last 1)",
    );
    let with = |it: Value| json!({"status": {"conditions": [it]}});
    check(
        kind,
        with(condition("Ready", "False", "Broken")),
        "InProgress is not ready: Broken",
    );
    check(kind, with(condition("Ready", "True", "")), "Current");
    check(
        kind,
        with(condition("Reconciling", "True", "")),
        "InProgress is reconciling",
    );
    check(
        kind,
        with(condition("Stalled", "True", "Bad")),
        "Failed is stalled: Bad",
    );
}

#[test]
fn a_deployment_is_ready_with_its_replicas() {
    let kind = "Deployment.apps";
    let status = |updated: i64, available: i64, conditions: Value| {
        json!({"spec": {"replicas": 2}, "status": {"replicas": 2, "updatedReplicas": updated,
            "availableReplicas": available, "readyReplicas": available, "conditions": conditions}})
    };
    let good = json!([
        condition("Progressing", "True", "NewReplicaSetAvailable"),
        condition("Available", "True", "")
    ]);
    check(kind, json!({}), "InProgress 0 of 1 replicas exist");
    check(
        kind,
        status(1, 1, good.clone()),
        "InProgress 1 of 2 replicas updated",
    );
    check(
        kind,
        status(2, 1, good.clone()),
        "InProgress 1 of 2 replicas available",
    );
    check(
        kind,
        status(2, 2, json!([])),
        "InProgress the new ReplicaSet is not available",
    );
    check(kind, status(2, 2, good), "Current");
    let late = json!([condition(
        "Progressing",
        "False",
        "ProgressDeadlineExceeded"
    )]);
    check(
        kind,
        status(0, 0, late),
        "Failed progress deadline exceeded: ProgressDeadlineExceeded",
    );
    check(
        kind,
        json!({"spec": {"replicas": 1}, "status": {"replicas": 3, "updatedReplicas": 1}}),
        "InProgress 2 old replicas are left",
    );
}

#[test]
fn a_stateful_set_is_ready_with_one_revision() {
    let kind = "StatefulSet.apps";
    let full = json!({"replicas": 3, "readyReplicas": 3, "currentReplicas": 3, "updatedReplicas": 3,
        "currentRevision": "a", "updateRevision": "a"});
    check(
        kind,
        json!({"spec": {"replicas": 3}, "status": full}),
        "Current",
    );
    let mut two = full.clone();
    two["updateRevision"] = "b".into();
    check(
        kind,
        json!({"spec": {"replicas": 3}, "status": two}),
        "InProgress replicas of two revisions run",
    );
    let partition = json!({"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}});
    check(kind, json!({"spec": partition, "status": two}), "Current");
    let on_delete = json!({"replicas": 3, "updateStrategy": {"type": "OnDelete"}});
    check(kind, json!({"spec": on_delete}), "Current");
    check(
        kind,
        json!({"spec": {"replicas": 3}, "status": {"replicas": 3, "readyReplicas": 1}}),
        "InProgress 1 of 3 replicas ready",
    );
}

#[test]
fn the_other_workloads() {
    check(
        "DaemonSet.apps",
        json!({}),
        "InProgress is not scheduled yet",
    );
    let daemon = json!({"status": {"desiredNumberScheduled": 2, "currentNumberScheduled": 2,
        "updatedNumberScheduled": 2, "numberAvailable": 1, "numberReady": 1}});
    check("DaemonSet.apps", daemon, "InProgress 1 of 2 pods available");
    check(
        "ReplicaSet.apps",
        json!({"spec": {"replicas": 0}}),
        "Current",
    );
    check(
        "Job.batch",
        json!({"status": {"startTime": "x"}}),
        "InProgress is running",
    );
    check("Job.batch", json!({"spec": {"suspend": true}}), "Current");
    let done = json!({"status": {"conditions": [condition("Complete", "True", "")]}});
    check("Job.batch", done, "Current");
    let failed =
        json!({"status": {"conditions": [condition("Failed", "True", "BackoffLimitExceeded")]}});
    check(
        "Job.batch",
        failed,
        "Failed has failed: BackoffLimitExceeded",
    );
    check("CronJob.batch", json!({}), "Current");
}

#[test]
fn pods_claims_services_and_definitions() {
    check("Pod", json!({"status": {"phase": "Succeeded"}}), "Current");
    let crash = json!({"status": {"phase": "Running",
        "containerStatuses": [{"name": "web", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}});
    check("Pod", crash, "Failed container web crashes again and again");
    check(
        "PersistentVolumeClaim",
        json!({"status": {"phase": "Pending"}}),
        "InProgress is Pending, not Bound",
    );
    check(
        "PersistentVolumeClaim",
        json!({"status": {"phase": "Bound"}}),
        "Current",
    );
    check(
        "Service",
        json!({"spec": {"type": "LoadBalancer"}}),
        "InProgress has no cluster IP",
    );
    check("Service", json!({}), "Current");
    let kind = "CustomResourceDefinition.apiextensions.k8s.io";
    check(kind, json!({}), "InProgress is not established yet");
    let up = json!({"status": {"conditions": [condition("Established", "True", "")]}});
    check(kind, up, "Current");
    let taken =
        json!({"status": {"conditions": [condition("NamesAccepted", "False", "Conflict")]}});
    check(kind, taken, "Failed its names are taken: Conflict");
}
