//! Admission: what is refused or changed although the object is well-formed.

use serde_json::{Value, json};

use super::kinds::ResourceId;
use super::quota;
use super::rbac;
use super::selector;
use super::state::{Caller, State, Target, text};
use super::status::{About, Status};

/// A namespace must exist, and not be going away, before anything is created in it.
pub(crate) fn namespace_accepts(state: &State, target: &Target) -> Result<(), Status> {
    if !target.resource.namespaced {
        return Ok(());
    }
    match state.object("", "namespaces", "", &target.namespace) {
        None => Err(Status::not_found(&About::new(
            "",
            "namespaces",
            &target.namespace,
        ))),
        Some(namespace) if text(namespace, "/status/phase") == "Terminating" => {
            let why = format!(
                "unable to create new content in namespace {} because it is being terminated",
                target.namespace
            );
            let cause = json!({"reason": "NamespaceTerminating", "message": format!("namespace {} is being terminated", target.namespace), "field": "metadata.namespace"});
            Err(Status::forbidden(&target.about(), &why).with_causes(vec![cause]))
        }
        Some(_) => Ok(()),
    }
}

/// Changes that admission makes to new objects.
pub(crate) fn mutate(
    state: &State,
    caller: &Caller,
    target: &Target,
    object: &mut Value,
) -> Result<(), Status> {
    match (
        target.resource.group.as_str(),
        target.resource.plural.as_str(),
    ) {
        ("", "pods") => {
            let account = text(object, "/spec/serviceAccountName");
            let account = if account.is_empty() {
                "default"
            } else {
                account
            }
            .to_owned();
            if state.controllers
                && state
                    .object("", "serviceaccounts", &target.namespace, &account)
                    .is_none()
            {
                let why = format!(
                    "error looking up service account {}/{account}: serviceaccount {account:?} not found",
                    target.namespace
                );
                return Err(Status::forbidden(&target.about(), &why));
            }
            object["spec"]["serviceAccountName"] = account.clone().into();
            object["spec"]["serviceAccount"] = account.into();
            if object.pointer("/spec/tolerations").is_none() {
                let toleration = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
                object["spec"]["tolerations"] = json!([
                    toleration("node.kubernetes.io/not-ready"),
                    toleration("node.kubernetes.io/unreachable")
                ]);
            }
            for (key, value) in [
                ("priority", json!(0)),
                ("preemptionPolicy", "PreemptLowerPriority".into()),
            ] {
                if object["spec"].get(key).is_none() {
                    object["spec"][key] = value;
                }
            }
        }
        ("", "persistentvolumeclaims") if object.pointer("/spec/storageClassName").is_none() => {
            let classes = ResourceId::new("storage.k8s.io", "storageclasses");
            let default = state.store.list(&classes, None).find(|(_, c)| {
                c.pointer("/metadata/annotations/storageclass.kubernetes.io~1is-default-class")
                    .and_then(Value::as_str)
                    == Some("true")
            });
            if let Some((key, _)) = default {
                object["spec"]["storageClassName"] = key.name.clone().into();
            }
        }
        ("certificates.k8s.io", "certificatesigningrequests") => {
            object["spec"]["username"] = caller.user.name.clone().into();
            object["spec"]["groups"] = caller.user.all_groups().into();
        }
        _ => {}
    }
    Ok(())
}

/// What admission refuses: quotas, immutable configuration, webhooks that do not answer, and rights that the caller does not have.
pub(crate) fn check(
    state: &State,
    caller: &Caller,
    target: &Target,
    old: Option<&Value>,
    new: Option<&Value>,
) -> Result<(), Status> {
    if let (Some(new), "") = (new, target.subresource()) {
        rbac::check_escalation(state, caller, target, old, new)?;
        webhooks(state, target, old, new)?;
        if old.is_none() && target.resource.namespaced {
            quota::check(state, target, new)?;
        }
    }
    Ok(())
}

/// Webhooks are found as on a real server. The simulation reaches no service, so a call always fails; the policy of the webhook decides.
fn webhooks(
    state: &State,
    target: &Target,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), Status> {
    if target.resource.group == "admissionregistration.k8s.io" {
        return Ok(());
    }
    let operation = if old.is_none() { "CREATE" } else { "UPDATE" };
    for plural in [
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
    ] {
        let id = ResourceId::new("admissionregistration.k8s.io", plural);
        for webhook in state.store.list(&id, None).flat_map(|(_, c)| {
            c.get("webhooks")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        }) {
            if !webhook_matches(state, webhook, target, operation, new)
                || text(webhook, "/failurePolicy") == "Ignore"
            {
                continue;
            }
            let name = text(webhook, "/name");
            let service = webhook.pointer("/clientConfig/service");
            let why = match service {
                Some(service) => {
                    let (namespace, service) =
                        (text(service, "/namespace"), text(service, "/name"));
                    let url = format!(
                        "https://{service}.{namespace}.svc:443{}?timeout={}s",
                        text(webhook, "/clientConfig/service/path"),
                        webhook_timeout(webhook)
                    );
                    if state.object("", "services", namespace, service).is_none() {
                        format!(
                            "failed to call webhook: Post {url:?}: service {service:?} not found"
                        )
                    } else {
                        format!(
                            "failed to call webhook: Post {url:?}: no endpoints available for service {service:?}"
                        )
                    }
                }
                None => unreachable_url(webhook),
            };
            return Err(Status::internal(format!(
                "failed calling webhook {name:?}: {why}"
            )));
        }
    }
    Ok(())
}

fn webhook_timeout(webhook: &Value) -> i64 {
    let given = webhook.get("timeoutSeconds").and_then(Value::as_i64);
    given.unwrap_or(10)
}

/// The simulation reaches nothing, so that it answers as if nobody listened.
fn unreachable_url(webhook: &Value) -> String {
    let url = text(webhook, "/clientConfig/url");
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    let port = if host.contains(':') { "" } else { ":443" };
    let seconds = webhook_timeout(webhook);
    format!(
        "failed to call webhook: Post \"{url}?timeout={seconds}s\": dial tcp {host}{port}: connect: connection refused"
    )
}

fn webhook_matches(
    state: &State,
    webhook: &Value,
    target: &Target,
    operation: &str,
    new: &Value,
) -> bool {
    let listed = |rule: &Value, key: &str, value: &str| {
        rule.get(key).and_then(Value::as_array).is_some_and(|l| {
            l.iter()
                .any(|x| x.as_str() == Some("*") || x.as_str() == Some(value))
        })
    };
    let rules = webhook.get("rules").and_then(Value::as_array);
    let by_rule = rules.into_iter().flatten().any(|rule| {
        let scope = text(rule, "/scope");
        let scope_fits = match scope {
            "Namespaced" => target.resource.namespaced,
            "Cluster" => !target.resource.namespaced,
            _ => true,
        };
        scope_fits
            && listed(rule, "operations", operation)
            && listed(rule, "apiGroups", &target.resource.group)
            && listed(rule, "apiVersions", &target.version)
            && (listed(rule, "resources", &target.resource.plural)
                || listed(rule, "resources", "*/*"))
    });
    let empty = json!({});
    let namespace = if target.resource.is("", "namespaces") {
        Some(new)
    } else {
        state
            .object("", "namespaces", "", &target.namespace)
            .map(|v| &**v)
    };
    let namespace_labels = namespace.and_then(|n| n.pointer("/metadata/labels"));
    let by_namespace = (!target.resource.namespaced && !target.resource.is("", "namespaces"))
        || selector::label_selector_matches(
            webhook.get("namespaceSelector").unwrap_or(&empty),
            namespace_labels,
        );
    by_rule
        && by_namespace
        && selector::label_selector_matches(
            webhook.get("objectSelector").unwrap_or(&empty),
            new.pointer("/metadata/labels"),
        )
}
