//! The records of clusters in memory: every connection and every plan asks for them.
//!
//! The store has one writer, this process, so what it wrote is what is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use capstan_core::{ClusterName, ClusterUid};

use super::{ClusterRecord, Versioned};

/// All of them, by UID and by name.
#[derive(Default)]
pub(super) struct Clusters(Mutex<Index>);

type Known = Versioned<Arc<ClusterRecord>>;

#[derive(Default)]
struct Index {
    by_uid: BTreeMap<ClusterUid, Known>,
    by_name: BTreeMap<ClusterName, ClusterUid>,
    /// Removed ones. A UID is never used again, and what was written before the removal may be told after it.
    gone: BTreeSet<ClusterUid>,
    /// Names that are being given.
    reserved: BTreeSet<ClusterName>,
}

impl Clusters {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, uid: &ClusterUid) -> Option<Known> {
        self.index().by_uid.get(uid).cloned()
    }

    pub(super) fn named(&self, name: &ClusterName) -> Option<Known> {
        let index = self.index();
        index.by_uid.get(index.by_name.get(name)?).cloned()
    }

    pub(super) fn all(&self) -> Vec<Known> {
        self.index().by_uid.values().cloned().collect()
    }

    /// Takes a name for a cluster that is about to be written. Gives whether it was free.
    pub(super) fn reserve(&self, name: &ClusterName) -> bool {
        let mut index = self.index();
        !index.by_name.contains_key(name) && index.reserved.insert(name.clone())
    }

    /// The cluster was written, or was not.
    pub(super) fn release(&self, name: &ClusterName) {
        self.index().reserved.remove(name);
    }

    /// What was written at `revision`; writes may be told in another order than they happened.
    pub(super) fn wrote(&self, record: ClusterRecord, revision: u64) {
        let mut index = self.index();
        let newer = |it: &Known| it.revision > revision;
        if index.gone.contains(&record.uid) || index.by_uid.get(&record.uid).is_some_and(newer) {
            return;
        }
        let uid = record.uid.clone();
        index.by_name.insert(record.name.clone(), uid.clone());
        let value = Arc::new(record);
        index.by_uid.insert(uid, Versioned { value, revision });
    }

    pub(super) fn removed(&self, uid: &ClusterUid) {
        let mut index = self.index();
        index.gone.insert(uid.clone());
        index.by_uid.remove(uid);
        index.by_name.retain(|_, it| it != uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, uid: &str, certificates: u64) -> ClusterRecord {
        let uid = format!("{uid}-0000-4000-8000-000000000000");
        ClusterRecord {
            certificates,
            ..ClusterRecord::added(uid.parse().unwrap(), name.parse().unwrap(), 0)
        }
    }

    #[test]
    fn writes_that_are_told_late_change_nothing() {
        let clusters = Clusters::default();
        let certificates = |name: &str| {
            let found = clusters.named(&name.parse().unwrap());
            found.map(|it| (it.value.certificates, it.revision))
        };
        clusters.wrote(record("dev", "00000001", 2), 7);
        clusters.wrote(record("dev", "00000001", 1), 5);
        assert_eq!(certificates("dev"), Some((2, 7)));
        clusters.removed(&record("dev", "00000001", 0).uid);
        clusters.wrote(record("dev", "00000001", 3), 8);
        assert_eq!(certificates("dev"), None);
        clusters.wrote(record("dev", "00000002", 1), 9);
        assert_eq!(certificates("dev"), Some((1, 9)), "another one of the name");
        assert_eq!(clusters.all().len(), 1);
    }

    #[test]
    fn a_name_is_given_once() {
        let clusters = Clusters::default();
        let dev = "dev".parse().unwrap();
        assert!(clusters.reserve(&dev));
        assert!(!clusters.reserve(&dev), "it is being given");
        clusters.release(&dev);
        assert!(clusters.reserve(&dev), "it was not written");
        clusters.wrote(record("dev", "00000001", 0), 1);
        clusters.release(&dev);
        assert!(!clusters.reserve(&dev));
    }
}
