//! What tests with real control planes share.

pub(crate) mod client;
pub(crate) mod story;

use std::time::{Duration, Instant};

use capstan_playground::local::LocalOptions;
use capstan_playground::toolchest;

/// How long anything is waited for.
const LIMIT: Duration = Duration::from_secs(120);

/// Whether a cluster as `options` describe it can be started; where not, it says why.
pub(crate) fn available(options: &LocalOptions) -> bool {
    toolchest::can_test("a real control plane", &options.tools())
}

/// Waits until `look` finds nothing left to wait for; it says what it still sees.
pub(crate) fn wait_until(what: &str, mut look: impl FnMut() -> Result<(), String>) {
    let deadline = Instant::now() + LIMIT;
    while let Err(seen) = look() {
        assert!(
            Instant::now() < deadline,
            "{what}: after {LIMIT:?} still {seen}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
