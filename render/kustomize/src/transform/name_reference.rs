//! After all names are final: fields that hold names of objects in the build get the new names.

use std::collections::{BTreeMap, BTreeSet};

use capstan_goyaml::{Kind, Node};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::fieldspec::{self, FieldSpec, Walk};
use crate::id::{Gvk, ResId};
use crate::node;
use crate::resource::Resource;
use crate::resource::list::ResourceList;
use crate::schema::Schema;

/// An object that fields may name, as it is before any field is changed.
struct Target {
    id: ResId,
    original_namespace: String,
    previous: Vec<ResId>,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
}

/// A field that may hold a name, and the type of what it names.
struct Field<'c> {
    spec: &'c FieldSpec,
    path: Vec<String>,
    target: Gvk,
}

/// Objects that were renamed, by any name that they had before.
struct Targets {
    all: Vec<Target>,
    by_name: BTreeMap<String, Vec<usize>>,
}

/// Changes every field that the configuration lists.
pub(crate) fn fix(list: &mut ResourceList, config: &Config, schema: &Schema) -> Result<()> {
    for resource in list.items() {
        binding_namespaces(resource)?;
    }
    let targets = Targets::of(list.items());
    if targets.by_name.is_empty() {
        return Ok(());
    }
    // Most of the many fields are of types that are not there.
    let kinds: BTreeSet<String> = list
        .items()
        .iter()
        .map(|resource| resource.original_id().gvk.kind)
        .collect();
    let is_there = |spec: &&FieldSpec| spec.kind.is_empty() || kinds.contains(&*spec.kind);
    let fields: Vec<Field<'_>> = config
        .name_reference
        .iter()
        .flat_map(|reference| {
            let field = |spec| Field {
                spec,
                path: node::split_path(&spec.path, '/'),
                target: reference.gvk(),
            };
            reference.referrers.iter().filter(is_there).map(field)
        })
        .collect();
    let mut by_kind: BTreeMap<&str, Vec<&Field<'_>>> = BTreeMap::new();
    for field in &fields {
        by_kind.entry(&field.spec.kind).or_default().push(field);
    }
    let anywhere = by_kind.remove("").unwrap_or_default();
    for resource in list.items_mut() {
        let original = resource.original_id();
        let of_kind = by_kind
            .get(&*original.gvk.kind)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut relevant: Vec<&Field<'_>> = of_kind
            .iter()
            .chain(&anywhere)
            .copied()
            .filter(|field| original.gvk.is_selected(&field.spec.gvk()))
            .collect();
        if !anywhere.is_empty() {
            relevant.sort_by_key(|field| std::ptr::from_ref(*field));
        }
        fix_one(resource, &relevant, &targets, schema)?;
    }
    Ok(())
}

fn fix_one(
    resource: &mut Resource,
    fields: &[&Field<'_>],
    targets: &Targets,
    schema: &Schema,
) -> Result<()> {
    if fields.is_empty() {
        return Ok(());
    }
    let binding_namespaces = binding_namespaces(resource)?;
    let referrer = Referrer {
        id: resource.id().clone(),
        prefixes: resource.memory.prefixes.clone(),
        suffixes: resource.memory.suffixes.clone(),
        role: role_of(resource.node()),
        binding_namespaces,
    };
    for field in fields {
        let lookup = Lookup {
            field,
            referrer: &referrer,
            targets,
        };
        if !fieldspec::any(&field.path, resource.node(), &mut |node| {
            lookup.would_change(node)
        }) {
            continue;
        }
        let spec = FieldSpec {
            path: field.spec.path.clone(),
            ..FieldSpec::default()
        };
        let mut set = |node: &mut Node| lookup.set(node);
        let changed = resource.edit(schema, |node| {
            fieldspec::apply(
                &spec,
                node,
                &mut Walk {
                    create: None,
                    set: &mut set,
                },
            )
        });
        changed.map_err(|e| {
            e.context(format_args!(
                "updating name reference in '{}' field of '{}'",
                spec.path, referrer.id
            ))
            .about(&referrer.id)
        })?;
    }
    Ok(())
}

struct Referrer {
    id: ResId,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
    role: Option<Gvk>,
    binding_namespaces: BTreeSet<String>,
}

struct Lookup<'a, 'c> {
    field: &'a Field<'c>,
    referrer: &'a Referrer,
    targets: &'a Targets,
}

impl Lookup<'_, '_> {
    /// Whether [`Lookup::set`] would change the node, or fail.
    fn would_change(&self, node: &Node) -> bool {
        let mut copy = node.clone();
        self.set(&mut copy).is_err() || copy != *node
    }

    fn set(&self, node: &mut Node) -> Result<()> {
        if node::is_null(node) {
            return Ok(());
        }
        match node.kind {
            Kind::Scalar => self.set_scalar(node),
            Kind::Mapping => self.set_mapping(node),
            Kind::Sequence => node
                .content
                .iter_mut()
                .filter(|e| !node::is_null(e))
                .try_for_each(|element| match element.kind {
                    Kind::Scalar => self.set_scalar(element),
                    Kind::Mapping => self.set_mapping(element),
                    Kind::Sequence | Kind::Alias => Err(Error::invalid(
                        "a name is expected to be either a string or a map of string",
                    )),
                }),
            Kind::Alias => Err(Error::invalid("node must be a scalar, sequence or map")),
        }
    }

    fn set_scalar(&self, node: &mut Node) -> Result<()> {
        let candidates = self.candidates(&node.value, |_| true);
        let same = |a: &Target, b: &Target| a.id.name == b.id.name;
        if let Some(target) = self.choose(candidates, same)?
            && node.value != target.id.name
        {
            node::replace_keeping_style(node, Node::scalar(&*target.id.name));
        }
        Ok(())
    }

    fn set_mapping(&self, node: &mut Node) -> Result<()> {
        let name = node
            .get("name")
            .ok_or_else(|| Error::invalid("path config error; no 'name' field in node"))?
            .value
            .clone();
        let namespace = node.get("namespace").map(|n| n.value.to_string());
        let candidates = match &namespace {
            None => self.candidates(&name, |_| true),
            Some(namespace) => {
                let any_was_there = self
                    .targets
                    .all
                    .iter()
                    .any(|t| self.is_reachable(t) && t.original_namespace == *namespace);
                self.candidates(&name, |target| {
                    if any_was_there {
                        target.original_namespace == *namespace
                    } else {
                        target.id.effective_namespace() == namespace
                    }
                })
            }
        };
        let same =
            |a: &Target, b: &Target| a.id.name == b.id.name && a.id.namespace == b.id.namespace;
        let Some(target) = self.choose(candidates, same)? else {
            return Ok(());
        };
        if name == target.id.name && target.id.namespace.is_empty() {
            return Ok(());
        }
        node::set_text(node, "name", &target.id.name);
        if !target.id.namespace.is_empty() {
            node::set_text(node, "namespace", &target.id.namespace);
        }
        Ok(())
    }

    /// Whether the referrer can name the object at all: namespaced objects know their own namespace only.
    fn is_reachable(&self, target: &Target) -> bool {
        self.referrer.id.cluster_scoped
            || target.id.cluster_scoped
            || target.id.same_namespace(&self.referrer.id)
            || self
                .referrer
                .binding_namespaces
                .contains(&target.id.namespace)
    }

    fn candidates(&self, name: &str, filter: impl Fn(&Target) -> bool) -> Vec<&Target> {
        let referrer = self.referrer;
        let role = referrer
            .role
            .as_ref()
            .filter(|_| self.field.spec.path.ends_with("roleRef/name"));
        let known = self
            .targets
            .by_name
            .get(name)
            .into_iter()
            .flatten()
            .map(|at| &self.targets.all[*at]);
        known
            .filter(|t| self.is_reachable(t) && filter(t))
            .filter(|t| {
                t.previous
                    .iter()
                    .any(|id| id.gvk.is_selected(&self.field.target))
            })
            .filter(|t| {
                role.is_none_or(|role| t.previous.iter().any(|id| id.gvk.is_selected(role)))
            })
            .filter(|t| {
                let anywhere = referrer.id.cluster_scoped
                    || t.id.cluster_scoped
                    || t.id.gvk.kind == "ServiceAccount";
                anywhere || t.id.same_namespace(&referrer.id)
            })
            .collect()
    }

    /// The one that is meant: of several, the one that was renamed in the same layers.
    fn choose<'t>(
        &self,
        mut candidates: Vec<&'t Target>,
        same: impl Fn(&Target, &Target) -> bool,
    ) -> Result<Option<&'t Target>> {
        if candidates.len() == 1 {
            return Ok(Some(candidates[0]));
        }
        candidates.retain(|t| self.same_affixes(t, true));
        if candidates.len() > 1 {
            candidates.retain(|t| self.same_affixes(t, false));
        }
        match candidates[..] {
            [] => Ok(None),
            [first, ref others @ ..] if others.iter().all(|other| same(first, other)) => {
                Ok(Some(first))
            }
            _ => {
                let ids: Vec<String> = candidates.iter().map(|t| t.id.to_string()).collect();
                let message = format!(
                    "found multiple possible referrals: {}\n\n**** Too many possible referral targets to referrer:\n{}\n",
                    ids.join(", "),
                    self.referrer.id
                );
                Err(Error::invalid(message))
            }
        }
    }

    fn same_affixes(&self, target: &Target, empty_is_any: bool) -> bool {
        let same = |a: &[String], b: &[String]| {
            (empty_is_any && (a.is_empty() || b.is_empty())) || same_ending(a, b)
        };
        same(&target.prefixes, &self.referrer.prefixes)
            && same(&target.suffixes, &self.referrer.suffixes)
    }
}

/// Whether the longer list ends with the shorter one; nothing is the end of nothing only.
fn same_ending(a: &[String], b: &[String]) -> bool {
    let (short, long) = if a.len() > b.len() { (b, a) } else { (a, b) };
    if short.is_empty() {
        long.is_empty()
    } else {
        long.ends_with(short)
    }
}

impl Targets {
    fn of(resources: &[Resource]) -> Targets {
        let all: Vec<Target> = resources
            .iter()
            .map(|r| Target {
                id: r.id().clone(),
                original_namespace: r.original_id().effective_namespace().to_owned(),
                previous: r.previous_ids().collect(),
                prefixes: r.memory.prefixes.clone(),
                suffixes: r.memory.suffixes.clone(),
            })
            .collect();
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, target) in all.iter().enumerate() {
            let names: BTreeSet<&str> = target.previous.iter().map(|id| &*id.name).collect();
            for name in names {
                by_name.entry(name.to_owned()).or_default().push(at);
            }
        }
        Targets { all, by_name }
    }
}

fn role_of(object: &Node) -> Option<Gvk> {
    let role = object.get("roleRef").filter(|r| r.kind == Kind::Mapping)?;
    let field = |name: &str| role.get(name).map(|v| v.value.to_string());
    Some(Gvk {
        group: field("apiGroup")?,
        version: String::new(),
        kind: field("kind")?,
    })
}

/// The namespaces of the service accounts that a role binding names.
fn binding_namespaces(resource: &Resource) -> Result<BTreeSet<String>> {
    let mut out = BTreeSet::new();
    if resource.kind() != "RoleBinding" {
        return Ok(out);
    }
    let subjects = resource
        .node()
        .get("subjects")
        .filter(|s| s.kind == Kind::Sequence);
    for subject in subjects.into_iter().flat_map(|s| &s.content) {
        let Some(namespace) = subject.get("namespace") else {
            continue;
        };
        if subject
            .get("kind")
            .is_none_or(|kind| kind.value != "ServiceAccount")
        {
            continue;
        }
        if !node::is_string(namespace) {
            let message = format!(
                "Invalid Input: namespace is blank for resource \"{}\"\n",
                resource.id()
            );
            return Err(Error::invalid(message).about(resource.id()));
        }
        out.insert(namespace.value.to_string());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn affixes_are_the_same_where_the_longer_chain_ends_with_the_shorter() {
        let list =
            |texts: &[&str]| -> Vec<String> { texts.iter().map(|t| (*t).to_owned()).collect() };
        assert!(same_ending(&list(&["a", "b"]), &list(&["b"])));
        assert!(!same_ending(&list(&["a", "b"]), &list(&["a"])));
        assert!(same_ending(&[], &[]));
        assert!(!same_ending(&list(&["a"]), &[]));
    }
}
