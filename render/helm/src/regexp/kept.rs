//! Compiled patterns, kept for the next call: charts use the same few in every file, and compiling one takes longer than using it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::Regex;

/// How many patterns are kept. When there are more, all are let go: a chart has a handful.
const MAX_KEPT: usize = 256;
/// The longest pattern that is kept, in bytes.
const MAX_KEPT_PATTERN_BYTES: usize = 256;
/// The largest compiled pattern that is kept, in bytes; also what matching with one may take for its tables.
const MAX_KEPT_BYTES: usize = 64 << 10;

static KEPT: Mutex<BTreeMap<String, Arc<Regex>>> = Mutex::new(BTreeMap::new());

/// The compiled pattern, if it is kept.
pub(super) fn get(pattern: &str) -> Option<Arc<Regex>> {
    kept().get(pattern).cloned()
}

/// Compiles what a pattern was translated to and keeps it, unless it is too large to be kept.
pub(super) fn compile(pattern: &str, translated: &str) -> Option<Arc<Regex>> {
    if pattern.len() > MAX_KEPT_PATTERN_BYTES {
        return None;
    }
    let regex = regex::RegexBuilder::new(translated)
        .size_limit(MAX_KEPT_BYTES)
        .dfa_size_limit(MAX_KEPT_BYTES)
        .build()
        .ok()?;
    // Shared and not cloned: a clone would set up tables of its own for every match.
    let regex = Arc::new(regex);
    let mut kept = kept();
    if kept.len() >= MAX_KEPT {
        kept.clear();
    }
    kept.insert(pattern.to_owned(), Arc::clone(&regex));
    Some(regex)
}

fn kept() -> std::sync::MutexGuard<'static, BTreeMap<String, Arc<Regex>>> {
    // A panic while the lock is held leaves a map that is still good.
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}
