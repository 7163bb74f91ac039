//! The wire between hub and agent, and the only code that converts it to the words of `capstan-core`.
//!
//! Conversion into domain types checks everything: ids, digests, lengths. Conversion out of them cannot fail.

/// What the compiler made of `proto/agent.proto`, where the conversation is explained.
#[allow(
    missing_docs,
    clippy::all,
    clippy::too_many_lines,
    reason = "generated; the .proto file is the documentation"
)]
pub mod v1 {
    tonic::include_proto!("capstan.v1");
}

mod codec;
mod convert;
mod trace;

pub use convert::{SnapshotAssembly, WireError, snapshot_chunks};
pub use trace::{CommitTraces, Span};

/// The protocol versions that this build speaks, lowest and highest.
pub const PROTOCOL: (u32, u32) = (1, 1);
/// Largest message that either side takes. A chunk of a snapshot stays below a quarter of it.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// Size at which a snapshot is cut into the next chunk.
pub const SNAPSHOT_CHUNK_BYTES: usize = 1 << 20;
/// Largest piece of a blob in one message.
pub const BLOB_CHUNK_BYTES: usize = 256 << 10;
/// Digests that one `GetBlobs` may ask for.
pub const MAX_BLOBS_PER_REQUEST: usize = 1_000;
