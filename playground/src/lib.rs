//! Clusters without clusters: real Kubernetes control planes on this machine, and the tools to compare with.

pub mod git;
pub mod local;
pub mod toolchest;
