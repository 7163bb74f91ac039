//! The prune fuse: deletions that somebody should look at first.

use std::fmt;

use crate::{digest::Digest, id::UnitKey, object::ObjectKey};

/// Deletions up to this number never need a confirmation for their number alone.
pub const FREE_OBJECTS: usize = 10;
/// Nor does this part of the inventory, in percent.
pub const FREE_PERCENT: usize = 20;
/// The time over which deletions of a cluster are summed, in milliseconds.
pub const WINDOW_MS: u64 = 24 * 60 * 60 * 1000;

/// One deletion that is about to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// What is deleted.
    pub key: ObjectKey,
    /// Its UID, so that a confirmation is of this very object.
    pub uid: String,
}

/// What is known when deletions are judged.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Objects that the unit owns, those to be deleted included.
    pub unit_objects: usize,
    /// Objects that all units of the cluster own.
    pub cluster_objects: usize,
    /// Unconfirmed deletions in the cluster within [`WINDOW_MS`].
    pub cluster_pruned: usize,
}

/// Why deletions wait for a confirmation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing of the unit would be left.
    Whole {
        /// How many objects that is.
        objects: usize,
    },
    /// Too many of the unit's objects at once.
    Unit {
        /// How many.
        deletions: usize,
        /// Of how many.
        objects: usize,
    },
    /// Too many of the cluster's objects within a day.
    Cluster {
        /// How many, the new ones included.
        deletions: usize,
        /// Of how many.
        objects: usize,
    },
    /// Something that holds what cannot be had back.
    Data {
        /// The first such object.
        key: ObjectKey,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { objects } => write!(f, "it is everything the unit owns ({objects})"),
            Self::Unit { deletions, objects } => {
                write!(f, "{deletions} of the unit's {objects} objects at once")
            }
            Self::Cluster { deletions, objects } => {
                write!(
                    f,
                    "{deletions} of the cluster's {objects} objects within a day"
                )
            }
            Self::Data { key } => write!(f, "{key} holds data, or what others depend on"),
        }
    }
}

/// Whether `deletions` may go on without a confirmation, and if not, why.
pub fn judge(deletions: &[Deletion], at: Circumstances) -> Result<(), Reason> {
    if deletions.is_empty() {
        return Ok(());
    }
    let free = |objects: usize| FREE_OBJECTS.max(objects * FREE_PERCENT / 100);
    if let Some(it) = deletions.iter().find(|it| holds_data(&it.key)) {
        return Err(Reason::Data {
            key: it.key.clone(),
        });
    }
    if deletions.len() >= at.unit_objects {
        return Err(Reason::Whole {
            objects: deletions.len(),
        });
    }
    if deletions.len() > free(at.unit_objects) {
        return Err(Reason::Unit {
            deletions: deletions.len(),
            objects: at.unit_objects,
        });
    }
    let summed = deletions.len() + at.cluster_pruned;
    if summed > free(at.cluster_objects) {
        return Err(Reason::Cluster {
            deletions: summed,
            objects: at.cluster_objects,
        });
    }
    Ok(())
}

/// Names exactly these deletions: a confirmation of them is of no others.
pub fn confirmation(unit: &UnitKey, deletions: &[Deletion]) -> Digest {
    let mut lines: Vec<String> = deletions
        .iter()
        .map(|it| format!("{} {}", it.key, it.uid))
        .collect();
    lines.sort();
    lines.insert(0, unit.to_string());
    Digest::of_parts(lines.iter().map(String::as_bytes))
}

/// Kinds whose deletion takes data, or other people's objects, with it.
pub fn holds_data(key: &ObjectKey) -> bool {
    matches!(
        (key.group.as_str(), key.kind.as_str()),
        (
            "",
            "Namespace" | "PersistentVolumeClaim" | "PersistentVolume"
        ) | ("apiextensions.k8s.io", "CustomResourceDefinition")
            | ("apps", "StatefulSet")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deletions(kind: &str, count: usize) -> Vec<Deletion> {
        let one = |at: usize| Deletion {
            key: format!("{kind}/a/x{at}").parse().unwrap(),
            uid: at.to_string(),
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn table() {
        let quiet = Circumstances {
            unit_objects: 100,
            cluster_objects: 1000,
            cluster_pruned: 0,
        };
        let check = |kind: &str, count: usize, at: Circumstances| {
            judge(&deletions(kind, count), at)
                .err()
                .map(|it| it.to_string())
        };
        assert_eq!(check("ConfigMap", 0, quiet), None);
        assert_eq!(check("ConfigMap", 20, quiet), None);
        assert_eq!(
            check("ConfigMap", 21, quiet).unwrap(),
            "21 of the unit's 100 objects at once"
        );
        let small = Circumstances {
            unit_objects: 12,
            cluster_objects: 12,
            cluster_pruned: 0,
        };
        assert_eq!(check("ConfigMap", 10, small), None);
        assert!(check("ConfigMap", 11, small).is_some());
        assert_eq!(
            check("ConfigMap", 12, small).unwrap(),
            "it is everything the unit owns (12)"
        );
        let one = Circumstances {
            unit_objects: 1,
            ..small
        };
        assert!(
            check("ConfigMap", 1, one).is_some(),
            "the only object is all of them"
        );
        let busy = Circumstances {
            cluster_pruned: 195,
            ..quiet
        };
        assert_eq!(check("ConfigMap", 5, busy), None);
        assert_eq!(
            check("ConfigMap", 6, busy).unwrap(),
            "201 of the cluster's 1000 objects within a day"
        );
        assert!(check("StatefulSet.apps", 1, quiet).is_some());
        assert!(check("PersistentVolumeClaim", 1, quiet).is_some());
    }

    #[test]
    fn a_confirmation_names_the_very_objects() {
        let unit: UnitKey = "dev/Kustomization/flux-system/apps".parse().unwrap();
        let two = deletions("ConfigMap", 2);
        let mut turned = two.clone();
        turned.reverse();
        assert_eq!(confirmation(&unit, &two), confirmation(&unit, &turned));
        let mut recreated = two.clone();
        recreated[0].uid = "other".into();
        assert_ne!(confirmation(&unit, &two), confirmation(&unit, &recreated));
    }
}
