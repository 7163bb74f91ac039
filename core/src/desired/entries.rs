//! The entries of a unit, shared by all units that consist of the same.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Entry;
use crate::digest::Digest;

/// Entries in order, with their digest. A clone costs nothing: ten thousand clusters over one base have the base's entries
/// in memory once.
#[derive(Clone, Default)]
pub struct Entries(Arc<Shared>);

#[derive(Default)]
struct Shared {
    list: Vec<Entry>,
    digest: OnceLock<Digest>,
}

impl Entries {
    /// The digest of all of them, computed once.
    pub fn digest(&self) -> Digest {
        let make = || {
            let content = serde_json::to_vec(&self.0.list).expect("an entry has only text keys");
            Digest::of(&content)
        };
        *self.0.digest.get_or_init(make)
    }

    /// Whether both are one in memory.
    pub fn is_same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The same entries as a list to change.
    pub fn to_vec(&self) -> Vec<Entry> {
        self.0.list.clone()
    }
}

impl From<Vec<Entry>> for Entries {
    fn from(mut list: Vec<Entry>) -> Self {
        list.sort_by(|a, b| (&a.key, a.role).cmp(&(&b.key, b.role)));
        Self(Arc::new(Shared {
            list,
            digest: OnceLock::new(),
        }))
    }
}

impl FromIterator<Entry> for Entries {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        entries.into_iter().collect::<Vec<_>>().into()
    }
}

impl Deref for Entries {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        &self.0.list
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.list.iter()
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        self.is_same_as(other) || self.0.list == other.0.list
    }
}

impl Eq for Entries {}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.list.fmt(f)
    }
}

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.list.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        desired::{MediaType, Role},
        object::ObjectKey,
    };

    fn entry(name: &str, content: &str) -> Entry {
        Entry {
            key: ObjectKey {
                group: String::new(),
                kind: "ConfigMap".into(),
                namespace: "a".into(),
                name: name.into(),
            },
            version: "v1".into(),
            role: Role::Object,
            media_type: MediaType::Object,
            sensitive: false,
            digest: Digest::of(content.as_bytes()),
            bytes: content.len() as u64,
            path: String::new(),
        }
    }

    #[test]
    fn the_digest_is_of_the_content_and_not_of_the_order_it_came_in() {
        let one: Entries = vec![entry("a", "1"), entry("b", "2")].into();
        let same: Entries = vec![entry("b", "2"), entry("a", "1")].into();
        assert_eq!(one, same);
        assert_eq!(one.digest(), same.digest());
        let other: Entries = vec![entry("a", "1"), entry("b", "3")].into();
        assert_ne!(one, other);
        assert_ne!(one.digest(), other.digest());
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Entries>(&text).unwrap(), one);
    }
}
