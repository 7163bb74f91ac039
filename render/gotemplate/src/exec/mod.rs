//! The evaluator: what Go's `exec.go` does, with every rule about nil, types and interfaces.

mod call;
mod ctx;
mod error;
mod eval;
mod field;
mod slot;
mod state;

pub use ctx::{Ctx, MissingKey};
pub use error::ExecError;
pub(crate) use slot::Slot;
pub(crate) use state::DOLLAR;

#[cfg(test)]
mod tests;
