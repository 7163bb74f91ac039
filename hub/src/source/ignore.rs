//! PURE: what of a repository is no part of the source, as Flux packs it: `spec.ignore`, `.sourceignore` files and, where
//! there is neither, Flux's defaults.
//!
//! The rules are those of Flux's library, which differ from Git's: a pattern that fits a folder fits everything below it,
//! and a later `!pattern` takes back single files also below an excluded folder.

mod pattern;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use capstan_render::{Tree, TreeError, tree::Entry};

use pattern::Pattern;

/// The file with patterns for its folder and those below.
pub(super) const IGNORE_FILE: &str = ".sourceignore";
/// Patterns of one source: each is tried on each path.
const MAX_PATTERNS: usize = 2_000;
/// Never part of a source.
const VERSION_CONTROL: [&str; 4] = [".git/", ".gitignore", ".gitmodules", ".gitattributes"];
/// Not part of a source that says nothing itself.
const DEFAULTS: [&str; 20] = [
    "*.jpg",
    "*.jpeg",
    "*.gif",
    "*.png",
    "*.wmv",
    "*.flv",
    "*.tar.gz",
    "*.zip",
    ".github/",
    ".circleci/",
    ".travis.yml",
    ".gitlab-ci.yml",
    "appveyor.yml",
    ".drone.yml",
    "cloudbuild.yaml",
    "codeship-services.yml",
    "codeship-steps.yml",
    "**/.goreleaser.yml",
    "**/.sops.yaml",
    "**/.flux.yaml",
];

/// Patterns; the last one that fits decides.
#[derive(Debug)]
pub(super) struct Ignore {
    patterns: Vec<Pattern>,
    takes_back: bool,
}

impl Ignore {
    /// From the `.sourceignore` files of a tree (by folder, those above first) and what the source itself says.
    pub(super) fn new(files: &[(String, String)], spec: Option<&str>) -> Result<Self, String> {
        let mut given: Vec<Pattern> = Vec::new();
        for (folder, text) in files {
            given.extend(read(text, folder));
        }
        given.extend(spec.into_iter().flat_map(|it| read(it, "")));
        if given.len() > MAX_PATTERNS {
            let many = given.len();
            return Err(format!(
                "{many} patterns in spec.ignore and {IGNORE_FILE} files, more than {MAX_PATTERNS}"
            ));
        }
        let defaults: &[&str] = if given.is_empty() { &DEFAULTS } else { &[] };
        let built_in = VERSION_CONTROL.iter().chain(defaults);
        let mut patterns: Vec<Pattern> = built_in.map(|it| Pattern::parse(it, "")).collect();
        patterns.extend(given);
        let takes_back = patterns.iter().any(|it| it.includes);
        Ok(Self {
            patterns,
            takes_back,
        })
    }

    fn excludes(&self, path: &str, is_folder: bool) -> bool {
        let segments: Vec<&str> = path.split('/').collect();
        let mut last_first = self.patterns.iter().rev();
        let decides = last_first.find(|it| it.fits(&segments, is_folder));
        decides.is_some_and(|it| !it.includes)
    }
}

fn read(text: &str, folder: &str) -> Vec<Pattern> {
    let lines = text
        .lines()
        .filter(|it| !it.starts_with('#') && !it.trim().is_empty());
    lines.map(|it| Pattern::parse(it, folder)).collect()
}

/// A tree without what is ignored.
pub(super) struct IgnoredTree<T> {
    tree: Arc<T>,
    ignore: Ignore,
    /// Excluded folders, and whether something below them is taken back.
    folders: Mutex<BTreeMap<String, bool>>,
}

impl<T: Tree> IgnoredTree<T> {
    pub(super) fn new(tree: Arc<T>, ignore: Ignore) -> Self {
        Self {
            tree,
            ignore,
            folders: Mutex::default(),
        }
    }

    fn keeps(&self, path: &str, is_folder: bool) -> Result<bool, TreeError> {
        if !self.ignore.excludes(path, is_folder) {
            return Ok(true);
        }
        if !is_folder || !self.ignore.takes_back {
            return Ok(false);
        }
        let known = self.known().get(path).copied();
        if let Some(known) = known {
            return Ok(known);
        }
        let found = self.has_kept_file(path)?;
        self.known().insert(path.to_owned(), found);
        Ok(found)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, bool>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_kept_file(&self, folder: &str) -> Result<bool, TreeError> {
        for name in self.tree.list(folder)? {
            let below = join(folder, &name);
            let kept = match self.tree.entry(&below)? {
                None => false,
                Some(Entry::Folder) => self.keeps(&below, true)?,
                Some(_) => self.keeps(&below, false)?,
            };
            if kept {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl<T: Tree> Tree for IgnoredTree<T> {
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        let Some(found) = self.tree.entry(path)? else {
            return Ok(None);
        };
        let kept = path.is_empty() || self.keeps(path, found == Entry::Folder)?;
        Ok(kept.then_some(found))
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        if self.keeps(path, false)? {
            return self.tree.read(path);
        }
        Err(TreeError {
            path: path.to_owned(),
            reason: format!("the source ignores it (spec.ignore, {IGNORE_FILE} or the defaults)"),
        })
    }

    fn list(&self, path: &str) -> Result<Vec<String>, TreeError> {
        let mut names = Vec::new();
        for name in self.tree.list(path)? {
            let below = join(path, &name);
            // Most are kept whatever they are, and need no further look.
            let concerned = [false, true]
                .iter()
                .any(|it| self.ignore.excludes(&below, *it));
            if !concerned || self.entry(&below)?.is_some() {
                names.push(name);
            }
        }
        Ok(names)
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use capstan_render::tree::MemoryTree;

    use super::*;

    fn ignored(files: &[(&str, &str)], spec: Option<&str>) -> IgnoredTree<MemoryTree> {
        let mut tree = MemoryTree::default();
        let mut ignores = Vec::new();
        for (path, text) in files {
            tree.insert(*path, text.as_bytes());
            if let Some(folder) = path.strip_suffix(IGNORE_FILE) {
                ignores.push((folder.trim_end_matches('/').to_owned(), (*text).to_owned()));
            }
        }
        IgnoredTree::new(Arc::new(tree), Ignore::new(&ignores, spec).unwrap())
    }

    #[test]
    fn defaults_hold_where_nothing_is_said() {
        let files = [
            ("a.yaml", ""),
            ("logo.png", ""),
            (".github/workflows/ci.yaml", ""),
            ("deep/.sops.yaml", ""),
        ];
        let tree = ignored(&files, None);
        assert_eq!(tree.list("").unwrap(), ["a.yaml", "deep"]);
        assert!(tree.list("deep").unwrap().is_empty());
        assert_eq!(tree.entry(".github/workflows").unwrap(), None);
        let own = ignored(&files, Some("a.yaml"));
        assert_eq!(own.list("").unwrap(), [".github", "deep", "logo.png"]);
    }

    #[test]
    fn what_is_taken_back_is_there_below_an_excluded_folder() {
        let files = [
            ("deploy/a.yaml", ""),
            ("docs/b.yaml", ""),
            ("clusters/prod/c.yaml", ""),
            ("clusters/dev/d.yaml", ""),
        ];
        let tree = ignored(&files, Some("/*\n!/deploy\n!/clusters/prod/**\n"));
        assert_eq!(tree.list("").unwrap(), ["clusters", "deploy"]);
        assert_eq!(tree.list("clusters").unwrap(), ["prod"]);
        assert!(tree.entry("clusters/prod/c.yaml").unwrap().is_some());
        assert_eq!(tree.entry("docs").unwrap(), None);
        assert!(
            tree.read("docs/b.yaml")
                .unwrap_err()
                .reason
                .contains("ignores")
        );
    }

    #[test]
    fn patterns_are_bounded() {
        let many = "*.txt\n".repeat(MAX_PATTERNS + 1);
        assert!(Ignore::new(&[], Some(&many)).is_err());
    }

    #[test]
    fn files_count_for_their_folder_and_the_source_has_the_last_word() {
        let files = [
            (".sourceignore", "# comment\n/top.yaml\n"),
            ("sub/.sourceignore", "*.txt\n"),
            ("top.yaml", ""),
            ("a.txt", ""),
            ("sub/a.txt", ""),
            ("sub/b.txt", ""),
        ];
        let tree = ignored(&files, Some("!sub/b.txt"));
        assert_eq!(tree.list("").unwrap(), [".sourceignore", "a.txt", "sub"]);
        assert_eq!(tree.list("sub").unwrap(), [".sourceignore", "b.txt"]);
    }
}
