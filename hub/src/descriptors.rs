//! Open files of this process: each agent's connection is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Most connections of agents: 10,000 agents, and those that are dialling again.
const MAX_CONNECTIONS: usize = 12_000;
/// Files for everything else: the store, mirrors, blobs, fetches, the API and those who read it.
const OTHERS: usize = 256;
/// Connections that are taken however few files may be open: better some fail than none is tried.
const MIN_CONNECTIONS: usize = 64;

/// Allows this process as many open files as it may allow itself, and gives how many connections of agents that is.
pub(crate) fn connections() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, hard)| {
        let raised = soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
        if raised { hard } else { soft }
    });
    let files = limit.map_or(0, |it| usize::try_from(it).unwrap_or(usize::MAX));
    let connections = connections_of(files);
    if connections < MAX_CONNECTIONS {
        tracing::info!(
            files,
            "at most {connections} agents can be connected at once, since this process may open so many files; \
             allow it more (LimitNOFILE of systemd, ulimit -Hn) for a larger fleet"
        );
    }
    connections
}

fn connections_of(files: usize) -> usize {
    files
        .saturating_sub(OTHERS)
        .clamp(MIN_CONNECTIONS, MAX_CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_everything_else() {
        let table = [
            (0, 64),
            (300, 64),
            (1_024, 768),
            (20_000, 12_000),
            (usize::MAX, 12_000),
        ];
        for (files, expect) in table {
            assert_eq!(connections_of(files), expect, "{files}");
        }
    }
}
