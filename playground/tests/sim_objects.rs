//! The simulated cluster over HTTP: objects, ownership, watches and custom kinds, as a client sees them.
#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod sim_api;

use capstan_playground::sim::{ObjectRef, SimOptions};
use serde_json::{Value, json};

use sim_api::{MAPS, deployment, map, start};

#[test]
fn objects_are_created_read_replaced_and_deleted() {
    let api = start(SimOptions::default());
    let (code, made) = api.json("POST", MAPS, Some(&map("a", json!({"k": "1"}))));
    assert_eq!(code, 201, "{made}");
    assert_eq!(
        made["metadata"]["managedFields"][0]["manager"],
        "test-agent"
    );
    assert_eq!(
        made["metadata"]["managedFields"][0]["fieldsV1"],
        json!({"f:data": {".": {}, "f:k": {}}})
    );
    assert_eq!(
        api.json("POST", MAPS, Some(&map("a", json!({})))).1["reason"],
        "AlreadyExists"
    );

    let mut changed = made.clone();
    changed["data"]["k"] = "2".into();
    let (code, newer) = api.json("PUT", &format!("{MAPS}/a"), Some(&changed));
    assert_eq!(code, 200);
    assert_ne!(
        newer["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );
    let (code, stale) = api.json("PUT", &format!("{MAPS}/a"), Some(&changed));
    assert_eq!(
        (code, stale["message"].as_str().unwrap()),
        (
            409,
            "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again"
        )
    );

    let (code, same) = api.json("PUT", &format!("{MAPS}/a"), Some(&newer));
    assert_eq!(
        (code, &same["metadata"]["resourceVersion"]),
        (200, &newer["metadata"]["resourceVersion"]),
        "an update that changes nothing is no write"
    );
    let (code, gone) = api.json("DELETE", &format!("{MAPS}/a"), None);
    assert_eq!((code, gone["status"].as_str().unwrap()), (200, "Success"));
    let (code, missing) = api.get(&format!("{MAPS}/a"));
    assert_eq!(
        (code, missing["message"].as_str().unwrap()),
        (404, "configmaps \"a\" not found")
    );
}

#[test]
fn applying_owns_conflicts_and_removes() {
    let api = start(SimOptions::default());
    let path = format!("{MAPS}/a");
    let (code, made) = api.apply(&path, "one", "", &map("a", json!({"x": "1", "y": "1"})));
    assert_eq!(code, 201, "{made}");
    let (code, again) = api.apply(&path, "one", "", &map("a", json!({"x": "1", "y": "1"})));
    assert_eq!(
        (code, &again),
        (200, &made),
        "applying the same again changes nothing"
    );

    let (code, refused) = api.apply(&path, "two", "", &map("a", json!({"x": "2"})));
    assert_eq!(
        (code, refused["message"].as_str().unwrap()),
        (
            409,
            "Apply failed with 1 conflict: conflict with \"one\": .data.x"
        )
    );
    assert_eq!(
        refused["details"]["causes"],
        json!([{"reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".data.x"}])
    );

    let (code, tried) = api.apply(
        &path,
        "two",
        "&force=true&dryRun=All",
        &map("a", json!({"x": "2"})),
    );
    assert_eq!((code, tried["data"]["x"].as_str().unwrap()), (200, "2"));
    assert_eq!(api.get(&path).1, made, "a dry run writes nothing");
    api.apply(&path, "two", "&force=true", &map("a", json!({"x": "2"})));
    let (_, last) = api.apply(&path, "one", "", &map("a", json!({})));
    assert_eq!(last["data"], json!({"x": "2"}), "what the other owns stays");
    assert_eq!(
        api.apply(
            &path,
            "one",
            "",
            &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "dta": {}})
        )
        .0,
        500
    );
}

#[test]
fn workloads_get_defaults_and_lists_merge_by_key() {
    let api = start(SimOptions::default());
    let path = "/apis/apps/v1/namespaces/default/deployments/web";
    let (code, made) = api.apply(path, "one", "", &deployment("web", 2, "nginx:1.29"));
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%");
    assert_eq!(
        made["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"],
        "IfNotPresent"
    );
    assert_eq!(made["metadata"]["generation"], 1);
    let sidecar = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": {"spec": {"containers": [{"name": "side", "image": "proxy"}]}}}});
    let (code, both) = api.apply(path, "two", "", &sidecar);
    assert_eq!(code, 200, "{both}");
    let names: Vec<&str> = both["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        (names, both["metadata"]["generation"].as_i64()),
        (vec!["c", "side"], Some(2))
    );
    let mut other = deployment("web", 2, "nginx:1.29");
    other["spec"]["selector"]["matchLabels"]["app"] = "x".into();
    other["spec"]["template"]["metadata"]["labels"]["app"] = "x".into();
    let (code, refused) = api.apply(path, "one", "", &other);
    assert_eq!(
        (code, refused["reason"].as_str().unwrap()),
        (422, "Invalid")
    );
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("spec.selector: Invalid value"),
        "{refused}"
    );
    assert_eq!(api.get(path).1["status"]["availableReplicas"], 2);
}

#[test]
fn watches_see_changes_through_their_selector_and_expire() {
    let api = start(SimOptions::default());
    let (_, list) = api.get(&format!("{MAPS}?labelSelector=app"));
    let version = list["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut events = api.watch(&format!(
        "{MAPS}?watch=1&labelSelector=app&resourceVersion={version}"
    ));
    api.json("POST", MAPS, Some(&map("other", json!({}))));
    let mut labelled = map("a", json!({}));
    labelled["metadata"]["labels"] = json!({"app": "x"});
    api.json("POST", MAPS, Some(&labelled));
    assert_eq!(events.kind_and_name(), ("ADDED".into(), "a".into()));
    api.sim
        .patch_as(
            "someone",
            &ObjectRef::new("v1", "ConfigMap", "default", "a"),
            &json!({"metadata": {"labels": {"app": null}}}),
        )
        .unwrap();
    assert_eq!(
        events.kind_and_name(),
        ("DELETED".into(), "a".into()),
        "what the selector loses is deleted for the watch"
    );

    api.sim.compact();
    let mut late = api.watch(&format!("{MAPS}?watch=1&resourceVersion={version}"));
    let event = late.next();
    assert_eq!(
        (
            late.code,
            &event["type"],
            &event["object"]["code"],
            &event["object"]["reason"]
        ),
        (200, &json!("ERROR"), &json!(410), &json!("Expired"))
    );
}

#[test]
fn a_streaming_list_ends_with_its_bookmark() {
    let api = start(SimOptions::default());
    api.json("POST", MAPS, Some(&map("a", json!({}))));
    let mut events = api.watch(&format!("{MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name%3Da"));
    assert_eq!(events.kind_and_name(), ("ADDED".into(), "a".into()));
    let bookmark = events.next();
    assert_eq!(
        (
            &bookmark["type"],
            &bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"]
        ),
        (&json!("BOOKMARK"), &json!("true"))
    );
}

#[test]
fn pages_of_a_list_show_one_version() {
    let api = start(SimOptions::default());
    for name in ["a", "b", "c"] {
        api.json("POST", MAPS, Some(&map(name, json!({"v": "1"}))));
    }
    let (_, first) = api.get(&format!(
        "{MAPS}?limit=2&fieldSelector=metadata.name%21%3Dkube-root-ca.crt"
    ));
    let token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    api.sim
        .patch_as(
            "x",
            &ObjectRef::new("v1", "ConfigMap", "default", "c"),
            &json!({"data": {"v": "2"}}),
        )
        .unwrap();
    let (_, second) = api.get(&format!(
        "{MAPS}?limit=2&fieldSelector=metadata.name%21%3Dkube-root-ca.crt&continue={token}"
    ));
    assert_eq!(
        (
            &second["items"][0]["data"]["v"],
            &second["metadata"]["resourceVersion"]
        ),
        (&json!("1"), &first["metadata"]["resourceVersion"])
    );
    api.sim.compact();
    api.sim
        .delete(&ObjectRef::new("v1", "ConfigMap", "default", "c"))
        .unwrap();
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
    let (code, made) = api.json(
        "POST",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        Some(&crd),
    );
    assert_eq!(code, 201, "{made}");
    let (_, definition) =
        api.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/boxes.example.org");
    assert_eq!(definition["status"]["conditions"][1]["type"], "Established");

    let bad = json!({"apiVersion": "example.org/v1", "kind": "Box", "metadata": {"name": "b"}, "spec": {"mode": "c", "size": "x"}});
    let (code, refused) = api.json("POST", path, Some(&bad));
    assert_eq!(code, 422);
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("spec.size in body must be of type integer")
            && message
                .contains("spec.mode: Unsupported value: \"c\": supported values: \"a\", \"b\""),
        "{message}"
    );

    let good = |items: Value| json!({"apiVersion": "example.org/v1", "kind": "Box", "metadata": {"name": "b"}, "spec": {"size": 1, "items": items}, "status": {"x": 1}});
    let (code, made) = api.apply(
        &format!("{path}/b"),
        "one",
        "",
        &good(json!([{"id": "1", "v": "a"}])),
    );
    assert_eq!(
        (code, &made["spec"]["mode"], made.get("status")),
        (201, &json!("a"), None),
        "{made}"
    );
    let two = json!({"apiVersion": "example.org/v1", "kind": "Box", "metadata": {"name": "b"}, "spec": {"items": [{"id": "2"}]}});
    let (_, both) = api.apply(&format!("{path}/b"), "two", "", &two);
    assert_eq!(
        both["spec"]["items"],
        json!([{"id": "1", "v": "a"}, {"id": "2"}]),
        "{both}"
    );
    api.json(
        "DELETE",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/boxes.example.org",
        None,
    );
    assert_eq!(api.get(path).0, 404, "the kind goes with its definition");
}
