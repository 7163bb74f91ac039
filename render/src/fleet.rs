//! Reads the fleet path: which clusters, placements, pipelines and sources there are.
//!
//! A file or object that cannot be read is a problem and leaves the others standing. Whoever acts on a fleet with errors
//! must not take what is missing from it for removed.

use std::collections::BTreeMap;

use capstan_core::{ClusterName, Object, SourceKey};
use capstan_kustomize::{Entry, Tree};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    capstan::{API_VERSION, ClusterSpec, PipelineSpec, PlacementSpec},
    flux::{GitRepository, SOURCE_GROUP},
    problem::{Level, Problem},
    yaml,
};

/// Files that a fleet path may hold: a folder per thousand clusters is far below it.
pub const MAX_FLEET_FILES: usize = 20_000;
/// Folders below each other.
const MAX_DEPTH: usize = 32;
/// The namespace of a Flux object that names none: where bootstrap puts everything.
pub const DEFAULT_NAMESPACE: &str = "flux-system";

/// What the fleet path declares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fleet {
    /// Clusters declared in Git.
    pub clusters: BTreeMap<ClusterName, DeclaredCluster>,
    /// Placements by name.
    pub placements: BTreeMap<String, PlacementSpec>,
    /// Pipelines by name.
    pub pipelines: BTreeMap<String, PipelineSpec>,
    /// The sources that the fleet grants.
    pub sources: BTreeMap<SourceKey, GitRepository>,
    /// What is wrong with the rest.
    pub problems: Vec<Problem>,
}

/// A cluster as the fleet path declares it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclaredCluster {
    /// Labels, for selectors.
    pub labels: BTreeMap<String, String>,
    /// Variables, for placements.
    pub variables: BTreeMap<String, String>,
}

impl Fleet {
    /// Whether everything could be read, so that what is missing is really not there.
    pub fn is_complete(&self) -> bool {
        self.problems.iter().all(|it| it.level == Level::Warning)
    }
}

/// Reads every `.yaml` and `.yml` file below `path` of `tree`.
///
/// # Errors
/// When the folder is not there or cannot be read at all; everything smaller is in [`Fleet::problems`].
pub fn parse_fleet(tree: &dyn Tree, path: &str) -> Result<Fleet, Problem> {
    let path = path.trim_start_matches("./").trim_matches('/');
    let mut files = Vec::new();
    yaml_files(tree, path, 0, &mut files)?;
    let mut fleet = Fleet::default();
    for file in &files {
        match yaml::read_file(tree, file) {
            Ok(documents) => {
                for document in documents {
                    let added = add(&mut fleet, &document.value);
                    if let Err(problem) = added {
                        let at = problem.in_file(file, document.line);
                        fleet.problems.push(at);
                    }
                }
            }
            Err(problem) => fleet.problems.push(problem),
        }
    }
    Ok(fleet)
}

/// The files of a folder and those below it, in order.
fn yaml_files(
    tree: &dyn Tree,
    path: &str,
    depth: usize,
    files: &mut Vec<String>,
) -> Result<(), Problem> {
    let failed =
        |error: &dyn std::fmt::Display| Problem::error(error.to_string()).in_file(path, None);
    if depth > MAX_DEPTH {
        return Err(failed(&format!(
            "more than {MAX_DEPTH} folders below each other"
        )));
    }
    let folder = path.is_empty()
        || matches!(
            tree.entry(path).map_err(|it| failed(&it))?,
            Some(Entry::Folder)
        );
    if !folder {
        return Err(failed(
            &"the fleet path is not a folder of the fleet repository",
        ));
    }
    for name in tree.list(path).map_err(|it| failed(&it))? {
        let below = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}/{name}")
        };
        match tree.entry(&below).map_err(|it| failed(&it))? {
            Some(Entry::Folder) if !name.starts_with('.') => {
                yaml_files(tree, &below, depth + 1, files)?
            }
            Some(Entry::File(_)) if name.ends_with(".yaml") || name.ends_with(".yml") => {
                files.push(below)
            }
            _ => {}
        }
        if files.len() > MAX_FLEET_FILES {
            return Err(failed(&format!("more than {MAX_FLEET_FILES} files")));
        }
    }
    Ok(())
}

fn add(fleet: &mut Fleet, value: &Value) -> Result<(), Problem> {
    let object = Object::parse(value.clone()).map_err(|it| Problem::error(it.to_string()))?;
    let key = object.key();
    let about = |message: String| Problem::error(message).about(key);
    let name = key.name.clone();
    let added = match (object.api_version().as_str(), key.kind.as_str()) {
        (API_VERSION, "Cluster") => {
            let cluster = cluster(&object).map_err(about)?;
            let name = name
                .parse()
                .map_err(|it| about(format!("metadata.name: {it}")))?;
            fleet.clusters.insert(name, cluster).is_none()
        }
        (API_VERSION, "Placement") => {
            let placement = placement(&object).map_err(about)?;
            fleet.placements.insert(name, placement).is_none()
        }
        (API_VERSION, "Pipeline") => {
            let pipeline = pipeline(&object).map_err(about)?;
            fleet.pipelines.insert(name, pipeline).is_none()
        }
        (_, "GitRepository") if key.group == SOURCE_GROUP => {
            let source = GitRepository::parse(value).map_err(about)?;
            fleet.sources.insert(source_key(&object), source).is_none()
        }
        (version, kind) => {
            return Err(about(format!(
                "{version} {kind} is not a kind that the fleet path takes: Cluster, Placement and Pipeline of \
                 {API_VERSION}, and Flux's GitRepository"
            )));
        }
    };
    if added {
        Ok(())
    } else {
        Err(about(
            "declared twice in the fleet path; the last one counts".to_owned(),
        ))
    }
}

/// The key of a Flux source object.
pub(crate) fn source_key(object: &Object) -> SourceKey {
    let key = object.key();
    let namespace = if key.namespace.is_empty() {
        DEFAULT_NAMESPACE
    } else {
        &key.namespace
    };
    SourceKey {
        kind: key.kind.clone(),
        namespace: namespace.to_owned(),
        name: key.name.clone(),
    }
}

fn spec<T: DeserializeOwned>(object: &Object) -> Result<T, String> {
    let spec = object
        .value()
        .get("spec")
        .cloned()
        .unwrap_or_else(|| Value::Object(Default::default()));
    serde_json::from_value(spec).map_err(|error| format!("spec: {error}"))
}

fn cluster(object: &Object) -> Result<DeclaredCluster, String> {
    let spec: ClusterSpec = spec(object)?;
    let labels = object
        .value()
        .pointer("/metadata/labels")
        .cloned()
        .unwrap_or_default();
    let labels: Option<BTreeMap<String, String>> =
        serde_json::from_value(labels).map_err(|error| format!("metadata.labels: {error}"))?;
    let variables = spec.variables.into_iter().map(|(key, value)| match value {
        Value::String(text) => Ok((key, text)),
        Value::Bool(_) | Value::Number(_) => Ok((key, value.to_string())),
        _ => Err(format!("spec.variables.{key}: a text is needed")),
    });
    Ok(DeclaredCluster {
        labels: labels.unwrap_or_default(),
        variables: variables.collect::<Result<_, _>>()?,
    })
}

fn placement(object: &Object) -> Result<PlacementSpec, String> {
    let spec: PlacementSpec = spec(object)?;
    if spec.sync.is_empty() {
        return Err("spec.sync: at least one is needed".to_owned());
    }
    if let Some(limit) = &spec.max_concurrent {
        concurrency(limit, 1).ok_or_else(|| {
            format!("spec.maxConcurrent: {limit} is neither a number from 1 nor a percentage")
        })?;
    }
    Ok(spec)
}

fn pipeline(object: &Object) -> Result<PipelineSpec, String> {
    let spec: PipelineSpec = spec(object)?;
    if spec.environments.is_empty() {
        return Err("spec.environments: at least one is needed".to_owned());
    }
    let mut names: Vec<&str> = spec
        .environments
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|it| it[0] == it[1]) {
        return Err(format!("spec.environments: `{}` is there twice", twice[0]));
    }
    Ok(spec)
}

/// How many of `clusters` clusters `limit` (a number, or a percentage as text) lets change at once, at least one.
/// `None` where `limit` is neither.
pub fn concurrency(limit: &Value, clusters: usize) -> Option<usize> {
    match limit {
        Value::Number(number) => number.as_u64().filter(|it| *it > 0).map(|it| it as usize),
        Value::String(text) => {
            let percent: usize = text.strip_suffix('%')?.parse().ok()?;
            (1..=100)
                .contains(&percent)
                .then(|| (clusters * percent).div_ceil(100).max(1))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use capstan_kustomize::MemoryTree;
    use serde_json::json;

    use super::*;

    fn parse(files: &[(&str, &str)]) -> Fleet {
        let mut tree = MemoryTree::default();
        for (path, text) in files {
            tree.insert(*path, text.as_bytes());
        }
        parse_fleet(&tree, "./fleet").unwrap()
    }

    const CLUSTER: &str = "apiVersion: capstan.dev/v1alpha1\nkind: Cluster\n\
        metadata: {name: dev-1, labels: {env: dev}}\nspec: {variables: {replicas: 3}}\n";

    #[test]
    fn clusters_placements_and_sources_are_read() {
        let placement = "apiVersion: capstan.dev/v1alpha1\nkind: Placement\nmetadata: {name: platform}\nspec:\n  \
            clusters: {matchLabels: {env: dev}}\n  maxConcurrent: 25%\n  sync:\n  - sourceRef: {kind: GitRepository, name: fleet}\n    \
            path: ./clusters/${cluster_name}\n";
        let source = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: fleet, namespace: flux-system}\n\
            spec: {url: https://example.org/fleet.git, interval: 1m, ref: {branch: main}}\n";
        let both = format!("{placement}---\n{source}");
        let fleet = parse(&[
            ("fleet/a.yaml", CLUSTER),
            ("fleet/sub/b.yml", &both),
            ("fleet/README.md", "no"),
        ]);
        assert_eq!(fleet.problems, []);
        let cluster = &fleet.clusters[&"dev-1".parse().unwrap()];
        assert_eq!(cluster.variables["replicas"], "3");
        assert!(
            fleet.placements["platform"]
                .clusters
                .matches(&cluster.labels)
        );
        assert_eq!(fleet.sources.len(), 1);
    }

    #[test]
    fn a_broken_file_leaves_the_others_standing() {
        let fleet = parse(&[
            ("fleet/a.yaml", CLUSTER),
            ("fleet/b.yaml", "a: [\n"),
            (
                "fleet/c.yaml",
                "apiVersion: capstan.dev/v1alpha1\nkind: Placement\nmetadata: {name: x}\nspec: {cluster: {}}\n",
            ),
            (
                "fleet/d.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
            ),
        ]);
        assert_eq!(fleet.clusters.len(), 1);
        assert!(!fleet.is_complete());
        let files: Vec<_> = fleet
            .problems
            .iter()
            .map(|it| it.file.as_deref().unwrap())
            .collect();
        assert_eq!(files, ["fleet/b.yaml", "fleet/c.yaml", "fleet/d.yaml"]);
        assert!(
            fleet.problems[1]
                .to_string()
                .contains("unknown field `cluster`"),
            "{}",
            fleet.problems[1]
        );
    }

    #[test]
    fn a_missing_fleet_path_is_an_error_not_an_empty_fleet() {
        let mut tree = MemoryTree::default();
        tree.insert("other/a.yaml", b"a: 1".to_vec());
        assert!(parse_fleet(&tree, "fleet").is_err());
    }

    #[test]
    fn concurrency_is_a_number_or_a_percentage() {
        let table = [
            (json!(3), Some(3)),
            (json!("25%"), Some(3)),
            (json!("1%"), Some(1)),
            (json!("0%"), None),
            (json!(0), None),
            (json!("three"), None),
        ];
        for (limit, expect) in table {
            assert_eq!(concurrency(&limit, 10), expect, "{limit}");
        }
    }
}
