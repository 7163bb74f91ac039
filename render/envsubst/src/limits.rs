//! Limits, so that no text and no value can exhaust time, memory or the stack. Flux has none.

/// Expressions inside of expressions. Two are common, five are rare.
pub const MAX_NESTING: usize = 64;

/// Bytes of a result. A value of a megabyte can be asked for many times in one object.
pub const MAX_RESULT_BYTES: usize = 64 << 20;

/// Bytes of a value that a pattern with wildcards is matched against, which takes quadratic time.
pub const MAX_PATTERN_VALUE_BYTES: usize = 4096;

/// Characters that the patterns of one text may look at: a part of a second's work. A long pattern makes the time cubic, and there may be many.
pub const MAX_PATTERN_STEPS: usize = 1 << 25;
