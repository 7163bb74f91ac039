//! Reads files for one kustomization, relative to its folder, and keeps a record of all that was read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{MAX_FILE_BYTES, MAX_READ_BYTES};
use crate::remote;
use crate::tree::{Hash, Resolved, Tree, join, resolve};

/// Something that a build looked up, and what it found. A result holds for as long as all of these do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lookup {
    pub(crate) path: String,
    pub(crate) found: Resolved,
}

/// What all loaders of one build share.
pub(crate) struct Reader<'a> {
    tree: &'a dyn Tree,
    remotes: &'a BTreeMap<String, String>,
    display_root: &'a str,
    lookups: RefCell<Vec<Lookup>>,
    bytes: RefCell<usize>,
}

/// A file that was read.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) hash: Hash,
    pub(crate) content: Arc<[u8]>,
}

impl File {
    pub(crate) fn text(&self) -> std::borrow::Cow<'_, str> {
        // Nearly all are text, which is found out faster than by looking for what is not.
        match std::str::from_utf8(&self.content) {
            Ok(text) => text.into(),
            Err(_) => String::from_utf8_lossy(&self.content),
        }
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        tree: &'a dyn Tree,
        remotes: &'a BTreeMap<String, String>,
        display_root: &'a str,
    ) -> Reader<'a> {
        Reader {
            tree,
            remotes,
            display_root,
            lookups: RefCell::default(),
            bytes: RefCell::default(),
        }
    }

    pub(crate) fn tree(&self) -> &'a dyn Tree {
        self.tree
    }

    /// How many lookups there were so far: a mark for [`Reader::since`].
    pub(crate) fn mark(&self) -> usize {
        self.lookups.borrow().len()
    }

    pub(crate) fn since(&self, mark: usize) -> Vec<Lookup> {
        self.lookups.borrow()[mark..].to_vec()
    }

    /// Adds what a result that is used again had looked up.
    pub(crate) fn repeat(&self, lookups: &[Lookup]) {
        self.lookups.borrow_mut().extend_from_slice(lookups);
    }

    fn find(&self, from: &str, path: &str) -> Result<Resolved> {
        let found = resolve(self.tree, from, path)
            .map_err(|e| Error::new(ErrorKind::Tree, e.to_string()).in_file(&e.path))?;
        if let Some(path) = join(from, path) {
            self.lookups.borrow_mut().push(Lookup {
                path,
                found: found.clone(),
            });
        }
        Ok(found)
    }

    fn read(&self, path: String, hash: Hash) -> Result<File> {
        let content = self
            .tree
            .read(&path)
            .map_err(|e| Error::new(ErrorKind::Tree, e.to_string()).in_file(&e.path))?;
        let mut bytes = self.bytes.borrow_mut();
        *bytes += content.len();
        if content.len() > MAX_FILE_BYTES || *bytes > MAX_READ_BYTES {
            let message = format!(
                "read {}: a file may have {MAX_FILE_BYTES} bytes and all files of a build {MAX_READ_BYTES}; split the kustomization",
                self.shown(&path)
            );
            return Err(Error::new(ErrorKind::Limit, message).in_file(&path));
        }
        Ok(File {
            path,
            hash,
            content,
        })
    }

    /// The path as error messages show it.
    pub(crate) fn shown(&self, path: &str) -> String {
        match (self.display_root, path) {
            ("", "") => "/".to_owned(),
            (root, "") => root.to_owned(),
            (root, path) => format!("{root}/{path}"),
        }
    }
}

/// Loads files relative to the folder of one kustomization.
#[derive(Clone)]
pub(crate) struct Loader<'a> {
    pub(crate) reader: &'a Reader<'a>,
    root: String,
    /// The folders of the kustomizations that led here, outermost first.
    referrers: Vec<String>,
}

impl<'a> Loader<'a> {
    /// A loader for the folder at `path`, where a build starts.
    pub(crate) fn open(reader: &'a Reader<'a>, path: &str) -> Result<Loader<'a>> {
        let root = folder(reader, "", path)?;
        Ok(Loader {
            reader,
            root,
            referrers: Vec::new(),
        })
    }

    /// A loader for a base or component of this one.
    pub(crate) fn child(&self, path: &str) -> Result<Loader<'a>> {
        if path.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, "new root cannot be empty"));
        }
        let root = if remote::is_repository(path) {
            let local = self
                .reader
                .remotes
                .get(path)
                .ok_or_else(|| remote::not_fetched(path))?;
            folder(self.reader, "", local)?
        } else if path.starts_with('/') {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("new root '{path}' cannot be absolute"),
            ));
        } else {
            folder(self.reader, &self.root, path)?
        };
        let shown = |path: &str| self.reader.shown(path);
        let mut visited = std::iter::once(&self.root).chain(self.referrers.iter().rev());
        if let Some(inner) = visited.find(|inner| contains(&root, inner)) {
            let message = format!(
                "cycle detected: candidate root '{}' contains visited root '{}'",
                shown(&root),
                shown(inner)
            );
            return Err(Error::new(ErrorKind::Cycle, message));
        }
        let referrers = self.referrers.iter().chain([&self.root]).cloned().collect();
        Ok(Loader {
            reader: self.reader,
            root,
            referrers,
        })
    }

    /// The folder, as a path in the tree.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// The folder, as error messages show it.
    pub(crate) fn shown_root(&self) -> String {
        self.reader.shown(&self.root)
    }

    pub(crate) fn depth(&self) -> usize {
        self.referrers.len()
    }

    pub(crate) fn load(&self, path: &str) -> Result<File> {
        let found = if remote::is_remote_file(path) {
            let local = self
                .reader
                .remotes
                .get(path)
                .ok_or_else(|| remote::not_fetched(path))?;
            self.reader.find("", local)?
        } else if path.starts_with('/') {
            Resolved::Outside
        } else {
            self.reader.find(&self.root, path)?
        };
        let shown = || match join(&self.root, path) {
            Some(joined) if !path.starts_with('/') => self.reader.shown(&joined),
            _ => path.to_owned(),
        };
        match found {
            Resolved::File(path, hash) => self.reader.read(path, hash),
            Resolved::Folder(_) => Err(Error::new(
                ErrorKind::NotFound,
                format!("read {}: is a directory", shown()),
            )),
            Resolved::Missing(_) => Err(Error::new(
                ErrorKind::NotFound,
                format!("open {}: no such file or directory", shown()),
            )),
            Resolved::Outside => Err(Error::new(
                ErrorKind::NotFound,
                format!("open {}: outside of the tree that is built from", shown()),
            )),
        }
    }
}

/// Whether `outer` is `inner` or a folder above it.
fn contains(outer: &str, inner: &str) -> bool {
    outer.is_empty()
        || inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn folder(reader: &Reader<'_>, from: &str, path: &str) -> Result<String> {
    let shown = join(from, path).map_or_else(|| path.to_owned(), |joined| reader.shown(&joined));
    let reason = match reader.find(from, path)? {
        Resolved::Folder(path) => return Ok(path),
        Resolved::File(..) => format!("'{shown}': file is not directory"),
        Resolved::Missing(at) => {
            format!(
                "not a valid directory: evalsymlink failure on '{shown}' : lstat {}: no such file or directory",
                reader.shown(&at)
            )
        }
        Resolved::Outside => format!("'{shown}' is outside of the tree that is built from"),
    };
    Err(Error::new(
        ErrorKind::NotFound,
        format!("must build at directory: {reason}"),
    ))
}
