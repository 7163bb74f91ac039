//! The two pattern languages of charts: `.Files.Glob`'s and that of `.helmignore`.

mod glob;
mod path;

pub(crate) use glob::Glob;
pub(crate) use path::{BadPattern, matches as path_matches};
