//! The `scale` subresource: how many replicas, whatever the kind.

use serde_json::{Value, json};

use super::patch;
use super::route::Request;
use super::state::{Answer, Caller, State, Target, text};
use super::status::Status;

/// Where a kind keeps its replicas.
struct Paths {
    spec: String,
    status: String,
    selector: Option<String>,
}

fn paths(target: &Target) -> Paths {
    match &target.version().scale_paths {
        Some((spec, status, selector)) => Paths {
            spec: spec.clone(),
            status: status.clone(),
            selector: selector.clone(),
        },
        None => Paths {
            spec: "/spec/replicas".into(),
            status: "/status/replicas".into(),
            selector: None,
        },
    }
}

fn scale_of(target: &Target, object: &Value) -> Value {
    let paths = paths(target);
    let count = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    let mut metadata = json!({"name": target.name, "namespace": target.namespace});
    for key in ["uid", "resourceVersion", "creationTimestamp"] {
        metadata[key] = object["metadata"][key].clone();
    }
    let mut status = json!({"replicas": count(&paths.status)});
    let selector = match &paths.selector {
        Some(path) => text(object, path).to_owned(),
        None => object
            .pointer("/spec/selector/matchLabels")
            .and_then(Value::as_object)
            .map(|l| {
                l.iter()
                    .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
                    .collect::<Vec<_>>()
                    .join(",")
            })
            .unwrap_or_default(),
    };
    if !selector.is_empty() {
        status["selector"] = selector.into();
    }
    let replicas = count(&paths.spec);
    let spec = if replicas == 0 {
        json!({})
    } else {
        json!({"replicas": replicas})
    };
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status})
}

/// Reads or sets the replicas of an object.
pub(crate) fn handle(
    state: &mut State,
    request: &Request,
    caller: &Caller,
    target: &Target,
    verb: &str,
) -> Result<Answer, Status> {
    let live = state.get(target)?;
    let mut scale = scale_of(target, &live);
    if verb == "get" {
        return Ok(Answer::ok(scale));
    }
    let parse = || {
        serde_json::from_slice::<Value>(&request.body).map_err(|e| {
            Status::bad_request(format!("couldn't get version/kind; json parse error: {e}"))
        })
    };
    let media = request
        .header("content-type")
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    match (verb, media.as_str()) {
        ("update", _) => scale = parse()?,
        ("patch", "application/merge-patch+json" | "application/strategic-merge-patch+json") => {
            patch::merge(&mut scale, &parse()?)
        }
        ("patch", "application/json-patch+json") => patch::json(&mut scale, parse()?)?,
        _ => {
            return Err(Status::not_simulated(&format!(
                "{media} on the scale subresource"
            )));
        }
    }
    let replicas = scale
        .pointer("/spec/replicas")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    let given = text(&scale, "/metadata/resourceVersion");
    if !given.is_empty() && given != text(&live, "/metadata/resourceVersion") {
        return Err(Status::stale(&target.about()));
    }
    let mut object = live;
    let path = paths(target).spec;
    let (parent, leaf) = path.rsplit_once('/').unwrap_or(("", "replicas"));
    if let Some(parent) = object.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.insert(leaf.to_owned(), replicas.into());
    }
    let answer = state.update(caller, target, object)?;
    Ok(Answer {
        body: scale_of(target, &answer.body),
        ..answer
    })
}
