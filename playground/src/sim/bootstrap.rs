//! What every cluster has from the start: namespaces, roles, the `kubernetes` service.

use serde_json::{Value, json};

use super::controllers;
use super::state::{Caller, State, Target};

const RBAC: &str = "rbac.authorization.k8s.io";

fn create(state: &mut State, group: &str, plural: &str, namespace: &str, body: Value) {
    let resource = state
        .kinds
        .find(group, plural)
        .expect("the kind is built in");
    let target = Target {
        version: resource.versions[0].name.clone(),
        resource,
        namespace: namespace.into(),
        name: String::new(),
        subresource: None,
    };
    if let Err(status) = state.create(&Caller::system("kube-apiserver"), &target, body) {
        // Only a mistake in this file can bring us here; a test of the bootstrap finds it.
        tracing::error!(
            plural,
            message = status.message(),
            "an object that every cluster has was refused"
        );
    }
}

/// Fills a new cluster.
pub(crate) fn fill(state: &mut State) {
    for namespace in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        create(
            state,
            "",
            "namespaces",
            "",
            json!({"metadata": {"name": namespace}}),
        );
    }
    let service = json!({"metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
                         "spec": {"clusterIP": "10.0.0.1", "ports": [{"name": "https", "port": 443, "targetPort": 6443}]}});
    create(state, "", "services", "default", service);
    for (name, value) in [
        ("system-cluster-critical", 2_000_000_000),
        ("system-node-critical", 2_000_001_000),
    ] {
        create(
            state,
            "scheduling.k8s.io",
            "priorityclasses",
            "",
            json!({"metadata": {"name": name}, "value": value}),
        );
    }
    roles(state);
    controllers::run(state);
}

fn roles(state: &mut State) {
    let bootstrapping = json!({"kubernetes.io/bootstrapping": "rbac-defaults"});
    let all = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["*"], "verbs": ["*"]}]);
    let read = json!(["get", "list", "watch"]);
    let write = json!(["create", "delete", "deletecollection", "patch", "update"]);
    let discovery = json!([{"nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version", "/version/"], "verbs": ["get"]}]);
    let reviews = json!([
        {"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], "verbs": ["create"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]}
    ]);
    let public = json!([{"nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"], "verbs": ["get"]}]);
    let namespaced = [
        json!({"apiGroups": [""], "resources": ["configmaps", "endpoints", "persistentvolumeclaims", "pods", "replicationcontrollers", "services", "serviceaccounts"]}),
        json!({"apiGroups": ["apps"], "resources": ["controllerrevisions", "daemonsets", "deployments", "deployments/scale", "replicasets", "replicasets/scale", "statefulsets", "statefulsets/scale"]}),
        json!({"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"]}),
        json!({"apiGroups": ["batch"], "resources": ["cronjobs", "jobs"]}),
        json!({"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "networkpolicies"]}),
        json!({"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"]}),
    ];
    let with = |verbs: &Value| -> Vec<Value> {
        let rules = namespaced.iter().map(|rule| {
            let mut rule = rule.clone();
            rule["verbs"] = verbs.clone();
            rule
        });
        rules.collect()
    };
    let mut view = with(&read);
    view.push(json!({"apiGroups": [""], "resources": ["bindings", "events", "limitranges", "namespaces", "namespaces/status", "pods/log", "pods/status", "resourcequotas"], "verbs": read}));
    let mut edit = view.clone();
    edit.extend(with(&write));
    edit.push(json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch", "create", "delete", "deletecollection", "patch", "update"]}));
    edit.push(
        json!({"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]}),
    );
    let mut admin = edit.clone();
    admin.push(json!({"apiGroups": ["authorization.k8s.io"], "resources": ["localsubjectaccessreviews"], "verbs": ["create"]}));
    admin.push(json!({"apiGroups": [RBAC], "resources": ["rolebindings", "roles"], "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]}));
    let roles = [
        ("cluster-admin", all),
        ("system:discovery", discovery),
        ("system:basic-user", reviews),
        ("system:public-info-viewer", public),
        ("admin", admin.into()),
        ("edit", edit.into()),
        ("view", view.into()),
    ];
    for (name, rules) in roles {
        create(
            state,
            RBAC,
            "clusterroles",
            "",
            json!({"metadata": {"name": name, "labels": bootstrapping}, "rules": rules}),
        );
    }
    let bindings = [
        ("cluster-admin", "cluster-admin", vec!["system:masters"]),
        (
            "system:discovery",
            "system:discovery",
            vec!["system:authenticated"],
        ),
        (
            "system:basic-user",
            "system:basic-user",
            vec!["system:authenticated"],
        ),
        (
            "system:public-info-viewer",
            "system:public-info-viewer",
            vec!["system:authenticated", "system:unauthenticated"],
        ),
    ];
    for (name, role, groups) in bindings {
        let subjects: Vec<Value> = groups
            .iter()
            .map(|g| json!({"kind": "Group", "apiGroup": RBAC, "name": g}))
            .collect();
        let body = json!({"metadata": {"name": name, "labels": bootstrapping}, "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}, "subjects": subjects});
        create(state, RBAC, "clusterrolebindings", "", body);
    }
}
