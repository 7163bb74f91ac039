//! Objects that somebody else changes back again and again: each correction waits longer than the one before.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use capstan_core::ObjectKey;
use tokio::time::Instant;

/// Corrections of one object that are made at once.
const FREE: u32 = 3;
/// An object that is left alone for this long begins anew.
const CALM: Duration = Duration::from_secs(60);
/// Wait after the first correction too many; doubled with each.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// Longest wait.
const MAX_WAIT: Duration = Duration::from_secs(300);

#[derive(Debug)]
struct Fight {
    corrections: u32,
    last: Instant,
    until: Instant,
}

/// The objects of a unit that were corrected lately.
#[derive(Debug, Default)]
pub(super) struct Fights(BTreeMap<ObjectKey, Fight>);

impl Fights {
    /// Takes that an object was corrected. Gives the wait before it is corrected again, where that is news.
    pub(super) fn corrected(&mut self, key: &ObjectKey, now: Instant) -> Option<Duration> {
        let fight = self.0.entry(key.clone()).or_insert(Fight {
            corrections: 0,
            last: now,
            until: now,
        });
        if now.saturating_duration_since(fight.last.max(fight.until)) > CALM {
            fight.corrections = 0;
        }
        fight.corrections += 1;
        fight.last = now;
        let over = fight.corrections.checked_sub(FREE)?;
        let wait = FIRST_WAIT.saturating_mul(1 << over.min(10)).min(MAX_WAIT);
        fight.until = now + wait;
        (over < 7).then_some(wait)
    }

    /// The objects that are left for now.
    pub(super) fn held_back(&self, now: Instant) -> BTreeSet<ObjectKey> {
        let waiting = self.0.iter().filter(|it| it.1.until > now);
        waiting.map(|it| it.0.clone()).collect()
    }

    /// When the next of them may be corrected again.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let ends = self.0.values().map(|it| it.until);
        ends.filter(|it| *it > now).min()
    }

    /// Forgets what is long over.
    pub(super) fn settle(&mut self, now: Instant) {
        self.0
            .retain(|_, it| now.saturating_duration_since(it.last.max(it.until)) <= CALM);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_correction_of_a_fight_waits_longer() {
        let mut fights = Fights::default();
        let key: ObjectKey = "ConfigMap/a/b".parse().unwrap();
        let now = Instant::now();
        assert_eq!(fights.corrected(&key, now), None);
        assert_eq!(fights.corrected(&key, now), None);
        assert_eq!(
            fights.corrected(&key, now),
            Some(Duration::from_secs(5)),
            "the third is the last free one"
        );
        assert_eq!(fights.held_back(now).len(), 1);
        let later = now + Duration::from_secs(6);
        assert_eq!(fights.held_back(later).len(), 0);
        assert_eq!(fights.corrected(&key, later), Some(Duration::from_secs(10)));
        let calm = later + Duration::from_secs(600);
        assert_eq!(fights.corrected(&key, calm), None);
        fights.settle(calm + Duration::from_secs(61));
        assert!(fights.0.is_empty());
    }
}
