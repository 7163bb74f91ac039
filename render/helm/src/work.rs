//! The charts of one render: the tree of charts that Helm changes while it decides which dependencies are on.
//!
//! Charts and declared dependencies are kept by index, because in Helm 3 two aliases of a chart share what is below them, and what happens to
//! one then shows in the other.

use capstan_gotemplate::Map;

use crate::HelmVersion;
use crate::chart::{Chart, Dependency, Inner};
use crate::error::Error;
use crate::tree::{Tree, deep_copy_map};

/// Index of a chart of the render.
pub(crate) type ChartId = usize;
/// Index of a declared dependency.
pub(crate) type RequirementId = usize;

/// The charts of one render.
pub(crate) struct Work {
    version: HelmVersion,
    charts: Vec<WorkChart>,
    pub(crate) requirements: Vec<Dependency>,
}

/// A chart of the render.
#[derive(Clone)]
struct WorkChart {
    chart: Chart,
    /// Its name, or the alias that it goes by.
    name: String,
    parent: Option<ChartId>,
    dependencies: Vec<ChartId>,
    requirements: Option<Vec<RequirementId>>,
    values: WorkValues,
}

/// A chart's own values: as it brings them, or with those of its dependencies in them.
#[derive(Clone)]
enum WorkValues {
    Own(Tree),
    Imported(Map),
}

/// The root of the tree.
pub(crate) const ROOT: ChartId = 0;

impl Work {
    pub(crate) fn new(chart: &Chart, version: HelmVersion) -> Result<Self, Error> {
        let mut work = Self {
            version,
            charts: Vec::new(),
            requirements: Vec::new(),
        };
        work.add(chart, None)?;
        Ok(work)
    }

    fn add(&mut self, chart: &Chart, parent: Option<ChartId>) -> Result<ChartId, Error> {
        let inner = chart.inner();
        let values = inner
            .values(self.version)
            .map_err(|reason| Error::ChartValues {
                subchart: parent
                    .map(|parent| (inner.metadata.name.clone(), self.name(parent).to_owned())),
                reason: reason.clone(),
            })?;
        let first = self.requirements.len();
        self.requirements
            .extend(inner.metadata.dependencies.iter().flatten().cloned());
        let requirements = inner
            .metadata
            .dependencies
            .is_some()
            .then(|| (first..self.requirements.len()).collect());
        let id = self.charts.len();
        self.charts.push(WorkChart {
            chart: chart.clone(),
            name: inner.metadata.name.clone(),
            parent,
            dependencies: Vec::new(),
            requirements,
            values: WorkValues::Own(values.clone()),
        });
        for child in chart.dependencies() {
            let child = self.add(child, Some(id))?;
            self.charts[id].dependencies.push(child);
        }
        Ok(id)
    }

    pub(crate) fn version(&self) -> HelmVersion {
        self.version
    }

    pub(crate) fn name(&self, id: ChartId) -> &str {
        &self.charts[id].name
    }

    pub(crate) fn inner(&self, id: ChartId) -> &Inner {
        self.charts[id].chart.inner()
    }

    pub(crate) fn dependencies(&self, id: ChartId) -> &[ChartId] {
        &self.charts[id].dependencies
    }

    pub(crate) fn requirements(&self, id: ChartId) -> Option<&[RequirementId]> {
        self.charts[id].requirements.as_deref()
    }

    pub(crate) fn set_requirements(
        &mut self,
        id: ChartId,
        requirements: Option<Vec<RequirementId>>,
    ) {
        self.charts[id].requirements = requirements;
    }

    /// Puts charts below a chart. Each has this chart as its parent from here on, even if another chart has it too.
    pub(crate) fn set_dependencies(&mut self, id: ChartId, dependencies: Vec<ChartId>) {
        for &child in &dependencies {
            self.charts[child].parent = Some(id);
        }
        self.charts[id].dependencies = dependencies;
    }

    /// A copy of a chart under a name. Helm 4 also copies what is declared, and the charts below, one level deep.
    pub(crate) fn alias(&mut self, id: ChartId, name: &str) -> ChartId {
        let mut copy = self.charts[id].clone();
        name.clone_into(&mut copy.name);
        let copied = self.charts.len();
        if self.version == HelmVersion::V4 {
            if let Some(requirements) = &mut copy.requirements {
                for requirement in requirements {
                    self.requirements
                        .push(self.requirements[*requirement].clone());
                    *requirement = self.requirements.len() - 1;
                }
            }
            self.charts.push(copy);
            let children: Vec<ChartId> = self.charts[copied].dependencies.clone();
            let children = children.into_iter().map(|child| {
                let child = self.charts[child].clone();
                self.charts.push(child);
                self.charts.len() - 1
            });
            let children = children.collect();
            self.set_dependencies(copied, children);
        } else {
            self.charts.push(copy);
        }
        copied
    }

    pub(crate) fn is_root(&self, id: ChartId) -> bool {
        self.charts[id].parent.is_none()
    }

    /// The path that the chart's templates have in front.
    pub(crate) fn full_path(&self, id: ChartId) -> String {
        let mut parts = vec![self.name(id)];
        let mut at = id;
        while let Some(parent) = self.charts[at].parent {
            parts.push("charts");
            parts.push(self.name(parent));
            at = parent;
        }
        parts.reverse();
        parts.join("/")
    }

    /// The chart's own values, for the caller to change.
    pub(crate) fn copy_values(&self, id: ChartId) -> Map {
        match &self.charts[id].values {
            WorkValues::Own(tree) => tree.to_map(),
            WorkValues::Imported(map) => deep_copy_map(map),
        }
    }

    pub(crate) fn set_values(&mut self, id: ChartId, values: Map) {
        self.charts[id].values = WorkValues::Imported(values);
    }
}
