//! Bounded fuzzing on stable Rust, for the crates of the renderer, in two ways.
//!
//! The gate tries the same inputs on every machine, whatever the code does with them: those committed beside the test (regressions among
//! them), the seeds, and mutations of these. So it fails for the change under test, or for nothing.
//!
//! An exploring run, for which `CAPSTAN_FUZZ_RUNS` says how many mutations to try, looks for what nobody knows yet. Its corpus grows: an input
//! that made something new happen joins it, and stays in the user's cache below `capstan/fuzz/NAME`, so that each run goes on where the last
//! one ended, with seeds of its own. An input that fails, or that ends the process, stays there and is run first until it passes: commit it
//! with the mend. Without a cache every run is the first one.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Inputs that are mutated, in memory.
const MAX_CORPUS: usize = 4_000;
/// Inputs in the cache, and their bytes. A run makes room for new ones before it starts, so that the corpus goes on growing.
const MAX_STORED: usize = 2_000;
const MAX_STORED_BYTES: usize = 4 << 20;
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
    /// Mutations that the gate tries; it is to take some seconds.
    pub(crate) runs: u64,
    /// Different things that happen then, at the least: with fewer, the mutations are too tame.
    pub(crate) least: usize,
}

impl Fuzz<'_> {
    /// Runs everything that is kept, then mutations of it. `check` panics where something is wrong and else says roughly what happened.
    pub(crate) fn run<I: Input>(
        &self,
        seeds: impl IntoIterator<Item = I>,
        mutate: impl Fn(&mut Random, &[I]) -> I,
        check: impl Fn(&I) -> String,
    ) {
        let mut corpus = self.committed();
        corpus.extend(seeds);
        let tried = Tried {
            store: &Store::open(self.name),
            check,
            seen: BTreeSet::new(),
        };
        match runs_asked() {
            None => self.gate(tried, &corpus, mutate),
            Some(runs) => drop(explore(tried, corpus, runs, mutate)),
        }
    }

    fn committed<I: Input>(&self) -> Vec<I> {
        let read = |(path, bytes): (PathBuf, Vec<u8>)| {
            I::read(&bytes).unwrap_or_else(|| panic!("{} is no input", path.display()))
        };
        let found = read_folder(&self.committed.join("found"));
        let all = read_folder(self.committed).into_iter().chain(found);
        all.map(read).collect()
    }

    fn gate<I: Input>(
        &self,
        mut tried: Tried<'_, impl Fn(&I) -> String>,
        corpus: &[I],
        mutate: impl Fn(&mut Random, &[I]) -> I,
    ) {
        for input in corpus {
            tried.is_new(input);
        }
        for seed in 0..self.runs {
            tried.is_new(&mutate(&mut Random(seed), corpus));
        }
        let happened = tried.seen.len();
        assert!(
            happened >= self.least,
            "only {happened} different things happened, not {}",
            self.least
        );
    }
}

/// Gives how many different things happened.
fn explore<I: Input>(
    mut tried: Tried<'_, impl Fn(&I) -> String>,
    given: Vec<I>,
    runs: u64,
    mutate: impl Fn(&mut Random, &[I]) -> I,
) -> usize {
    let store = tried.store;
    let mut corpus: Vec<I> = given.into_iter().filter(|it| tried.is_new(it)).collect();
    for (path, bytes) in store.load() {
        let input = I::read(&bytes).filter(|it| tried.is_new(it));
        let is_new = input.is_some();
        let failed_once = file_name(&path).starts_with(FAILED);
        if is_new && failed_once {
            store.keep(&bytes, "");
        }
        if !is_new || failed_once {
            store.remove(&path);
        }
        corpus.extend(input);
    }
    // The gate has the seeds below.
    let first = (store.next_run() + 1) << 32;
    let note = Note::open(store);
    for run in 0..runs {
        let input = mutate(&mut Random(first + run), &corpus);
        note.write(&input.write());
        if tried.is_new(&input) && corpus.len() < MAX_CORPUS {
            store.keep(&input.write(), "");
            corpus.push(input);
        }
    }
    tried.seen.len()
}

/// What was tried so far.
struct Tried<'s, C> {
    store: &'s Store,
    check: C,
    seen: BTreeSet<String>,
}

impl<C> Tried<'_, C> {
    /// Tries an input, and says whether something new happened.
    fn is_new<I: Input>(&mut self, input: &I) -> bool
    where
        C: Fn(&I) -> String,
    {
        let Ok(what) = catch_unwind(AssertUnwindSafe(|| (self.check)(input))) else {
            let kept = self.store.keep(&input.write(), FAILED);
            let kept = kept.map_or("nowhere".to_owned(), |it| it.display().to_string());
            panic!("this input, kept in {kept}, fails: {input:#?}");
        };
        self.seen.insert(what)
    }
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

/// What is tried now, under the name of an input that failed: where the process ends with it, nobody else can write it down.
struct Note {
    path: PathBuf,
    file: Option<fs::File>,
}

impl Note {
    fn open(store: &Store) -> Note {
        let folder = store.folder.clone().unwrap_or_default();
        let path = folder.join(format!("{FAILED}in-{}", std::process::id()));
        let file = store
            .folder
            .as_ref()
            .and_then(|_| fs::File::create(&path).ok());
        Note { path, file }
    }

    /// In place, since a file that is made anew is written through to the disk by some file systems.
    fn write(&self, bytes: &[u8]) {
        let Some(file) = &self.file else { return };
        drop(file.write_all_at(bytes, 0));
        drop(file.set_len(bytes.len() as u64));
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if self.file.is_some() {
            drop(fs::remove_file(&self.path));
        }
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
    use std::cell::RefCell;

    use super::*;

    /// Bytes that fail where they hold a 7 and `fails`.
    fn check(fails: bool) -> impl Fn(&Vec<u8>) -> String {
        move |input| {
            assert!(!fails || input[0] != 7, "seven");
            format!("{input:?}")
        }
    }

    fn mutate(random: &mut Random, _: &[Vec<u8>]) -> Vec<u8> {
        vec![random.below(9) as u8]
    }

    fn tried<C>(store: &Store, check: C) -> Tried<'_, C> {
        Tried {
            store,
            check,
            seen: BTreeSet::new(),
        }
    }

    fn folder(name: &str) -> PathBuf {
        let folder = env::temp_dir().join(format!("capstan-fuzzing-{name}-{}", std::process::id()));
        // An earlier process of this number may have failed.
        drop(fs::remove_dir_all(&folder));
        folder
    }

    fn message(run: impl FnOnce() -> usize) -> String {
        let error = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
        error.downcast_ref::<String>().cloned().unwrap_or_default()
    }

    #[test]
    fn the_gate_tries_the_same_whatever_is_kept_and_whatever_happens() {
        let folder = folder("gate");
        let store = Store::in_folder(Some(folder.clone()));
        store.keep(&[7], FAILED);
        let fuzz = Fuzz {
            name: "unused",
            committed: Path::new("/nowhere"),
            runs: 50,
            least: 1,
        };
        let inputs = |answer: fn(usize) -> String| {
            let inputs = RefCell::new(Vec::new());
            let check = |input: &Vec<u8>| {
                inputs.borrow_mut().push(input.clone());
                answer(inputs.borrow().len())
            };
            let mutate = |random: &mut Random, corpus: &[Vec<u8>]| {
                vec![random.below(9) as u8, corpus.len() as u8]
            };
            fuzz.gate(tried(&store, check), &[vec![0]], mutate);
            inputs.into_inner()
        };
        let all = inputs(|_| "nothing new".to_owned());
        assert_eq!(all.len(), 1 + 50);
        assert_eq!(inputs(|count| count.to_string()), all);
        assert_eq!(read_folder(&folder).len(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_was_found_is_kept_and_what_failed_is_run_first() {
        let folder = folder("kept");
        let store = Store::in_folder(Some(folder.clone()));
        let run = |fails| explore(tried(&store, check(fails)), vec![vec![0]], 300, mutate);
        let names = || -> Vec<String> {
            let all = read_folder(&folder);
            all.iter().map(|it| file_name(&it.0).to_owned()).collect()
        };
        let failed = || names().iter().any(|it| it.starts_with(FAILED));
        let first = message(|| run(true));
        assert!(first.contains(FAILED) && first.contains('7'), "{first}");
        assert!(failed());
        // It fails again before anything else, and is one of many once it passes.
        assert_eq!(message(|| run(true)), first);
        assert_eq!(run(false), 9);
        assert!(!failed());
        // The seed is not kept: it comes with the test. The others are, once each, beside the counter.
        assert_eq!(names().len(), 8 + 1, "{:?}", names());
        assert_eq!(run(false), 9);
        assert_eq!(names().len(), 8 + 1);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_ends_the_process_is_run_first() {
        let folder = folder("ends");
        let store = Store::in_folder(Some(folder.clone()));
        let note = Note::open(&store);
        note.write(&[1, 2, 3]);
        note.write(&[7]);
        std::mem::forget(note);
        let run = |runs| explore(tried(&store, check(true)), vec![vec![0]], runs, mutate);
        assert!(message(|| run(0)).contains('7'));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn runs_that_explore_try_other_inputs_each() {
        let folder = folder("fresh");
        let store = Store::in_folder(Some(folder.clone()));
        let inputs = || {
            let inputs = RefCell::new(Vec::new());
            let check = |input: &Vec<u8>| {
                inputs.borrow_mut().push(input.clone());
                String::new()
            };
            explore(tried(&store, check), vec![vec![0]], 50, mutate);
            inputs.into_inner()
        };
        assert_ne!(inputs(), inputs());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_full_store_makes_room() {
        let folder = folder("full");
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
