//! `helmCharts` of a kustomization, rendered with our own Helm.

use capstan_helm::{Chart, Values, template_with_lookups};
use capstan_kustomize::{ChartRenderer, ChartRequest, Tree};

use super::chart;

/// Renders charts that lie in the tree of the build.
pub(super) struct Charts;

impl ChartRenderer for Charts {
    fn render(&self, tree: &dyn Tree, request: &ChartRequest) -> Result<String, String> {
        let files = chart::files_of(tree, &request.path)?;
        let chart = Chart::load(&files).map_err(|error| error.to_string())?;
        let mut options = chart::defaults().map_err(|error| error.to_string())?;
        // `helm template --generate-name` would draw a name; one that is the same each time serves a build better.
        options.release_name = request
            .release_name
            .clone()
            .unwrap_or_else(|| "release-name".to_owned());
        options.name_template = Some(request.name_template.clone()).filter(|it| !it.is_empty());
        if !request.namespace.is_empty() {
            options.namespace.clone_from(&request.namespace);
        }
        options.kube_version = Some(request.kube_version.clone()).filter(|it| !it.is_empty());
        options.api_versions.clone_from(&request.api_versions);
        options.text.include_crds = request.include_crds;
        options.text.no_hooks = request.skip_hooks;
        options.text.skip_tests = request.skip_tests;
        for text in &request.values {
            let given = Values::parse(text.as_bytes(), options.version)?;
            options.values = options.values.merged(&given);
        }
        let (text, lookups) =
            template_with_lookups(&chart, &options).map_err(|error| error.to_string())?;
        chart::tell_lookups(&lookups);
        Ok(text)
    }
}
