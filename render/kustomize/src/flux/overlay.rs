//! A tree with one file of our own in it.

use std::sync::Arc;

use crate::tree::{Entry, Hash, Tree, TreeError};

/// A tree in which one file is added or replaced.
pub struct Overlay<'t> {
    base: &'t dyn Tree,
    path: String,
    content: Arc<[u8]>,
    hash: Hash,
}

impl<'t> Overlay<'t> {
    pub(crate) fn new(base: &'t dyn Tree, path: String, content: Vec<u8>) -> Overlay<'t> {
        let hash = Hash::of(&content);
        Overlay {
            base,
            path,
            content: content.into(),
            hash,
        }
    }

    /// The path of the file.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The text of the file.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.content)
    }
}

impl Tree for Overlay<'_> {
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        if path == self.path {
            Ok(Some(Entry::File(self.hash)))
        } else {
            self.base.entry(path)
        }
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        if path == self.path {
            Ok(self.content.clone())
        } else {
            self.base.read(path)
        }
    }

    fn list(&self, path: &str) -> Result<Vec<String>, TreeError> {
        let mut names = self.base.list(path)?;
        let (folder, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        if folder == path
            && let Err(at) = names.binary_search_by(|known| known.as_str().cmp(name))
        {
            names.insert(at, name.to_owned());
        }
        Ok(names)
    }
}
