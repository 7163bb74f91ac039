//! A tree whose files lie in other trees.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use capstan_core::Digest;
use capstan_kustomize::{Entry, Tree, TreeError};

/// Files of one made source; a source that has more is none that people wrote.
const MAX_FILES: usize = 50_000;
/// Folders below each other.
const MAX_DEPTH: usize = 64;

type Source = Arc<dyn Tree + Send + Sync>;

/// The tree.
#[derive(Default)]
pub(super) struct Composed {
    /// By path: where it lies.
    files: BTreeMap<String, (Source, String)>,
    folders: BTreeMap<String, BTreeSet<String>>,
}

impl Composed {
    /// Adds the file `from`, or all files of the folder `from`, at `to`. What was there before is replaced.
    pub(super) fn add(&mut self, source: &Source, from: &str, to: &str) -> Result<(), TreeError> {
        self.add_below(source, from, to, 0)
    }

    fn add_below(
        &mut self,
        source: &Source,
        from: &str,
        to: &str,
        depth: usize,
    ) -> Result<(), TreeError> {
        let refused = |reason: String| TreeError {
            path: from.to_owned(),
            reason,
        };
        if depth > MAX_DEPTH {
            return Err(refused(format!(
                "more than {MAX_DEPTH} folders below each other"
            )));
        }
        let is_folder = from.is_empty() || source.entry(from)? == Some(Entry::Folder);
        if is_folder {
            for name in source.list(from)? {
                let (from, to) = (super::join(from, &name), super::join(to, &name));
                self.add_below(source, &from, &to, depth + 1)?;
            }
            return Ok(());
        }
        // Links are no part of what Flux packs.
        if !matches!(source.entry(from)?, Some(Entry::File(_))) {
            return Ok(());
        }
        if self.is_folder(to) || to.is_empty() {
            return Err(refused(format!("a folder is at `{to}` already")));
        }
        let mut path = to;
        while let Some((folder, name)) = path.rsplit_once('/').or(Some(("", path))) {
            if self.files.contains_key(folder) {
                return Err(refused(format!("a file is at `{folder}` already")));
            }
            let names = self.folders.entry(folder.to_owned()).or_default();
            names.insert(name.to_owned());
            if folder.is_empty() {
                break;
            }
            path = folder;
        }
        self.files
            .insert(to.to_owned(), (source.clone(), from.to_owned()));
        if self.files.len() > MAX_FILES {
            return Err(refused(format!("more than {MAX_FILES} files")));
        }
        Ok(())
    }

    pub(super) fn is_folder(&self, path: &str) -> bool {
        self.folders.contains_key(path)
    }

    /// Names the content, the same for equal content.
    pub(super) fn id(&self) -> Result<String, TreeError> {
        let mut parts = Vec::new();
        for (path, (source, from)) in &self.files {
            parts.push(path.as_bytes().to_vec());
            if let Some(Entry::File(hash)) = source.entry(from)? {
                parts.push(hash.0.to_vec());
            }
        }
        Ok(Digest::of_parts(parts.iter().map(Vec::as_slice)).to_string())
    }
}

impl Tree for Composed {
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        if path.is_empty() || self.is_folder(path) {
            return Ok(Some(Entry::Folder));
        }
        match self.files.get(path) {
            Some((source, from)) => source.entry(from),
            None => Ok(None),
        }
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        match self.files.get(path) {
            Some((source, from)) => source.read(from),
            None => Err(TreeError {
                path: path.to_owned(),
                reason: "there is no such file".to_owned(),
            }),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<String>, TreeError> {
        let names = self.folders.get(path).into_iter().flatten();
        Ok(names.cloned().collect())
    }
}
