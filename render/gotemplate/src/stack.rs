//! Deep recursion without overflow: the stack is grown on the heap where little is left.

/// Bytes of stack that must be left before going one level down; a level of the evaluator takes less.
const RED_ZONE_BYTES: usize = 192 << 10;
/// Bytes that are added at a time.
const GROWTH_BYTES: usize = 2 << 20;

/// Runs `work` with enough stack for one more level.
pub(crate) fn with_stack<R>(work: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(RED_ZONE_BYTES, GROWTH_BYTES, work)
}
