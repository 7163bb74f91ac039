//! Clusters without clusters: a Kubernetes API server in memory, real control planes on this machine, and the tools to compare with.

pub mod git;
pub mod local;
pub mod ports;
pub mod sim;
pub mod toolchest;
