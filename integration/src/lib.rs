//! Tests across processes: a whole fleet on this machine, as a test drives it.

pub mod harness;
