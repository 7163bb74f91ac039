//! Whether a test that needs real tools runs, is passed over, or fails for want of them.

use std::io::Write;

use super::{Tool, ToolError, Toolchest};

/// Where this variable is set, tests build the tools that are missing, and fail where they cannot: a run that must not pass over anything.
pub const REQUIRE_TOOLS: &str = "CAPSTAN_REQUIRE_TOOLS";

/// Whether a test that needs `tools` is to run. Building them takes ten minutes, which no test begins unasked: where one is not built yet, this says
/// `SKIPPED` and why, and gives false. With [`REQUIRE_TOOLS`] set it gives true, and whoever then asks the chest for the tool builds it.
pub fn can_test(what: &str, tools: &[Tool]) -> bool {
    let reason = match Toolchest::from_env() {
        Ok(chest) => missing(&chest, tools),
        Err(error) => Some(error.to_string()),
    };
    reason.is_none_or(|reason| !can_pass_over(&format!("{what}: {reason}")))
}

/// Says `SKIPPED` and why, and gives true; false where [`REQUIRE_TOOLS`] says that no test may be passed over.
pub fn can_pass_over(reason: &str) -> bool {
    if std::env::var_os(REQUIRE_TOOLS).is_some() {
        return false;
    }
    // Written to the file itself: what goes through the macros is hidden for a test that passes. Nobody to tell is no failure.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
    true
}

/// Which of `tools` is not there, and what to do about it.
fn missing(chest: &Toolchest, tools: &[Tool]) -> Option<String> {
    let tool = *tools.iter().find(|tool| chest.find(**tool).is_none())?;
    Some(match chest.check_go(tool) {
        Ok(()) => format!("{tool} is not built; {REQUIRE_TOOLS}=1 builds it"),
        Err(error @ ToolError::NoGo { .. }) => error.to_string(),
        Err(error) => format!("{tool} is not built: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let mut chest = Toolchest::new(folder.path().to_owned(), None);
        chest.go = folder.path().join("no-go");
        let reason = missing(&chest, &[Tool::Etcd]).unwrap();
        assert!(reason.contains("install Go"), "{reason}");
        let built = chest.cached(Tool::Etcd);
        std::fs::create_dir_all(built.parent().unwrap()).unwrap();
        std::fs::write(built, "").unwrap();
        assert_eq!(missing(&chest, &[Tool::Etcd]), None);
    }
}
