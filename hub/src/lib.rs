//! The hub: Git in, desired states out to agents, one view of the fleet for people.

pub mod plan;
