//! What tests with real control planes share.

pub(crate) mod client;
pub(crate) mod story;

use std::time::{Duration, Instant};

use capstan_playground::local::LocalOptions;

/// How long anything is waited for.
const LIMIT: Duration = Duration::from_secs(120);

/// Whether a cluster as `options` describe it can be started now. Its programs take ten minutes to build, which no run of the tests begins
/// by itself: where they are not built yet, the test says so and passes. With `CAPSTAN_REQUIRE_TOOLS` set they are built.
pub(crate) fn available(options: &LocalOptions) -> bool {
    let missing = options
        .tools()
        .into_iter()
        .find(|tool| options.toolchest.find(*tool).is_none());
    let Some(tool) = missing else { return true };
    if std::env::var_os("CAPSTAN_REQUIRE_TOOLS").is_some() {
        return true;
    }
    eprintln!(
        "SKIPPED, no real control plane: {tool} is not built; set CAPSTAN_REQUIRE_TOOLS=1 to build it"
    );
    false
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
