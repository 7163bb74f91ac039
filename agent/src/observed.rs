//! What is known of the cluster: per kind, the objects that carry owner labels, kept up to date by watches.

use std::collections::BTreeMap;

use capstan_core::{ObjectKey, UnitKind};
use serde_json::Value;

use crate::{
    cluster::{ClusterError, Live, WatchEvent},
    seen::{Seen, key_of},
};

/// What one watch is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Topic {
    /// API group.
    pub(crate) group: String,
    /// Kind.
    pub(crate) kind: String,
    /// Whose labels.
    pub(crate) family: UnitKind,
}

impl Topic {
    /// The topic that `key` belongs to as an object of a unit of `family`.
    pub(crate) fn of(key: &ObjectKey, family: UnitKind) -> Self {
        Self {
            group: key.group.clone(),
            kind: key.kind.clone(),
            family,
        }
    }
}

/// What is known of one object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sight {
    /// Its kind is not listed yet.
    Unlisted,
    /// Its kind cannot be watched: nothing is known, for this reason.
    Blind(String),
    /// It is not there, or does not carry our labels.
    Absent,
    /// It is there.
    Present(Seen),
}

#[derive(Debug, Default)]
struct View {
    synced: bool,
    /// Between the beginning of a list and its end.
    listing: bool,
    failed: Option<String>,
    /// Objects, with whether they were named since the last restart of the list.
    objects: BTreeMap<(String, String), (Seen, bool)>,
}

/// All that is known.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    views: BTreeMap<Topic, View>,
}

impl Observed {
    /// Begins a topic; `false` where it was begun already.
    pub(crate) fn begin(&mut self, topic: &Topic) -> bool {
        if self.views.contains_key(topic) {
            return false;
        }
        self.views.insert(topic.clone(), View::default());
        true
    }

    /// Forgets a topic.
    pub(crate) fn end(&mut self, topic: &Topic) {
        self.views.remove(topic);
    }

    /// Whether what there is to know of a topic is known, be it that nothing can be.
    pub(crate) fn is_settled(&self, topic: &Topic) -> bool {
        self.views
            .get(topic)
            .is_some_and(|it| it.synced || it.failed.is_some())
    }

    /// What is known of an object.
    pub(crate) fn sight(&self, key: &ObjectKey, family: UnitKind) -> Sight {
        let Some(view) = self.views.get(&Topic::of(key, family)) else {
            return Sight::Unlisted;
        };
        let found = view.objects.get(&(key.namespace.clone(), key.name.clone()));
        match (found, view.synced, &view.failed) {
            (Some((seen, _)), ..) => Sight::Present(seen.clone()),
            (None, true, _) => Sight::Absent,
            (None, false, Some(error)) => Sight::Blind(error.clone()),
            (None, false, None) => Sight::Unlisted,
        }
    }

    /// Takes what a request of ours was answered with, so that what we did is known before the watch says it.
    pub(crate) fn put(&mut self, key: &ObjectKey, family: UnitKind, seen: Seen) {
        if let Some(view) = self.views.get_mut(&Topic::of(key, family)) {
            let at = (key.namespace.clone(), key.name.clone());
            // The watch may have been faster than the answer.
            let known = view.objects.get(&at);
            if known.is_some_and(|it| is_older(&seen.resource_version, &it.0.resource_version)) {
                return;
            }
            view.objects.insert(at, (seen, true));
        }
    }

    /// Takes an event, and gives the objects that it changed, each with its managed fields where it has them.
    pub(crate) fn take(
        &mut self,
        topic: &Topic,
        event: WatchEvent,
    ) -> Vec<(ObjectKey, Option<Value>)> {
        let Some(view) = self.views.get_mut(topic) else {
            return Vec::new();
        };
        match event {
            WatchEvent::Restarted => {
                view.listing = true;
                for (_, named) in view.objects.values_mut() {
                    *named = false;
                }
                Vec::new()
            }
            WatchEvent::Applied(live) => view.applied(topic, live).into_iter().collect(),
            WatchEvent::Deleted(live) => view.deleted(topic, &live).into_iter().collect(),
            WatchEvent::Synced => view.synced(topic),
            WatchEvent::Failed(error) => {
                view.failed(&error);
                Vec::new()
            }
        }
    }
}

type Changed = (ObjectKey, Option<Value>);

impl View {
    fn applied(&mut self, topic: &Topic, mut live: Live) -> Option<Changed> {
        let key = key_of(&topic.group, &topic.kind, &live.0)?;
        let seen = Seen::of(&key, topic.family, &live.0)?;
        let at = (key.namespace.clone(), key.name.clone());
        if let Some((known, _)) = self.objects.get(&at)
            && !self.listing
            && is_older(&seen.resource_version, &known.resource_version)
        {
            // The answer to a request of ours was faster than the watch.
            return None;
        }
        let before = self.objects.insert(at, (seen.clone(), true));
        if before.is_some_and(|it| it.0 == seen) {
            return None;
        }
        let managed = live.0.pointer_mut("/metadata/managedFields");
        Some((key, managed.map(Value::take)))
    }

    fn deleted(&mut self, topic: &Topic, live: &Live) -> Option<Changed> {
        let key = key_of(&topic.group, &topic.kind, &live.0)?;
        let at = (key.namespace.clone(), key.name.clone());
        let version = live.0.pointer("/metadata/resourceVersion");
        let version = version.and_then(Value::as_str).unwrap_or_default();
        let known = self.objects.get(&at);
        if known.is_some_and(|it| is_older(version, &it.0.resource_version)) {
            return None;
        }
        self.objects.remove(&at);
        Some((key, None))
    }

    fn synced(&mut self, topic: &Topic) -> Vec<Changed> {
        self.synced = true;
        self.listing = false;
        self.failed = None;
        let unnamed = self.objects.iter().filter(|(_, (_, named))| !named);
        let gone: Vec<_> = unnamed.map(|(at, _)| at.clone()).collect();
        for at in &gone {
            self.objects.remove(at);
        }
        let key = |(namespace, name)| ObjectKey {
            group: topic.group.clone(),
            kind: topic.kind.clone(),
            namespace,
            name,
        };
        gone.into_iter().map(|at| (key(at), None)).collect()
    }

    fn failed(&mut self, error: &ClusterError) {
        // What was listed stays as it was last seen; before the first list there is nothing to go by.
        if !self.synced {
            self.failed = Some(error.to_string());
        }
        if matches!(error, ClusterError::Refused { code: 404, .. }) {
            self.synced = false;
            self.failed = Some(error.to_string());
            self.objects.clear();
        }
    }
}

/// Whether one resource version is of an earlier moment than another, as far as they can be compared.
fn is_older(version: &str, than: &str) -> bool {
    match (version.parse::<u64>(), than.parse::<u64>()) {
        (Ok(version), Ok(than)) => version < than,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn live(name: &str, uid: &str) -> Live {
        Live(json!({"metadata": {"name": name, "namespace": "a", "uid": uid}}))
    }

    fn topic() -> Topic {
        Topic {
            group: String::new(),
            kind: "ConfigMap".into(),
            family: UnitKind::Kustomization,
        }
    }

    fn sight(observed: &Observed, name: &str) -> Sight {
        let key = format!("ConfigMap/a/{name}").parse().unwrap();
        observed.sight(&key, UnitKind::Kustomization)
    }

    #[test]
    fn what_is_missing_from_a_new_list_is_gone() {
        let mut observed = Observed::default();
        observed.begin(&topic());
        assert_eq!(sight(&observed, "x"), Sight::Unlisted);
        for event in [
            WatchEvent::Restarted,
            WatchEvent::Applied(live("x", "1")),
            WatchEvent::Applied(live("y", "2")),
            WatchEvent::Synced,
        ] {
            observed.take(&topic(), event);
        }
        assert!(matches!(sight(&observed, "x"), Sight::Present(_)));
        assert_eq!(sight(&observed, "z"), Sight::Absent);
        observed.take(&topic(), WatchEvent::Restarted);
        assert!(
            matches!(sight(&observed, "x"), Sight::Present(_)),
            "until the new list is complete"
        );
        observed.take(&topic(), WatchEvent::Applied(live("y", "2")));
        let gone = observed.take(&topic(), WatchEvent::Synced);
        assert_eq!(gone.len(), 1);
        assert_eq!(sight(&observed, "x"), Sight::Absent);
    }

    #[test]
    fn a_watch_that_fails_proves_nothing() {
        let mut observed = Observed::default();
        observed.begin(&topic());
        let error = ClusterError::Unreachable("down".into());
        observed.take(&topic(), WatchEvent::Failed(error));
        assert!(matches!(sight(&observed, "x"), Sight::Blind(_)));
    }
}
