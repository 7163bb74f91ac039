//! `buildMetadata`: annotations that say where objects came from and what changed them.

use capstan_goyaml::Node;

use crate::error::{Error, Result};
use crate::node;
use crate::resource::{Note, Resource};
use crate::schema::Schema;
use crate::yaml;

pub(crate) const ORIGIN: &str = "config.kubernetes.io/origin";
pub(crate) const TRANSFORMATIONS: &str = "alpha.config.kubernetes.io/transformations";

/// A file or plugin, as the annotations show it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Provenance {
    path: String,
    configured_in: String,
    configured_by: Vec<(&'static str, String)>,
}

impl Provenance {
    pub(crate) fn append(&self, path: &str) -> Provenance {
        // Bases may lie beside the folder that is built: `..` at the start stays.
        Provenance {
            path: join(&self.path, path),
            ..self.clone()
        }
    }

    /// A plugin that is configured in the file of this provenance.
    pub(crate) fn builtin(&self, file: &str, kind: &str) -> Provenance {
        let configured_by = vec![
            ("apiVersion", "builtin".to_owned()),
            ("kind", kind.to_owned()),
        ];
        Provenance {
            path: String::new(),
            configured_in: join(&self.path, file),
            configured_by,
        }
    }

    /// A plugin that is configured by an object of its own.
    pub(crate) fn of_plugin(resource: &Resource) -> Option<Provenance> {
        let origin = resource.annotation(ORIGIN)?;
        let path = yaml::to_json(origin)
            .ok()?
            .get("path")?
            .as_str()?
            .to_owned();
        let id = resource.id();
        let mut configured_by = vec![
            ("apiVersion", id.gvk.api_version()),
            ("kind", id.gvk.kind.clone()),
            ("name", id.name.clone()),
        ];
        if !id.namespace.is_empty() {
            configured_by.push(("namespace", id.namespace.clone()));
        }
        Some(Provenance {
            path: String::new(),
            configured_in: path,
            configured_by,
        })
    }

    fn to_node(&self) -> Node {
        let mut map = Node::mapping([]);
        for (key, value) in [("path", &self.path), ("configuredIn", &self.configured_in)] {
            if !value.is_empty() {
                node::set_field(&mut map, key, Node::string(&**value));
            }
        }
        let by = self
            .configured_by
            .iter()
            .map(|(key, value)| (Node::scalar(*key), Node::string(&**value)));
        let by = Node::mapping(by);
        if !by.content.is_empty() {
            node::set_field(&mut map, "configuredBy", by);
        }
        map
    }

    pub(crate) fn annotate_origin(&self, resource: &mut Resource, schema: &Schema) -> Result<()> {
        let text = yaml::to_v3(&self.to_node()).map_err(|e| Error::invalid(e.to_string()))?;
        annotate(resource, ORIGIN, text, schema)
    }

    pub(crate) fn annotate_transformation(
        &self,
        resource: &mut Resource,
        schema: &Schema,
    ) -> Result<()> {
        if resource.annotation(ORIGIN).is_none() {
            return self.annotate_origin(resource, schema);
        }
        let entry = yaml::to_v3(&Node::sequence(vec![self.to_node()]))
            .map_err(|e| Error::invalid(e.to_string()))?;
        let before = resource.annotation(TRANSFORMATIONS).unwrap_or_default();
        let text = format!("{before}{entry}");
        annotate(resource, TRANSFORMATIONS, text, schema)
    }
}

pub(crate) fn annotate(
    resource: &mut Resource,
    key: &str,
    text: String,
    schema: &Schema,
) -> Result<()> {
    let annotated = resource.edit(schema, |object| {
        let metadata = node::mapping_at(object, &["metadata"])?;
        if metadata
            .get("annotations")
            .is_some_and(node::is_nil_or_empty)
        {
            node::clear(metadata, "annotations");
        }
        node::set_field(
            node::mapping_at(metadata, &["annotations"])?,
            key,
            Node::string(text),
        );
        Ok(())
    });
    resource.note(Note::Rewritten);
    annotated
}

fn join(base: &str, path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    for segment in base
        .split('/')
        .chain(path.split('/'))
        .filter(|s| !s.is_empty() && *s != ".")
    {
        match (segment, out.last()) {
            ("..", Some(last)) if *last != ".." => {
                out.pop();
            }
            _ => out.push(segment),
        }
    }
    out.join("/")
}

/// Removes the annotations that were not asked for, and those that only the build itself uses. What stays becomes text.
pub(crate) fn clean(
    resource: &mut Resource,
    keep_origin: bool,
    keep_transformations: bool,
    schema: &Schema,
) -> Result<()> {
    let is_internal = |key: &str| {
        INTERNAL.contains(&key)
            || (key == ORIGIN && !keep_origin)
            || (key == TRANSFORMATIONS && !keep_transformations)
    };
    let Some(annotations) = resource
        .node()
        .get("metadata")
        .and_then(|m| m.get("annotations"))
    else {
        return Ok(());
    };
    let is_clean = annotations.kind == capstan_goyaml::Kind::Mapping
        && !annotations.content.is_empty()
        && annotations.entries().all(|(key, value)| {
            value.tag == capstan_goyaml::Tag::Str
                && value.content.is_empty()
                && !value.style.has(capstan_goyaml::Style::FOLDED)
                && !is_internal(&key.value)
        });
    if is_clean {
        return Ok(());
    }
    let kept: std::collections::BTreeMap<String, String> = resource
        .annotations()
        .filter(|(key, _)| !is_internal(key))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    resource.edit(schema, |object| {
        crate::resource::set_meta_map(object, "annotations", kept)
    })
}

const INTERNAL: [&str; 19] = [
    "internal.config.kubernetes.io/previousKinds",
    "internal.config.kubernetes.io/previousNames",
    "internal.config.kubernetes.io/prefixes",
    "internal.config.kubernetes.io/suffixes",
    "internal.config.kubernetes.io/previousNamespaces",
    "internal.config.kubernetes.io/allowNameChange",
    "internal.config.kubernetes.io/allowKindChange",
    "internal.config.kubernetes.io/refBy",
    "internal.config.kubernetes.io/generatorBehavior",
    "internal.config.kubernetes.io/needsHashSuffix",
    "internal.config.kubernetes.io/path",
    "internal.config.kubernetes.io/index",
    "internal.config.kubernetes.io/seqindent",
    "internal.config.kubernetes.io/id",
    "internal.config.kubernetes.io/annotations-migration-resource-id",
    "config.kubernetes.io/path",
    "config.kubernetes.io/index",
    "config.k8s.io/id",
    "internal.config.kubernetes.io/helm-generated",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_relative_to_where_the_build_started() {
        assert_eq!(join("../base", "a.yaml"), "../base/a.yaml");
        assert_eq!(join("a", "../b/./c"), "b/c");
    }
}
