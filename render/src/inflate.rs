//! `helmCharts` of a kustomization, rendered with our own Helm. Flux refuses them, so nothing in the hub asks for it: `capstan render` does,
//! as `kustomize build --enable-helm`.

use std::cell::RefCell;
use std::collections::BTreeMap;

use capstan_helm::{
    Chart, Files, HelmVersion, Lookup, Now, Secret, TemplateOptions, Values,
    chart::{MAX_CHART_DEPTH, MAX_CHART_FILES},
    template_with_lookups,
};
use capstan_kustomize::{ChartRenderer, ChartRequest, Entry, Tree};

/// Renders charts that lie in the tree of the build, as Helm 4 does.
pub struct Charts {
    now: Now,
    secret: Secret,
    lookups: RefCell<Vec<Lookup>>,
}

impl Charts {
    /// Charts for which it is `now`, and whose random values come from `secret`.
    pub fn new(now: Now, secret: Secret) -> Self {
        Self {
            now,
            secret,
            lookups: RefCell::default(),
        }
    }

    /// What charts looked up in a cluster and did not find, since there is none.
    pub fn take_lookups(&self) -> Vec<Lookup> {
        self.lookups.take()
    }
}

impl ChartRenderer for Charts {
    fn render(&self, tree: &dyn Tree, request: &ChartRequest) -> Result<String, String> {
        let files = files_of(tree, &request.path)?;
        let chart = Chart::load(&files).map_err(|error| error.to_string())?;
        let mut options = TemplateOptions::new(HelmVersion::V4, self.now, self.secret.clone());
        if request.release_name.is_some() && !request.name_template.is_empty() {
            return Err("cannot set --name-template and also specify a name".to_owned());
        }
        // Without a name there is `--generate-name`, which `helm template` leaves aside for the name that it has anyway.
        if let Some(name) = &request.release_name {
            options.release_name.clone_from(name);
        }
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
            let given = Values::parse(text.as_bytes(), options.version)
                .map_err(|error| format!("failed to parse values: {error}"))?;
            options.values = options.values.merged(&given);
        }
        let (text, lookups) =
            template_with_lookups(&chart, &options).map_err(|error| error.to_string())?;
        self.lookups.borrow_mut().extend(lookups);
        Ok(text)
    }
}

/// The files of a chart that lies in a tree. Links are followed as Helm follows them, but not out of the tree.
fn files_of(tree: &dyn Tree, folder: &str) -> Result<Files, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for name in tree.list(&folder).map_err(|it| it.to_string())? {
            let (full, path) = (format!("{folder}/{name}"), format!("{prefix}{name}"));
            let found = capstan_kustomize::tree::follow(tree, &full);
            let found = found.map_err(|it| it.to_string())?;
            match found {
                Some((real, Entry::Folder)) => folders.push((real, format!("{path}/"))),
                Some((real, _)) => {
                    files.insert(path, tree.read(&real).map_err(|it| it.to_string())?);
                }
                None => return Err(format!("{full} leads to nothing, or outside of the tree")),
            }
            if files.len() + folders.len() > MAX_CHART_FILES {
                return Err(format!("more than {MAX_CHART_FILES} files in the chart"));
            }
            if prefix.matches('/').count() > MAX_CHART_DEPTH {
                return Err(format!(
                    "more than {MAX_CHART_DEPTH} folders below each other in the chart"
                ));
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use capstan_kustomize::{MemoryTree, Options, build};

    use super::*;

    const CM: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n";

    fn rendered(links: &[(&str, &str)]) -> Result<String, String> {
        let mut tree = MemoryTree::new([
            (
                "kustomization.yaml",
                "helmCharts: [{name: c, releaseName: r}]\n",
            ),
            (
                "charts/c/Chart.yaml",
                "apiVersion: v2\nname: c\nversion: 0.1.0\n",
            ),
            ("charts/c/values.yaml", "{}\n"),
            ("shared/cm.yaml", CM),
        ]);
        for (path, target) in links {
            tree.link(*path, *target);
        }
        text(&tree)
    }

    fn text(tree: &MemoryTree) -> Result<String, String> {
        let charts = Charts::new(Now::default(), Secret::new([7; 32]));
        let options = Options {
            charts: Some(&charts),
            ..Options::default()
        };
        let built = build(tree, "", &options).map_err(|it| it.to_string())?;
        Ok(built.to_yaml())
    }

    #[test]
    fn a_value_has_the_type_that_it_was_given_last() {
        let values = "a: 'x'\nb: 1\n\"true\": {\"no\": 'no'}\n";
        let entry = "helmCharts: [{name: c, releaseName: r, valuesFile: v.yaml, valuesInline: {a: false, b: 'on'}}]\n";
        let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: r}\ndata: {v: '{{ toJson .Values }}'}\n";
        let tree = MemoryTree::new([
            ("kustomization.yaml", entry),
            ("v.yaml", values),
            (
                "charts/c/Chart.yaml",
                "apiVersion: v2\nname: c\nversion: 0.1.0\n",
            ),
            ("charts/c/templates/cm.yaml", template),
        ]);
        let yaml = text(&tree).unwrap();
        let json = "{\"a\":false,\"b\":\"on\",\"true\":{\"no\":\"no\"}}";
        assert!(yaml.contains(json), "{yaml}");
    }

    #[test]
    fn links_of_a_chart_are_followed_inside_the_tree_only() {
        for links in [
            [("charts/c/templates/it.yaml", "../../../shared/cm.yaml")],
            [("charts/c/templates", "../../shared")],
        ] {
            assert!(rendered(&links).unwrap().contains("name: r"), "{links:?}");
        }
        for target in ["/etc/hostname", "../../../../etc/hostname", "it.yaml", ".."] {
            let error = rendered(&[("charts/c/templates/it.yaml", target)]).unwrap_err();
            let says = ["outside of the tree", "more than 64 folders"];
            assert!(
                says.iter().any(|it| error.contains(it)),
                "{target}: {error}"
            );
        }
    }
}
