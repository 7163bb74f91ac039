//! A folder on disk as the tree that a build reads.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use capstan_kustomize::{Entry, Hash, Tree, TreeError};

/// A file larger than this is no configuration; charts carry archives, so it is not small.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Files below a folder. Nothing above it is read: a link that leads out is no file. What was looked at once stays as it was.
pub(crate) struct DiskTree {
    root: PathBuf,
    read: Mutex<BTreeMap<String, Arc<[u8]>>>,
    entries: Mutex<BTreeMap<String, Option<Entry>>>,
}

impl DiskTree {
    /// The files below `root`, which is an absolute path without links in it.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            read: Mutex::default(),
            entries: Mutex::default(),
        }
    }

    fn content(&self, path: &str) -> io::Result<Arc<[u8]>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(content) = read.get(path) {
            return Ok(content.clone());
        }
        let file = self.root.join(path);
        if fs::metadata(&file)?.len() > MAX_FILE_BYTES {
            return Err(io::Error::other(format!(
                "larger than {MAX_FILE_BYTES} bytes"
            )));
        }
        let content: Arc<[u8]> = fs::read(file)?.into();
        read.insert(path.to_owned(), content.clone());
        Ok(content)
    }

    /// Where a link leads, relative to its folder also where it is written from the root of the disk.
    fn target(&self, path: &str) -> io::Result<String> {
        let link = self.root.join(path);
        let target = fs::read_link(&link)?;
        let Ok(inside) = target.strip_prefix(&self.root) else {
            return Ok(target.to_string_lossy().into_owned());
        };
        let up = "../".repeat(path.matches('/').count());
        Ok(format!("{up}{}", inside.to_string_lossy()))
    }

    /// What is at a path now.
    fn look(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        let failed = |error: io::Error| wrong(path, &error);
        let kind = match fs::symlink_metadata(self.root.join(path)) {
            Ok(metadata) => metadata.file_type(),
            Err(error) if missing(&error) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        Ok(Some(if kind.is_symlink() {
            Entry::Link(self.target(path).map_err(failed)?)
        } else if kind.is_dir() {
            Entry::Folder
        } else if kind.is_file() {
            Entry::File(Hash::of(&self.content(path).map_err(failed)?))
        } else {
            return Ok(None);
        }))
    }
}

impl Tree for DiskTree {
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        let mut known = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = known.get(path) {
            return Ok(entry.clone());
        }
        let entry = self.look(path)?;
        known.insert(path.to_owned(), entry.clone());
        Ok(entry)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.content(path).map_err(|error| wrong(path, &error))
    }

    fn list(&self, path: &str) -> Result<Vec<String>, TreeError> {
        let failed = |error: io::Error| wrong(path, &error);
        let mut names = Vec::new();
        for entry in fs::read_dir(self.root.join(path)).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            // A name that is no text cannot be named by a YAML file either.
            names.extend(name.into_string().ok());
        }
        names.sort();
        Ok(names)
    }
}

fn missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn wrong(path: &str, error: &io::Error) -> TreeError {
    TreeError {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_folders_and_links_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir(root.join("a")).unwrap();
        fs::write(root.join("a/file"), "x").unwrap();
        std::os::unix::fs::symlink("file", root.join("a/near")).unwrap();
        std::os::unix::fs::symlink(root.join("a/file"), root.join("a/far")).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("out")).unwrap();
        let tree = DiskTree::new(&root);
        assert_eq!(tree.entry("a").unwrap(), Some(Entry::Folder));
        assert_eq!(
            tree.entry("a/file").unwrap(),
            Some(Entry::File(Hash::of(b"x")))
        );
        assert_eq!(
            tree.entry("a/near").unwrap(),
            Some(Entry::Link("file".into()))
        );
        assert_eq!(
            tree.entry("a/far").unwrap(),
            Some(Entry::Link("../a/file".into()))
        );
        assert_eq!(tree.entry("out").unwrap(), Some(Entry::Link("/etc".into())));
        assert_eq!(tree.entry("a/file/below").unwrap(), None);
        assert_eq!(tree.list("a").unwrap(), ["far", "file", "near"]);
    }
}
