//! Renders that were done before: a commit costs what it changes, and clusters that share a base share its render.
//!
//! A result is kept under what it was made from: the build part of the unit's spec and the address of the tree. Below it are bases, which are
//! units before their variables are replaced, and [`capstan_kustomize::Cache`], which keeps what single files and kustomizations gave, so that a
//! new commit builds only what it touched.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use capstan_core::Digest;

use crate::{base::Base, unit::Build};

/// Results kept: a fleet of a thousand units at three revisions.
const MAX_BUILDS: usize = 4096;
/// Bytes of bases: ten thousand applications of some objects.
const MAX_BASE_BYTES: usize = 64 << 20;

/// What is kept between renders. Shared by threads. Nothing sensitive is ever in it.
pub struct Memo {
    pub(crate) builds: Kept<Build>,
    pub(crate) bases: Kept<Base>,
    pub(crate) kustomize: capstan_kustomize::Cache,
}

impl Default for Memo {
    fn default() -> Self {
        Self {
            builds: Kept::new(MAX_BUILDS),
            bases: Kept::new(MAX_BASE_BYTES),
            kustomize: capstan_kustomize::Cache::default().without_secrets(),
        }
    }
}

impl Memo {
    /// How many results are kept.
    pub fn len(&self) -> usize {
        self.builds.lock().by_key.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Values by what they were made from, up to a total weight.
pub(crate) struct Kept<T> {
    slots: Mutex<Slots<T>>,
    limit: usize,
}

struct Slots<T> {
    clock: u64,
    weight: usize,
    by_key: BTreeMap<Digest, Slot<T>>,
}

struct Slot<T> {
    used: u64,
    weight: usize,
    value: Arc<T>,
}

impl<T> Kept<T> {
    fn new(limit: usize) -> Self {
        let slots = Slots {
            clock: 0,
            weight: 0,
            by_key: BTreeMap::new(),
        };
        Self {
            slots: Mutex::new(slots),
            limit,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Slots<T>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was made for `key`, if it is still here.
    pub(crate) fn get(&self, key: &Digest) -> Option<Arc<T>> {
        let mut slots = self.lock();
        slots.clock += 1;
        let now = slots.clock;
        let slot = slots.by_key.get_mut(key)?;
        slot.used = now;
        Some(slot.value.clone())
    }

    /// Keeps `value` for `key`, and forgets the half that was not used for longest when there is too much.
    pub(crate) fn put(&self, key: Digest, value: Arc<T>, weight: usize) {
        if weight > self.limit {
            return;
        }
        let mut slots = self.lock();
        slots.clock += 1;
        let used = slots.clock;
        let slot = Slot {
            used,
            weight,
            value,
        };
        let old = slots.by_key.insert(key, slot).map_or(0, |it| it.weight);
        slots.weight = slots.weight - old + weight;
        if slots.weight > self.limit {
            let mut ages: Vec<u64> = slots.by_key.values().map(|it| it.used).collect();
            ages.sort_unstable();
            let median = ages[ages.len() / 2];
            slots.by_key.retain(|_, it| it.used > median);
            slots.weight = slots.by_key.values().map(|it| it.weight).sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let kept = Kept::new(100);
        let key = |number: u8| Digest::of(&[number]);
        for number in 0..10 {
            kept.put(key(number), Arc::new(number), 10);
        }
        assert_eq!(kept.get(&key(0)).as_deref(), Some(&0));
        kept.put(key(10), Arc::new(10), 10);
        assert_eq!(kept.get(&key(0)).as_deref(), Some(&0), "it was just used");
        assert_eq!(kept.get(&key(1)), None);
        assert_eq!(kept.get(&key(10)).as_deref(), Some(&10));
        kept.put(key(11), Arc::new(11), 1_000);
        assert_eq!(kept.get(&key(11)), None, "it alone would be too much");
        assert!(kept.lock().weight <= 100);
    }
}
