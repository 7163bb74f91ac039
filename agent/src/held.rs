//! What the agent keeps on disk to go on alone: the desired state it accepted last, and the blobs that it names.
//!
//! The folder has mode 0700, its files 0600, and their content is sealed. A file that is lost or damaged is asked of the
//! hub again; it is never taken for an empty one.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use capstan_core::{DesiredState, Digest, Entry, StoreEpoch};
use serde::{Deserialize, Serialize};

use crate::seal::Sealer;

const STATE: &str = "state";
/// What compression costs more than it saves above this level, for a few kilobytes of JSON.
const ZSTD_LEVEL: i32 = 3;
/// Longest content of a blob once it is unpacked.
const MAX_BLOB_BYTES: usize = 16 << 20;

/// The desired state as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HeldState {
    /// The hub that it came from.
    pub(crate) hub_id: String,
    /// UID of the namespace `kube-system` of the cluster that it is for.
    pub(crate) kube_system_uid: String,
    /// The epoch within which absence from a snapshot may remove a unit.
    pub(crate) trusted_epoch: StoreEpoch,
    /// The key under which sensitive content is addressed.
    pub(crate) digest_key: [u8; 32],
    /// The state.
    pub(crate) state: DesiredState,
}

/// A folder with a held state and its blobs.
#[derive(Debug)]
pub(crate) struct Held {
    folder: PathBuf,
    sealer: Sealer,
}

impl Held {
    /// Opens the folder, making it where it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn open(folder: &Path, sealer: Sealer) -> io::Result<Self> {
        let blobs = folder.join("blobs");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&blobs)?;
        Ok(Self {
            folder: folder.to_owned(),
            sealer,
        })
    }

    /// The state kept last; none where there is none.
    ///
    /// # Errors
    /// When there is one and it cannot be read.
    pub(crate) fn load(&self) -> io::Result<Option<HeldState>> {
        let Some(bytes) = self.read(&self.folder.join(STATE), STATE)? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(io::Error::other)
    }

    /// Keeps `state`, replacing the one before in one step, and drops blobs that it does not name.
    ///
    /// # Errors
    /// When it cannot be written; then the one before is still there.
    pub(crate) fn keep(&self, state: &HeldState) -> io::Result<()> {
        let bytes = serde_json::to_vec(state).map_err(io::Error::other)?;
        self.write(&self.folder.join(STATE), STATE, &bytes, true)?;
        let named: BTreeSet<String> = named(&state.state).iter().map(Digest::hex).collect();
        for file in fs::read_dir(self.folder.join("blobs"))?.flatten() {
            if !file
                .file_name()
                .to_str()
                .is_some_and(|it| named.contains(it))
            {
                fs::remove_file(file.path())?;
            }
        }
        Ok(())
    }

    /// Whether every blob that `state` names can be read. Blobs are not written as durably as the state, so that a crash of the
    /// machine may have damaged some: those are forgotten, to be asked for again.
    pub(crate) fn is_whole(&self, state: &DesiredState) -> bool {
        self.are_readable(&named(state))
    }

    fn are_readable(&self, digests: &BTreeSet<Digest>) -> bool {
        let (_, damaged): (Vec<_>, Vec<_>) = digests.iter().partition(|it| self.get(it).is_ok());
        damaged.iter().for_each(|it| self.forget(it));
        damaged.is_empty()
    }

    /// Whether a blob is there. Whether it can be opened is found out when it is needed.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.blob_path(digest).exists()
    }

    /// Keeps a blob whose content has been verified.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn put(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        self.write(&self.blob_path(digest), &digest.hex(), bytes, false)
    }

    /// A blob's content.
    ///
    /// # Errors
    /// When it is not there or cannot be opened.
    pub(crate) fn get(&self, digest: &Digest) -> io::Result<Vec<u8>> {
        let bytes = self.read(&self.blob_path(digest), &digest.hex())?;
        bytes.ok_or_else(|| io::Error::other("its content is not kept here any more"))
    }

    /// Forgets a blob that turned out to be damaged.
    pub(crate) fn forget(&self, digest: &Digest) {
        // Where it cannot be removed, it is found damaged again.
        let _ = fs::remove_file(self.blob_path(digest));
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs").join(digest.hex())
    }

    fn read(&self, path: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
        let sealed = match fs::read(path) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let open = self.sealer.open(name, &sealed).map_err(io::Error::other)?;
        unpack(&open).map(Some)
    }

    fn write(&self, path: &Path, name: &str, bytes: &[u8], durable: bool) -> io::Result<()> {
        let packed = zstd::encode_all(bytes, ZSTD_LEVEL)?;
        write_private(path, &self.sealer.seal(name, &packed)?, durable)
    }
}

/// The blobs that a state names.
fn named(state: &DesiredState) -> BTreeSet<Digest> {
    let entries = state.units.values().flat_map(|it| &it.entries);
    entries.map(|it| it.digest).collect()
}

/// Whether `bytes` are what `entry` names, with the cluster's key where they are sensitive.
pub(crate) fn is_content_of(entry: &Entry, key: &[u8; 32], bytes: &[u8]) -> bool {
    let digest = if entry.sensitive {
        Digest::keyed(key, bytes)
    } else {
        Digest::of(bytes)
    };
    digest == entry.digest
}

fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    use io::Read;
    let mut out = Vec::new();
    let decoder = zstd::Decoder::new(packed)?;
    // One state may be larger than one blob; both stay far below this.
    let limit = 16 * MAX_BLOB_BYTES as u64;
    decoder.take(limit).read_to_end(&mut out)?;
    Ok(out)
}

/// Writes a file of mode 0600 in one step.
pub(crate) fn write_private(path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(bytes)?;
    if durable {
        file.sync_all()?;
    }
    fs::rename(&new, path)?;
    if let (true, Some(folder)) = (durable, path.parent()) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use capstan_core::Generation;

    use super::*;

    fn held(folder: &Path) -> Held {
        Held::open(folder, Sealer::new(&[1; 32])).unwrap()
    }

    fn state() -> HeldState {
        let epoch = StoreEpoch([2; 16]);
        HeldState {
            hub_id: "hub".into(),
            kube_system_uid: "uid".into(),
            trusted_epoch: epoch,
            digest_key: [3; 32],
            state: DesiredState {
                generation: Generation(7),
                ..DesiredState::empty(epoch)
            },
        }
    }

    #[test]
    fn what_is_kept_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(held(folder.path()).load().unwrap(), None);
        let digest = Digest::of(b"x");
        held(folder.path()).put(&digest, b"x").unwrap();
        assert_eq!(held(folder.path()).get(&digest).unwrap(), b"x");
        held(folder.path()).keep(&state()).unwrap();
        assert_eq!(held(folder.path()).load().unwrap(), Some(state()));
        assert!(
            !held(folder.path()).has(&digest),
            "a blob that nothing names is dropped"
        );
    }

    #[test]
    fn a_damaged_blob_is_asked_for_again() {
        let folder = tempfile::tempdir().unwrap();
        let held = held(folder.path());
        let digest = Digest::of(b"x");
        let named = BTreeSet::from([digest]);
        held.put(&digest, b"x").unwrap();
        assert!(held.are_readable(&named));
        fs::write(held.blob_path(&digest), b"").unwrap();
        assert!(!held.are_readable(&named));
        assert!(!held.has(&digest), "so that it is fetched");
    }

    #[test]
    fn damage_is_an_error_and_not_an_empty_state() {
        let folder = tempfile::tempdir().unwrap();
        held(folder.path()).keep(&state()).unwrap();
        let file = folder.path().join(STATE);
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, bytes).unwrap();
        assert!(held(folder.path()).load().is_err());
    }

    #[test]
    fn files_are_for_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        held(folder.path()).keep(&state()).unwrap();
        let mode = fs::metadata(folder.path().join(STATE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
