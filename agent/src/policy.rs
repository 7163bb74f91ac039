//! The cluster's own policy: what the hub may do here. It is read from the ConfigMap `capstan-policy`, which neither hub nor
//! agent can write.

use std::collections::BTreeSet;

use capstan_core::{Digest, ObjectKey};
use serde_json::Value;

/// The ConfigMap that holds the policy.
pub(crate) const POLICY: &str = "capstan-policy";

/// Types of Secrets that are credentials of the cluster itself.
const TOKEN_TYPES: [&str; 2] = [
    "kubernetes.io/service-account-token",
    "bootstrap.kubernetes.io/token",
];
/// Type of the Secrets in which Helm keeps releases, with the values of all of them.
const RELEASE_TYPE: &str = "helm.sh/release.v1";

/// Things that are refused unless the policy lists them under `allow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Guarded {
    /// Objects in the namespace `kube-system`.
    KubeSystem,
    /// Admission webhooks and policies.
    Webhooks,
    /// Aggregated APIs.
    ApiServices,
    /// Roles and bindings.
    Rbac,
    /// Secrets that are credentials of the cluster itself.
    TokenSecrets,
    /// Objects whose name is made from a Secret's value: the hub is told names.
    SecretNames,
}

impl Guarded {
    const ALL: [Self; 6] = [
        Self::KubeSystem,
        Self::Webhooks,
        Self::ApiServices,
        Self::Rbac,
        Self::TokenSecrets,
        Self::SecretNames,
    ];

    /// The word in the policy.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::KubeSystem => "kube-system",
            Self::Webhooks => "webhooks",
            Self::ApiServices => "apiservices",
            Self::Rbac => "rbac",
            Self::TokenSecrets => "token-secrets",
            Self::SecretNames => "secret-names",
        }
    }

    fn of(key: &ObjectKey, secret_type: &str) -> Option<Self> {
        match (key.group.as_str(), key.kind.as_str()) {
            ("admissionregistration.k8s.io", _) => Some(Self::Webhooks),
            ("apiregistration.k8s.io", _) => Some(Self::ApiServices),
            ("rbac.authorization.k8s.io", _) => Some(Self::Rbac),
            ("", "Secret") if TOKEN_TYPES.contains(&secret_type) => Some(Self::TokenSecrets),
            _ if key.namespace == "kube-system" => Some(Self::KubeSystem),
            ("", "Namespace") if key.name == "kube-system" => Some(Self::KubeSystem),
            _ => None,
        }
    }
}

/// The policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Why nothing is written at present.
    pub(crate) pause: Option<String>,
    namespaces: Vec<String>,
    kinds: Vec<String>,
    denied_kinds: Vec<String>,
    service_accounts: Vec<String>,
    /// Secrets that units may take variables from, as `namespace/name`.
    secret_inputs: Vec<String>,
    /// Units without a service account are refused.
    require_service_account: bool,
    allow: BTreeSet<Guarded>,
    /// Confirmations are taken from the policy alone, not from the hub.
    pub(crate) confirm_here: bool,
    /// Deletions that are confirmed here.
    pub(crate) confirmed: BTreeSet<Digest>,
}

impl Default for Policy {
    /// What holds where there is no policy.
    fn default() -> Self {
        let any = || vec!["*".to_owned()];
        Self {
            pause: None,
            namespaces: any(),
            kinds: any(),
            denied_kinds: Vec::new(),
            service_accounts: any(),
            secret_inputs: any(),
            require_service_account: false,
            allow: BTreeSet::new(),
            confirm_here: false,
            confirmed: BTreeSet::new(),
        }
    }
}

impl Policy {
    /// Reads a ConfigMap. What cannot be understood pauses the agent: a policy that is half read protects nothing.
    pub(crate) fn parse(config_map: &Value) -> Self {
        match Self::try_parse(config_map) {
            Ok(policy) => policy,
            Err(problem) => Self {
                pause: Some(format!(
                    "ConfigMap {POLICY} cannot be understood: {problem}"
                )),
                ..Self::default()
            },
        }
    }

    fn try_parse(config_map: &Value) -> Result<Self, String> {
        let mut policy = Self::default();
        let Some(data) = config_map.get("data").and_then(Value::as_object) else {
            return Ok(policy);
        };
        for (key, value) in data {
            let value = value.as_str().unwrap_or_default();
            let flag = || match value.trim() {
                "true" => Ok(true),
                "false" | "" => Ok(false),
                other => Err(format!("{key}: `{other}` is neither true nor false")),
            };
            match key.as_str() {
                "pause" => policy.pause = pause(value),
                "namespaces" => policy.namespaces = words(value),
                "kinds" => policy.kinds = words(value),
                "deniedKinds" => policy.denied_kinds = words(value),
                "serviceAccounts" => policy.service_accounts = words(value),
                "secretInputs" => policy.secret_inputs = words(value),
                "requireServiceAccount" => policy.require_service_account = flag()?,
                "allow" => {
                    for word in words(value) {
                        let found = Guarded::ALL.into_iter().find(|it| it.as_str() == word);
                        policy
                            .allow
                            .insert(found.ok_or_else(|| format!("allow: `{word}` is not known"))?);
                    }
                }
                "confirm" => {
                    policy.confirm_here = match value.trim() {
                        "cluster" => true,
                        "hub" => false,
                        other => {
                            return Err(format!("confirm: `{other}` is neither hub nor cluster"));
                        }
                    }
                }
                "confirmed" => {
                    for word in words(value) {
                        let digest = word.parse().map_err(|it| format!("confirmed: {it}"))?;
                        policy.confirmed.insert(digest);
                    }
                }
                other => return Err(format!("`{other}` is not a key of it")),
            }
        }
        Ok(policy)
    }

    /// Why an object may not be applied or deleted, if it may not.
    pub(crate) fn refuses(
        &self,
        own_namespace: &str,
        key: &ObjectKey,
        secret_type: &str,
    ) -> Option<String> {
        if is_agents_own(own_namespace, key) {
            return Some("the agent's own objects are never managed through the hub".into());
        }
        if let Some(refusal) = Guarded::of(key, secret_type).and_then(|it| self.guards(it)) {
            return Some(refusal);
        }
        let kind = if key.group.is_empty() {
            key.kind.clone()
        } else {
            format!("{}.{}", key.kind, key.group)
        };
        if !any(&self.kinds, &kind) || any(&self.denied_kinds, &kind) {
            return Some(format!("the cluster's policy does not allow kind {kind}"));
        }
        let namespace = match (key.group.as_str(), key.kind.as_str()) {
            ("", "Namespace") => &key.name,
            _ => &key.namespace,
        };
        if !namespace.is_empty() && !any(&self.namespaces, namespace) {
            return Some(format!(
                "the cluster's policy does not allow namespace {namespace}"
            ));
        }
        None
    }

    /// Why a guarded thing may not be done, if it may not.
    fn guards(&self, guarded: Guarded) -> Option<String> {
        let word = guarded.as_str();
        (!self.allow.contains(&guarded)).then(|| {
            format!(
                "the cluster's policy does not allow it: add `{word}` to `allow` in ConfigMap {POLICY}"
            )
        })
    }

    /// Why an object whose name is made from a Secret's value may not be applied, if it may not.
    pub(crate) fn refuses_secret_name(&self) -> Option<String> {
        let refusal = self.guards(Guarded::SecretNames)?;
        Some(format!(
            "its name is made from a Secret's value, and the hub is told names; {refusal}, or take the variable \
             from a ConfigMap"
        ))
    }

    /// Why a unit may not take variables from a ConfigMap or Secret of its namespace, if it may not.
    pub(crate) fn refuses_input(
        &self,
        own_namespace: &str,
        key: &ObjectKey,
        secret_type: &str,
    ) -> Option<String> {
        if key.namespace == own_namespace {
            return Some("what the agent itself keeps is given to no unit".into());
        }
        if TOKEN_TYPES.contains(&secret_type) || secret_type == RELEASE_TYPE {
            return Some(format!(
                "Secrets of type {secret_type} are given to no unit"
            ));
        }
        if key.namespace == "kube-system"
            && let Some(refusal) = self.guards(Guarded::KubeSystem)
        {
            return Some(refusal);
        }
        let full = format!("{}/{}", key.namespace, key.name);
        (key.kind == "Secret" && !any(&self.secret_inputs, &full)).then(|| {
            format!("the cluster's policy does not give it to units (`secretInputs` in ConfigMap {POLICY})")
        })
    }

    /// Why a unit may not be applied in this name, if it may not.
    pub(crate) fn refuses_actor(
        &self,
        namespace: &str,
        service_account: Option<&str>,
    ) -> Option<String> {
        match service_account {
            None if self.require_service_account => Some(format!(
                "the cluster's policy asks every unit for spec.serviceAccountName (ConfigMap {POLICY})"
            )),
            None => None,
            Some(name) => {
                let full = format!("{namespace}/{name}");
                (!any(&self.service_accounts, &full))
                    .then(|| format!("the cluster's policy does not allow service account {full}"))
            }
        }
    }
}

/// What would let the hub change the agent itself, or its bounds.
fn is_agents_own(own_namespace: &str, key: &ObjectKey) -> bool {
    let cluster_wide = matches!(
        (key.group.as_str(), key.kind.as_str()),
        (
            "rbac.authorization.k8s.io",
            "ClusterRole" | "ClusterRoleBinding"
        )
    ) && key.name.starts_with("capstan-agent");
    let itself = key.group.is_empty() && key.kind == "Namespace" && key.name == own_namespace;
    cluster_wide || itself || key.namespace == own_namespace
}

fn pause(value: &str) -> Option<String> {
    match value.trim() {
        "" | "false" => None,
        "true" => Some("the cluster's policy says so".into()),
        reason => Some(reason.to_owned()),
    }
}

fn words(value: &str) -> Vec<String> {
    let separators = |it: char| it == ',' || it.is_whitespace();
    let words = value.split(separators).filter(|it| !it.is_empty());
    words.map(str::to_owned).collect()
}

/// Whether a pattern with at most one `*` fits.
fn any(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|it| match it.split_once('*') {
        None => it == text,
        Some((head, tail)) => {
            text.len() >= head.len() + tail.len() && text.starts_with(head) && text.ends_with(tail)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(data: Value, key: &str) -> bool {
        let policy = Policy::parse(&json!({"data": data}));
        assert_eq!(policy.pause, None);
        policy
            .refuses("capstan-system", &key.parse().unwrap(), "Opaque")
            .is_none()
    }

    #[test]
    fn without_a_policy_the_cluster_itself_is_guarded() {
        for allowed in [
            "Namespace/shop",
            "Deployment.apps/shop/web",
            "CustomResourceDefinition.apiextensions.k8s.io/x",
            "Secret/shop/s",
        ] {
            assert!(check(json!({}), allowed), "{allowed}");
        }
        for refused in [
            "ConfigMap/kube-system/x",
            "Namespace/kube-system",
            "ClusterRole.rbac.authorization.k8s.io/x",
            "APIService.apiregistration.k8s.io/x",
            "ValidatingWebhookConfiguration.admissionregistration.k8s.io/x",
            "Deployment.apps/capstan-system/capstan-agent",
            "Namespace/capstan-system",
        ] {
            assert!(!check(json!({}), refused), "{refused}");
        }
    }

    #[test]
    fn what_is_listed_is_allowed_but_never_the_agent() {
        let data = json!({"allow": "rbac, webhooks"});
        assert!(check(
            data.clone(),
            "ClusterRole.rbac.authorization.k8s.io/x"
        ));
        assert!(!check(
            data,
            "ClusterRole.rbac.authorization.k8s.io/capstan-agent"
        ));
        let narrow = json!({"namespaces": "team-* shared", "deniedKinds": "Deployment.apps"});
        assert!(check(narrow.clone(), "ConfigMap/team-a/x"));
        assert!(check(narrow.clone(), "ConfigMap/shared/x"));
        assert!(!check(narrow.clone(), "ConfigMap/other/x"));
        assert!(!check(narrow.clone(), "Namespace/other"));
        assert!(!check(narrow, "Deployment.apps/team-a/x"));
    }

    #[test]
    fn token_secrets_are_guarded_by_type() {
        let key = "Secret/shop/s".parse().unwrap();
        let policy = Policy::default();
        assert!(
            policy
                .refuses(
                    "capstan-system",
                    &key,
                    "kubernetes.io/service-account-token"
                )
                .is_some()
        );
    }

    #[test]
    fn variables_come_from_what_the_policy_gives() {
        let policy = Policy::parse(&json!({"data": {"secretInputs": "apps/vars-*"}}));
        let refused = |key: &str, secret_type: &str| {
            let key = key.parse().unwrap();
            policy
                .refuses_input("capstan-system", &key, secret_type)
                .is_some()
        };
        assert!(!refused("Secret/apps/vars-a", "Opaque"));
        assert!(!refused("ConfigMap/apps/anything", ""));
        for (key, secret_type) in [
            ("Secret/apps/other", "Opaque"),
            ("Secret/apps/vars-a", "kubernetes.io/service-account-token"),
            ("Secret/apps/vars-a", "helm.sh/release.v1"),
            ("ConfigMap/capstan-system/x", ""),
            ("ConfigMap/kube-system/x", ""),
        ] {
            assert!(refused(key, secret_type), "{key} {secret_type}");
        }
        assert!(policy.refuses_secret_name().is_some());
        let open = Policy::parse(&json!({"data": {"allow": "secret-names"}}));
        assert_eq!(open.refuses_secret_name(), None);
    }

    #[test]
    fn a_policy_that_cannot_be_understood_pauses() {
        for data in [
            json!({"allow": "everything"}),
            json!({"namespace": "x"}),
            json!({"confirm": "maybe"}),
        ] {
            assert!(Policy::parse(&json!({"data": data})).pause.is_some());
        }
        assert!(
            Policy::parse(&json!({"data": {"pause": "freeze"}})).pause == Some("freeze".into())
        );
    }

    #[test]
    fn service_accounts_are_bounded() {
        let policy = Policy::parse(
            &json!({"data": {"serviceAccounts": "apps/*", "requireServiceAccount": "true"}}),
        );
        assert_eq!(policy.refuses_actor("apps", Some("deployer")), None);
        assert!(policy.refuses_actor("other", Some("deployer")).is_some());
        assert!(policy.refuses_actor("apps", None).is_some());
    }
}
