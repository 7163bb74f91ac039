//! Every route, tried as nobody.

use std::collections::BTreeSet;

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::config::Config;

/// Routes that need nobody, by intent. A route that is added to them is a decision.
const OPEN: [&str; 3] = [
    "/assets/{file}",
    "/login",
    "/webhooks/{kind}/{namespace}/{name}",
];

struct Here {
    _folder: tempfile::TempDir,
    served: Served,
    router: Router,
    token: String,
}

async fn here() -> Here {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        data_dir: folder.path().join("hub"),
        ..Config::default()
    };
    let address = ([127, 0, 0, 1], 7080).into();
    let opened = tokio::task::spawn_blocking(move || crate::app::open(config, address)).await;
    let (hub, access) = opened.unwrap().unwrap();
    let token = std::fs::read_to_string(hub.config.data_dir.join(ADMIN_TOKEN_FILE)).unwrap();
    let served = Served {
        hub,
        access,
        address,
    };
    let router = router(&served);
    Here {
        _folder: folder,
        served,
        router,
        token: token.trim().to_owned(),
    }
}

fn request(method: &str, path: &str) -> axum::http::request::Builder {
    let path = path
        .replace("{kind}", "Kustomization")
        .replace(['{', '}'], "");
    Request::builder()
        .method(method.to_uppercase().as_str())
        .uri(path)
        .header(header::HOST, "127.0.0.1:7080")
        .header(header::CONTENT_TYPE, "application/json")
}

impl Here {
    async fn send(&self, request: Request<Body>) -> (StatusCode, axum::http::HeaderMap, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 4 << 20).await.unwrap();
        (
            parts.status,
            parts.headers,
            String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    async fn json(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let request =
            request(method, path).header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        let (status, _, text) = self
            .send(request.body(Body::from(body.to_string())).unwrap())
            .await;
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }
}

#[tokio::test]
async fn nobody_gets_anything() {
    let here = here().await;
    let mut open = BTreeSet::new();
    for route in routes::all() {
        for method in route.methods {
            let plain = request(method, &route.path).body(Body::from("{}")).unwrap();
            let wrong = request(method, &route.path)
                .header(header::AUTHORIZATION, "Bearer 0000")
                .header(header::COOKIE, "capstan_session=0000")
                .body(Body::from("{}"))
                .unwrap();
            for request in [plain, wrong] {
                let (status, _, body) = here.send(request).await;
                match route.need {
                    Need::Person => assert_eq!(
                        status,
                        StatusCode::UNAUTHORIZED,
                        "{method} {}: {body}",
                        route.path
                    ),
                    Need::Nothing => _ = open.insert(route.path.clone()),
                }
            }
        }
    }
    assert_eq!(open.into_iter().collect::<Vec<_>>(), OPEN);
    let webhook = "/webhooks/GitRepository/flux-system/fleet";
    let (status, _, _) = here
        .send(request("post", webhook).body(Body::from("{}")).unwrap())
        .await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn other_names_and_other_sites_are_refused() {
    let here = here().await;
    let table = [
        ("127.0.0.1:7080", None, StatusCode::OK),
        ("localhost:7080", None, StatusCode::OK),
        (
            "localhost:7080",
            Some("http://localhost:7080"),
            StatusCode::OK,
        ),
        (
            "localhost:7080",
            Some("http://evil.example"),
            StatusCode::FORBIDDEN,
        ),
        ("localhost:7080", Some("null"), StatusCode::FORBIDDEN),
        ("evil.example:7080", None, StatusCode::MISDIRECTED_REQUEST),
        ("localhost:80", None, StatusCode::MISDIRECTED_REQUEST),
    ];
    for (host, origin, expect) in table {
        let mut request = Request::builder().uri("/login").header(header::HOST, host);
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        let (status, headers, _) = here.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(status, expect, "{host} {origin:?}");
        if expect == StatusCode::OK {
            let csp = headers["content-security-policy"].to_str().unwrap();
            assert!(
                csp.contains("default-src 'none'") && !csp.contains("unsafe"),
                "{csp}"
            );
        }
    }
}

#[tokio::test]
async fn a_code_logs_in_once_and_a_page_must_show_its_token() {
    let here = here().await;
    let code = here.served.access.new_login_code();
    let log_in = |code: &str| {
        Request::builder()
            .method("POST")
            .uri("/login")
            .header(header::HOST, "127.0.0.1:7080")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(format!("code={code}")))
            .unwrap()
    };
    let (status, headers, _) = here.send(log_in(&code)).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let cookie = headers[header::SET_COOKIE].to_str().unwrap().to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    assert_eq!(
        here.send(log_in(&code)).await.0,
        StatusCode::UNAUTHORIZED,
        "the second time"
    );
    let session = cookie.split(';').next().unwrap();
    let with = |method: &str, path: &str| request(method, path).header(header::COOKIE, session);
    let (status, _, page) = here
        .send(with("get", "/").body(Body::empty()).unwrap())
        .await;
    assert_eq!(status, StatusCode::OK);
    let csrf = page
        .split("name=\"csrf\" content=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let freeze = r#"{"scope":"*","reason":"r"}"#;
    let bare = with("post", "/api/v1/freeze")
        .body(Body::from(freeze))
        .unwrap();
    assert_eq!(here.send(bare).await.0, StatusCode::FORBIDDEN);
    let shown = with("post", "/api/v1/freeze").header("x-csrf-token", csrf);
    assert_eq!(
        here.send(shown.body(Body::from(freeze)).unwrap()).await.0,
        StatusCode::OK
    );
}

#[tokio::test]
async fn clusters_are_added_once_and_every_change_is_audited() {
    let here = here().await;
    let add = serde_json::json!({"name": "dev", "labels": {"env": "dev"}});
    let (status, added) = here.json("post", "/api/v1/clusters", add.clone()).await;
    assert_eq!(status, StatusCode::OK, "{added}");
    let token = added["token"].as_str().unwrap().to_owned();
    assert!(added["manifest"].as_str().unwrap().contains(&token));
    // No plan has been made: an agent that connects before one is seen all the same.
    let added = "dev".parse().unwrap();
    assert!(here.served.hub.view().clusters.contains_key(&added));
    assert_eq!(
        here.json("post", "/api/v1/clusters", add).await.0,
        StatusCode::CONFLICT
    );
    let bad = serde_json::json!({"name": "../x"});
    assert_eq!(
        here.json("post", "/api/v1/clusters", bad).await.0,
        StatusCode::BAD_REQUEST
    );
    let nothing = serde_json::json!({});
    assert_eq!(
        here.json("post", "/api/v1/clusters/none/revoke", nothing.clone())
            .await
            .0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        here.json(
            "post",
            "/api/v1/clusters/dev/revoke",
            serde_json::json!({"reason": "lost"})
        )
        .await
        .0,
        StatusCode::OK
    );
    let (_, audit) = here.json("get", "/api/v1/audit", nothing).await;
    let audit = audit.to_string();
    assert!(
        audit.contains("cluster add") && audit.contains("cluster revoke") && audit.contains("lost"),
        "{audit}"
    );
    let secret = token.split_once('.').unwrap().1;
    assert!(!audit.contains(secret));
    let records = here.served.hub.db.tokens().unwrap();
    assert!(records.is_empty(), "revoking takes the tokens back");
}

#[tokio::test]
async fn the_document_names_every_route() {
    let here = here().await;
    let (status, document) = here.json("get", "/openapi.json", Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    for route in routes::all().iter().filter(|it| !it.summary.is_empty()) {
        for method in route.methods {
            assert!(
                document["paths"][&route.path][method].is_object(),
                "{method} {}",
                route.path
            );
        }
    }
}

#[tokio::test]
async fn a_cluster_that_gets_the_name_later_is_another_one() {
    use crate::{
        plan::{Overrides, UnitOverride},
        store::Batch,
    };
    let here = here().await;
    let add = serde_json::json!({"name": "dev"});
    here.json("post", "/api/v1/clusters", add).await;
    let mut overrides = Overrides::default();
    let kept = "prod/Kustomization/flux-system/apps";
    for unit in ["dev/Kustomization/flux-system/apps", kept] {
        let unit = unit.parse().unwrap();
        overrides.units.insert(unit, UnitOverride::default());
    }
    let mut batch = Batch::default();
    batch.put_overrides(&overrides);
    here.served.hub.db.commit(&batch).unwrap();
    let path = "/api/v1/clusters/dev";
    let (status, _) = here.json("delete", path, serde_json::json!({})).await;
    assert_eq!(status, StatusCode::OK);
    let left = here.served.hub.db.overrides().unwrap().value.units;
    let left: Vec<String> = left.keys().map(ToString::to_string).collect();
    assert_eq!(left, [kept]);
}
