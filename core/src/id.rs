//! Names and numbers, parsed where they enter so that nothing inside handles a raw string.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Kubernetes' limit for a DNS subdomain, which names of units and objects keep to.
pub const MAX_NAME_BYTES: usize = 253;
/// A cluster's name appears in label values and file names, so it is a DNS label.
pub const MAX_CLUSTER_NAME_BYTES: usize = 63;
/// Long enough for `<branch>@sha256:<64 digits>` with a Git ref name of 255 bytes.
pub const MAX_REVISION_BYTES: usize = 340;

/// A text that is not the name or number that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a DNS label of at most 63 bytes.
    #[error(
        "`{given}` is not a cluster name: lower-case letters, digits and `-`, at most 63, starting and ending with a letter or digit"
    )]
    ClusterName {
        /// What was given.
        given: String,
    },
    /// Not a UUID.
    #[error("`{given}` is not a cluster UID: a UUID such as 3e1f0c3a-5a0e-4c55-9e0b-0d2b2a3f7c11")]
    ClusterUid {
        /// What was given.
        given: String,
    },
    /// Not `<home>/<kind>/<namespace>/<name>`.
    #[error(
        "`{given}` is not a unit: CLUSTER/KIND/NAMESPACE/NAME with KIND Kustomization or HelmRelease"
    )]
    UnitKey {
        /// What was given.
        given: String,
    },
    /// Not `<kind>/<namespace>/<name>`.
    #[error("`{given}` is not a source: KIND/NAMESPACE/NAME")]
    SourceKey {
        /// What was given.
        given: String,
    },
    /// Not 64 hex digits.
    #[error("`{given}` is not a SHA-256 digest")]
    Digest {
        /// What was given.
        given: String,
    },
    /// Empty, too long, or with white space in it.
    #[error("`{given}` is not a revision")]
    Revision {
        /// What was given.
        given: String,
    },
    /// Not 32 hex digits.
    #[error("`{given}` is not a store epoch")]
    StoreEpoch {
        /// What was given.
        given: String,
    },
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $error:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError::$error { given: text.chars().take(80).collect() })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// The name that people give a cluster: a DNS label. It may be given to another cluster later; the UID may not.
    ClusterName,
    ClusterName,
    is_dns_label
);
text_id!(
    /// A cluster's identity: a UUID made when the cluster is added, never reused, and the only name in its certificate.
    ClusterUid,
    ClusterUid,
    is_uuid
);
text_id!(
    /// One immutable state of a source, written as Flux writes it: `main@sha1:<40 hex>`.
    Revision,
    Revision,
    is_revision
);

impl Revision {
    /// The revision of a Git branch: `<branch>@sha1:<commit>`.
    pub fn of_branch(branch: &str, commit: &str) -> Result<Self, IdError> {
        format!("{branch}@sha1:{commit}").parse()
    }

    /// What stands after `sha1:` or `sha256:`, or the whole text where neither does.
    pub fn commit(&self) -> &str {
        self.0.rsplit_once(':').map_or(self.as_str(), |it| it.1)
    }

    /// As people read it: the part before the `@` and twelve digits of the commit.
    pub fn short(&self) -> String {
        let commit: String = self.commit().chars().take(12).collect();
        match self.0.split_once('@') {
            Some((branch, _)) => format!("{branch}@{commit}"),
            None => commit,
        }
    }
}

/// Counts a cluster's desired states; it only goes up within a [`StoreEpoch`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Generation(pub u64);

impl Generation {
    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Names one life of a store: random, made with it, and made again by a restore. Generations of different epochs
/// cannot be compared, and a snapshot of another epoch may not remove anything.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StoreEpoch(pub [u8; 16]);

impl fmt::Display for StoreEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for StoreEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for StoreEpoch {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::StoreEpoch {
            given: text.chars().take(80).collect(),
        };
        let bytes = hex::decode(text).map_err(|_| wrong())?;
        Ok(Self(bytes.try_into().map_err(|_| wrong())?))
    }
}

impl TryFrom<String> for StoreEpoch {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<StoreEpoch> for String {
    fn from(epoch: StoreEpoch) -> Self {
        epoch.to_string()
    }
}

/// Which Flux kind a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum UnitKind {
    /// `kustomize.toolkit.fluxcd.io` `Kustomization`.
    Kustomization,
    /// `helm.toolkit.fluxcd.io` `HelmRelease`.
    HelmRelease,
}

impl UnitKind {
    /// The Kubernetes kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kustomization => "Kustomization",
            Self::HelmRelease => "HelmRelease",
        }
    }
}

impl fmt::Display for UnitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a unit is known by. Prints as `<home>/<kind>/<namespace>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitKey {
    /// The cluster whose desired state declares the unit.
    pub home: ClusterName,
    /// The Flux kind.
    pub kind: UnitKind,
    /// The Flux object's namespace.
    pub namespace: String,
    /// The Flux object's name.
    pub name: String,
}

impl fmt::Display for UnitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            home,
            kind,
            namespace,
            name,
        } = self;
        write!(f, "{home}/{kind}/{namespace}/{name}")
    }
}

impl FromStr for UnitKey {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::UnitKey {
            given: text.chars().take(300).collect(),
        };
        let parts: Vec<&str> = text.split('/').collect();
        let [home, kind, namespace, name] = parts[..] else {
            return Err(wrong());
        };
        let kind = match kind {
            "Kustomization" => UnitKind::Kustomization,
            "HelmRelease" => UnitKind::HelmRelease,
            _ => return Err(wrong()),
        };
        if !is_object_name(namespace) || !is_object_name(name) {
            return Err(wrong());
        }
        Ok(Self {
            home: home.parse()?,
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl TryFrom<String> for UnitKey {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<UnitKey> for String {
    fn from(key: UnitKey) -> Self {
        key.to_string()
    }
}

/// What a source is known by in the fleet path. Prints as `<kind>/<namespace>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceKey {
    /// `GitRepository`, `OCIRepository`, `Bucket` or `ExternalArtifact`.
    pub kind: String,
    /// The Flux object's namespace.
    pub namespace: String,
    /// The Flux object's name.
    pub name: String,
}

impl fmt::Display for SourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

impl FromStr for SourceKey {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts[..] {
            [kind, namespace, name]
                if !kind.is_empty() && is_object_name(namespace) && is_object_name(name) =>
            {
                Ok(Self {
                    kind: kind.to_owned(),
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                })
            }
            _ => Err(IdError::SourceKey {
                given: text.chars().take(300).collect(),
            }),
        }
    }
}

impl TryFrom<String> for SourceKey {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<SourceKey> for String {
    fn from(key: SourceKey) -> Self {
        key.to_string()
    }
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Whether `text` is a DNS-1123 label.
pub fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = |it: Option<&u8>| it.is_some_and(|it| is_alphanumeric(*it));
    bytes.len() <= MAX_CLUSTER_NAME_BYTES
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|it| is_alphanumeric(*it) || *it == b'-')
}

/// Whether `text` can be a Kubernetes object's name as far as a key is concerned: not empty, at most 253 bytes, and
/// nothing that would end a path segment. RBAC names may hold `:`; most kinds are stricter, which the API server says.
pub fn is_object_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NAME_BYTES
        && !matches!(text, "." | "..")
        && text
            .bytes()
            .all(|it| it.is_ascii_graphic() && !matches!(it, b'/' | b'%'))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, it)| match at {
            8 | 13 | 18 | 23 => it == b'-',
            _ => it.is_ascii_digit() || (b'a'..=b'f').contains(&it),
        })
}

fn is_revision(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_REVISION_BYTES
        && text.bytes().all(|it| it.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_names_are_dns_labels() {
        for good in ["a", "prod-eu-1", "0"] {
            assert!(good.parse::<ClusterName>().is_ok(), "{good}");
        }
        let long = "a".repeat(64);
        for bad in ["", "-a", "a-", "A", "a.b", "a/b", "..", &long] {
            assert!(bad.parse::<ClusterName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn unit_keys_round_trip() {
        let text = "dev-1/Kustomization/flux-system/apps";
        let key: UnitKey = text.parse().unwrap();
        assert_eq!(key.to_string(), text);
        for bad in [
            "apps",
            "a/Deployment/b/c",
            "a/Kustomization//c",
            "a/Kustomization/b/c/d",
        ] {
            assert!(bad.parse::<UnitKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn revisions_are_shown_short() {
        let revision = Revision::of_branch("main", &"ab".repeat(20)).unwrap();
        assert_eq!(revision.short(), "main@abababababab");
        assert_eq!(revision.commit(), "ab".repeat(20));
    }

    #[test]
    fn epochs_round_trip() {
        let epoch = StoreEpoch([7; 16]);
        assert_eq!(epoch.to_string().parse::<StoreEpoch>().unwrap(), epoch);
        assert!("07".parse::<StoreEpoch>().is_err());
    }
}
