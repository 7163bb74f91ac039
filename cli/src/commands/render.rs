//! `capstan render`: what a kustomization, a folder or a chart gives, without a hub.

mod chart;
mod folder;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use crate::output;

/// `capstan render PATH`.
#[derive(Args, Debug)]
pub(crate) struct Render {
    /// A folder with a kustomization file, a folder of plain YAML, a chart folder or a chart archive.
    path: PathBuf,
    /// Nothing above this folder is read. By default the enclosing Git work tree; no limit where there is none.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Show where each object came from instead of the objects (kustomizations and folders).
    #[arg(long)]
    tree: bool,
    #[command(flatten)]
    chart: ChartFlags,
}

/// Helm's own flag names.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Charts")]
pub(crate) struct ChartFlags {
    /// Name of the release, which may be a template; `release-name` where nothing is said.
    #[arg(long, value_name = "NAME")]
    pub(crate) name_template: Option<String>,
    /// Namespace of the release.
    #[arg(long, short, default_value = "default")]
    pub(crate) namespace: String,
    /// A values file, `-` for stdin; repeat it for more, later ones win.
    #[arg(long, short = 'f', value_name = "FILE", value_delimiter = ',')]
    pub(crate) values: Vec<PathBuf>,
    /// Set a value: key1=val1,key2=val2.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Set a text: key1=val1,key2=val2.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set_string: Vec<String>,
    /// Set a value from JSON: key1=jsonval1,key2=jsonval2.
    #[arg(long, value_name = "KEY=JSON")]
    pub(crate) set_json: Vec<String>,
    /// Set a text to what a file holds: key1=path1,key2=path2.
    #[arg(long, value_name = "KEY=FILE")]
    pub(crate) set_file: Vec<String>,
    /// Set a text as it stands, commas and backslashes included.
    #[arg(long, value_name = "KEY=TEXT")]
    pub(crate) set_literal: Vec<String>,
    /// Kubernetes version of the cluster.
    #[arg(long, value_name = "VERSION")]
    pub(crate) kube_version: Option<String>,
    /// Further API versions that the cluster serves.
    #[arg(
        long,
        short,
        value_name = "GROUP/VERSION[/KIND]",
        value_delimiter = ','
    )]
    pub(crate) api_versions: Vec<String>,
    /// Print the definitions of the chart's crds folder too.
    #[arg(long)]
    pub(crate) include_crds: bool,
    /// Leave hooks out.
    #[arg(long)]
    pub(crate) no_hooks: bool,
    /// Leave tests out.
    #[arg(long)]
    pub(crate) skip_tests: bool,
    /// Print only what these templates give: paths below the chart, or patterns.
    #[arg(long, short, value_name = "TEMPLATE")]
    pub(crate) show_only: Vec<String>,
    /// Leave `values.schema.json` aside.
    #[arg(long)]
    pub(crate) skip_schema_validation: bool,
    /// Render as for an upgrade, not an install.
    #[arg(long)]
    pub(crate) is_upgrade: bool,
    /// File that random passwords, keys and certificates are derived from: with the same one they come out the same. By default each render
    /// draws its own.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Whose rules hold.
    #[arg(long, value_name = "3|4", default_value = "4", value_parser = ["3", "4"])]
    pub(crate) helm_version: String,
}

/// Renders and prints.
pub(crate) fn run(args: &Render) -> anyhow::Result<()> {
    output::print(&render_text(args)?)
}

/// What is printed.
pub(crate) fn render_text(args: &Render) -> anyhow::Result<String> {
    let path = args
        .path
        .canonicalize()
        .with_context(|| args.path.display().to_string())?;
    let root = root(&path, args.root.as_deref())?;
    if is_chart(&path) {
        chart::render(&path, &root, &args.chart)
    } else {
        folder::render(&path, &root, args.tree)
    }
}

fn is_chart(path: &Path) -> bool {
    path.is_file() || path.join("Chart.yaml").is_file()
}

/// The folder above which nothing is read.
fn root(path: &Path, given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let Some(given) = given else {
        let work_tree = path.ancestors().find(|it| it.join(".git").exists());
        return Ok(work_tree.unwrap_or(Path::new("/")).to_owned());
    };
    let root = given
        .canonicalize()
        .with_context(|| given.display().to_string())?;
    if !path.starts_with(&root) {
        bail!(
            "{} is not below the root {}",
            path.display(),
            root.display()
        );
    }
    Ok(root)
}

#[cfg(test)]
mod tests;
