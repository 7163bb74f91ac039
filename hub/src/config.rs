//! What the hub is told at its start: one small file, and flags for what changes between runs.

mod args;

use std::{
    fmt, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

pub use args::Args;

/// How often a source is asked for news where its own interval says nothing else.
const DEFAULT_POLL: Duration = Duration::from_secs(60);
/// A shorter period than this would be a load and no gain: webhooks are for speed.
const MIN_POLL: Duration = Duration::from_secs(1);
/// The name in agents' certificates before the cluster.
const DEFAULT_TRUST_DOMAIN: &str = "capstan.local";

/// Most enrolments in a second: what two cores sign and write, and at which a token of 32 random bytes is still never found.
const MAX_ENROLMENTS_PER_SECOND: u32 = 1_000;

/// Why the hub cannot start with what it was told.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or not readable.
    #[error("the configuration file {path} cannot be read: {reason}")]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Something in it cannot be.
    #[error("configuration: {0}")]
    Value(String),
}

/// Everything that the hub is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder for the store, keys, mirrors and blobs.
    pub data_dir: PathBuf,
    /// Where agents connect.
    pub agents_listen: SocketAddr,
    /// Names and addresses under which agents reach the hub, for its certificate and for enrolment. `localhost` and
    /// loopback addresses are always there.
    pub agents_names: Vec<String>,
    /// The address that `capstan cluster add` gives to agents; the first name with the listener's port where it is empty.
    pub agents_address: String,
    /// Where the API and the console are.
    pub api_listen: SocketAddr,
    /// Certificate and key for the API. Needed where it does not listen on loopback alone.
    pub api_tls: Option<ApiTls>,
    /// Host names that the API answers to beside its own address.
    pub api_hosts: Vec<String>,
    /// Where Prometheus finds the metrics; none where it is not set.
    pub metrics_listen: Option<SocketAddr>,
    /// The trust domain in certificates. It cannot be changed later.
    pub trust_domain: String,
    /// The repository with the fleet path.
    pub fleet: Option<FleetSource>,
    /// Folder with credentials: one folder for each, with files as in a Flux Secret.
    pub secrets_dir: Option<PathBuf>,
    /// Which credentials may be used for which addresses.
    pub credentials: Vec<CredentialGrant>,
    /// Folders below which `file://` repositories may lie.
    pub allow_file_urls: Vec<PathBuf>,
    /// Period of polling for sources that do not say.
    pub poll_seconds: Option<u64>,
    /// Who may announce news of a source.
    pub webhooks: Vec<Webhook>,
    /// Where traces go, such as `http://127.0.0.1:4317`.
    pub otlp_endpoint: Option<String>,
    /// The authority of an `https://` collector there, as PEM.
    pub otlp_ca: Option<PathBuf>,
    /// How often agents say that they live.
    pub heartbeat_seconds: u64,
    /// At most one status of an agent in this time.
    pub status_interval_ms: u32,
    /// Enrolments that are tried in a second, over all callers: few, so that no token is found by trying. More help where a
    /// large fleet is installed anew.
    pub enrolments_per_second: u32,
}

impl Default for Config {
    fn default() -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            data_dir: PathBuf::from("capstan-hub"),
            agents_listen: SocketAddr::new(loopback.ip(), 7443),
            agents_names: Vec::new(),
            agents_address: String::new(),
            api_listen: SocketAddr::new(loopback.ip(), 7080),
            api_tls: None,
            api_hosts: Vec::new(),
            metrics_listen: None,
            trust_domain: DEFAULT_TRUST_DOMAIN.to_owned(),
            fleet: None,
            secrets_dir: None,
            credentials: Vec::new(),
            allow_file_urls: Vec::new(),
            poll_seconds: None,
            webhooks: Vec::new(),
            otlp_endpoint: None,
            otlp_ca: None,
            heartbeat_seconds: 15,
            status_interval_ms: 1000,
            enrolments_per_second: 20,
        }
    }
}

/// TLS for the API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiTls {
    /// PEM chain.
    pub certificate: PathBuf,
    /// PEM key.
    pub key: PathBuf,
}

/// The repository that declares the fleet.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetSource {
    /// Its address.
    pub url: String,
    /// The branch to follow.
    #[serde(default = "default_branch")]
    pub branch: String,
    /// The folder with `Cluster`, `Placement`, `Pipeline` and sources.
    #[serde(default)]
    pub path: String,
    /// Name of its credentials.
    pub credentials: Option<String>,
    /// The name that `sourceRef` calls it by, in `flux-system`.
    #[serde(default = "default_source_name")]
    pub name: String,
}

fn default_branch() -> String {
    "main".to_owned()
}

fn default_source_name() -> String {
    "fleet".to_owned()
}

/// Which addresses a credential may be sent to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialGrant {
    /// Name of the folder in the secrets folder.
    pub name: String,
    /// The credential is sent to addresses below this one and no other.
    pub url_prefix: String,
}

/// Who may announce news of a source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The source, `KIND/NAMESPACE/NAME`.
    pub source: capstan_core::SourceKey,
    /// File with the shared secret, in the secrets folder.
    pub secret: String,
}

impl Config {
    /// Reads a file. What it does not say is as in [`Config::default`].
    ///
    /// # Errors
    /// When it cannot be read or says what is not known.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let wrong = |reason: String| ConfigError::File {
            path: path.to_owned(),
            reason,
        };
        let text = fs::read_to_string(path).map_err(|it| wrong(it.to_string()))?;
        toml::from_str(&text).map_err(|it| wrong(it.to_string()))
    }

    /// Checks what can be checked without touching anything.
    ///
    /// # Errors
    /// The first thing that cannot be.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |text: String| Err(ConfigError::Value(text));
        if !self.api_listen.ip().is_loopback() && self.api_tls.is_none() {
            return wrong(format!(
                "api_listen {} is not loopback, so [api_tls] is needed",
                self.api_listen
            ));
        }
        if let Some(it) = self
            .metrics_listen
            .filter(|it| it == &self.api_listen && it.port() != 0)
        {
            return wrong(format!(
                "metrics_listen {it} is api_listen too; metrics have a listener of their own"
            ));
        }
        let plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || "-.".contains(it);
        if self.trust_domain.is_empty() || !self.trust_domain.chars().all(plain) {
            return wrong(format!(
                "trust_domain `{}` is not a domain",
                self.trust_domain
            ));
        }
        if let Some(it) = self.allow_file_urls.iter().find(|it| !it.is_absolute()) {
            return wrong(format!("allow_file_urls: {} is not absolute", it.display()));
        }
        for grant in &self.credentials {
            if !is_folder_name(&grant.name) {
                return wrong(format!(
                    "credentials: `{}` is not a name of a folder",
                    grant.name
                ));
            }
            if url::Url::parse(&grant.url_prefix).is_err() {
                return wrong(format!(
                    "credentials.{}: url_prefix is not an address",
                    grant.name
                ));
            }
        }
        if let Some(it) = self.webhooks.iter().find(|it| !is_folder_name(&it.secret)) {
            return wrong(format!("webhooks: `{}` is not a name of a file", it.secret));
        }
        if !self.credentials.is_empty() && self.secrets_dir.is_none() {
            return wrong("credentials need secrets_dir".to_owned());
        }
        if self.heartbeat_seconds == 0 || self.status_interval_ms == 0 {
            return wrong(
                "heartbeat_seconds and status_interval_ms must be more than 0".to_owned(),
            );
        }
        if !(1..=MAX_ENROLMENTS_PER_SECOND).contains(&self.enrolments_per_second) {
            return wrong(format!(
                "enrolments_per_second {} is not between 1 and {MAX_ENROLMENTS_PER_SECOND}",
                self.enrolments_per_second
            ));
        }
        Ok(())
    }

    /// Period of polling for sources that do not say.
    pub(crate) fn poll(&self) -> Duration {
        self.poll_seconds
            .map_or(DEFAULT_POLL, Duration::from_secs)
            .max(MIN_POLL)
    }
}

/// For the log, once at the start. There are no secrets in a configuration, only where they lie; an address could have one.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "data in {}, agents on {}, API on {}, trust domain {}",
            self.data_dir.display(),
            self.agents_listen,
            self.api_listen,
            self.trust_domain
        )?;
        match &self.fleet {
            Some(it) => {
                let url = crate::source::without_credentials(&it.url);
                write!(f, ", fleet {url} branch {} path `{}`", it.branch, it.path)
            }
            None => f.write_str(", no fleet repository"),
        }
    }
}

/// A name that stays in its folder.
pub(crate) fn is_folder_name(text: &str) -> bool {
    capstan_core::id::is_object_name(text) && !text.starts_with('.') && !text.contains('\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|it| it.to_string())?;
        config.check().map_err(|it| it.to_string())?;
        Ok(config)
    }

    #[test]
    fn a_small_file_is_enough() {
        let config = parse(
            "data_dir = '/data'\n[fleet]\nurl = 'https://git.example/fleet.git'\npath = 'fleet'\n",
        )
        .unwrap();
        let fleet = config.fleet.unwrap();
        assert_eq!(
            (fleet.branch.as_str(), fleet.name.as_str()),
            ("main", "fleet")
        );
        assert!(config.api_listen.ip().is_loopback());
    }

    #[test]
    fn what_is_not_safe_or_not_known_is_refused() {
        let table = [
            ("api_listen = '0.0.0.0:80'", "is not loopback"),
            ("listen = '0.0.0.0:80'", "unknown field `listen`"),
            ("allow_file_urls = ['srv']", "is not absolute"),
            (
                "secrets_dir='/s'\n[[credentials]]\nname='../x'\nurl_prefix='https://a/'",
                "is not a name",
            ),
            (
                "[[credentials]]\nname='x'\nurl_prefix='https://a/'",
                "need secrets_dir",
            ),
            ("trust_domain = 'a/b'", "is not a domain"),
            ("enrolments_per_second = 0", "is not between 1 and"),
        ];
        for (text, expect) in table {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expect), "{text}: {error}");
        }
    }
}
