//! How long to wait before dialling again: spread over the time that the hub dictates after a loss that all agents may
//! share, and longer with each failure in a row.

use std::time::Duration;

/// Longest wait after the first failed dial; doubled with each.
const FIRST: Duration = Duration::from_secs(1);
/// Longest wait at all.
const MAX: Duration = Duration::from_secs(60);
/// The spread until the hub says another.
const DEFAULT_SPREAD_MS: u32 = 2_000;
/// Longest spread that is taken from a hub.
const MAX_SPREAD_MS: u32 = 120_000;

/// Waits between dials.
#[derive(Debug)]
pub struct Backoff {
    spread_ms: u32,
    failures: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            spread_ms: DEFAULT_SPREAD_MS,
            failures: 0,
        }
    }
}

impl Backoff {
    /// Takes the spread that the hub dictates.
    pub fn set_spread(&mut self, spread_ms: u32) {
        self.spread_ms = spread_ms.min(MAX_SPREAD_MS);
    }

    /// The wait after the hub said that it goes away.
    pub fn after_drain(&mut self, spread_ms: u32) -> Duration {
        self.failures = 0;
        spread(Duration::from_millis(spread_ms.min(MAX_SPREAD_MS).into()))
    }

    /// The wait after a loss: of a connection that was there, or of a dial that failed.
    pub fn after_loss(&mut self, was_connected: bool, stable: bool) -> Duration {
        if stable {
            self.failures = 0;
        }
        let longest = self.longest(was_connected);
        self.failures += 1;
        spread(longest)
    }

    fn longest(&self, was_connected: bool) -> Duration {
        if was_connected && self.failures == 0 {
            return Duration::from_millis(self.spread_ms.into());
        }
        FIRST.saturating_mul(1 << self.failures.min(10)).min(MAX)
    }
}

/// A random part of `longest`.
fn spread(longest: Duration) -> Duration {
    let mut bytes = [0; 4];
    if getrandom::fill(&mut bytes).is_err() {
        return longest;
    }
    longest.mul_f64(f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_until_a_connection_was_stable() {
        let mut backoff = Backoff::default();
        backoff.set_spread(9_000);
        assert_eq!(backoff.longest(true), Duration::from_secs(9));
        for expect in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(backoff.longest(false), Duration::from_secs(expect));
            assert!(backoff.after_loss(false, false) <= Duration::from_secs(expect));
        }
        assert!(backoff.after_loss(true, true) <= Duration::from_secs(9));
    }

    #[test]
    fn a_hub_cannot_silence_its_agents() {
        let mut backoff = Backoff::default();
        assert!(backoff.after_drain(u32::MAX) <= Duration::from_secs(120));
    }
}
