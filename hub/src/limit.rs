//! Token buckets, and counts of what is open at once.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Peers that are told apart at once; further ones are refused for the moment.
const MAX_PEERS: usize = 10_000;
/// Bits of an IPv6 address that one peer cannot choose freely.
const V6_PREFIX_BITS: u32 = 64;

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

    /// Whether it is as full as it can be.
    fn is_idle(&self, now_ms: u64) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        now_ms.saturating_sub(state.1) >= 1000
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

/// A token bucket for each peer, so that one cannot use up what others need.
pub(crate) struct PeerLimit {
    permits: u32,
    peers: Mutex<BTreeMap<IpAddr, RateLimit>>,
}

impl PeerLimit {
    pub(crate) fn per_second(permits: u32) -> Self {
        Self {
            permits,
            peers: Mutex::default(),
        }
    }

    /// Whether one more of this peer may pass now.
    pub(crate) fn take(&self, peer: IpAddr, now_ms: u64) -> bool {
        let peer = peer_of(peer);
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() >= MAX_PEERS && !peers.contains_key(&peer) {
            // Whose bucket is full again needs not be remembered.
            peers.retain(|_, it| !it.is_idle(now_ms));
            if peers.len() >= MAX_PEERS {
                return false;
            }
        }
        let bucket = || RateLimit::per_second(self.permits);
        peers.entry(peer).or_insert_with(bucket).take(now_ms)
    }
}

/// What of an address one peer cannot choose freely.
pub(crate) fn peer_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(it) => IpAddr::V6((it.to_bits() >> V6_PREFIX_BITS << V6_PREFIX_BITS).into()),
        v4 => v4,
    }
}

/// Lets each have so many of something open at once.
#[derive(Clone)]
pub(crate) struct AtOnce<K: Ord> {
    most: usize,
    open: Arc<Mutex<BTreeMap<K, usize>>>,
}

/// One of what [`AtOnce`] counts, until it is dropped.
pub(crate) struct Open<K: Ord> {
    key: K,
    open: Arc<Mutex<BTreeMap<K, usize>>>,
}

impl<K: Ord + Clone> AtOnce<K> {
    pub(crate) fn at_most(most: usize) -> Self {
        Self {
            most,
            open: Arc::default(),
        }
    }

    /// Opens one more, or nothing where it would be one too many.
    pub(crate) fn open(&self, key: K) -> Option<Open<K>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(key.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Open {
            key,
            open: self.open.clone(),
        })
    }
}

impl<K: Ord> Drop for Open<K> {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}

/// Jobs of requests that wait for the disk or compute at once. Each needs a thread, more of them only hold memory, and what they
/// write is written one after the other, many together.
const JOBS: usize = 32;
static TURNS: Semaphore = Semaphore::const_new(JOBS);

/// Waits until a job may begin. It ends with what this gives.
pub(crate) async fn turn() -> Option<SemaphorePermit<'static>> {
    // It is never closed.
    TURNS.acquire().await.ok()
}

/// Lets so many begin in a second, one after the other; whoever comes faster waits for its turn.
pub(crate) struct Turns {
    gap: Duration,
    next: Mutex<Option<Instant>>,
}

impl Turns {
    pub(crate) fn per_second(turns: u32) -> Self {
        Self {
            gap: Duration::from_secs(1) / turns,
            next: Mutex::default(),
        }
    }

    /// Takes the next turn, and gives how long it is until then.
    pub(crate) fn take(&self, now: Instant) -> Duration {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = next.map_or(now, |it| it.max(now));
        *next = Some(turn + self.gap);
        turn - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_let_in_one_by_one_and_a_single_one_at_once() {
        let turns = Turns::per_second(500);
        let now = Instant::now();
        let waits: Vec<u128> = (0..4).map(|_| turns.take(now).as_millis()).collect();
        assert_eq!(waits, [0, 2, 4, 6]);
        let later = now + Duration::from_secs(1);
        assert_eq!(turns.take(later), Duration::ZERO);
    }

    #[test]
    fn one_peer_does_not_use_up_what_others_need() {
        let limit = PeerLimit::per_second(1);
        let peer = |it: &str| it.parse::<IpAddr>().unwrap();
        assert!(limit.take(peer("192.0.2.1"), 0));
        assert!(!limit.take(peer("::ffff:192.0.2.1"), 0), "the same one");
        assert!(limit.take(peer("192.0.2.2"), 0));
        assert!(limit.take(peer("2001:db8::1"), 0));
        assert!(!limit.take(peer("2001:db8::ffff"), 0), "the same network");
        for it in 0..u32::try_from(MAX_PEERS).unwrap() {
            limit.take(IpAddr::V4(it.into()), 5_000);
        }
        assert!(limit.peers.lock().unwrap().len() <= MAX_PEERS);
        assert!(!limit.take(peer("198.51.100.1"), 5_000));
        assert!(limit.take(peer("198.51.100.1"), 7_000));
    }

    #[test]
    fn each_has_so_many_open_and_what_is_closed_counts_no_more() {
        let limit = AtOnce::at_most(2);
        let (first, _second) = (limit.open("a").unwrap(), limit.open("a").unwrap());
        assert!(limit.open("a").is_none());
        let other = limit.open("b");
        assert!(other.is_some());
        drop((first, other));
        assert!(limit.open("a").is_some());
        assert_eq!(limit.open.lock().unwrap().len(), 1, "nobody else is kept");
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let limit = RateLimit::per_second(2);
        let taken: Vec<bool> = [0, 0, 0, 400, 500, 5_000, 5_000, 5_000]
            .map(|it| limit.take(it))
            .into();
        assert_eq!(taken, [true, true, false, false, true, true, true, false]);
    }
}
