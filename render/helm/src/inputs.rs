//! What a render is given besides chart and values: all that Helm would take from the cluster, the clock or chance.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use capstan_gotemplate::Limits;

use crate::context::{HelmVersion, KeyCache, Lookup, Now, Secret};
use crate::facts::Facts;

/// The release that a chart is rendered for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// 1 for the first installation.
    pub revision: i64,
    /// Whether it replaces an earlier revision.
    pub is_upgrade: bool,
}

impl Release {
    /// The first installation of a release.
    #[must_use]
    pub fn install(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            namespace: namespace.into(),
            revision: 1,
            is_upgrade: false,
        }
    }
}

/// What `lookup` answers.
#[derive(Clone, Default)]
pub enum Lookups {
    /// There is no cluster: everything is empty, as in `helm template`.
    #[default]
    Offline,
    /// These answers: the object (a list as an object with `items`), or `None` where there is none. What is not among them is reported
    /// as wanted.
    Given(BTreeMap<Lookup, Option<serde_json::Value>>),
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offline => f.write_str("Offline"),
            // Objects may be Secrets.
            Self::Given(objects) => f.debug_set().entries(objects.keys()).finish(),
        }
    }
}

/// Everything that a render is given.
#[derive(Clone)]
pub struct RenderInput {
    /// Which Helm's result is wanted.
    pub version: HelmVersion,
    /// The release.
    pub release: Release,
    /// What the cluster is.
    pub facts: Facts,
    /// What `lookup` answers.
    pub lookups: Lookups,
    /// What `now` answers.
    pub now: Now,
    /// What random values come from.
    pub secret: Secret,
    /// Where derived keys are kept between renders, if anywhere.
    pub keys: Option<Arc<dyn KeyCache>>,
    /// Texts of documents that schemas refer to, by URL.
    pub schema_documents: BTreeMap<String, Vec<u8>>,
    /// Whether `values.schema.json` is left aside.
    pub skip_schema_validation: bool,
    /// Whether the notes of dependencies count too.
    pub sub_notes: bool,
    /// Limits on what templates use.
    pub limits: Limits,
}

impl RenderInput {
    /// A render as `helm template` does it: no cluster, default facts. `now` and the secret are what makes two renders differ.
    #[must_use]
    pub fn offline(version: HelmVersion, release: Release, now: Now, secret: Secret) -> Self {
        Self {
            version,
            release,
            facts: Facts::offline(),
            lookups: Lookups::Offline,
            now,
            secret,
            keys: None,
            schema_documents: BTreeMap::new(),
            skip_schema_validation: false,
            sub_notes: false,
            limits: Limits::default(),
        }
    }
}

impl fmt::Debug for RenderInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenderInput")
            .field("version", &self.version)
            .field("release", &self.release)
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}
