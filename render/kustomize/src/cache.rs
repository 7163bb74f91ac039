//! What earlier builds left for later ones: parsed files, built bases, whole results. Each is used for as long as everything that it was
//! made of is what it was; what is least used goes first when there is too much.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Build;
use crate::loader::Lookup;
use crate::resource::Resource;
use crate::schema::Asked;
use crate::target::Accumulator;
use crate::tree::{Hash, Tree, resolve};

/// How many times its text a parsed file takes in memory, roughly: measured on definitions and deployments.
const PARSED_BYTES_PER_TEXT_BYTE: usize = 8;
/// What an entry takes besides its content.
const ENTRY_BYTES: usize = 512;
/// Memory that a cache takes unless it is told otherwise: room for the largest public repositories.
pub const DEFAULT_CACHE_BYTES: usize = 256 << 20;

/// The kind whose content is never shown.
const SECRET: &str = "Secret";

/// Shared by builds, also of different trees: everything in it is addressed by content.
#[derive(Debug)]
pub struct Cache {
    inner: Mutex<Inner>,
    limit_bytes: usize,
    keeps_secrets: bool,
}

impl Default for Cache {
    fn default() -> Self {
        Cache::new(DEFAULT_CACHE_BYTES)
    }
}

#[derive(Debug, Default)]
struct Inner {
    clock: u64,
    bytes: usize,
    entries: BTreeMap<Key, Slot>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    File(Hash),
    Folder(FolderKey),
    Build(BuildKey),
}

#[derive(Debug)]
struct Slot {
    used: u64,
    bytes: usize,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    File(Arc<Vec<Resource>>),
    Folder(Arc<Folder>),
    Build(Arc<Build>, Arc<Vec<Lookup>>),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FolderKey {
    pub(crate) root: String,
    pub(crate) chart_namespace: String,
}

/// What the result of a build depends on besides the tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BuildKey {
    pub(crate) path: String,
    pub(crate) options: String,
}

/// What a base gave, and what it had looked up.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) lookups: Vec<Lookup>,
    pub(crate) result: Accumulator,
    pub(crate) warnings: Vec<String>,
    pub(crate) entered: usize,
    pub(crate) asked: Asked,
}

impl Cache {
    /// An empty cache that takes about this much memory at most.
    pub fn new(limit_bytes: usize) -> Cache {
        Cache {
            inner: Mutex::default(),
            limit_bytes,
            keeps_secrets: true,
        }
    }

    /// The same, without anything that has a Secret in it: such files, bases and results are made anew each time.
    pub fn without_secrets(self) -> Cache {
        Cache {
            keeps_secrets: false,
            ..self
        }
    }

    /// Whether something with objects of these kinds may be kept.
    fn takes<'k>(&self, mut kinds: impl Iterator<Item = &'k str>) -> bool {
        self.keeps_secrets || !kinds.any(|it| it == SECRET)
    }

    fn get(&self, key: &Key) -> Option<Content> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let now = inner.clock;
        let slot = inner.entries.get_mut(key)?;
        slot.used = now;
        Some(slot.content.clone())
    }

    fn put(&self, key: Key, content: Content, bytes: usize) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let bytes = bytes + ENTRY_BYTES;
        let slot = Slot {
            used: inner.clock,
            bytes,
            content,
        };
        if let Some(old) = inner.entries.insert(key, slot) {
            inner.bytes -= old.bytes;
        }
        inner.bytes += bytes;
        if inner.bytes > self.limit_bytes {
            inner.shrink(self.limit_bytes / 2);
        }
    }

    pub(crate) fn file(&self, hash: &Hash) -> Option<Arc<Vec<Resource>>> {
        match self.get(&Key::File(*hash))? {
            Content::File(objects) => Some(objects),
            _ => None,
        }
    }

    pub(crate) fn keep_file(&self, hash: Hash, objects: &Arc<Vec<Resource>>, text_bytes: usize) {
        if !self.takes(objects.iter().map(Resource::kind)) {
            return;
        }
        self.put(
            Key::File(hash),
            Content::File(objects.clone()),
            text_bytes * PARSED_BYTES_PER_TEXT_BYTE,
        );
    }

    pub(crate) fn folder(&self, key: &FolderKey, tree: &dyn Tree) -> Option<Arc<Folder>> {
        match self.get(&Key::Folder(key.clone()))? {
            Content::Folder(folder) if still_holds(&folder.lookups, tree) => Some(folder),
            _ => None,
        }
    }

    pub(crate) fn keep_folder(&self, key: FolderKey, folder: Folder) {
        let objects = folder.result.list.items();
        if !self.takes(objects.iter().map(|it| it.kind())) {
            return;
        }
        // Objects are shared with the files that they came from, unless a layer changed them.
        let changed = objects.iter().filter(|r| !r.layers.is_empty()).count();
        let bytes =
            changed * ENTRY_BYTES * PARSED_BYTES_PER_TEXT_BYTE + folder.lookups.len() * ENTRY_BYTES;
        self.put(Key::Folder(key), Content::Folder(Arc::new(folder)), bytes);
    }

    pub(crate) fn build(&self, key: &BuildKey, tree: &dyn Tree) -> Option<Arc<Build>> {
        match self.get(&Key::Build(key.clone()))? {
            Content::Build(build, lookups) if still_holds(&lookups, tree) => Some(build),
            _ => None,
        }
    }

    pub(crate) fn keep_build(&self, key: BuildKey, build: &Arc<Build>, lookups: Vec<Lookup>) {
        if !self.takes(build.objects.iter().map(|it| it.id.gvk.kind.as_ref())) {
            return;
        }
        let bytes = build.yaml_bytes() * 2 + lookups.len() * ENTRY_BYTES;
        self.put(
            Key::Build(key),
            Content::Build(build.clone(), Arc::new(lookups)),
            bytes,
        );
    }
}

impl Inner {
    /// Drops what was not used for longest.
    fn shrink(&mut self, target_bytes: usize) {
        let mut by_age: Vec<(u64, Key)> = self
            .entries
            .iter()
            .map(|(key, slot)| (slot.used, key.clone()))
            .collect();
        by_age.sort();
        for (_, key) in by_age {
            if self.bytes <= target_bytes {
                break;
            }
            if let Some(slot) = self.entries.remove(&key) {
                self.bytes -= slot.bytes;
            }
        }
    }
}

fn still_holds(lookups: &[Lookup], tree: &dyn Tree) -> bool {
    lookups
        .iter()
        .all(|lookup| resolve(tree, "", &lookup.path).is_ok_and(|found| found == lookup.found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryTree, Options, build};

    /// What a cache holds after a build with a Secret from a file and one that is generated.
    fn kept(cache: &Cache) -> String {
        let tree = MemoryTree::new([
            ("kustomization.yaml", "resources: [base, plain.yaml]\n"),
            (
                "plain.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\n",
            ),
            (
                "base/kustomization.yaml",
                "resources: [s.yaml]\nsecretGenerator:\n- {name: g, literals: [k=canary-generated]}\n",
            ),
            (
                "base/s.yaml",
                "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: canary-plain}\n",
            ),
        ]);
        let options = Options {
            cache: Some(cache),
            ..Options::default()
        };
        assert_eq!(build(&tree, "", &options).unwrap().objects.len(), 3);
        format!("{cache:?}")
    }

    #[test]
    fn secrets_are_not_kept_where_they_must_not_be() {
        let all = kept(&Cache::default());
        assert!(
            all.contains("canary-plain"),
            "the test looks at the wrong thing"
        );
        let some = kept(&Cache::default().without_secrets());
        assert!(!some.contains("canary"), "{some}");
        assert!(some.contains("plain"), "what is no Secret is kept");
    }
}
