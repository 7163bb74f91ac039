//! Rendered content by digest, in a folder. It can be lost: rendering makes it again.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use capstan_core::Digest;

use super::{Sealer, hot::Hot, zstd};
use crate::files;

/// First byte of a file: how the rest is kept.
const PLAIN: u8 = b'z';
const SEALED: u8 = b's';
/// Largest content taken back from a file, so that a planted one cannot fill the memory.
const MAX_BLOB_BYTES: usize = 32 << 20;
/// A file that nothing names is kept this long: a plan may be about to name it.
const SWEEP_AGE: Duration = Duration::from_secs(3600);

/// Why a blob could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlobError {
    /// Lost or never made.
    #[error("blob {digest} is not there")]
    Missing { digest: Digest },
    /// There, and not what its name says.
    #[error("blob {digest} is damaged: {reason}")]
    Damaged { digest: Digest, reason: String },
    /// The disk failed.
    #[error("blob {digest} cannot be read or written: {source}")]
    Io { digest: Digest, source: io::Error },
}

/// The folder.
pub(crate) struct Blobs {
    folder: PathBuf,
    sealer: Arc<Sealer>,
    hot: Hot,
}

impl Blobs {
    pub(crate) fn open(folder: &Path, sealer: Arc<Sealer>) -> io::Result<Self> {
        files::make_private_folder(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            sealer,
            hot: Hot::default(),
        })
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.folder.join(&hex[..2]).join(&hex[2..])
    }

    #[cfg(test)]
    fn has(&self, digest: &Digest) -> bool {
        self.path(digest).exists()
    }

    /// Keeps `bytes` under their digest, sealed where they are `sensitive`.
    pub(crate) fn put(
        &self,
        digest: &Digest,
        bytes: &[u8],
        sensitive: bool,
    ) -> Result<(), BlobError> {
        let path = self.path(digest);
        if path.exists() {
            return Ok(());
        }
        let io = |source| BlobError::Io {
            digest: *digest,
            source,
        };
        let packed = zstd::pack(bytes).map_err(io)?;
        let content = if sensitive {
            [&[SEALED][..], &self.sealer.seal(digest.as_bytes(), &packed)].concat()
        } else {
            [&[PLAIN][..], &packed].concat()
        };
        files::make_private_folder(path.parent().unwrap_or(&self.folder)).map_err(io)?;
        files::write_private_cache(&path, &content).map_err(io)
    }

    /// The content where it is in memory.
    pub(crate) fn hot(&self, digest: &Digest) -> Option<Bytes> {
        self.hot.get(digest)
    }

    /// The content, checked against its digest. A damaged file is removed, so that it is made again.
    pub(crate) fn get(&self, digest: &Digest) -> Result<Bytes, BlobError> {
        if let Some(found) = self.hot.get(digest) {
            return Ok(found);
        }
        let path = self.path(digest);
        let content = match fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BlobError::Missing { digest: *digest });
            }
            Err(source) => {
                return Err(BlobError::Io {
                    digest: *digest,
                    source,
                });
            }
        };
        let unpacked = self.unpack(digest, &content);
        if unpacked.is_err() {
            let _ = fs::remove_file(&path);
        }
        let unpacked = Bytes::from(unpacked?);
        // What is sealed on disk is not kept open in memory.
        if content.first() == Some(&PLAIN) {
            self.hot.put(*digest, unpacked.clone());
        }
        Ok(unpacked)
    }

    fn unpack(&self, digest: &Digest, content: &[u8]) -> Result<Vec<u8>, BlobError> {
        let damaged = |reason: &str| BlobError::Damaged {
            digest: *digest,
            reason: reason.to_owned(),
        };
        let (packed, sealed) = match content.split_first() {
            Some((&PLAIN, rest)) => (rest.to_vec(), false),
            Some((&SEALED, rest)) => {
                let opened = self.sealer.unseal(digest.as_bytes(), rest);
                let changed = || damaged("it was sealed with another key, or changed");
                (opened.ok_or_else(changed)?, true)
            }
            _ => return Err(damaged("it does not say how it is kept")),
        };
        let bytes = zstd::unpack(&packed, MAX_BLOB_BYTES).map_err(|it| damaged(&it.to_string()))?;
        // The name of a sealed file is part of what it was sealed with; its digest is keyed by its cluster.
        if !sealed && Digest::of(&bytes) != *digest {
            return Err(damaged("its content has another digest"));
        }
        Ok(bytes)
    }

    /// Removes old files that nothing names. Returns how many.
    pub(crate) fn sweep(&self, named: &BTreeSet<Digest>) -> io::Result<usize> {
        let mut removed = 0;
        for folder in fs::read_dir(&self.folder)? {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder.path())? {
                let file = file?;
                let name = format!(
                    "{}{}",
                    folder.file_name().to_string_lossy(),
                    file.file_name().to_string_lossy()
                );
                let known = name.parse().is_ok_and(|it: Digest| named.contains(&it));
                let age = file.metadata()?.modified()?.elapsed().unwrap_or_default();
                if !known && age > SWEEP_AGE {
                    fs::remove_file(file.path())?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blobs(folder: &Path) -> Blobs {
        let sealer = Arc::new(Sealer::open(&folder.join("key")).unwrap());
        Blobs::open(&folder.join("blobs"), sealer).unwrap()
    }

    #[test]
    fn sensitive_content_cannot_be_read_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = blobs(folder.path());
        let content = b"{\"kind\":\"Secret\",\"stringData\":{\"a\":\"canary-value\"}}";
        let digest = Digest::keyed(&[1; 32], content);
        blobs.put(&digest, content, true).unwrap();
        let raw = fs::read(blobs.path(&digest)).unwrap();
        assert!(!raw.windows(6).any(|it| it == b"canary"));
        assert_eq!(blobs.get(&digest).unwrap(), &content[..]);
        assert_eq!(blobs.hot(&digest), None, "opened for one call only");
    }

    #[test]
    fn damage_is_seen_and_can_be_made_good() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = blobs(folder.path());
        let digest = Digest::of(b"content");
        assert!(matches!(blobs.get(&digest), Err(BlobError::Missing { .. })));
        blobs.put(&digest, b"content", false).unwrap();
        fs::write(blobs.path(&digest), b"zgarbage").unwrap();
        assert!(matches!(blobs.get(&digest), Err(BlobError::Damaged { .. })));
        assert!(!blobs.has(&digest));
        blobs.put(&digest, b"content", false).unwrap();
        assert_eq!(blobs.get(&digest).unwrap(), &b"content"[..]);
        assert!(blobs.hot(&digest).is_some());
    }
}
