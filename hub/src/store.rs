//! What must survive a restart: small values under keys, written in batches, each batch a revision.
//!
//! Whatever is large (rendered objects) or short-lived (heartbeats, full statuses) is not here.

mod blobs;
mod clusters;
mod db;
mod embedded;
mod hot;
mod records;
mod seal;
mod zstd;

pub(crate) use blobs::{BlobError, Blobs};
pub(crate) use db::{Db, DbError, KEPT_EVENTS, Versioned};
pub(crate) use embedded::Embedded;
pub(crate) use records::{
    AuditRecord, ClusterRecord, ClusterState, EventRecord, HubRecord, RenderingRecord, TokenRecord,
};
pub(crate) use seal::Sealer;

/// Largest value; etcd takes 1.5 MiB in one request, and a batch has several values.
pub(crate) const MAX_VALUE_BYTES: usize = 256 << 10;
/// Most keys that one batch may touch. One plan of the largest fleet fits; etcd is told the same limit.
pub(crate) const MAX_BATCH_KEYS: usize = 50_000;

/// What can go wrong with a store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Another writer was first.
    #[error("`{key}` was changed by somebody else in the meantime; try again")]
    Conflict {
        /// The key whose revision was not the expected one.
        key: String,
    },
    /// A value or batch over the limit.
    #[error("{what}: {size} is more than the {limit} that the store takes")]
    TooLarge {
        /// The key, or the batch.
        what: String,
        /// How large.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The store itself failed.
    #[error(
        "the store at {path} cannot be {verb}: {reason}; nothing was started or changed, restore the file or the disk under it"
    )]
    Failed {
        /// Where it is.
        path: String,
        /// What was tried.
        verb: &'static str,
        /// What it said.
        reason: String,
    },
}

/// A value and the revision of the batch that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) bytes: Vec<u8>,
    pub(crate) revision: u64,
}

/// Changes that happen together or not at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    /// Keys that must still be at this revision; `None`: must not exist.
    pub(crate) expect: Vec<(String, Option<u64>)>,
    pub(crate) put: Vec<(String, Vec<u8>)>,
    pub(crate) delete: Vec<String>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.put.is_empty() && self.delete.is_empty()
    }

    fn check(&self) -> Result<(), StoreError> {
        let keys = self.put.len() + self.delete.len();
        if keys > MAX_BATCH_KEYS {
            return Err(StoreError::TooLarge {
                what: "one batch".into(),
                size: keys,
                limit: MAX_BATCH_KEYS,
            });
        }
        match self.put.iter().find(|(_, it)| it.len() > MAX_VALUE_BYTES) {
            None => Ok(()),
            Some((key, it)) => Err(StoreError::TooLarge {
                what: key.clone(),
                size: it.len(),
                limit: MAX_VALUE_BYTES,
            }),
        }
    }
}

/// Where records are kept. One writer at a time: whoever holds the store is fenced against the one before (the
/// embedded store by the lock on its file).
pub(crate) trait Store: Send + Sync {
    /// The value under `key`.
    fn get(&self, key: &str) -> Result<Option<Value>, StoreError>;
    /// What is under keys that start with `prefix`, in order.
    fn list(&self, prefix: &str) -> Result<Vec<(String, Value)>, StoreError>;
    /// Writes `batch` and gives its revision, which is higher than every one before it.
    fn commit(&self, batch: &Batch) -> Result<u64, StoreError>;
}
