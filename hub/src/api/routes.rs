//! The table of all routes: what it says is what there is, what the OpenAPI document lists, and what the tests try.

use axum::routing::{MethodRouter, delete, get, post};

use super::{Served, actions, clusters, diff, events, lists, openapi, pins};
use crate::console;

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing, or a proof of its own in the request (a signature, a code).
    Nothing,
    /// A person, by token or session.
    Person,
}

/// One route.
pub(crate) struct Route {
    pub(crate) methods: &'static [&'static str],
    pub(crate) path: &'static str,
    pub(crate) need: Need,
    /// What it does, for the OpenAPI document. Empty: a page, not part of the API.
    pub(crate) summary: &'static str,
    pub(crate) handler: MethodRouter<Served>,
}

fn person(
    method: &'static [&'static str],
    path: &'static str,
    summary: &'static str,
    handler: MethodRouter<Served>,
) -> Route {
    Route {
        methods: method,
        path,
        need: Need::Person,
        summary,
        handler,
    }
}

const GET: &[&str] = &["get"];
const POST: &[&str] = &["post"];

/// All of them.
pub(crate) fn all() -> Vec<Route> {
    [reading(), changing(), pages()]
        .into_iter()
        .flatten()
        .collect()
}

fn reading() -> Vec<Route> {
    vec![
        person(
            GET,
            "/openapi.json",
            "This document",
            get(openapi::document),
        ),
        person(
            GET,
            "/api/v1alpha1/hub",
            "The hub: its version, id and addresses",
            get(lists::hub),
        ),
        person(
            &["get", "post"],
            "/api/v1alpha1/clusters",
            "List clusters; add one, which gives its enrolment token once",
            get(lists::clusters).post(clusters::add),
        ),
        person(
            &["get", "delete"],
            "/api/v1alpha1/clusters/{cluster}",
            "One cluster; remove it (its objects stay)",
            get(lists::cluster).merge(delete(clusters::remove)),
        ),
        person(GET, "/api/v1alpha1/units", "List units", get(lists::units)),
        person(
            GET,
            "/api/v1alpha1/units/{cluster}/{kind}/{namespace}/{name}",
            "One unit with its events and worst objects",
            get(lists::unit),
        ),
        person(
            GET,
            "/api/v1alpha1/diff",
            "What a revision would change, object by object",
            get(diff::diff),
        ),
        person(
            GET,
            "/api/v1alpha1/problems",
            "List what is wrong in Git",
            get(lists::problems),
        ),
        person(
            GET,
            "/api/v1alpha1/objects",
            "List objects",
            get(lists::objects),
        ),
        person(
            GET,
            "/api/v1alpha1/sources",
            "List sources",
            get(lists::sources),
        ),
        person(
            GET,
            "/api/v1alpha1/pipelines",
            "List pipelines with their environments and pins",
            get(pins::pipelines),
        ),
        person(
            GET,
            "/api/v1alpha1/events",
            "List events, oldest first",
            get(events::list),
        ),
        person(
            GET,
            "/api/v1alpha1/events/watch",
            "Events as they happen, as server-sent events",
            get(events::watch),
        ),
        person(
            GET,
            "/api/v1alpha1/watch",
            "A server-sent event for each change of anything listed here",
            get(events::changes),
        ),
        person(
            GET,
            "/api/v1alpha1/audit",
            "List audit records, oldest first",
            get(events::audit),
        ),
    ]
}

fn changing() -> Vec<Route> {
    vec![
        person(
            POST,
            "/api/v1alpha1/clusters/{cluster}/token",
            "A new enrolment token for a cluster",
            post(clusters::token),
        ),
        person(
            POST,
            "/api/v1alpha1/clusters/{cluster}/revoke",
            "Cut a cluster off: none of its certificates is accepted any more",
            post(clusters::revoke),
        ),
        person(
            POST,
            "/api/v1alpha1/clusters/{cluster}/approve-epoch",
            "Let the agent remove units although the store epoch changed",
            post(clusters::confirm_epoch),
        ),
        person(
            POST,
            "/api/v1alpha1/clusters/{cluster}/rollback",
            "Go back to the last healthy revision, and hold it",
            post(pins::rollback_cluster),
        ),
        person(
            POST,
            "/api/v1alpha1/clusters/{cluster}/release",
            "Let a held cluster follow again",
            post(pins::release_cluster),
        ),
        person(
            POST,
            "/api/v1alpha1/units/{cluster}/{kind}/{namespace}/{name}/reconcile",
            "Compare and apply now, after fetching the source",
            post(actions::reconcile),
        ),
        person(
            POST,
            "/api/v1alpha1/units/{cluster}/{kind}/{namespace}/{name}/suspend",
            "Leave a unit as it is",
            post(actions::suspend),
        ),
        person(
            POST,
            "/api/v1alpha1/units/{cluster}/{kind}/{namespace}/{name}/resume",
            "Take a unit up again",
            post(actions::resume),
        ),
        person(
            POST,
            "/api/v1alpha1/units/{cluster}/{kind}/{namespace}/{name}/approve",
            "Confirm a removal: of an orphaned unit, or what the agent's fuse stopped",
            post(actions::approve),
        ),
        person(
            POST,
            "/api/v1alpha1/sources/{kind}/{namespace}/{name}/reconcile",
            "Fetch a source now",
            post(actions::fetch),
        ),
        person(
            POST,
            "/api/v1alpha1/pipelines/{pipeline}/environments/{environment}/promote",
            "Give an environment the revision of the one before",
            post(pins::promote),
        ),
        person(
            POST,
            "/api/v1alpha1/pipelines/{pipeline}/environments/{environment}/rollback",
            "Go back to the last healthy revision, and hold it",
            post(pins::rollback),
        ),
        person(
            POST,
            "/api/v1alpha1/pipelines/{pipeline}/environments/{environment}/release",
            "Let a held environment move again",
            post(pins::release),
        ),
        person(
            POST,
            "/api/v1alpha1/freeze",
            "Stop pins from moving, everywhere or in a scope",
            post(pins::freeze),
        ),
        person(
            &["delete"],
            "/api/v1alpha1/freeze/{scope}",
            "Let pins move again",
            delete(pins::unfreeze),
        ),
    ]
}

fn pages() -> Vec<Route> {
    let nothing = |method, path, summary, handler| Route {
        methods: method,
        path,
        need: Need::Nothing,
        summary,
        handler,
    };
    vec![
        nothing(
            &["get", "post"],
            "/login",
            "",
            get(console::login).post(console::log_in),
        ),
        nothing(GET, "/assets/{file}", "", get(console::asset)),
        nothing(
            POST,
            "/webhooks/{kind}/{namespace}/{name}",
            "Announce news of a source, signed with its secret",
            post(actions::webhook),
        ),
        person(POST, "/logout", "", post(console::log_out)),
        person(GET, "/", "", get(console::fleet)),
        person(GET, "/fragments/fleet", "", get(console::fleet_fragment)),
        person(GET, "/clusters/{cluster}", "", get(console::cluster)),
        person(
            GET,
            "/units/{cluster}/{kind}/{namespace}/{name}",
            "",
            get(console::unit),
        ),
        person(GET, "/events", "", get(console::events)),
    ]
}
