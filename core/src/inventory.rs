//! What we own in a cluster, unit by unit, and what of it a unit no longer has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    id::{Revision, UnitKey},
    object::ObjectKey,
};

/// Parts that an inventory is kept in. One part is one write, whatever number of its units changed; a unit is always
/// whole in one part, so that it changes in one write.
pub const SHARDS: u8 = 64;

/// Names what we hold of an object: the fields that the API server says are ours. Two that agree mean that nobody
/// took or changed a field of ours in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OwnFields(pub u64);

/// One object that a unit owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// API version without the group, to ask the API server for it.
    #[serde(rename = "v")]
    pub version: String,
    /// UID of the object as it was applied; none while it is about to be applied.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// What was applied; none while it is about to be.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Digest>,
    /// The fields that were ours after it was applied.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnFields>,
}

impl Owned {
    /// An object that is about to be applied for the first time.
    pub fn about_to_be(version: &str) -> Self {
        Self {
            version: version.to_owned(),
            uid: None,
            applied: None,
            own: None,
        }
    }
}

/// What one unit owns, with what is needed to delete it when the unit is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitInventory {
    /// The objects.
    #[serde(with = "as_list")]
    pub objects: BTreeMap<ObjectKey, Owned>,
    /// [`crate::UnitSpec::prune`] when it was last applied.
    pub prune: bool,
    /// [`crate::UnitSpec::service_account`] when it was last applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// [`crate::Unit::digest`] that was last applied whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Digest>,
    /// Revision that was last applied whole and healthy as far as it was waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// Deletions of the last day, for the fuse: when (milliseconds since 1970) and how many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pruned: Vec<(u64, u32)>,
}

impl UnitInventory {
    /// Objects that are owned and not wanted: those of the inventory whose key `wanted` does not know. The version
    /// plays no part: another version of the same object is the same object.
    pub fn unwanted<'a>(
        &'a self,
        wanted: impl Fn(&ObjectKey) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a ObjectKey, &'a Owned)> {
        self.objects.iter().filter(move |(key, _)| !wanted(key))
    }

    /// Whether nothing is left to remember.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.pruned.is_empty()
    }
}

/// The part that a unit is kept in.
pub fn shard_of(unit: &UnitKey) -> u8 {
    Digest::of(unit.to_string().as_bytes()).as_bytes()[0] % SHARDS
}

/// Map keys must be text in JSON; a list of pairs keeps them as they are, and compresses better than long keys.
mod as_list {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{ObjectKey, Owned};

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<ObjectKey, Owned>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(map)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<ObjectKey, Owned>, D::Error> {
        Ok(Vec::<(ObjectKey, Owned)>::deserialize(from)?
            .into_iter()
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_the_same_object() {
        let key: ObjectKey = "Deployment.apps/a/web".parse().unwrap();
        let gone: ObjectKey = "ConfigMap/a/old".parse().unwrap();
        let inventory = UnitInventory {
            objects: [key.clone(), gone.clone()]
                .map(|it| (it, Owned::about_to_be("v1beta1")))
                .into(),
            ..UnitInventory::default()
        };
        let unwanted: Vec<_> = inventory
            .unwanted(|it| *it == key)
            .map(|it| it.0.clone())
            .collect();
        assert_eq!(unwanted, [gone]);
    }

    #[test]
    fn an_inventory_is_kept_as_text() {
        let key: ObjectKey = "Deployment.apps/a/web".parse().unwrap();
        let owned = Owned {
            version: "v1".into(),
            uid: Some("u".into()),
            applied: Some(Digest::of(b"x")),
            own: Some(OwnFields(u64::MAX)),
        };
        let inventory = UnitInventory {
            objects: [(key, owned)].into(),
            prune: true,
            pruned: vec![(1, 2)],
            ..UnitInventory::default()
        };
        let text = serde_json::to_string(&inventory).unwrap();
        let again: UnitInventory = serde_json::from_str(&text).unwrap();
        assert_eq!(again, inventory);
    }
}
