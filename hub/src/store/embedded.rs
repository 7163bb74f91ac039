//! The default store: one file.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Batch, Store, StoreError, Value};

/// Values, each after the eight bytes of its revision.
const VALUES: TableDefinition<&str, &[u8]> = TableDefinition::new("values");
/// One entry: the revision of the last batch.
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const REVISION: &str = "revision";
/// Pages kept in memory. The records of ten thousand clusters fit.
const CACHE_BYTES: usize = 16 << 20;

/// A store in one file, locked by the process that has it open.
pub(crate) struct Embedded {
    database: Database,
    path: PathBuf,
    /// Held by whoever writes.
    writing: Mutex<()>,
    /// Batches that wait for the one that is being written; they are written together, since the disk takes as long for
    /// many as for one.
    waiting: Mutex<Vec<Waiting>>,
}

/// A batch of somebody who waits, and where the answer goes.
struct Waiting {
    batch: Batch,
    answer: Arc<Mutex<Option<Written>>>,
}

/// What became of one batch.
type Written = Result<u64, StoreError>;

impl Embedded {
    /// Opens the file, or makes it. A file that is damaged or locked is an error, never an empty store.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |reason: String| failed(path, "opened", reason);
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)
            .map_err(|it| failed(it.to_string()))?;
        let made = (|| -> Result<(), redb::Error> {
            let write = database.begin_write()?;
            write.open_table(VALUES)?;
            write.open_table(META)?;
            write.commit()?;
            Ok(())
        })();
        made.map_err(|it| failed(it.to_string()))?;
        Ok(Self {
            database,
            path: path.to_owned(),
            writing: Mutex::default(),
            waiting: Mutex::default(),
        })
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&redb::ReadOnlyTable<&'static str, &'static [u8]>) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        (|| {
            let transaction = self.database.begin_read()?;
            read(&transaction.open_table(VALUES)?)
        })()
        .map_err(|it: redb::Error| failed(&self.path, "read", it.to_string()))
    }

    /// Writes every batch that waits, in one transaction: each has a revision and expectations of its own, and one whose
    /// expectations fail leaves no trace. Where the disk fails, nobody's batch was written.
    fn write_waiting(&self) {
        let waiting = std::mem::take(&mut *locked(&self.waiting));
        let batches: Vec<&Batch> = waiting.iter().map(|it| &it.batch).collect();
        match self.write(&batches) {
            Ok(answers) => {
                for (it, answer) in waiting.iter().zip(answers) {
                    *locked(&it.answer) = Some(answer);
                }
            }
            Err(error) => {
                for it in &waiting {
                    let error = failed(&self.path, "written", error.to_string());
                    *locked(&it.answer) = Some(Err(error));
                }
            }
        }
    }

    fn write(&self, batches: &[&Batch]) -> Result<Vec<Written>, redb::Error> {
        let transaction = self.database.begin_write()?;
        let mut answers = Vec::with_capacity(batches.len());
        {
            let mut values = transaction.open_table(VALUES)?;
            let mut meta = transaction.open_table(META)?;
            let mut revision = meta.get(REVISION)?.map_or(0, |it| it.value());
            for batch in batches {
                if let Some(key) = conflict(&values, batch)? {
                    answers.push(Err(StoreError::Conflict { key }));
                    continue;
                }
                revision += 1;
                put(&mut values, batch, revision)?;
                answers.push(Ok(revision));
            }
            meta.insert(REVISION, revision)?;
        }
        transaction.commit()?;
        Ok(answers)
    }
}

type Values<'t> = redb::Table<'t, &'static str, &'static [u8]>;

/// The key that is not at the revision that the batch expects.
fn conflict(values: &Values<'_>, batch: &Batch) -> Result<Option<String>, redb::Error> {
    for (key, expected) in &batch.expect {
        let found = values.get(key.as_str())?;
        if found.map(|it| split(it.value()).revision) != *expected {
            return Ok(Some(key.clone()));
        }
    }
    Ok(None)
}

fn put(values: &mut Values<'_>, batch: &Batch, revision: u64) -> Result<(), redb::Error> {
    for key in &batch.delete {
        values.remove(key.as_str())?;
    }
    for (key, bytes) in &batch.put {
        let mut value = revision.to_be_bytes().to_vec();
        value.extend_from_slice(bytes);
        values.insert(key.as_str(), value.as_slice())?;
    }
    Ok(())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for Embedded {
    fn get(&self, key: &str) -> Result<Option<Value>, StoreError> {
        self.read(|table| Ok(table.get(key)?.map(|it| split(it.value()))))
    }

    fn list(&self, prefix: &str) -> Result<Vec<(String, Value)>, StoreError> {
        self.read(|table| {
            let mut found = Vec::new();
            for item in table.range(prefix..)? {
                let (key, value) = item?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                found.push((key.value().to_owned(), split(value.value())));
            }
            Ok(found)
        })
    }

    fn commit(&self, batch: &Batch) -> Result<u64, StoreError> {
        batch.check()?;
        let answer = Arc::new(Mutex::new(None));
        locked(&self.waiting).push(Waiting {
            batch: batch.clone(),
            answer: answer.clone(),
        });
        let writing = locked(&self.writing);
        // Whoever wrote before may have taken this batch along.
        if locked(&answer).is_none() {
            self.write_waiting();
        }
        drop(writing);
        let taken = locked(&answer).take();
        taken.unwrap_or_else(|| {
            let reason = "the write ended unexpectedly".to_owned();
            Err(failed(&self.path, "written", reason))
        })
    }
}

fn split(value: &[u8]) -> Value {
    let (revision, bytes) = value.split_at(value.len().min(8));
    Value {
        bytes: bytes.to_vec(),
        revision: revision.try_into().map_or(0, u64::from_be_bytes),
    }
}

fn failed(path: &Path, verb: &'static str, reason: String) -> StoreError {
    StoreError::Failed {
        path: path.display().to_string(),
        verb,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: &str) -> Batch {
        Batch {
            put: vec![(key.into(), value.into())],
            ..Batch::default()
        }
    }

    #[test]
    fn batches_are_numbered_and_survive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Embedded::open(&path).unwrap();
        assert_eq!(store.commit(&put("a/1", "x")).unwrap(), 1);
        assert_eq!(store.commit(&put("a/2", "y")).unwrap(), 2);
        store.commit(&put("b", "z")).unwrap();
        drop(store);
        let store = Embedded::open(&path).unwrap();
        let found = store.list("a/").unwrap();
        let keys: Vec<_> = found
            .iter()
            .map(|(key, it)| (key.as_str(), it.revision))
            .collect();
        assert_eq!(keys, [("a/1", 1), ("a/2", 2)]);
    }

    #[test]
    fn a_batch_with_a_stale_expectation_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Embedded::open(&folder.path().join("store")).unwrap();
        let revision = store.commit(&put("a", "1")).unwrap();
        let mut batch = put("a", "2");
        batch.expect = vec![("a".into(), Some(revision + 1))];
        assert!(matches!(
            store.commit(&batch),
            Err(StoreError::Conflict { .. })
        ));
        batch.expect = vec![("a".into(), None)];
        assert!(matches!(
            store.commit(&batch),
            Err(StoreError::Conflict { .. })
        ));
        assert_eq!(store.get("a").unwrap().unwrap().bytes, b"1");
        batch.expect = vec![("a".into(), Some(revision))];
        assert_eq!(store.commit(&batch).unwrap(), revision + 1);
    }

    #[test]
    fn batches_that_wait_are_written_together_and_judged_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Embedded::open(&folder.path().join("store")).unwrap();
        let new = |value: &str| Batch {
            expect: vec![("a".into(), None)],
            ..put("a", value)
        };
        let batches = [new("1"), new("2"), put("b", "3")];
        let answers = store.write(&batches.each_ref()).unwrap();
        assert!(matches!(
            answers[..],
            [Ok(1), Err(StoreError::Conflict { .. }), Ok(2)]
        ));
        let found = store.get("a").unwrap().unwrap();
        assert_eq!((found.bytes, found.revision), (b"1".to_vec(), 1));
        assert_eq!(store.get("b").unwrap().unwrap().revision, 2);
    }

    #[test]
    fn whoever_writes_at_once_has_a_revision_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let store = Embedded::open(&folder.path().join("store")).unwrap();
        let write = &|it: usize| store.commit(&put(&format!("k{it}"), "x")).unwrap();
        let mut revisions: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..32).map(|it| scope.spawn(move || write(it))).collect();
            threads.into_iter().map(|it| it.join().unwrap()).collect()
        });
        revisions.sort_unstable();
        assert_eq!(revisions, (1..=32).collect::<Vec<u64>>());
        assert_eq!(store.list("k").unwrap().len(), 32);
    }

    #[test]
    fn a_damaged_file_is_no_empty_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        drop(Embedded::open(&path).unwrap());
        let length = std::fs::metadata(&path).unwrap().len();
        std::fs::write(&path, vec![7; usize::try_from(length).unwrap()]).unwrap();
        assert!(Embedded::open(&path).is_err());
    }

    #[test]
    fn large_values_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Embedded::open(&folder.path().join("store")).unwrap();
        let large = "x".repeat(super::super::MAX_VALUE_BYTES + 1);
        assert!(matches!(
            store.commit(&put("a", &large)),
            Err(StoreError::TooLarge { .. })
        ));
    }
}
