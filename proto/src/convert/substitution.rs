//! What an agent completes text with.

use capstan_core::{
    Substitution, VariableSource, VariableSourceKind,
    id::is_object_name,
    substitution::{MAX_VARIABLE_SOURCES, MAX_VARIABLES},
};

use super::{WireError, at_most, unknown};
use crate::v1;

impl From<&Substitution> for v1::Substitution {
    fn from(substitution: &Substitution) -> Self {
        use v1::variable_source::Kind as Wire;
        let source = |it: &VariableSource| {
            let kind = match it.kind {
                VariableSourceKind::ConfigMap => Wire::ConfigMap,
                VariableSourceKind::Secret => Wire::Secret,
            };
            v1::VariableSource {
                kind: kind.into(),
                name: it.name.clone(),
                optional: it.optional,
            }
        };
        let variables = substitution.variables.iter();
        Self {
            variables: variables.map(|(k, v)| (k.clone(), v.clone())).collect(),
            from: substitution.from.iter().map(source).collect(),
            always: substitution.always,
        }
    }
}

impl TryFrom<v1::Substitution> for Substitution {
    type Error = WireError;

    fn try_from(wire: v1::Substitution) -> Result<Self, WireError> {
        at_most("substitution.from", wire.from.len(), MAX_VARIABLE_SOURCES)?;
        at_most(
            "substitution.variables",
            wire.variables.len(),
            MAX_VARIABLES,
        )?;
        let from = wire.from.into_iter().map(VariableSource::try_from);
        Ok(Self {
            variables: wire.variables.into_iter().collect(),
            from: from.collect::<Result<_, _>>()?,
            always: wire.always,
        })
    }
}

impl TryFrom<v1::VariableSource> for VariableSource {
    type Error = WireError;

    fn try_from(wire: v1::VariableSource) -> Result<Self, WireError> {
        use v1::variable_source::Kind as Wire;
        let kind = match Wire::try_from(wire.kind) {
            Ok(Wire::ConfigMap) => VariableSourceKind::ConfigMap,
            Ok(Wire::Secret) => VariableSourceKind::Secret,
            Err(_) => return Err(unknown("substitution.from.kind", wire.kind)),
        };
        if !is_object_name(&wire.name) {
            return Err(unknown("substitution.from.name", wire.name));
        }
        Ok(Self {
            kind,
            name: wire.name,
            optional: wire.optional,
        })
    }
}
