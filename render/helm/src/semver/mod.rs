//! Versions and constraints with the rules of Go's `Masterminds/semver`, which Helm uses everywhere.
//!
//! The grammar is neither npm's nor Cargo's: `1.2`, `v1.2` and `01.2.3` are versions, `,` and a space both mean *and*, `=>` is an operator,
//! and a constraint without a pre-release never matches a version that has one.

mod constraint;
mod version;

pub use constraint::{Constraint, ConstraintError, MAX_CONSTRAINT_BYTES, MAX_CONSTRAINT_GROUPS};
pub use version::{MAX_VERSION_BYTES, Version, VersionError};

/// Whether `version` satisfies `constraint`. Text that is no version or no constraint satisfies nothing.
#[must_use]
pub fn is_compatible(constraint: &str, version: &str) -> bool {
    match (Version::parse(version), Constraint::parse(constraint)) {
        (Ok(version), Ok(constraint)) => constraint.matches(&version),
        _ => false,
    }
}
