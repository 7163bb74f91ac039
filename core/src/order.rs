//! The order in which objects are applied and deleted: Flux's stages, and its order of kinds within a stage.

use std::cmp::Ordering;

use crate::object::ObjectKey;

/// Objects of one stage are applied together; the next stage begins when those that others need are ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// What the cluster must know before anything else can be applied: definitions, namespaces, cluster roles.
    Definitions,
    /// Kinds whose name ends in `Class`.
    Classes,
    /// Everything else.
    Rest,
}

impl Stage {
    /// All, in order.
    pub const ALL: [Self; 3] = [Self::Definitions, Self::Classes, Self::Rest];

    /// The stage that an object belongs to.
    pub fn of(key: &ObjectKey) -> Self {
        match (key.group.as_str(), key.kind.as_str()) {
            ("apiextensions.k8s.io", "CustomResourceDefinition")
            | ("", "Namespace")
            | ("rbac.authorization.k8s.io", "ClusterRole") => Self::Definitions,
            (_, kind) if kind.ends_with("Class") => Self::Classes,
            _ => Self::Rest,
        }
    }
}

/// Kinds that come before all others, in order.
const FIRST: [&str; 23] = [
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "ClusterClass",
    "RuntimeClass",
    "PriorityClass",
    "StorageClass",
    "VolumeSnapshotClass",
    "IngressClass",
    "GatewayClass",
    "ClusterRoleBinding",
    "ResourceQuota",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "LimitRange",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

/// Kinds that come after all others, in order: they can refuse what comes after them.
const LAST: [&str; 2] = [
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

fn rank(kind: &str) -> usize {
    let first = FIRST.iter().position(|it| *it == kind);
    let last = LAST.iter().position(|it| *it == kind);
    match (first, last) {
        (Some(at), _) => at,
        (None, Some(at)) => FIRST.len() + 1 + at,
        (None, None) => FIRST.len(),
    }
}

/// The order of application; that of deletion is its reverse.
pub fn apply_order(a: &ObjectKey, b: &ObjectKey) -> Ordering {
    (Stage::of(a), rank(&a.kind))
        .cmp(&(Stage::of(b), rank(&b.kind)))
        .then_with(|| a.kind.cmp(&b.kind))
        .then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ObjectKey {
        text.parse().unwrap()
    }

    #[test]
    fn what_others_need_comes_first() {
        let mut keys = [
            "ValidatingWebhookConfiguration.admissionregistration.k8s.io/w",
            "Widget.example.com/a/w",
            "Deployment.apps/a/web",
            "Secret/a/s",
            "ConfigMap/b/c",
            "ConfigMap/a/c",
            "StorageClass.storage.k8s.io/fast",
            "Namespace/a",
            "ClusterRoleBinding.rbac.authorization.k8s.io/r",
            "ClusterRole.rbac.authorization.k8s.io/r",
            "CustomResourceDefinition.apiextensions.k8s.io/widgets.example.com",
        ]
        .map(key);
        keys.sort_by(apply_order);
        let got: Vec<String> = keys.iter().map(ToString::to_string).collect();
        assert_eq!(
            got,
            [
                "CustomResourceDefinition.apiextensions.k8s.io/widgets.example.com",
                "Namespace/a",
                "ClusterRole.rbac.authorization.k8s.io/r",
                "StorageClass.storage.k8s.io/fast",
                "ClusterRoleBinding.rbac.authorization.k8s.io/r",
                "ConfigMap/a/c",
                "ConfigMap/b/c",
                "Secret/a/s",
                "Deployment.apps/a/web",
                "Widget.example.com/a/w",
                "ValidatingWebhookConfiguration.admissionregistration.k8s.io/w",
            ]
        );
    }

    #[test]
    fn stages_go_by_group_too() {
        assert_eq!(Stage::of(&key("Namespace/a")), Stage::Definitions);
        assert_eq!(Stage::of(&key("Namespace.example.com/x/a")), Stage::Rest);
        assert_eq!(Stage::of(&key("WidgetClass.example.com/a")), Stage::Classes);
    }
}
