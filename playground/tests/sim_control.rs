//! The simulated cluster over HTTP: what its control plane does, who may do what, and what tests can do to it.
#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod sim_api;

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;

use capstan_playground::sim::{
    Action, ClockMode, Data, Fault, ObjectRef, Readiness, RequestMatch, SimCluster, SimOptions,
    User, WorkloadMatch,
};
use serde_json::{Value, json};

use sim_api::{Api, MAPS, deployment, map, start};

#[test]
fn the_clock_decides_when_workloads_are_ready() {
    let slow = (
        WorkloadMatch::one("Deployment", "", "slow"),
        Readiness::After(Duration::from_secs(60)),
    );
    let bad = (
        WorkloadMatch::one("Deployment", "", "bad"),
        Readiness::Fails {
            after: Duration::from_secs(30),
            message: "no such image".into(),
        },
    );
    let api = start(SimOptions {
        clock: ClockMode::Frozen,
        workloads: vec![slow, bad],
        ..SimOptions::default()
    });
    for name in ["slow", "bad"] {
        api.json(
            "POST",
            "/apis/apps/v1/namespaces/default/deployments",
            Some(&deployment(name, 1, "a:1")),
        );
    }
    let status = |name: &str| {
        api.get(&format!(
            "/apis/apps/v1/namespaces/default/deployments/{name}"
        ))
        .1["status"]
            .clone()
    };
    assert_eq!(status("slow")["unavailableReplicas"], 1);
    api.sim.advance(Duration::from_secs(59));
    assert_eq!(status("slow")["unavailableReplicas"], 1);
    assert_eq!(
        status("bad")["conditions"][1]["reason"],
        "ProgressDeadlineExceeded"
    );
    api.sim.advance(Duration::from_secs(1));
    assert_eq!(status("slow")["availableReplicas"], 1);
}

#[test]
fn namespaces_take_their_content_with_them() {
    let api = start(SimOptions::default());
    let (code, missing) = api.json(
        "POST",
        "/api/v1/namespaces/shop/configmaps",
        Some(&map("a", json!({}))),
    );
    assert_eq!(
        (code, missing["message"].as_str().unwrap()),
        (404, "namespaces \"shop\" not found")
    );
    api.json(
        "POST",
        "/api/v1/namespaces",
        Some(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})),
    );
    let mut held = map("a", json!({}));
    held["metadata"]["finalizers"] = json!(["example.org/hold"]);
    api.json("POST", "/api/v1/namespaces/shop/configmaps", Some(&held));
    assert_eq!(
        api.json("DELETE", "/api/v1/namespaces/shop", None).1["status"]["phase"],
        "Terminating"
    );
    let (code, refused) = api.json(
        "POST",
        "/api/v1/namespaces/shop/configmaps",
        Some(&map("b", json!({}))),
    );
    assert_eq!(
        (code, &refused["details"]["causes"][0]["reason"]),
        (403, &json!("NamespaceTerminating"))
    );
    assert_eq!(
        api.get("/api/v1/namespaces/shop").1["status"]["conditions"][4]["status"],
        "True",
        "it says what it waits for"
    );
    api.sim
        .patch_as(
            "x",
            &ObjectRef::new("v1", "ConfigMap", "shop", "a"),
            &json!({"metadata": {"finalizers": null}}),
        )
        .unwrap();
    assert_eq!(api.get("/api/v1/namespaces/shop").0, 404);
}

#[test]
fn dependents_follow_their_owner_as_asked() {
    for (policy, left) in [("Background", 0), ("Foreground", 0), ("Orphan", 1)] {
        let api = start(SimOptions::default());
        let (_, owner) = api.json("POST", MAPS, Some(&map("owner", json!({}))));
        let mut child = map("child", json!({}));
        child["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true}]);
        assert_eq!(api.json("POST", MAPS, Some(&child)).0, 201);
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy, "preconditions": {"uid": "other"}});
        assert_eq!(
            api.json("DELETE", &format!("{MAPS}/owner"), Some(&options))
                .0,
            409,
            "the precondition holds"
        );
        let options =
            json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy});
        assert_eq!(
            api.json("DELETE", &format!("{MAPS}/owner"), Some(&options))
                .0,
            200
        );
        assert_eq!(api.get(&format!("{MAPS}/owner")).0, 404, "{policy}");
        let children = api.get(MAPS).1["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|i| i["metadata"]["name"] == "child")
            .count();
        assert_eq!(children, left, "{policy}");
    }
}

fn get_as(api: &Api, token: &str, user: Option<&str>, path: &str) -> (u16, Value) {
    let mut request = api
        .http
        .get(format!("{}{path}", api.sim.url()))
        .bearer_auth(token);
    if let Some(user) = user {
        request = request.header("impersonate-user", user);
    }
    let answer = request.send().unwrap();
    (answer.status().as_u16(), answer.json::<Value>().unwrap())
}

fn role(name: &str, rules: Value) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": rules})
}

fn bind(role: &str, account: &str) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": role},
           "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
           "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "default"}]})
}

#[test]
fn roles_decide_and_impersonation_needs_one() {
    let api = start(SimOptions::default());
    let agent = api.sim.token_for(User::service_account("default", "agent"));
    let get = |path: &str, user: Option<&str>| get_as(&api, &agent, user, path);
    let (code, refused) = get(MAPS, None);
    assert_eq!(code, 403);
    let expected = "configmaps is forbidden: User \"system:serviceaccount:default:agent\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\"";
    assert_eq!(refused["message"], expected);
    let (code, refused) = get(MAPS, Some("system:serviceaccount:default:tenant"));
    assert!(
        code == 403
            && refused["message"]
                .as_str()
                .unwrap()
                .contains("cannot impersonate resource \"serviceaccounts\""),
        "{refused}"
    );
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    api.json("POST", &format!("{rbac}/roles"), Some(&role("speak", json!([{"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]}]))));
    api.json(
        "POST",
        &format!("{rbac}/rolebindings"),
        Some(&bind("speak", "agent")),
    );
    api.json(
        "POST",
        &format!("{rbac}/roles"),
        Some(&role(
            "read",
            json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]),
        )),
    );
    api.json(
        "POST",
        &format!("{rbac}/rolebindings"),
        Some(&bind("read", "tenant")),
    );
    assert_eq!(
        get(MAPS, Some("system:serviceaccount:default:tenant")).0,
        200
    );
    assert_eq!(
        get(
            "/api/v1/namespaces/default/secrets",
            Some("system:serviceaccount:default:tenant")
        )
        .0,
        403
    );
    let anonymous = api
        .http
        .get(format!("{}{MAPS}", api.sim.url()))
        .send()
        .unwrap();
    assert_eq!(anonymous.status(), 403);
    assert_eq!(
        api.http
            .get(format!("{}{MAPS}", api.sim.url()))
            .bearer_auth("wrong")
            .send()
            .unwrap()
            .status(),
        401
    );
}

#[test]
fn faults_stops_and_restarts() {
    let api = start(SimOptions::default());
    api.json("POST", MAPS, Some(&map("a", json!({}))));
    api.sim.inject(Fault::once(
        RequestMatch::on("get", "configmaps").named("a"),
        Action::too_many_requests(7),
    ));
    let answer = api.send("GET", &format!("{MAPS}/a"), "", None);
    assert_eq!(
        (
            answer.status().as_u16(),
            answer.headers()["retry-after"].to_str().unwrap()
        ),
        (429, "7")
    );
    assert_eq!(api.get(&format!("{MAPS}/a")).0, 200);
    api.sim.inject(Fault::once(
        RequestMatch::on("create", "configmaps"),
        Action::ResetAfter,
    ));
    let lost = api
        .http
        .post(format!("{}{MAPS}", api.sim.url()))
        .bearer_auth(&api.token)
        .header("content-type", "application/json")
        .body(map("lost", json!({})).to_string())
        .send();
    assert!(lost.is_err(), "the answer is lost");
    assert_eq!(
        api.get(&format!("{MAPS}/lost")).0,
        200,
        "what was asked is done"
    );
    assert_eq!(
        api.sim.request_counts()[&("get".to_owned(), "configmaps".to_owned())],
        3
    );

    let uid = api.sim.uid();
    api.sim.stop();
    assert!(api.http.get(api.sim.url()).send().is_err());
    api.sim.restart(Data::Keep).unwrap();
    assert_eq!(
        (api.get(&format!("{MAPS}/a")).0, api.sim.uid()),
        (200, uid.clone())
    );
    api.sim.restart(Data::Lose).unwrap();
    assert_eq!(api.get(&format!("{MAPS}/a")).0, 404);
    assert_ne!(api.sim.uid(), uid, "it is another cluster");
}

#[test]
fn discovery_names_what_is_served() {
    let api = start(SimOptions::default());
    let (_, groups) = api.get("/apis");
    assert!(
        groups["groups"]
            .as_array()
            .unwrap()
            .iter()
            .any(|g| g["name"] == "apps" && g["preferredVersion"]["version"] == "v1")
    );
    let (_, apps) = api.get("/apis/apps/v1");
    assert!(
        apps["resources"]
            .as_array()
            .unwrap()
            .iter()
            .any(|r| r["name"] == "deployments/scale" && r["kind"] == "Scale")
    );
    let form = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let all = api
        .http
        .get(format!("{}/apis", api.sim.url()))
        .bearer_auth(&api.token)
        .header("accept", form)
        .send()
        .unwrap();
    // Go's clients know the form by this alone.
    assert_eq!(all.headers()["content-type"], form);
    let all: Value = all.json().unwrap();
    assert_eq!(all["kind"], "APIGroupDiscoveryList");
    let partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let list: Value = api
        .http
        .get(format!("{}{MAPS}", api.sim.url()))
        .bearer_auth(&api.token)
        .header("accept", partial)
        .send()
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(
        (&list["kind"], list["items"][0].get("data")),
        (&json!("PartialObjectMetadataList"), None)
    );
}

#[test]
fn a_hundred_clusters_share_their_threads() {
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let first = start(SimOptions::default());
    let before = threads();
    let clusters: Vec<SimCluster> = (0..100)
        .map(|_| SimCluster::start(SimOptions::default()).unwrap())
        .collect();
    // Other tests of this process run meanwhile, and have threads of their own.
    assert!(
        threads() < before + 50,
        "{before} threads became {}",
        threads()
    );
    let uids: BTreeSet<String> = clusters.iter().map(SimCluster::uid).collect();
    assert_eq!(uids.len(), 100, "each is a cluster of its own");
    drop(first);
}

#[test]
fn certificates_and_tls_name_their_user() {
    let sim = SimCluster::start(SimOptions {
        tls: true,
        ..SimOptions::default()
    })
    .unwrap();
    let config = sim
        .kubeconfig_with_certificate(&User::new("jane", &["devs"]))
        .unwrap();
    let field = |name: &str| {
        let rest = config.split(&format!("{name}: ")).nth(1).unwrap();
        let text = rest.split([',', '}']).next().unwrap();
        base64::engine::general_purpose::STANDARD
            .decode(text)
            .unwrap()
    };
    let mut pem = field("client-key-data");
    pem.extend(field("client-certificate-data"));
    let http = reqwest::blocking::Client::builder()
        .tls_certs_only([
            reqwest::Certificate::from_pem(&field("certificate-authority-data")).unwrap(),
        ])
        .identity(reqwest::Identity::from_pem(&pem).unwrap())
        .build()
        .unwrap();
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let url = format!(
        "{}/apis/authentication.k8s.io/v1/selfsubjectreviews",
        sim.url()
    );
    let answer: Value = http
        .post(url)
        .header("content-type", "application/json")
        .body(review.to_string())
        .send()
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(
        answer["status"]["userInfo"],
        json!({"username": "jane", "groups": ["devs", "system:authenticated"]})
    );
}
