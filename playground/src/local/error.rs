//! Why a local cluster does not run.

use std::path::PathBuf;

use super::Part;
use crate::toolchest::ToolError;

/// Why a local cluster could not be started, or stopped running.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A binary is missing and could not be built.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A file of the cluster could not be read or written.
    #[error("{}: {doing} failed: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was attempted.
        doing: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// No port could be had from the kernel.
    #[error("finding a free port on 127.0.0.1 failed: {0}")]
    Port(#[source] std::io::Error),
    /// A key or certificate could not be made.
    #[error("making the certificate of {subject} failed: {source}")]
    Certificate {
        /// Whose certificate.
        subject: String,
        /// The cause.
        source: rcgen::Error,
    },
    /// A part could not be started.
    #[error("{part} of cluster {cluster}: starting {} failed: {source}", program.display())]
    Start {
        /// The cluster's name.
        cluster: String,
        /// The part.
        part: Part,
        /// The program.
        program: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A part ended by itself.
    #[error(
        "{part} of cluster {cluster} ended by itself ({status}); the last lines of its log:\n{log}"
    )]
    PartEnded {
        /// The cluster's name.
        cluster: String,
        /// The part.
        part: Part,
        /// How it ended.
        status: String,
        /// The last lines of its log.
        log: String,
    },
    /// A part runs but does not get ready.
    #[error(
        "{part} of cluster {cluster} is not ready after {seconds} s: {last}; the last lines of its log:\n{log}"
    )]
    NotReady {
        /// The cluster's name.
        cluster: String,
        /// The part.
        part: Part,
        /// How long it was waited for.
        seconds: u64,
        /// What it said last.
        last: String,
        /// The last lines of its log.
        log: String,
    },
    /// A client or a request of our own failed.
    #[error("cluster {cluster}: {doing} failed: {reason}")]
    Request {
        /// The cluster's name.
        cluster: String,
        /// What was attempted.
        doing: String,
        /// What came of it.
        reason: String,
    },
}

impl LocalError {
    /// Whether another process took the port in the moment between its choice and its use; new ports may do.
    pub(super) fn is_port_in_use(&self) -> bool {
        matches!(self, Self::PartEnded { log, .. } if log.contains("address already in use"))
    }
}
