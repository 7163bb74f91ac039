//! Regular expressions as Go takes them (RE2 syntax), run by the `regex` crate.
//!
//! Both engines take linear time and agree on leftmost-first matching; what differs is the syntax. A pattern is read with Go's grammar, its
//! mistakes are reported in Go's words, and it is written again in a form that leaves the other engine no room for its own ideas: classes
//! are spelled out, `\d`, `\w`, `\s` and `\b` are ASCII, `\Q…\E` and octal escapes are resolved, and a `{` that repeats nothing is literal.

mod class;
mod error;
mod kept;
mod translate;

use std::sync::Arc;

pub use error::RegexpError;
pub use translate::translate;

/// The largest compiled pattern, in bytes: the engine's own limit is 10 MiB, which no chart has a use for.
const MAX_COMPILED_BYTES: usize = 2 << 20;

/// Compiles a Go pattern.
///
/// # Errors
/// When Go would not take the pattern, or it becomes too large.
pub fn compile(pattern: &str) -> Result<Arc<regex::Regex>, RegexpError> {
    if let Some(regex) = kept::get(pattern) {
        return Ok(regex);
    }
    let translated = translate(pattern)?;
    if let Some(regex) = kept::compile(pattern, &translated) {
        return Ok(regex);
    }
    let built = regex::RegexBuilder::new(&translated)
        .size_limit(MAX_COMPILED_BYTES)
        .build();
    built.map(Arc::new).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => RegexpError::new(error::TOO_LARGE, pattern),
        // What is left is a class of characters that the other engine does not know by this name.
        _ => RegexpError::new(error::INVALID_RANGE, pattern),
    })
}

#[cfg(test)]
mod tests;
