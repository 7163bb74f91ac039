//! What the two servers say that they serve. The simulation serves less, but of what it serves it says the same.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::client::Client;
use crate::support::story::Request;

/// How clients of today ask: one request for all groups.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Every difference, a line each.
pub(crate) async fn differences(real: &Client, simulated: &Client) -> String {
    let mut lines = Vec::new();
    for path in ["/api", "/apis"] {
        compare(
            path,
            &aggregated(real, path).await,
            &aggregated(simulated, path).await,
            &mut lines,
        );
    }
    for path in simulated_group_versions(simulated).await {
        compare(
            &path,
            &legacy(real, &path).await,
            &legacy(simulated, &path).await,
            &mut lines,
        );
    }
    lines.join("\n")
}

/// Everything in `simulated` must be in `real`, with the same words.
fn compare(
    path: &str,
    real: &BTreeMap<String, Value>,
    simulated: &BTreeMap<String, Value>,
    lines: &mut Vec<String>,
) {
    if simulated.is_empty() {
        lines.push(format!("{path}: the simulation serves nothing"));
    }
    for (name, resource) in simulated {
        match real.get(name) {
            Some(expected) if expected == resource => {}
            Some(expected) => lines.push(format!("{path} {name}:\n- {expected}\n+ {resource}")),
            None => lines.push(format!("{path} {name}: only the simulation serves it")),
        }
    }
}

/// The resources of an aggregated document by group, version and name.
async fn aggregated(client: &Client, path: &str) -> BTreeMap<String, Value> {
    let body = get(client, path, Some(AGGREGATED)).await;
    let mut found = BTreeMap::new();
    for group in array(&body["items"]) {
        for version in array(&group["versions"]) {
            for resource in array(&version["resources"]) {
                let name = format!(
                    "{}/{}/{}",
                    text(&group["metadata"]["name"]),
                    text(&version["version"]),
                    text(&resource["resource"])
                );
                found.insert(name, resource.clone());
            }
        }
    }
    found
}

/// The resources of one group and version, as clients asked for them before.
async fn legacy(client: &Client, path: &str) -> BTreeMap<String, Value> {
    let body = get(client, path, None).await;
    let without_hash = |resource: &Value| {
        let mut resource = resource.clone();
        if let Some(fields) = resource.as_object_mut() {
            // Says whether the stored form changed; a client that is no storage migrator has no use for it.
            fields.shift_remove("storageVersionHash");
        }
        resource
    };
    array(&body["resources"])
        .iter()
        .map(|resource| (text(&resource["name"]), without_hash(resource)))
        .collect()
}

async fn simulated_group_versions(client: &Client) -> Vec<String> {
    let groups = get(client, "/apis", None).await;
    let named = array(&groups["groups"])
        .iter()
        .flat_map(|group| array(&group["versions"]));
    let paths = named.map(|version| format!("/apis/{}", text(&version["groupVersion"])));
    // Those that other tests define come and go.
    ["/api/v1".to_owned()]
        .into_iter()
        .chain(paths.filter(|path| !path.contains("example.com")))
        .collect()
}

async fn get(client: &Client, path: &str, accept: Option<&str>) -> Value {
    let headers = accept
        .map(|kind| ("Accept".to_owned(), kind.to_owned()))
        .into_iter()
        .collect();
    let mut answer = client
        .send(&Request {
            verb: "GET".into(),
            path: path.into(),
            headers,
            ..Request::default()
        })
        .await;
    assert_eq!(answer["status"], 200, "GET {path}: {answer}");
    answer["body"].take()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
