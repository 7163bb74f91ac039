//! Answers requests: who asks, may they, what do they want, and what comes of it. Everything here runs under the lock of the cluster.

use std::time::Duration;

use serde_json::{Value, json};

use super::auth::User;
use super::delete::DeleteOptions;
use super::discovery;
use super::identity;
use super::kinds::ResourceId;
use super::options::{body, caller, check_version_match, delete_options, selector_of};
use super::patch;
use super::rbac::{self, Attributes};
use super::read::{ListOptions, Shape};
use super::reviews;
use super::route::{Accepted, Request, ResourcePath, accepted};
use super::schema::built_in;
use super::state::{Answer, State, Target, text};
use super::status::{About, FieldError, Status};
use super::watch::{Watch, WatchOptions};

/// The most bytes that a request may carry, as on the real server.
pub(crate) const MAX_BODY: usize = 3 * 1024 * 1024;
/// How long a watch without a timeout lasts; the real server picks a random time above this.
const WATCH_TIMEOUT: Duration = Duration::from_secs(1_800);

/// What is sent back.
pub(crate) enum Reply {
    Json {
        code: u16,
        body: Value,
        warnings: Vec<String>,
        retry_after: Option<u64>,
    },
    Text {
        code: u16,
        body: String,
    },
    Watch {
        watch: Box<Watch>,
        timeout: Duration,
    },
}

impl From<Status> for Reply {
    fn from(status: Status) -> Reply {
        if status.plain {
            return Reply::Text {
                code: status.code,
                body: status.message().to_owned(),
            };
        }
        Reply::Json {
            code: status.code,
            body: status.to_json(),
            warnings: Vec::new(),
            retry_after: status.retry_after(),
        }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Reply {
        Reply::Json {
            code: answer.code,
            body: answer.body,
            warnings: answer.warnings,
            retry_after: None,
        }
    }
}

fn ok(body: Value) -> Reply {
    Reply::from(Answer::ok(body))
}

/// Answers a request.
pub(crate) fn handle(state: &mut State, request: &Request, user: &User) -> Reply {
    match request.resource() {
        Some(path) => {
            let reply = resource(state, request, user, &path).unwrap_or_else(Reply::from);
            told(state, &path, reply)
        }
        None => other(state, request, user).unwrap_or_else(Reply::from),
    }
}

/// Tells users of a deprecated version so, whatever they asked.
fn told(state: &State, path: &ResourcePath, mut reply: Reply) -> Reply {
    let resource = state.kinds.find(&path.group, &path.plural);
    let version = resource.as_deref().and_then(|it| it.version(&path.version));
    if let (Some(warning), Reply::Json { warnings, .. }) =
        (version.and_then(|it| it.deprecation.clone()), &mut reply)
    {
        warnings.insert(0, warning);
    }
    reply
}

/// Paths that are no resources.
fn other(state: &State, request: &Request, user: &User) -> Result<Reply, Status> {
    let attributes = Attributes {
        verb: request.method.as_str().to_lowercase(),
        path: Some(request.path.clone()),
        ..Attributes::default()
    };
    if !rbac::allows(state, user, &attributes) {
        return Err(rbac::refusal(user, &attributes));
    }
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return Err(Status::method_not_allowed());
    }
    let form = accepted(request.header("accept"));
    let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    let found = match parts.as_slice() {
        ["version"] => Some(discovery::version()),
        ["healthz" | "livez" | "readyz", ..] => {
            return Ok(Reply::Text {
                code: 200,
                body: "ok".into(),
            });
        }
        ["api"] if form == Accepted::AggregatedDiscovery => {
            Some(discovery::aggregated(state, true))
        }
        ["apis"] if form == Accepted::AggregatedDiscovery => {
            Some(discovery::aggregated(state, false))
        }
        ["api"] => Some(discovery::core_versions(request.header("host"))),
        ["apis"] => Some(discovery::group_list(state)),
        ["api", version] => discovery::resource_list(state, "", version),
        ["apis", group] => discovery::one_group(state, group),
        ["apis", group, version] => {
            check_served_elsewhere(state, group, version)?;
            discovery::resource_list(state, group, version)
        }
        ["openapi", "v3"] => Some(discovery::openapi_index(state)),
        ["openapi", "v3", "api", version] => discovery::openapi_document(state, "", version),
        ["openapi", "v3", "apis", group, version] => {
            discovery::openapi_document(state, group, version)
        }
        ["openapi", "v2"] => return Err(Status::not_simulated("OpenAPI v2; read /openapi/v3")),
        ["metrics"] | ["logs", ..] | ["debug", ..] => {
            return Err(Status::not_simulated(&format!(
                "{} has no content here",
                request.path
            )));
        }
        _ => None,
    };
    found.map(ok).ok_or_else(Status::page_not_found)
}

fn check_served_elsewhere(state: &State, group: &str, version: &str) -> Result<(), Status> {
    if discovery::unserved(state)
        .iter()
        .any(|(g, v)| g == group && v == version)
    {
        return Err(Status::unavailable());
    }
    Ok(())
}

fn resource(
    state: &mut State,
    request: &Request,
    user: &User,
    path: &ResourcePath,
) -> Result<Reply, Status> {
    let verb = request.verb(path);
    let attributes = attributes(path, verb);
    if !rbac::allows(state, user, &attributes) {
        return Err(rbac::refusal(user, &attributes));
    }
    check_served_elsewhere(state, &path.group, &path.version)?;
    let target = target(state, path)?;
    let form = accepted(request.header("accept"));
    if form == Accepted::None {
        return Err(Status::not_acceptable());
    }
    let shape = if form == Accepted::Metadata {
        Shape::Metadata
    } else {
        Shape::Full
    };
    if !path.subresource.is_empty() {
        let reply = subresource(state, request, user, target, verb)?;
        return Ok(shaped(reply, shape));
    }
    let has = |verb: &str| target.resource.verbs.iter().any(|v| v == verb);
    if !target.name.is_empty() && !["get", "update", "patch", "delete"].into_iter().any(has) {
        return Err(Status::no_such_path());
    }
    let misplaced = (verb == "create") != target.name.is_empty()
        && matches!(verb, "create" | "update" | "patch");
    if misplaced || !has(verb) {
        return Err(Status::method_not_allowed());
    }
    if reviews::is_review(&target) {
        let body = body(request, &target)?;
        return Ok(Reply::from(Answer {
            code: 201,
            body: reviews::review(state, &caller(request, user)?, &target, body)?,
            warnings: Vec::new(),
        }));
    }
    let reply = match verb {
        "get" => ok(state.get(&target)?),
        "list" => return Ok(ok(list(state, request, &target, shape)?)),
        "watch" => return watch(state, request, target, shape),
        "create" => {
            let caller = caller(request, user)?;
            let body = body(request, &target)?;
            warned(&target, state.create(&caller, &target, body)?)
        }
        "update" => {
            Reply::from(state.update(&caller(request, user)?, &target, body(request, &target)?)?)
        }
        "patch" => warned(&target, patched(state, request, user, &target)?),
        "delete" => {
            let options = delete_options(request)?;
            Reply::from(state.delete(&caller(request, user)?, &target, &options)?)
        }
        "deletecollection" => {
            let options = delete_options(request)?;
            let selector = selector_of(request, &target)?;
            return Ok(Reply::from(state.delete_collection(
                &caller(request, user)?,
                &target,
                &selector,
                &options,
            )?));
        }
        _ => return Err(Status::method_not_allowed()),
    };
    Ok(shaped(reply, shape))
}

/// Says what of a definition is not done.
fn warned(target: &Target, mut answer: Answer) -> Reply {
    if target.resource.plural == "customresourcedefinitions"
        && super::schema::custom::has_rules(&answer.body["spec"])
    {
        answer
            .warnings
            .push("the simulated API server does not evaluate x-kubernetes-validations".into());
    }
    Reply::from(answer)
}

fn shaped(reply: Reply, shape: Shape) -> Reply {
    match reply {
        Reply::Json {
            code,
            body,
            warnings,
            retry_after,
        } if shape == Shape::Metadata && body["kind"] != "Status" => Reply::Json {
            code,
            body: shape.show(body),
            warnings,
            retry_after,
        },
        other => other,
    }
}

fn attributes(path: &ResourcePath, verb: &str) -> Attributes {
    let of_namespace = path.group.is_empty() && path.plural == "namespaces";
    Attributes {
        verb: verb.into(),
        group: path.group.clone(),
        resource: path.plural.clone(),
        subresource: path.subresource.clone(),
        namespace: if of_namespace {
            path.name.clone()
        } else {
            path.namespace.clone()
        },
        name: path.name.clone(),
        path: None,
    }
}

fn target(state: &State, path: &ResourcePath) -> Result<Target, Status> {
    // Within a group of its own the server says so as the API does; where nothing of it is, as a web server.
    let missing = || match state.kinds.serves(&path.group, &path.version)
        || built_in().kinds.iter().any(|kind| kind.group == path.group)
    {
        true => Status::no_such_path(),
        false => Status::page_not_found(),
    };
    let resource = state
        .kinds
        .find(&path.group, &path.plural)
        .ok_or_else(missing)?;
    let misplaced = match resource.namespaced {
        true => path.namespace.is_empty() && !path.name.is_empty(),
        false => !path.namespace.is_empty(),
    };
    if misplaced || resource.version(&path.version).is_none() {
        return Err(missing());
    }
    let subresource = (!path.subresource.is_empty()).then(|| path.subresource.clone());
    Ok(Target {
        resource,
        version: path.version.clone(),
        namespace: path.namespace.clone(),
        name: path.name.clone(),
        subresource,
    })
}

fn list(state: &State, request: &Request, target: &Target, shape: Shape) -> Result<Value, Status> {
    // No number below one limits anything.
    let limit = match request.parameter("limit") {
        "" => 0,
        text => text
            .parse::<i64>()
            .map_err(|_| Status::bad_request(format!("limit: {text:?} is no number")))?,
    };
    let limit = usize::try_from(limit).unwrap_or(0);
    check_version_match(request)?;
    let options = ListOptions {
        selector: selector_of(request, target)?,
        limit,
        token: request.parameter("continue").to_owned(),
        resource_version: request.parameter("resourceVersion").to_owned(),
        exact: request.parameter("resourceVersionMatch") == "Exact",
    };
    state.list(target, &options, shape)
}

fn watch(state: &State, request: &Request, target: Target, shape: Shape) -> Result<Reply, Status> {
    let send_initial = request.flag("sendInitialEvents");
    let matching = request.parameter("resourceVersionMatch");
    if send_initial.is_some() && matching != "NotOlderThan" {
        let error = FieldError::forbidden(
            "resourceVersionMatch",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        );
        return Err(Status::invalid(
            &About::new("meta.k8s.io", "ListOptions", ""),
            &[error],
        ));
    }
    if send_initial.is_none() && !matching.is_empty() {
        let error = FieldError::forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        );
        return Err(Status::invalid(
            &About::new("meta.k8s.io", "ListOptions", ""),
            &[error],
        ));
    }
    let timeout =
        match request.parameter("timeoutSeconds") {
            "" | "0" => WATCH_TIMEOUT,
            text => Duration::from_secs(text.parse().map_err(|_| {
                Status::bad_request(format!("timeoutSeconds: {text:?} is no number"))
            })?),
        };
    let options = WatchOptions {
        selector: selector_of(request, &target)?,
        shape,
        bookmarks: request.flag("allowWatchBookmarks") == Some(true),
        send_initial,
        resource_version: request.parameter("resourceVersion").to_owned(),
    };
    Ok(Reply::Watch {
        watch: Box::new(Watch::start(state, target, options)?),
        timeout,
    })
}

/// The forms in which a patch can come.
const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

fn patched(
    state: &mut State,
    request: &Request,
    user: &User,
    target: &Target,
) -> Result<Answer, Status> {
    let caller = caller(request, user)?;
    let media = request
        .header("content-type")
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    if media == "application/apply-patch+yaml" {
        let config = identity::configuration(&request.body)?;
        return state.apply(&caller, target, config);
    }
    if !PATCHES.contains(&media.as_str()) || (target.resource.custom && media.contains("strategic"))
    {
        let known: &[&str] = if target.resource.custom {
            &[PATCHES[0], PATCHES[1], PATCHES[3]]
        } else {
            &PATCHES
        };
        return Err(Status::unsupported_media(known));
    }
    if caller.force_given {
        let error = FieldError::forbidden("force", "may not be specified for non-apply patch");
        return Err(Status::invalid(
            &About::new("meta.k8s.io", "PatchOptions", ""),
            &[error],
        ));
    }
    let Some(live) = state
        .store
        .get(&target.resource.id(), &target.key())
        .cloned()
    else {
        return Err(Status::not_found(&target.about()));
    };
    let patch = serde_json::from_slice(&request.body).map_err(|error| {
        Status::bad_request(format!(
            "error decoding patch: {}",
            identity::go_error(&error)
        ))
    })?;
    let mut object = state.convert_out(target, &live);
    match media.as_str() {
        "application/json-patch+json" => patch::json(&mut object, patch)?,
        "application/merge-patch+json" => patch::merge(&mut object, &patch),
        _ => patch::strategic(target.version().schema.root(), &mut object, &patch)?,
    }
    state.patched(&caller, target, &live, object)
}

fn subresource(
    state: &mut State,
    request: &Request,
    user: &User,
    target: Target,
    verb: &str,
) -> Result<Reply, Status> {
    let name = target.subresource().to_owned();
    let Some(declared) = target.version().subresource(&name) else {
        return Err(match target.resource.custom {
            true => Status::not_found(&target.about()),
            false => Status::no_such_path(),
        });
    };
    if !declared.verbs.iter().any(|v| v == verb) {
        return Err(Status::method_not_allowed());
    }
    match (name.as_str(), verb) {
        ("status" | "approval" | "finalize", "get") => Ok(ok(state.get(&target)?)),
        ("status" | "approval" | "finalize", "update") => Ok(Reply::from(state.update(
            &caller(request, user)?,
            &target,
            body(request, &target)?,
        )?)),
        ("status" | "approval", "patch") => {
            Ok(Reply::from(patched(state, request, user, &target)?))
        }
        ("scale", _) => {
            super::scale::handle(state, request, &caller(request, user)?, &target, verb)
                .map(Reply::from)
        }
        ("token", "create") => {
            reviews::token(state, &target, body(request, &target)?).map(Reply::from)
        }
        ("eviction", "create") => {
            let pod = Target {
                subresource: None,
                ..target
            };
            state.delete(&caller(request, user)?, &pod, &DeleteOptions::default())?;
            Ok(Reply::from(Answer {
                code: 201,
                body: json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
                warnings: Vec::new(),
            }))
        }
        _ => Err(Status::not_simulated(&format!(
            "{verb} of {}/{name}",
            target.resource.plural
        ))),
    }
}

/// The identity of the whole cluster: the uid of its `kube-system`.
pub(crate) fn cluster_uid(state: &State) -> String {
    let id = ResourceId::new("", "namespaces");
    state
        .store
        .get(&id, &super::storage::Key::new("", "kube-system"))
        .map(|n| text(n, "/metadata/uid").to_owned())
        .unwrap_or_default()
}
