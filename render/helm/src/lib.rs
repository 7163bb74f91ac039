//! Helm charts, rendered in process.

pub mod context;
pub mod funcs;
pub mod regexp;
pub mod semver;
