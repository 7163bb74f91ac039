//! Telling people and the view what a round found.

use std::{collections::BTreeMap, sync::Arc};

use capstan_core::{ClusterName, DesiredState, Severity, UnitKey};

use super::Planned;
use crate::{plan::Decision, state::Hub, store::ClusterRecord};

pub(super) fn show_clusters(hub: &Hub, records: &BTreeMap<ClusterName, Arc<ClusterRecord>>) {
    let same = {
        let view = hub.view();
        let known = view.clusters.iter().map(|(name, it)| (name, &it.uid));
        known.eq(records.iter().map(|(name, it)| (name, &it.uid)))
    };
    if same {
        return;
    }
    hub.change_view(|view| {
        // As it is by now: a cluster that was added since is not forgotten, and one that was removed does not come back.
        let now = hub.records();
        view.clusters.retain(|name, _| now.contains_key(name));
        for (name, record) in &now {
            view.know(name, &record.uid);
        }
    });
}

pub(super) fn show_places(hub: &Hub, planned: &Planned) {
    let environments = |name: &ClusterName| -> Vec<String> {
        let all = planned
            .pipelines
            .iter()
            .flat_map(|it| it.stages.iter().map(move |stage| (it, stage)));
        let mine = all.filter(|(_, stage)| stage.clusters.contains(name));
        mine.map(|(it, stage)| it.key(stage).to_string()).collect()
    };
    let mut all_suspended = suspended(planned);
    let changed: Vec<_> = {
        let view = hub.view();
        let news = planned.placing.iter().filter_map(|(name, it)| {
            let environments = environments(name);
            let suspended = all_suspended.remove(name).unwrap_or_default();
            let known = view.clusters.get(name)?;
            let differs = known.labels != it.labels
                || known.environments != environments
                || known.suspended != suspended;
            differs.then(|| (name.clone(), it.labels.clone(), environments, suspended))
        });
        news.collect()
    };
    for (name, labels, environments, suspended) in changed {
        hub.change_cluster(&name, |view| {
            view.labels = labels;
            view.environments = environments;
            view.suspended = suspended;
        });
    }
}

/// The units that people suspended, by cluster: who did, and why.
fn suspended(planned: &Planned) -> BTreeMap<ClusterName, BTreeMap<UnitKey, String>> {
    let mut all: BTreeMap<ClusterName, BTreeMap<UnitKey, String>> = BTreeMap::new();
    for (key, set) in &planned.overrides.units {
        let Some(hold) = &set.suspend else {
            continue;
        };
        let reason = match hold.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        let text = format!(
            "suspended by {}{reason}; `capstan resume {key}` takes it up again",
            hold.actor
        );
        let of_cluster = all.entry(key.home.clone()).or_default();
        of_cluster.insert(key.clone(), text);
    }
    all
}

pub(super) fn say(hub: &Hub, decision: &Decision) {
    for (reason, cluster, message) in &decision.notices {
        hub.say(cluster.as_ref(), Severity::Info, reason, message.clone());
    }
}

/// Says which units cannot be rendered any more, and which can again.
pub(super) fn say_problems(hub: &Hub, name: &ClusterName, old: &DesiredState, new: &DesiredState) {
    for (key, unit) in &new.units {
        let before = old.units.get(key).and_then(|it| it.problem.as_ref());
        match (&unit.problem, before) {
            (Some(problem), before) if before != Some(problem) && !problem.starts_with("held:") => {
                hub.say(
                    Some(name),
                    Severity::Warning,
                    "RenderFailed",
                    format!("{key}: {problem}"),
                );
            }
            (None, Some(_)) => {
                hub.say(
                    Some(name),
                    Severity::Info,
                    "Rendered",
                    format!("{key} can be rendered again"),
                );
            }
            _ => {}
        }
    }
}
