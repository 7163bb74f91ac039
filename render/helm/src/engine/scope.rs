//! What each template sees as its dot, and the order in which templates are parsed and executed.

use std::collections::BTreeMap;

use capstan_gotemplate::{Map, Str, Type, Value};

use crate::context::HelmVersion;
use crate::inputs::RenderInput;
use crate::objects;
use crate::values::table;
use crate::watch::Watch;
use crate::work::{ChartId, ROOT, Work};

/// A template of a release.
pub(super) struct Renderable {
    /// Its path, chart names in front.
    pub(super) path: String,
    pub(super) text: Str,
    /// The dot; all templates of a chart share it.
    pub(super) scope: Map,
    base_path: String,
}

impl Renderable {
    /// Whether it only defines templates for others.
    pub(super) fn is_partial(&self) -> bool {
        base_name(&self.path).starts_with('_')
    }

    /// Says in the scope which template is executed.
    pub(super) fn enter(&self, version: HelmVersion) {
        let template = Map::from_entries(
            Type::Named(&objects::VALUES[version as usize]),
            [("Name", self.path.as_str()), ("BasePath", &self.base_path)]
                .map(|(key, text)| (Str::from(key), Value::string(text))),
        );
        self.scope.insert("Template", Value::Map(template));
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What is executed for a release.
pub(super) struct Scopes {
    /// The templates in the order of parsing and execution.
    pub(super) renderables: Vec<Renderable>,
    /// The scope of the release's chart, in which those of the charts below it lie.
    pub(super) root: Map,
}

impl Scopes {
    /// A watch over all that templates can change.
    pub(super) fn watch(&self) -> Watch {
        let scopes = self.renderables.iter().map(|file| file.scope.clone());
        Watch::new(self.root.clone(), scopes)
    }

    /// Frees all values, also those that templates put into themselves, which would never be freed otherwise.
    pub(super) fn free(self) {
        /// Maps and lists that are looked at: lists that are shared again and again would be met again and again.
        const MAX_LOOKED_AT: usize = 1_000_000;
        let mut left = vec![Value::Map(self.root)];
        for _ in 0..MAX_LOOKED_AT {
            let Some(value) = left.pop() else { break };
            match value {
                Value::Map(map) => {
                    left.extend(map.with(|entries| containers(entries.values())));
                    map.clear();
                }
                Value::List(list) => left.extend(containers(list.items())),
                _ => {}
            }
        }
    }
}

fn containers<'v>(values: impl IntoIterator<Item = &'v Value>) -> Vec<Value> {
    values
        .into_iter()
        .filter(|value| {
            matches!(value, Value::Map(map) if !map.is_empty()) || matches!(value, Value::List(_))
        })
        .cloned()
        .collect()
}

/// All templates in the order of parsing and execution: the deepest paths first, among equally deep ones from Z to A. So what is defined
/// higher up, or earlier in the alphabet, is parsed later and wins.
pub(super) fn scopes(work: &Work, values: &Map, input: &RenderInput) -> Scopes {
    let release = &input.release;
    let release: Map = [
        ("Name", Value::string(release.name.as_str())),
        ("Namespace", Value::string(release.namespace.as_str())),
        ("IsUpgrade", Value::Bool(release.is_upgrade)),
        ("IsInstall", Value::Bool(!release.is_upgrade)),
        ("Revision", Value::int(release.revision)),
        ("Service", Value::static_string("Helm")),
    ]
    .into_iter()
    .collect();
    let top = Top {
        version: input.version,
        release: Value::Map(release),
        capabilities: objects::capabilities(&input.facts, input.version),
    };
    let mut found = BTreeMap::new();
    let root = collect(
        work,
        ROOT,
        values.named(&objects::VALUES[input.version as usize]),
        &top,
        &mut found,
    );
    let mut renderables: Vec<Renderable> = found.into_values().collect();
    renderables.sort_by(|a, b| {
        (b.path.matches('/').count(), &b.path).cmp(&(a.path.matches('/').count(), &a.path))
    });
    Scopes { renderables, root }
}

/// What all charts of a release see alike.
struct Top {
    version: HelmVersion,
    release: Value,
    capabilities: Value,
}

/// Adds the templates of a chart and of those below it; gives the scope of the chart.
fn collect(
    work: &Work,
    chart: ChartId,
    values: Map,
    top: &Top,
    found: &mut BTreeMap<String, Renderable>,
) -> Map {
    let subcharts = Map::new();
    let scope: Map = [
        ("Chart", objects::chart(work, chart)),
        ("Files", objects::files(work, chart)),
        ("Release", top.release.clone()),
        ("Capabilities", top.capabilities.clone()),
        ("Values", Value::Map(values)),
        ("Subcharts", Value::Map(subcharts.clone())),
    ]
    .into_iter()
    .collect();
    let scope = scope.named(&objects::VALUES[top.version as usize]);
    for &child in work.dependencies(chart) {
        let name = work.name(child);
        let values = match table(&scope, &format!("Values.{name}")) {
            Some(values) => values.named(&objects::VALUES[top.version as usize]),
            None => objects::values_map(top.version),
        };
        let inner = collect(work, child, values, top, found);
        subcharts.insert(name, Value::Map(inner.unnamed()));
    }
    let parent = work.full_path(chart);
    let inner = work.inner(chart);
    for (name, text) in &inner.templates {
        if inner.metadata.is_library() && !base_name(name).starts_with('_') {
            continue;
        }
        let path = format!("{parent}/{name}");
        let renderable = Renderable {
            path: path.clone(),
            text: text.clone(),
            scope: scope.clone(),
            base_path: format!("{parent}/templates"),
        };
        found.insert(path, renderable);
    }
    scope
}
