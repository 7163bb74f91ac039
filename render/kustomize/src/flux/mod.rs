//! What Flux adds around a build: a kustomization where a folder has none, and the fields of its `Kustomization` object that change the
//! result. Substitution of variables comes after, on the text of each object.

mod overlay;
mod spec;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::build::{Build, Built, Options};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::kustomization::KUSTOMIZATION_FILES;
use crate::node;
use crate::patch::in_file;
use crate::resource::parse;
use crate::schema::Schema;
use crate::tree::{Entry, Resolved, Tree, join, resolve};
use crate::yaml;

pub use overlay::Overlay;
pub use spec::{FluxImage, FluxPatch, FluxSpec};

/// Builds the folder at `path` as Flux does for a `Kustomization` with these fields.
pub fn build(
    tree: &dyn Tree,
    path: &str,
    spec: &FluxSpec,
    options: &Options<'_>,
) -> Result<Arc<Build>> {
    let overlay = prepare(tree, path, spec, options)?;
    let built = crate::build(&overlay, path, options)?;
    if spec.common_labels.is_empty() && spec.common_annotations.is_empty() {
        return Ok(built);
    }
    let objects = built
        .objects
        .iter()
        .map(|object| with_common_metadata(object, spec))
        .collect::<Result<_>>()?;
    Ok(Arc::new(Build {
        objects,
        warnings: built.warnings.clone(),
    }))
}

/// The tree with the kustomization file that Flux would write at `path`.
pub fn prepare<'t>(
    tree: &'t dyn Tree,
    path: &str,
    spec: &FluxSpec,
    options: &Options<'_>,
) -> Result<Overlay<'t>> {
    let not_found = || {
        let shown = if path.is_empty() { "/" } else { path };
        Error::new(
            ErrorKind::NotFound,
            format!(
                "kustomization path not found: stat {}/{shown}: no such file or directory",
                options.display_root
            ),
        )
    };
    let folder = match find(tree, "", path)? {
        Resolved::Folder(folder) => folder,
        _ => return Err(not_found()),
    };
    let (file, mut kustomization) = match existing(tree, &folder)? {
        Some((file, value)) => (file, value),
        None => (
            child(&folder, KUSTOMIZATION_FILES[0]),
            generated(tree, &folder, options)?,
        ),
    };
    if let Some(map) = kustomization.as_object_mut() {
        apply(map, spec, tree, &folder)?;
    }
    let text = yaml::json_to_output(&kustomization).map_err(|e| Error::invalid(e.to_string()))?;
    Ok(Overlay::new(tree, file, text.into_bytes()))
}

fn find(tree: &dyn Tree, from: &str, path: &str) -> Result<Resolved> {
    resolve(tree, from, path)
        .map_err(|e| Error::new(ErrorKind::Tree, e.to_string()).in_file(&e.path))
}

fn child(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

fn read(tree: &dyn Tree, path: &str) -> Result<Arc<[u8]>> {
    tree.read(path)
        .map_err(|e| Error::new(ErrorKind::Tree, e.to_string()).in_file(&e.path))
}

/// The kustomization file that the folder has.
fn existing(tree: &dyn Tree, folder: &str) -> Result<Option<(String, Value)>> {
    for name in KUSTOMIZATION_FILES {
        let Resolved::File(path, _) = find(tree, folder, name)? else {
            continue;
        };
        let content = read(tree, &path)?;
        let value = yaml::to_json(&String::from_utf8_lossy(&content)).map_err(|e| {
            Error::new(
                ErrorKind::InvalidKustomization,
                format!("invalid Kustomization: {e}"),
            )
            .at_line(e.line())
            .in_file(&path)
        })?;
        let value = if value.is_null() {
            Value::Object(Map::new())
        } else {
            value
        };
        return Ok(Some((child(folder, name), value)));
    }
    Ok(None)
}

/// A kustomization of all manifests below a folder; a folder with a kustomization of its own is one resource.
fn generated(tree: &dyn Tree, folder: &str, options: &Options<'_>) -> Result<Value> {
    let mut resources = Vec::new();
    scan(tree, folder, "", &mut resources, options)?;
    Ok(json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        // An empty list is a kustomization of nothing, where none at all would be an error.
        "resources": resources,
    }))
}

fn scan(
    tree: &dyn Tree,
    folder: &str,
    relative: &str,
    resources: &mut Vec<String>,
    options: &Options<'_>,
) -> Result<()> {
    let at = join(folder, relative).unwrap_or_default();
    let names = tree
        .list(&at)
        .map_err(|e| Error::new(ErrorKind::Tree, e.to_string()).in_file(&e.path))?;
    for name in names {
        let path = child(relative, &name);
        let full = child(&at, &name);
        let entry = tree
            .entry(&full)
            .map_err(|e| Error::new(ErrorKind::Tree, e.to_string()).in_file(&e.path))?;
        match entry {
            Some(Entry::Folder) => {
                let is_kustomization =
                    |file: &str| matches!(find(tree, &full, file), Ok(Resolved::File(..)));
                if KUSTOMIZATION_FILES
                    .iter()
                    .any(|file| is_kustomization(file))
                {
                    resources.push(path);
                } else {
                    scan(tree, folder, &path, resources, options)?;
                }
            }
            Some(Entry::File(hash)) if name.ends_with(".yaml") || name.ends_with(".yml") => {
                if options.cache.and_then(|cache| cache.file(&hash)).is_none() {
                    check_manifest(tree, &full, hash, options)?;
                }
                resources.push(path);
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_manifest(
    tree: &dyn Tree,
    path: &str,
    hash: crate::tree::Hash,
    options: &Options<'_>,
) -> Result<()> {
    let content = read(tree, path)?;
    let objects = parse::objects(&String::from_utf8_lossy(&content), &Schema::builtin())
        .map_err(|e| in_file(e, path, path))
        .context(format_args!(
            "failed to decode Kubernetes YAML from {}/{path}",
            options.display_root
        ))?;
    if let Some(cache) = options.cache {
        cache.keep_file(hash, &Arc::new(objects), content.len());
    }
    Ok(())
}

/// Puts the fields of the Flux object into a kustomization.
fn apply(
    kustomization: &mut Map<String, Value>,
    spec: &FluxSpec,
    tree: &dyn Tree,
    folder: &str,
) -> Result<()> {
    let scalars = [
        ("namespace", &spec.target_namespace),
        ("namePrefix", &spec.name_prefix),
        ("nameSuffix", &spec.name_suffix),
    ];
    for (field, value) in scalars {
        if !value.is_empty() {
            *slot(kustomization, field) = value.as_str().into();
        }
    }
    for patch in &spec.patches {
        let mut entry = Map::from_iter([("patch".to_owned(), patch.patch.as_str().into())]);
        if let Some(target) = &patch.target {
            entry.insert("target".to_owned(), target.clone());
        }
        list(kustomization, "patches").push(Value::Object(entry));
    }
    for component in &spec.components {
        if component.starts_with('/') || component.contains("://") {
            let message = format!("component path '{component}' must be local and relative");
            return Err(Error::new(ErrorKind::InvalidKustomization, message));
        }
        if spec.ignore_missing_components
            && !matches!(find(tree, folder, component)?, Resolved::Folder(_))
        {
            continue;
        }
        list(kustomization, "components").push(component.as_str().into());
    }
    for image in &spec.images {
        merge_image(list(kustomization, "images"), image);
    }
    if !spec.build_metadata.is_empty() {
        *slot(kustomization, "buildMetadata") = spec.build_metadata.clone().into();
    }
    Ok(())
}

/// The value of a field, whatever the case in which its name is written.
fn slot<'m>(map: &'m mut Map<String, Value>, field: &str) -> &'m mut Value {
    let key = map
        .keys()
        .find(|key| key.eq_ignore_ascii_case(field))
        .cloned();
    map.entry(key.unwrap_or_else(|| field.to_owned()))
        .or_insert(Value::Null)
}

fn list<'m>(map: &'m mut Map<String, Value>, field: &str) -> &'m mut Vec<Value> {
    let value = slot(map, field);
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    value
        .as_array_mut()
        .expect("the value was just made a list")
}

/// An image of the same name takes on what is set; tag and digest count as one.
fn merge_image(images: &mut Vec<Value>, image: &FluxImage) {
    let is_it = |known: &&mut Value| known.get("name").and_then(Value::as_str) == Some(&image.name);
    let known = match images.iter_mut().find(is_it) {
        Some(known) => known,
        None => {
            images.push(json!({"name": image.name}));
            images.last_mut().expect("an image was just added")
        }
    };
    let Some(known) = known.as_object_mut() else {
        return;
    };
    let mut set = |field: &str, value: &str| {
        if !value.is_empty() {
            known.insert(field.to_owned(), value.into());
        }
    };
    set("newName", &image.new_name);
    set("newTag", &image.new_tag);
    set("digest", &image.digest);
    if image.new_tag.is_empty() != image.digest.is_empty() {
        known.shift_remove(if image.digest.is_empty() {
            "digest"
        } else {
            "newTag"
        });
    }
}

/// `commonMetadata`: labels and annotations that every object gets in the end.
fn with_common_metadata(object: &Built, spec: &FluxSpec) -> Result<Built> {
    let mut changed = (*object.node).clone();
    let set = |object: &mut capstan_goyaml::Node,
               field: &str,
               entries: &BTreeMap<String, String>|
     -> Result<()> {
        for (key, value) in entries {
            node::set_field(
                node::mapping_at(object, &["metadata", field])?,
                key,
                capstan_goyaml::Node::string(&**value),
            );
        }
        Ok(())
    };
    set(&mut changed, "labels", &spec.common_labels)
        .and_then(|()| set(&mut changed, "annotations", &spec.common_annotations))
        .map_err(|e| e.about(&object.id).in_file(&object.origin.file))?;
    let yaml = yaml::to_output(&changed)
        .map_err(|e| Error::invalid(e.to_string()).about(&object.id))?
        .into();
    Ok(Built {
        node: Arc::new(changed),
        yaml,
        ..object.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryTree;

    fn cm(name: &str) -> String {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n")
    }

    fn names(tree: &MemoryTree, path: &str, spec: &FluxSpec) -> Vec<String> {
        let built = build(tree, path, spec, &Options::default()).unwrap();
        built
            .objects
            .iter()
            .map(|o| format!("{}/{}", o.id.namespace, o.id.name))
            .collect()
    }

    #[test]
    fn a_folder_without_a_kustomization_is_scanned() {
        let tree = MemoryTree::new([
            ("apps/b.yaml", cm("b")),
            ("apps/a.yml", cm("a")),
            ("apps/README.md", "# no".to_owned()),
            (
                "apps/own/kustomization.yaml",
                "resources: [x.yaml]\nnamePrefix: own-\n".to_owned(),
            ),
            ("apps/own/x.yaml", cm("x")),
            ("apps/own/ignored.yaml", cm("ignored")),
            ("apps/plain/deep/y.yaml", cm("y")),
        ]);
        assert_eq!(
            names(&tree, "apps", &FluxSpec::default()),
            ["/a", "/b", "/own-x", "/y"]
        );
        let empty = MemoryTree::new([("apps/README.md", "# no")]);
        assert!(names(&empty, "apps", &FluxSpec::default()).is_empty());
        let missing = build(&empty, "nope", &FluxSpec::default(), &Options::default()).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn the_fields_of_the_flux_object_are_applied() {
        let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n\
                          spec: {template: {spec: {containers: [{name: c, image: 'nginx:1'}]}}}\n";
        let tree = MemoryTree::new([
            (
                "k/kustomization.yaml",
                "resources: [d.yaml]\nImages: [{name: nginx, newTag: '2'}]\n".to_owned(),
            ),
            ("k/d.yaml", deployment.to_owned()),
            (
                "c/kustomization.yaml",
                "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnameSuffix: -c\n"
                    .to_owned(),
            ),
        ]);
        let spec = FluxSpec::from_json(&json!({
            "targetNamespace": "prod",
            "namePrefix": "p-",
            "patches": [{"patch": "- {op: add, path: /spec/replicas, value: 3}", "target": {"kind": "Deployment"}}],
            "images": [{"name": "nginx", "newName": "my/nginx", "digest": "sha256:abc"}],
            "components": ["../c", "../missing"],
            "ignoreMissingComponents": true,
            "commonMetadata": {"labels": {"team": "a"}, "annotations": {"n": "1"}},
        }))
        .unwrap();
        let built = build(&tree, "k", &spec, &Options::default()).unwrap();
        let yaml = built.to_yaml();
        for part in [
            "name: p-web-c",
            "namespace: prod",
            "replicas: 3",
            "image: my/nginx@sha256:abc",
            "team: a",
            "\"n\": \"1\"",
        ] {
            assert!(yaml.contains(part), "{part}\n{yaml}");
        }
        let remote = FluxSpec {
            components: vec!["https://x/y".to_owned()],
            ..FluxSpec::default()
        };
        assert!(
            build(&tree, "k", &remote, &Options::default())
                .unwrap_err()
                .to_string()
                .contains("must be local and relative")
        );
    }
}
