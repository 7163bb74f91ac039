//! Kustomize builds, native and pure.

pub mod tree;

pub use tree::{Tree, TreeError};
