//! Getting in, by the admin token or by a one-time code, and out.

use axum::{
    Form,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;

use super::layout::head;
use crate::{
    api::{Peer, Served, session_cookie},
    clock::now_ms,
};

/// A one-time code, as the link that `capstan demo` prints has it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Code {
    #[serde(default)]
    code: String,
}

/// The admin token or a code.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    #[serde(default)]
    token: String,
    #[serde(default)]
    code: String,
}

/// The page for whoever is not known.
pub(crate) fn login_page(problem: Option<&str>) -> Markup {
    page(problem, "")
}

fn page(problem: Option<&str>, code: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head("Log in", None))
            body.login {
                form.card method="post" action="/login" {
                    img src="/assets/capstan.svg" alt="" width="48" height="48";
                    h1 { "Capstan" }
                    @if let Some(problem) = problem { p.problem role="alert" { (problem) } }
                    @if code.is_empty() {
                        label for="token" { "Admin token" }
                        input #token name="token" type="password" autocomplete="current-password" required autofocus;
                        p.dim { "It lies in the hub's data folder, in the file " code { "admin.token" } "." }
                    } @else {
                        input type="hidden" name="code" value=(code);
                        p { "This link lets you in once." }
                    }
                    button type="submit" { "Log in" }
                }
            }
        }
    }
}

/// The page. A code is used up only by the button, not by whatever looks at links before people do.
pub(crate) async fn login(Query(code): Query<Code>) -> Markup {
    page(None, &code.code)
}

/// Lets somebody in.
pub(crate) async fn log_in(
    State(served): State<Served>,
    peer: Peer,
    Form(given): Form<Credentials>,
) -> Response {
    if !served.access.logins.take(peer.0, now_ms()) {
        let page = login_page(Some("Too many attempts; wait a second."));
        return (StatusCode::TOO_MANY_REQUESTS, page).into_response();
    }
    let session = if given.code.is_empty() {
        served.access.login_with_token(&given.token)
    } else {
        served.access.login_with_code(&given.code)
    };
    let Some(session) = session else {
        let page = login_page(Some("That is not right, or was used already."));
        return (StatusCode::UNAUTHORIZED, page).into_response();
    };
    let secure = served.hub.config.api_tls.is_some();
    with_cookie(
        Redirect::to("/").into_response(),
        &session_cookie(&session, secure),
    )
}

/// Ends the session.
pub(crate) async fn log_out(State(served): State<Served>, headers: HeaderMap) -> Response {
    served.access.logout(&headers);
    let secure = served.hub.config.api_tls.is_some();
    let gone = format!("{}; Max-Age=0", session_cookie("", secure));
    with_cookie(Redirect::to("/login").into_response(), &gone)
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}
