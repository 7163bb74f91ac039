//! Discovery, in the old form and aggregated, and OpenAPI v3 as far as clients read it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::kinds::{Resource, Version};
use super::schema::{Node, Scalar, Schema, SchemaRef, custom};
use super::state::{State, text};

/// The version that the simulation stands for.
pub(crate) const KUBERNETES: &str = "v1.36.3";

/// `/version`.
pub(crate) fn version() -> Value {
    json!({"major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36", "minCompatibilityMajor": "1", "minCompatibilityMinor": "35", "gitVersion": KUBERNETES,
           "gitCommit": "0000000000000000000000000000000000000000", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "go1.26", "compiler": "gc", "platform": "linux/amd64"})
}

type Served<'a> = Vec<(&'a Arc<Resource>, &'a Version)>;

/// The groups in the order of discovery, each with its versions from the preferred one on.
fn groups(state: &State) -> Vec<(String, Vec<(String, Served<'_>)>)> {
    let mut groups: Vec<(String, Vec<(String, Served<'_>)>)> = Vec::new();
    for resource in state.kinds.all() {
        let at = groups
            .iter()
            .position(|(g, _)| *g == resource.group)
            .unwrap_or_else(|| {
                groups.push((resource.group.clone(), Vec::new()));
                groups.len() - 1
            });
        let versions = &mut groups[at].1;
        for version in resource.versions.iter().filter(|v| v.served) {
            match versions.iter_mut().find(|(name, _)| *name == version.name) {
                Some((_, served)) => served.push((resource, version)),
                None => versions.push((version.name.clone(), vec![(resource, version)])),
            }
        }
        versions.sort_by_key(|(name, _)| std::cmp::Reverse(priority(name)));
    }
    groups.retain(|(_, versions)| !versions.is_empty());
    groups
}

/// Stable versions before beta ones before alpha ones, newer before older.
fn priority(version: &str) -> (u8, u64, u64) {
    let rest = version.strip_prefix('v').unwrap_or_default();
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let major: u64 = rest[..digits].parse().unwrap_or(0);
    let tail = &rest[digits..];
    let minor = |word: &str| tail.strip_prefix(word).map(|n| n.parse().unwrap_or(0));
    match (tail.is_empty(), minor("beta"), minor("alpha")) {
        (true, _, _) if digits > 0 => (3, major, 0),
        (_, Some(n), _) => (2, major, n),
        (_, _, Some(n)) => (1, major, n),
        _ => (0, 0, 0),
    }
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// `/api`.
pub(crate) fn core_versions(address: &str) -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]})
}

/// `/apis`.
pub(crate) fn group_list(state: &State) -> Value {
    let mut items: Vec<Value> = groups(state)
        .into_iter()
        .filter(|(g, _)| !g.is_empty())
        .map(|(g, versions)| group_entry(&g, &versions))
        .collect();
    items.extend(unserved(state).into_iter().map(|(group, version)| {
        let entry = json!({"groupVersion": group_version(&group, &version), "version": version});
        json!({"name": group, "versions": [entry.clone()], "preferredVersion": entry})
    }));
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": items})
}

fn group_entry(group: &str, versions: &[(String, Served<'_>)]) -> Value {
    let entries: Vec<Value> = versions
        .iter()
        .map(|(v, _)| json!({"groupVersion": group_version(group, v), "version": v}))
        .collect();
    json!({"name": group, "versions": entries, "preferredVersion": entries[0]})
}

/// `/apis/GROUP`.
pub(crate) fn one_group(state: &State, group: &str) -> Option<Value> {
    let (name, versions) = groups(state)
        .into_iter()
        .find(|(g, _)| g == group && !g.is_empty())?;
    let mut entry = group_entry(&name, &versions);
    let mut out = json!({"kind": "APIGroup", "apiVersion": "v1"});
    out.as_object_mut()?.append(entry.as_object_mut()?);
    Some(out)
}

/// The resources of a group and version, in the old form.
pub(crate) fn resource_list(state: &State, group: &str, version: &str) -> Option<Value> {
    let (_, versions) = groups(state).into_iter().find(|(g, _)| g == group)?;
    let (_, served) = versions.into_iter().find(|(v, _)| v == version)?;
    let mut items = Vec::new();
    for (resource, version) in served {
        let mut item = json!({"name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced, "kind": resource.kind, "verbs": resource.verbs});
        if !resource.short_names.is_empty() {
            item["shortNames"] = resource.short_names.clone().into();
        }
        if !resource.categories.is_empty() {
            item["categories"] = resource.categories.clone().into();
        }
        items.push(item);
        for sub in &version.subresources {
            let mut item = json!({"name": format!("{}/{}", resource.plural, sub.name), "singularName": "", "namespaced": resource.namespaced});
            if (sub.group != resource.group || sub.version != version.name)
                && !sub.version.is_empty()
            {
                item["group"] = sub.group.clone().into();
                item["version"] = sub.version.clone().into();
            }
            item["kind"] = sub.kind.clone().into();
            item["verbs"] = sub.verbs.clone().into();
            items.push(item);
        }
    }
    Some(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version(group, version), "resources": items}),
    )
}

/// Both forms of `/api` and `/apis` in one document.
pub(crate) fn aggregated(state: &State, core: bool) -> Value {
    let mut items: Vec<Value> = Vec::new();
    for (group, versions) in groups(state)
        .into_iter()
        .filter(|(g, _)| g.is_empty() == core)
    {
        let versions: Vec<Value> = versions
            .into_iter()
            .map(|(name, served)| {
                let resources: Vec<Value> = served
                    .into_iter()
                    .map(|(r, v)| aggregated_resource(r, v))
                    .collect();
                json!({"version": name, "resources": resources, "freshness": "Current"})
            })
            .collect();
        let metadata = if core {
            json!({"creationTimestamp": null})
        } else {
            json!({"name": group, "creationTimestamp": null})
        };
        items.push(json!({"metadata": metadata, "versions": versions}));
    }
    if !core {
        items.extend(unserved(state).into_iter().map(|(group, version)| json!({"metadata": {"name": group, "creationTimestamp": null}, "versions": [{"version": version, "freshness": "Stale"}]})));
    }
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_resource(resource: &Resource, version: &Version) -> Value {
    // The server leaves out of its own kinds what the document says around them.
    let kind = |group: &str, name: &str, kind: &str| match !resource.custom
        && group == resource.group
        && name == version.name
    {
        true => json!({"group": "", "version": "", "kind": kind}),
        false => json!({"group": group, "version": name, "kind": kind}),
    };
    let mut item = json!({"resource": resource.plural, "responseKind": kind(&resource.group, &version.name, &resource.kind),
                          "scope": if resource.namespaced { "Namespaced" } else { "Cluster" }, "singularResource": resource.singular, "verbs": resource.verbs});
    if !resource.short_names.is_empty() {
        item["shortNames"] = resource.short_names.clone().into();
    }
    if !resource.categories.is_empty() {
        item["categories"] = resource.categories.clone().into();
    }
    if !version.subresources.is_empty() {
        let subs: Vec<Value> = version.subresources.iter().map(|s| json!({"subresource": s.name, "responseKind": kind(&s.group, &s.version, &s.kind), "verbs": s.verbs})).collect();
        item["subresources"] = subs.into();
    }
    item
}

/// Groups and versions that an `APIService` gives to another server, which the simulation cannot reach.
pub(crate) fn unserved(state: &State) -> Vec<(String, String)> {
    let services = state.store.list(
        &super::kinds::ResourceId::new("apiregistration.k8s.io", "apiservices"),
        None,
    );
    services
        .filter(|(_, s)| s.pointer("/spec/service").is_some_and(|s| !s.is_null()))
        .map(|(_, s)| {
            (
                text(s, "/spec/group").to_owned(),
                text(s, "/spec/version").to_owned(),
            )
        })
        .collect()
}

/// `/openapi/v3`: where the documents are.
pub(crate) fn openapi_index(state: &State) -> Value {
    let mut paths = Map::new();
    for (group, versions) in groups(state) {
        for (version, _) in versions {
            let path = if group.is_empty() {
                format!("api/{version}")
            } else {
                format!("apis/{group}/{version}")
            };
            paths.insert(path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={}", state.store.version())}));
        }
    }
    json!({"paths": paths})
}

/// The schemas of one group and version.
pub(crate) fn openapi_document(state: &State, group: &str, version: &str) -> Option<Value> {
    let (_, versions) = groups(state).into_iter().find(|(g, _)| g == group)?;
    let (_, served) = versions.into_iter().find(|(v, _)| v == version)?;
    let mut schemas = BTreeMap::new();
    for (resource, version) in served {
        let name = format!(
            "{}.{}.{}",
            if resource.group.is_empty() {
                "core"
            } else {
                &resource.group
            },
            version.name,
            resource.kind
        );
        let mut schema = match &version.schema {
            Schema::Custom(custom) => Value::Object(custom::published(custom)),
            Schema::BuiltIn(_) => openapi_schema(version.schema.root(), 0),
        };
        schema["x-kubernetes-group-version-kind"] =
            json!([{"group": resource.group, "version": version.name, "kind": resource.kind}]);
        schemas.insert(name, schema);
    }
    Some(
        json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": KUBERNETES}, "paths": {}, "components": {"schemas": schemas}}),
    )
}

/// How deep schemas are written out; built-in types that contain themselves end there.
const MAX_DEPTH: usize = 12;

fn openapi_schema(schema: SchemaRef<'_>, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return json!({"x-kubernetes-preserve-unknown-fields": true});
    }
    match schema.node() {
        Node::Any => json!({"x-kubernetes-preserve-unknown-fields": true}),
        Node::Scalar(Scalar::Integer) => json!({"type": "integer"}),
        Node::Scalar(Scalar::Float) => json!({"type": "number"}),
        Node::Scalar(Scalar::Boolean) => json!({"type": "boolean"}),
        Node::Scalar(Scalar::IntOrString) => json!({"x-kubernetes-int-or-string": true}),
        Node::Scalar(Scalar::Bytes) => json!({"type": "string", "format": "byte"}),
        Node::Scalar(Scalar::Time | Scalar::MicroTime) => {
            json!({"type": "string", "format": "date-time"})
        }
        Node::Scalar(Scalar::String | Scalar::Quantity) => json!({"type": "string"}),
        Node::Object {
            fields,
            rest,
            atomic,
        } => {
            let mut out = json!({"type": "object"});
            if !fields.is_empty() {
                let properties: Map<String, Value> = fields
                    .iter()
                    .map(|(name, field)| {
                        (
                            name.to_string(),
                            openapi_schema(schema.at(field.node), depth + 1),
                        )
                    })
                    .collect();
                out["properties"] = properties.into();
            }
            if let Some(rest) = rest {
                out["additionalProperties"] = openapi_schema(schema.at(*rest), depth + 1);
            }
            if *atomic {
                out["x-kubernetes-map-type"] = "atomic".into();
            }
            out
        }
        Node::List { element, relation } => {
            let mut out =
                json!({"type": "array", "items": openapi_schema(schema.at(*element), depth + 1)});
            match relation {
                super::schema::Relation::Atomic => out["x-kubernetes-list-type"] = "atomic".into(),
                super::schema::Relation::Set => out["x-kubernetes-list-type"] = "set".into(),
                super::schema::Relation::Map(keys) => {
                    out["x-kubernetes-list-type"] = "map".into();
                    out["x-kubernetes-list-map-keys"] = keys
                        .iter()
                        .map(|(k, _)| k.clone())
                        .collect::<Vec<_>>()
                        .into();
                }
            }
            out
        }
    }
}
