//! What an agent says of its units and objects. The last report of a unit wins; nothing in one is a secret value.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    id::{Revision, UnitKey},
    object::ObjectKey,
};

/// Longest message in a report; longer ones are cut.
pub const MAX_MESSAGE_BYTES: usize = 1024;
/// Objects that a report lists one by one; the worst come first, and the counts speak of all.
pub const MAX_REPORTED_OBJECTS: usize = 2_000;

/// How far a unit has come with the content that it should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// Received, not begun.
    Pending,
    /// Waits for what `message` names: a dependency, a confirmation, an input.
    Waiting,
    /// Objects are being applied.
    Applying,
    /// Everything is applied; health is awaited.
    Applied,
    /// Everything is applied and healthy.
    Healthy,
    /// Everything is applied; an object has failed or was not healthy in time.
    Degraded,
    /// Something could not be applied.
    Failed,
    /// Left alone because somebody said so.
    Suspended,
    /// Removed from the desired state, and its objects kept until the removal is confirmed.
    Orphaned,
}

impl Phase {
    /// All, in the order of a unit's life.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Waiting,
        Self::Applying,
        Self::Applied,
        Self::Healthy,
        Self::Degraded,
        Self::Failed,
        Self::Suspended,
        Self::Orphaned,
    ];

    /// One word, as people see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Waiting => "Waiting",
            Self::Applying => "Applying",
            Self::Applied => "Applied",
            Self::Healthy => "Healthy",
            Self::Degraded => "Degraded",
            Self::Failed => "Failed",
            Self::Suspended => "Suspended",
            Self::Orphaned => "Orphaned",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Health of one object, in kstatus' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Health {
    /// Failed, and will not recover by waiting.
    Failed,
    /// Not in the cluster.
    NotFound,
    /// On its way out.
    Terminating,
    /// Not there yet.
    InProgress,
    /// Not known: not looked at yet, or could not be read.
    Unknown,
    /// As it should be.
    Current,
}

impl Health {
    /// One word, as people see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "Failed",
            Self::NotFound => "NotFound",
            Self::Terminating => "Terminating",
            Self::InProgress => "InProgress",
            Self::Unknown => "Unknown",
            Self::Current => "Current",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an agent says of one unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitReport {
    /// Which unit.
    pub key: UnitKey,
    /// The content that the report is about: [`crate::Unit::digest`].
    pub digest: Digest,
    /// The revision last applied whole, if any.
    pub applied_revision: Option<Revision>,
    /// The revision last tried.
    pub attempted_revision: Option<Revision>,
    /// How far it has come.
    pub phase: Phase,
    /// Why, for people: object, verb, reason, what to do.
    pub message: String,
    /// When the phase was entered, in milliseconds since 1970 by the agent's clock.
    pub since_ms: u64,
    /// What it owns, counted.
    pub counts: Counts,
    /// A deletion that waits for a confirmation: what to confirm it with, for `capstan approve`.
    pub confirm: Option<Digest>,
    /// The objects, worst first, at most [`MAX_REPORTED_OBJECTS`].
    pub objects: Vec<ObjectReport>,
}

/// How many objects a unit owns, and how they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// In the inventory.
    pub objects: u32,
    /// Healthy.
    pub current: u32,
    /// Found other than declared, and not (yet) put back.
    pub drifted: u32,
    /// Refused by the API server or by policy.
    pub failed: u32,
    /// Drift put back since the agent started.
    pub corrected: u64,
}

/// What an agent says of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectReport {
    /// Identity.
    pub key: ObjectKey,
    /// API version without the group.
    pub version: String,
    /// Health.
    pub health: Health,
    /// Whether the fields that we declare differ from what lives.
    pub drifted: bool,
    /// Why it is not healthy, or not applied. Empty where there is nothing to say.
    pub message: String,
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// For the record.
    Info,
    /// Somebody may want to look.
    Warning,
}

/// Something that happened, for people and notifications.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in milliseconds since 1970, by the clock of whoever says it.
    pub time_ms: u64,
    /// How much it matters.
    pub severity: Severity,
    /// One word in camel case, such as `DriftCorrected`.
    pub reason: String,
    /// The unit that it is about.
    pub unit: Option<UnitKey>,
    /// The object that it is about.
    pub object: Option<ObjectKey>,
    /// What happened, for people.
    pub message: String,
}

/// Cuts `message` at [`MAX_MESSAGE_BYTES`], at a character boundary, and marks the cut.
pub fn bounded_message(message: impl Into<String>) -> String {
    let mut message = message.into();
    if message.len() > MAX_MESSAGE_BYTES {
        let end = (0..=MAX_MESSAGE_BYTES - 3)
            .rev()
            .find(|it| message.is_char_boundary(*it));
        message.truncate(end.unwrap_or(0));
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_between_characters() {
        let cut = bounded_message("é".repeat(MAX_MESSAGE_BYTES));
        assert!(cut.len() <= MAX_MESSAGE_BYTES && cut.ends_with('…'));
        assert_eq!(bounded_message("short"), "short");
    }
}
