//! The other real things on this machine: Git over SSH, and a browser.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use capstan_playground::local::browser::{Browser, BrowserError};
use capstan_playground::local::ssh::{SshError, SshServer};
use capstan_playground::toolchest;
use tempfile::TempDir;

/// Says that a test is passed over for want of a program; it fails where none may be.
fn skip(error: &dyn std::error::Error) {
    assert!(toolchest::can_pass_over(&error.to_string()), "{error}");
}

fn git(folder: &Path, ssh: &str, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .env("GIT_SSH_COMMAND", ssh)
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "Test")
            .env(format!("GIT_{role}_EMAIL"), "test@example.com");
    }
    let output = command.args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// An SSH server with one empty repository, and what a client needs to trust it.
struct Fixture {
    folder: TempDir,
    server: SshServer,
    known_hosts: PathBuf,
    options: String,
}

impl Fixture {
    /// None where there is no sshd.
    async fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let server = match SshServer::start(folder.path()).await {
            Err(error @ SshError::Missing { .. }) => {
                skip(&error);
                return None;
            }
            outcome => outcome.unwrap(),
        };
        let known_hosts = folder.path().join("known_hosts");
        std::fs::write(&known_hosts, server.known_host().unwrap()).unwrap();
        let options = format!(
            "-F none -o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile={}",
            known_hosts.display()
        );
        git(
            folder.path(),
            "",
            &["init", "-q", "--bare", "--initial-branch=main", "repo.git"],
        )
        .unwrap();
        Some(Self {
            folder,
            server,
            known_hosts,
            options,
        })
    }

    /// The command line of a client with the given key.
    fn ssh(&self, key: &Path) -> String {
        format!("ssh -i {} {}", key.display(), self.options)
    }

    fn list(&self, key: &Path) -> Result<String, String> {
        let url = self.server.url("repo.git");
        git(
            self.folder.path(),
            &self.ssh(key),
            &["ls-remote", &url, "refs/heads/main"],
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn git_over_ssh_fetches_and_pushes() {
    let Some(fixture) = Fixture::start().await else {
        return;
    };
    let key = fixture.server.identity();
    let ssh = fixture.ssh(&key);
    git(
        fixture.folder.path(),
        &ssh,
        &["clone", "-q", &fixture.server.url("repo.git"), "work"],
    )
    .unwrap();
    let work = fixture.folder.path().join("work");
    git(
        &work,
        &ssh,
        &["commit", "-q", "--allow-empty", "-m", "First"],
    )
    .unwrap();
    git(&work, &ssh, &["push", "-q", "origin", "HEAD:main"]).unwrap();
    let head = git(&work, &ssh, &["rev-parse", "HEAD"]).unwrap();
    let listed = fixture.list(&key).unwrap();
    assert!(listed.starts_with(&head), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_refuses_another_host_key_another_user_key_and_another_command() {
    let Some(fixture) = Fixture::start().await else {
        return;
    };
    let (key, known_host) = (
        fixture.server.identity(),
        fixture.server.known_host().unwrap(),
    );
    let stranger = fixture.folder.path().join("stranger");
    let mut keygen = Command::new("ssh-keygen");
    keygen
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&stranger);
    assert!(keygen.status().unwrap().success());
    let refused = fixture.list(&stranger).unwrap_err();
    assert!(refused.contains("Permission denied"), "{refused}");

    let url = fixture.server.url("");
    let (login, port) = url.split('/').nth(2).unwrap().split_once(':').unwrap();
    let mut shell = Command::new("ssh");
    shell
        .arg("-i")
        .arg(&key)
        .args(fixture.options.split(' '))
        .args(["-p", port, login, "echo", "hello"]);
    let output = shell.output().unwrap();
    assert!(
        !output.status.success() && output.stdout.is_empty(),
        "{output:?}"
    );

    let other = std::fs::read_to_string(stranger.with_extension("pub")).unwrap();
    let name = known_host.split(' ').next().unwrap();
    std::fs::write(&fixture.known_hosts, format!("{name} {other}")).unwrap();
    let refused = fixture.list(&key).unwrap_err();
    assert!(
        refused.contains("Host key verification failed"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_a_page_and_tells_its_errors() {
    if let Err(error) = Browser::available() {
        return skip(&error);
    }
    let browser = Browser::start().await.unwrap();
    let page = "data:text/html,<title>t</title><input id=name><button onclick=\"document.getElementById('out').textContent='Hello, '%2B\
                document.getElementById('name').value\">Go</button><p id=out></p>";
    browser.open(page).await.unwrap();
    browser.type_into("#name", "Bob").await.unwrap();
    browser.click("button").await.unwrap();
    browser.wait_for_text("Hello, Bob").await.unwrap();
    assert_eq!(browser.log().await.unwrap(), Vec::<String>::new());
    browser
        .run("console.error('broken'); return 1")
        .await
        .unwrap();
    let log = browser.log().await.unwrap();
    assert!(
        log.len() == 1 && log[0].starts_with("SEVERE") && log[0].contains("broken"),
        "{log:?}"
    );
    let absent = browser.click("#absent").await.unwrap_err();
    assert!(
        matches!(&absent, BrowserError::Command { reason, .. } if reason.contains("no such element")),
        "{absent}"
    );
}
