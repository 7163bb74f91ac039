//! What a body says that it is, which must fit the path that it is sent to.

use serde_json::Value;

use super::state::{Caller, Target, text};
use super::status::{About, FieldError, Status};
use super::suffix::generated_suffix;

/// How much of a body that cannot be read an error shows.
const SHOWN_BYTES: usize = 30;

/// A group, a version and a kind as Go prints them.
pub(super) fn group_version_kind(group: &str, version: &str, kind: &str) -> String {
    format!("{group}/{version}, Kind={kind}")
}

/// The kind of the objects at the target: a subresource may have one of its own.
fn expected_kind(target: &Target) -> &str {
    let subresource = target.subresource.as_deref();
    subresource
        .and_then(|name| target.version().subresource(name))
        .map_or(&target.resource.kind, |it| &it.kind)
}

/// What is wrong with JSON, as Go says it where that can be told.
pub(super) fn go_error(error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    format!("invalid character: {error}")
}

/// The answer to a body that is no JSON.
pub(super) fn unrecognized(kind: &str, error: &serde_json::Error, body: &[u8]) -> Status {
    let text = String::from_utf8_lossy(body);
    let shown: String = text.chars().take(SHOWN_BYTES).collect();
    let more = if shown.len() < text.len() { " ..." } else { "" };
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: {} ({shown}{more})",
        go_error(error)
    ))
}

/// An applied configuration. It is YAML, of which JSON is a part, and only that part is read here.
pub(super) fn configuration(body: &[u8]) -> Result<Value, Status> {
    let error = match serde_json::from_slice(body) {
        Ok(Value::String(_)) => return Err(not_a_map("string")),
        Ok(Value::Number(_)) => return Err(not_a_map("number")),
        Ok(Value::Bool(_)) => return Err(not_a_map("bool")),
        Ok(Value::Array(_)) => return Err(not_a_map("array")),
        Ok(config) => return Ok(config),
        Err(error) => error,
    };
    let text = String::from_utf8_lossy(body);
    if !text.contains([':', '{', '[', '-']) {
        // One plain scalar.
        return Err(not_a_map("string"));
    }
    let what = format!("an applied configuration that is not JSON (which is YAML too): {error}");
    Err(Status::not_simulated(&what))
}

fn not_a_map(what: &str) -> Status {
    Status::bad_request(format!(
        "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"
    ))
}

pub(super) fn check_apply(caller: &Caller, target: &Target, config: &Value) -> Result<(), Status> {
    if !caller.manager_given {
        let error = FieldError::required("fieldManager", "is required for apply patch");
        return Err(Status::invalid(
            &About::new("meta.k8s.io", "PatchOptions", ""),
            &[error],
        ));
    }
    let (api_version, kind) = (text(config, "/apiVersion"), text(config, "/kind"));
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let known = group == target.resource.group
        && kind == expected_kind(target)
        && target.resource.version(version).is_some();
    if !known {
        let gvk = group_version_kind(group, version, kind);
        return Err(Status::bad_request(format!("invalid object type: {gvk}")));
    }
    if api_version != target.api_version() {
        return Err(Status::bad_request(format!(
            "Incorrect version specified in apply patch. Specified patch version: {api_version}, expected: {}",
            target.api_version()
        )));
    }
    check_identity(target, config)?;
    let name = text(config, "/metadata/name");
    if !name.is_empty() && name != target.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name
        )));
    }
    Ok(())
}

pub(super) fn check_apply_version(
    target: &Target,
    config: &Value,
    stored: Option<&Value>,
) -> Result<(), Status> {
    let uid = text(config, "/metadata/uid");
    match stored {
        None if !uid.is_empty() => {
            let why = format!(
                "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            );
            Err(Status::conflict(&target.about(), &why))
        }
        Some(stored)
            if !text(config, "/metadata/resourceVersion").is_empty()
                && text(config, "/metadata/resourceVersion")
                    != text(stored, "/metadata/resourceVersion") =>
        {
            Err(Status::stale(&target.about()))
        }
        _ => Ok(()),
    }
}

/// The kind, version and namespace of a body must be those of the path.
pub(super) fn check_identity(target: &Target, body: &Value) -> Result<(), Status> {
    if !body.is_object() {
        return Err(Status::bad_request(
            "the object provided is unrecognized (must be of type Object): couldn't get version/kind; json parse error",
        ));
    }
    let (kind, version) = (text(body, "/kind"), text(body, "/apiVersion"));
    if kind.is_empty() && target.resource.custom {
        return Err(Status::bad_request(format!(
            "Object 'Kind' is missing in '{}'",
            short(body)
        )));
    }
    if !version.is_empty() && version != target.api_version() {
        return Err(Status::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({})",
            target.api_version()
        )));
    }
    if !kind.is_empty() && kind != expected_kind(target) && kind != target.resource.kind {
        let (own, group) = (&target.resource.kind, target.resource.group.as_str());
        // The package of the group's internal types.
        let package = group.split('.').next().filter(|it| !it.is_empty());
        return Err(Status::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {own}: converting ({version}.{kind}) to ({}.{own}): unknown conversion",
            package.unwrap_or("core"),
            version = target.version,
        )));
    }
    let namespace = text(body, "/metadata/namespace");
    if target.resource.namespaced && !namespace.is_empty() && namespace != target.namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

pub(super) fn short(body: &Value) -> String {
    body.to_string().chars().take(200).collect()
}

pub(super) fn name_new(target: &mut Target, object: &mut Value) -> Result<(), Status> {
    let mut name = text(object, "/metadata/name").to_owned();
    let prefix = text(object, "/metadata/generateName");
    if name.is_empty() && !prefix.is_empty() {
        name = format!("{prefix}{}", generated_suffix());
        object["metadata"]["name"] = name.clone().into();
    }
    if name.is_empty() {
        let error = FieldError::required("metadata.name", "name or generateName is required");
        return Err(Status::invalid(&target.about_kind(), &[error]));
    }
    target.name = name;
    if target.resource.namespaced {
        object["metadata"]["namespace"] = target.namespace.clone().into();
    } else if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.shift_remove("namespace");
    }
    Ok(())
}
