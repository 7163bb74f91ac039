//! A token bucket.

use std::sync::{Mutex, PoisonError};

/// Lets so many through in a second, and as many at once after a quiet second.
pub(crate) struct RateLimit {
    per_second: u64,
    /// Thousandths of a permit, and when they were counted.
    state: Mutex<(u64, u64)>,
}

impl RateLimit {
    pub(crate) fn per_second(permits: u32) -> Self {
        let per_second = u64::from(permits);
        Self {
            per_second,
            state: Mutex::new((per_second * 1000, 0)),
        }
    }

    /// Whether one more may pass now.
    pub(crate) fn take(&self, now_ms: u64) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now_ms.saturating_sub(state.1).min(1000);
        state.0 = (state.0 + passed * self.per_second).min(self.per_second * 1000);
        state.1 = now_ms;
        let allowed = state.0 >= 1000;
        if allowed {
            state.0 -= 1000;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let limit = RateLimit::per_second(2);
        let taken: Vec<bool> = [0, 0, 0, 400, 500, 5_000, 5_000, 5_000]
            .map(|it| limit.take(it))
            .into();
        assert_eq!(taken, [true, true, false, false, true, true, true, false]);
    }
}
