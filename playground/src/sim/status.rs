//! Answers that are no object: the `Status` of every error, with the reasons, causes and texts of the real server.

use serde_json::{Map, Value, json};

/// A field that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FieldError {
    reason: &'static str,
    field: String,
    body: String,
}

impl FieldError {
    pub(crate) fn required(field: &str, detail: &str) -> FieldError {
        let body = if detail.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {detail}")
        };
        FieldError {
            reason: "FieldValueRequired",
            field: field.into(),
            body,
        }
    }

    pub(crate) fn invalid(field: &str, value: &Value, detail: &str) -> FieldError {
        FieldError {
            reason: "FieldValueInvalid",
            field: field.into(),
            body: format!("Invalid value: {value}: {detail}"),
        }
    }

    pub(crate) fn type_invalid(field: &str, actual: &str, detail: &str) -> FieldError {
        let field = if field.is_empty() { "<nil>" } else { field };
        FieldError {
            reason: "FieldValueTypeInvalid",
            field: field.into(),
            body: format!("Invalid value: {actual:?}: {detail}"),
        }
    }

    pub(crate) fn not_supported(field: &str, value: &Value, allowed: &[Value]) -> FieldError {
        let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
        FieldError {
            reason: "FieldValueNotSupported",
            field: field.into(),
            body: format!(
                "Unsupported value: {value}: supported values: {}",
                allowed.join(", ")
            ),
        }
    }

    pub(crate) fn duplicate(field: &str, value: &Value) -> FieldError {
        FieldError {
            reason: "FieldValueDuplicate",
            field: field.into(),
            body: format!("Duplicate value: {value}"),
        }
    }

    pub(crate) fn forbidden(field: &str, detail: &str) -> FieldError {
        FieldError {
            reason: "FieldValueForbidden",
            field: field.into(),
            body: format!("Forbidden: {detail}"),
        }
    }

    pub(crate) fn too_long(field: &str, bytes: usize) -> FieldError {
        FieldError {
            reason: "FieldValueTooLong",
            field: field.into(),
            body: format!("Too long: may not be more than {bytes} bytes"),
        }
    }

    pub(crate) fn not_found(field: &str, value: &Value) -> FieldError {
        FieldError {
            reason: "FieldValueNotFound",
            field: field.into(),
            body: format!("Not found: {value}"),
        }
    }

    fn text(&self) -> String {
        format!("{}: {}", self.field, self.body)
    }
}

/// What an error is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    pub(crate) group: String,
    /// The plural, or the kind for what is invalid.
    pub(crate) kind: String,
    pub(crate) name: String,
}

impl About {
    pub(crate) fn new(group: &str, kind: &str, name: &str) -> About {
        About {
            group: group.into(),
            kind: kind.into(),
            name: name.into(),
        }
    }

    fn resource(&self) -> String {
        if self.group.is_empty() {
            self.kind.clone()
        } else {
            format!("{}.{}", self.kind, self.group)
        }
    }

    fn details(&self) -> Map<String, Value> {
        let mut details = Map::new();
        for (key, value) in [
            ("name", &self.name),
            ("group", &self.group),
            ("kind", &self.kind),
        ] {
            if !value.is_empty() {
                details.insert(key.into(), value.clone().into());
            }
        }
        details
    }
}

/// An error answer.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    pub(crate) code: u16,
    reason: &'static str,
    message: String,
    /// Some answers carry them though they are empty.
    details: Option<Map<String, Value>>,
    /// Answered as bare text: nothing of the API is at the path.
    pub(crate) plain: bool,
}

impl Status {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Status {
        Status {
            code,
            reason,
            message: message.into(),
            details: None,
            plain: false,
        }
    }

    /// A path that no part of the API is served at.
    pub(crate) fn page_not_found() -> Status {
        Status {
            plain: true,
            ..Status::new(404, "", "404 page not found\n")
        }
    }

    fn about(mut self, about: &About) -> Status {
        self.details = Some(about.details()).filter(|details| !details.is_empty());
        self
    }

    /// The seconds after which a client may come back.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.details
            .as_ref()?
            .get("retryAfterSeconds")
            .and_then(Value::as_u64)
    }

    pub(crate) fn with_retry(mut self, seconds: u64) -> Status {
        self.details
            .get_or_insert_default()
            .insert("retryAfterSeconds".into(), seconds.into());
        self
    }

    pub(crate) fn with_causes(mut self, causes: Vec<Value>) -> Status {
        self.details
            .get_or_insert_default()
            .insert("causes".into(), causes.into());
        self
    }

    /// The object on the wire.
    pub(crate) fn to_json(&self) -> Value {
        let mut out = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message});
        if let Some(map) = out.as_object_mut() {
            if !self.reason.is_empty() {
                map.insert("reason".into(), self.reason.into());
            }
            if let Some(details) = &self.details {
                map.insert("details".into(), details.clone().into());
            }
            map.insert("code".into(), self.code.into());
        }
        out
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn custom(code: u16, reason: &'static str, message: impl Into<String>) -> Status {
        Status::new(code, reason, message)
    }

    pub(crate) fn not_found(about: &About) -> Status {
        Status::new(
            404,
            "NotFound",
            format!("{} {:?} not found", about.resource(), about.name),
        )
        .about(about)
    }

    /// An answer that is made of its code alone.
    fn generic(code: u16, reason: &'static str, message: impl Into<String>) -> Status {
        Status {
            details: Some(Map::new()),
            ..Status::new(code, reason, message)
        }
    }

    /// A path that nothing is served at.
    pub(crate) fn no_such_path() -> Status {
        let message = "the server could not find the requested resource";
        Status::generic(404, "NotFound", message)
    }

    pub(crate) fn already_exists(about: &About, going: bool) -> Status {
        let going = if going {
            "object is being deleted: "
        } else {
            ""
        };
        let message = format!(
            "{going}{} {:?} already exists",
            about.resource(),
            about.name
        );
        Status::new(409, "AlreadyExists", message).about(about)
    }

    pub(crate) fn conflict(about: &About, why: &str) -> Status {
        Status::new(
            409,
            "Conflict",
            format!(
                "Operation cannot be fulfilled on {} {:?}: {why}",
                about.resource(),
                about.name
            ),
        )
        .about(about)
    }

    /// A lost race: the version that was read is no longer the newest.
    pub(crate) fn stale(about: &About) -> Status {
        Status::conflict(
            about,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    pub(crate) fn apply_conflict(conflicts: &[crate::sim::apply::managers::Conflict]) -> Status {
        let causes = conflicts.iter().map(|c| json!({"reason": "FieldManagerConflict", "message": format!("conflict with {}", c.manager), "field": c.field})).collect();
        let message = match conflicts {
            [one] => format!(
                "Apply failed with 1 conflict: conflict with {}: {}",
                one.manager, one.field
            ),
            many => {
                let mut by_manager: std::collections::BTreeMap<&str, Vec<&str>> =
                    std::collections::BTreeMap::new();
                for conflict in many {
                    by_manager
                        .entry(&conflict.manager)
                        .or_default()
                        .push(&conflict.field);
                }
                let lines = by_manager.into_iter().map(|(manager, fields)| {
                    format!("conflicts with {manager}:\n- {}", fields.join("\n- "))
                });
                format!(
                    "Apply failed with {} conflicts: {}",
                    many.len(),
                    lines.collect::<Vec<_>>().join("\n")
                )
            }
        };
        Status::new(409, "Conflict", message).with_causes(causes)
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Status {
        Status::new(400, "BadRequest", message)
    }

    pub(crate) fn invalid(about: &About, errors: &[FieldError]) -> Status {
        let mut texts: Vec<String> = Vec::new();
        for error in errors {
            let text = error.text();
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let what = if texts.len() == 1 {
            texts.remove(0)
        } else {
            format!("[{}]", texts.join(", "))
        };
        let causes = errors
            .iter()
            .map(|e| json!({"reason": e.reason, "message": e.body, "field": e.field}))
            .collect();
        Status::new(
            422,
            "Invalid",
            format!("{} {:?} is invalid: {what}", about.resource(), about.name),
        )
        .about(about)
        .with_causes(causes)
    }

    pub(crate) fn forbidden(about: &About, why: &str) -> Status {
        let subject = match (about.kind.as_str(), about.name.as_str()) {
            ("", _) => "forbidden".to_owned(),
            (_, "") => format!("{} is forbidden", about.resource()),
            (_, name) => format!("{} {name:?} is forbidden", about.resource()),
        };
        Status::new(403, "Forbidden", format!("{subject}: {why}")).about(about)
    }

    pub(crate) fn unauthorized() -> Status {
        Status::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn method_not_allowed() -> Status {
        let message = "the server does not allow this method on the requested resource";
        Status::generic(405, "MethodNotAllowed", message)
    }

    /// What the simulation does not do, said plainly.
    pub(crate) fn not_simulated(what: &str) -> Status {
        Status::new(
            501,
            "NotImplemented",
            format!("the simulated API server does not do this: {what}"),
        )
    }

    pub(crate) fn unsupported_media(accepted: &[&str]) -> Status {
        let accepted = accepted.join(", ");
        Status::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {accepted}"
            ),
        )
    }

    /// An answer with a code alone.
    pub(crate) fn rejected() -> Status {
        let message = "the server rejected our request due to an error in our request";
        Status::generic(422, "Invalid", message)
    }

    pub(crate) fn not_acceptable() -> Status {
        let message = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, \
                       application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
        Status::generic(406, "NotAcceptable", message)
    }

    pub(crate) fn expired(message: impl Into<String>) -> Status {
        Status::new(410, "Expired", message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Status {
        let message = message.into();
        Status::new(
            500,
            "InternalError",
            format!("Internal error occurred: {message}"),
        )
        .with_causes(vec![json!({"message": message})])
    }

    pub(crate) fn plain_error(message: impl Into<String>) -> Status {
        Status::new(500, "", message)
    }

    /// What the server says for another one that it cannot reach.
    pub(crate) fn unavailable() -> Status {
        Status {
            plain: true,
            ..Status::new(503, "", "service unavailable\n")
        }
    }

    pub(crate) fn too_many(seconds: u64) -> Status {
        Status::new(
            429,
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later",
        )
        .with_retry(seconds)
    }

    pub(crate) fn too_large_version(asked: u64, current: u64) -> Status {
        let cause =
            json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        Status::new(
            504,
            "Timeout",
            format!("Timeout: Too large resource version: {asked}, current: {current}"),
        )
        .with_retry(1)
        .with_causes(vec![cause])
    }
}
