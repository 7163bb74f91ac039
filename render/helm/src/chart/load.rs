//! From files to a [`Chart`], with Helm's rules about what each file is.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use capstan_gotemplate::Str;

use super::files::{Files, strip_bom};
use super::ignore::IgnoreRules;
use super::metadata::Metadata;
use super::{Chart, Inner, SchemaFile, TemplateCache, archive, archive::Budget};
use crate::error::ChartError;
use crate::values::load_default_values;

/// Bytes of one file of a chart: Helm 3's own limit.
pub const MAX_FILE_BYTES: usize = 5 * 1024 * 1024;
/// Bytes of all files of a chart folder: Helm's own limit for archives.
pub const MAX_CHART_BYTES: usize = 100 * 1024 * 1024;
/// Files that a chart's folder may have, for those who read it: what Helm's own limit on archives comes to.
pub const MAX_CHART_FILES: usize = 20_000;
/// Folders below each other in it.
pub const MAX_CHART_DEPTH: usize = 64;
/// How deep charts may be packed inside charts. People go three deep.
pub const MAX_CHART_NESTING: usize = 20;

/// A chart out of a folder.
pub(super) fn folder(files: &Files) -> Result<Chart, ChartError> {
    let rules = match files.get(".helmignore") {
        Some(text) => IgnoreRules::parse(&String::from_utf8_lossy(text))?,
        None => IgnoreRules::parse("")?,
    };
    let mut kept = Files::new();
    let mut total = 0;
    for (path, data) in files {
        if rules.ignores_file(path) {
            continue;
        }
        total += data.len();
        if data.len() > MAX_FILE_BYTES {
            return Err(ChartError::FileTooLarge { path: path.clone() });
        }
        if total > MAX_CHART_BYTES {
            return Err(ChartError::TooLarge);
        }
        let data = if data.starts_with(b"\xef\xbb\xbf") {
            Arc::from(strip_bom(data))
        } else {
            Arc::clone(data)
        };
        kept.insert(path.clone(), data);
    }
    build(&kept, 0, &mut Budget::new())
}

/// A chart out of an archive.
pub(super) fn archive(bytes: &[u8]) -> Result<Chart, ChartError> {
    let mut budget = Budget::new();
    build(&archive::unpack(bytes, &mut budget)?, 0, &mut budget)
}

/// Files by what they are to a chart.
#[derive(Default)]
struct Sorted {
    templates: Vec<(String, Str)>,
    files: BTreeMap<Str, Str>,
    /// By the first segment below `charts/`; paths are those below `charts/`.
    charts: BTreeMap<String, Files>,
}

fn build(files: &Files, depth: usize, budget: &mut Budget) -> Result<Chart, ChartError> {
    if depth > MAX_CHART_NESTING {
        return Err(ChartError::TooDeep);
    }
    let mut metadata = files
        .get("Chart.yaml")
        .map(|text| Metadata::parse(text))
        .transpose()
        .map_err(|reason| ChartError::file("Chart.yaml", reason))?;
    let values = files.get("values.yaml").map_or_else(
        || load_default_values(b""),
        |text| load_default_values(text),
    );
    if let Some(text) = files.get("requirements.yaml") {
        let metadata = metadata.get_or_insert_default();
        metadata
            .read(text)
            .map_err(|reason| ChartError::file("requirements.yaml", reason))?;
    }
    let mut metadata = metadata.ok_or(ChartError::NoChartYaml)?;
    if metadata.api_version.is_empty() {
        return Err(ChartError::Invalid(
            "chart.metadata.apiVersion is required".to_owned(),
        ));
    }
    metadata.validate().map_err(ChartError::Invalid)?;
    let sorted = sort(files, &metadata);
    let mut dependencies = Vec::new();
    for (name, files) in sorted.charts {
        if name.starts_with(['_', '.']) {
            continue;
        }
        let chart =
            subchart(&name, &files, depth, budget).map_err(|source| ChartError::Subchart {
                name: name.clone(),
                parent: metadata.name.clone(),
                source: Box::new(source),
            })?;
        dependencies.push(chart);
    }
    let schema = files.get("values.schema.json").map(|text| SchemaFile {
        text: Arc::clone(text),
        compiled: OnceLock::new(),
    });
    Ok(Chart(Arc::new(Inner {
        metadata,
        templates: sorted.templates,
        files: sorted.files,
        values,
        schema,
        dependencies,
        cache: TemplateCache::default(),
        heads: crate::head::HeadCache::default(),
    })))
}

fn sort(files: &Files, metadata: &Metadata) -> Sorted {
    let mut sorted = Sorted::default();
    for (path, data) in files {
        let mut plain = || {
            sorted
                .files
                .insert(Str::from(path.as_str()), Str::from(Arc::clone(data)));
        };
        match path.as_str() {
            "Chart.yaml" | "Chart.lock" | "values.yaml" | "values.schema.json" => {}
            "requirements.yaml" | "requirements.lock" => {
                if metadata.api_version == "v1" {
                    plain();
                }
            }
            _ if path.starts_with("templates/") => sorted
                .templates
                .push((path.clone(), Str::from(Arc::clone(data)))),
            _ => match path.strip_prefix("charts/") {
                // Signatures of packed charts stand beside them.
                Some(rest) if !rest.ends_with(".prov") => {
                    let name = rest.split('/').next().unwrap_or(rest);
                    sorted
                        .charts
                        .entry(name.to_owned())
                        .or_default()
                        .insert(rest.to_owned(), Arc::clone(data));
                }
                _ => plain(),
            },
        }
    }
    sorted
}

/// A chart below `charts/`: a packed one or a folder. A packed one may not sit in a folder of its name.
fn subchart(
    name: &str,
    files: &Files,
    depth: usize,
    budget: &mut Budget,
) -> Result<Chart, ChartError> {
    if name.ends_with(".tgz") {
        let Some(packed) = files.get(name) else {
            return Err(ChartError::NotPacked {
                name: name.to_owned(),
            });
        };
        return build(&archive::unpack(packed, budget)?, depth + 1, budget);
    }
    let below = files
        .iter()
        .filter_map(|(path, data)| Some((path.split_once('/')?.1.to_owned(), Arc::clone(data))));
    build(&below.collect(), depth + 1, budget)
}
