//! Capstan's own kinds, `capstan.dev/v1alpha1`. They count only in the fleet path, and a field that is not known is an
//! error: these files administer every cluster, so a typing mistake must not pass for a setting.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    flux::{CommonMetadata, SourceRef},
    selector::Selector,
};

/// `apiVersion` of Capstan's kinds.
pub const API_VERSION: &str = "capstan.dev/v1alpha1";

/// `spec` of a `Cluster`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterSpec {
    /// Values that fill placements.
    #[serde(default)]
    pub variables: BTreeMap<String, Value>,
}

/// `spec` of a `Placement`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlacementSpec {
    /// Which clusters.
    pub clusters: Selector,
    /// How many of them may be changing at once: a number, or a percentage. All where nothing is said.
    pub max_concurrent: Option<Value>,
    /// What they get.
    pub sync: Vec<Sync>,
}

/// One root unit that a placement gives each of its clusters.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sync {
    /// Name of the root unit; `flux-system`, as `flux bootstrap` makes it, where nothing is said.
    pub name: Option<String>,
    /// Namespace of the root unit; `flux-system` where nothing is said.
    pub namespace: Option<String>,
    /// What to render from.
    pub source_ref: SourceRef,
    /// Folder in the source, with the cluster's variables.
    pub path: String,
    /// As in a Flux `Kustomization`; on where nothing is said, as bootstrap has it.
    pub prune: Option<bool>,
    /// As in a Flux `Kustomization`.
    #[serde(default)]
    pub wait: bool,
    /// As in a Flux `Kustomization`; `10m` where nothing is said.
    pub interval: Option<String>,
    /// As in a Flux `Kustomization`.
    pub retry_interval: Option<String>,
    /// As in a Flux `Kustomization`.
    pub timeout: Option<String>,
    /// As in a Flux `Kustomization`.
    #[serde(default)]
    pub suspend: bool,
    /// As in a Flux `Kustomization`.
    pub target_namespace: Option<String>,
    /// As in a Flux `Kustomization`.
    pub common_metadata: Option<CommonMetadata>,
    /// Other roots of the same cluster that must be ready first.
    #[serde(default)]
    pub depends_on: Vec<crate::flux::Dependency>,
    /// As in a Flux `Kustomization`.
    pub service_account_name: Option<String>,
    /// What is substituted after the build.
    pub post_build: Option<SyncPostBuild>,
}

/// What a placement substitutes after the build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SyncPostBuild {
    /// Values given here; they win.
    #[serde(default)]
    pub substitute: BTreeMap<String, Value>,
    /// Whether the cluster's variables are substituted too.
    #[serde(default)]
    pub variables: bool,
}

/// `spec` of a `Pipeline`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PipelineSpec {
    /// The source whose pins it moves.
    pub source_ref: SourceRef,
    /// The environments, in order. The first follows the source.
    pub environments: Vec<Environment>,
}

/// One environment of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Environment {
    /// Its name, unique in the pipeline.
    pub name: String,
    /// Which clusters.
    pub clusters: Selector,
    /// Whether a revision that is healthy in every cluster of the environment before moves here by itself.
    #[serde(default)]
    pub auto: bool,
}
