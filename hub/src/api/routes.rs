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
    pub(crate) path: String,
    pub(crate) need: Need,
    /// What it does, for the OpenAPI document. Empty: a page, not part of the API.
    pub(crate) summary: &'static str,
    pub(crate) handler: MethodRouter<Served>,
}

/// What is done to one unit.
const UNIT: &str = "/api/v1/units/{cluster}/{kind}/{namespace}/{name}";

fn reads(path: &str, summary: &'static str, handler: MethodRouter<Served>) -> Route {
    route(&["get"], path, summary, handler)
}

fn does(path: &str, summary: &'static str, handler: MethodRouter<Served>) -> Route {
    route(&["post"], path, summary, handler)
}

fn route(
    methods: &'static [&'static str],
    path: &str,
    summary: &'static str,
    handler: MethodRouter<Served>,
) -> Route {
    let path = path.replace("UNIT", UNIT).replace("API", "/api/v1");
    Route {
        methods,
        path,
        need: Need::Person,
        summary,
        handler,
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Route> {
    let groups = [reading(), units(), clusters(), pipelines(), pages(), open()];
    groups.into_iter().flatten().collect()
}

fn reading() -> Vec<Route> {
    let list = "List events, oldest first";
    let events = "Events as they happen, as server-sent events";
    let changes = "A server-sent event for each change of anything listed here";
    vec![
        reads("/openapi.json", "This document", get(openapi::document)),
        reads(
            "API/hub",
            "The hub: its version, id and addresses",
            get(lists::hub),
        ),
        reads("API/objects", "List objects", get(lists::objects)),
        reads("API/sources", "List sources", get(lists::sources)),
        reads(
            "API/problems",
            "List what is wrong in Git",
            get(lists::problems),
        ),
        reads("API/events", list, get(events::list)),
        reads("API/events/watch", events, get(events::watch)),
        reads("API/watch", changes, get(events::changes)),
        reads(
            "API/audit",
            "List audit records, oldest first",
            get(events::audit),
        ),
    ]
}

fn units() -> Vec<Route> {
    let approve = "Confirm a removal: of an orphaned unit, or what the agent's fuse stopped";
    let fetch = "API/sources/{kind}/{namespace}/{name}/reconcile";
    vec![
        reads("API/units", "List units", get(lists::units)),
        reads("UNIT", "One unit, with its entries", get(lists::unit)),
        reads(
            "UNIT/diff",
            "What a revision would change in a unit",
            get(diff::unit),
        ),
        does(
            "UNIT/reconcile",
            "Fetch, compare and apply now",
            post(actions::reconcile),
        ),
        does(
            "UNIT/suspend",
            "Leave a unit as it is",
            post(actions::suspend),
        ),
        does("UNIT/resume", "Take a unit up again", post(actions::resume)),
        does("UNIT/approve", approve, post(actions::approve)),
        does(fetch, "Fetch a source now", post(actions::fetch)),
    ]
}

fn clusters() -> Vec<Route> {
    let all = "List clusters; add one, which gives its enrolment token once";
    let one = "One cluster; remove it (its objects stay)";
    let revoke = "Cut a cluster off: none of its certificates is accepted any more";
    let epoch = "Let the agent remove units although the store epoch changed";
    let cluster = "API/clusters/{cluster}";
    let below = |verb: &str| format!("{cluster}/{verb}");
    let rollback = "Go back to the last healthy revision, and hold it";
    vec![
        route(
            &["get", "post"],
            "API/clusters",
            all,
            get(lists::clusters).post(clusters::add),
        ),
        route(
            &["get", "delete"],
            cluster,
            one,
            get(lists::cluster).merge(delete(clusters::remove)),
        ),
        reads(
            &below("diff"),
            "What a revision would change in a cluster",
            get(diff::cluster),
        ),
        does(
            &below("token"),
            "A new enrolment token for a cluster",
            post(clusters::token),
        ),
        does(&below("revoke"), revoke, post(clusters::revoke)),
        does(
            &below("confirm-epoch"),
            epoch,
            post(clusters::confirm_epoch),
        ),
        does(&below("rollback"), rollback, post(pins::rollback_cluster)),
        does(
            &below("release"),
            "Let a held cluster follow again",
            post(pins::release_cluster),
        ),
    ]
}

fn pipelines() -> Vec<Route> {
    let below =
        |verb: &str| format!("API/pipelines/{{pipeline}}/environments/{{environment}}/{verb}");
    let list = "List pipelines with their environments and pins";
    let promote = "Give an environment the revision of the one before";
    let rollback = "Go back to the last healthy revision, and hold it";
    vec![
        reads("API/pipelines", list, get(pins::pipelines)),
        does(&below("promote"), promote, post(pins::promote)),
        does(&below("rollback"), rollback, post(pins::rollback)),
        does(
            &below("release"),
            "Let a held environment move again",
            post(pins::release),
        ),
        does(
            "API/freeze",
            "Stop pins from moving, in a scope or everywhere",
            post(pins::freeze),
        ),
        does("API/unfreeze", "Let pins move again", post(pins::unfreeze)),
    ]
}

fn pages() -> Vec<Route> {
    vec![
        does("/logout", "", post(console::log_out)),
        reads("/", "", get(console::fleet)),
        reads("/fragments/fleet", "", get(console::fleet_fragment)),
        reads("/clusters/{cluster}", "", get(console::cluster)),
        reads(
            "/units/{cluster}/{kind}/{namespace}/{name}",
            "",
            get(console::unit),
        ),
        reads("/events", "", get(console::events)),
    ]
}

/// What needs nobody to be known. A webhook brings a signature of its own.
fn open() -> Vec<Route> {
    let webhook = "Announce news of a source, signed with its secret";
    let mut routes = vec![
        route(
            &["get", "post"],
            "/login",
            "",
            get(console::login).post(console::log_in),
        ),
        reads("/assets/{file}", "", get(console::asset)),
        does(
            "/webhooks/{kind}/{namespace}/{name}",
            webhook,
            post(actions::webhook),
        ),
    ];
    routes.iter_mut().for_each(|it| it.need = Need::Nothing);
    routes
}
