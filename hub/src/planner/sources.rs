//! The sources of a round: what is followed, opened at a revision, and kept.

use std::collections::{BTreeMap, BTreeSet};

use capstan_core::{Revision, SourceKey};
use capstan_render::{Fleet, cluster::PinnedTree, flux::GitRepository};

use super::{fleet_key, inputs};
use crate::{
    plan::Book,
    render,
    source::{Mirror, SourceSpec},
    state::Hub,
};

/// The sources that the fleet grants, with the fleet repository among them, followed from now on.
pub(super) fn follow_sources(hub: &Hub, fleet: &Fleet) -> BTreeMap<SourceKey, GitRepository> {
    let mut granted = fleet.sources.clone();
    let mut specs: BTreeMap<SourceKey, SourceSpec> = granted
        .iter()
        .map(|(key, it)| (key.clone(), inputs::spec_of(&hub.config, it)))
        .collect();
    if let Some(configured) = &hub.config.fleet {
        let key = fleet_key(configured);
        specs.insert(key.clone(), inputs::fleet_spec(&hub.config, configured));
        granted.insert(key, render::fleet_repository(configured));
    }
    let known: BTreeSet<SourceKey> = hub.source_table().sources.keys().cloned().collect();
    let same = {
        let table = hub.source_table();
        specs.iter().all(|(key, it)| {
            table
                .sources
                .get(key)
                .is_some_and(|status| status.spec == *it)
        })
    };
    if !same || known.len() != specs.len() {
        hub.source_table().follow(&specs, &hub.mirrors());
        hub.fetch.notify_one();
    }
    granted
}

/// A source at a revision, or why it cannot be read.
pub(crate) fn open_tree(
    hub: &Hub,
    source: &SourceKey,
    revision: &Revision,
) -> Result<PinnedTree, String> {
    let status = hub.source_table().sources.get(source).cloned();
    let spec = status.ok_or("it is not followed")?.spec;
    let opened = Mirror::open(&hub.mirrors(), &spec).and_then(|it| it.source(&spec, revision));
    let (tree_id, tree) = opened.map_err(|it| it.to_string())?;
    Ok(PinnedTree {
        revision: revision.clone(),
        tree_id,
        tree,
    })
}

pub(super) fn keep_pins(hub: &Hub, book: &Book) {
    let table = hub.source_table().clone();
    let mut by_mirror: BTreeMap<(String, Option<String>), (SourceSpec, BTreeSet<String>)> =
        BTreeMap::new();
    for (key, status) in &table.sources {
        let pins = book.clusters.values().filter_map(|it| it.get(key));
        let commits = pins.flat_map(|it| it.revision.iter().chain(&it.healthy));
        let spec = &status.spec;
        let entry = by_mirror.entry((spec.url.clone(), spec.credentials.clone()));
        let (_, all) = entry.or_insert_with(|| (spec.clone(), BTreeSet::new()));
        all.extend(commits.map(|it| it.commit().to_owned()));
    }
    for (spec, commits) in by_mirror.values() {
        let commits = commits.iter().map(String::as_str).collect();
        let kept = Mirror::open(&hub.mirrors(), spec).and_then(|it| it.keep(&commits));
        if let Err(error) = kept {
            tracing::warn!(%error, "pinned revisions could not be marked as kept");
        }
    }
}
