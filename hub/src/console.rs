//! The web console: pages made on the server, renewed by a script that listens for changes. Everything in them from Git
//! and agents is escaped by the templates.

mod fleet;
mod layout;
mod login;
mod unit;

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

pub(crate) use fleet::{cluster, events, fleet, fleet_fragment};
pub(crate) use login::{log_in, log_out, login, login_page};
pub(crate) use unit::unit;

/// A file of the console.
pub(crate) async fn asset(Path(file): Path<String>) -> Response {
    let (kind, content) = match file.as_str() {
        "console.css" => (
            "text/css; charset=utf-8",
            include_str!("console/assets/console.css"),
        ),
        "console.js" => (
            "text/javascript; charset=utf-8",
            include_str!("console/assets/console.js"),
        ),
        "capstan.svg" => ("image/svg+xml", include_str!("console/assets/capstan.svg")),
        _ => return (StatusCode::NOT_FOUND, "not found\n").into_response(),
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "private, max-age=300"),
    ];
    (headers, content).into_response()
}
