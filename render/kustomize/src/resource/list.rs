//! The objects of a build, in order, no identity twice.

use std::collections::BTreeSet;

use crate::error::{Error, ErrorKind, Result};
use crate::id::ResId;
use crate::limits::MAX_OBJECTS;
use crate::resource::{Behavior, Resource};
use crate::schema::Schema;

/// Objects in the order in which they were added.
#[derive(Debug, Clone, Default)]
pub(crate) struct ResourceList {
    items: Vec<Resource>,
}

type Key = (String, String, String, String, String);

fn key(id: &ResId) -> Key {
    let gvk = &id.gvk;
    (
        id.name.clone(),
        gvk.kind.clone(),
        gvk.group.clone(),
        gvk.version.clone(),
        id.effective_namespace().to_owned(),
    )
}

fn registered(id: &ResId) -> Error {
    Error::invalid(format!(
        "may not add resource with an already registered id: {id}"
    ))
    .about(id)
}

impl ResourceList {
    pub(crate) fn from_unique(items: Vec<Resource>) -> Result<ResourceList> {
        let mut list = ResourceList::default();
        list.append_all(items)?;
        Ok(list)
    }

    pub(crate) fn items(&self) -> &[Resource] {
        &self.items
    }

    pub(crate) fn items_mut(&mut self) -> &mut [Resource] {
        &mut self.items
    }

    pub(crate) fn into_items(self) -> Vec<Resource> {
        self.items
    }

    /// Adds objects; one whose identity is there already is an error.
    pub(crate) fn append_all(&mut self, new: Vec<Resource>) -> Result<()> {
        if self.items.len() + new.len() > MAX_OBJECTS {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("add objects: a build may have {MAX_OBJECTS}; split the kustomization"),
            ));
        }
        let mut known: BTreeSet<Key> = self.items.iter().map(|r| key(r.id())).collect();
        for resource in new {
            if !known.insert(key(resource.id())) {
                return Err(registered(resource.id()));
            }
            self.items.push(resource);
        }
        Ok(())
    }

    /// Adds generated objects, which may replace or merge into those that are there.
    pub(crate) fn absorb_all(&mut self, new: Vec<Resource>, schema: &Schema) -> Result<()> {
        new.into_iter()
            .try_for_each(|resource| self.absorb(resource, schema))
    }

    fn absorb(&mut self, mut new: Resource, schema: &Schema) -> Result<()> {
        let id = new.id().clone();
        let matches = self.positions_by_any_id(|other| id.same(other));
        let behavior = new.memory.behavior;
        match (matches[..].as_ref(), behavior) {
            ([], Behavior::Merge | Behavior::Replace) => Err(Error::invalid(format!(
                "id {} does not exist; cannot merge or replace",
                go_literal(&id)
            ))
            .about(&id)),
            ([], _) => self.append_all(vec![new]),
            ([at], Behavior::Merge | Behavior::Replace) => {
                let old = &self.items[*at];
                new.adopt_metadata(old, schema)?;
                if behavior == Behavior::Merge {
                    merge_data(&mut new, old, schema);
                    new.origin = old.origin.clone();
                    new.layers.clone_from(&old.layers);
                    if let Some(origin) = old.annotation(crate::metadata::ORIGIN) {
                        crate::metadata::annotate(
                            &mut new,
                            crate::metadata::ORIGIN,
                            origin.to_owned(),
                            schema,
                        )?;
                    }
                }
                let replaced = self.items.iter().filter(|r| new.id().same(r.id())).count();
                if replaced > 1 {
                    return Err(Error::invalid(format!(
                        "in Replace: id matched {replaced} resources"
                    )));
                }
                self.items[*at] = new;
                Ok(())
            }
            ([_], _) => {
                let name = behavior.name();
                let message = format!(
                    "id {} exists; can not use behavior: '{name}', behavior must be merge or replace",
                    go_literal(&id)
                );
                Err(Error::invalid(message).about(&id))
            }
            (several, _) => {
                let ids: Vec<String> = several
                    .iter()
                    .map(|at| self.items[*at].id().to_string())
                    .collect();
                Err(Error::invalid(format!(
                    "found multiple objects [{}] that could accept merge of {id}",
                    ids.join(" ")
                ))
                .about(&id))
            }
        }
    }

    pub(crate) fn positions_by_any_id(&self, is_it: impl Fn(&ResId) -> bool) -> Vec<usize> {
        let matching = self
            .items
            .iter()
            .enumerate()
            .filter(|(_, r)| !r.is_gone() && r.has_any_id(&is_it));
        matching.map(|(at, _)| at).collect()
    }

    /// The one object that has, or had, this identity.
    pub(crate) fn position_of(&self, id: &ResId) -> Result<usize> {
        let matches = self.positions_by_any_id(|other| id.same(other));
        let problem = match matches[..] {
            [at] => return Ok(at),
            [] => "no matches for",
            _ => "multiple matches for",
        };
        Err(Error::invalid(format!(
            "{problem} Id {id}; failed to find unique target for patch {id}"
        ))
        .about(id))
    }

    /// Forgets objects of which nothing is left.
    pub(crate) fn drop_gone(&mut self) {
        self.items.retain(|r| !r.is_gone());
    }

    pub(crate) fn retain(&mut self, keep: impl FnMut(&Resource) -> bool) {
        self.items.retain(keep);
    }

    pub(crate) fn sort_by_key<K: Ord>(&mut self, key: impl FnMut(&Resource) -> K) {
        self.items.sort_by_cached_key(key);
    }

    /// An error if two objects have the same identity.
    pub(crate) fn check_unique(&self) -> Result<()> {
        let mut known = BTreeSet::new();
        match self.items.iter().find(|r| !known.insert(key(r.id()))) {
            Some(twice) => Err(registered(twice.id())),
            None => Ok(()),
        }
    }
}

/// How Go prints an identity with `%#v`.
fn go_literal(id: &ResId) -> String {
    format!(
        "resid.ResId{{Gvk:resid.Gvk{{Group:{:?}, Version:{:?}, Kind:{:?}, isClusterScoped:{}}}, Name:{:?}, Namespace:{:?}}}",
        id.gvk.group, id.gvk.version, id.gvk.kind, id.cluster_scoped, id.name, id.namespace
    )
}

/// Adds the data of `old` that `new` does not have.
fn merge_data(new: &mut Resource, old: &Resource, schema: &Schema) {
    for field in ["data", "binaryData"] {
        let entries = |resource: &Resource| -> Vec<(String, String)> {
            let map = resource.node().get(field);
            map.into_iter()
                .flat_map(|m| {
                    m.entries().map(|(k, v)| {
                        (
                            crate::node::text(k).to_owned(),
                            crate::node::text(v).to_owned(),
                        )
                    })
                })
                .collect()
        };
        let merged: std::collections::BTreeMap<String, String> =
            entries(old).into_iter().chain(entries(new)).collect();
        new.edit(schema, |node| {
            crate::generate::set_data(node, field, merged)
        });
    }
}
