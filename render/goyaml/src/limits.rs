//! Limits that hold for every document, so that no input can exhaust memory or the stack.

/// Bytes of one input. Marks are 32-bit, and no tree that the hub accepts holds a larger file.
pub const MAX_INPUT_BYTES: usize = 256 << 20;

/// Levels of nesting of one document, aliases included. Go stops at 10,000; real manifests stay under 60, and what walks a tree by
/// recursion, here and in the renderers, has to fit the two megabytes of a thread's stack in a debug build.
pub const MAX_DEPTH: usize = 200;

/// Nodes that may be copied because an alias names them, in one document. Go bounds aliases by their share of the decoded nodes only;
/// this bounds the memory too.
pub const MAX_ALIASED_NODES: usize = 1 << 18;

/// Messages that one decoding error lists. Go lists every pair of duplicate keys, which is quadratic.
pub const MAX_TYPE_ERRORS: usize = 100;
