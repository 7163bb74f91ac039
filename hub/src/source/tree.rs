//! The files of one commit, read from the object database.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use capstan_render::{
    Tree, TreeError,
    tree::{Entry, Hash},
};
use git2::{ErrorCode, ObjectType, Oid, Repository, TreeWalkMode, TreeWalkResult};

use super::ignore::IGNORE_FILE;

/// Larger files are no configuration.
const MAX_FILE_BYTES: usize = 16 << 20;
/// Entries of one folder.
const MAX_LISTED: usize = 100_000;
/// File modes, as Git writes them.
const LINK_MODE: i32 = 0o120_000;

/// A tree of a repository. The lock is held for one read at a time.
pub(crate) struct GitTree {
    repository: Mutex<Repository>,
    root: Oid,
}

impl GitTree {
    pub(crate) fn new(repository: Mutex<Repository>, root: Oid) -> Self {
        Self { repository, root }
    }

    fn with<T>(
        &self,
        path: &str,
        read: impl FnOnce(&Repository, &git2::Tree<'_>) -> Result<T, String>,
    ) -> Result<T, TreeError> {
        let repository = self
            .repository
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let root = repository.find_tree(self.root).map_err(|it| it.to_string());
        root.and_then(|root| read(&repository, &root))
            .map_err(|reason| TreeError {
                path: path.to_owned(),
                reason,
            })
    }
}

impl GitTree {
    /// The ignore files by folder, those above first.
    pub(super) fn ignore_files(&self) -> Result<Vec<(String, String)>, TreeError> {
        self.with(IGNORE_FILE, |repository, root| {
            let mut found = Vec::new();
            root.walk(TreeWalkMode::PreOrder, |folder, entry| {
                if entry.name() == Ok(IGNORE_FILE) && entry.kind() == Some(ObjectType::Blob) {
                    found.push((folder.trim_end_matches('/').to_owned(), entry.id()));
                }
                TreeWalkResult::Ok
            })
            .map_err(|it| it.to_string())?;
            found.sort();
            let read = |(folder, id): (String, Oid)| {
                let text = String::from_utf8_lossy(&content(repository, id)?).into_owned();
                Ok((folder, text))
            };
            found.into_iter().map(read).collect()
        })
    }
}

impl Tree for GitTree {
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        if path.is_empty() {
            return Ok(Some(Entry::Folder));
        }
        self.with(path, |repository, root| {
            let found = match root.get_path(Path::new(path)) {
                Ok(found) => found,
                Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
                Err(error) => return Err(error.to_string()),
            };
            Ok(match (found.kind(), found.filemode()) {
                (Some(ObjectType::Tree), _) => Some(Entry::Folder),
                (Some(ObjectType::Blob), LINK_MODE) => {
                    let target = content(repository, found.id())?;
                    let target = String::from_utf8(target)
                        .map_err(|_| "the link's target is not text".to_owned())?;
                    Some(Entry::Link(target))
                }
                (Some(ObjectType::Blob), _) => Some(Entry::File(hash(found.id()))),
                // A submodule is not fetched, so nothing is there.
                _ => None,
            })
        })
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.with(path, |repository, root| {
            let found = root
                .get_path(Path::new(path))
                .map_err(|it| it.to_string())?;
            Ok(content(repository, found.id())?.into())
        })
    }

    fn list(&self, path: &str) -> Result<Vec<String>, TreeError> {
        self.with(path, |repository, root| {
            let tree = if path.is_empty() {
                root.clone()
            } else {
                let found = root
                    .get_path(Path::new(path))
                    .map_err(|it| it.to_string())?;
                repository
                    .find_tree(found.id())
                    .map_err(|it| it.to_string())?
            };
            if tree.len() > MAX_LISTED {
                return Err(format!("{} entries, more than {MAX_LISTED}", tree.len()));
            }
            let mut names: Vec<String> = tree
                .iter()
                .map(|it| String::from_utf8_lossy(it.name_bytes()).into_owned())
                .collect();
            names.sort();
            Ok(names)
        })
    }
}

fn content(repository: &Repository, id: Oid) -> Result<Vec<u8>, String> {
    let database = repository.odb().map_err(|it| it.to_string())?;
    let (size, kind) = database.read_header(id).map_err(|it| it.to_string())?;
    if kind != ObjectType::Blob {
        return Err("it is not a file".to_owned());
    }
    if size > MAX_FILE_BYTES {
        return Err(format!("{size} bytes, more than {MAX_FILE_BYTES}"));
    }
    let object = database.read(id).map_err(|it| it.to_string())?;
    Ok(object.data().to_vec())
}

/// Git's own address of a content, in the width that trees have.
fn hash(id: Oid) -> Hash {
    let mut wide = [0; 32];
    wide[..id.as_bytes().len()].copy_from_slice(id.as_bytes());
    Hash(wide)
}
