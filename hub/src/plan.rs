//! Decides what every cluster should be. Pure: pins, renders and reports in; new pins and desired states out.
//!
//! - [`pins`] decides which revision of each source a cluster follows: the newest, or what a pipeline has promoted.
//! - [`promotion`] answers what a person asks for: promote, roll back, release.
//! - [`compose`] makes a cluster's desired state of what was rendered at its pins, and keeps what could not be rendered.

pub mod compose;
pub mod pins;
pub mod promotion;

pub use compose::{Composed, ComposeInput, Overrides, compose};
pub use pins::{Hold, Pin, PinChange, PinInput, PinKey, Standing, decide};
pub use promotion::{PromotionError, Scope, promote, release, rollback};
