//! Kustomizations that are written for a run where there are no shared ones: bases of Deployments, Services and ConfigMaps with an overlay.

use std::{fmt::Write as _, fs, io, path::Path};

use super::Case;

/// Applications in the base of each kustomization; each is three objects.
const SIZES: [usize; 5] = [1, 5, 20, 60, 200];

/// Writes them below `folder`, smallest first.
pub(super) fn cases(folder: &Path) -> io::Result<Vec<Case>> {
    let write = |size: &usize| {
        let name = format!("sample-{size}");
        let tree = folder.join(&name);
        for (path, text) in files(*size) {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap_or(&tree))?;
            fs::write(path, text)?;
        }
        Ok(Case {
            name,
            folder: tree,
            path: "overlay".to_owned(),
            expected_bytes: *size as u64,
        })
    };
    SIZES.iter().map(write).collect()
}

/// The files of a base with so many applications, and of an overlay that patches each.
pub(super) fn files(size: usize) -> Vec<(String, String)> {
    let mut base = "resources:\n".to_owned();
    let mut overlay = "resources: [../base]\nnamespace: shop\nnamePrefix: prod-\nlabels:\n- {pairs: {env: prod}, includeSelectors: true}\nimages:\n- {name: nginx, newTag: \"1.27\"}\npatches:\n".to_owned();
    let mut files = Vec::new();
    for number in 0..size {
        // Writing to a string cannot fail.
        let _ = writeln!(base, "- app-{number}.yaml");
        let _ = writeln!(overlay, "- path: patch-{number}.yaml");
        files.push((format!("base/app-{number}.yaml"), application(number)));
        let patch = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app-{number}}}\nspec: {{replicas: 3, template: {{spec: {{containers: [{{name: web, env: [{{name: SITE, value: \"${{site}}\"}}]}}]}}}}}}\n"
        );
        files.push((format!("overlay/patch-{number}.yaml"), patch));
    }
    files.push(("base/kustomization.yaml".to_owned(), base));
    files.push(("overlay/kustomization.yaml".to_owned(), overlay));
    files
}

fn application(number: usize) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app-{number}, labels: {{app: app-{number}}}}}\nspec:\n  replicas: 1\n  \
         selector: {{matchLabels: {{app: app-{number}}}}}\n  template:\n    metadata: {{labels: {{app: app-{number}}}}}\n    spec:\n      containers:\n      \
         - name: web\n        image: nginx:1.25\n        ports: [{{containerPort: 80}}]\n        envFrom: [{{configMapRef: {{name: app-{number}}}}}]\n        \
         resources: {{limits: {{cpu: 100m, memory: 64Mi}}}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: app-{number}}}\nspec:\n  \
         selector: {{app: app-{number}}}\n  ports: [{{port: 80}}]\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: app-{number}}}\ndata: {{level: info}}\n"
    )
}
