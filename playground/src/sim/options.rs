//! What a request asks for besides its path: the body, and the parameters.

use serde_json::{Value, json};

use super::auth::User;
use super::delete::DeleteOptions;
use super::identity;
use super::route::Request;
use super::schema::Schema;
use super::selector::{self, Selector};
use super::state::{Caller, FieldValidation, Target};
use super::status::{About, FieldError, Status};

/// The most characters that a field manager may have.
const MAX_MANAGER: usize = 128;

/// The object that was sent.
pub(super) fn body(request: &Request, target: &Target) -> Result<Value, Status> {
    let media = request
        .header("content-type")
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if !matches!(media, "" | "application/json") {
        return Err(Status::unsupported_media(&["application/json"]));
    }
    parse(&request.body, &target.resource.kind)
}

fn parse(bytes: &[u8], kind: &str) -> Result<Value, Status> {
    serde_json::from_slice(bytes).map_err(|error| identity::unrecognized(kind, &error, bytes))
}

/// How a deletion is meant.
pub(super) fn delete_options(request: &Request) -> Result<DeleteOptions, Status> {
    let body = if request.body.is_empty() {
        None
    } else {
        Some(parse(&request.body, "DeleteOptions")?)
    };
    DeleteOptions::parse(
        body.as_ref(),
        request.query.get("propagationPolicy").map(String::as_str),
    )
}

/// Who asks, with the options of a write.
pub(super) fn caller(request: &Request, user: &User) -> Result<Caller, Status> {
    let given = request.parameter("fieldManager").to_owned();
    let options = match request.method.as_str() {
        "POST" => "CreateOptions",
        "PUT" => "UpdateOptions",
        "DELETE" => "DeleteOptions",
        _ => "PatchOptions",
    };
    let invalid = |error: FieldError| {
        Err(Status::invalid(
            &About::new("meta.k8s.io", options, ""),
            &[error],
        ))
    };
    if given.len() > MAX_MANAGER {
        return invalid(FieldError::too_long("fieldManager", MAX_MANAGER));
    }
    let mut dry_run = match request.parameter("dryRun") {
        "" => false,
        "All" => true,
        other => {
            return invalid(FieldError::not_supported(
                "dryRun",
                &json!([other]),
                &["All".into()],
            ));
        }
    };
    if request.method == http::Method::DELETE && !request.body.is_empty() {
        dry_run |= parse(&request.body, "DeleteOptions")?
            .get("dryRun")
            .and_then(Value::as_array)
            .is_some_and(|d| d.iter().any(|v| v == "All"));
    }
    let validation = match request.parameter("fieldValidation") {
        "Ignore" => FieldValidation::Ignore,
        "" | "Warn" => FieldValidation::Warn,
        "Strict" => FieldValidation::Strict,
        other => {
            return invalid(FieldError::not_supported(
                "fieldValidation",
                &other.into(),
                &["".into(), "Ignore".into(), "Strict".into(), "Warn".into()],
            ));
        }
    };
    let agent = request.header("user-agent");
    let agent: String = agent
        .split('/')
        .next()
        .unwrap_or_default()
        .chars()
        .take(MAX_MANAGER)
        .collect();
    Ok(Caller {
        user: user.clone(),
        manager_given: !given.is_empty(),
        manager: if given.is_empty() {
            if agent.is_empty() {
                "unknown".into()
            } else {
                agent
            }
        } else {
            given
        },
        dry_run,
        force: request.flag("force") == Some(true),
        force_given: request.query.contains_key("force"),
        validation,
    })
}

/// Which objects are meant.
pub(super) fn selector_of(request: &Request, target: &Target) -> Result<Selector, Status> {
    let mut fields = selector::selectable_fields(&target.resource.group, &target.resource.plural);
    if let Schema::Custom(_) = &target.version().schema {
        fields.extend(target.resource.selectable.iter().cloned());
    }
    Selector::parse(
        request.parameter("labelSelector"),
        request.parameter("fieldSelector"),
        &fields,
    )
}

/// A way to match a version needs one, and the version of anything has no exact match.
pub(super) fn check_version_match(request: &Request) -> Result<(), Status> {
    let (matching, version) = (
        request.parameter("resourceVersionMatch"),
        request.parameter("resourceVersion"),
    );
    let why = match (matching, version) {
        ("", _) => return Ok(()),
        (_, "") => "resourceVersionMatch is forbidden unless resourceVersion is provided",
        ("Exact", "0") => "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        _ => return Ok(()),
    };
    Err(Status::invalid(
        &About::new("meta.k8s.io", "ListOptions", ""),
        &[FieldError::forbidden("resourceVersionMatch", why)],
    ))
}
