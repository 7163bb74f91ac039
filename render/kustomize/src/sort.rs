//! The order in which objects come out.

use crate::error::{Error, Result};
use crate::id::{Gvk, ResId};
use crate::kustomization::SortOptions;
use crate::resource::Resource;
use crate::resource::list::ResourceList;

const FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
const LAST: [&str; 2] = [
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Where objects of a kind come in the usual order: below zero first, above zero last.
pub(crate) fn kind_rank(kind: &str) -> isize {
    rank(kind, &FIRST, &LAST)
}

fn rank<S: AsRef<str>>(kind: &str, first: &[S], last: &[S]) -> isize {
    let position = |kinds: &[S]| {
        kinds
            .iter()
            .rposition(|k| k.as_ref() == kind)
            .map(isize::try_from)
            .and_then(std::result::Result::ok)
    };
    let count = isize::try_from(first.len()).unwrap_or(isize::MAX);
    match (position(last), position(first)) {
        (Some(at), _) => at + 1,
        (None, Some(at)) => at - count,
        (None, None) => 0,
    }
}

/// Sorts as `sortOptions` say; without them in the legacy order.
pub(crate) fn sort(list: &mut ResourceList, options: Option<&SortOptions>) -> Result<()> {
    let order = options.map_or("legacy", |options| &options.order);
    let legacy = options.and_then(|options| options.legacy.as_ref());
    match (order, legacy) {
        ("fifo", None) => Ok(()),
        ("fifo", Some(_)) => Err(Error::invalid(
            "the field 'sortOptions.legacySortOptions' is set but the selected sort order is 'fifo', not 'legacy'",
        )),
        ("legacy", Some(legacy)) => {
            sort_legacy(list, &legacy.first, &legacy.last);
            Ok(())
        }
        ("legacy", None) => {
            sort_legacy(list, &FIRST, &LAST);
            Ok(())
        }
        _ => Err(Error::invalid(
            "the field 'sortOptions.order' must be one of [fifo, legacy]",
        )),
    }
}

fn sort_legacy<S: AsRef<str>>(list: &mut ResourceList, first: &[S], last: &[S]) {
    list.sort_by_key(|resource: &Resource| {
        let id = resource.id();
        (
            rank(&id.gvk.kind, first, last),
            TypeKey::new(&id.gvk),
            id_text(id),
        )
    });
}

/// The order of types of the same rank. Of two kinds `Namespace` of which one is of the core group, that one comes first.
#[derive(PartialEq, Eq)]
struct TypeKey {
    text: String,
    core_namespace: bool,
}

impl TypeKey {
    fn new(gvk: &Gvk) -> TypeKey {
        TypeKey {
            text: gvk.sort_text(),
            core_namespace: gvk.kind == "Namespace" && gvk.group.is_empty(),
        }
    }
}

impl Ord for TypeKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let both = self.text.ends_with("_Namespace") && other.text.ends_with("_Namespace");
        let order = self.text.cmp(&other.text);
        if both && (self.core_namespace || other.core_namespace) {
            order.reverse()
        } else {
            order
        }
    }
}

impl PartialOrd for TypeKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

fn id_text(id: &ResId) -> String {
    let or = |text: &str, placeholder: &str| {
        if text.is_empty() {
            placeholder.to_owned()
        } else {
            text.to_owned()
        }
    };
    format!(
        "{}|{}|{}",
        id.gvk,
        or(&id.namespace, "~X"),
        or(&id.name, "~N")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_ranked_around_the_unknown() {
        assert!(kind_rank("Namespace") < kind_rank("CronJob"));
        assert!(kind_rank("PodDisruptionBudget") < kind_rank("Anything"));
        assert!(kind_rank("Anything") < kind_rank("ValidatingWebhookConfiguration"));
        assert_eq!(kind_rank("Namespace"), -22);
    }

    #[test]
    fn the_core_namespace_comes_before_others_of_its_kind() {
        let key = |api| TypeKey::new(&Gvk::new(api, "Namespace"));
        assert!(key("v1") < key("example.com/v1"));
        assert!(
            TypeKey::new(&Gvk::new("apps/v1", "X")) < TypeKey::new(&Gvk::new("v1", "X")),
            "no group sorts after groups"
        );
    }
}
