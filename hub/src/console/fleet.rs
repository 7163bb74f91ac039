//! The fleet: clusters by environment, their units, pipelines, events.

use std::collections::BTreeMap;

use axum::{
    Extension,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use capstan_core::{ClusterName, Severity, UnitKey};
use maud::{Markup, html};

use super::layout::{ago, badge, page, revision};
use crate::{
    api::{Actor, ApiError, Served, on_disk},
    fleet::{ClusterView, FleetView, cluster_conditions, unit_state},
    plan::Pin,
    store::EventRecord,
};

/// Clusters on the first page, over all environments.
const SHOWN_CLUSTERS: usize = 300;
/// Clusters of each environment that are shown however many environments there are.
const FEW_CLUSTERS: usize = 10;
/// Events on a page.
const SHOWN_EVENTS: usize = 200;
/// Events below the fleet.
const FEW_EVENTS: usize = 12;

/// The first page.
pub(crate) async fn fleet(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
) -> Result<Markup, ApiError> {
    let content = on_disk(move || Ok(content(&served))).await?;
    Ok(page("Fleet", &actor, "/fragments/fleet", &content))
}

/// The part of the first page that changes.
pub(crate) async fn fleet_fragment(State(served): State<Served>) -> Result<Markup, ApiError> {
    on_disk(move || Ok(content(&served))).await
}

fn content(served: &Served) -> Markup {
    let FleetView { clusters, problems } = served.hub.view_now();
    let mut by_environment: BTreeMap<String, Vec<(&ClusterName, &ClusterView)>> = BTreeMap::new();
    for (name, cluster) in &clusters {
        let environment = cluster.environments.first().cloned().unwrap_or_default();
        by_environment
            .entry(environment)
            .or_default()
            .push((name, cluster));
    }
    let order = environment_order(served);
    let mut groups: Vec<_> = by_environment.into_iter().collect();
    groups.sort_by_key(|it| {
        (
            order
                .iter()
                .position(|name| *name == it.0)
                .unwrap_or(usize::MAX),
            it.0.clone(),
        )
    });
    let all: usize = clusters.values().map(|it| it.unit_keys().len()).sum();
    let good: usize = clusters.values().map(|it| ready_units(it)).sum();
    let events = served.hub.events.after(0, FEW_EVENTS, |_| true);
    html! {
        section.totals {
            div { strong { (clusters.len()) } " clusters" }
            div { strong { (good) "/" (all) } " units healthy" }
        }
        @if !problems.is_empty() {
            section.card.problem { h2 { "What is wrong in Git" } ul { @for it in &problems { li { (it) } } } }
        }
        (pipelines(served))
        div.environments { @for (environment, members) in &groups {
            section.wide[members.len() > 1] {
                h2 { @if environment.is_empty() { "Clusters" } @else { (environment) } }
                (cluster_cards(members, SHOWN_CLUSTERS / groups.len()))
            }
        } }
        @if clusters.is_empty() { section.card { p { "No cluster yet. " code { "capstan cluster add NAME" } " makes the first." } } }
        section { h2 { "Latest events" } (event_table(&events)) }
    }
}

fn ready_units(cluster: &ClusterView) -> usize {
    let keys = cluster.unit_keys();
    keys.iter()
        .filter(|it| unit_state(cluster, it).conditions[0].status == "True")
        .count()
}

fn environment_order(served: &Served) -> Vec<String> {
    let planned = served.hub.planned();
    let stages = planned
        .pipelines
        .iter()
        .flat_map(|it| it.stages.iter().map(|stage| it.key(stage).to_string()));
    stages.collect()
}

fn pipelines(served: &Served) -> Markup {
    let planned = served.hub.planned();
    let shown = planned.with_input(&served.hub, &planned.overrides, |input| {
        let stages = |it: &crate::plan::Pipeline| {
            let stage = |stage: &crate::plan::Stage| {
                let pin = planned
                    .book
                    .environments
                    .get(&it.key(stage))
                    .unwrap_or(Pin::none())
                    .clone();
                let unmet = crate::plan::unmet_of(input, &planned.book, it, stage);
                (stage.clone(), pin, unmet)
            };
            (it.clone(), it.stages.iter().map(stage).collect::<Vec<_>>())
        };
        planned.pipelines.iter().map(stages).collect::<Vec<_>>()
    });
    html! {
        @for (pipeline, stages) in &shown {
            section.card.pipeline {
                h2 { "Pipeline " (pipeline.name) span.dim { " of " (pipeline.source) } }
                ol.stages {
                    @for (at, (stage, pin, unmet)) in stages.iter().enumerate() {
                        li {
                            h3 { (stage.name) @if stage.auto || at == 0 { span.dim { " follows by itself" } } }
                            p { (revision(pin.revision.as_ref().map(capstan_core::Revision::as_str))) " " (ago(pin.revision.as_ref().map(|_| pin.since_ms))) }
                            @if let Some(hold) = &pin.hold { p { (badge("", "Suspended")) " held by " (hold.actor) ": " (hold.reason) } }
                            @else if unmet.is_empty() { p { (badge("True", "Healthy")) } }
                            @else { p.dim title=(unmet.join("\n")) { (unmet[0]) @if unmet.len() > 1 { " and " (unmet.len() - 1) " more" } } }
                            @if at > 0 && stages[at - 1].1.revision != pin.revision {
                                button data-post={"/api/v1/pipelines/" (pipeline.name) "/environments/" (stage.name) "/promote"} data-ask="Why promote? (kept in the audit log)" { "Promote" }
                            }
                            @if pin.hold.is_some() {
                                button.plain data-post={"/api/v1/pipelines/" (pipeline.name) "/environments/" (stage.name) "/release"} data-ask="Why release?" { "Release" }
                            } @else if pin.last_good().is_some() {
                                button.plain data-post={"/api/v1/pipelines/" (pipeline.name) "/environments/" (stage.name) "/rollback"} data-ask="Why roll back?" { "Roll back" }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The clusters of an environment. Where they are more than anybody looks at, those that want attention come first.
fn cluster_cards(members: &[(&ClusterName, &ClusterView)], most: usize) -> Markup {
    let most = most.max(FEW_CLUSTERS);
    let is_good = |it: &(&ClusterName, &ClusterView)| cluster_conditions(it.1)[0].status == "True";
    let (shown, left) = worst_first(members.to_vec(), most, is_good);
    let bad = left.iter().filter(|it| !is_good(it)).count();
    html! {
        div.cards { @for (name, cluster) in &shown { (cluster_card(name, cluster)) } }
        @if !left.is_empty() {
            p.dim {
                "and " (left.len()) " more, " @if bad == 0 { "all of them ready" } @else { (bad) " of them not ready" }
                "; " code { "capstan get clusters" } " lists all"
            }
        }
    }
}

/// What is shown, at most so many, and what is left. Nothing changes its place where all are shown.
fn worst_first<T>(mut all: Vec<T>, most: usize, is_good: impl Fn(&T) -> bool) -> (Vec<T>, Vec<T>) {
    if all.len() > most {
        all.sort_by_cached_key(&is_good);
    }
    let left = all.split_off(all.len().min(most));
    (all, left)
}

fn cluster_card(name: &ClusterName, cluster: &ClusterView) -> Markup {
    let conditions = cluster_conditions(cluster);
    let (ready, connected) = (&conditions[0], &conditions[1]);
    html! {
        article.card {
            h3 { a href={"/clusters/" (name)} { (name) } " " (badge(ready.status, &ready.reason)) }
            p.dim {
                @if connected.status == "True" { "connected " } @else { (connected.reason) " " }
                (ago(connected.since_ms))
                @for it in &conditions[2..] { " · " (it.reason) }
            }
            (unit_table(cluster, &cluster.unit_keys()))
        }
    }
}

fn unit_table(cluster: &ClusterView, keys: &[UnitKey]) -> Markup {
    html! {
        table.units {
            @for key in keys {
                @let state = unit_state(cluster, key);
                @let ready = &state.conditions[0];
                tr {
                    td { a href={"/units/" (key)} { (key.name) } }
                    td { (badge(ready.status, &ready.reason)) }
                    td { (revision(state.revision.as_deref())) }
                    td.dim { (ago(ready.since_ms)) }
                }
            }
        }
    }
}

/// One cluster.
pub(crate) async fn cluster(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
) -> Response {
    let name = name.parse::<ClusterName>().ok();
    let found = name.and_then(|it| Some((it.clone(), served.hub.cluster_now(&it)?)));
    let Some((name, cluster)) = found else {
        return (
            StatusCode::NOT_FOUND,
            page(
                "Not found",
                &actor,
                "",
                &html! { p { "There is no such cluster." } },
            ),
        )
            .into_response();
    };
    let events = served
        .hub
        .events
        .after(0, SHOWN_EVENTS, |it| it.cluster.as_ref() == Some(&name));
    let content = html! {
        h1 { (name) }
        section.card {
            dl {
                @for it in cluster_conditions(&cluster) { dt { (it.kind) } dd { (badge(it.status, &it.reason)) " " (it.message) " " (ago(it.since_ms)) } }
                dt { "Labels" } dd { @for (key, value) in &cluster.labels { code { (key) "=" (value) } " " } }
                dt { "Agent" } dd { (cluster.agent.version) ", Kubernetes " (cluster.agent.kube_version) }
                @if let Some(desired) = &cluster.desired {
                    dt { "Generation" } dd { (desired.generation) @if cluster.received.is_some_and(|it| it < desired.generation) { " (the agent holds an older one)" } }
                    @for (source, it) in &desired.sources { dt { (source) } dd { (revision(Some(it.revision.as_str()))) } }
                }
            }
        }
        section { h2 { "Units" } (unit_table(&cluster, &cluster.unit_keys())) }
        section { h2 { "Events" } (event_table(&events)) }
    };
    page(
        name.as_str(),
        &actor,
        &format!("/clusters/{name}"),
        &content,
    )
    .into_response()
}

/// What happened.
pub(crate) async fn events(
    State(served): State<Served>,
    Extension(actor): Extension<Actor>,
) -> Markup {
    let events = served.hub.events.after(0, SHOWN_EVENTS, |_| true);
    page(
        "Events",
        &actor,
        "/events",
        &html! { h1 { "Events" } (event_table(&events)) },
    )
}

/// Events, newest first.
pub(super) fn event_table(events: &[EventRecord]) -> Markup {
    html! {
        @if events.is_empty() { p.dim { "Nothing yet." } }
        @else { table.events {
            @for it in events.iter().rev() {
                tr class=(if it.event.severity == Severity::Warning { "warning" } else { "" }) {
                    td.dim { (ago(Some(it.event.time_ms))) }
                    td { @if let Some(cluster) = &it.cluster { a href={"/clusters/" (cluster)} { (cluster) } } }
                    td { (it.event.reason) }
                    td {
                        @if let Some(unit) = &it.event.unit { a href={"/units/" (unit)} { (unit.name) } " " }
                        @if let Some(object) = &it.event.object { code { (object) } " " }
                        (it.event.message)
                    }
                }
            }
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wants_attention_is_on_the_page_of_a_large_fleet() {
        let even = |it: &u32| it.is_multiple_of(2);
        let shown = |most| worst_first(vec![1, 2, 3, 4, 5], most, even);
        assert_eq!(shown(5), (vec![1, 2, 3, 4, 5], vec![]), "as they are");
        assert_eq!(shown(4), (vec![1, 3, 5, 2], vec![4]));
        assert_eq!(shown(2), (vec![1, 3], vec![5, 2, 4]));
    }
}
