//! Roles: who may do what, and what nobody may give away.

use serde_json::{Value, json};

use super::auth::User;
use super::kinds::ResourceId;
use super::state::{Caller, State, Target, text};
use super::status::{About, Status};

const GROUP: &str = "rbac.authorization.k8s.io";

/// What somebody wants to do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes {
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Set for what is no resource.
    pub(crate) path: Option<String>,
}

fn listed(rule: &Value, key: &str, value: &str) -> bool {
    rule.get(key).and_then(Value::as_array).is_some_and(|l| {
        l.iter()
            .any(|x| matches!(x.as_str(), Some(v) if v == "*" || v == value))
    })
}

fn rule_allows(rule: &Value, a: &Attributes) -> bool {
    if !listed(rule, "verbs", &a.verb) {
        return false;
    }
    if let Some(path) = &a.path {
        let urls = rule.get("nonResourceURLs").and_then(Value::as_array);
        return urls
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .any(|u| {
                u == path
                    || u.strip_suffix('*')
                        .is_some_and(|prefix| path.starts_with(prefix))
            });
    }
    let resource = if a.subresource.is_empty() {
        a.resource.clone()
    } else {
        format!("{}/{}", a.resource, a.subresource)
    };
    let any_resource = listed(rule, "resources", &resource)
        || (!a.subresource.is_empty()
            && listed(rule, "resources", &format!("*/{}", a.subresource)));
    let names = rule.get("resourceNames").and_then(Value::as_array);
    let named = names.is_none_or(Vec::is_empty)
        || names.is_some_and(|n| n.iter().any(|n| n.as_str() == Some(&a.name)));
    listed(rule, "apiGroups", &a.group) && any_resource && named
}

fn is_subject(subject: &Value, user: &User, namespace: &str) -> bool {
    let name = text(subject, "/name");
    match text(subject, "/kind") {
        "User" => user.name == name,
        "Group" => user.all_groups().iter().any(|g| g == name),
        "ServiceAccount" => {
            let given = text(subject, "/namespace");
            user.name
                == format!(
                    "system:serviceaccount:{}:{name}",
                    if given.is_empty() { namespace } else { given }
                )
        }
        _ => false,
    }
}

/// The rules of a role that a binding refers to.
fn rules_of(state: &State, role: &Value, namespace: &str) -> Vec<Value> {
    let name = text(role, "/name");
    let found = match text(role, "/kind") {
        "ClusterRole" => state.object(GROUP, "clusterroles", "", name),
        _ => state.object(GROUP, "roles", namespace, name),
    };
    found
        .and_then(|r| r.get("rules").and_then(Value::as_array).cloned())
        .unwrap_or_default()
}

/// The rules that somebody has in a namespace, and everywhere.
pub(crate) fn rules_for(state: &State, user: &User, namespace: &str) -> Vec<Value> {
    if user.groups.iter().any(|g| g == "system:masters") {
        return vec![
            json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
            json!({"verbs": ["*"], "nonResourceURLs": ["*"]}),
        ];
    }
    let mut rules = Vec::new();
    let applies = |binding: &Value, namespace: &str| {
        binding
            .get("subjects")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .any(|s| is_subject(s, user, namespace))
    };
    for (_, binding) in state
        .store
        .list(&ResourceId::new(GROUP, "clusterrolebindings"), None)
    {
        if applies(binding, "") {
            rules.extend(rules_of(state, &binding["roleRef"], ""));
        }
    }
    if !namespace.is_empty() {
        for (_, binding) in state
            .store
            .list(&ResourceId::new(GROUP, "rolebindings"), Some(namespace))
        {
            if applies(binding, namespace) {
                rules.extend(rules_of(state, &binding["roleRef"], namespace));
            }
        }
    }
    rules
}

/// Whether somebody may do something.
pub(crate) fn allows(state: &State, user: &User, attributes: &Attributes) -> bool {
    !state.rbac
        || rules_for(state, user, &attributes.namespace)
            .iter()
            .any(|rule| rule_allows(rule, attributes))
}

/// The refusal, in the words of the real server.
pub(crate) fn refusal(user: &User, a: &Attributes) -> Status {
    if let Some(path) = &a.path {
        return Status::forbidden(
            &About::default(),
            &format!("User {:?} cannot {} path {path:?}", user.name, a.verb),
        );
    }
    let resource = if a.subresource.is_empty() {
        a.resource.clone()
    } else {
        format!("{}/{}", a.resource, a.subresource)
    };
    let place = if a.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {:?}", a.namespace)
    };
    Status::forbidden(
        &About::new(&a.group, &a.resource, &a.name),
        &format!(
            "User {:?} cannot {} resource {resource:?} in API group {:?} {place}",
            user.name, a.verb, a.group
        ),
    )
}

/// An apply of what is not there creates it, which is a right of its own.
pub(crate) fn check_create(state: &State, caller: &Caller, target: &Target) -> Result<(), Status> {
    let attributes = Attributes {
        verb: "create".to_owned(),
        group: target.resource.group.clone(),
        resource: target.resource.plural.clone(),
        subresource: target.subresource().to_owned(),
        namespace: target.namespace.clone(),
        name: target.name.clone(),
        path: None,
    };
    match allows(state, &caller.user, &attributes) {
        true => Ok(()),
        false => Err(refusal(&caller.user, &attributes)),
    }
}

/// Nobody makes a role with rights that they do not have, or binds one, unless a role lets them.
pub(crate) fn check_escalation(
    state: &State,
    caller: &Caller,
    target: &Target,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), Status> {
    if !state.rbac || target.resource.group != GROUP {
        return Ok(());
    }
    let user = &caller.user;
    let plural = target.resource.plural.as_str();
    let (rules, verb, resource, name) = match plural {
        "roles" | "clusterroles" if old.is_none_or(|o| o["rules"] != new["rules"]) => (
            new.get("rules")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
            "escalate",
            plural,
            target.name.as_str(),
        ),
        "rolebindings" | "clusterrolebindings"
            if old.is_none_or(|o| o["subjects"] != new["subjects"]) =>
        {
            let role = &new["roleRef"];
            let resource = if text(role, "/kind") == "ClusterRole" {
                "clusterroles"
            } else {
                "roles"
            };
            (
                rules_of(state, role, &target.namespace),
                "bind",
                resource,
                text(role, "/name"),
            )
        }
        _ => return Ok(()),
    };
    let may = Attributes {
        verb: verb.into(),
        group: GROUP.into(),
        resource: resource.into(),
        namespace: target.namespace.clone(),
        name: name.into(),
        ..Attributes::default()
    };
    if allows(state, user, &may) {
        return Ok(());
    }
    let held = rules_for(state, user, &target.namespace);
    let missing: Vec<String> = rules
        .iter()
        .flat_map(single_rules)
        .filter(|rule| !held.iter().any(|h| covers(h, rule)))
        .map(|rule| shown(&rule))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let groups = user
        .all_groups()
        .iter()
        .map(|g| format!("{g:?}"))
        .collect::<Vec<_>>()
        .join(" ");
    let why = format!(
        "user {:?} (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        missing.join("\n")
    );
    Err(Status::forbidden(&target.about(), &why))
}

fn shown(rule: &Value) -> String {
    let list = |key: &str| {
        rule[key]
            .as_array()
            .map(|l| l.iter().map(Value::to_string).collect::<Vec<_>>().join(" "))
            .unwrap_or_default()
    };
    let parts: Vec<String> = [
        ("apiGroups", "APIGroups"),
        ("resources", "Resources"),
        ("resourceNames", "ResourceNames"),
        ("nonResourceURLs", "NonResourceURLs"),
        ("verbs", "Verbs"),
    ]
    .iter()
    .filter(|(key, _)| rule[*key].as_array().is_some_and(|l| !l.is_empty()))
    .map(|(key, name)| format!("{name}:[{}]", list(key)))
    .collect();
    format!("{{{}}}", parts.join(", "))
}

/// A rule as rules of one group, one resource and its verbs.
fn single_rules(rule: &Value) -> Vec<Value> {
    let list = |key: &str| {
        rule.get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let mut out: Vec<Value> = list("nonResourceURLs")
        .into_iter()
        .map(|url| json!({"nonResourceURLs": [url], "verbs": rule["verbs"]}))
        .collect();
    for group in list("apiGroups") {
        for resource in list("resources") {
            let mut one = json!({"apiGroups": [group.clone()], "resources": [resource], "verbs": rule["verbs"]});
            if !list("resourceNames").is_empty() {
                one["resourceNames"] = rule["resourceNames"].clone();
            }
            out.push(one);
        }
    }
    out
}

fn covers(held: &Value, rule: &Value) -> bool {
    let all = |key: &str| {
        rule.get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .all(|v| listed(held, key, v))
    };
    let names = held.get("resourceNames").and_then(Value::as_array);
    let by_name = names.is_none_or(Vec::is_empty)
        || (rule.get("resourceNames").is_some() && all("resourceNames"));
    all("verbs") && all("apiGroups") && all("resources") && all("nonResourceURLs") && by_name
}
