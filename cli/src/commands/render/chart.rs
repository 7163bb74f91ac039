//! Charts.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, anyhow, bail};
use capstan_helm::{
    Chart, Files, HelmVersion, Now, Secret, StrvalsError, TemplateOptions, TextOptions, Values,
    template,
};

use super::ChartFlags;

/// Files that one chart folder may have: what Helm's own limit on archives comes to.
const MAX_FILES: usize = 20_000;
/// Folders below each other.
const MAX_DEPTH: usize = 64;

/// What the chart at `path` (a folder or an archive) gives. Nothing above `root` is read.
pub(super) fn render(path: &Path, root: &Path, flags: &ChartFlags) -> anyhow::Result<String> {
    let chart = load(path, root)?;
    let options = options(flags)?;
    template(&chart, &options).map_err(|error| anyhow!("{error}"))
}

/// Reads a chart from a folder or an archive.
pub(super) fn load(path: &Path, root: &Path) -> anyhow::Result<Chart> {
    let chart = if path.is_dir() {
        let mut files = Files::new();
        read_below(path, root, "", 0, &mut files)?;
        Chart::load(&files)
    } else {
        Chart::from_archive(&fs::read(path).with_context(|| path.display().to_string())?)
    };
    chart.map_err(|error| anyhow!("{error}"))
}

/// The files below `folder`, by path. Links are followed as Helm follows them, but not out of `root`.
fn read_below(
    folder: &Path,
    root: &Path,
    prefix: &str,
    depth: usize,
    files: &mut Files,
) -> anyhow::Result<()> {
    if depth > MAX_DEPTH {
        bail!(
            "{}: more than {MAX_DEPTH} folders below each other",
            folder.display()
        );
    }
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let real = entry
            .path()
            .canonicalize()
            .with_context(|| entry.path().display().to_string())?;
        if !real.starts_with(root) {
            bail!("{} leads out of {}", entry.path().display(), root.display());
        }
        let path = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}/{name}")
        };
        if real.is_dir() {
            read_below(&real, root, &path, depth + 1, files)?;
        } else if real.is_file() {
            let content = fs::read(&real).with_context(|| real.display().to_string())?;
            files.insert(path, Arc::from(content));
        }
        if files.len() > MAX_FILES {
            bail!("more than {MAX_FILES} files in the chart");
        }
    }
    Ok(())
}

fn options(flags: &ChartFlags) -> anyhow::Result<TemplateOptions> {
    let version = if flags.helm_version == "3" {
        HelmVersion::V3
    } else {
        HelmVersion::V4
    };
    let mut options = TemplateOptions::new(version, now(), fresh_secret()?);
    options.name_template.clone_from(&flags.name_template);
    options.namespace.clone_from(&flags.namespace);
    options.is_upgrade = flags.is_upgrade;
    options.kube_version.clone_from(&flags.kube_version);
    options.api_versions.clone_from(&flags.api_versions);
    options.text = TextOptions {
        include_crds: flags.include_crds,
        no_hooks: flags.no_hooks,
        skip_tests: flags.skip_tests,
    };
    options.show_only.clone_from(&flags.show_only);
    options.skip_schema_validation = flags.skip_schema_validation;
    options.values = values(flags, version)?;
    Ok(options)
}

/// What the flags give together: Helm goes by their kinds, not by the order in which they stand.
fn values(flags: &ChartFlags, version: HelmVersion) -> anyhow::Result<Values> {
    let mut values = Values::new();
    for file in &flags.values {
        let text = read_values(file).with_context(|| file.display().to_string())?;
        let given = Values::parse(&text, version)
            .map_err(|error| anyhow!("failed to parse {}: {error}", file.display()))?;
        values = values.merged(&given);
    }
    let failed = |flag: &'static str| {
        move |error: StrvalsError| anyhow!("failed parsing {flag} data: {error}")
    };
    for json in &flags.set_json {
        values = values
            .set_json(json, version)
            .map_err(failed("--set-json"))?;
    }
    for assignment in &flags.set {
        values = values.set(assignment).map_err(failed("--set"))?;
    }
    for assignment in &flags.set_string {
        values = values
            .set_string(assignment)
            .map_err(failed("--set-string"))?;
    }
    for assignment in &flags.set_file {
        let mut read = |path: &str| fs::read(path).map_err(|error| format!("{path}: {error}"));
        values = values
            .set_file(assignment, &mut read)
            .map_err(failed("--set-file"))?;
    }
    for assignment in &flags.set_literal {
        values = values
            .set_literal(assignment)
            .map_err(failed("--set-literal"))?;
    }
    Ok(values)
}

/// A values file, or stdin.
fn read_values(file: &Path) -> std::io::Result<Vec<u8>> {
    if file.as_os_str() != "-" {
        return fs::read(file);
    }
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text)?;
    Ok(text)
}

/// The present.
pub(super) fn now() -> Now {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Now {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: since.subsec_nanos(),
    }
}

/// What random values of this render come from.
pub(super) fn fresh_secret() -> anyhow::Result<Secret> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no randomness: {error}"))?;
    Ok(Secret::new(bytes))
}

/// Options for a chart of a kustomization, with nothing set yet.
pub(super) fn defaults() -> anyhow::Result<TemplateOptions> {
    Ok(TemplateOptions::new(
        HelmVersion::V4,
        now(),
        fresh_secret()?,
    ))
}

/// The files of a chart that lies in a tree.
pub(super) fn files_of(tree: &dyn capstan_kustomize::Tree, folder: &str) -> Result<Files, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for name in tree.list(&folder).map_err(|it| it.to_string())? {
            let (full, path) = (format!("{folder}/{name}"), format!("{prefix}{name}"));
            match tree.entry(&full).map_err(|it| it.to_string())? {
                Some(capstan_kustomize::Entry::Folder) => folders.push((full, format!("{path}/"))),
                Some(capstan_kustomize::Entry::File(_)) => {
                    files.insert(path, tree.read(&full).map_err(|it| it.to_string())?);
                }
                _ => {}
            }
            if files.len() > MAX_FILES {
                return Err(format!("more than {MAX_FILES} files in the chart"));
            }
        }
    }
    Ok(files)
}
