//! One unit: why it is as it is, what can be done, its worst objects, what happened.

use axum::{
    Extension,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use capstan_core::{Health, UnitKey};
use maud::{Markup, html};

use super::{
    fleet::event_table,
    layout::{ago, badge, page, revision},
};
use crate::{
    api::{Actor, Served, UnitPath},
    fleet::{ClusterView, unit_state},
};

/// Events on the page.
const SHOWN_EVENTS: usize = 50;
/// Objects on the page, worst first.
const SHOWN_OBJECTS: usize = 200;

/// The page.
pub(crate) async fn unit(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Path(path): Path<UnitPath>,
) -> Response {
    let key = path.key().ok();
    let found = key.and_then(|it| {
        let cluster = served.hub.cluster_now(&it.home)?;
        let is_there = cluster.unit_keys().contains(&it);
        is_there.then_some((it, cluster))
    });
    let Some((key, cluster)) = found else {
        return (
            StatusCode::NOT_FOUND,
            page(
                "Not found",
                &actor,
                "",
                &html! { p { "There is no such unit." } },
            ),
        )
            .into_response();
    };
    let events = served
        .hub
        .events
        .after(0, SHOWN_EVENTS, |it| it.event.unit.as_ref() == Some(&key));
    let content = html! {
        (summary(&cluster, &key))
        (objects(&cluster, &key))
        section { h2 { "Events" } (event_table(&events)) }
    };
    page(&key.name, &actor, &format!("/units/{key}"), &content).into_response()
}

fn summary(cluster: &ClusterView, key: &UnitKey) -> Markup {
    let state = unit_state(cluster, key);
    let desired = cluster.desired.as_ref().and_then(|it| it.units.get(key));
    let suspended = desired.is_some_and(|it| it.spec.suspend);
    let waits = cluster.orphans.contains_key(key)
        || cluster
            .units
            .get(key)
            .is_some_and(|it| it.confirm.is_some());
    let action = |verb: &str| format!("/api/v1/units/{key}/{verb}");
    html! {
        h1 { a href={"/clusters/" (key.home)} { (key.home) } " / " (key.name) " " (badge(state.conditions[0].status, &state.word)) }
        section.card {
            dl {
                @for it in &state.conditions { dt { (it.kind) } dd { (badge(it.status, &it.reason)) " " (it.message) " " (ago(it.since_ms)) } }
                dt { "Kind" } dd { (key.kind) " " (key.namespace) "/" (key.name) }
                dt { "Revision" } dd { (revision(state.revision.as_deref())) }
                dt { "Last applied" } dd { (revision(state.applied_revision.as_deref())) }
                @if let Some(unit) = desired { dt { "Source" } dd { (unit.source) } }
            }
            p.actions {
                button data-post=(action("reconcile")) data-ask="" { "Reconcile now" }
                @if suspended { button.plain data-post=(action("resume")) data-ask="Why resume?" { "Resume" } }
                @else { button.plain data-post=(action("suspend")) data-ask="Why suspend?" { "Suspend" } }
                @if waits { button.danger data-post=(action("approve")) data-ask="This deletes objects. Why?" { "Approve removal" } }
            }
        }
    }
}

fn objects(cluster: &ClusterView, key: &UnitKey) -> Markup {
    let report = cluster.units.get(key);
    html! {
        @if let Some(report) = report {
            section {
                h2 { "Objects " span.dim { (report.counts.current) "/" (report.counts.objects) " healthy, " (report.counts.corrected) " corrections" } }
                table.objects {
                    @for it in report.objects.iter().take(SHOWN_OBJECTS) {
                        tr {
                            td { (it.key.kind) }
                            td { @if !it.key.namespace.is_empty() { (it.key.namespace) "/" } (it.key.name) }
                            td {
                                (badge(if it.health == Health::Current { "True" } else if it.health == Health::Failed { "False" } else { "" }, it.health.as_str()))
                                @if it.drifted { " " (badge("False", "Drifted")) }
                            }
                            td { (it.message) }
                        }
                    }
                }
            }
        }
    }
}
