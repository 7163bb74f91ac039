//! Variables that the text of a unit's objects holds, and where an agent takes their values from: `postBuild` of a Flux
//! `Kustomization`, as far as only the cluster knows it.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// ConfigMaps and Secrets that one unit may take variables from.
pub const MAX_VARIABLE_SOURCES: usize = 64;
/// Variables that one unit may give values to by itself.
pub const MAX_VARIABLES: usize = 1_024;

/// How the agent completes the text of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Substitution {
    /// Values that the unit gives itself; they win.
    pub variables: BTreeMap<String, String>,
    /// Where more come from; later ones win over earlier ones.
    pub from: Vec<VariableSource>,
    /// Replace variables even where none has a value: what has a default gets it, and what has none is an error.
    pub always: bool,
}

/// A ConfigMap or Secret in the unit's namespace, each key of which is a variable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VariableSource {
    /// Which of the two.
    pub kind: VariableSourceKind,
    /// Its name.
    pub name: String,
    /// It may be absent.
    #[serde(default)]
    pub optional: bool,
}

/// Kinds that variables come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum VariableSourceKind {
    /// Values that anybody may see.
    ConfigMap,
    /// Values that never leave the cluster.
    Secret,
}

impl VariableSourceKind {
    /// The kind as Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }

    /// Reads what [`Self::as_str`] gives.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::ConfigMap, Self::Secret]
            .into_iter()
            .find(|it| it.as_str() == text)
    }
}

impl fmt::Display for VariableSource {
    /// `Secret/name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.name)
    }
}
