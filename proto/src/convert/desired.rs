//! Desired states, whole and as deltas.

use std::{collections::BTreeMap, sync::Arc};

use capstan_core::{
    Delta, Digest, Entry, Generation, MediaType, Origin, Role, Source, SourceKey, Substitution,
    Unit, UnitKey, UnitKind, UnitRef, UnitSpec,
    desired::{DriftMode, MAX_ENTRIES, MAX_UNITS, ObjectRef},
};

use super::{WireError, at_most, id, some, text, unknown};
use crate::v1;

impl From<&Delta> for v1::Delta {
    fn from(delta: &Delta) -> Self {
        Self {
            from_generation: delta.from.0,
            to_generation: delta.to.0,
            sources: delta.sources.iter().map(v1::PinnedSource::from).collect(),
            sources_removed: delta
                .sources_removed
                .iter()
                .map(ToString::to_string)
                .collect(),
            upsert: delta.upsert.iter().map(v1::Unit::from).collect(),
            remove: delta.remove.iter().map(ToString::to_string).collect(),
            root: delta.root.as_bytes().to_vec().into(),
        }
    }
}

impl TryFrom<v1::Delta> for Delta {
    type Error = WireError;

    fn try_from(wire: v1::Delta) -> Result<Self, WireError> {
        let removed = wire
            .sources_removed
            .iter()
            .map(|it| id("sources_removed", it.parse()));
        let remove = wire.remove.iter().map(|it| id("remove", it.parse()));
        Ok(Self {
            from: Generation(wire.from_generation),
            to: Generation(wire.to_generation),
            sources: sources(wire.sources)?,
            sources_removed: removed.collect::<Result<_, _>>()?,
            upsert: units(wire.upsert)?,
            remove: remove.collect::<Result<_, _>>()?,
            root: id("root", Digest::from_bytes(&wire.root))?,
        })
    }
}

/// The units of a message, by key.
pub(crate) fn units(wire: Vec<v1::Unit>) -> Result<BTreeMap<UnitKey, Arc<Unit>>, WireError> {
    at_most("units", wire.len(), MAX_UNITS)?;
    wire.into_iter().map(unit).collect()
}

/// The pins of a message, by source.
pub(crate) fn sources(
    wire: Vec<v1::PinnedSource>,
) -> Result<BTreeMap<SourceKey, Source>, WireError> {
    at_most("sources", wire.len(), MAX_UNITS)?;
    let pairs = wire.into_iter().map(|it| {
        let revision = id("source.revision", it.revision.parse())?;
        Ok((id("source.key", it.key.parse())?, Source { revision }))
    });
    pairs.collect()
}

impl From<(&SourceKey, &Source)> for v1::PinnedSource {
    fn from((key, source): (&SourceKey, &Source)) -> Self {
        Self {
            key: key.to_string(),
            revision: source.revision.to_string(),
        }
    }
}

impl From<(&UnitKey, &Arc<Unit>)> for v1::Unit {
    fn from((key, unit): (&UnitKey, &Arc<Unit>)) -> Self {
        Self {
            key: key.to_string(),
            digest: unit.digest.as_bytes().to_vec().into(),
            spec: Some(v1::UnitSpec::from(&unit.spec)),
            origin: Some(v1::Origin::from(&unit.origin)),
            source: unit.source.to_string(),
            held_at: unit
                .held_at
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            problem: unit.problem.clone().unwrap_or_default(),
            entries: unit.entries.iter().map(v1::Entry::from).collect(),
        }
    }
}

fn unit(wire: v1::Unit) -> Result<(UnitKey, Arc<Unit>), WireError> {
    at_most("unit.entries", wire.entries.len(), MAX_ENTRIES)?;
    let held_at = text(wire.held_at).map(|it| id("unit.held_at", it.parse()));
    let entries = wire.entries.into_iter().map(Entry::try_from);
    let unit = Unit {
        digest: id("unit.digest", Digest::from_bytes(&wire.digest))?,
        spec: some("unit.spec", wire.spec)?.try_into()?,
        origin: some("unit.origin", wire.origin)?.try_into()?,
        source: id("unit.source", wire.source.parse())?,
        held_at: held_at.transpose()?,
        problem: text(wire.problem),
        entries: entries.collect::<Result<_, _>>()?,
    };
    Ok((id("unit.key", wire.key.parse())?, Arc::new(unit)))
}

impl From<&UnitSpec> for v1::UnitSpec {
    fn from(spec: &UnitSpec) -> Self {
        use v1::unit_spec::DriftMode as Wire;
        let drift = match spec.drift {
            DriftMode::Correct => Wire::Correct,
            DriftMode::Warn => Wire::Warn,
        };
        Self {
            prune: spec.prune,
            wait: spec.wait,
            health_checks: spec.health_checks.iter().map(v1::ObjectRef::from).collect(),
            timeout_seconds: spec.timeout_seconds,
            interval_seconds: spec.interval_seconds,
            retry_interval_seconds: spec.retry_interval_seconds,
            suspend: spec.suspend,
            force: spec.force,
            drift: drift.into(),
            depends_on: spec.depends_on.iter().map(v1::UnitRef::from).collect(),
            service_account: spec.service_account.clone().unwrap_or_default(),
            requested_at: spec.requested_at.clone().unwrap_or_default(),
            substitution: spec.substitution.as_ref().map(v1::Substitution::from),
        }
    }
}

impl TryFrom<v1::UnitSpec> for UnitSpec {
    type Error = WireError;

    fn try_from(wire: v1::UnitSpec) -> Result<Self, WireError> {
        use v1::unit_spec::DriftMode as Wire;
        let drift = match Wire::try_from(wire.drift) {
            Ok(Wire::Correct) => DriftMode::Correct,
            Ok(Wire::Warn) => DriftMode::Warn,
            Err(_) => return Err(unknown("unit.spec.drift", wire.drift)),
        };
        let checks = wire.health_checks.into_iter().map(ObjectRef::try_from);
        let depends_on = wire.depends_on.into_iter().map(UnitRef::try_from);
        Ok(Self {
            prune: wire.prune,
            wait: wire.wait,
            health_checks: checks.collect::<Result<_, _>>()?,
            timeout_seconds: wire.timeout_seconds,
            interval_seconds: wire.interval_seconds,
            retry_interval_seconds: wire.retry_interval_seconds,
            suspend: wire.suspend,
            force: wire.force,
            drift,
            depends_on: depends_on.collect::<Result<_, _>>()?,
            service_account: text(wire.service_account),
            requested_at: text(wire.requested_at),
            substitution: wire.substitution.map(Substitution::try_from).transpose()?,
        })
    }
}

impl From<&UnitRef> for v1::UnitRef {
    fn from(unit: &UnitRef) -> Self {
        let UnitRef {
            kind,
            namespace,
            name,
        } = unit.clone();
        Self {
            kind: kind.to_string(),
            namespace,
            name,
        }
    }
}

impl TryFrom<v1::UnitRef> for UnitRef {
    type Error = WireError;

    fn try_from(wire: v1::UnitRef) -> Result<Self, WireError> {
        let kind = match wire.kind.as_str() {
            "Kustomization" => UnitKind::Kustomization,
            "HelmRelease" => UnitKind::HelmRelease,
            _ => return Err(unknown("depends_on.kind", wire.kind)),
        };
        Ok(Self {
            kind,
            namespace: wire.namespace,
            name: wire.name,
        })
    }
}

impl From<&ObjectRef> for v1::ObjectRef {
    fn from(object: &ObjectRef) -> Self {
        Self {
            version: object.version.clone(),
            key: Some((&object.key).into()),
        }
    }
}

impl TryFrom<v1::ObjectRef> for ObjectRef {
    type Error = WireError;

    fn try_from(wire: v1::ObjectRef) -> Result<Self, WireError> {
        let key = some("health_check.key", wire.key)?.try_into()?;
        Ok(Self {
            version: wire.version,
            key,
        })
    }
}

impl From<&Origin> for v1::Origin {
    fn from(origin: &Origin) -> Self {
        use v1::origin::Origin as Wire;
        let origin = match origin {
            Origin::FleetPath => Wire::FleetPath(true),
            Origin::Placement { name } => Wire::Placement(name.clone()),
            Origin::Parent { unit } => Wire::Parent(unit.to_string()),
            Origin::Cluster => Wire::Cluster(true),
        };
        Self {
            origin: Some(origin),
        }
    }
}

impl TryFrom<v1::Origin> for Origin {
    type Error = WireError;

    fn try_from(wire: v1::Origin) -> Result<Self, WireError> {
        use v1::origin::Origin as Wire;
        Ok(match some("unit.origin", wire.origin)? {
            Wire::FleetPath(_) => Self::FleetPath,
            Wire::Placement(name) => Self::Placement { name },
            Wire::Parent(unit) => Self::Parent {
                unit: id("origin.parent", unit.parse())?,
            },
            Wire::Cluster(_) => Self::Cluster,
        })
    }
}

impl From<&Entry> for v1::Entry {
    fn from(entry: &Entry) -> Self {
        use v1::entry::{MediaType as WireMedia, Role as WireRole};
        let role = match entry.role {
            Role::Object => WireRole::Object,
            Role::Crd => WireRole::Crd,
            Role::Hook => WireRole::Hook,
            Role::Test => WireRole::Test,
            Role::Chart => WireRole::Chart,
            Role::Values => WireRole::Values,
        };
        let media_type = match entry.media_type {
            MediaType::Object => WireMedia::MediaObject,
            MediaType::Text => WireMedia::MediaText,
            MediaType::Chart => WireMedia::MediaChart,
            MediaType::Values => WireMedia::MediaValues,
        };
        Self {
            key: Some((&entry.key).into()),
            version: entry.version.clone(),
            role: role.into(),
            media_type: media_type.into(),
            digest: entry.digest.as_bytes().to_vec().into(),
            bytes: entry.bytes,
            path: entry.path.clone(),
            sensitive: entry.sensitive,
        }
    }
}

impl TryFrom<v1::Entry> for Entry {
    type Error = WireError;

    fn try_from(wire: v1::Entry) -> Result<Self, WireError> {
        use v1::entry::{MediaType as WireMedia, Role as WireRole};
        let role = match WireRole::try_from(wire.role) {
            Ok(WireRole::Object) => Role::Object,
            Ok(WireRole::Crd) => Role::Crd,
            Ok(WireRole::Hook) => Role::Hook,
            Ok(WireRole::Test) => Role::Test,
            Ok(WireRole::Chart) => Role::Chart,
            Ok(WireRole::Values) => Role::Values,
            Err(_) => return Err(unknown("entry.role", wire.role)),
        };
        let media_type = match WireMedia::try_from(wire.media_type) {
            Ok(WireMedia::MediaObject) => MediaType::Object,
            Ok(WireMedia::MediaText) => MediaType::Text,
            Ok(WireMedia::MediaChart) => MediaType::Chart,
            Ok(WireMedia::MediaValues) => MediaType::Values,
            Err(_) => return Err(unknown("entry.media_type", wire.media_type)),
        };
        Ok(Self {
            key: some("entry.key", wire.key)?.try_into()?,
            version: wire.version,
            role,
            media_type,
            digest: id("entry.digest", Digest::from_bytes(&wire.digest))?,
            bytes: wire.bytes,
            path: wire.path,
            sensitive: wire.sensitive,
        })
    }
}
