//! People: who asks, and by what right. Nothing is anonymous.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Served, error::error};
use crate::{clock::now_ms, files, limit::PeerLimit, secret::Secret};

/// The admin token's file in the data folder.
pub(crate) const ADMIN_TOKEN_FILE: &str = "admin.token";
/// The console's cookie.
const COOKIE: &str = "capstan_session";
/// A working day.
const SESSION_LIFE_MS: u64 = 12 * 3_600_000;
/// A login code is clicked at once, or not at all.
const CODE_LIFE_MS: u64 = 600_000;
/// Sessions and codes at once; more push out the oldest.
const MAX_SESSIONS: usize = 1_000;
/// Attempts to log in a second, of one peer.
const LOGIN_RATE: u32 = 10;
/// Announcements a second that are looked at, of one peer.
const WEBHOOK_RATE: u32 = 20;
/// Bytes of tokens, codes and session ids: cannot be guessed.
const SECRET_BYTES: usize = 32;
/// Longest name that somebody gives for themselves.
const MAX_CLAIM_CHARS: usize = 80;
/// Scripts and styles come from the hub alone, nothing is inline, and no other page may frame it.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    /// The right they have: so far there is one.
    pub(crate) subject: &'static str,
    /// Who they say they are. Kept for the record, and no right comes of it.
    pub(crate) claimed: Option<String>,
    /// The console's session, with its CSRF token.
    pub(crate) session: Option<Session>,
}

impl Actor {
    /// As audit records name them.
    pub(crate) fn name(&self) -> String {
        match &self.claimed {
            Some(claimed) => format!("{} ({claimed})", self.subject),
            None => self.subject.to_owned(),
        }
    }
}

/// A session of the console.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) csrf: Secret,
    ends_ms: u64,
}

/// The admin token, and what was made from it since the start.
pub(crate) struct Access {
    token: Secret,
    /// Announcements.
    pub(super) webhooks: PeerLimit,
    /// Attempts to log in.
    pub(crate) logins: PeerLimit,
    state: Mutex<State_>,
}

#[derive(Default)]
struct State_ {
    sessions: BTreeMap<String, Session>,
    codes: BTreeMap<String, u64>,
}

impl Access {
    /// Reads the admin token, or makes it.
    pub(crate) fn open(data: &Path) -> io::Result<Self> {
        let token = files::read_or_make(&data.join(ADMIN_TOKEN_FILE), || {
            Ok([Secret::random_hex(SECRET_BYTES).expose(), b"\n"].concat())
        })?;
        let token = token.trim_ascii().to_vec();
        if token.len() < SECRET_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is too short to be safe; remove the file, and a new one is made",
            ));
        }
        Ok(Self {
            token: Secret::new(token),
            webhooks: PeerLimit::per_second(WEBHOOK_RATE),
            logins: PeerLimit::per_second(LOGIN_RATE),
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State_> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now_ms();
        state.sessions.retain(|_, it| it.ends_ms > now);
        state.codes.retain(|_, ends| *ends > now);
        state
    }

    /// A code for one login.
    pub(crate) fn new_login_code(&self) -> String {
        let code = Secret::random_hex(SECRET_BYTES).expose_text().to_owned();
        let mut state = self.state();
        if state.codes.len() >= MAX_SESSIONS {
            state.codes.pop_first();
        }
        state
            .codes
            .insert(digest_of(&code), now_ms() + CODE_LIFE_MS);
        code
    }

    /// Begins a session for whoever has the admin token.
    pub(crate) fn login_with_token(&self, token: &str) -> Option<String> {
        self.token
            .is(token.trim().as_bytes())
            .then(|| self.new_session())
    }

    /// Begins a session for whoever has a code, once.
    pub(crate) fn login_with_code(&self, code: &str) -> Option<String> {
        let known = self.state().codes.remove(&digest_of(code));
        known.map(|_| self.new_session())
    }

    fn new_session(&self) -> String {
        let id = Secret::random_hex(SECRET_BYTES).expose_text().to_owned();
        let session = Session {
            csrf: Secret::random_hex(SECRET_BYTES),
            ends_ms: now_ms() + SESSION_LIFE_MS,
        };
        let mut state = self.state();
        if state.sessions.len() >= MAX_SESSIONS {
            state.sessions.pop_first();
        }
        state.sessions.insert(digest_of(&id), session);
        id
    }

    /// Ends the session of a request.
    pub(crate) fn logout(&self, headers: &HeaderMap) {
        if let Some(id) = cookie(headers) {
            self.state().sessions.remove(&digest_of(&id));
        }
    }

    /// Who sent these headers, if anybody that is known.
    fn actor(&self, headers: &HeaderMap) -> Option<Actor> {
        let text = |name: header::HeaderName| headers.get(name).and_then(|it| it.to_str().ok());
        let claimed = headers.get("capstan-user").and_then(|it| it.to_str().ok());
        let claimed = claimed.map(|it| {
            it.chars()
                .filter(|it| !it.is_control())
                .take(MAX_CLAIM_CHARS)
                .collect()
        });
        if let Some(token) = text(header::AUTHORIZATION).and_then(|it| it.strip_prefix("Bearer ")) {
            let good = self.token.is(token.as_bytes());
            return good.then_some(Actor {
                subject: "admin",
                claimed,
                session: None,
            });
        }
        let session = self
            .state()
            .sessions
            .get(&digest_of(&cookie(headers)?))
            .cloned()?;
        Some(Actor {
            subject: "admin",
            claimed: Some("console".to_owned()),
            session: Some(session),
        })
    }
}

/// The cookie of a session: for this site's own pages alone, and not for scripts.
pub(crate) fn session_cookie(session: &str, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict{secure}")
}

/// Secrets are looked up by their digest, so that the time of a lookup says nothing of them.
fn digest_of(secret: &str) -> String {
    capstan_core::Digest::of(secret.as_bytes()).hex()
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|it| it.to_str().ok());
    let mut pairs = all
        .flat_map(|it| it.split(';'))
        .filter_map(|it| it.trim().split_once('='));
    pairs.find(|it| it.0 == COOKIE).map(|it| it.1.to_owned())
}

/// Lets a request through that comes from somebody known, and hands on who it is. A console that changes something must
/// show that the page which asks is its own.
pub(super) async fn require(
    State(served): State<Served>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(actor) = served.access.actor(request.headers()) else {
        let wants_page = request
            .headers()
            .get(header::ACCEPT)
            .and_then(|it| it.to_str().ok());
        if wants_page.is_some_and(|it| it.contains("text/html")) {
            return (StatusCode::UNAUTHORIZED, crate::console::login_page(None)).into_response();
        }
        let message =
            "send `Authorization: Bearer <admin token>`; the token is in the hub's data folder";
        return error(StatusCode::UNAUTHORIZED, "Unauthorized", message);
    };
    if let Some(session) = &actor.session {
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
        let shown = request
            .headers()
            .get("x-csrf-token")
            .map(HeaderValue::as_bytes);
        if changes && !shown.is_some_and(|it| session.csrf.is(it)) {
            return error(
                StatusCode::FORBIDDEN,
                "Forbidden",
                "the page is out of date; load it again",
            );
        }
    }
    request.extensions_mut().insert(actor);
    next.run(request).await
}

/// For every request: it must be meant for this host and come from its own pages; and the answer says what a browser may do.
pub(super) async fn guard(State(served): State<Served>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|it| it.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
    let Some(host) = host.filter(|it| is_own_host(&served, it)) else {
        return error(
            StatusCode::MISDIRECTED_REQUEST,
            "WrongHost",
            "the hub does not answer to this name; api_hosts lists those it does",
        );
    };
    if let Some(origin) = headers.get(header::ORIGIN) {
        let own = origin
            .to_str()
            .is_ok_and(|it| it.split_once("://").is_some_and(|it| it.1 == host));
        if !own {
            return error(
                StatusCode::FORBIDDEN,
                "Forbidden",
                "requests from other sites are refused",
            );
        }
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let table = [
        ("content-security-policy", CSP),
        ("x-content-type-options", "nosniff"),
        // Not `no-referrer`: a browser would then send `Origin: null` with the forms of our own pages.
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    for (name, value) in table {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Against pages of other sites that get at the hub by a name of their own (DNS rebinding).
fn is_own_host(served: &Served, host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
        _ => (host, None),
    };
    let own_port = port.is_none_or(|it: u16| it == served.address.port());
    let loopback =
        ["localhost", "127.0.0.1", "[::1]"].contains(&name) && served.address.ip().is_loopback();
    let address = name.trim_matches(['[', ']']) == served.address.ip().to_string();
    let listed = served
        .hub
        .config
        .api_hosts
        .iter()
        .any(|it| it == name || it == host);
    listed || own_port && (loopback || address)
}
