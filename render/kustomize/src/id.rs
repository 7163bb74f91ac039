//! Who an object is: group, version, kind, name and namespace, and when two of them are the same object.

use std::fmt;

use crate::schema::Schema;

/// The namespace of what has none, as previous identities record it.
const NOT_NAMESPACED: &str = "_non_namespaceable_";
/// The namespace of a namespaced object that names none.
const DEFAULT_NAMESPACE: &str = "default";

/// A group, version and kind; where it selects, an empty part matches anything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Gvk {
    /// API group; empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
}

impl Gvk {
    pub(crate) fn new(api_version: &str, kind: &str) -> Gvk {
        let (group, version) = split_api_version(api_version);
        Gvk {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
        }
    }

    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether every part that `selector` names is equal.
    pub(crate) fn is_selected(&self, selector: &Gvk) -> bool {
        let same = |mine: &str, wanted: &str| wanted.is_empty() || mine == wanted;
        same(&self.group, &selector.group)
            && same(&self.version, &selector.version)
            && same(&self.kind, &selector.kind)
    }

    /// `group_version_kind` with the placeholders that sort after every name.
    pub(crate) fn sort_text(&self) -> String {
        let or = |text: &str, placeholder: &str| {
            if text.is_empty() {
                placeholder.to_owned()
            } else {
                text.to_owned()
            }
        };
        format!(
            "{}_{}_{}",
            or(&self.group, "~G"),
            or(&self.version, "~V"),
            or(&self.kind, "~K")
        )
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |text: &'_ str, placeholder: &'static str| {
            if text.is_empty() {
                placeholder.to_owned()
            } else {
                text.to_owned()
            }
        };
        write!(
            f,
            "{}.{}.{}",
            or(&self.kind, "[noKind]"),
            or(&self.version, "[noVer]"),
            or(&self.group, "[noGrp]")
        )
    }
}

/// Group and version of an `apiVersion`.
pub(crate) fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// The identity of an object in a build.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ResId {
    /// Its type.
    pub gvk: Gvk,
    /// Its name.
    pub name: String,
    /// Its namespace as written; empty where it names none.
    pub namespace: String,
    pub(crate) cluster_scoped: bool,
}

impl ResId {
    pub(crate) fn new(gvk: Gvk, name: &str, namespace: &str, schema: &Schema) -> ResId {
        let cluster_scoped = schema.is_cluster_scoped(&gvk);
        ResId {
            gvk,
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            cluster_scoped,
        }
    }

    /// An identity of which only the text is known, as selectors and previous identities are.
    pub(crate) fn textual(gvk: Gvk, name: &str, namespace: &str) -> ResId {
        ResId {
            gvk,
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            cluster_scoped: false,
        }
    }

    pub(crate) fn effective_namespace(&self) -> &str {
        match &*self.namespace {
            _ if self.cluster_scoped => NOT_NAMESPACED,
            "" => DEFAULT_NAMESPACE,
            namespace => namespace,
        }
    }

    pub(crate) fn same_namespace(&self, other: &ResId) -> bool {
        self.effective_namespace() == other.effective_namespace()
    }

    pub(crate) fn same_name_and_type(&self, other: &ResId) -> bool {
        self.name == other.name && self.gvk == other.gvk
    }

    /// Whether both are the same object: namespaces count as they take effect.
    pub(crate) fn same(&self, other: &ResId) -> bool {
        self.same_name_and_type(other) && self.same_namespace(other)
    }

    pub(crate) fn is_selected_by(&self, selector: &ResId) -> bool {
        (selector.name.is_empty() || selector.name == self.name)
            && (selector.namespace.is_empty() || selector.same_namespace(self))
            && self.gvk.is_selected(&selector.gvk)
    }
}

impl fmt::Display for ResId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() {
            "[noName]"
        } else {
            &self.name
        };
        let namespace = if self.namespace.is_empty() {
            "[noNs]"
        } else {
            &self.namespace
        };
        write!(f, "{}/{name}.{namespace}", self.gvk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_print_as_in_error_messages() {
        let id = ResId::textual(Gvk::new("apps/v1", "Deployment"), "web", "");
        assert_eq!(id.to_string(), "Deployment.v1.apps/web.[noNs]");
        assert_eq!(
            ResId::default().to_string(),
            "[noKind].[noVer].[noGrp]/[noName].[noNs]"
        );
    }

    #[test]
    fn no_namespace_and_default_are_the_same_but_not_for_cluster_scoped_objects() {
        let schema = Schema::builtin();
        let id = |api, kind, ns| ResId::new(Gvk::new(api, kind), "x", ns, &schema);
        assert!(id("v1", "ConfigMap", "").same(&id("v1", "ConfigMap", "default")));
        assert!(!id("v1", "ConfigMap", "").same(&id("v1", "ConfigMap", "other")));
        assert!(id("v1", "Namespace", "a").same(&id("v1", "Namespace", "b")));
        assert!(
            !id("example.com/v1", "Namespace", "a").same(&id("example.com/v1", "Namespace", "b")),
            "custom kinds count as namespaced"
        );
    }
}
