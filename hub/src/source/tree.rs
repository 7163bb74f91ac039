//! The files of one commit, read from the object database.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use capstan_render::{
    Tree, TreeError,
    tree::{Entry, Hash},
};
use git2::{ObjectType, Oid, Repository};

use super::ignore::IGNORE_FILE;

/// Larger files are no configuration.
const MAX_FILE_BYTES: usize = 16 << 20;
/// Entries of one folder.
const MAX_LISTED: usize = 100_000;
/// File modes, as Git writes them.
const LINK_MODE: i32 = 0o120_000;
const FOLDER_MODE: i32 = 0o040_000;
const NOT_THERE: &str = "it is not there";

/// Folders of one tree: a small repository can name the same one without end.
const MAX_FOLDERS: usize = 200_000;
/// Entries of folders that are kept in memory for one tree.
const MAX_KEPT: usize = 500_000;

/// A tree of a repository. The lock is held for one read at a time.
pub(crate) struct GitTree {
    root: Oid,
    inner: Mutex<Inner>,
}

struct Inner {
    repository: Repository,
    /// Folders that were read, by their address: every path begins with the same few.
    folders: HashMap<Oid, Arc<Folder>>,
    kept: usize,
}

/// What is in a folder, by name.
type Folder = BTreeMap<Box<[u8]>, Item>;

#[derive(Clone, Copy)]
struct Item {
    id: Oid,
    kind: Option<ObjectType>,
    mode: i32,
}

impl GitTree {
    pub(crate) fn new(repository: Repository, root: Oid) -> Self {
        let inner = Inner {
            repository,
            folders: HashMap::new(),
            kept: 0,
        };
        Self {
            root,
            inner: Mutex::new(inner),
        }
    }

    fn with<T>(
        &self,
        path: &str,
        read: impl FnOnce(&mut Inner) -> Result<T, String>,
    ) -> Result<T, TreeError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        read(&mut inner).map_err(|reason| TreeError {
            path: path.to_owned(),
            reason,
        })
    }

    /// The ignore files by folder, those above first.
    pub(super) fn ignore_files(&self) -> Result<Vec<(String, String)>, TreeError> {
        self.with(IGNORE_FILE, |inner| {
            let mut found = Vec::new();
            let mut folders = vec![(String::new(), self.root)];
            let mut walked = 0;
            while let Some((path, id)) = folders.pop() {
                walked += 1;
                if walked > MAX_FOLDERS {
                    return Err(format!("more than {MAX_FOLDERS} folders"));
                }
                for (name, item) in inner.folder(id)?.iter() {
                    if item.kind == Some(ObjectType::Tree) {
                        let name = String::from_utf8_lossy(name);
                        let below = if path.is_empty() { "" } else { "/" };
                        folders.push((format!("{path}{below}{name}"), item.id));
                    } else if **name == *IGNORE_FILE.as_bytes()
                        && item.kind == Some(ObjectType::Blob)
                    {
                        let content = inner.content(item.id)?;
                        let text = String::from_utf8_lossy(&content).into_owned();
                        found.push((path.clone(), text));
                    }
                }
            }
            found.sort();
            Ok(found)
        })
    }
}

impl Inner {
    fn folder(&mut self, id: Oid) -> Result<Arc<Folder>, String> {
        if let Some(known) = self.folders.get(&id) {
            return Ok(known.clone());
        }
        let tree = self.repository.find_tree(id);
        let tree = tree.map_err(|it| it.to_string())?;
        if tree.len() > MAX_LISTED {
            return Err(format!("{} entries, more than {MAX_LISTED}", tree.len()));
        }
        let item = |it: git2::TreeEntry<'_>| {
            let item = Item {
                id: it.id(),
                kind: it.kind(),
                mode: it.filemode(),
            };
            (it.name_bytes().into(), item)
        };
        let folder: Arc<Folder> = Arc::new(tree.iter().map(item).collect());
        if self.kept + folder.len() > MAX_KEPT {
            self.folders.clear();
            self.kept = 0;
        }
        self.kept += folder.len();
        self.folders.insert(id, folder.clone());
        Ok(folder)
    }

    /// What is at a path below the folder `root`.
    fn find(&mut self, root: Oid, path: &str) -> Result<Option<Item>, String> {
        let mut found = Item {
            id: root,
            kind: Some(ObjectType::Tree),
            mode: FOLDER_MODE,
        };
        for name in path.split('/').filter(|it| !it.is_empty()) {
            if found.kind != Some(ObjectType::Tree) {
                return Ok(None);
            }
            match self.folder(found.id)?.get(name.as_bytes()) {
                Some(item) => found = *item,
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    fn content(&self, id: Oid) -> Result<Vec<u8>, String> {
        let database = self.repository.odb().map_err(|it| it.to_string())?;
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
}

impl Tree for GitTree {
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        self.with(path, |inner| {
            let Some(found) = inner.find(self.root, path)? else {
                return Ok(None);
            };
            Ok(match (found.kind, found.mode) {
                (Some(ObjectType::Tree), _) => Some(Entry::Folder),
                (Some(ObjectType::Blob), LINK_MODE) => {
                    let target = String::from_utf8(inner.content(found.id)?)
                        .map_err(|_| "the link's target is not text".to_owned())?;
                    Some(Entry::Link(target))
                }
                (Some(ObjectType::Blob), _) => Some(Entry::File(hash(found.id))),
                // A submodule is not fetched, so nothing is there.
                _ => None,
            })
        })
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.with(path, |inner| match inner.find(self.root, path)? {
            Some(found) => Ok(inner.content(found.id)?.into()),
            None => Err(NOT_THERE.to_owned()),
        })
    }

    fn list(&self, path: &str) -> Result<Vec<String>, TreeError> {
        self.with(path, |inner| {
            let Some(found) = inner.find(self.root, path)? else {
                return Err(NOT_THERE.to_owned());
            };
            let folder = inner.folder(found.id)?;
            let names = folder.keys();
            Ok(names
                .map(|it| String::from_utf8_lossy(it).into_owned())
                .collect())
        })
    }
}

/// Git's own address of a content, in the width that trees have.
fn hash(id: Oid) -> Hash {
    let mut wide = [0; 32];
    wide[..id.as_bytes().len()].copy_from_slice(id.as_bytes());
    Hash(wide)
}
