//! What units wait for: each other, and what must be there before them.

use std::collections::BTreeMap;

use capstan_core::{Health, ObjectKey, Origin, Phase, UnitKey, health::Verdict};

use super::{
    Engine,
    unit::{UnitState, unit_of},
};
use crate::cluster::Cluster;

impl<C: Cluster> Engine<C> {
    /// Looks again at the units that wait for this one.
    pub(super) fn touch_dependents(&mut self, key: &UnitKey) {
        let depends = |it: &UnitState| {
            it.unit.as_ref().is_some_and(|unit| {
                let mut checks = unit.spec.health_checks.iter();
                checks.any(|it| unit_of(&key.home, &it.key).as_ref() == Some(key))
                    || unit.spec.depends_on.iter().any(|it| {
                        it.kind == key.kind && it.namespace == key.namespace && it.name == key.name
                    })
            })
        };
        let found = self.units.iter().filter(|it| depends(it.1));
        let found: Vec<UnitKey> = found.map(|it| it.0.clone()).collect();
        self.touched.extend(found);
    }

    /// What a unit waits for before it is applied.
    pub(super) fn waits_for(&self, key: &UnitKey) -> Option<String> {
        let state = self.units.get(key)?;
        let unit = state.unit.as_ref()?;
        if state.is_applied() && !state.dirty {
            return None;
        }
        if let Some(reason) = self
            .policy
            .refuses_actor(&key.namespace, unit.spec.service_account.as_deref())
        {
            return Some(reason);
        }
        for dependency in &unit.spec.depends_on {
            let found = self.units.iter().find(|(it, _)| {
                it.home == key.home
                    && it.kind == dependency.kind
                    && it.namespace == dependency.namespace
                    && it.name == dependency.name
            });
            let Some((_, other)) = found.filter(|it| it.1.unit.is_some()) else {
                return Some(format!("dependency {dependency} does not exist"));
            };
            if !other.ready {
                return Some(format!("dependency {dependency} is not ready"));
            }
            let same_source = other.unit.as_ref().map(|it| &it.source) == Some(&unit.source);
            if same_source && other.revision != state.revision {
                return Some(format!(
                    "dependency {dependency} is not at the same revision"
                ));
            }
        }
        None
    }

    /// How the units are that a unit waits for.
    pub(super) fn check_units(&self, key: &UnitKey) -> BTreeMap<ObjectKey, Verdict> {
        let unit = self.units.get(key).and_then(|it| it.unit.as_ref());
        let checks = unit.iter().flat_map(|it| &it.spec.health_checks);
        let one = |object: &ObjectKey| {
            let wanted = unit_of(&key.home, object)?;
            let found = self.units.get(&wanted).filter(|it| it.unit.is_some());
            let (health, message) = match found {
                Some(it) if it.ready => (Health::Current, String::new()),
                Some(it) => {
                    let phase = it.phase.map_or(Phase::Pending, |it| it.0);
                    (Health::InProgress, format!("is {phase}"))
                }
                None => (
                    Health::NotFound,
                    "does not exist, or cannot be rendered".into(),
                ),
            };
            Some((object.clone(), Verdict { health, message }))
        };
        checks.filter_map(|it| one(&it.key)).collect()
    }

    /// Whether it lives in the namespace of a root, which nothing else brings, and that may be made.
    pub(super) fn makes_namespace(&self, key: &UnitKey) -> bool {
        let namespace = ObjectKey {
            group: String::new(),
            kind: "Namespace".into(),
            namespace: String::new(),
            name: key.namespace.clone(),
        };
        let allowed = self.policy.refuses(&self.shared.namespace, &namespace, "");
        let is_root = |it: &UnitState| {
            let unit = it.unit.as_ref();
            unit.is_some_and(|it| matches!(it.origin, Origin::Placement { .. }))
        };
        let mut units = self.units.iter();
        allowed.is_none()
            && units.any(|(it, state)| it.namespace == key.namespace && is_root(state))
    }
}
