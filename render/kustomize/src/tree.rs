//! The files that a build reads: a port, so that they can lie in memory, in a folder or in Git.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// Links followed from one path, as Linux limits them.
const MAX_LINK_HOPS: usize = 40;

/// The address of a content: equal addresses mean equal content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The address of these bytes, for trees that bring none of their own.
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(Sha256::digest(bytes).into())
    }
}

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file, and the address of its content.
    File(Hash),
    /// A folder.
    Folder,
    /// A symbolic link, and where it points as written.
    Link(String),
}

/// Why a tree could not give what it has. That something is not there is no error but an absent [`Entry`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct TreeError {
    /// Where.
    pub path: String,
    /// What went wrong.
    pub reason: String,
}

/// Files by path. Paths are relative to the root, have no `.` and `..` and are separated by `/`; the root is the empty path.
pub trait Tree {
    /// What lies at `path`, links not followed; none where there is nothing. No path that leads through a link is asked for.
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError>;
    /// The content of the file at `path`.
    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError>;
    /// The names in the folder at `path`, sorted.
    fn list(&self, path: &str) -> Result<Vec<String>, TreeError>;
}

/// Where a path leads once links inside of the tree have been followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resolved {
    File(String, Hash),
    Folder(String),
    /// Nothing is there; the first part of the path that is missing.
    Missing(String),
    /// A link leads out of the tree or in a circle.
    Outside,
}

/// Follows `path` from the folder `from` to what it names. `..` is taken from the text, as kustomize does, before links are followed.
pub(crate) fn resolve(tree: &dyn Tree, from: &str, path: &str) -> Result<Resolved, TreeError> {
    let Some(joined) = join(from, path) else {
        return Ok(Resolved::Outside);
    };
    let mut left: Vec<String> = segments(&joined).rev().map(str::to_owned).collect();
    let mut at: Vec<String> = Vec::new();
    let mut file = None;
    let mut hops = 0;
    while let Some(segment) = left.pop() {
        if file.is_some() {
            return Ok(Resolved::Missing(at.join("/")));
        }
        if segment == ".." {
            if at.pop().is_none() {
                return Ok(Resolved::Outside);
            }
            continue;
        }
        at.push(segment);
        match tree.entry(&at.join("/"))? {
            None => return Ok(Resolved::Missing(at.join("/"))),
            Some(Entry::Folder) => {}
            Some(Entry::File(hash)) => file = Some(hash),
            Some(Entry::Link(target)) => {
                hops += 1;
                if hops > MAX_LINK_HOPS || target.starts_with('/') {
                    return Ok(Resolved::Outside);
                }
                at.pop();
                left.extend(segments(&target).rev().map(str::to_owned));
            }
        }
    }
    Ok(match file {
        Some(hash) => Resolved::File(at.join("/"), hash),
        None => Resolved::Folder(at.join("/")),
    })
}

/// Where `path` leads once links inside of the tree are followed: the path of the file or folder there. None where there is nothing, or a link
/// leads out of the tree or in a circle.
pub fn follow(tree: &dyn Tree, path: &str) -> Result<Option<(String, Entry)>, TreeError> {
    Ok(match resolve(tree, "", path)? {
        Resolved::File(path, hash) => Some((path, Entry::File(hash))),
        Resolved::Folder(path) => Some((path, Entry::Folder)),
        Resolved::Missing(_) | Resolved::Outside => None,
    })
}

/// The path `path` as seen from the folder `from`, without `.` and `..`; none where it leaves the tree.
pub(crate) fn join(from: &str, path: &str) -> Option<String> {
    let mut out: Vec<&str> = segments(from).collect();
    for segment in segments(path) {
        if segment == ".." {
            out.pop()?;
        } else {
            out.push(segment);
        }
    }
    Some(out.join("/"))
}

fn segments(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/')
        .filter(|segment| !segment.is_empty() && *segment != ".")
}

/// A tree in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryTree {
    entries: BTreeMap<String, Entry>,
    contents: BTreeMap<String, Arc<[u8]>>,
}

impl MemoryTree {
    /// A tree of these files.
    pub fn new<P: Into<String>, C: Into<Vec<u8>>>(
        files: impl IntoIterator<Item = (P, C)>,
    ) -> MemoryTree {
        let mut tree = MemoryTree::default();
        for (path, content) in files {
            tree.insert(path, content);
        }
        tree
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        let path = clean(&path.into());
        let content: Arc<[u8]> = content.into().into();
        self.add_parents(&path);
        self.entries
            .insert(path.clone(), Entry::File(Hash::of(&content)));
        self.contents.insert(path, content);
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: impl Into<String>, target: impl Into<String>) {
        let path = clean(&path.into());
        self.add_parents(&path);
        self.entries.insert(path, Entry::Link(target.into()));
    }

    /// Removes a file or link.
    pub fn remove(&mut self, path: &str) {
        let path = clean(path);
        self.entries.remove(&path);
        self.contents.remove(&path);
    }

    fn add_parents(&mut self, path: &str) {
        let mut path = path;
        while let Some((parent, _)) = path.rsplit_once('/') {
            self.entries
                .entry(parent.to_owned())
                .or_insert(Entry::Folder);
            path = parent;
        }
    }
}

impl Tree for MemoryTree {
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        Ok(if path.is_empty() {
            Some(Entry::Folder)
        } else {
            self.entries.get(path).cloned()
        })
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.contents.get(path).cloned().ok_or_else(|| TreeError {
            path: path.to_owned(),
            reason: "no such file".to_owned(),
        })
    }

    fn list(&self, path: &str) -> Result<Vec<String>, TreeError> {
        let prefix = if path.is_empty() {
            String::new()
        } else {
            format!("{path}/")
        };
        let below = self
            .entries
            .range(prefix.clone()..)
            .take_while(|(p, _)| p.starts_with(&prefix));
        Ok(below
            .map(|(p, _)| &p[prefix.len()..])
            .filter(|name| !name.is_empty() && !name.contains('/'))
            .map(str::to_owned)
            .collect())
    }
}

/// A path without `.`, `..` and doubled separators; `..` above the root is dropped.
pub(crate) fn clean(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    for segment in segments(path) {
        if segment == ".." {
            out.pop();
        } else {
            out.push(segment);
        }
    }
    out.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> MemoryTree {
        let mut tree = MemoryTree::new([("a/b/c.yaml", "c"), ("a/d.yaml", "d"), ("e", "e")]);
        tree.link("a/link", "b");
        tree.link("a/up", "../e");
        tree.link("out", "../elsewhere");
        tree.link("round", "round");
        tree
    }

    #[test]
    fn paths_and_links_are_followed_inside_the_tree_only() {
        let check = |from: &str, path: &str, expected: Resolved| {
            assert_eq!(
                resolve(&tree(), from, path).unwrap(),
                expected,
                "{from} {path}"
            )
        };
        check(
            "a",
            "b/c.yaml",
            Resolved::File("a/b/c.yaml".into(), Hash::of(b"c")),
        );
        check(
            "a/b",
            "../d.yaml",
            Resolved::File("a/d.yaml".into(), Hash::of(b"d")),
        );
        check(
            "a",
            "link/c.yaml",
            Resolved::File("a/b/c.yaml".into(), Hash::of(b"c")),
        );
        check(
            "a",
            "link/../d.yaml",
            Resolved::File("a/d.yaml".into(), Hash::of(b"d")),
        );
        check(
            "",
            "a/link/c.yaml",
            Resolved::File("a/b/c.yaml".into(), Hash::of(b"c")),
        );
        check("a", "up", Resolved::File("e".into(), Hash::of(b"e")));
        check("a", "no/../b", Resolved::Folder("a/b".into()));
        check("a", "no/b", Resolved::Missing("a/no".into()));
        check("a", "d.yaml/x", Resolved::Missing("a/d.yaml".into()));
        check("a", "../../etc", Resolved::Outside);
        check("", "out", Resolved::Outside);
        check("", "round", Resolved::Outside);
        check("", "", Resolved::Folder(String::new()));
    }

    #[test]
    fn chains_of_links_end() {
        let mut tree = MemoryTree::new([("end", "x")]);
        for hop in 0..=MAX_LINK_HOPS {
            let next = if hop == 0 {
                "end".to_owned()
            } else {
                format!("l{}", hop - 1)
            };
            tree.link(format!("l{hop}"), next);
        }
        let last = |hops: usize| resolve(&tree, "", &format!("l{}", hops - 1)).unwrap();
        let end = Resolved::File("end".into(), Hash::of(b"x"));
        assert_eq!(last(MAX_LINK_HOPS), end);
        assert_eq!(last(MAX_LINK_HOPS + 1), Resolved::Outside);
    }

    #[test]
    fn links_are_taken_from_the_folder_that_they_lie_in() {
        let mut tree = MemoryTree::new([("a/b/f", "f"), ("c/f", "c")]);
        tree.link("c/down", "../a/b");
        tree.link("a/b/side", "../../c/f");
        tree.link("whole", ".");
        tree.link("c/out", "../../c/f");
        tree.link("c/same", "/c/f");
        let found = |path: &str| resolve(&tree, "", path).unwrap();
        let file = |path: &str, text: &str| Resolved::File(path.into(), Hash::of(text.as_bytes()));
        assert_eq!(found("c/down/f"), file("a/b/f", "f"));
        assert_eq!(found("c/down/side"), file("c/f", "c"));
        assert_eq!(found("whole/whole/a/b/f"), file("a/b/f", "f"));
        assert_eq!(found("whole"), Resolved::Folder(String::new()));
        assert_eq!(found("c/down/nope"), Resolved::Missing("a/b/nope".into()));
        assert_eq!(
            found("c/out"),
            Resolved::Outside,
            "above the root, though it comes back"
        );
        assert_eq!(
            found("c/same"),
            Resolved::Outside,
            "the root is not the disk's"
        );
    }

    #[test]
    fn a_folder_lists_its_own_names() {
        assert_eq!(tree().list("a").unwrap(), ["b", "d.yaml", "link", "up"]);
        assert_eq!(tree().list("").unwrap(), ["a", "e", "out", "round"]);
    }
}
