//! One overlay for many clusters that differ in one substitution variable, as the hub renders it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use anyhow::{Context, bail};
use capstan_core::{ClusterName, Digest, SourceKey};
use capstan_kustomize::MemoryTree;
use capstan_render::{
    Memo,
    cluster::{ClusterInput, PinnedTree, RootUnit, UnitOutcome, render_cluster, roots},
    flux::GitRepository,
};
use serde_json::json;

use super::{
    super::{Measure, milliseconds},
    sample,
};

/// Clusters that get the same overlay.
const CLUSTERS: usize = 1_000;
/// Applications in it; each is three objects, one of which says the variable.
const APPLICATIONS: usize = 20;

pub(super) fn run() -> anyhow::Result<Vec<Measure>> {
    let source: SourceKey = "GitRepository/flux-system/fleet".parse()?;
    let pinned = PinnedTree {
        revision: "main@sha1:1".parse()?,
        tree_id: "fleet".to_owned(),
        tree: Arc::new(MemoryTree::new(files())),
    };
    let spec = json!({"spec": {"url": "https://example.org/fleet", "interval": "1m"}});
    let spec = GitRepository::parse(&spec).map_err(anyhow::Error::msg)?;
    let sources = BTreeMap::from([(source.clone(), spec)]);
    let trees = BTreeMap::from([(source, Ok(pinned))]);
    let memo = Memo::default();
    let (mut entries, mut distinct) = (0, BTreeSet::new());
    let mut render = |number: usize| -> anyhow::Result<()> {
        let name: ClusterName = cluster(number).parse()?;
        let rendered = render_cluster(
            &ClusterInput {
                name: &name,
                roots: &root_units(&name)?,
                sources: &sources,
                trees: &trees,
                digest_key: &[7; 32],
            },
            &memo,
        );
        for (key, outcome) in &rendered.units {
            let UnitOutcome::Rendered(unit) = outcome else {
                bail!("{key} was not rendered: {outcome:?}");
            };
            entries += unit.entries.len();
            distinct.extend(unit.entries.iter().map(|it| it.entry.digest));
        }
        Ok(())
    };
    let start = Instant::now();
    render(0)?;
    let first = start.elapsed();
    let start = Instant::now();
    (1..CLUSTERS).try_for_each(&mut render)?;
    let others = start.elapsed();
    Ok(figures(
        milliseconds(first),
        milliseconds(others) / (CLUSTERS - 1) as f64,
        entries,
        &distinct,
    ))
}

fn figures(first: f64, other: f64, entries: usize, distinct: &BTreeSet<Digest>) -> Vec<Measure> {
    let name = |what: &str| format!("{CLUSTERS} clusters, one variable: {what}");
    vec![
        Measure {
            name: name("each further cluster, against the first"),
            value: other,
            unit: "ms",
            baseline: Some(first),
        },
        Measure {
            name: name("objects kept, against objects of all"),
            value: distinct.len() as f64,
            unit: "count",
            baseline: Some(entries as f64),
        },
    ]
}

fn cluster(number: usize) -> String {
    format!("c-{number}")
}

/// The overlay, and for each cluster the unit that gives it its variable.
fn files() -> Vec<(String, String)> {
    let mut files = sample::files(APPLICATIONS);
    files.extend((0..CLUSTERS).map(|number| {
        let name = cluster(number);
        let unit = format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: apps, namespace: flux-system}}\nspec:\n  interval: 10m\n  \
             prune: true\n  path: ./overlay\n  sourceRef: {{kind: GitRepository, name: fleet}}\n  postBuild: {{substitute: {{site: {name}}}}}\n"
        );
        (format!("clusters/{name}/apps.yaml"), unit)
    }));
    files
}

fn root_units(name: &ClusterName) -> anyhow::Result<Vec<RootUnit>> {
    let placement = json!({
        "clusters": {},
        "sync": [{"sourceRef": {"kind": "GitRepository", "name": "fleet"}, "path": "./clusters/${cluster_name}"}],
    });
    let placement = serde_json::from_value(placement).context("a placement")?;
    let placements = BTreeMap::from([("platform".to_owned(), placement)]);
    Ok(roots(name, &BTreeMap::new(), &BTreeMap::new(), &placements).0)
}
