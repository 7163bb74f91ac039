//! Content that was asked for lately, in memory: what all clusters share is asked for by all of them within moments.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use capstan_core::Digest;

/// Bytes of each half: the newer one, and the one before.
const HALF_BYTES: usize = 16 << 20;
/// Larger content is read anew: some of it would push out all else.
const MAX_BYTES: usize = 1 << 20;

/// Two halves. What is used moves to the newer one; when that is full, the older one is forgotten.
#[derive(Default)]
pub(super) struct Hot(Mutex<Halves>);

#[derive(Default)]
struct Halves {
    newer: BTreeMap<Digest, Bytes>,
    older: BTreeMap<Digest, Bytes>,
    newer_bytes: usize,
}

impl Hot {
    pub(super) fn get(&self, digest: &Digest) -> Option<Bytes> {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = halves.newer.get(digest) {
            return Some(found.clone());
        }
        let found = halves.older.remove(digest)?;
        halves.put(*digest, found.clone());
        Some(found)
    }

    /// Keeps `content`. Nothing sensitive is given here.
    pub(super) fn put(&self, digest: Digest, content: Bytes) {
        if content.len() <= MAX_BYTES {
            let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            halves.put(digest, content);
        }
    }
}

impl Halves {
    fn put(&mut self, digest: Digest, content: Bytes) {
        if self.newer_bytes + content.len() > HALF_BYTES {
            self.older = std::mem::take(&mut self.newer);
            self.newer_bytes = 0;
        }
        self.newer_bytes += content.len();
        let before = self.newer.insert(digest, content);
        self.newer_bytes -= before.map_or(0, |it| it.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_is_bounded() {
        let hot = Hot::default();
        let digest = |number: usize| Digest::of(number.to_string().as_bytes());
        let content = Bytes::from(vec![0; MAX_BYTES]);
        for number in 0..100 {
            hot.put(digest(number), content.clone());
            assert!(hot.get(&digest(0)).is_some(), "{number}");
        }
        assert!(hot.get(&digest(1)).is_none(), "not used for long");
        let halves = hot.0.lock().unwrap();
        let kept = halves.newer.len() + halves.older.len();
        assert!(kept <= 2 * HALF_BYTES / MAX_BYTES, "{kept}");
        assert_eq!(halves.newer_bytes, halves.newer.len() * MAX_BYTES);
    }

    #[test]
    fn what_is_large_is_not_kept() {
        let hot = Hot::default();
        hot.put(Digest::of(b"a"), Bytes::from(vec![0; MAX_BYTES + 1]));
        assert!(hot.get(&Digest::of(b"a")).is_none());
    }
}
