//! Quotas: of object counts, and of what pods ask for.

use serde_json::{Map, Value, json};

use super::kinds::ResourceId;
use super::quantity;
use super::state::{Caller, State, Target};
use super::status::Status;

/// Nanounits in one unit of a quantity.
const NANO: i128 = 1_000_000_000;

fn quotas() -> ResourceId {
    ResourceId::new("", "resourcequotas")
}

/// Refuses an object that a quota of its namespace has no room for.
pub(crate) fn check(state: &State, target: &Target, new: &Value) -> Result<(), Status> {
    let id = target.resource.id();
    for (key, quota) in state.store.list(&quotas(), Some(&target.namespace)) {
        let mut exceeded: [Vec<String>; 3] = Default::default();
        for (name, hard) in limits(quota) {
            let asked = usage(&id, name, new);
            let used = used(state, &target.namespace, name);
            if asked > 0 && used + asked > hard {
                for (list, amount) in exceeded.iter_mut().zip([asked, used, hard]) {
                    list.push(format!("{name}={}", shown(amount)));
                }
            }
        }
        let [requested, used, limited] = exceeded.map(|list| list.join(","));
        if !requested.is_empty() {
            let why = format!(
                "exceeded quota: {}, requested: {requested}, used: {used}, limited: {limited}",
                key.name
            );
            return Err(Status::forbidden(&target.about(), &why));
        }
    }
    Ok(())
}

/// Says in the quotas of a namespace what is used, as the controller manager does.
pub(crate) fn refresh(state: &mut State, namespace: &str) {
    let all = state.store.list(&quotas(), Some(namespace));
    let all: Vec<_> = all
        .map(|(key, quota)| (key.clone(), Value::clone(quota)))
        .collect();
    for (key, mut quota) in all {
        let mut counted = Map::new();
        for (name, _) in limits(&quota) {
            counted.insert(name.clone(), shown(used(state, namespace, name)).into());
        }
        let status = json!({"hard": quota["spec"]["hard"], "used": counted});
        if quota["status"] == status {
            continue;
        }
        quota["status"] = status;
        let Some(target) = super::controllers::target(state, &quotas(), &key) else {
            return;
        };
        let target = Target {
            subresource: Some("status".into()),
            ..target
        };
        let caller = Caller::system("kube-controller-manager");
        if let Err(status) = state.update(&caller, &target, quota) {
            tracing::warn!(
                quota = key.name,
                message = status.message(),
                "the status of a simulated quota was refused"
            );
        }
    }
}

/// The names and amounts that a quota limits.
fn limits(quota: &Value) -> impl Iterator<Item = (&String, i128)> {
    let hard = quota.pointer("/spec/hard").and_then(Value::as_object);
    hard.into_iter().flatten().map(|(name, hard)| {
        let amount = hard.as_str().and_then(quantity::nano);
        (name, amount.unwrap_or(i128::MAX))
    })
}

/// What of a limited name is used in a namespace.
fn used(state: &State, namespace: &str, name: &str) -> i128 {
    let id = counted(name).unwrap_or_else(|| ResourceId::new("", "pods"));
    let objects = state.store.list(&id, Some(namespace));
    objects.map(|(_, object)| usage(&id, name, object)).sum()
}

/// What an object takes of a limited name.
fn usage(id: &ResourceId, name: &str, object: &Value) -> i128 {
    match counted(name) {
        Some(counted) if counted == *id => NANO,
        Some(_) => 0,
        None if *id == ResourceId::new("", "pods") => pod_usage(object, name),
        None => 0,
    }
}

/// The kind whose objects a name counts: `count/deployments.apps`, and some by their plural alone.
fn counted(name: &str) -> Option<ResourceId> {
    const BY_PLURAL: [&str; 8] = [
        "configmaps",
        "persistentvolumeclaims",
        "pods",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
        "serviceaccounts",
    ];
    if let Some(counted) = name.strip_prefix("count/") {
        let (plural, group) = counted.split_once('.').unwrap_or((counted, ""));
        return Some(ResourceId::new(group, plural));
    }
    BY_PLURAL.contains(&name).then(|| ResourceId::new("", name))
}

fn shown(amount: i128) -> String {
    quantity::canonical(&format!("{amount}n")).unwrap_or_default()
}

fn pod_usage(pod: &Value, resource: &str) -> i128 {
    let (kind, name) = match resource.split_once('.') {
        Some(("requests", name)) => ("requests", name),
        Some(("limits", name)) => ("limits", name),
        _ => ("requests", resource),
    };
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
    let of = |c: &Value| {
        c.pointer(&format!("/resources/{kind}/{}", name.replace('/', "~1")))
            .and_then(Value::as_str)
            .and_then(quantity::nano)
            .unwrap_or(0)
    };
    containers.into_iter().flatten().map(of).sum()
}
