//! Flux's `ArtifactGenerator`: sources that are put together from parts of other sources, for units that name them as
//! `ExternalArtifact`.
//!
//! What is copied where is decided as source-watcher 2.2 decides it; nothing is copied: a made source knows where each of
//! its files lies. What it cannot do yet it says, and the units that wait for it say so too.

mod glob;
mod tree;

use std::{collections::BTreeMap, sync::Arc};

use capstan_core::{Object, SourceKey};
use capstan_kustomize::{Entry, Tree, TreeError};
use serde::Deserialize;

use crate::{cluster::PinnedTree, fleet::source_key, flux::SourceRef, problem::Problem};
use tree::Composed;

/// The API group.
pub(crate) const GROUP: &str = "source.extensions.fluxcd.io";
/// The kind of the sources that are made.
pub(crate) const KIND: &str = "ExternalArtifact";
/// Where copies go: the artifact's root.
const ROOT: &str = "@artifact/";

/// A source that was made.
#[derive(Clone)]
pub(crate) struct Artifact {
    /// The source whose revision it goes by: that of `originRevision` or `revision`, or the first.
    pub(crate) origin: SourceKey,
    /// The files, at the origin's revision.
    pub(crate) pinned: PinnedTree,
}

/// Sources by key: made, or why not.
pub(crate) type Artifacts = BTreeMap<SourceKey, Result<Artifact, Problem>>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    sources: Vec<Input>,
    artifacts: Vec<Output>,
    path_pattern: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Input {
    alias: String,
    #[serde(flatten)]
    reference: SourceRef,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    name: String,
    revision: Option<String>,
    origin_revision: Option<String>,
    copy: Vec<Copy>,
}

#[derive(Debug, Deserialize)]
struct Copy {
    from: String,
    to: String,
    #[serde(default)]
    exclude: Vec<String>,
    strategy: Option<String>,
    #[serde(default)]
    optional: bool,
}

/// Makes the sources that a generator declares. `find` gives a source that it names, at the cluster's pin.
pub(crate) fn generate(
    object: &Object,
    find: impl Fn(&SourceRef) -> Result<(SourceKey, PinnedTree), String>,
) -> Result<Artifacts, Problem> {
    let about = |message: String| Problem::error(message).about(object.key());
    let spec = object.value().get("spec").cloned().unwrap_or_default();
    let spec: Spec = serde_json::from_value(spec).map_err(|it| about(format!("spec: {it}")))?;
    if spec.path_pattern.is_some() {
        return Err(about("spec.pathPattern is not there yet".to_owned()));
    }
    let mut inputs = BTreeMap::new();
    for it in &spec.sources {
        let found =
            find(&it.reference).map_err(|why| format!("spec.sources: `{}`: {why}", it.alias));
        inputs.insert(it.alias.as_str(), found);
    }
    let first = spec.sources.first().map(|it| it.alias.as_str());
    let one = |output: &Output| {
        let key = SourceKey {
            kind: KIND.to_owned(),
            name: output.name.clone(),
            ..source_key(object)
        };
        let made = compose(output, &inputs, first.unwrap_or_default());
        (
            key,
            made.map_err(|it| about(format!("artifact `{}`: {it}", output.name))),
        )
    };
    Ok(spec.artifacts.iter().map(one).collect())
}

type Inputs<'a> = BTreeMap<&'a str, Result<(SourceKey, PinnedTree), String>>;

fn compose(output: &Output, inputs: &Inputs<'_>, first: &str) -> Result<Artifact, String> {
    let input = |alias: &str| match inputs.get(alias) {
        Some(found) => found.as_ref().map_err(Clone::clone),
        None => Err(format!("no source has the alias `{alias}`")),
    };
    let goes_by = output.origin_revision.as_ref().or(output.revision.as_ref());
    let alias = goes_by.map_or(first, |it| it.trim_start_matches('@'));
    let (origin, by) = input(alias)?;
    let mut composed = Composed::default();
    for copy in &output.copy {
        let (alias, pattern) = copy
            .from
            .strip_prefix('@')
            .and_then(|it| it.split_once('/'))
            .ok_or_else(|| format!("`{}` is not of the form @alias/pattern", copy.from))?;
        let (_, pinned) = input(alias)?;
        apply(copy, pattern, &pinned.tree, &mut composed)
            .map_err(|it| format!("copy from `{}` to `{}`: {it}", copy.from, copy.to))?;
    }
    let pinned = PinnedTree {
        revision: by.revision.clone(),
        tree_id: composed.id().map_err(|it| it.to_string())?,
        tree: Arc::new(composed),
    };
    Ok(Artifact {
        origin: origin.clone(),
        pinned,
    })
}

/// One copy, with the rules of `cp -r`.
fn apply(
    copy: &Copy,
    pattern: &str,
    source: &Arc<dyn Tree + Send + Sync>,
    composed: &mut Composed,
) -> Result<(), String> {
    match copy.strategy.as_deref() {
        None | Some("Overwrite") => {}
        Some(other) => return Err(format!("strategy {other} is not there yet")),
    }
    if !copy.exclude.is_empty() {
        return Err("exclude is not there yet".to_owned());
    }
    let to = copy
        .to
        .strip_prefix(ROOT)
        .ok_or_else(|| format!("the destination must begin with {ROOT}"))?;
    if to.split('/').any(|it| it == "..") {
        return Err("the destination must not contain `..`".to_owned());
    }
    let failed = |it: TreeError| it.to_string();
    let into_folder = to.is_empty() || to.ends_with('/');
    let to = clean(to);
    if glob::is_pattern(pattern) {
        let found = glob::find(source.as_ref(), pattern).map_err(failed)?;
        if found.is_empty() && !copy.optional {
            return Err("nothing matches".to_owned());
        }
        for path in found {
            // `folder/**` is what the folder holds; any other pattern keeps the whole path.
            let below = pattern.strip_suffix("/**").map(clean);
            let rest = below.and_then(|it| path.strip_prefix(&format!("{it}/")));
            composed
                .add(source, &path, &join(&to, rest.unwrap_or(&path)))
                .map_err(failed)?;
        }
        return Ok(());
    }
    let from = clean(pattern);
    let name = from.rsplit('/').next().unwrap_or_default();
    let target = match source.entry(&from).map_err(failed)? {
        None if copy.optional => return Ok(()),
        None => return Err(format!("there is no `{from}` in the source")),
        Some(Entry::Folder) => join(&to, name),
        Some(_) if into_folder || composed.is_folder(&to) => join(&to, name),
        Some(_) => to,
    };
    composed.add(source, &from, &target).map_err(failed)
}

/// A path without empty segments and `.`.
fn clean(path: &str) -> String {
    let segments = path.split('/').filter(|it| !it.is_empty() && *it != ".");
    segments.collect::<Vec<_>>().join("/")
}

fn join(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", name) => name.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, name) => format!("{folder}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use capstan_kustomize::MemoryTree;
    use serde_json::json;

    use super::*;

    const FILES: [(&str, &str); 5] = [
        ("apps/base/a.yaml", "a"),
        ("apps/base/deep/b.yaml", "b"),
        ("apps/prod/c.yaml", "c"),
        ("infra/d.yaml", "d"),
        ("README.md", "e"),
    ];

    fn generated(copies: serde_json::Value) -> Result<Artifact, Problem> {
        let mut files = MemoryTree::default();
        for (path, text) in FILES {
            files.insert(path, text.as_bytes());
        }
        let pinned = PinnedTree {
            revision: "main@sha1:abc".parse().unwrap(),
            tree_id: "t".into(),
            tree: Arc::new(files),
        };
        let object = json!({
            "apiVersion": "source.extensions.fluxcd.io/v1beta1", "kind": "ArtifactGenerator",
            "metadata": {"name": "g", "namespace": "flux-system"},
            "spec": {"sources": [{"alias": "repo", "kind": "GitRepository", "name": "fleet"}],
                     "artifacts": [{"name": "made", "originRevision": "@repo", "copy": copies}]},
        });
        let object = Object::parse(object).unwrap();
        let source: SourceKey = "GitRepository/flux-system/fleet".parse().unwrap();
        let made = generate(&object, |_| Ok((source.clone(), pinned.clone()))).unwrap();
        let key: SourceKey = "ExternalArtifact/flux-system/made".parse().unwrap();
        made[&key].clone()
    }

    fn paths(tree: &dyn Tree, folder: &str) -> Vec<String> {
        let mut all = Vec::new();
        for name in tree.list(folder).unwrap() {
            let path = join(folder, &name);
            match tree.entry(&path).unwrap().unwrap() {
                Entry::Folder => all.extend(paths(tree, &path)),
                _ => all.push(path),
            }
        }
        all
    }

    #[test]
    fn files_are_put_where_cp_would_put_them() {
        let table = [
            (
                json!([{"from": "@repo/infra/**", "to": "@artifact/"}]),
                vec!["d.yaml"],
            ),
            (
                json!([{"from": "@repo/apps/base/**", "to": "@artifact/base/"}, {"from": "@repo/apps/prod/**", "to": "@artifact/prod/"}]),
                vec!["base/a.yaml", "base/deep/b.yaml", "prod/c.yaml"],
            ),
            (
                json!([{"from": "@repo/infra", "to": "@artifact/x/"}]),
                vec!["x/infra/d.yaml"],
            ),
            (
                json!([{"from": "@repo/infra/d.yaml", "to": "@artifact/x"}]),
                vec!["x"],
            ),
            (
                json!([{"from": "@repo/infra/d.yaml", "to": "@artifact/x/"}]),
                vec!["x/d.yaml"],
            ),
            (
                json!([{"from": "@repo/*.md", "to": "@artifact/"}]),
                vec!["README.md"],
            ),
            (
                json!([{"from": "@repo/apps/*/c.yaml", "to": "@artifact/"}]),
                vec!["apps/prod/c.yaml"],
            ),
            (
                json!([{"from": "@repo/none", "to": "@artifact/", "optional": true}]),
                vec![],
            ),
        ];
        for (copies, expect) in table {
            let made = generated(copies.clone()).unwrap_or_else(|it| panic!("{copies}: {it}"));
            assert_eq!(paths(made.pinned.tree.as_ref(), ""), expect, "{copies}");
        }
    }

    #[test]
    fn what_is_made_goes_by_its_content_and_its_origin() {
        let copies = json!([{"from": "@repo/infra/**", "to": "@artifact/"}]);
        let (made, again) = (
            generated(copies.clone()).unwrap(),
            generated(copies).unwrap(),
        );
        assert_eq!(made.pinned.tree_id, again.pinned.tree_id);
        assert_eq!(made.origin.to_string(), "GitRepository/flux-system/fleet");
        assert_eq!(made.pinned.revision.as_str(), "main@sha1:abc");
        assert_eq!(&*made.pinned.tree.read("d.yaml").unwrap(), b"d");
        let other = generated(json!([{"from": "@repo/apps/**", "to": "@artifact/"}])).unwrap();
        assert_ne!(made.pinned.tree_id, other.pinned.tree_id);
    }

    #[test]
    fn what_cannot_be_made_is_said() {
        let table = [
            (
                json!([{"from": "@other/x", "to": "@artifact/"}]),
                "no source has the alias `other`",
            ),
            (json!([{"from": "x", "to": "@artifact/"}]), "@alias/pattern"),
            (json!([{"from": "@repo/x", "to": "@artifact/../x"}]), "`..`"),
            (
                json!([{"from": "@repo/x", "to": "x"}]),
                "begin with @artifact/",
            ),
            (
                json!([{"from": "@repo/none/**", "to": "@artifact/"}]),
                "nothing matches",
            ),
            (
                json!([{"from": "@repo/none", "to": "@artifact/"}]),
                "there is no `none`",
            ),
            (
                json!([{"from": "@repo/x", "to": "@artifact/", "strategy": "Merge"}]),
                "not there yet",
            ),
        ];
        for (copies, expect) in table {
            let problem = generated(copies.clone())
                .err()
                .unwrap_or_else(|| panic!("{copies}"));
            assert!(problem.to_string().contains(expect), "{copies}: {problem}");
        }
    }
}
