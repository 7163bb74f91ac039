//! Questions to the API server that are asked by creating an object: who am I, may they, whose token is this.

use serde_json::{Value, json};

use super::apply::managers::{self, Managers, Writer};
use super::apply::path::FieldSet;
use super::auth::User;
use super::rbac::{self, Attributes};
use super::state::{Answer, Caller, State, Target, text};
use super::status::Status;

/// How long a token says that it lasts where the request does not say. Tokens of the simulation do not expire.
const TOKEN_SECONDS: i64 = 3_600;

/// Whether creating an object of this kind asks a question.
pub(crate) fn is_review(target: &Target) -> bool {
    matches!(
        target.resource.group.as_str(),
        "authentication.k8s.io" | "authorization.k8s.io"
    )
}

/// Answers a question.
pub(crate) fn review(
    state: &State,
    caller: &Caller,
    target: &Target,
    mut body: Value,
) -> Result<Value, Status> {
    let user = &caller.user;
    body["kind"] = target.resource.kind.clone().into();
    body["apiVersion"] = target.api_version().into();
    if body.get("metadata").is_none() {
        body["metadata"] = json!({});
    }
    let spec = body["spec"].clone();
    if target.resource.kind == "SelfSubjectReview" {
        body["metadata"]["creationTimestamp"] = state.clock.text().into();
    } else {
        track(state, caller, target, &mut body);
    }
    body["status"] = match target.resource.kind.as_str() {
        "SelfSubjectReview" => json!({"userInfo": user.info()}),
        "TokenReview" => match state.credentials.user(text(&spec, "/token")) {
            Some(owner) => {
                json!({"authenticated": true, "user": owner.info(), "audiences": ["https://kubernetes.default.svc"]})
            }
            None => json!({"user": {}, "error": "invalid bearer token"}),
        },
        "SelfSubjectRulesReview" => rules(state, user, text(&spec, "/namespace")),
        "SelfSubjectAccessReview" => decision(state, user, &spec),
        "SubjectAccessReview" | "LocalSubjectAccessReview" => {
            decision(state, &subject(&spec), &spec)
        }
        other => return Err(Status::not_simulated(&format!("reviews of kind {other}"))),
    };
    Ok(body)
}

/// Questions are objects to the server: who asked owns the fields.
fn track(state: &State, caller: &Caller, target: &Target, body: &mut Value) {
    let schema = &target.version().schema;
    let (version, now, mut managers) = (
        target.api_version(),
        state.clock.text(),
        Managers::default(),
    );
    let writer = Writer {
        manager: &caller.manager,
        subresource: "",
        version: &version,
        now: &now,
        reset: &FieldSet::default(),
    };
    let empty = managers::empty_object(schema, body);
    managers::update(schema, &empty, body, &mut managers, &writer);
    managers.write(body);
}

fn subject(spec: &Value) -> User {
    let groups = spec
        .get("groups")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    User {
        name: text(spec, "/user").to_owned(),
        groups,
        uid: text(spec, "/uid").to_owned(),
        ..User::default()
    }
}

fn decision(state: &State, user: &User, spec: &Value) -> Value {
    let of = |pointer: &str| text(spec, pointer).to_owned();
    let attributes = if spec.get("nonResourceAttributes").is_some() {
        Attributes {
            verb: of("/nonResourceAttributes/verb"),
            path: Some(of("/nonResourceAttributes/path")),
            ..Attributes::default()
        }
    } else {
        let of = |name: &str| of(&format!("/resourceAttributes/{name}"));
        Attributes {
            verb: of("verb"),
            group: of("group"),
            resource: of("resource"),
            subresource: of("subresource"),
            namespace: of("namespace"),
            name: of("name"),
            path: None,
        }
    };
    json!({"allowed": rbac::allows(state, user, &attributes)})
}

fn rules(state: &State, user: &User, namespace: &str) -> Value {
    let rules = rbac::rules_for(state, user, namespace);
    let pick = |key: &str, fields: &[&str]| -> Vec<Value> {
        let with = rules.iter().filter(|r| {
            r.get(key)
                .and_then(Value::as_array)
                .is_some_and(|l| !l.is_empty())
        });
        with.map(|r| {
            fields
                .iter()
                .filter_map(|f| r.get(*f).map(|v| ((*f).to_owned(), v.clone())))
                .collect::<serde_json::Map<_, _>>()
                .into()
        })
        .collect()
    };
    json!({"resourceRules": pick("resources", &["verbs", "apiGroups", "resources", "resourceNames"]), "nonResourceRules": pick("nonResourceURLs", &["verbs", "nonResourceURLs"]), "incomplete": false})
}

/// A token of a service account.
pub(crate) fn token(state: &mut State, target: &Target, mut body: Value) -> Result<Answer, Status> {
    if state
        .store
        .get(&target.resource.id(), &target.key())
        .is_none()
    {
        return Err(Status::not_found(&target.about()));
    }
    let token = state
        .credentials
        .issue(User::service_account(&target.namespace, &target.name));
    let seconds = body
        .pointer("/spec/expirationSeconds")
        .and_then(Value::as_i64)
        .unwrap_or(TOKEN_SECONDS);
    let now = state.clock.now();
    let expires = now
        .checked_add(jiff::SignedDuration::from_secs(seconds))
        .unwrap_or(now);
    body["kind"] = "TokenRequest".into();
    body["apiVersion"] = "authentication.k8s.io/v1".into();
    body["metadata"] = json!({"name": target.name, "namespace": target.namespace, "creationTimestamp": state.clock.text()});
    body["spec"]["expirationSeconds"] = seconds.into();
    if body.pointer("/spec/audiences").is_none() {
        body["spec"]["audiences"] = json!(["https://kubernetes.default.svc"]);
    }
    body["status"] = json!({"token": token, "expirationTimestamp": super::state::seconds(expires)});
    Ok(Answer {
        code: 201,
        body,
        warnings: Vec::new(),
    })
}
