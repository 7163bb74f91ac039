//! Errors at the border of the crate, in the words of Helm where Helm has any.

use crate::HelmVersion;
use crate::chart::{ArchiveError, IgnoreError, MAX_CHART_BYTES, MAX_CHART_NESTING, MAX_FILE_BYTES};
use crate::context::Lookup;

/// Why files are no chart.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// There is no `Chart.yaml`.
    #[error("Chart.yaml file is missing")]
    NoChartYaml,
    /// A file of the chart cannot be read.
    #[error("cannot load {file}: {reason}")]
    File {
        /// Which.
        file: &'static str,
        /// Why.
        reason: String,
    },
    /// `Chart.yaml` says something that is not allowed.
    #[error("validation: {0}")]
    Invalid(String),
    /// A chart in `charts/` is none.
    #[error("error unpacking subchart {name} in {parent}: {source}")]
    Subchart {
        /// Its folder or file.
        name: String,
        /// The chart that it is in.
        parent: String,
        /// Why.
        source: Box<ChartError>,
    },
    /// A folder is named like a packed chart.
    #[error("error unpacking subchart tar: {name} is a folder; it should be a packed chart")]
    NotPacked {
        /// The folder.
        name: String,
    },
    /// The archive cannot be taken.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// `.helmignore` cannot be read.
    #[error(transparent)]
    Ignore(#[from] IgnoreError),
    /// A file is larger than [`MAX_FILE_BYTES`].
    #[error(
        "chart file {path:?} is larger than the maximum file size {MAX_FILE_BYTES}; leave it out with .helmignore"
    )]
    FileTooLarge {
        /// The file.
        path: String,
    },
    /// All files are larger than [`MAX_CHART_BYTES`].
    #[error(
        "chart is larger than the maximum size {MAX_CHART_BYTES}; leave files out with .helmignore"
    )]
    TooLarge,
    /// More than [`MAX_CHART_NESTING`].
    #[error("charts are packed inside charts more than {MAX_CHART_NESTING} levels deep")]
    TooDeep,
}

impl ChartError {
    pub(crate) fn file(file: &'static str, reason: String) -> Self {
        Self::File { file, reason }
    }
}

/// Why a chart does not render.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The release's name is not one that Helm takes.
    #[error("{}release name {}: {reason}", if *.version == HelmVersion::V4 { "release name check failed: " } else { "" }, quoted(name))]
    ReleaseName {
        /// The name.
        name: String,
        /// Why.
        reason: &'static str,
        /// Whose words to use.
        version: HelmVersion,
    },
    /// The chart cannot be installed by itself.
    #[error("{chart_type} charts are not installable")]
    NotInstallable {
        /// Its type.
        chart_type: String,
    },
    /// Helm 4 takes charts of `apiVersion` v1 and v2 only, Helm 3 whatever it says.
    #[error("{}", if .0 == "v3" { "invalid chart apiVersion" } else { "unsupported chart version" })]
    ApiVersion(String),
    /// Declared dependencies are not there.
    #[error("{}: found in Chart.yaml, but missing in charts/ directory: {}", missing_dependencies(*.version), .names.join(", "))]
    MissingDependencies {
        /// Their names.
        names: Vec<String>,
        /// Whose words to use.
        version: HelmVersion,
    },
    /// The chart's own values cannot be read in this version.
    #[error("{}cannot load values.yaml: {reason}", unpacking(.subchart.as_ref()))]
    ChartValues {
        /// The chart and its parent, where it is not the release's own.
        subchart: Option<(String, String)>,
        /// Why.
        reason: String,
    },
    /// A chart's values are not a map.
    #[error("type mismatch on {chart}: {value}")]
    ValuesTypeMismatch {
        /// The chart.
        chart: String,
        /// What there is.
        value: String,
    },
    /// Which dependencies are on cannot be decided. Helm 4 puts words before the reason.
    #[error("{}{reason}", if *.version == HelmVersion::V4 { "chart dependencies processing failed: " } else { "" })]
    Dependencies {
        /// Why.
        #[source]
        reason: Box<Error>,
        /// Whose words to use.
        version: HelmVersion,
    },
    /// Values do not meet a schema. Every violation is listed.
    #[error(
        "values don't meet the specifications of the schema(s) in the following chart(s):\n{0}"
    )]
    Schema(String),
    /// The chart wants another Kubernetes.
    #[error("chart requires kubeVersion: {wanted} which is incompatible with Kubernetes {found}")]
    KubeVersion {
        /// The chart's constraint.
        wanted: String,
        /// The cluster's version.
        found: String,
    },
    /// A version of Kubernetes that cannot be read.
    #[error("invalid kube version '{version}': {reason}")]
    InvalidKubeVersion {
        /// The text.
        version: String,
        /// Why.
        reason: String,
    },
    /// A template cannot be parsed or fails.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A template failed while it lacked objects of the cluster that it asks for with `lookup`.
    #[error("waiting for {} object(s) that the chart looks up, first {}: {source}", .lookups.len(), .lookups.first().map_or_else(String::new, ToString::to_string))]
    Lookups {
        /// What it asks for.
        lookups: Vec<Lookup>,
        /// How it failed without them.
        source: Box<Error>,
    },
    /// A template's output is not YAML, or no object.
    #[error("YAML parse error on {path}: {reason}")]
    Manifest {
        /// The template.
        path: String,
        /// Why.
        reason: String,
    },
    /// `--show-only` names a template that gives nothing.
    #[error("could not find template {0} in chart")]
    NoSuchTemplate(String),
    /// Values that a user gave cannot be read.
    #[error("{0}")]
    UserValues(String),
}

/// Text as Go's `%q` shows it.
pub(crate) fn quoted(text: &str) -> String {
    String::from_utf8_lossy(&capstan_gotemplate::strconv::quote(text)).into_owned()
}

fn unpacking(subchart: Option<&(String, String)>) -> String {
    subchart.map_or_else(String::new, |(chart, parent)| {
        format!("error unpacking subchart {chart} in {parent}: ")
    })
}

fn missing_dependencies(version: HelmVersion) -> &'static str {
    match version {
        HelmVersion::V3 => {
            "An error occurred while checking for chart dependencies. You may need to run `helm dependency build` to fetch missing dependencies"
        }
        HelmVersion::V4 => {
            "an error occurred while checking for chart dependencies. You may need to run 'helm dependency build' to fetch missing dependencies"
        }
    }
}

/// A template that cannot be parsed or fails.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// As Helm words it for its users.
    pub message: String,
    /// As Go words it, in one line.
    pub go: String,
    /// The file that was parsed or executed.
    pub file: String,
    /// The limit that was passed, if that is what happened.
    pub limit: Option<capstan_gotemplate::LimitError>,
}
