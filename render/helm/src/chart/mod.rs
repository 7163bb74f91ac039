//! [`Chart`]: a chart in memory, read once and rendered many times.

mod archive;
mod cache;
mod files;
mod ignore;
mod load;
mod metadata;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use capstan_gotemplate::Str;

use crate::HelmVersion;
use crate::head::HeadCache;
use crate::schema::{Schema, SchemaError};
use crate::tree::Tree;

pub use archive::{ArchiveError, MAX_ARCHIVE_BYTES, MAX_ARCHIVE_ENTRIES};
pub(crate) use cache::TemplateCache;
pub use files::Files;
pub use ignore::{IgnoreError, IgnoreRules, MAX_IGNORE_RULES};
pub use load::{
    MAX_CHART_BYTES, MAX_CHART_DEPTH, MAX_CHART_FILES, MAX_CHART_NESTING, MAX_FILE_BYTES,
};
pub use metadata::{Dependency, Maintainer, Metadata};
pub(crate) use metadata::{Fields, mismatch};

use crate::error::ChartError;

/// A chart with the charts that it brings along. Cheap to clone, shared between threads.
#[derive(Clone)]
pub struct Chart(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) metadata: Metadata,
    pub(crate) templates: Vec<(String, Str)>,
    /// What `.Files` shows.
    pub(crate) files: BTreeMap<Str, Str>,
    /// As Helm 3 and as Helm 4 read `values.yaml`.
    values: [Result<Tree, String>; 2],
    schema: Option<SchemaFile>,
    pub(crate) dependencies: Vec<Chart>,
    pub(crate) cache: TemplateCache,
    pub(crate) heads: HeadCache,
}

/// `values.schema.json`, compiled when it is first needed.
pub(crate) struct SchemaFile {
    text: Arc<[u8]>,
    compiled: OnceLock<Result<Schema, SchemaError>>,
}

impl Chart {
    /// Reads a chart out of the files of a folder: paths relative to the chart's folder. Its `.helmignore` counts.
    ///
    /// # Errors
    /// When a file that describes the chart is missing or wrong, or a limit is passed.
    pub fn load(files: &Files) -> Result<Self, ChartError> {
        load::folder(files)
    }

    /// Reads a chart out of a packed chart (`.tgz`).
    ///
    /// # Errors
    /// As [`Chart::load`], and when the archive is damaged or not safe.
    pub fn from_archive(bytes: &[u8]) -> Result<Self, ChartError> {
        load::archive(bytes)
    }

    /// The chart with further charts to draw its dependencies from, beside those in its own `charts/` folder.
    #[must_use]
    pub fn with_dependencies(&self, charts: impl IntoIterator<Item = Self>) -> Self {
        let inner = &self.0;
        let schema = inner.schema.as_ref().map(|schema| SchemaFile {
            text: Arc::clone(&schema.text),
            compiled: OnceLock::new(),
        });
        Self(Arc::new(Inner {
            metadata: inner.metadata.clone(),
            templates: inner.templates.clone(),
            files: inner.files.clone(),
            values: inner.values.clone(),
            schema,
            dependencies: inner.dependencies.iter().cloned().chain(charts).collect(),
            cache: TemplateCache::default(),
            heads: HeadCache::default(),
        }))
    }

    /// What its `Chart.yaml` says.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// The charts that it brings along.
    #[must_use]
    pub fn dependencies(&self) -> &[Self] {
        &self.0.dependencies
    }

    /// The declared dependencies for which there is no chart.
    #[must_use]
    pub fn missing_dependencies(&self) -> Vec<&str> {
        let there = |name: &str| {
            self.0
                .dependencies
                .iter()
                .any(|chart| chart.metadata().name == name)
        };
        self.0
            .metadata
            .dependencies
            .iter()
            .flatten()
            .map(|dependency| dependency.name.as_str())
            .filter(|name| !there(name))
            .collect()
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }
}

impl Inner {
    /// Its own values.
    pub(crate) fn values(&self, version: HelmVersion) -> Result<&Tree, &String> {
        self.values[version as usize].as_ref()
    }

    /// Whether it has a schema, and the schema. With documents that it may refer to, it is compiled anew: they can differ between renders.
    pub(crate) fn with_schema<R>(
        &self,
        documents: &BTreeMap<String, Vec<u8>>,
        check: impl FnOnce(&Schema) -> Result<R, SchemaError>,
    ) -> Option<Result<R, String>> {
        let file = self.schema.as_ref()?;
        if !documents.is_empty() {
            let schema = Schema::compile(&file.text, documents);
            return Some(
                schema
                    .and_then(|schema| check(&schema))
                    .map_err(|error| error.to_string()),
            );
        }
        let compiled = file
            .compiled
            .get_or_init(|| Schema::compile(&file.text, documents));
        Some(match compiled {
            Ok(schema) => check(schema).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        })
    }
}

impl std::fmt::Debug for Chart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Chart({} {})",
            self.metadata().name,
            self.metadata().version
        )
    }
}
