//! Flux's own kinds as they stand in Git. Fields and defaults: the CRDs of kustomize-controller 1.9 and
//! source-controller 1.9. Unknown fields are ignored, as an API server prunes them; known ones that are not honoured yet
//! are named by [`Kustomization::unsupported`], so that nobody believes that they work.

use std::collections::BTreeMap;

use capstan_core::{
    ObjectKey, Substitution, UnitKind, UnitRef, UnitSpec, VariableSource,
    desired::{DriftMode, ObjectRef},
    id::is_object_name,
    substitution::{MAX_VARIABLE_SOURCES, MAX_VARIABLES},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::duration::parse_seconds;

/// Group of `Kustomization`.
pub const KUSTOMIZE_GROUP: &str = "kustomize.toolkit.fluxcd.io";
/// Group of `HelmRelease`.
pub const HELM_GROUP: &str = "helm.toolkit.fluxcd.io";
/// Group of the sources.
pub const SOURCE_GROUP: &str = "source.toolkit.fluxcd.io";

/// Annotation of a unit: `correct` (where it is not there) or `warn`.
pub const DRIFT: &str = "capstan.dev/drift";

/// Shortest timeout that Flux takes from an interval.
const MIN_TIMEOUT_SECONDS: u32 = 30;

/// `spec` of a Flux `Kustomization`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kustomization {
    /// Folder in the source; empty is its root.
    #[serde(default)]
    pub path: String,
    /// What to render from.
    pub source_ref: SourceRef,
    /// Delete what is no longer rendered.
    pub prune: bool,
    /// Period of the comparison.
    pub interval: String,
    /// Wait after a failure.
    pub retry_interval: Option<String>,
    /// Bound for applying and waiting.
    pub timeout: Option<String>,
    /// Wait for everything.
    #[serde(default)]
    pub wait: bool,
    /// Leave it alone.
    #[serde(default)]
    pub suspend: bool,
    /// Create again what cannot be changed.
    #[serde(default)]
    pub force: bool,
    /// Namespace for everything.
    pub target_namespace: Option<String>,
    /// Prefix for all names.
    pub name_prefix: Option<String>,
    /// Suffix for all names.
    pub name_suffix: Option<String>,
    /// Labels and annotations for everything.
    pub common_metadata: Option<CommonMetadata>,
    /// What must be ready first.
    #[serde(default)]
    pub depends_on: Vec<Dependency>,
    /// What to wait for where `wait` is off.
    #[serde(default)]
    pub health_checks: Vec<HealthCheck>,
    /// CEL rules for custom resources.
    #[serde(default)]
    pub health_check_exprs: Vec<Value>,
    /// Kustomize patches.
    #[serde(default)]
    pub patches: Vec<Value>,
    /// Kustomize images.
    #[serde(default)]
    pub images: Vec<Value>,
    /// Kustomize components.
    #[serde(default)]
    pub components: Vec<String>,
    /// Drop components that are not there.
    #[serde(default)]
    pub ignore_missing_components: bool,
    /// Kustomize build metadata.
    #[serde(default)]
    pub build_metadata: Vec<String>,
    /// Substitution after the build.
    pub post_build: Option<PostBuild>,
    /// SOPS.
    pub decryption: Option<Value>,
    /// Another cluster.
    pub kube_config: Option<Value>,
    /// Who applies it.
    pub service_account_name: Option<String>,
    /// What happens to the objects when the unit goes.
    pub deletion_policy: Option<String>,
    /// Paths left out of drift and apply.
    #[serde(default)]
    pub ignore: Vec<Value>,
    /// What happens to drift, as the annotation [`DRIFT`] says.
    #[serde(skip)]
    pub drift: DriftMode,
}

/// A reference to a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRef {
    /// `GitRepository`, `OCIRepository`, `Bucket` or `ExternalArtifact`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace; the referent's own where it is not said.
    pub namespace: Option<String>,
}

/// Labels and annotations for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommonMetadata {
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// A unit that must be ready first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: Option<String>,
    /// A CEL expression in place of the ready condition.
    pub ready_expr: Option<String>,
}

/// An object to wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// API version.
    #[serde(default)]
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: Option<String>,
}

/// Substitution after the build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostBuild {
    /// Values given here; they win.
    #[serde(default)]
    pub substitute: BTreeMap<String, Value>,
    /// ConfigMaps and Secrets of the cluster.
    #[serde(default)]
    pub substitute_from: Vec<VariableSource>,
    /// `WithVariables` (the default) or `Always`.
    pub substitute_strategy: Option<String>,
}

impl PostBuild {
    /// The values as text; line breaks are taken out, as Flux does.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let text = |value: &Value| match value {
            Value::String(text) => text.replace('\n', ""),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        self.substitute
            .iter()
            .map(|(key, value)| (key.clone(), text(value)))
            .collect()
    }

    /// Whether variables are replaced even where none has a value.
    pub fn always(&self) -> bool {
        self.substitute_strategy.as_deref() == Some("Always")
    }
}

impl Kustomization {
    /// Reads `spec` of the object `value`.
    ///
    /// # Errors
    /// Says which field is missing or wrong.
    pub fn parse(value: &Value) -> Result<Self, String> {
        let spec = value.get("spec").cloned().unwrap_or_default();
        let mut parsed: Self =
            serde_json::from_value(spec).map_err(|error| format!("spec: {error}"))?;
        parsed.drift = match value["metadata"]["annotations"][DRIFT].as_str() {
            None | Some("correct") => DriftMode::Correct,
            Some("warn") => DriftMode::Warn,
            Some(other) => {
                return Err(format!(
                    "annotation {DRIFT}: `{other}` is neither correct nor warn"
                ));
            }
        };
        Ok(parsed)
    }

    /// Fields that are set and not honoured yet. Rendering without them would give something else than Flux gives, so the
    /// unit is refused.
    pub fn unsupported(&self) -> Vec<&'static str> {
        let deletion = self
            .deletion_policy
            .as_deref()
            .is_some_and(|it| it != "MirrorPrune");
        let ready = self.depends_on.iter().any(|it| it.ready_expr.is_some());
        let table = [
            (self.kube_config.is_some(), "spec.kubeConfig"),
            (!self.health_check_exprs.is_empty(), "spec.healthCheckExprs"),
            (!self.ignore.is_empty(), "spec.ignore"),
            (deletion, "spec.deletionPolicy other than MirrorPrune"),
            (ready, "spec.dependsOn[].readyExpr"),
        ];
        table.into_iter().filter(|it| it.0).map(|it| it.1).collect()
    }

    /// The fields that act in the cluster, for a unit in `namespace`.
    ///
    /// # Errors
    /// Says which duration cannot be read.
    pub fn unit_spec(&self, namespace: &str) -> Result<UnitSpec, String> {
        let interval_seconds = seconds("spec.interval", &self.interval)?;
        let optional =
            |field, text: &Option<String>| text.as_ref().map(|it| seconds(field, it)).transpose();
        let timeout = optional("spec.timeout", &self.timeout)?;
        let from_interval = interval_seconds.saturating_sub(30).max(MIN_TIMEOUT_SECONDS);
        let retry = optional("spec.retryInterval", &self.retry_interval)?;
        Ok(UnitSpec {
            prune: self.prune,
            wait: self.wait,
            health_checks: self
                .health_checks
                .iter()
                .map(|it| it.object_ref(namespace))
                .collect(),
            timeout_seconds: timeout.unwrap_or(from_interval),
            interval_seconds,
            retry_interval_seconds: retry.unwrap_or(interval_seconds),
            suspend: self.suspend,
            force: self.force,
            drift: self.drift,
            depends_on: self
                .depends_on
                .iter()
                .map(|it| it.unit_ref(namespace))
                .collect(),
            service_account: self.service_account_name.clone(),
            requested_at: None,
            substitution: self.substitution()?,
        })
    }

    /// What is left to the agent: everything that variables of the cluster may change.
    fn substitution(&self) -> Result<Option<Substitution>, String> {
        let post_build = self.post_build.as_ref();
        let Some(post_build) = post_build.filter(|it| !it.substitute_from.is_empty()) else {
            return Ok(None);
        };
        let from = &post_build.substitute_from;
        if let Some(it) = from.iter().find(|it| !is_object_name(&it.name)) {
            return Err(format!(
                "spec.postBuild.substituteFrom: `{}` is not a valid name",
                it.name
            ));
        }
        let variables = post_build.variables();
        let table = [
            ("substituteFrom", from.len(), MAX_VARIABLE_SOURCES),
            ("substitute", variables.len(), MAX_VARIABLES),
        ];
        if let Some((field, count, limit)) = table.into_iter().find(|it| it.1 > it.2) {
            return Err(format!(
                "spec.postBuild.{field}: {count} are more than the {limit} of one unit"
            ));
        }
        Ok(Some(Substitution {
            variables,
            from: from.clone(),
            always: post_build.always(),
        }))
    }
}

fn seconds(field: &str, text: &str) -> Result<u32, String> {
    parse_seconds(text)
        .ok_or_else(|| format!("{field}: `{text}` is not a duration such as 10m or 1h30m"))
}

impl HealthCheck {
    fn object_ref(&self, namespace: &str) -> ObjectRef {
        let (group, version) = self
            .api_version
            .split_once('/')
            .unwrap_or(("", &self.api_version));
        let namespace = self
            .namespace
            .clone()
            .unwrap_or_else(|| namespace.to_owned());
        ObjectRef {
            version: version.to_owned(),
            key: ObjectKey {
                group: group.to_owned(),
                kind: self.kind.clone(),
                namespace,
                name: self.name.clone(),
            },
        }
    }
}

impl Dependency {
    fn unit_ref(&self, namespace: &str) -> UnitRef {
        UnitRef {
            kind: UnitKind::Kustomization,
            namespace: self
                .namespace
                .clone()
                .unwrap_or_else(|| namespace.to_owned()),
            name: self.name.clone(),
        }
    }
}

/// `spec` of a Flux `GitRepository`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GitRepository {
    /// Where it is: `https://`, `http://`, `ssh://` or, where the hub's configuration allows the path, `file://`.
    pub url: String,
    /// What to follow; the branch `master` where nothing is said.
    #[serde(rename = "ref")]
    pub reference: Option<GitReference>,
    /// Period of polling.
    pub interval: String,
    /// Bound for one fetch; 60 s where nothing is said.
    pub timeout: Option<String>,
    /// Credentials: a folder of this name in the hub's secrets folder.
    pub secret_ref: Option<NameRef>,
    /// Do not follow for now.
    #[serde(default)]
    pub suspend: bool,
    /// Files to leave out, in `.gitignore` syntax.
    pub ignore: Option<String>,
    /// Signatures to check.
    pub verify: Option<Value>,
    /// Other repositories to include.
    #[serde(default)]
    pub include: Vec<Value>,
    /// Fetch submodules.
    #[serde(default)]
    pub recurse_submodules: bool,
}

/// A reference by name alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameRef {
    /// The name.
    pub name: String,
}

/// What a `GitRepository` follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitReference {
    /// A branch.
    pub branch: Option<String>,
    /// A tag; wins over the branch.
    pub tag: Option<String>,
    /// The newest tag in a range; wins over the tag.
    pub semver: Option<String>,
    /// A full ref name; wins over all but the commit.
    pub name: Option<String>,
    /// A commit.
    pub commit: Option<String>,
}

impl GitRepository {
    /// Reads `spec` of the object `value`.
    ///
    /// # Errors
    /// Says which field is missing, wrong, or not honoured yet.
    pub fn parse(value: &Value) -> Result<Self, String> {
        let spec = value.get("spec").cloned().unwrap_or_default();
        let spec: Self = serde_json::from_value(spec).map_err(|error| format!("spec: {error}"))?;
        seconds("spec.interval", &spec.interval)?;
        let table = [
            (spec.verify.is_some(), "spec.verify"),
            (!spec.include.is_empty(), "spec.include"),
            (spec.recurse_submodules, "spec.recurseSubmodules"),
        ];
        match table.into_iter().find(|it| it.0) {
            Some((_, field)) => Err(format!(
                "{field} is not there yet, so the repository is not followed"
            )),
            None => Ok(spec),
        }
    }

    /// Period of polling in seconds.
    pub fn interval_seconds(&self) -> u32 {
        parse_seconds(&self.interval).unwrap_or(60)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_are_flux_defaults() {
        let object = json!({"spec": {
            "interval": "10m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "fleet"},
        }});
        let spec = Kustomization::parse(&object)
            .unwrap()
            .unit_spec("flux-system")
            .unwrap();
        assert_eq!(
            (spec.timeout_seconds, spec.retry_interval_seconds),
            (570, 600)
        );
        let missing = Kustomization::parse(&json!({"spec": {"interval": "1m"}})).unwrap_err();
        assert_eq!(missing, "spec: missing field `sourceRef`");
    }

    #[test]
    fn drift_is_only_reported_where_the_unit_says_so() {
        let object = |mode: &str| {
            json!({"metadata": {"annotations": {DRIFT: mode}}, "spec": {
                "interval": "10m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "fleet"},
            }})
        };
        let parsed = Kustomization::parse(&object("warn")).unwrap();
        let spec = parsed.unit_spec("flux-system").unwrap();
        assert_eq!(spec.drift, DriftMode::Warn);
        assert!(Kustomization::parse(&object("ignore")).is_err());
    }

    #[test]
    fn what_is_not_honoured_is_named() {
        let object = json!({"spec": {
            "interval": "10m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "fleet"},
            "kubeConfig": {"secretRef": {"name": "x"}}, "deletionPolicy": "Orphan",
        }});
        let unsupported = Kustomization::parse(&object).unwrap().unsupported();
        assert_eq!(
            unsupported,
            [
                "spec.kubeConfig",
                "spec.deletionPolicy other than MirrorPrune"
            ]
        );
    }

    #[test]
    fn an_unverified_repository_is_not_followed() {
        let object =
            json!({"spec": {"url": "https://x", "interval": "1m", "verify": {"mode": "HEAD"}}});
        let error = GitRepository::parse(&object).unwrap_err();
        assert!(error.contains("spec.verify"), "{error}");
    }
}
