//! What is known, said as Kubernetes says it: conditions.

use capstan_core::{Health, ObjectReport, Phase, UnitKey, UnitReport};
use serde::Serialize;

use super::{ClusterView, Link};

/// A condition of a unit, object or cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Condition {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// `True`, `False` or `Unknown`.
    pub(crate) status: &'static str,
    pub(crate) reason: String,
    pub(crate) message: String,
    /// Milliseconds since 1970; `None` where it is not known.
    #[serde(skip)]
    pub(crate) since_ms: Option<u64>,
}

fn condition(
    kind: &'static str,
    status: &'static str,
    reason: impl Into<String>,
    message: impl Into<String>,
    since_ms: Option<u64>,
) -> Condition {
    Condition {
        kind,
        status,
        reason: reason.into(),
        message: message.into(),
        since_ms,
    }
}

/// One word for a unit, which every view shows, and what stands behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnitState {
    /// `Healthy`, `Applying`, …, and the hub's own `Unknown`, `RenderFailed`, `Orphaned`, `Outdated`.
    pub(crate) word: String,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) revision: Option<String>,
    /// The revision that was last applied whole.
    pub(crate) applied_revision: Option<String>,
}

/// What to say of a unit.
pub(crate) fn unit_state(cluster: &ClusterView, key: &UnitKey) -> UnitState {
    let desired = cluster
        .desired
        .as_ref()
        .and_then(|it| Some((it, it.units.get(key)?)));
    let report = cluster.units.get(key);
    let revision = desired.and_then(|(state, unit)| state.revision_of(unit));
    let applied = report.and_then(|it| it.applied_revision.as_ref());
    let ready = ready(cluster, key, report);
    let mut conditions = vec![ready.clone()];
    let problem = desired.and_then(|it| it.1.problem.clone());
    let problem = problem.or_else(|| cluster.failed.get(key).cloned());
    if let Some(problem) = &problem {
        let orphan = cluster.orphans.contains_key(key);
        let (kind, reason) = if orphan {
            ("Orphaned", "NotDeclared")
        } else {
            ("Rendered", "RenderFailed")
        };
        let status = if orphan { "True" } else { "False" };
        conditions.push(condition(kind, status, reason, problem, None));
    }
    if let Some(report) = report {
        conditions.push(applied_condition(report));
        if report.counts.drifted > 0 {
            let message = format!(
                "{} objects differ from what is declared",
                report.counts.drifted
            );
            conditions.push(condition("Drifted", "True", "DriftDetected", message, None));
        }
        if report.confirm.is_some() {
            let message = format!("{}; `capstan approve {key}` lets it go on", report.message);
            conditions.push(condition(
                "AwaitingConfirmation",
                "True",
                "PruneFuse",
                message,
                None,
            ));
        }
    }
    UnitState {
        word: ready.reason,
        conditions,
        revision: revision.map(ToString::to_string),
        applied_revision: applied.map(ToString::to_string),
    }
}

fn applied_condition(report: &UnitReport) -> Condition {
    let applied = matches!(
        report.phase,
        Phase::Applied | Phase::Healthy | Phase::Degraded
    );
    let (status, reason) = match report.phase {
        _ if applied => ("True", "Applied"),
        Phase::Failed => ("False", "ApplyFailed"),
        _ => ("Unknown", report.phase.as_str()),
    };
    let message = report
        .applied_revision
        .as_ref()
        .map(|it| format!("last applied {}", it.short()));
    condition(
        "Applied",
        status,
        reason,
        message.unwrap_or_default(),
        Some(report.since_ms),
    )
}

/// The condition that everything else hangs on. Its reason is the unit's word.
fn ready(cluster: &ClusterView, key: &UnitKey, report: Option<&UnitReport>) -> Condition {
    let desired = cluster.desired.as_ref().and_then(|it| it.units.get(key));
    let ready = |status, reason: &str, message: &str, since| {
        condition("Ready", status, reason, message, since)
    };
    if let Some(orphan) = cluster.orphans.get(key) {
        let message = format!(
            "{}; its objects stay until `capstan approve {key}`",
            orphan.why
        );
        return ready("False", "Orphaned", &message, Some(orphan.since_ms));
    }
    let problem = desired
        .and_then(|it| it.problem.as_ref())
        .or_else(|| cluster.failed.get(key));
    if let Some(problem) = problem {
        let kept = if desired.is_some() {
            " (the last good state is kept)"
        } else {
            ""
        };
        return ready("False", "RenderFailed", &format!("{problem}{kept}"), None);
    }
    let Some(report) = report else {
        let (reason, message) = match cluster.link {
            Link::Connected { .. } => ("Pending", "the agent has not reported on it yet"),
            _ => ("Unknown", "no agent is connected that could say"),
        };
        return ready("Unknown", reason, message, None);
    };
    let since = Some(report.since_ms);
    if !matches!(cluster.link, Link::Connected { .. }) {
        let message = format!("last heard: {} {}", report.phase, report.message);
        return ready("Unknown", "Unknown", message.trim(), since);
    }
    let newest = desired.is_none_or(|it| it.digest == report.digest);
    if !newest {
        return ready(
            "Unknown",
            "Outdated",
            "the agent has not reported on the newest content yet",
            since,
        );
    }
    let status = match report.phase {
        Phase::Healthy => "True",
        Phase::Degraded | Phase::Failed | Phase::Orphaned | Phase::Suspended => "False",
        _ => "Unknown",
    };
    let message = match report.phase {
        Phase::Waiting => unrendered_dependency(cluster, key),
        Phase::Suspended => cluster.suspended.get(key).cloned(),
        _ => None,
    };
    let message = message.as_ref().unwrap_or(&report.message);
    ready(status, report.phase.as_str(), message, since)
}

/// The dependency that a unit waits for in vain: the agent knows nothing of one that was never rendered.
fn unrendered_dependency(cluster: &ClusterView, key: &UnitKey) -> Option<String> {
    let unit = cluster.desired.as_ref()?.units.get(key)?;
    let mut wanted = unit.spec.depends_on.iter().map(|it| UnitKey {
        home: key.home.clone(),
        kind: it.kind,
        namespace: it.namespace.clone(),
        name: it.name.clone(),
    });
    let found = wanted.find_map(|it| Some((cluster.failed.get(&it)?.clone(), it)));
    found.map(|(why, it)| format!("dependency {it} cannot be rendered: {why}"))
}

/// What to say of an object.
pub(crate) fn object_conditions(cluster: &ClusterView, object: &ObjectReport) -> Vec<Condition> {
    let status = match object.health {
        _ if !matches!(cluster.link, Link::Connected { .. }) => "Unknown",
        Health::Current => "True",
        Health::Failed | Health::NotFound | Health::Terminating => "False",
        Health::InProgress | Health::Unknown => "Unknown",
    };
    let mut all = vec![condition(
        "Ready",
        status,
        object.health.as_str(),
        &object.message,
        None,
    )];
    if object.drifted {
        all.push(condition(
            "Drifted",
            "True",
            "DriftDetected",
            "differs from what is declared",
            None,
        ));
    }
    all
}

/// What to say of a cluster.
pub(crate) fn cluster_conditions(cluster: &ClusterView) -> Vec<Condition> {
    let connected = connected(cluster.link);
    let mut all = vec![cluster_ready(cluster, &connected), connected];
    if let Some(why) = &cluster.paused {
        all.push(condition("Paused", "True", "Policy", why, None));
    }
    if cluster.epoch_unconfirmed {
        let message = "the hub's store was restored or is new: nothing is removed until `capstan approve --epoch`";
        all.push(condition(
            "EpochConfirmed",
            "False",
            "StoreEpochChanged",
            message,
            None,
        ));
    }
    if let Some(why) = &cluster.refused {
        all.push(condition("Received", "False", "Refused", why, None));
    }
    all
}

fn connected(link: Link) -> Condition {
    match link {
        Link::Connected { since_ms } => {
            condition("Connected", "True", "Connected", "", Some(since_ms))
        }
        Link::Lost { since_ms } => {
            let message = "the agent is away; it goes on correcting drift by itself";
            condition("Connected", "Unknown", "Lost", message, Some(since_ms))
        }
        Link::Unknown => {
            let message = "no agent has connected since the hub started";
            condition("Connected", "Unknown", "NeverSeen", message, None)
        }
    }
}

/// Ready as the worst of its units is.
fn cluster_ready(cluster: &ClusterView, connected: &Condition) -> Condition {
    let ready = |status, reason: &str, message: String, since| {
        condition("Ready", status, reason, message, since)
    };
    if connected.status != "True" {
        return ready(
            "Unknown",
            &connected.reason,
            String::new(),
            connected.since_ms,
        );
    }
    let keys = cluster.unit_keys();
    if keys.is_empty() {
        let message = "no placement gives it a unit at a revision yet".to_owned();
        return ready("Unknown", "NothingPlaced", message, None);
    }
    let units: Vec<(&UnitKey, Condition)> = keys
        .iter()
        .map(|key| (key, unit_state(cluster, key).conditions.swap_remove(0)))
        .collect();
    let bad = units.iter().find(|it| it.1.status == "False");
    match bad.or_else(|| units.iter().find(|it| it.1.status != "True")) {
        Some((key, it)) => ready(
            it.status,
            &it.reason,
            format!("{key}: {}", it.message),
            it.since_ms,
        ),
        None => {
            let since = units.iter().filter_map(|it| it.1.since_ms).max();
            ready(
                "True",
                "Healthy",
                format!("{} units are healthy", units.len()),
                since,
            )
        }
    }
}
