//! The one place that calls `capstan-render`.

use std::collections::BTreeMap;

use capstan_core::{ClusterName, SourceKey, UnitKey};
use capstan_render::{
    Fleet, Memo, RenderedEntry, RootUnit, Tree, UnitOutcome,
    cluster::{ClusterInput, PinnedTree, render_cluster},
    flux::{GitReference, GitRepository},
    parse_fleet,
};

use crate::{config::FleetSource, plan::Outcome};

/// Problems of one unit that are said; the rest is counted.
const MAX_SAID: usize = 3;

/// What a cluster is rendered from.
pub(crate) struct Input<'a> {
    pub(crate) name: &'a ClusterName,
    pub(crate) roots: &'a [RootUnit],
    pub(crate) sources: &'a BTreeMap<SourceKey, GitRepository>,
    pub(crate) trees: &'a BTreeMap<SourceKey, Result<PinnedTree, String>>,
    pub(crate) digest_key: &'a [u8; 32],
}

/// What rendering gave.
pub(crate) struct Rendered {
    pub(crate) outcomes: BTreeMap<UnitKey, Outcome>,
    pub(crate) warnings: Vec<String>,
    /// Content of the entries.
    pub(crate) blobs: Vec<RenderedEntry>,
}

/// Renders one cluster.
pub(crate) fn cluster(input: &Input<'_>, memo: &Memo) -> Rendered {
    let given = ClusterInput {
        name: input.name,
        roots: input.roots,
        sources: input.sources,
        trees: input.trees,
        digest_key: input.digest_key,
    };
    let rendered = render_cluster(&given, memo);
    let mut blobs = Vec::new();
    let mut outcomes = BTreeMap::new();
    for (key, outcome) in rendered.units {
        let outcome = match outcome {
            UnitOutcome::Rendered(unit) => {
                blobs.extend(unit.entries.iter().cloned());
                Outcome::Rendered {
                    spec: unit.spec,
                    origin: unit.origin,
                    source: unit.source,
                    entries: unit.listed,
                }
            }
            UnitOutcome::Failed { problems, .. } => {
                let said: Vec<String> = problems
                    .iter()
                    .take(MAX_SAID)
                    .map(ToString::to_string)
                    .collect();
                let rest = problems.len().saturating_sub(MAX_SAID);
                let more = if rest > 0 {
                    format!("; and {rest} more")
                } else {
                    String::new()
                };
                Outcome::Failed {
                    problem: format!("{}{more}", said.join("; ")),
                }
            }
        };
        outcomes.insert(key, outcome);
    }
    Rendered {
        outcomes,
        warnings: rendered.warnings.iter().map(ToString::to_string).collect(),
        blobs,
    }
}

/// Reads the fleet path.
pub(crate) fn read_fleet(tree: &dyn Tree, path: &str) -> Result<Fleet, String> {
    parse_fleet(tree, path).map_err(|it| it.to_string())
}

/// The fleet repository itself, which the configuration grants.
pub(crate) fn fleet_repository(fleet: &FleetSource) -> GitRepository {
    GitRepository {
        url: fleet.url.clone(),
        reference: Some(GitReference {
            branch: Some(fleet.branch.clone()),
            ..GitReference::default()
        }),
        interval: "1m".to_owned(),
        timeout: None,
        secret_ref: None,
        suspend: false,
        ignore: None,
        verify: None,
        include: Vec::new(),
        recurse_submodules: false,
    }
}
