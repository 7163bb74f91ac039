//! What a build may use, so that no input can take the process down.

/// Bytes of one file. Kubernetes stores no object above 1.5 MiB; bundles of definitions reach 10 MiB.
pub const MAX_FILE_BYTES: usize = 64 << 20;
/// Bytes of all files that one build reads; the largest public ones read about 10 MiB.
pub const MAX_READ_BYTES: usize = 512 << 20;
/// Objects in one build; the largest public ones have about 1,500.
pub const MAX_OBJECTS: usize = 100_000;
/// Bases within bases; the deepest public ones reach 8.
pub const MAX_DEPTH: usize = 64;
/// Kustomizations that one build enters. Bases that include each other twice at every level grow as powers of two.
pub const MAX_KUSTOMIZATIONS: usize = 10_000;
/// Values that aliases add to the objects of one file: what "billion laughs" multiplies. Real files add a few hundred.
pub const MAX_ALIASED_VALUES: usize = 1_000_000;
/// Bytes that a pattern may take once compiled, so that no selector can eat the memory: the default of the regular expressions is ten times that.
pub const MAX_PATTERN_BYTES: usize = 1 << 20;
