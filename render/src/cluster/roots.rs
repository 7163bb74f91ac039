//! The root units that placements give a cluster.

use std::collections::BTreeMap;

use capstan_core::{ClusterName, UnitKey, UnitKind, desired::DriftMode, id::is_object_name};
use serde_json::Value;

use crate::{
    capstan::{PlacementSpec, Sync},
    fleet::DEFAULT_NAMESPACE,
    flux::{Kustomization, PostBuild, SourceRef},
    problem::Problem,
};

/// A unit that a placement gives a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct RootUnit {
    /// Its key.
    pub key: UnitKey,
    /// The placement's name.
    pub placement: String,
    /// It as a Flux `Kustomization`.
    pub spec: Kustomization,
}

/// The root units of a cluster, from the placements that list it (by name). A root that cannot be made, and a second one
/// of the same name, is a problem.
pub fn roots(
    cluster: &ClusterName,
    labels: &BTreeMap<String, String>,
    variables: &BTreeMap<String, String>,
    placements: &BTreeMap<String, PlacementSpec>,
) -> (Vec<RootUnit>, Vec<Problem>) {
    let all = placement_variables(cluster, labels, variables);
    let mut roots: Vec<RootUnit> = Vec::new();
    let mut problems = Vec::new();
    for (name, placement) in placements.iter().filter(|it| it.1.clusters.matches(labels)) {
        for sync in &placement.sync {
            match root(cluster, name, sync, &all, variables) {
                Ok(root) if roots.iter().any(|it| it.key == root.key) => {
                    let message = format!("{} is given twice; set spec.sync[].name", root.key);
                    problems.push(Problem::error(message).about(format!("Placement/{name}")));
                }
                Ok(root) => roots.push(root),
                Err(message) => {
                    problems.push(Problem::error(message).about(format!("Placement/{name}")))
                }
            }
        }
    }
    (roots, problems)
}

/// What `${…}` in a placement may name: `cluster_name`, `cluster_labels_<key>` (with `_` for what is no letter or digit),
/// and the cluster's variables.
fn placement_variables(
    cluster: &ClusterName,
    labels: &BTreeMap<String, String>,
    variables: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let plain = |key: &str| key.replace(|it: char| !it.is_ascii_alphanumeric(), "_");
    let mut all = variables.clone();
    all.extend(
        labels
            .iter()
            .map(|(key, it)| (format!("cluster_labels_{}", plain(key)), it.clone())),
    );
    all.insert("cluster_name".to_owned(), cluster.to_string());
    all
}

fn root(
    cluster: &ClusterName,
    placement: &str,
    sync: &Sync,
    all: &BTreeMap<String, String>,
    variables: &BTreeMap<String, String>,
) -> Result<RootUnit, String> {
    let name = sync
        .name
        .clone()
        .unwrap_or_else(|| "flux-system".to_owned());
    let namespace = sync
        .namespace
        .clone()
        .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    if !is_object_name(&name) || !is_object_name(&namespace) {
        return Err(format!("spec.sync[]: `{namespace}/{name}` is not a name"));
    }
    let key = UnitKey {
        home: cluster.clone(),
        kind: UnitKind::Kustomization,
        namespace,
        name,
    };
    let path = fill(&sync.path, all)
        .map_err(|it| format!("spec.sync[].path for cluster {cluster}: {it}"))?;
    // Sources of the fleet path live in flux-system unless they say otherwise, whatever the root's own namespace is.
    let namespace = sync
        .source_ref
        .namespace
        .clone()
        .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    let source_ref = SourceRef {
        namespace: Some(namespace),
        ..sync.source_ref.clone()
    };
    let interval = sync.interval.clone().unwrap_or_else(|| "10m".to_owned());
    let spec = Kustomization {
        path,
        source_ref,
        prune: sync.prune.unwrap_or(true),
        interval,
        retry_interval: sync.retry_interval.clone(),
        timeout: sync.timeout.clone(),
        wait: sync.wait,
        suspend: sync.suspend,
        force: false,
        target_namespace: sync.target_namespace.clone(),
        name_prefix: None,
        name_suffix: None,
        common_metadata: sync.common_metadata.clone(),
        depends_on: sync.depends_on.clone(),
        health_checks: Vec::new(),
        health_check_exprs: Vec::new(),
        patches: Vec::new(),
        images: Vec::new(),
        components: Vec::new(),
        ignore_missing_components: false,
        build_metadata: Vec::new(),
        post_build: post_build(sync, variables),
        decryption: None,
        kube_config: None,
        service_account_name: sync.service_account_name.clone(),
        deletion_policy: None,
        ignore: Vec::new(),
        drift: DriftMode::default(),
    };
    Ok(RootUnit {
        key,
        placement: placement.to_owned(),
        spec,
    })
}

fn post_build(sync: &Sync, variables: &BTreeMap<String, String>) -> Option<PostBuild> {
    let wanted = sync.post_build.as_ref()?;
    let mut substitute = BTreeMap::new();
    if wanted.variables {
        substitute.extend(
            variables
                .iter()
                .map(|(key, it)| (key.clone(), Value::String(it.clone()))),
        );
    }
    substitute.extend(wanted.substitute.clone());
    Some(PostBuild {
        substitute,
        ..PostBuild::default()
    })
}

/// Replaces each `${name}`. A value may be several folders deep but cannot lead upwards.
fn fill(path: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = path;
    while let Some(start) = rest.find("${") {
        out.push_str(&rest[..start]);
        let after = &rest[start + 2..];
        let end = after.find('}').ok_or("`${` without `}`")?;
        let value = variables
            .get(&after[..end])
            .ok_or_else(|| format!("there is no variable `{}`", &after[..end]))?;
        out.push_str(value);
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    if out.split('/').any(|it| it == "..") {
        return Err(format!("`{out}` leads upwards"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, it)| ((*key).to_owned(), (*it).to_owned()))
            .collect()
    }

    #[test]
    fn paths_are_filled_and_never_lead_upwards() {
        let variables = map(&[("cluster_name", "dev-1"), ("up", "../x"), ("deep", "a/b")]);
        let table = [
            ("./clusters/${cluster_name}", Ok("./clusters/dev-1")),
            ("${deep}/c", Ok("a/b/c")),
            ("x/${up}", Err("`x/../x` leads upwards")),
            ("${other}", Err("there is no variable `other`")),
            ("${open", Err("`${` without `}`")),
        ];
        for (path, expect) in table {
            let expect = expect.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(fill(path, &variables), expect, "{path}");
        }
    }

    #[test]
    fn two_placements_cannot_give_the_same_root() {
        let placement: PlacementSpec = serde_json::from_value(serde_json::json!({
            "clusters": {}, "sync": [{"sourceRef": {"kind": "GitRepository", "name": "fleet"}, "path": "a"}],
        }))
        .unwrap();
        let placements = BTreeMap::from([
            ("a".to_owned(), placement.clone()),
            ("b".to_owned(), placement),
        ]);
        let (roots, problems) = roots(&"dev".parse().unwrap(), &map(&[]), &map(&[]), &placements);
        assert_eq!(roots.len(), 1);
        assert_eq!(
            roots[0].key.to_string(),
            "dev/Kustomization/flux-system/flux-system"
        );
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn variables_enter_post_build_only_where_asked_for() {
        let sync = |post_build| Sync {
            post_build,
            ..serde_json::from_value(serde_json::json!({
                "sourceRef": {"kind": "GitRepository", "name": "fleet"}, "path": "a"
            }))
            .unwrap()
        };
        let variables = map(&[("replicas", "3")]);
        assert_eq!(post_build(&sync(None), &variables), None);
        let asked = crate::capstan::SyncPostBuild {
            variables: true,
            ..Default::default()
        };
        let given = post_build(&sync(Some(asked)), &variables).unwrap();
        assert_eq!(given.variables(), variables);
    }
}
