//! Renders that were done before: a commit costs what it changes, and clusters that share a base share its render.
//!
//! A result is kept under what it was made from: the build part of the unit's spec and the address of the tree. Below it,
//! [`capstan_kustomize::Cache`] keeps what single files and bases gave, so that a new commit builds only what it touched.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use capstan_core::Digest;

use crate::unit::Build;

/// Results kept: a fleet of a thousand units at three revisions.
const MAX_BUILDS: usize = 4096;

/// What is kept between renders. Shared by threads. Nothing sensitive is ever in it.
pub struct Memo {
    builds: Mutex<Builds>,
    pub(crate) kustomize: capstan_kustomize::Cache,
}

impl Default for Memo {
    fn default() -> Self {
        Self {
            builds: Mutex::default(),
            kustomize: capstan_kustomize::Cache::default().without_secrets(),
        }
    }
}

#[derive(Default)]
struct Builds {
    clock: u64,
    by_key: BTreeMap<Digest, (u64, Arc<Build>)>,
}

impl Memo {
    /// What was built for `key`, if it is still here.
    pub(crate) fn get(&self, key: &Digest) -> Option<Arc<Build>> {
        let mut builds = self.builds.lock().unwrap_or_else(PoisonError::into_inner);
        builds.clock += 1;
        let now = builds.clock;
        let (used, build) = builds.by_key.get_mut(key)?;
        *used = now;
        Some(build.clone())
    }

    /// Keeps `build` for `key`, and forgets the half that was not used for longest when there are too many.
    pub(crate) fn put(&self, key: Digest, build: Arc<Build>) {
        let mut builds = self.builds.lock().unwrap_or_else(PoisonError::into_inner);
        builds.clock += 1;
        let now = builds.clock;
        builds.by_key.insert(key, (now, build));
        if builds.by_key.len() > MAX_BUILDS {
            let mut ages: Vec<u64> = builds.by_key.values().map(|it| it.0).collect();
            ages.sort_unstable();
            let median = ages[ages.len() / 2];
            builds.by_key.retain(|_, it| it.0 > median);
        }
    }

    /// How many results are kept.
    pub fn len(&self) -> usize {
        self.builds
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .by_key
            .len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
