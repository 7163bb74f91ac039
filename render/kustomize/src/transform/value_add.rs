//! `ValueAddTransformer`: a value set in fields that are listed, or put between the parts of a path there.

use capstan_goyaml::{Kind, Node};

use crate::decode::record;
use crate::error::{Error, Result};
use crate::kustomization::Selector;
use crate::node::{self, Create};
use crate::resource::list::ResourceList;
use crate::schema::Schema;
use crate::select::Matcher;
use crate::transform::namespace::NamespaceTransformer;

record! {
    /// The configuration of the transformer.
    ValueAdd as "builtins.ValueAddTransformerPlugin" {
        value: String = "value",
        targets: Vec<ValueTarget> = "targets",
        target_file_path: String = "targetFilePath",
    }
}

record! {
    /// Fields that get the value.
    ValueTarget as "builtins.Target" {
        selector: Option<Selector> = "selector",
        field_path: String = "fieldPath",
        file_path_position: i64 = "filePathPosition",
    }
}

impl ValueAdd {
    pub(crate) fn check(&self) -> Result<()> {
        if self.targets.is_empty() {
            return Err(Error::invalid("must specify at least one target"));
        }
        for target in &self.targets {
            if target.field_path.is_empty() {
                return Err(Error::invalid("fieldPath cannot be empty"));
            }
            if target.file_path_position < 0 {
                let message = format!(
                    "value of FilePathPosition ({}) cannot be negative",
                    target.file_path_position
                );
                return Err(Error::invalid(message));
            }
        }
        Ok(())
    }

    pub(crate) fn apply(&self, list: &mut ResourceList, schema: &Schema) -> Result<()> {
        for target in &self.targets {
            let selected = match &target.selector {
                Some(selector) => Matcher::new(selector)?.select(list.items())?,
                None => (0..list.items().len()).collect(),
            };
            for at in selected {
                let resource = &mut list.items_mut()[at];
                let cluster_scoped = resource.id().cluster_scoped;
                resource.edit(schema, |node| self.set(node, target, cluster_scoped))?;
            }
        }
        Ok(())
    }

    fn set(&self, object: &mut Node, target: &ValueTarget, cluster_scoped: bool) -> Result<()> {
        if target.field_path == "metadata/namespace" {
            let namespace = NamespaceTransformer {
                namespace: self.value.clone(),
                ..NamespaceTransformer::default()
            };
            return namespace.set(object, cluster_scoped);
        }
        let path = split_escaped(&target.field_path);
        let parts: Vec<&str> = node::clean_parts(&path).collect();
        let Some(field) = node::lookup_or_create(object, &parts, Create::Scalar)? else {
            return Ok(());
        };
        node::expect_kind(field, Kind::Scalar)?;
        let value = match usize::try_from(target.file_path_position) {
            Ok(position) if position > 0 => insert_part(&field.value, position - 1, &self.value),
            _ => self.value.clone(),
        };
        node::replace_keeping_style(field, Node::scalar(value));
        Ok(())
    }
}

/// Splits at `/`; one after `\` belongs to the name.
fn split_escaped(path: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for part in path.split('/') {
        match out.last_mut().filter(|last| last.ends_with('\\')) {
            Some(last) => {
                last.pop();
                last.push('/');
                last.push_str(part);
            }
            None => out.push(part.to_owned()),
        }
    }
    out
}

/// Puts a part into a path, counted without a leading slash.
fn insert_part(path: &str, position: usize, part: &str) -> String {
    if part.is_empty() {
        return path.to_owned();
    }
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    parts.insert(position.min(parts.len()), part);
    format!("{}{}", if rooted { "/" } else { "" }, parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_go_into_paths() {
        assert_eq!(
            insert_part("projects/were/in", 1, "valuable"),
            "projects/valuable/were/in"
        );
        assert_eq!(insert_part("/projects/x", 0, "a"), "/a/projects/x");
        assert_eq!(insert_part("a", 9, "b"), "a/b");
        assert_eq!(
            split_escaped(r"metadata/annotations/a\/b"),
            ["metadata", "annotations", "a/b"]
        );
    }
}
