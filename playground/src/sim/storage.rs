//! What a cluster holds: objects in their stored version, one counter of resource versions, and the log of changes that watches read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::kinds::ResourceId;

/// Changes that are kept for watches; older ones are compacted away, so that a long test does not grow without bound.
const MAX_LOG: usize = 20_000;

/// Where an object is among those of its resource. The namespace is empty for what is not in one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Key {
        Key {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// One change of one object.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) resource: Arc<ResourceId>,
    pub(crate) key: Key,
    pub(crate) old: Option<Arc<Value>>,
    /// Nothing when the object was deleted.
    pub(crate) new: Option<Arc<Value>>,
}

impl Change {
    /// The object as a deletion reports it: its last state, under the version of the deletion.
    pub(crate) fn last_state(&self) -> Option<Value> {
        let mut object = self.old.as_deref()?.clone();
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        Some(object)
    }
}

type Table = BTreeMap<Key, Arc<Value>>;

/// The objects of one cluster.
#[derive(Debug, Default)]
pub(crate) struct Store {
    version: u64,
    compacted: u64,
    tables: BTreeMap<Arc<ResourceId>, Table>,
    log: VecDeque<Change>,
}

/// The past cannot be read any more.
#[derive(Debug)]
pub(crate) struct Compacted;

impl Store {
    /// The newest resource version.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The newest version whose successors are not all known any more.
    pub(crate) fn compacted(&self) -> u64 {
        self.compacted
    }

    pub(crate) fn get(&self, resource: &ResourceId, key: &Key) -> Option<&Arc<Value>> {
        self.tables.get(resource)?.get(key)
    }

    /// The objects of a resource, in the order of their keys; in one namespace, or in all.
    pub(crate) fn list<'a>(
        &'a self,
        resource: &ResourceId,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> + use<'a> {
        self.tables
            .get(resource)
            .into_iter()
            .flatten()
            .filter(move |(key, _)| namespace.is_none_or(|ns| key.namespace == ns))
    }

    /// All objects with their resources.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Arc<ResourceId>, &Key, &Arc<Value>)> {
        self.tables.iter().flat_map(|(resource, table)| {
            table
                .iter()
                .map(move |(key, object)| (resource, key, object))
        })
    }

    /// Writes an object and gives it its resource version.
    pub(crate) fn put(&mut self, resource: &ResourceId, key: Key, mut object: Value) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let object = Arc::new(object);
        let resource = self.resource(resource);
        let old = self
            .tables
            .entry(Arc::clone(&resource))
            .or_default()
            .insert(key.clone(), Arc::clone(&object));
        self.record(Change {
            version: self.version,
            resource,
            key,
            old,
            new: Some(Arc::clone(&object)),
        });
        object
    }

    /// Removes an object and gives its last state.
    pub(crate) fn remove(&mut self, resource: &ResourceId, key: &Key) -> Option<Value> {
        let old = self.tables.get_mut(resource)?.remove(key)?;
        self.version += 1;
        let change = Change {
            version: self.version,
            resource: self.resource(resource),
            key: key.clone(),
            old: Some(old),
            new: None,
        };
        let last = change.last_state();
        self.record(change);
        last
    }

    fn resource(&self, resource: &ResourceId) -> Arc<ResourceId> {
        self.tables
            .get_key_value(resource)
            .map_or_else(|| Arc::new(resource.clone()), |(id, _)| Arc::clone(id))
    }

    fn record(&mut self, change: Change) {
        self.log.push_back(change);
        if self.log.len() > MAX_LOG
            && let Some(gone) = self.log.pop_front()
        {
            self.compacted = gone.version;
        }
    }

    /// Forgets all changes so far: a watch that is behind has to list again.
    pub(crate) fn compact(&mut self) {
        self.log.clear();
        self.compacted = self.version;
    }

    /// The changes after a version.
    pub(crate) fn since(&self, version: u64) -> Result<impl Iterator<Item = &Change>, Compacted> {
        if version < self.compacted {
            return Err(Compacted);
        }
        let start = self.log.partition_point(|change| change.version <= version);
        Ok(self.log.range(start..))
    }

    /// The objects of a resource as they were at a version.
    pub(crate) fn list_at(
        &self,
        resource: &ResourceId,
        namespace: Option<&str>,
        version: u64,
    ) -> Result<BTreeMap<Key, Arc<Value>>, Compacted> {
        let mut objects: BTreeMap<Key, Arc<Value>> = self
            .list(resource, namespace)
            .map(|(k, v)| (k.clone(), Arc::clone(v)))
            .collect();
        let later: Vec<&Change> = self
            .since(version)?
            .filter(|c| {
                *c.resource == *resource && namespace.is_none_or(|ns| c.key.namespace == ns)
            })
            .collect();
        for change in later.into_iter().rev() {
            match &change.old {
                Some(old) => objects.insert(change.key.clone(), Arc::clone(old)),
                None => objects.remove(&change.key),
            };
        }
        Ok(objects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_past_can_be_listed_until_it_is_compacted() {
        let mut store = Store::default();
        let maps = ResourceId::new("", "configmaps");
        let put = |store: &mut Store, name: &str, n: u32| {
            store.put(
                &maps,
                Key::new("d", name),
                json!({"metadata": {"name": name}, "n": n}),
            )
        };
        put(&mut store, "a", 1);
        put(&mut store, "b", 1);
        let then = store.version();
        put(&mut store, "a", 2);
        store.remove(&maps, &Key::new("d", "b"));
        put(&mut store, "c", 1);
        let past = store.list_at(&maps, None, then).unwrap();
        let names: Vec<(&str, u64)> = past
            .iter()
            .map(|(k, v)| (k.name.as_str(), v["n"].as_u64().unwrap()))
            .collect();
        assert_eq!(names, [("a", 1), ("b", 1)]);
        store.compact();
        assert!(store.list_at(&maps, None, then).is_err());
        assert_eq!(store.since(store.version()).unwrap().count(), 0);
    }
}
