//! The simulated cluster over HTTP: objects, ownership, watches, deletion and discovery, as a client sees them.
#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use capstan_playground::sim::{Action, ClockMode, Data, Fault, ObjectRef, Readiness, RequestMatch, SimCluster, SimOptions, User, WorkloadMatch};
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};

/// How long a watch may take to say something before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

struct Api {
    sim: SimCluster,
    http: Client,
    token: String,
}

fn start(options: SimOptions) -> Api {
    let sim = SimCluster::start(options).unwrap();
    let token = sim.token_for(User::admin());
    Api { sim, http: Client::builder().timeout(PATIENCE).build().unwrap(), token }
}

impl Api {
    fn send(&self, method: &str, path: &str, media: &str, body: Option<&Value>) -> Response {
        let mut request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.sim.url())).bearer_auth(&self.token).header("user-agent", "test-agent/1");
        if let Some(body) = body {
            request = request.header("content-type", media).body(body.to_string());
        }
        request.send().unwrap()
    }

    fn json(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let answer = self.send(method, path, "application/json", body);
        (answer.status().as_u16(), answer.json().unwrap())
    }

    fn get(&self, path: &str) -> (u16, Value) {
        self.json("GET", path, None)
    }

    fn apply(&self, path: &str, manager: &str, query: &str, body: &Value) -> (u16, Value) {
        let answer = self.send("PATCH", &format!("{path}?fieldManager={manager}{query}"), "application/apply-patch+yaml", Some(body));
        (answer.status().as_u16(), answer.json().unwrap())
    }

    fn watch(&self, path: &str) -> Events {
        let answer = self.send("GET", path, "", None);
        Events { code: answer.status().as_u16(), lines: BufReader::new(answer) }
    }
}

struct Events {
    code: u16,
    lines: BufReader<Response>,
}

impl Events {
    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("the watch says something in time");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"))
    }

    fn kind_and_name(&mut self) -> (String, String) {
        let event = self.next();
        (event["type"].as_str().unwrap().to_owned(), event["object"]["metadata"]["name"].as_str().unwrap_or_default().to_owned())
    }
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

fn deployment(name: &str, replicas: u32, image: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
           "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image, "ports": [{"containerPort": 80}]}]}}}})
}

#[test]
fn objects_are_created_read_replaced_and_deleted() {
    let api = start(SimOptions::default());
    let (code, made) = api.json("POST", MAPS, Some(&map("a", json!({"k": "1"}))));
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["metadata"]["managedFields"][0]["manager"], "test-agent");
    assert_eq!(made["metadata"]["managedFields"][0]["fieldsV1"], json!({"f:data": {".": {}, "f:k": {}}}));
    assert_eq!(api.json("POST", MAPS, Some(&map("a", json!({})))).1["reason"], "AlreadyExists");

    let mut changed = made.clone();
    changed["data"]["k"] = "2".into();
    let (code, newer) = api.json("PUT", &format!("{MAPS}/a"), Some(&changed));
    assert_eq!(code, 200);
    assert_ne!(newer["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    let (code, stale) = api.json("PUT", &format!("{MAPS}/a"), Some(&changed));
    assert_eq!((code, stale["message"].as_str().unwrap()), (409, "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again"));

    let (code, same) = api.json("PUT", &format!("{MAPS}/a"), Some(&newer));
    assert_eq!((code, &same["metadata"]["resourceVersion"]), (200, &newer["metadata"]["resourceVersion"]), "an update that changes nothing is no write");
    let (code, gone) = api.json("DELETE", &format!("{MAPS}/a"), None);
    assert_eq!((code, gone["status"].as_str().unwrap()), (200, "Success"));
    let (code, missing) = api.get(&format!("{MAPS}/a"));
    assert_eq!((code, missing["message"].as_str().unwrap()), (404, "configmaps \"a\" not found"));
}

#[test]
fn applying_owns_conflicts_and_removes() {
    let api = start(SimOptions::default());
    let path = format!("{MAPS}/a");
    let (code, made) = api.apply(&path, "one", "", &map("a", json!({"x": "1", "y": "1"})));
    assert_eq!(code, 201, "{made}");
    let (code, again) = api.apply(&path, "one", "", &map("a", json!({"x": "1", "y": "1"})));
    assert_eq!((code, &again), (200, &made), "applying the same again changes nothing");

    let (code, refused) = api.apply(&path, "two", "", &map("a", json!({"x": "2"})));
    assert_eq!((code, refused["message"].as_str().unwrap()), (409, "Apply failed with 1 conflict: conflict with \"one\": .data.x"));
    assert_eq!(refused["details"]["causes"], json!([{"reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".data.x"}]));

    let (code, tried) = api.apply(&path, "two", "&force=true&dryRun=All", &map("a", json!({"x": "2"})));
    assert_eq!((code, tried["data"]["x"].as_str().unwrap()), (200, "2"));
    assert_eq!(api.get(&path).1, made, "a dry run writes nothing");
    api.apply(&path, "two", "&force=true", &map("a", json!({"x": "2"})));
    let (_, last) = api.apply(&path, "one", "", &map("a", json!({})));
    assert_eq!(last["data"], json!({"x": "2"}), "what the other owns stays");
    assert_eq!(api.apply(&path, "one", "", &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "dta": {}})).0, 500);
}

#[test]
fn workloads_get_defaults_and_lists_merge_by_key() {
    let api = start(SimOptions::default());
    let path = "/apis/apps/v1/namespaces/default/deployments/web";
    let (code, made) = api.apply(path, "one", "", &deployment("web", 2, "nginx:1.29"));
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%");
    assert_eq!(made["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"], "IfNotPresent");
    assert_eq!(made["metadata"]["generation"], 1);
    let sidecar = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": {"spec": {"containers": [{"name": "side", "image": "proxy"}]}}}});
    let (code, both) = api.apply(path, "two", "", &sidecar);
    assert_eq!(code, 200, "{both}");
    let names: Vec<&str> = both["spec"]["template"]["spec"]["containers"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!((names, both["metadata"]["generation"].as_i64()), (vec!["c", "side"], Some(2)));
    let mut other = deployment("web", 2, "nginx:1.29");
    other["spec"]["selector"]["matchLabels"]["app"] = "x".into();
    other["spec"]["template"]["metadata"]["labels"]["app"] = "x".into();
    let (code, refused) = api.apply(path, "one", "", &other);
    assert_eq!((code, refused["reason"].as_str().unwrap()), (422, "Invalid"));
    assert!(refused["message"].as_str().unwrap().contains("spec.selector: Invalid value"), "{refused}");
    assert_eq!(api.get(path).1["status"]["availableReplicas"], 2);
}

#[test]
fn the_clock_decides_when_workloads_are_ready() {
    let slow = (WorkloadMatch::one("Deployment", "", "slow"), Readiness::After(Duration::from_secs(60)));
    let bad = (WorkloadMatch::one("Deployment", "", "bad"), Readiness::Fails { after: Duration::from_secs(30), message: "no such image".into() });
    let api = start(SimOptions { clock: ClockMode::Frozen, workloads: vec![slow, bad], ..SimOptions::default() });
    for name in ["slow", "bad"] {
        api.json("POST", "/apis/apps/v1/namespaces/default/deployments", Some(&deployment(name, 1, "a:1")));
    }
    let status = |name: &str| api.get(&format!("/apis/apps/v1/namespaces/default/deployments/{name}")).1["status"].clone();
    assert_eq!(status("slow")["unavailableReplicas"], 1);
    api.sim.advance(Duration::from_secs(59));
    assert_eq!(status("slow")["unavailableReplicas"], 1);
    assert_eq!(status("bad")["conditions"][1]["reason"], "ProgressDeadlineExceeded");
    api.sim.advance(Duration::from_secs(1));
    assert_eq!(status("slow")["availableReplicas"], 1);
}

#[test]
fn watches_see_changes_through_their_selector_and_expire() {
    let api = start(SimOptions::default());
    let (_, list) = api.get(&format!("{MAPS}?labelSelector=app"));
    let version = list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let mut events = api.watch(&format!("{MAPS}?watch=1&labelSelector=app&resourceVersion={version}"));
    api.json("POST", MAPS, Some(&map("other", json!({}))));
    let mut labelled = map("a", json!({}));
    labelled["metadata"]["labels"] = json!({"app": "x"});
    api.json("POST", MAPS, Some(&labelled));
    assert_eq!(events.kind_and_name(), ("ADDED".into(), "a".into()));
    api.sim.patch_as("someone", &ObjectRef::new("v1", "ConfigMap", "default", "a"), &json!({"metadata": {"labels": {"app": null}}})).unwrap();
    assert_eq!(events.kind_and_name(), ("DELETED".into(), "a".into()), "what the selector loses is deleted for the watch");

    api.sim.compact();
    let mut late = api.watch(&format!("{MAPS}?watch=1&resourceVersion={version}"));
    let event = late.next();
    assert_eq!((late.code, &event["type"], &event["object"]["code"], &event["object"]["reason"]), (200, &json!("ERROR"), &json!(410), &json!("Expired")));
}

#[test]
fn a_streaming_list_ends_with_its_bookmark() {
    let api = start(SimOptions::default());
    api.json("POST", MAPS, Some(&map("a", json!({}))));
    let mut events = api.watch(&format!("{MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name%3Da"));
    assert_eq!(events.kind_and_name(), ("ADDED".into(), "a".into()));
    let bookmark = events.next();
    assert_eq!((&bookmark["type"], &bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"]), (&json!("BOOKMARK"), &json!("true")));
}

#[test]
fn pages_of_a_list_show_one_version() {
    let api = start(SimOptions::default());
    for name in ["a", "b", "c"] {
        api.json("POST", MAPS, Some(&map(name, json!({"v": "1"}))));
    }
    let (_, first) = api.get(&format!("{MAPS}?limit=2&fieldSelector=metadata.name%21%3Dkube-root-ca.crt"));
    let token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    api.sim.patch_as("x", &ObjectRef::new("v1", "ConfigMap", "default", "c"), &json!({"data": {"v": "2"}})).unwrap();
    let (_, second) = api.get(&format!("{MAPS}?limit=2&fieldSelector=metadata.name%21%3Dkube-root-ca.crt&continue={token}"));
    assert_eq!((&second["items"][0]["data"]["v"], &second["metadata"]["resourceVersion"]), (&json!("1"), &first["metadata"]["resourceVersion"]));
    api.sim.compact();
    api.sim.delete(&ObjectRef::new("v1", "ConfigMap", "default", "c")).unwrap();
    assert_eq!(api.get(&format!("{MAPS}?limit=2&continue={token}")).0, 410);
}

#[test]
fn custom_kinds_are_served_pruned_and_checked() {
    let api = start(SimOptions::default());
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["size"], "properties": {
        "size": {"type": "integer"}, "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
        "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"], "items": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "v": {"type": "string"}}}}}},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}});
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "boxes.example.org"}, "spec": {"group": "example.org", "scope": "Namespaced",
        "names": {"plural": "boxes", "kind": "Box"}, "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}]}});
    let path = "/apis/example.org/v1/namespaces/default/boxes";
    assert_eq!(api.get(path).0, 404);
    let (code, made) = api.json("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", Some(&crd));
    assert_eq!(code, 201, "{made}");
    let (_, definition) = api.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/boxes.example.org");
    assert_eq!(definition["status"]["conditions"][1]["type"], "Established");

    let bad = json!({"apiVersion": "example.org/v1", "kind": "Box", "metadata": {"name": "b"}, "spec": {"mode": "c", "size": "x"}});
    let (code, refused) = api.json("POST", path, Some(&bad));
    assert_eq!(code, 422);
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("spec.size in body must be of type integer") && message.contains("spec.mode: Unsupported value: \"c\": supported values: \"a\", \"b\""), "{message}");

    let good = |items: Value| json!({"apiVersion": "example.org/v1", "kind": "Box", "metadata": {"name": "b"}, "spec": {"size": 1, "items": items}, "status": {"x": 1}});
    let (code, made) = api.apply(&format!("{path}/b"), "one", "", &good(json!([{"id": "1", "v": "a"}])));
    assert_eq!((code, &made["spec"]["mode"], made.get("status")), (201, &json!("a"), None), "{made}");
    let two = json!({"apiVersion": "example.org/v1", "kind": "Box", "metadata": {"name": "b"}, "spec": {"items": [{"id": "2"}]}});
    let (_, both) = api.apply(&format!("{path}/b"), "two", "", &two);
    assert_eq!(both["spec"]["items"], json!([{"id": "1", "v": "a"}, {"id": "2"}]), "{both}");
    api.json("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/boxes.example.org", None);
    assert_eq!(api.get(path).0, 404, "the kind goes with its definition");
}

#[test]
fn namespaces_take_their_content_with_them() {
    let api = start(SimOptions::default());
    let (code, missing) = api.json("POST", "/api/v1/namespaces/shop/configmaps", Some(&map("a", json!({}))));
    assert_eq!((code, missing["message"].as_str().unwrap()), (404, "namespaces \"shop\" not found"));
    api.json("POST", "/api/v1/namespaces", Some(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})));
    let mut held = map("a", json!({}));
    held["metadata"]["finalizers"] = json!(["example.org/hold"]);
    api.json("POST", "/api/v1/namespaces/shop/configmaps", Some(&held));
    assert_eq!(api.json("DELETE", "/api/v1/namespaces/shop", None).1["status"]["phase"], "Terminating");
    let (code, refused) = api.json("POST", "/api/v1/namespaces/shop/configmaps", Some(&map("b", json!({}))));
    assert_eq!((code, &refused["details"]["causes"][0]["reason"]), (403, &json!("NamespaceTerminating")));
    assert_eq!(api.get("/api/v1/namespaces/shop").1["status"]["conditions"][4]["status"], "True", "it says what it waits for");
    api.sim.patch_as("x", &ObjectRef::new("v1", "ConfigMap", "shop", "a"), &json!({"metadata": {"finalizers": null}})).unwrap();
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
        assert_eq!(api.json("DELETE", &format!("{MAPS}/owner"), Some(&options)).0, 409, "the precondition holds");
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy});
        assert_eq!(api.json("DELETE", &format!("{MAPS}/owner"), Some(&options)).0, 200);
        assert_eq!(api.get(&format!("{MAPS}/owner")).0, 404, "{policy}");
        let children = api.get(MAPS).1["items"].as_array().unwrap().iter().filter(|i| i["metadata"]["name"] == "child").count();
        assert_eq!(children, left, "{policy}");
    }
}

#[test]
fn roles_decide_and_impersonation_needs_one() {
    let api = start(SimOptions::default());
    let agent = api.sim.token_for(User::service_account("default", "agent"));
    let get = |path: &str, user: Option<&str>| {
        let mut request = api.http.get(format!("{}{path}", api.sim.url())).bearer_auth(&agent);
        if let Some(user) = user {
            request = request.header("impersonate-user", user);
        }
        let answer = request.send().unwrap();
        (answer.status().as_u16(), answer.json::<Value>().unwrap())
    };
    let (code, refused) = get(MAPS, None);
    assert_eq!(code, 403);
    let expected = "configmaps is forbidden: User \"system:serviceaccount:default:agent\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\"";
    assert_eq!(refused["message"], expected);
    let (code, refused) = get(MAPS, Some("system:serviceaccount:default:tenant"));
    assert!(code == 403 && refused["message"].as_str().unwrap().contains("cannot impersonate resource \"serviceaccounts\""), "{refused}");
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let role = |name: &str, rules: Value| json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": rules});
    let bind = |role: &str, account: &str| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": role}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
               "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "default"}]})
    };
    api.json("POST", &format!("{rbac}/roles"), Some(&role("speak", json!([{"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]}]))));
    api.json("POST", &format!("{rbac}/rolebindings"), Some(&bind("speak", "agent")));
    api.json("POST", &format!("{rbac}/roles"), Some(&role("read", json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]))));
    api.json("POST", &format!("{rbac}/rolebindings"), Some(&bind("read", "tenant")));
    assert_eq!(get(MAPS, Some("system:serviceaccount:default:tenant")).0, 200);
    assert_eq!(get("/api/v1/namespaces/default/secrets", Some("system:serviceaccount:default:tenant")).0, 403);
    let anonymous = api.http.get(format!("{}{MAPS}", api.sim.url())).send().unwrap();
    assert_eq!(anonymous.status(), 403);
    assert_eq!(api.http.get(format!("{}{MAPS}", api.sim.url())).bearer_auth("wrong").send().unwrap().status(), 401);
}

#[test]
fn faults_stops_and_restarts() {
    let api = start(SimOptions::default());
    api.json("POST", MAPS, Some(&map("a", json!({}))));
    api.sim.inject(Fault::once(RequestMatch::on("get", "configmaps").named("a"), Action::too_many_requests(7)));
    let answer = api.send("GET", &format!("{MAPS}/a"), "", None);
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "7"));
    assert_eq!(api.get(&format!("{MAPS}/a")).0, 200);
    api.sim.inject(Fault::once(RequestMatch::on("create", "configmaps"), Action::ResetAfter));
    let lost = api.http.post(format!("{}{MAPS}", api.sim.url())).bearer_auth(&api.token).header("content-type", "application/json").body(map("lost", json!({})).to_string()).send();
    assert!(lost.is_err(), "the answer is lost");
    assert_eq!(api.get(&format!("{MAPS}/lost")).0, 200, "what was asked is done");
    assert_eq!(api.sim.request_counts()[&("get".to_owned(), "configmaps".to_owned())], 3);

    let uid = api.sim.uid();
    api.sim.stop();
    assert!(api.http.get(api.sim.url()).send().is_err());
    api.sim.restart(Data::Keep).unwrap();
    assert_eq!((api.get(&format!("{MAPS}/a")).0, api.sim.uid()), (200, uid.clone()));
    api.sim.restart(Data::Lose).unwrap();
    assert_eq!(api.get(&format!("{MAPS}/a")).0, 404);
    assert_ne!(api.sim.uid(), uid, "it is another cluster");
}

#[test]
fn discovery_names_what_is_served() {
    let api = start(SimOptions::default());
    let (_, groups) = api.get("/apis");
    assert!(groups["groups"].as_array().unwrap().iter().any(|g| g["name"] == "apps" && g["preferredVersion"]["version"] == "v1"));
    let (_, apps) = api.get("/apis/apps/v1");
    assert!(apps["resources"].as_array().unwrap().iter().any(|r| r["name"] == "deployments/scale" && r["kind"] == "Scale"));
    let form = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let all: Value = api.http.get(format!("{}/apis", api.sim.url())).bearer_auth(&api.token).header("accept", form).send().unwrap().json().unwrap();
    assert_eq!(all["kind"], "APIGroupDiscoveryList");
    let partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let list: Value = api.http.get(format!("{}{MAPS}", api.sim.url())).bearer_auth(&api.token).header("accept", partial).send().unwrap().json().unwrap();
    assert_eq!((&list["kind"], list["items"][0].get("data")), (&json!("PartialObjectMetadataList"), None));
}
