//! The kinds that a cluster serves: those of the table, shared by all clusters, and the custom ones of this cluster.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::sim::schema::{Schema, built_in};

/// A subresource that is served.
#[derive(Debug, Clone)]
pub(crate) struct Subresource {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) verbs: Vec<String>,
}

/// One version of a resource.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) name: String,
    pub(crate) served: bool,
    /// What everybody who uses it is told.
    pub(crate) deprecation: Option<String>,
    pub(crate) schema: Schema,
    pub(crate) subresources: Vec<Subresource>,
    /// Paths of a custom kind's scale: spec and status replicas, and the label selector.
    pub(crate) scale_paths: Option<(String, String, Option<String>)>,
}

/// A group and a plural, with all its versions.
#[derive(Clone)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) namespaced: bool,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) verbs: Vec<String>,
    pub(crate) versions: Vec<Version>,
    pub(crate) custom: bool,
    /// Fields that a custom kind can be selected by.
    pub(crate) selectable: Vec<String>,
}

impl Resource {
    /// `apps/v1`, or `v1` for the core group.
    pub(crate) fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() {
            version.to_owned()
        } else {
            format!("{}/{version}", self.group)
        }
    }

    /// What its objects are stored under. Events have two groups and are stored once.
    pub(crate) fn id(&self) -> ResourceId {
        let group = if self.is("events.k8s.io", "events") {
            ""
        } else {
            &self.group
        };
        ResourceId {
            group: group.to_owned(),
            plural: self.plural.clone(),
        }
    }

    fn path(&self) -> ResourceId {
        ResourceId {
            group: self.group.clone(),
            plural: self.plural.clone(),
        }
    }

    pub(crate) fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|v| v.name == name && v.served)
    }

    /// The group and kind as one word, for those who tell kinds apart.
    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }
}

impl Version {
    pub(crate) fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }

    pub(crate) fn has_status(&self) -> bool {
        self.subresource("status").is_some()
    }
}

/// What objects are stored under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ResourceId {
    pub(crate) group: String,
    pub(crate) plural: String,
}

impl ResourceId {
    pub(crate) fn new(group: &str, plural: &str) -> ResourceId {
        ResourceId {
            group: group.to_owned(),
            plural: plural.to_owned(),
        }
    }
}

/// Verbs of a custom kind, as discovery lists them.
const CUSTOM_VERBS: [&str; 8] = [
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "create",
    "update",
    "watch",
];

/// The verbs that every custom kind has.
pub(crate) fn custom_verbs() -> Vec<String> {
    CUSTOM_VERBS.iter().map(|v| (*v).to_owned()).collect()
}

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

static SHARED: LazyLock<Vec<Arc<Resource>>> = LazyLock::new(|| {
    let mut resources: Vec<Resource> = Vec::new();
    for kind in &built_in().kinds {
        let subresources = kind.subresources.iter().map(|s| Subresource {
            name: s.name.into(),
            group: s
                .group
                .unwrap_or(if s.version.is_some() { "" } else { kind.group })
                .into(),
            version: s.version.unwrap_or(kind.version).into(),
            kind: s.kind.into(),
            verbs: owned(&s.verbs),
        });
        let version = Version {
            name: kind.version.into(),
            served: true,
            deprecation: None,
            schema: Schema::BuiltIn(kind.node),
            subresources: subresources.collect(),
            scale_paths: None,
        };
        if let Some(known) = resources
            .iter_mut()
            .find(|r| r.group == kind.group && r.plural == kind.plural)
        {
            known.versions.push(version);
            continue;
        }
        resources.push(Resource {
            group: kind.group.into(),
            plural: kind.plural.into(),
            singular: kind.singular.into(),
            kind: kind.kind.into(),
            list_kind: format!("{}List", kind.kind),
            namespaced: kind.namespaced,
            short_names: owned(&kind.short_names),
            categories: owned(&kind.categories),
            verbs: owned(&kind.verbs),
            versions: vec![version],
            custom: false,
            selectable: Vec::new(),
        });
    }
    resources.into_iter().map(Arc::new).collect()
});

static BY_ID: LazyLock<BTreeMap<ResourceId, Arc<Resource>>> =
    LazyLock::new(|| SHARED.iter().map(|r| (r.path(), Arc::clone(r))).collect());

/// The kinds of one cluster.
#[derive(Default, Clone)]
pub(crate) struct Kinds {
    custom: BTreeMap<ResourceId, Arc<Resource>>,
}

impl Kinds {
    /// The resource of a group with a plural.
    pub(crate) fn find(&self, group: &str, plural: &str) -> Option<Arc<Resource>> {
        let id = ResourceId::new(group, plural);
        BY_ID.get(&id).or_else(|| self.custom.get(&id)).cloned()
    }

    /// The resource of a kind.
    pub(crate) fn by_kind(&self, group: &str, kind: &str) -> Option<Arc<Resource>> {
        self.all()
            .find(|r| r.group == group && r.kind == kind)
            .cloned()
    }

    /// Everything that is served, built-in kinds first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        SHARED.iter().chain(self.custom.values())
    }

    /// Whether a group and version are built in; unknown resources of custom groups are no part of the API.
    pub(crate) fn serves(&self, group: &str, version: &str) -> bool {
        SHARED
            .iter()
            .any(|r| r.group == group && r.version(version).is_some())
    }

    /// Serves a custom kind, in place of an older form of it.
    pub(crate) fn register(&mut self, resource: Resource) {
        self.custom.insert(resource.path(), Arc::new(resource));
    }

    /// Serves a custom kind no more.
    pub(crate) fn remove(&mut self, id: &ResourceId) {
        self.custom.remove(id);
    }
}

/// Kinds that count how often their spec was changed, from 1.
pub(crate) fn has_generation(resource: &Resource) -> bool {
    if resource.custom {
        return true;
    }
    matches!(
        (resource.group.as_str(), resource.plural.as_str()),
        (
            "apps",
            "deployments" | "statefulsets" | "daemonsets" | "replicasets"
        ) | ("batch", "jobs" | "cronjobs")
            | ("", "pods" | "podtemplates" | "replicationcontrollers")
            | (
                "networking.k8s.io",
                "ingresses" | "ingressclasses" | "networkpolicies"
            )
            | ("policy", "poddisruptionbudgets")
            | ("scheduling.k8s.io", "priorityclasses")
            | ("discovery.k8s.io", "endpointslices")
            | ("flowcontrol.apiserver.k8s.io", _)
            | ("admissionregistration.k8s.io", _)
            | ("apiextensions.k8s.io", _)
            | ("resource.k8s.io", "resourceslices" | "deviceclasses")
    )
}
