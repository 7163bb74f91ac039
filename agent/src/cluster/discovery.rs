//! What an API server serves, as discovery tells it. A part that could not be read is known to be missing: it proves
//! nothing about the objects of its kinds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::Resource;

/// The kinds of one API server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Discovery {
    /// Its version, such as `v1.36.1`.
    pub(crate) version: String,
    kinds: BTreeMap<(String, String), Vec<Arc<Resource>>>,
    incomplete: BTreeSet<String>,
}

impl Discovery {
    /// The kind in the version asked for.
    pub(crate) fn find(&self, group: &str, kind: &str, version: &str) -> Option<Arc<Resource>> {
        let all = self.versions(group, kind);
        all.iter().find(|it| it.version == version).cloned()
    }

    /// The kind in the version that the server prefers.
    pub(crate) fn preferred(&self, group: &str, kind: &str) -> Option<Arc<Resource>> {
        self.versions(group, kind).first().cloned()
    }

    /// Whether a kind that is not found is known not to be served.
    pub(crate) fn is_complete_for(&self, group: &str) -> bool {
        !self.incomplete.contains(group)
    }

    /// Keeps the last good answer about groups that could not be read this time.
    #[must_use]
    pub(crate) fn or_last(mut self, last: &Self) -> Self {
        for (key, resources) in &last.kinds {
            if self.incomplete.contains(&key.0) && !self.kinds.contains_key(key) {
                self.kinds.insert(key.clone(), resources.clone());
            }
        }
        self
    }

    fn versions(&self, group: &str, kind: &str) -> &[Arc<Resource>] {
        let key = (group.to_owned(), kind.to_owned());
        self.kinds.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Adds one kind; earlier ones are preferred.
    pub(crate) fn add(&mut self, resource: Resource) {
        let key = (resource.group.clone(), resource.kind.clone());
        let known = self.kinds.entry(key).or_default();
        if !known.iter().any(|it| it.version == resource.version) {
            known.push(Arc::new(resource));
        }
    }

    /// Notes that a group could not be read.
    pub(crate) fn miss(&mut self, group: &str) {
        self.incomplete.insert(group.to_owned());
    }

    /// Adds what an `APIGroupDiscoveryList` says; `false` where `list` is something else.
    pub(crate) fn add_aggregated(&mut self, list: &Value) -> bool {
        if text(list, "kind") != "APIGroupDiscoveryList" {
            return false;
        }
        for group in array(list, "items") {
            let name = group
                .pointer("/metadata/name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            for version in array(group, "versions") {
                if text(version, "freshness") == "Stale" {
                    self.miss(name);
                }
                for resource in array(version, "resources") {
                    let kind = resource
                        .pointer("/responseKind/kind")
                        .and_then(Value::as_str);
                    self.add_served(name, text(version, "version"), kind, resource, |it| {
                        text(it, "scope") == "Namespaced"
                    });
                }
            }
        }
        true
    }

    /// Adds what an `APIResourceList` says.
    pub(crate) fn add_legacy(&mut self, group: &str, version: &str, list: &Value) {
        for resource in array(list, "resources") {
            let kind = resource.get("kind").and_then(Value::as_str);
            self.add_served(group, version, kind, resource, |it| {
                it.get("namespaced") == Some(&true.into())
            });
        }
    }

    fn add_served(
        &mut self,
        group: &str,
        version: &str,
        kind: Option<&str>,
        resource: &Value,
        namespaced: impl Fn(&Value) -> bool,
    ) {
        let plural = match text(resource, "resource") {
            "" => text(resource, "name"),
            some => some,
        };
        let can_patch = array(resource, "verbs").any(|it| it == "patch");
        let (Some(kind), true, false) = (kind, can_patch, plural.contains('/')) else {
            return;
        };
        self.add(Resource {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            namespaced: namespaced(resource),
        });
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn array<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn aggregated(freshness: &str, resources: &Value) -> Value {
        json!({"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": "apps"}, "versions": [
            {"version": "v1", "freshness": freshness, "resources": resources}]}]})
    }

    fn deployments() -> Value {
        json!([{"resource": "deployments", "responseKind": {"kind": "Deployment"}, "scope": "Namespaced",
                "verbs": ["get", "patch"]}])
    }

    #[test]
    fn kinds_are_found_by_version() {
        let mut discovery = Discovery::default();
        assert!(discovery.add_aggregated(&aggregated("Current", &deployments())));
        let found = discovery.find("apps", "Deployment", "v1").unwrap();
        assert!(found.namespaced && found.plural == "deployments");
        assert_eq!(discovery.find("apps", "Deployment", "v2"), None);
        assert!(discovery.is_complete_for("apps"));
    }

    #[test]
    fn a_stale_group_keeps_its_last_kinds_and_proves_nothing() {
        let mut before = Discovery::default();
        before.add_aggregated(&aggregated("Current", &deployments()));
        let mut now = Discovery::default();
        now.add_aggregated(&aggregated("Stale", &json!([])));
        let now = now.or_last(&before);
        assert!(!now.is_complete_for("apps"));
        assert!(now.preferred("apps", "Deployment").is_some());
    }

    #[test]
    fn subresources_and_what_cannot_be_patched_are_no_kinds() {
        let mut discovery = Discovery::default();
        discovery.add_legacy(
            "",
            "v1",
            &json!({"resources": [
                {"name": "pods/status", "kind": "Pod", "namespaced": true, "verbs": ["get", "patch"]},
                {"name": "bindings", "kind": "Binding", "namespaced": true, "verbs": ["create"]},
                {"name": "nodes", "kind": "Node", "namespaced": false, "verbs": ["get", "patch"]},
            ]}),
        );
        assert!(discovery.preferred("", "Pod").is_none());
        assert!(discovery.preferred("", "Binding").is_none());
        assert!(!discovery.preferred("", "Node").unwrap().namespaced);
    }
}
