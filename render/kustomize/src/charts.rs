//! `helmCharts`: charts that lie in the tree, rendered by whatever the caller brings.

use capstan_goyaml::{Kind, Node, Style};
use serde_json::Value;

use crate::error::{Context, Error, ErrorKind, Result};
use crate::kustomization::HelmChart;
use crate::patch::merge;
use crate::resource::{Resource, parse};
use crate::target::Target;
use crate::tree::{self, Resolved, Tree};
use crate::yaml;

/// Where charts lie if a kustomization does not say.
const DEFAULT_HOME: &str = "charts";
const VALUES_MERGES: [&str; 3] = ["merge", "override", "replace"];

/// A chart to render, with what `helm template` would be called with.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartRequest {
    /// The folder of the chart, as a path in the tree.
    pub path: String,
    /// The release; none asks for a generated name.
    pub release_name: Option<String>,
    /// The namespace; empty for the default.
    pub namespace: String,
    /// `--name-template`; empty for none.
    pub name_template: String,
    /// Values as YAML texts, later ones win.
    pub values: Vec<String>,
    /// `--api-versions`
    pub api_versions: Vec<String>,
    /// `--kube-version`; empty for the default.
    pub kube_version: String,
    /// `--include-crds`
    pub include_crds: bool,
    /// `--skip-tests`
    pub skip_tests: bool,
    /// `--no-hooks`
    pub skip_hooks: bool,
}

/// Renders charts for `helmCharts`.
pub trait ChartRenderer {
    /// What `helm template` would print, or why it cannot.
    fn render(
        &self,
        tree: &dyn Tree,
        request: &ChartRequest,
    ) -> std::result::Result<String, String>;
}

/// Checks an entry and fills in what it leaves open.
pub(crate) fn check(chart: &mut HelmChart, target: &Target<'_>) -> Result<()> {
    if target.session.options.charts.is_none() {
        return Err(Error::new(
            ErrorKind::NotAvailable,
            "must specify --enable-helm",
        ));
    }
    if chart.name.is_empty() {
        return Err(Error::invalid("chart name cannot be empty"));
    }
    if chart.chart_home.is_empty() {
        DEFAULT_HOME.clone_into(&mut chart.chart_home);
    }
    if chart.values_merge.is_empty() {
        "override".clone_into(&mut chart.values_merge);
    }
    for file in &chart.additional_values_files {
        target
            .loader
            .load(file)
            .context("could not load additionalValuesFile")?;
    }
    if !VALUES_MERGES.contains(&&*chart.values_merge) {
        return Err(Error::invalid(
            "valuesMerge must be one of [merge override replace]",
        ));
    }
    Ok(())
}

/// The entry as an error message shows it.
pub(crate) fn shown(chart: &HelmChart) -> String {
    let fields = [
        ("chartHome", &chart.chart_home),
        ("name", &chart.name),
        ("namespace", &chart.namespace),
        ("releaseName", &chart.release_name),
        ("repo", &chart.repo),
        ("valuesFile", &chart.values_file),
        ("version", &chart.version),
    ];
    let set = fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| ((*key).to_owned(), value.as_str().into()));
    yaml::json_to_output(&Value::Object(set.collect())).unwrap_or_default()
}

pub(crate) fn render(chart: &HelmChart, target: &Target<'_>) -> Result<Vec<Resource>> {
    let renderer = target
        .session
        .options
        .charts
        .ok_or_else(|| Error::new(ErrorKind::NotAvailable, "must specify --enable-helm"))?;
    let home = if !chart.version.is_empty() && !chart.repo.is_empty() {
        format!("{}/{}-{}", chart.chart_home, chart.name, chart.version)
    } else {
        chart.chart_home.clone()
    };
    let written = format!("{home}/{}", chart.name);
    let tree = target.loader.reader.tree();
    let found = tree::resolve(tree, target.loader.root(), &written)
        .map_err(|e| Error::new(ErrorKind::Tree, e.to_string()))?;
    let Resolved::Folder(path) = found else {
        let message = if chart.repo.is_empty() {
            let shown = format!("{}/{written}", target.loader.shown_root());
            format!("no repo specified for pull, no chart found at '{shown}'")
        } else {
            format!(
                "chart '{}' of {} is remote and was not fetched for this build; vendor it into {home}",
                chart.name, chart.repo
            )
        };
        return Err(Error::new(ErrorKind::NotAvailable, message));
    };
    let mut values = vec![values(chart, &written, target)?];
    for file in &chart.additional_values_files {
        values.push(target.loader.load(file)?.text().into_owned());
    }
    let request = ChartRequest {
        path,
        release_name: Some(chart.release_name.clone()).filter(|name| !name.is_empty()),
        namespace: chart.namespace.clone(),
        name_template: chart.name_template.clone(),
        values,
        api_versions: chart.api_versions.clone(),
        kube_version: chart.kube_version.clone(),
        include_crds: chart.include_crds,
        skip_tests: chart.skip_tests,
        skip_hooks: chart.skip_hooks,
    };
    let text = renderer
        .render(tree, &request)
        .map_err(|reason| Error::invalid(format!("render chart {}: {reason}", request.path)))?;
    let mut objects = parse::objects(&text, &target.session.schema())
        .context("could not parse rnode slice into resource map")?;
    objects
        .iter_mut()
        .for_each(|object| object.memory.from_helm = true);
    Ok(objects)
}

/// Takes the quotes off values, which keep nothing here: a value has its type, and one that takes its place may have another.
fn unquote(node: &mut Node) {
    if node.kind == Kind::Scalar {
        node.style = Style::NONE;
    }
    // Keys stand before their values.
    let (first, step) = if node.kind == Kind::Mapping {
        (1, 2)
    } else {
        (0, 1)
    };
    node.content
        .iter_mut()
        .skip(first)
        .step_by(step)
        .for_each(unquote);
}

/// The values file, with the inline values merged as asked.
fn values(chart: &HelmChart, chart_path: &str, target: &Target<'_>) -> Result<String> {
    let default = format!("{chart_path}/values.yaml");
    let path = if chart.values_file.is_empty() {
        &default
    } else {
        &chart.values_file
    };
    let inline = chart
        .values_inline
        .as_object()
        .filter(|map| !map.is_empty());
    let Some(inline) = inline else {
        return Ok(target.loader.load(path)?.text().into_owned());
    };
    let mut inline = yaml::json_to_node(&Value::Object(inline.clone()));
    unquote(&mut inline);
    let merged = if chart.values_merge == "replace" {
        inline
    } else {
        let file = target.loader.load(path)?;
        let parsed = yaml::parse_one(&file.text()).map_err(|e| {
            Error::invalid(format!("could not parse values file into rnode: {e}"))
                .at_line(e.line())
                .in_file(&file.path)
        })?;
        let mut file_values =
            parsed.ok_or_else(|| Error::invalid("could not parse values file into rnode: EOF"))?;
        unquote(&mut file_values);
        let (mut dest, mut source) = if chart.values_merge == "merge" {
            (inline, file_values)
        } else {
            (file_values, inline)
        };
        let kept = merge::merge(&mut dest, &mut source, &target.session.schema())
            .context("could not merge values")?;
        if kept { dest } else { Node::mapping([]) }
    };
    let value = yaml::object_to_json(&merged)
        .map_err(|e| Error::invalid(format!("could not parse merged values into map: {e}")))?;
    yaml::json_to_output(&value).map_err(|e| Error::invalid(e.to_string()))
}
