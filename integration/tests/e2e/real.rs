//! Whether real clusters can be had.

use capstan_playground::local::LocalOptions;

/// Says so and gives false where the programs of a real cluster are not built: that takes ten minutes, which no run of the tests begins
/// by itself. With `CAPSTAN_REQUIRE_TOOLS` set they are built.
pub(crate) fn available() -> bool {
    let options = LocalOptions::full("any").expect("a cache folder");
    let missing = options
        .tools()
        .into_iter()
        .find(|tool| options.toolchest.find(*tool).is_none());
    match missing {
        Some(tool) if std::env::var_os("CAPSTAN_REQUIRE_TOOLS").is_none() => {
            eprintln!(
                "SKIPPED, no real cluster: {tool} is not built; set CAPSTAN_REQUIRE_TOOLS=1 to build it"
            );
            false
        }
        _ => true,
    }
}
