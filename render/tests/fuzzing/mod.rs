//! Bounded fuzzing on stable Rust, for the crates of the renderer: inputs are mutated from a corpus, and one that made something new
//! happen joins it.
//!
//! A corpus has three parts: inputs that are committed beside the test (regressions among them), which are always run; what earlier runs
//! on this machine found, in the user's cache below `capstan/fuzz/NAME`, so that each run goes on where the last one ended; and what this
//! run finds. An input that fails stays in the cache and is run first until it passes: commit it with the mend. Without a cache every run
//! is the first one. `CAPSTAN_FUZZ_RUNS` says how many inputs to try, for a longer look.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, io};

/// Inputs that are mutated, in memory.
const MAX_CORPUS: usize = 4_000;
/// Inputs in the cache, and their bytes. A run makes room for new ones before it starts, so that the corpus goes on growing.
const MAX_STORED: usize = 2_000;
const MAX_STORED_BYTES: usize = 4 << 20;
/// A run ends after this time whatever it has tried: a busy machine is not to wait for it.
const MAX_TIME: Duration = Duration::from_secs(20);
/// How the names of inputs that fail begin.
const FAILED: &str = "failed-";
/// The file that counts the runs, so that each has seeds of its own.
const COUNTER: &str = "runs";

/// Something to try.
pub(crate) trait Input: Clone + Debug {
    /// Reads what [`Input::write`] wrote.
    fn read(bytes: &[u8]) -> Option<Self>;
    /// The input as it lies in a file.
    fn write(&self) -> Vec<u8>;
}

impl Input for Vec<u8> {
    fn read(bytes: &[u8]) -> Option<Self> {
        Some(bytes.to_vec())
    }

    fn write(&self) -> Vec<u8> {
        self.clone()
    }
}

/// One fuzz test.
pub(crate) struct Fuzz<'a> {
    /// The folder in the cache.
    pub(crate) name: &'a str,
    /// The folder of committed inputs.
    pub(crate) committed: &'a Path,
    /// Inputs that one run tries; it is to take some seconds.
    pub(crate) runs: u64,
}

impl Fuzz<'_> {
    /// Runs everything that is kept, then mutations of it. `check` panics where something is wrong and else says roughly what happened;
    /// gives how many different things did.
    pub(crate) fn run<I: Input>(
        &self,
        seeds: impl IntoIterator<Item = I>,
        mutate: impl Fn(&mut Random, &[I]) -> I,
        check: impl Fn(&I) -> String,
    ) -> usize {
        self.run_from(&Store::open(self.name), seeds, mutate, check)
    }

    fn run_from<I: Input>(
        &self,
        store: &Store,
        seeds: impl IntoIterator<Item = I>,
        mutate: impl Fn(&mut Random, &[I]) -> I,
        check: impl Fn(&I) -> String,
    ) -> usize {
        let mut found = Found {
            store,
            check,
            seen: BTreeSet::new(),
            corpus: Vec::new(),
        };
        for (path, bytes) in read_folder(self.committed) {
            let input = I::read(&bytes).unwrap_or_else(|| panic!("{} is no input", path.display()));
            found.take(input);
        }
        for input in seeds {
            found.take(input);
        }
        for (path, bytes) in store.load() {
            let is_new = I::read(&bytes).is_some_and(|it| found.take(it));
            let failed_once = file_name(&path).starts_with(FAILED);
            if is_new && failed_once {
                store.keep(&bytes, "");
            }
            if !is_new || failed_once {
                store.remove(&path);
            }
        }
        let first = store.next_run().wrapping_mul(self.runs);
        let asked = runs_asked();
        let start = now();
        for run in 0..asked.unwrap_or(self.runs) {
            if asked.is_none() && start.elapsed() > MAX_TIME {
                break;
            }
            let input = mutate(&mut Random(first.wrapping_add(run)), &found.corpus);
            if found.take(input.clone()) {
                store.keep(&input.write(), "");
            }
        }
        found.seen.len()
    }
}

/// What is known so far.
struct Found<'s, I, C> {
    store: &'s Store,
    check: C,
    seen: BTreeSet<String>,
    corpus: Vec<I>,
}

impl<I: Input, C: Fn(&I) -> String> Found<'_, I, C> {
    /// Tries an input, and says whether something new happened.
    fn take(&mut self, input: I) -> bool {
        let Ok(what) = catch_unwind(AssertUnwindSafe(|| (self.check)(&input))) else {
            let kept = self.store.keep(&input.write(), FAILED);
            let kept = kept.map_or("nowhere".to_owned(), |it| it.display().to_string());
            panic!("this input, kept in {kept}, fails: {input:#?}");
        };
        let is_new = self.seen.insert(what) && self.corpus.len() < MAX_CORPUS;
        if is_new {
            self.corpus.push(input);
        }
        is_new
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test that minds its time is not what it tests"
)]
fn now() -> Instant {
    Instant::now()
}

fn runs_asked() -> Option<u64> {
    env::var_os("CAPSTAN_FUZZ_RUNS")?.to_str()?.parse().ok()
}

/// The part of the corpus that lies in the user's cache. What cannot be written there is not kept.
struct Store {
    folder: Option<PathBuf>,
}

impl Store {
    fn open(name: &str) -> Store {
        let folder = |name| env::var_os(name).filter(|it| !it.is_empty());
        let cache = folder("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(Path::new(&folder("HOME")?).join(".cache")));
        Store::in_folder(cache.map(|it| it.join("capstan/fuzz").join(name)))
    }

    fn in_folder(folder: Option<PathBuf>) -> Store {
        Store {
            folder: folder.filter(|it| fs::create_dir_all(it).is_ok()),
        }
    }

    /// What failed first, then the smallest. Of too many, those with the last names are removed, which says nothing about what is in them.
    fn load(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut all = self.folder.as_deref().map(read_folder).unwrap_or_default();
        all.retain(|it| file_name(&it.0) != COUNTER);
        let passes = |path: &Path| !file_name(path).starts_with(FAILED);
        all.sort_by_key(|it| passes(&it.0));
        let mut bytes = 0;
        let fits = |it: &&(PathBuf, Vec<u8>)| {
            bytes += it.1.len();
            bytes <= MAX_STORED_BYTES / 4 * 3
        };
        let kept = all.iter().take(MAX_STORED / 4 * 3).take_while(fits).count();
        let removed = all.split_off(kept);
        removed.iter().for_each(|(path, _)| self.remove(path));
        all.sort_by_key(|(path, bytes)| (passes(path), bytes.len()));
        all
    }

    fn keep(&self, bytes: &[u8], prefix: &str) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        if prefix.is_empty() && fs::read_dir(folder).ok()?.count() >= MAX_STORED {
            return None;
        }
        let path = folder.join(format!("{prefix}{:016x}", name_of(bytes)));
        let written = write_whole(&path, bytes);
        written.is_ok().then_some(path)
    }

    fn remove(&self, path: &Path) {
        // Another run may have removed it.
        drop(fs::remove_file(path));
    }

    /// The number of this run.
    fn next_run(&self) -> u64 {
        let Some(folder) = &self.folder else { return 0 };
        let path = folder.join(COUNTER);
        let read = fs::read_to_string(&path).ok();
        let number = read.and_then(|it| it.trim().parse().ok()).unwrap_or(0_u64);
        drop(write_whole(&path, (number + 1).to_string().as_bytes()));
        number
    }
}

/// Files appear with their whole content, also for other runs at the same time.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension(format!("{}.new", std::process::id()));
    fs::write(&new, bytes)?;
    fs::rename(new, path)
}

/// FNV-1a: the same input has the same name.
fn name_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|it| it.to_str()).unwrap_or("")
}

/// The files of a folder, by name; none where there is no folder.
fn read_folder(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|it| it.path()).collect();
    paths.sort();
    let read = |path: PathBuf| fs::read(&path).ok().map(|bytes| (path, bytes));
    paths.into_iter().filter_map(read).collect()
}

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs over bytes that fail where they hold a 7 and `fails`.
    fn run(folder: &Path, fails: bool) -> Result<usize, String> {
        let fuzz = Fuzz {
            name: "unused",
            committed: Path::new("/nowhere"),
            runs: 300,
        };
        let store = Store::in_folder(Some(folder.to_owned()));
        let mutate = |random: &mut Random, _: &[Vec<u8>]| vec![random.below(9) as u8];
        let check = |input: &Vec<u8>| {
            assert!(!fails || input[0] != 7, "seven");
            format!("{input:?}")
        };
        let run = || fuzz.run_from(&store, [vec![0]], mutate, check);
        catch_unwind(AssertUnwindSafe(run))
            .map_err(|it| it.downcast_ref::<String>().cloned().unwrap_or_default())
    }

    #[test]
    fn what_was_found_is_kept_and_what_failed_is_run_first() {
        let folder = env::temp_dir().join(format!("capstan-fuzzing-{}", std::process::id()));
        let names = || -> Vec<String> {
            let all = read_folder(&folder);
            all.iter().map(|it| file_name(&it.0).to_owned()).collect()
        };
        let failed = || names().iter().any(|it| it.starts_with(FAILED));
        let message = run(&folder, true).unwrap_err();
        assert!(
            message.contains(FAILED) && message.contains('7'),
            "{message}"
        );
        assert!(failed());
        // It fails again before anything else, and is one of many once it passes.
        assert_eq!(run(&folder, true).unwrap_err(), message);
        assert_eq!(run(&folder, false), Ok(9));
        assert!(!failed());
        // The seed is not kept: it comes with the test. The others are, once each, beside the counter.
        assert_eq!(names().len(), 8 + 1, "{:?}", names());
        assert_eq!(run(&folder, false), Ok(9));
        assert_eq!(names().len(), 8 + 1);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_full_store_makes_room() {
        let folder = env::temp_dir().join(format!("capstan-fuzzing-full-{}", std::process::id()));
        let store = Store::in_folder(Some(folder.clone()));
        for number in 0..MAX_STORED + 5 {
            store.keep(number.to_string().as_bytes(), "");
        }
        assert_eq!(read_folder(&folder).len(), MAX_STORED);
        assert_eq!(store.load().len(), MAX_STORED / 4 * 3);
        assert_eq!(read_folder(&folder).len(), MAX_STORED / 4 * 3);
        fs::remove_dir_all(&folder).unwrap();
    }
}
