//! `namespace`: where objects go, and what refers to it.

use capstan_goyaml::{Kind, Node, Tag};

use crate::error::{Error, Result};
use crate::fieldspec::{self, FieldSpec, Walk};
use crate::node::{self, Create};
use crate::resource::list::ResourceList;
use crate::schema::Schema;

/// Which subjects of role bindings get the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Subjects {
    /// Those named `default`.
    #[default]
    Default,
    /// All service accounts.
    AllServiceAccounts,
    /// None.
    None,
}

impl Subjects {
    pub(crate) fn parse(text: &str) -> Result<Subjects> {
        match text {
            "" | "defaultOnly" => Ok(Subjects::Default),
            "allServiceAccounts" => Ok(Subjects::AllServiceAccounts),
            "none" => Ok(Subjects::None),
            other => Err(Error::invalid(format!(
                "invalid value {other:?} for setRoleBindingSubjects: must be one of \"allServiceAccounts\", \"defaultOnly\" or \"none\""
            ))),
        }
    }
}

/// How the namespace is set.
#[derive(Debug, Clone, Default)]
pub(crate) struct NamespaceTransformer {
    pub(crate) namespace: String,
    pub(crate) specs: Vec<FieldSpec>,
    pub(crate) unset_only: bool,
    pub(crate) subjects: Subjects,
}

impl NamespaceTransformer {
    pub(crate) fn apply(&self, list: &mut ResourceList, schema: &Schema) -> Result<()> {
        if self.namespace.is_empty() {
            return Ok(());
        }
        for at in 0..list.items().len() {
            let resource = &mut list.items_mut()[at];
            if resource.is_gone() || resource.memory.from_helm {
                continue;
            }
            resource.remember_id(schema)?;
            let before = resource.id().clone();
            if self.changes(resource.node(), before.cluster_scoped) {
                resource
                    .edit(schema, |node| self.set(node, before.cluster_scoped))
                    .map_err(|e| e.about(&before))?;
            }
            let id = list.items()[at].id();
            let same: Vec<String> = list
                .items()
                .iter()
                .filter(|r| id.same(r.id()))
                .map(|r| r.id().to_string())
                .collect();
            if same.len() != 1 {
                let message = format!(
                    "namespace transformation produces ID conflict: [{}]",
                    same.join(" ")
                );
                return Err(Error::invalid(message).about(id));
            }
        }
        Ok(())
    }

    fn changes(&self, object: &Node, cluster_scoped: bool) -> bool {
        !cluster_scoped
            || is_role_binding(node::top_text(object, "kind"))
            || self
                .specs
                .iter()
                .any(|spec| fieldspec::reaches(spec, object))
    }

    /// Sets the namespace in one object. Also used where a value is added at `metadata/namespace`.
    pub(crate) fn set(&self, object: &mut Node, cluster_scoped: bool) -> Result<()> {
        let kind = node::top_text(object, "kind").to_owned();
        let is_core = node::top_text(object, "apiVersion") == "v1";
        if !cluster_scoped {
            // kustomize leaves a node that it creates here without a tag.
            self.walk(
                &FieldSpec::new("metadata/namespace", true),
                object,
                Tag::None,
                &mut true,
            )?;
        }
        let is_binding = is_role_binding(&kind);
        if is_binding {
            self.set_subjects(object)?;
        }
        for spec in &self.specs {
            let is_name_of_other = spec.path == "metadata/name" && !is_core;
            let is_subject =
                is_binding && is_role_binding(&spec.kind) && spec.path == "subjects/namespace";
            if spec.path == "metadata/namespace" || is_name_of_other || is_subject {
                continue;
            }
            let mut is_scalar = true;
            let walked = self.walk(spec, object, Tag::Str, &mut is_scalar);
            walked.map_err(|e| {
                e.context(if is_scalar {
                    "namespace transformation failed"
                } else {
                    "namespace field specs must target scalar nodes"
                })
            })?;
        }
        Ok(())
    }

    /// `is_scalar` becomes false where a field is found that is no scalar.
    fn walk(
        &self,
        spec: &FieldSpec,
        object: &mut Node,
        tag: Tag,
        is_scalar: &mut bool,
    ) -> Result<()> {
        let mut set = |field: &mut Node| {
            *is_scalar &= field.kind == Kind::Scalar;
            self.set_field(field)
        };
        fieldspec::apply(
            spec,
            object,
            &mut Walk {
                create: Some((Create::Scalar, tag)),
                set: &mut set,
            },
        )
    }

    fn set_field(&self, field: &mut Node) -> Result<()> {
        if self.unset_only && !node::is_nil_or_empty(field) && !field.value.is_empty() {
            return Ok(());
        }
        node::expect_kind(field, Kind::Scalar)?;
        node::replace_keeping_style(field, Node::string(&*self.namespace));
        Ok(())
    }

    fn set_subjects(&self, object: &mut Node) -> Result<()> {
        let (key, wanted) = match self.subjects {
            Subjects::None => return Ok(()),
            Subjects::Default => ("name", "default"),
            Subjects::AllServiceAccounts => ("kind", "ServiceAccount"),
        };
        let Some(subjects) = object.get_mut("subjects").filter(|s| !node::is_null(s)) else {
            return Ok(());
        };
        node::expect_kind(subjects, Kind::Sequence)?;
        for subject in &mut subjects.content {
            let wrap = |e: Error| e.context("setting namespace on (cluster)role binding subjects");
            node::expect_kind(subject, Kind::Mapping).map_err(wrap)?;
            if subject
                .get(key)
                .is_none_or(|value| node::text(value) != wanted)
            {
                continue;
            }
            if let Some(namespace) =
                node::lookup_or_create(subject, &["namespace"], Create::Scalar).map_err(wrap)?
            {
                self.set_field(namespace).map_err(wrap)?;
            }
        }
        Ok(())
    }
}

fn is_role_binding(kind: &str) -> bool {
    kind == "RoleBinding" || kind == "ClusterRoleBinding"
}
