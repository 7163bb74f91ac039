//! Reports and events.

use capstan_core::{
    Counts, Digest, Event, Health, ObjectReport, Phase, Revision, Severity, UnitReport,
    report::{MAX_REPORTED_OBJECTS, bounded_message},
};

use super::{WireError, at_most, id, some, text, unknown};
use crate::v1;

impl From<&UnitReport> for v1::UnitReport {
    fn from(report: &UnitReport) -> Self {
        let revision =
            |it: &Option<Revision>| it.as_ref().map(ToString::to_string).unwrap_or_default();
        let confirm = report
            .confirm
            .map(|it| it.as_bytes().to_vec())
            .unwrap_or_default();
        Self {
            key: report.key.to_string(),
            digest: report.digest.as_bytes().to_vec().into(),
            applied_revision: revision(&report.applied_revision),
            attempted_revision: revision(&report.attempted_revision),
            phase: report.phase.to_string(),
            message: bounded_message(report.message.as_str()),
            since_ms: report.since_ms,
            counts: Some(v1::Counts::from(&report.counts)),
            confirm: confirm.into(),
            objects: report.objects.iter().map(v1::ObjectReport::from).collect(),
        }
    }
}

impl TryFrom<v1::UnitReport> for UnitReport {
    type Error = WireError;

    fn try_from(wire: v1::UnitReport) -> Result<Self, WireError> {
        at_most("report.objects", wire.objects.len(), MAX_REPORTED_OBJECTS)?;
        let revision = |it: String| {
            text(it)
                .map(|it| id("report.revision", it.parse()))
                .transpose()
        };
        let phase = Phase::ALL.into_iter().find(|it| it.as_str() == wire.phase);
        let confirm = (!wire.confirm.is_empty()).then(|| Digest::from_bytes(&wire.confirm));
        let objects = wire.objects.into_iter().map(ObjectReport::try_from);
        Ok(Self {
            key: id("report.key", wire.key.parse())?,
            digest: id("report.digest", Digest::from_bytes(&wire.digest))?,
            applied_revision: revision(wire.applied_revision)?,
            attempted_revision: revision(wire.attempted_revision)?,
            phase: phase.ok_or_else(|| unknown("report.phase", &wire.phase))?,
            message: bounded_message(wire.message),
            since_ms: wire.since_ms,
            counts: wire.counts.map(Counts::from).unwrap_or_default(),
            confirm: id("report.confirm", confirm.transpose())?,
            objects: objects.collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Counts> for v1::Counts {
    fn from(counts: &Counts) -> Self {
        let Counts {
            objects,
            current,
            drifted,
            failed,
            corrected,
        } = *counts;
        Self {
            objects,
            current,
            drifted,
            failed,
            corrected,
        }
    }
}

impl From<v1::Counts> for Counts {
    fn from(wire: v1::Counts) -> Self {
        let v1::Counts {
            objects,
            current,
            drifted,
            failed,
            corrected,
        } = wire;
        Self {
            objects,
            current,
            drifted,
            failed,
            corrected,
        }
    }
}

impl From<&ObjectReport> for v1::ObjectReport {
    fn from(report: &ObjectReport) -> Self {
        Self {
            key: Some((&report.key).into()),
            version: report.version.clone(),
            health: report.health.to_string(),
            drifted: report.drifted,
            message: bounded_message(report.message.as_str()),
        }
    }
}

impl TryFrom<v1::ObjectReport> for ObjectReport {
    type Error = WireError;

    fn try_from(wire: v1::ObjectReport) -> Result<Self, WireError> {
        let all = [
            Health::Failed,
            Health::NotFound,
            Health::Terminating,
            Health::InProgress,
            Health::Unknown,
            Health::Current,
        ];
        let health = all.into_iter().find(|it| it.as_str() == wire.health);
        Ok(Self {
            key: some("object.key", wire.key)?.try_into()?,
            version: wire.version,
            health: health.ok_or_else(|| unknown("object.health", &wire.health))?,
            drifted: wire.drifted,
            message: bounded_message(wire.message),
        })
    }
}

impl From<&Event> for v1::Event {
    fn from(event: &Event) -> Self {
        Self {
            time_ms: event.time_ms,
            warning: event.severity == Severity::Warning,
            reason: event.reason.clone(),
            unit: event
                .unit
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            object: event.object.as_ref().map(v1::ObjectKey::from),
            message: bounded_message(event.message.as_str()),
        }
    }
}

impl TryFrom<v1::Event> for Event {
    type Error = WireError;

    fn try_from(wire: v1::Event) -> Result<Self, WireError> {
        let unit = text(wire.unit).map(|it| id("event.unit", it.parse()));
        Ok(Self {
            time_ms: wire.time_ms,
            severity: if wire.warning {
                Severity::Warning
            } else {
                Severity::Info
            },
            reason: wire.reason.chars().take(64).collect(),
            unit: unit.transpose()?,
            object: wire.object.map(TryInto::try_into).transpose()?,
            message: bounded_message(wire.message),
        })
    }
}
