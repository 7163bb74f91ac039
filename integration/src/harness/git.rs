//! Real Git servers for the fleet repository: `git http-backend`, and `sshd`.

use std::path::Path;

use capstan_playground::{
    git::{GitServer, Login},
    local::ssh::SshServer,
};

const REPOSITORY: &str = "fleet.git";
/// What the hub calls the credential.
const CREDENTIAL: &str = "fleet";
const USER: &str = "hub";
const PASSWORD: &str = "p4ssw0rd-of-a-test";

/// How the hub reaches the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Plain HTTP, which anybody may read.
    Http,
    /// HTTP with a user name and a password.
    HttpWithLogin,
    /// SSH, with a key and a pinned host key.
    Ssh,
}

/// The running servers.
pub(super) struct Served {
    http: GitServer,
    ssh: Option<SshServer>,
    transport: Transport,
    secrets: String,
}

impl Served {
    /// Serves an empty repository from below `folder`.
    pub(super) async fn start(transport: Transport, folder: &Path) -> anyhow::Result<Self> {
        let root = folder.join("git");
        std::fs::create_dir(&root)?;
        let login = (transport == Transport::HttpWithLogin).then(|| Login {
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
        });
        let http = GitServer::start(&root, login).await?;
        http.create(REPOSITORY).await?;
        let secrets = folder.join("secrets");
        let credential = secrets.join(CREDENTIAL);
        std::fs::create_dir_all(&credential)?;
        let mut ssh = None;
        match transport {
            Transport::Http => {}
            Transport::HttpWithLogin => {
                std::fs::write(credential.join("username"), USER)?;
                std::fs::write(credential.join("password"), PASSWORD)?;
            }
            Transport::Ssh => {
                let server = SshServer::start(&root).await?;
                // With its mode, which `ssh` looks at.
                std::fs::copy(server.identity(), credential.join("identity"))?;
                std::fs::write(credential.join("known_hosts"), server.known_host()?)?;
                ssh = Some(server);
            }
        }
        Ok(Self {
            http,
            ssh,
            transport,
            secrets: secrets.to_string_lossy().into_owned(),
        })
    }

    /// Where a person pushes to.
    pub(super) fn push_url(&self) -> String {
        let url = self.http.url(REPOSITORY);
        match self.transport {
            Transport::HttpWithLogin => {
                url.replace("http://", &format!("http://{USER}:{PASSWORD}@"))
            }
            Transport::Http | Transport::Ssh => url,
        }
    }

    /// The part of the hub's configuration that names the repository.
    pub(super) fn hub_config(&self) -> String {
        let url = match &self.ssh {
            Some(ssh) => ssh.url(REPOSITORY),
            None => self.http.url(REPOSITORY),
        };
        let fleet = format!("\n[fleet]\nurl = {url:?}\nbranch = \"main\"\npath = \"fleet\"\n");
        if self.transport == Transport::Http {
            return fleet;
        }
        let secrets = &self.secrets;
        format!(
            "secrets_dir = {secrets:?}\n{fleet}credentials = \"{CREDENTIAL}\"\n\n[[credentials]]\nname = \"{CREDENTIAL}\"\nurl_prefix = {url:?}\n"
        )
    }
}
