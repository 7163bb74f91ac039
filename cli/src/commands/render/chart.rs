//! Charts.

use std::{
    fs,
    io::Read,
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, anyhow, bail};
use capstan_helm::{
    Chart, Files, HelmVersion, Lookup, Now, Secret, StrvalsError, TemplateOptions, TextOptions,
    Values,
    chart::{IgnoreRules, MAX_CHART_BYTES, MAX_CHART_DEPTH, MAX_CHART_FILES, MAX_FILE_BYTES},
    template_with_lookups,
};

use super::ChartFlags;
use crate::output;

/// What says which files of a folder are no part of the chart.
const HELM_IGNORE: &str = ".helmignore";
/// The fewest bytes of a secret file: what is derived from fewer could be guessed.
const MIN_SECRET_BYTES: usize = 32;

/// What the chart at `path` (a folder or an archive) gives. Nothing above `root` is read.
pub(super) fn render(path: &Path, root: &Path, flags: &ChartFlags) -> anyhow::Result<String> {
    let chart = load(path, root)?;
    let options = options(flags)?;
    let (text, lookups) =
        template_with_lookups(&chart, &options).map_err(|error| anyhow!("{error}"))?;
    tell_lookups(&lookups);
    // The process is about to end: taking a large chart apart would be waited for.
    std::mem::forget((chart, options));
    Ok(text)
}

/// Says what a render without a cluster did not find.
pub(super) fn tell_lookups(lookups: &[Lookup]) {
    for lookup in lookups {
        output::tell(&format!(
            "The chart looks up {lookup} in the cluster; without one it was rendered as if there were none."
        ));
    }
}

/// Reads a chart from a folder or an archive.
pub(super) fn load(path: &Path, root: &Path) -> anyhow::Result<Chart> {
    let chart = if path.is_dir() {
        let ignore = path.join(HELM_IGNORE);
        let ignore = match ignore.is_file() {
            true => read_bounded(&ignore, MAX_FILE_BYTES)?,
            false => Vec::new(),
        };
        let rules = IgnoreRules::parse(&String::from_utf8_lossy(&ignore))?;
        let mut files = Files::new();
        Folder { root, rules }.read(path, "", 0, &mut files)?;
        Chart::load(&files)
    } else {
        Chart::from_archive(&read_bounded(path, MAX_CHART_BYTES)?)
    };
    chart.map_err(|error| anyhow!("{error}"))
}

/// A file, unless it is larger than it may be.
fn read_bounded(path: &Path, max_bytes: usize) -> anyhow::Result<Vec<u8>> {
    let shown = || path.display().to_string();
    let file = fs::File::open(path).with_context(shown)?;
    let length = file.metadata().map_or(0, |it| it.len());
    // One more than there is, so that the end is seen without growing.
    let room = usize::try_from(length).map_or(max_bytes, |it| it.min(max_bytes)) + 1;
    let mut content = Vec::with_capacity(room);
    file.take(max_bytes as u64 + 1)
        .read_to_end(&mut content)
        .with_context(shown)?;
    if content.len() > max_bytes {
        bail!(
            "chart file {:?} is larger than the maximum file size {max_bytes}",
            shown()
        );
    }
    Ok(content)
}

/// A chart's folder that is being read. Links are followed as Helm follows them, but not out of `root`.
struct Folder<'r> {
    root: &'r Path,
    rules: IgnoreRules,
}

impl Folder<'_> {
    /// Reads the files below `folder`, which has no links in its path. What `.helmignore` leaves out is not read.
    fn read(
        &self,
        folder: &Path,
        prefix: &str,
        depth: usize,
        files: &mut Files,
    ) -> anyhow::Result<()> {
        if depth > MAX_CHART_DEPTH {
            bail!(
                "{}: more than {MAX_CHART_DEPTH} folders below each other",
                folder.display()
            );
        }
        for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let shown = entry.path();
            let failed = || shown.display().to_string();
            let mut kind = entry.file_type().with_context(failed)?;
            let mut real = shown.clone();
            if kind.is_symlink() {
                real = shown.canonicalize().with_context(failed)?;
                kind = real.metadata().with_context(failed)?.file_type();
            }
            let path = format!("{prefix}{name}");
            let is_folder = kind.is_dir();
            if self.rules.ignores(&path, is_folder) {
                continue;
            }
            if !real.starts_with(self.root) {
                bail!("{} leads out of {}", shown.display(), self.root.display());
            }
            if is_folder {
                self.read(&real, &format!("{path}/"), depth + 1, files)?;
            } else if kind.is_file() {
                let content = read_bounded(&real, MAX_FILE_BYTES)?;
                files.insert(path, Arc::from(content));
            } else {
                bail!("cannot load irregular file {path} as it has file mode type bits set");
            }
            if files.len() > MAX_CHART_FILES {
                bail!(
                    "more than {MAX_CHART_FILES} files in the chart; leave files out with .helmignore"
                );
            }
        }
        Ok(())
    }
}

fn options(flags: &ChartFlags) -> anyhow::Result<TemplateOptions> {
    let version = if flags.helm_version == "3" {
        HelmVersion::V3
    } else {
        HelmVersion::V4
    };
    let secret = match &flags.secret_file {
        Some(file) => secret_of(file)?,
        None => fresh_secret()?,
    };
    let mut options = TemplateOptions::new(version, now(), secret);
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

/// The secret in a file, of any length that cannot be guessed.
fn secret_of(file: &Path) -> anyhow::Result<Secret> {
    let content = read_bounded(file, MAX_FILE_BYTES)?;
    if content.len() < MIN_SECRET_BYTES {
        bail!(
            "{}: a secret has at least {MIN_SECRET_BYTES} bytes; `head -c 32 /dev/urandom` makes one",
            file.display()
        );
    }
    Ok(Secret::of(&content))
}
