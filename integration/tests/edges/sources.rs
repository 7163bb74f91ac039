//! Sources: news that somebody announces, servers whose certificate or host key is pinned.

use std::path::Path;

use capstan_integration::harness::{Repository, wait_for};
use capstan_playground::{
    git::{GitServer, Login},
    local::ssh::SshServer,
};
use hmac::{Hmac, Mac};
use reqwest::StatusCode;
use sha2::Sha256;
use tokio::task::JoinSet;

use super::hub::Hub;

const SECRET: &str = "webhook-canary-7431";
const PASSWORD: &str = "git-canary-1865";
const CLUSTER: &str = "apiVersion: capstan.dev/v1alpha1\nkind: Cluster\nmetadata: {name: dev}\n";

/// A repository with one commit, which `server` serves; and the commit.
async fn repository(server: &GitServer, url: &str, folder: &Path) -> (Repository, String) {
    server.create("fleet.git").await.unwrap();
    let clone = Repository::clone(url, folder.join("work")).await.unwrap();
    let files = [("fleet/clusters.yaml", CLUSTER)];
    let commit = clone.commit("first", &files).await.unwrap();
    (clone, commit)
}

fn fleet(url: &str, more: &str) -> String {
    format!("\n[fleet]\nurl = {url:?}\nbranch = \"main\"\npath = \"fleet\"\n{more}")
}

fn signature(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    format!("sha256={hex}")
}

/// A hub that polls once an hour, and whose source may be announced.
struct Announced {
    hub: Hub,
    clone: Repository,
    first: String,
    http: reqwest::Client,
    _server: GitServer,
    _folder: tempfile::TempDir,
}

impl Announced {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = GitServer::start(folder.path(), None).await.unwrap();
        let url = server.url("fleet.git");
        let (clone, first) = repository(&server, &url, folder.path()).await;
        let secrets = folder.path().join("secrets");
        std::fs::create_dir(&secrets).unwrap();
        std::fs::write(secrets.join("hook"), format!("{SECRET}\n")).unwrap();
        let hook =
            "[[webhooks]]\nsource = \"GitRepository/flux-system/fleet\"\nsecret = \"hook\"\n";
        let fleet = fleet(&url, "");
        let config = format!("poll_seconds = 3600\nsecrets_dir = {secrets:?}\n{fleet}{hook}");
        let hub = Hub::start(folder.path(), &config).await.unwrap();
        hub.at(&first).await.unwrap();
        Self {
            hub,
            clone,
            first,
            http: reqwest::Client::new(),
            _server: server,
            _folder: folder,
        }
    }

    fn url(&self, source: &str) -> String {
        let hub = &self.hub.api.url;
        format!("{hub}/webhooks/GitRepository/flux-system/{source}")
    }

    async fn announce(&self, source: &str, header: (&str, &str), body: String) -> StatusCode {
        let request = self.http.post(self.url(source)).header(header.0, header.1);
        request.body(body).send().await.unwrap().status()
    }
}

const GITHUB: &str = "x-hub-signature-256";
const BODY: &str = "{\"ref\":\"refs/heads/main\"}";

#[tokio::test(flavor = "multi_thread")]
async fn news_arrive_when_they_are_announced() {
    let it = Announced::start().await;
    let good = signature(BODY);
    for header in [(GITHUB, good.as_str()), ("x-gitlab-token", SECRET)] {
        let files = [("README.md", header.0)];
        let commit = it.clone.commit("news", &files).await.unwrap();
        let seen = it.announce("fleet", header, BODY.to_owned()).await;
        assert_eq!(seen, StatusCode::ACCEPTED);
        it.hub.at(&commit).await.unwrap();
    }
    assert!(!it.hub.process.log().unwrap().contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_announce_changes_nothing() {
    let it = Announced::start().await;
    it.clone
        .commit("news", &[("README.md", "a")])
        .await
        .unwrap();
    let good = signature(BODY);
    let large = "x".repeat((1 << 20) + 1);
    let table = [
        ("fleet", ("x-nothing", ""), BODY, StatusCode::UNAUTHORIZED),
        (
            "fleet",
            (GITHUB, "sha256=00"),
            BODY,
            StatusCode::UNAUTHORIZED,
        ),
        ("fleet", (GITHUB, &good), "{}", StatusCode::UNAUTHORIZED),
        (
            "fleet",
            ("x-gitlab-token", "guess"),
            BODY,
            StatusCode::UNAUTHORIZED,
        ),
        ("other", (GITHUB, &good), BODY, StatusCode::UNAUTHORIZED),
        (
            "fleet",
            (GITHUB, &good),
            &large,
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
    ];
    for (source, header, body, expect) in table {
        let seen = it.announce(source, header, body.to_owned()).await;
        assert_eq!(seen, expect, "{source} {header:?}");
    }
    let status = it.hub.source().await.unwrap();
    let revision = status["status"]["revision"].as_str().unwrap();
    assert!(revision.ends_with(&it.first), "{status}");
    wait_for("a flood to be refused", async || {
        let send = |_| it.http.post(it.url("fleet")).body("{}").send();
        let mut flood: JoinSet<_> = (0..50).map(send).collect();
        let mut seen = StatusCode::OK;
        while let Some(answer) = flood.join_next().await {
            seen = seen.max(answer??.status());
        }
        let refused = seen == StatusCode::TOO_MANY_REQUESTS;
        Ok(if refused {
            Ok(())
        } else {
            Err(seen.to_string())
        })
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_its_own_authority_is_trusted_where_that_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let login = Login {
        user: "hub".into(),
        password: PASSWORD.into(),
    };
    let (server, authority) = GitServer::start_tls(folder.path(), Some(login))
        .await
        .unwrap();
    let url = server.url("fleet.git");
    // The clone of the person who pushes does not check; the hub does.
    let open = GitServer::start(folder.path(), None).await.unwrap();
    let (_, commit) = repository(&open, &open.url("fleet.git"), folder.path()).await;
    let credential = folder.path().join("secrets/git");
    std::fs::create_dir_all(&credential).unwrap();
    std::fs::write(credential.join("username"), "hub").unwrap();
    std::fs::write(credential.join("password"), PASSWORD).unwrap();
    let secrets = folder.path().join("secrets");
    let more =
        format!("credentials = \"git\"\n[[credentials]]\nname = \"git\"\nurl_prefix = {url:?}\n");
    let config = format!(
        "poll_seconds = 1\nsecrets_dir = {secrets:?}\n{}",
        fleet(&url, &more)
    );
    let hub = Hub::start(folder.path(), &config).await.unwrap();
    hub.fails("certificate").await.unwrap();
    std::fs::write(credential.join("ca.crt"), authority).unwrap();
    hub.at(&commit).await.unwrap();
    assert!(!hub.process.log().unwrap().contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_host_key_is_not_talked_to() {
    let folder = tempfile::tempdir().unwrap();
    let open = GitServer::start(folder.path(), None).await.unwrap();
    let (_, commit) = repository(&open, &open.url("fleet.git"), folder.path()).await;
    let server = SshServer::start(folder.path()).await.unwrap();
    let url = server.url("fleet.git");
    let credential = folder.path().join("secrets/git");
    std::fs::create_dir_all(&credential).unwrap();
    std::fs::copy(server.identity(), credential.join("identity")).unwrap();
    let known = server.known_host().unwrap();
    let host = known.split(' ').next().unwrap();
    // A key of that kind, and not the one.
    let public = std::fs::read_to_string(server.identity().with_extension("pub")).unwrap();
    std::fs::write(credential.join("known_hosts"), format!("{host} {public}")).unwrap();
    let secrets = folder.path().join("secrets");
    let more =
        format!("credentials = \"git\"\n[[credentials]]\nname = \"git\"\nurl_prefix = {url:?}\n");
    let config = format!(
        "poll_seconds = 1\nsecrets_dir = {secrets:?}\n{}",
        fleet(&url, &more)
    );
    let hub = Hub::start(folder.path(), &config).await.unwrap();
    hub.fails("Host key verification failed").await.unwrap();
    std::fs::write(credential.join("known_hosts"), known).unwrap();
    hub.at(&commit).await.unwrap();
}
