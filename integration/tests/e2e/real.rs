//! Tests on real clusters: whether there are any, and one at a time.

use std::sync::LazyLock;

use capstan_playground::{local::LocalOptions, toolchest};
use tokio::{runtime::Runtime, sync::Mutex};

/// The clusters serve one test after another, so that all live on one runtime.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("threads"));

/// A machine with two cores has enough to do with one test, and the clusters belong to it.
static TURN: Mutex<()> = Mutex::const_new(());

/// Runs a test while no other of this program runs; says so and passes where the programs of a real cluster are not built.
pub(crate) fn alone(test: impl AsyncFnOnce()) {
    let options = LocalOptions::full("any").expect("a cache folder");
    if toolchest::can_test("real clusters", &options.tools()) {
        RUNTIME.block_on(async {
            let _turn = TURN.lock().await;
            test().await;
        });
    }
}
