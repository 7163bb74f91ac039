//! Custom kinds: a definition is served once it is established, and no longer when it is deleted.

use serde_json::{Value, json};

use super::apply::managers::{self, Managers, Writer};
use super::apply::path::FieldSet;
use super::kinds::{Resource, ResourceId, Subresource, Version, custom_verbs};
use super::schema::Schema;
use super::schema::custom::CustomSchema;
use super::state::{State, text};
use super::status::FieldError;
use super::storage::Key;

/// The finalizer that keeps a definition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Where definitions are stored.
pub(crate) fn definitions() -> ResourceId {
    ResourceId::new("apiextensions.k8s.io", "customresourcedefinitions")
}

/// What a new definition gets from the server.
pub(crate) fn prepare_new(object: &mut Value) {
    let versions = object
        .pointer("/spec/versions")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let stored: Vec<Value> = versions
        .iter()
        .filter(|v| v["storage"] == true)
        .map(|v| v["name"].clone())
        .collect();
    object["status"] = json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored});
}

fn strings(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn selectable(definition: &Value) -> Vec<String> {
    let versions = definition
        .pointer("/spec/versions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let fields = versions.flat_map(|v| {
        v.get("selectableFields")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    });
    fields
        .map(|f| text(f, "/jsonPath").trim_start_matches('.').to_owned())
        .collect()
}

/// The resource that a definition declares; its stored version comes first.
pub(crate) fn resource_of(definition: &Value) -> Resource {
    let names = &definition["spec"]["names"];
    let (kind, group) = (text(names, "/kind"), text(definition, "/spec/group"));
    let mut versions: Vec<(bool, Version)> = Vec::new();
    for version in definition
        .pointer("/spec/versions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let mut schema = CustomSchema::new(version.pointer("/schema/openAPIV3Schema"));
        schema.preserve |=
            definition.pointer("/spec/preserveUnknownFields") == Some(&Value::Bool(true));
        let sub = |name: &str, group: &str, version: &str, kind: &str| Subresource {
            name: name.into(),
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            verbs: ["get", "patch", "update"].map(str::to_owned).to_vec(),
        };
        let name = text(version, "/name");
        let mut subresources = Vec::new();
        let mut scale_paths = None;
        if let Some(scale) = version
            .pointer("/subresources/scale")
            .filter(|s| !s.is_null())
        {
            subresources.push(sub("scale", "autoscaling", "v1", "Scale"));
            let path = |key: &str| text(scale, &format!("/{key}")).replace('.', "/");
            let selector = path("labelSelectorPath");
            scale_paths = Some((
                path("specReplicasPath"),
                path("statusReplicasPath"),
                (!selector.is_empty()).then_some(selector),
            ));
        }
        if version.pointer("/subresources/status").is_some() {
            subresources.push(sub("status", group, name, kind));
        }
        let served = version["served"] == true;
        let stored = version["storage"] == true;
        versions.push((
            stored,
            Version {
                name: name.into(),
                served,
                deprecation: deprecation(definition, version),
                schema: Schema::Custom(schema.into()),
                subresources,
                scale_paths,
            },
        ));
    }
    versions.sort_by_key(|(stored, _)| !stored);
    Resource {
        group: group.into(),
        plural: text(names, "/plural").into(),
        singular: text(names, "/singular").into(),
        kind: kind.into(),
        list_kind: text(names, "/listKind").into(),
        namespaced: text(definition, "/spec/scope") == "Namespaced",
        short_names: strings(names.get("shortNames")),
        categories: strings(names.get("categories")),
        verbs: custom_verbs(),
        versions: versions.into_iter().map(|(_, v)| v).collect(),
        custom: true,
        selectable: selectable(definition),
    }
}

/// What users of a deprecated version are told.
fn deprecation(definition: &Value, version: &Value) -> Option<String> {
    if version["deprecated"] != true {
        return None;
    }
    let given = text(version, "/deprecationWarning");
    if !given.is_empty() {
        return Some(given.to_owned());
    }
    let (group, kind) = (
        text(definition, "/spec/group"),
        text(definition, "/spec/names/kind"),
    );
    let versions = definition.pointer("/spec/versions")?.as_array()?;
    let better = versions
        .iter()
        .find(|it| it["served"] == true && it["deprecated"] != true);
    let instead = better.map_or_else(String::new, |it| {
        format!("; use {group}/{} {kind}", text(it, "/name"))
    });
    let name = text(version, "/name");
    Some(format!("{group}/{name} {kind} is deprecated{instead}"))
}

/// The managers of a definition's status after the server itself changed it.
fn track(state: &State, old: &Value, new: &mut Value) {
    let Some(kind) = state
        .kinds
        .find("apiextensions.k8s.io", "customresourcedefinitions")
    else {
        return;
    };
    let Some(version) = kind.version("v1") else {
        return;
    };
    let (now, mut managers) = (state.clock.text(), Managers::of(old).unwrap_or_default());
    let writer = Writer {
        manager: "kube-apiserver",
        subresource: "status",
        version: "apiextensions.k8s.io/v1",
        now: &now,
        reset: &FieldSet::of_fields(&[&["spec"], &["metadata"]]),
    };
    managers::update(&version.schema, old, new, &mut managers, &writer);
    managers.write(new);
}

/// What a definition says of itself once it is asked to go.
pub(crate) fn mark_going(object: &mut Value, now: &str) {
    let condition = json!({
        "type": "Terminating", "status": "True", "lastTransitionTime": now, "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    });
    if let Some(conditions) = object
        .pointer_mut("/status/conditions")
        .and_then(Value::as_array_mut)
    {
        conditions.retain(|it| it["type"] != "Terminating");
        conditions.push(condition);
    }
}

/// Accepts the names of a definition and serves it.
pub(crate) fn establish(state: &mut State, key: &Key) {
    let Some(definition) = state.store.get(&definitions(), key).cloned() else {
        return;
    };
    let resource = resource_of(&definition);
    if definition.pointer("/metadata/deletionTimestamp").is_some() {
        return;
    }
    let conflict = state
        .kinds
        .all()
        .find(|r| {
            r.group == resource.group && r.kind == resource.kind && r.plural != resource.plural
        })
        .map(|r| r.plural.clone());
    let mut changed = Value::clone(&definition);
    let now = state.clock.text();
    let condition = |kind: &str, status: &str, reason: &str, message: &str| json!({"type": kind, "status": status, "lastTransitionTime": now, "reason": reason, "message": message});
    let conditions = match &conflict {
        None => json!([
            condition("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
            condition(
                "Established",
                "True",
                "InitialNamesAccepted",
                "the initial names have been accepted"
            )
        ]),
        Some(other) => json!([
            condition(
                "NamesAccepted",
                "False",
                "KindConflict",
                &format!("{:?} is already in use by {other}", resource.kind)
            ),
            condition(
                "Established",
                "False",
                "NotAccepted",
                "not all names are accepted"
            )
        ]),
    };
    let established = definition
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .is_some_and(|c| {
            c.iter()
                .any(|c| c["type"] == "Established" && c["status"] == "True")
        });
    if conflict.is_none() {
        state.kinds.register(resource);
    }
    if established && conflict.is_none() {
        keep_stored_versions(state, key, &definition);
        return;
    }
    changed["status"]["conditions"] = conditions;
    if conflict.is_none() {
        changed["status"]["acceptedNames"] = definition["spec"]["names"].clone();
    }
    track(state, &definition, &mut changed);
    if conflict.is_none() {
        changed["metadata"]["finalizers"] = json!([CLEANUP]);
    }
    state.store.put(&definitions(), key.clone(), changed);
}

fn keep_stored_versions(state: &mut State, key: &Key, definition: &Value) {
    let stored = strings(definition.pointer("/status/storedVersions"));
    let current = definition
        .pointer("/spec/versions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|v| v["storage"] == true)
        .map(|v| text(v, "/name").to_owned());
    let names_changed =
        definition.pointer("/status/acceptedNames") != definition.pointer("/spec/names");
    let mut changed = definition.clone();
    let mut write = names_changed;
    changed["status"]["acceptedNames"] = definition["spec"]["names"].clone();
    if let Some(current) = current.filter(|c| !stored.contains(c)) {
        let all: Vec<String> = stored.into_iter().chain([current]).collect();
        changed["status"]["storedVersions"] = all.into();
        write = true;
    }
    if write {
        state.store.put(&definitions(), key.clone(), changed);
    }
}

/// Defaults of a definition.
pub(crate) fn default(definition: &mut Value) {
    let kind = text(definition, "/spec/names/kind").to_owned();
    let names = &mut definition["spec"]["names"];
    if text(names, "/singular").is_empty() {
        names["singular"] = kind.to_lowercase().into();
    }
    if text(names, "/listKind").is_empty() {
        names["listKind"] = format!("{kind}List").into();
    }
    if definition.pointer("/spec/conversion").is_none() {
        definition["spec"]["conversion"] = json!({"strategy": "None"});
    }
}

/// What is wrong with a definition.
pub(crate) fn validate(definition: &Value, errors: &mut Vec<FieldError>) {
    let (plural, group) = (
        text(definition, "/spec/names/plural"),
        text(definition, "/spec/group"),
    );
    let name = text(definition, "/metadata/name");
    if name != format!("{plural}.{group}") {
        errors.push(FieldError::invalid(
            "metadata.name",
            &name.into(),
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    for (field, value) in [
        ("spec.group", group),
        ("spec.names.plural", plural),
        ("spec.names.kind", text(definition, "/spec/names/kind")),
        ("spec.scope", text(definition, "/spec/scope")),
    ] {
        if value.is_empty() {
            errors.push(FieldError::required(field, ""));
        }
    }
    let scope = text(definition, "/spec/scope");
    if !matches!(scope, "" | "Cluster" | "Namespaced") {
        errors.push(FieldError::not_supported(
            "spec.scope",
            &scope.into(),
            &["Cluster".into(), "Namespaced".into()],
        ));
    }
    if text(definition, "/spec/conversion/strategy") == "Webhook" {
        errors.push(FieldError::forbidden(
            "spec.conversion.strategy",
            "the simulated API server calls no conversion webhooks",
        ));
    }
    let versions = definition
        .pointer("/spec/versions")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    if versions.iter().filter(|v| v["storage"] == true).count() != 1 {
        errors.push(FieldError::invalid(
            "spec.versions",
            &json!(
                versions
                    .iter()
                    .map(|v| v["name"].clone())
                    .collect::<Vec<_>>()
            ),
            "must have exactly one version marked as storage version",
        ));
    }
    for (i, version) in versions.iter().enumerate() {
        let field = format!("spec.versions[{i}].schema.openAPIV3Schema");
        match version.pointer("/schema/openAPIV3Schema") {
            None => errors.push(FieldError::required(&field, "")),
            Some(schema) => structural(schema, &field, errors),
        }
    }
}

/// A schema must say the type of everything, so that it can be pruned and merged.
fn structural(schema: &Value, field: &str, errors: &mut Vec<FieldError>) {
    let kind = text(schema, "/type");
    let free = schema["x-kubernetes-int-or-string"] == true
        || schema["x-kubernetes-preserve-unknown-fields"] == true;
    if kind.is_empty() && !free {
        errors.push(FieldError::required(
            &format!("{field}.type"),
            if field.ends_with("openAPIV3Schema") {
                "must not be empty at the root"
            } else {
                "must not be empty for specified object fields"
            },
        ));
    }
    for (name, property) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        structural(property, &format!("{field}.properties[{name}]"), errors);
    }
    if let Some(items) = schema.get("items") {
        structural(items, &format!("{field}.items"), errors);
    } else if kind == "array" {
        errors.push(FieldError::required(
            &format!("{field}.items"),
            "must be specified",
        ));
    }
    if let Some(additional) = schema.get("additionalProperties").filter(|a| a.is_object()) {
        structural(additional, &format!("{field}.additionalProperties"), errors);
    }
}
