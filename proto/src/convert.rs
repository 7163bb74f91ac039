//! Wire to domain with checks, domain to wire without.

mod desired;
mod report;
mod snapshot;
mod substitution;

pub use snapshot::{SnapshotAssembly, snapshot_chunks};

use capstan_core::{IdError, ObjectKey, id::is_object_name};

use crate::v1;

/// What a peer sent that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// An id, digest or revision is not one.
    #[error("{field}: {source}")]
    Id {
        /// Field of the message.
        field: &'static str,
        /// What is wrong with it.
        source: IdError,
    },
    /// A field that must be set is not.
    #[error("{field} is not set")]
    Missing {
        /// Field of the message.
        field: &'static str,
    },
    /// A word or number outside the field's range.
    #[error("{field}: `{given}` is not known")]
    Unknown {
        /// Field of the message.
        field: &'static str,
        /// What was given.
        given: String,
    },
    /// More than a message may hold.
    #[error("{field}: {count} is more than the {limit} allowed")]
    TooMany {
        /// Field of the message.
        field: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}

fn id<T>(field: &'static str, parsed: Result<T, IdError>) -> Result<T, WireError> {
    parsed.map_err(|source| WireError::Id { field, source })
}

fn some<T>(field: &'static str, value: Option<T>) -> Result<T, WireError> {
    value.ok_or(WireError::Missing { field })
}

fn unknown(field: &'static str, given: impl ToString) -> WireError {
    let given = given.to_string().chars().take(80).collect();
    WireError::Unknown { field, given }
}

fn at_most(field: &'static str, count: usize, limit: usize) -> Result<(), WireError> {
    if count > limit {
        return Err(WireError::TooMany {
            field,
            count,
            limit,
        });
    }
    Ok(())
}

fn text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

impl From<&ObjectKey> for v1::ObjectKey {
    fn from(key: &ObjectKey) -> Self {
        let ObjectKey {
            group,
            kind,
            namespace,
            name,
        } = key.clone();
        Self {
            group,
            kind,
            namespace,
            name,
        }
    }
}

impl TryFrom<v1::ObjectKey> for ObjectKey {
    type Error = WireError;

    fn try_from(wire: v1::ObjectKey) -> Result<Self, WireError> {
        let v1::ObjectKey {
            group,
            kind,
            namespace,
            name,
        } = wire;
        let segment = |it: &str| it.is_empty() || is_object_name(it);
        if !segment(&group) || !segment(&namespace) {
            return Err(unknown("object key", format!("{group}/{namespace}")));
        }
        if !is_object_name(&kind) || !is_object_name(&name) {
            return Err(unknown("object key", format!("{kind}/{name}")));
        }
        Ok(Self {
            group,
            kind,
            namespace,
            name,
        })
    }
}
