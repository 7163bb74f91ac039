//! Folders and kustomizations.

use std::path::Path;

use anyhow::{Context, anyhow};
use capstan_kustomize::{Build, KUSTOMIZATION_FILES, Options, build, flux};
use capstan_render::Charts;

use super::chart::{fresh_secret, now, tell_lookups};
use crate::disk::DiskTree;

/// What the folder `path`, which lies below `root`, gives; or where each object came from.
pub(super) fn render(path: &Path, root: &Path, tree: bool) -> anyhow::Result<String> {
    let disk = DiskTree::new(root);
    let inside = path
        .strip_prefix(root)
        .context("the path is not below the root")?;
    let inside = inside.to_str().context("the path is not text")?;
    let display_root = root.to_string_lossy();
    let charts = Charts::new(now(), fresh_secret()?);
    let options = Options {
        display_root: display_root.trim_end_matches('/'),
        charts: Some(&charts),
        ..Options::default()
    };
    let built = if KUSTOMIZATION_FILES.iter().any(|it| path.join(it).is_file()) {
        build(&disk, inside, &options)
    } else {
        flux::build(&disk, inside, &flux::FluxSpec::default(), &options)
    };
    let built = built.map_err(|error| anyhow!("{error}"))?;
    tell_lookups(&charts.take_lookups());
    for warning in &built.warnings {
        crate::output::tell(warning);
    }
    let text = if tree {
        origins(&built)
    } else {
        built.to_yaml()
    };
    // The process is about to end: taking a large result apart would be waited for.
    std::mem::forget(built);
    Ok(text)
}

/// A line for each object, and one below it for each layer that changed it.
fn origins(built: &Build) -> String {
    let mut out = String::new();
    for object in &built.objects {
        let id = &object.id;
        let namespace = if id.namespace.is_empty() {
            String::new()
        } else {
            format!("{}/", id.namespace)
        };
        let origin = &object.origin;
        let line = if origin.line > 0 {
            format!(":{}", origin.line)
        } else {
            String::new()
        };
        let made = origin
            .generator
            .as_ref()
            .map(|it| format!(" ({it})"))
            .unwrap_or_default();
        out.push_str(&format!(
            "{}/{namespace}{}  {}{line}{made}\n",
            id.gvk.kind, id.name, origin.file
        ));
        for layer in &object.layers {
            out.push_str(&format!("  {}  {}\n", layer.file, layer.transformer));
        }
    }
    out
}
