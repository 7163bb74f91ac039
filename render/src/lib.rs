//! Trees, cluster facts and inputs in; units with entries, or problems, out. Pure: no IO, clock, environment or
//! ambient randomness, so that the same inputs give the same objects on every hub.
//!
//! - [`fleet`] reads the fleet path: clusters, placements, pipelines and granted sources.
//! - [`cluster`] renders everything that one cluster should be, following Flux `Kustomization`s that rendering yields.
//! - [`mod@unit`] renders one of them.
//!
//! Bad input is data: a result holds what could be rendered *and* the [`Problem`]s, each with file and line.

mod artifact;
mod base;
mod build;
pub mod capstan;
pub mod cluster;
pub mod duration;
pub mod fleet;
pub mod flux;
mod inflate;
pub mod memo;
pub mod problem;
pub mod selector;
pub mod substitute;
pub mod unit;
mod yaml;

/// The files that a render reads: a port, with a tree in memory.
pub mod tree {
    pub use capstan_kustomize::{Entry, Hash, MemoryTree, Tree, TreeError};
}
pub use cluster::{
    ClusterInput, PinnedTree, RenderedCluster, RootUnit, UnitOutcome, render_cluster,
};
pub use fleet::{Fleet, parse_fleet};
pub use inflate::Charts;
pub use memo::Memo;
pub use problem::{Level, Problem};
pub use tree::{Tree, TreeError};
pub use unit::{RenderedEntry, RenderedUnit};
