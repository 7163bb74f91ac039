//! What all pages have.

use maud::{DOCTYPE, Markup, html};

use crate::{
    api::{Actor, age},
    clock::{now_ms, rfc3339},
};

/// A page.
pub(super) fn page(title: &str, actor: &Actor, live: &str, content: &Markup) -> Markup {
    let csrf = actor
        .session
        .as_ref()
        .map(|it| it.csrf.expose_text().to_owned());
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, csrf.as_deref()))
            body {
                header.bar {
                    a.brand href="/" { img src="/assets/capstan.svg" alt="" width="24" height="24"; "Capstan" }
                    nav { a href="/" { "Fleet" } a href="/events" { "Events" } }
                    span.live data-live="" title="whether this page is up to date" { "connecting" }
                    form method="post" action="/logout" data-post="/logout" { button.plain type="submit" { "Log out" } }
                }
                main data-refresh=(live) { (content) }
            }
        }
    }
}

/// The head of every page, the login page too.
pub(super) fn head(title: &str, csrf: Option<&str>) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            @if let Some(csrf) = csrf { meta name="csrf" content=(csrf); }
            title { (title) " · Capstan" }
            link rel="icon" href="/assets/capstan.svg" type="image/svg+xml";
            link rel="stylesheet" href="/assets/console.css";
            script src="/assets/console.js" defer {}
        }
    }
}

/// A word for a state, in the colour of its kind.
pub(super) fn badge(status: &str, word: &str) -> Markup {
    let kind = match (status, word) {
        ("True", _) => "good",
        (_, "Suspended" | "Orphaned") => "held",
        ("False", _) => "bad",
        (_, "Unknown" | "Lost" | "NeverSeen") => "away",
        _ => "busy",
    };
    html! { span class={"badge " (kind)} { (word) } }
}

/// How long ago, with the time itself to be seen on a closer look.
pub(super) fn ago(since_ms: Option<u64>) -> Markup {
    html! {
        @if let Some(since) = since_ms { time datetime=(rfc3339(since)) title=(rfc3339(since)) { (age(now_ms(), since)) } }
    }
}

/// A revision, short.
pub(super) fn revision(text: Option<&str>) -> Markup {
    let parsed = text.and_then(|it| it.parse::<capstan_core::Revision>().ok());
    html! { @if let Some(it) = parsed { code title=(it.as_str()) { (it.short()) } } @else { span.dim { "–" } } }
}
