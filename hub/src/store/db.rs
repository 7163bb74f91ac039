//! Typed records over a [`Store`].

use std::{collections::BTreeMap, sync::Arc};

use capstan_core::{ClusterName, ClusterUid, DesiredState, Generation, StoreEpoch};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    AuditRecord, Batch, ClusterRecord, EventRecord, HubRecord, MAX_VALUE_BYTES, RenderingRecord,
    Store, StoreError, TokenRecord, clusters::Clusters, zstd,
};
use crate::{
    plan::{Book, EnvironmentKey, Orphans, Overrides, Pin},
    secret::fill_random,
};

const HUB: &str = "hub";
const CLUSTERS: &str = "clusters/";
const OVERRIDES: &str = "overrides";
const RENDERING: &str = "rendering";
/// Room that a chunk leaves below the limit of a value.
const CHUNK_BYTES: usize = MAX_VALUE_BYTES - 1024;
/// Largest desired state when unpacked: 10,000 units with their entries.
const MAX_DESIRED_BYTES: usize = 1 << 30;
/// Events and audit records that are kept; older ones go as new ones come.
pub(crate) const KEPT_EVENTS: u64 = 5_000;

/// A store failed, or what it holds cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DbError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record of another version, or damage.
    #[error(
        "the record `{key}` cannot be read: {reason}; it may be of a newer version of the hub, nothing was changed"
    )]
    Record { key: String, reason: String },
}

/// The records.
#[derive(Clone)]
pub(crate) struct Db {
    store: Arc<dyn Store>,
    clusters: Arc<Clusters>,
}

/// A record and its revision, for comparing when it is put back.
#[derive(Clone, Debug)]
pub(crate) struct Versioned<T> {
    pub(crate) value: T,
    pub(crate) revision: u64,
}

impl Db {
    /// Over `store`.
    pub(crate) fn open(store: Arc<dyn Store>) -> Result<Self, DbError> {
        let db = Self {
            store,
            clusters: Arc::default(),
        };
        for (_, it) in db.list::<ClusterRecord>(CLUSTERS)? {
            db.clusters.wrote(it.value, it.revision);
        }
        Ok(db)
    }

    /// Writes a batch and gives its revision. Two clusters of one name are a conflict.
    pub(crate) fn commit(&self, batch: &Batch) -> Result<u64, DbError> {
        let clusters = batch.put.iter().filter(|it| it.0.starts_with(CLUSTERS));
        let clusters: Vec<ClusterRecord> = clusters
            .map(|(key, bytes)| parse(key, bytes))
            .collect::<Result<_, _>>()?;
        let is_new = |it: &ClusterRecord| batch.expect.contains(&(cluster_key(&it.uid), None));
        let mut reserved = Vec::new();
        let mut taken = None;
        for it in clusters.iter().filter(|it| is_new(it)) {
            if self.clusters.reserve(&it.name) {
                reserved.push(&it.name);
            } else {
                taken = Some(it.name.to_string());
            }
        }
        let written = match taken {
            Some(key) => Err(StoreError::Conflict { key }),
            None => self.store.commit(batch),
        };
        if let Ok(revision) = written {
            for it in &clusters {
                self.clusters.wrote(it.clone(), revision);
            }
            let removed = batch.delete.iter();
            let removed = removed.filter_map(|it| it.strip_prefix(CLUSTERS)?.parse().ok());
            removed.for_each(|uid| self.clusters.removed(&uid));
        }
        for name in reserved {
            self.clusters.release(name);
        }
        Ok(written?)
    }

    fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<Versioned<T>>, DbError> {
        let found = self.store.get(key)?;
        found.map(|it| versioned(key, &it)).transpose()
    }

    fn list<T: DeserializeOwned>(
        &self,
        prefix: &str,
    ) -> Result<Vec<(String, Versioned<T>)>, DbError> {
        let found = self.store.list(prefix)?;
        let parsed = found.into_iter().map(|(key, it)| {
            let value = versioned(&key, &it)?;
            Ok((key[prefix.len()..].to_owned(), value))
        });
        parsed.collect()
    }

    /// Who this hub is; drawn when the store is new.
    pub(crate) fn hub(&self) -> Result<HubRecord, DbError> {
        if let Some(it) = self.get(HUB)? {
            return Ok(it.value);
        }
        let mut epoch = [0; 16];
        fill_random(&mut epoch);
        let record = HubRecord {
            hub_id: uuid::Uuid::new_v4().to_string(),
            epoch: StoreEpoch(epoch),
        };
        let mut batch = Batch::default();
        batch.expect.push((HUB.into(), None));
        batch.record(HUB, &record);
        self.commit(&batch)?;
        Ok(record)
    }

    /// All clusters.
    pub(crate) fn clusters(&self) -> Vec<Versioned<Arc<ClusterRecord>>> {
        self.clusters.all()
    }

    /// The cluster of that UID.
    pub(crate) fn cluster(&self, uid: &ClusterUid) -> Option<Versioned<Arc<ClusterRecord>>> {
        self.clusters.get(uid)
    }

    /// The cluster that has that name now.
    pub(crate) fn cluster_named(
        &self,
        name: &ClusterName,
    ) -> Option<Versioned<Arc<ClusterRecord>>> {
        self.clusters.named(name)
    }

    /// The token of that id.
    pub(crate) fn token(&self, id: &str) -> Result<Option<Versioned<TokenRecord>>, DbError> {
        self.get(&token_key(id))
    }

    /// All tokens by id.
    pub(crate) fn tokens(&self) -> Result<Vec<(String, Versioned<TokenRecord>)>, DbError> {
        self.list("tokens/")
    }

    /// All pins.
    pub(crate) fn book(&self) -> Result<Book, DbError> {
        let mut book = Book::default();
        for (name, it) in self.list("pins/")? {
            if let Ok(name) = name.parse() {
                book.clusters.insert(name, it.value);
            }
        }
        for (key, it) in self.list::<Pin>("environments/")? {
            if let Some((pipeline, environment)) = key.split_once('/') {
                let key = EnvironmentKey::new(pipeline, environment);
                book.environments.insert(key, it.value);
            }
        }
        Ok(book)
    }

    /// What people have set beside Git.
    pub(crate) fn overrides(&self) -> Result<Versioned<Overrides>, DbError> {
        Ok(self.get(OVERRIDES)?.unwrap_or(Versioned {
            value: Overrides::default(),
            revision: 0,
        }))
    }

    /// What is being rendered for the first time, and what the hub died on.
    pub(crate) fn rendering(&self) -> Result<RenderingRecord, DbError> {
        Ok(self.get(RENDERING)?.map(|it| it.value).unwrap_or_default())
    }

    /// The units of a cluster that nothing declares any more.
    pub(crate) fn orphans(&self, name: &ClusterName) -> Result<Orphans, DbError> {
        let found = self.get(&format!("orphans/{name}"))?;
        Ok(found.map(|it| it.value).unwrap_or_default())
    }

    /// The same of all clusters that have any.
    pub(crate) fn all_orphans(&self) -> Result<BTreeMap<ClusterName, Orphans>, DbError> {
        let found = self.list("orphans/")?.into_iter();
        Ok(found
            .filter_map(|(name, it)| Some((name.parse().ok()?, it.value)))
            .collect())
    }

    /// The desired state last planned for a cluster.
    pub(crate) fn desired(&self, uid: &ClusterUid) -> Result<Option<DesiredState>, DbError> {
        let prefix = desired_prefix(uid);
        let chunks = self.store.list(&prefix)?;
        let Some(revision) = chunks.first().map(|it| it.1.revision) else {
            return Ok(None);
        };
        let wrong = |reason: String| DbError::Record {
            key: prefix.clone(),
            reason,
        };
        if chunks.iter().any(|it| it.1.revision != revision) {
            return Err(wrong("its chunks are of different revisions".into()));
        }
        let packed: Vec<u8> = chunks.into_iter().flat_map(|it| it.1.bytes).collect();
        let bytes = zstd::unpack(&packed, MAX_DESIRED_BYTES).map_err(|it| wrong(it.to_string()))?;
        let mut state: DesiredState =
            serde_json::from_slice(&bytes).map_err(|it| wrong(it.to_string()))?;
        state.generation = Generation(revision);
        Ok(Some(state))
    }

    /// All events that are kept, oldest first.
    pub(crate) fn events(&self) -> Result<Vec<EventRecord>, DbError> {
        Ok(self
            .list("events/")?
            .into_iter()
            .map(|it| it.1.value)
            .collect())
    }

    /// All audit records that are kept, oldest first.
    pub(crate) fn audit(&self) -> Result<Vec<AuditRecord>, DbError> {
        Ok(self
            .list("audit/")?
            .into_iter()
            .map(|it| it.1.value)
            .collect())
    }
}

fn versioned<T: DeserializeOwned>(
    key: &str,
    value: &super::Value,
) -> Result<Versioned<T>, DbError> {
    Ok(Versioned {
        value: parse(key, &value.bytes)?,
        revision: value.revision,
    })
}

fn parse<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, DbError> {
    serde_json::from_slice(bytes).map_err(|it| DbError::Record {
        key: key.to_owned(),
        reason: it.to_string(),
    })
}

fn cluster_key(uid: &ClusterUid) -> String {
    format!("{CLUSTERS}{uid}")
}

fn token_key(id: &str) -> String {
    format!("tokens/{id}")
}

fn desired_prefix(uid: &ClusterUid) -> String {
    format!("desired/{uid}/")
}

/// Typed puts and deletes.
impl Batch {
    fn record(&mut self, key: &str, value: &impl Serialize) {
        let bytes = serde_json::to_vec(value).expect("records have text keys and no failing parts");
        self.put.push((key.to_owned(), bytes));
    }

    /// Puts a cluster; with `expect`, only if it is still of that revision.
    pub(crate) fn put_cluster(&mut self, record: &ClusterRecord, expect: Option<u64>) {
        let key = cluster_key(&record.uid);
        self.expect.push((key.clone(), expect));
        self.record(&key, record);
    }

    /// Forgets a cluster, its pins and its desired state.
    pub(crate) fn delete_cluster(&mut self, record: &ClusterRecord, chunks: usize) {
        let prefix = desired_prefix(&record.uid);
        self.delete.push(cluster_key(&record.uid));
        self.delete.push(format!("pins/{}", record.name));
        self.delete.push(format!("orphans/{}", record.name));
        self.delete
            .extend((0..chunks).map(|it| format!("{prefix}{it:04}")));
    }

    pub(crate) fn put_token(&mut self, id: &str, record: &TokenRecord) {
        self.record(&token_key(id), record);
    }

    /// Uses up a token: fails when somebody else has.
    pub(crate) fn take_token(&mut self, id: &str, revision: u64) {
        self.expect.push((token_key(id), Some(revision)));
        self.delete.push(token_key(id));
    }

    pub(crate) fn delete_token(&mut self, id: &str) {
        self.delete.push(token_key(id));
    }

    /// Puts what changed between two books, and deletes what is gone.
    pub(crate) fn put_book(&mut self, old: &Book, new: &Book) {
        for (name, pins) in &new.clusters {
            if old.clusters.get(name) != Some(pins) {
                self.record(&format!("pins/{name}"), pins);
            }
        }
        for (key, pin) in &new.environments {
            if old.environments.get(key) != Some(pin) {
                self.record(&format!("environments/{key}"), pin);
            }
        }
        let gone = old
            .environments
            .keys()
            .filter(|it| !new.environments.contains_key(*it));
        self.delete
            .extend(gone.map(|it| format!("environments/{it}")));
    }

    pub(crate) fn put_overrides(&mut self, overrides: &Overrides) {
        self.record(OVERRIDES, overrides);
    }

    pub(crate) fn put_rendering(&mut self, record: &RenderingRecord) {
        self.record(RENDERING, record);
    }

    pub(crate) fn put_orphans(&mut self, name: &ClusterName, orphans: &Orphans) {
        let key = format!("orphans/{name}");
        if orphans.is_empty() {
            self.delete.push(key);
        } else {
            self.record(&key, orphans);
        }
    }

    /// Puts a desired state in as many chunks as it needs. Its generation is the revision of this batch.
    pub(crate) fn put_desired(
        &mut self,
        uid: &ClusterUid,
        state: &DesiredState,
        old_chunks: usize,
    ) -> usize {
        let mut kept = state.clone();
        kept.generation = Generation(0);
        let bytes = serde_json::to_vec(&kept).expect("a desired state has text keys");
        let packed = zstd::pack(&bytes).expect("zstd compresses any bytes that fit in memory");
        let prefix = desired_prefix(uid);
        let mut count = 0;
        for chunk in packed.chunks(CHUNK_BYTES) {
            self.put
                .push((format!("{prefix}{count:04}"), chunk.to_vec()));
            count += 1;
        }
        self.delete
            .extend((count..old_chunks).map(|it| format!("{prefix}{it:04}")));
        count
    }

    /// Puts events and drops those that they push out.
    pub(crate) fn put_events(&mut self, events: &[EventRecord]) {
        for it in events {
            self.record(&format!("events/{:020}", it.number), it);
            if let Some(old) = it.number.checked_sub(KEPT_EVENTS) {
                self.delete.push(format!("events/{old:020}"));
            }
        }
    }

    /// Puts an audit record.
    pub(crate) fn put_audit(&mut self, record: &AuditRecord) {
        self.record(&format!("audit/{:020}", record.number), record);
        if let Some(old) = record.number.checked_sub(KEPT_EVENTS) {
            self.delete.push(format!("audit/{old:020}"));
        }
    }
}

impl Db {
    /// How many chunks a cluster's desired state has in the store.
    pub(crate) fn desired_chunks(&self, uid: &ClusterUid) -> Result<usize, DbError> {
        Ok(self.store.list(&desired_prefix(uid))?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ClusterState, Embedded};

    fn record(name: &str) -> ClusterRecord {
        let uid = uuid::Uuid::new_v4().to_string().parse().unwrap();
        ClusterRecord::added(uid, name.parse().unwrap(), 0)
    }

    fn new(record: &ClusterRecord) -> Batch {
        let mut batch = Batch::default();
        batch.put_cluster(record, None);
        batch
    }

    #[test]
    fn clusters_are_known_as_they_were_written_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let open = || Db::open(Arc::new(Embedded::open(&path).unwrap())).unwrap();
        let db = open();
        let mut dev = record("dev");
        let first = db.commit(&new(&dev)).unwrap();
        let prod = record("prod");
        db.commit(&new(&prod)).unwrap();
        let again = db.commit(&new(&record("dev")));
        assert!(
            matches!(again, Err(DbError::Store(StoreError::Conflict { .. }))),
            "a name is one cluster's"
        );
        dev.state = ClusterState::Revoked;
        let mut batch = Batch::default();
        batch.put_cluster(&dev, Some(first + 9));
        assert!(db.commit(&batch).is_err());
        let state = |db: &Db| db.cluster_named(&dev.name).map(|it| it.value.state);
        assert_eq!(
            state(&db),
            Some(ClusterState::Pending),
            "it was not written"
        );
        let mut batch = Batch::default();
        batch.put_cluster(&dev, Some(first));
        db.commit(&batch).unwrap();
        let mut batch = Batch::default();
        batch.delete_cluster(&prod, 0);
        db.commit(&batch).unwrap();
        let known = |db: &Db| {
            (
                state(db),
                db.cluster(&prod.uid).is_some(),
                db.clusters().len(),
            )
        };
        let before = known(&db);
        assert_eq!(before, (Some(ClusterState::Revoked), false, 1));
        drop(db);
        assert_eq!(known(&open()), before);
    }
}
