//! The words that hub and agent share, and what can be decided about objects without touching anything.
//!
//! Nothing here does IO, reads a clock or the environment, or draws a random number: every function is given what
//! it needs and returns a value. The wire format is `capstan-proto`'s business; serde is derived only where a value
//! is kept at rest (the store, the agent's inventory).

pub mod digest;
pub mod id;
pub mod object;

pub mod desired;
pub mod report;
pub mod substitution;

pub mod drift;
pub mod fuse;
pub mod health;
pub mod inventory;
pub mod order;

pub use desired::{
    Delta, DesiredState, Entries, Entry, MediaType, Origin, Role, Source, Unit, UnitRef, UnitSpec,
};
pub use digest::Digest;
pub use id::{
    ClusterName, ClusterUid, Generation, IdError, Revision, SourceKey, StoreEpoch, UnitKey,
    UnitKind,
};
pub use object::{Object, ObjectError, ObjectKey};
pub use report::{Counts, Event, Health, ObjectReport, Phase, Severity, UnitReport};
pub use substitution::{Substitution, VariableSource, VariableSourceKind};
