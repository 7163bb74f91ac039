//! Values: where they come from and how those of a chart, its parent and its user come together.

mod coalesce;
pub(crate) mod disguise;
mod document;
mod literal;
mod path;
mod strvals;
#[expect(
    clippy::module_inception,
    reason = "the type of this name is what the module is about"
)]
mod values;

pub(crate) use coalesce::{Coalescing, coalesce_values, merge_tables};
pub(crate) use document::load_default_values;
pub(crate) use path::{path_value, table};
pub use strvals::{MAX_SET_INDEX, MAX_SET_INDEXES, MAX_SET_NESTING, StrvalsError};
pub use values::Values;

#[cfg(test)]
mod tests;
