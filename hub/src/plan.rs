//! PURE: which revision each cluster follows, and what its desired state is.
//!
//! Pins come first ([`decide`]): heads of sources × pipelines × what people hold or freeze × how the clusters are. Then
//! each cluster is rendered at its pins, and [`next`] joins the result with what the cluster had: a unit that could not
//! be rendered keeps what it had, a unit that nothing declares any more is held until somebody confirms its removal.

mod book;
mod desired;
mod pins;
mod promotion;

pub(crate) use book::{
    Book, EnvironmentKey, Freeze, Hold, Orphan, Orphans, Overrides, Pin, UnitOverride,
};
pub(crate) use desired::{Next, NextInput, Outcome, SharedUnits, next};
pub(crate) use pins::{Decision, PinInput, Pipeline, Placed, Stage, decide, unmet_of};
pub(crate) use promotion::{Refusal, Request, Target, promote, release, rollback};
