//! Parsed templates, kept with the chart that they belong to.

use std::sync::{Arc, Mutex, PoisonError};

use capstan_gotemplate::TemplateSet;

use crate::HelmVersion;

/// How many sets are kept for a chart: one for each version of Helm and each choice of enabled dependencies that is in use.
const MAX_SETS: usize = 8;

/// The templates that a render parses: their names and where their texts lie, in order. Texts stay where they are as long as the chart lives.
pub(crate) type Shape = Vec<(String, usize)>;

/// Sets of parsed templates, the one used last at the end.
#[derive(Default)]
pub(crate) struct TemplateCache(Mutex<Vec<Entry>>);

struct Entry {
    version: HelmVersion,
    shape: Shape,
    set: Arc<TemplateSet>,
}

impl TemplateCache {
    /// The set of these templates, parsed now if it was not before.
    pub(crate) fn get<E>(
        &self,
        version: HelmVersion,
        shape: &Shape,
        parse: impl FnOnce() -> Result<TemplateSet, E>,
    ) -> Result<Arc<TemplateSet>, E> {
        // A panic while the lock is held leaves a list that is still good.
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = lock()
            .iter()
            .find(|entry| entry.version == version && entry.shape == *shape)
        {
            return Ok(Arc::clone(&entry.set));
        }
        let set = Arc::new(parse()?);
        let mut entries = lock();
        if entries.len() == MAX_SETS {
            entries.remove(0);
        }
        entries.push(Entry {
            version,
            shape: shape.clone(),
            set: Arc::clone(&set),
        });
        Ok(set)
    }
}
