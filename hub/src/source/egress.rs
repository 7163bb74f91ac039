//! What a fetch may reach: checked addresses, credentials for their own prefix alone, bounded time and size.

use std::{
    cell::RefCell,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Once,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use git2::transport::Transport;
use url::Url;

use super::{SourceSpec, http, mirror::SourceError, ssh};
use crate::{config::Config, secret::Secret};

/// Most bytes of one fetch.
const MAX_FETCH_BYTES: u64 = 2 << 30;

/// What one fetch may do. Clones share their counters.
#[derive(Clone)]
pub(crate) struct Egress {
    address: String,
    pub(super) credentials: Arc<Credentials>,
    deadline: Instant,
    taken: Arc<AtomicU64>,
    too_large: Arc<AtomicBool>,
    reason: Arc<std::sync::Mutex<Option<String>>>,
}

/// What a credentials folder has, as a Flux Secret for Git does.
#[derive(Default)]
pub(super) struct Credentials {
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) bearer: Option<Secret>,
    pub(super) ca: Option<Vec<u8>>,
    /// Files that `ssh` reads itself.
    pub(super) identity: Option<PathBuf>,
    pub(super) known_hosts: Option<PathBuf>,
}

thread_local! {
    /// What the transport of the fetch that runs on this thread may do. libgit2's registry of transports is global and
    /// knows nothing of who fetches what.
    static CURRENT: RefCell<Option<Egress>> = const { RefCell::new(None) };
}

impl Egress {
    /// Checks the address of `spec` and takes its credentials.
    pub(crate) fn new(config: &Config, spec: &SourceSpec) -> Result<Self, SourceError> {
        let refused = |text: String| SourceError::Refused(text);
        let url = Url::parse(&spec.url).map_err(|it| {
            refused(format!(
                "the address is not one: {it}; scp-like addresses are written ssh://user@host/path"
            ))
        })?;
        if url.password().is_some() || (url.scheme() != "ssh" && !url.username().is_empty()) {
            return Err(refused(
                "an address must have no credentials in it; use secretRef".into(),
            ));
        }
        let address = match url.scheme() {
            "file" => file_address(config, &url)?,
            "http" | "https" | "ssh" if url.host_str().is_some_and(|it| !it.is_empty()) => {
                spec.url.clone()
            }
            scheme => {
                return Err(refused(format!(
                    "{scheme}:// is not followed; https://, ssh://, http:// and, where the hub's configuration names the path, file:// are"
                )));
            }
        };
        let credentials = match &spec.credentials {
            Some(name) => credentials(config, name, &url)?,
            None => Credentials::default(),
        };
        Ok(Self {
            address,
            credentials: Arc::new(credentials),
            deadline: Instant::now() + spec.timeout,
            taken: Arc::default(),
            too_large: Arc::default(),
            reason: Arc::default(),
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Time that is left.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Whether the fetch may go on after so many bytes in all.
    pub(super) fn may_go_on(&self, received: usize) -> bool {
        if received as u64 > MAX_FETCH_BYTES {
            self.too_large.store(true, Ordering::Relaxed);
            return false;
        }
        !self.left().is_zero()
    }

    /// Counts bytes that a transport has taken.
    pub(super) fn take(&self, bytes: usize) -> io::Result<()> {
        let all = self.taken.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        let received = usize::try_from(all).unwrap_or(usize::MAX);
        if self.may_go_on(received) {
            Ok(())
        } else {
            Err(io::Error::other("a limit of the fetch was reached"))
        }
    }

    /// Remembers why a transport failed: libgit2 hands on only that it did.
    pub(super) fn failed(&self, reason: impl Into<String>) {
        *self
            .reason
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(reason.into());
    }

    /// What an error of libgit2 means.
    pub(super) fn explain(&self, error: &git2::Error) -> SourceError {
        let reason = self
            .reason
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        SourceError::Failed(match reason {
            _ if self.too_large.load(Ordering::Relaxed) => {
                format!("more than {MAX_FETCH_BYTES} bytes")
            }
            _ if self.left().is_zero() => "it took too long".to_owned(),
            Some(reason) => reason,
            None => error.message().to_owned(),
        })
    }
}

/// Runs a fetch with what it may do.
pub(super) fn with<T>(egress: Egress, run: impl FnOnce() -> T) -> T {
    register();
    CURRENT.set(Some(egress));
    let result = run();
    CURRENT.set(None);
    result
}

/// What the fetch on this thread may do.
pub(super) fn current() -> Result<Egress, git2::Error> {
    let none = || git2::Error::from_str("a transport was used outside of a fetch of the hub");
    CURRENT.with_borrow(|it| it.clone()).ok_or_else(none)
}

/// Puts our own transports in the place of libgit2's, once.
fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let http = |remote: &git2::Remote<'_>| Transport::smart(remote, true, http::Http);
        let ssh = |remote: &git2::Remote<'_>| Transport::smart(remote, false, ssh::Ssh::default());
        #[expect(unsafe_code, reason = "libgit2's registry is not synchronised; this runs once, before the first fetch")]
        unsafe {
            for scheme in ["http", "https"] {
                git2::transport::register(scheme, http).expect("no transport was registered for it before");
            }
            git2::transport::register("ssh", ssh).expect("no transport was registered for it before");
        }
    });
}

/// A `file://` address below a folder that the configuration names. Links are followed before it is compared.
fn file_address(config: &Config, url: &Url) -> Result<String, SourceError> {
    let refused = |text: String| SourceError::Refused(text);
    let path = url
        .to_file_path()
        .map_err(|()| refused("the address is not a path".into()))?;
    let real =
        fs::canonicalize(&path).map_err(|it| refused(format!("{}: {it}", path.display())))?;
    let below = |folder: &PathBuf| fs::canonicalize(folder).is_ok_and(|it| real.starts_with(it));
    if !config.allow_file_urls.iter().any(below) {
        let message = "is not below a folder that allow_file_urls of the hub's configuration names";
        return Err(refused(format!("{} {message}", path.display())));
    }
    let address =
        Url::from_file_path(&real).map_err(|()| refused("the address is not a path".into()))?;
    Ok(address.into())
}

/// The credentials called `name`, where `url` lies below what they were granted for.
fn credentials(config: &Config, name: &str, url: &Url) -> Result<Credentials, SourceError> {
    let grants: Vec<_> = config
        .credentials
        .iter()
        .filter(|it| it.name == name)
        .collect();
    if grants.is_empty() {
        let message = format!(
            "credentials `{name}` are not granted in the hub's configuration ([[credentials]])"
        );
        return Err(SourceError::Refused(message));
    }
    let granted = |prefix: &str| Url::parse(prefix).is_ok_and(|prefix| is_below(url, &prefix));
    if !grants.iter().any(|it| granted(&it.url_prefix)) {
        let message = format!("credentials `{name}` are granted for other addresses than this one");
        return Err(SourceError::Refused(message));
    }
    let folder = config.secrets_dir.as_ref().map(|it| it.join(name));
    let folder =
        folder.ok_or_else(|| SourceError::Refused("the hub has no secrets folder".into()))?;
    read(&folder).map_err(|it| SourceError::Refused(format!("credentials `{name}`: {it}")))
}

/// Whether `url` is `prefix` or lies below it: the same scheme, host and port, and whole segments of the path.
fn is_below(url: &Url, prefix: &Url) -> bool {
    let same = url.scheme() == prefix.scheme()
        && url.host_str() == prefix.host_str()
        && url.port_or_known_default() == prefix.port_or_known_default();
    let above = prefix.path().trim_end_matches('/');
    let rest = url.path().strip_prefix(above);
    let encoded = url.path().to_ascii_lowercase();
    let plain = !encoded.contains("%2e") && !encoded.contains("%2f");
    same && plain && rest.is_some_and(|it| it.is_empty() || it.starts_with('/'))
}

fn read(folder: &Path) -> io::Result<Credentials> {
    fs::read_dir(folder)?;
    let secret = |name: &str| match Secret::read(&folder.join(name)) {
        Ok(it) => Ok(Some(it)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let file = |name: &str| Some(folder.join(name)).filter(|it| it.exists());
    Ok(Credentials {
        username: secret("username")?.map(|it| it.expose_text().to_owned()),
        password: secret("password")?,
        bearer: secret("bearerToken")?,
        ca: secret("ca.crt")?.map(|it| it.expose().to_vec()),
        identity: file("identity"),
        known_hosts: file("known_hosts"),
    })
}

/// An address as it may be shown: without user, password and query.
pub(crate) fn without_credentials(url: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else {
        return "(not an address)".to_owned();
    };
    let _ = parsed.set_username("");
    let _ = parsed.set_password(None);
    parsed.set_query(None);
    parsed.set_fragment(None);
    parsed.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_below_their_prefix_and_nowhere_else() {
        let table = [
            (
                "https://git.example/org/a.git",
                "https://git.example/org/",
                true,
            ),
            (
                "https://git.example/org/a.git",
                "https://git.example/org",
                true,
            ),
            ("https://git.example/org", "https://git.example/org/", true),
            (
                "https://git.example:443/org/a",
                "https://git.example/org",
                true,
            ),
            (
                "https://git.example/organisation/a",
                "https://git.example/org",
                false,
            ),
            (
                "https://git.example.evil/org/a",
                "https://git.example/org",
                false,
            ),
            ("http://git.example/org/a", "https://git.example/org", false),
            (
                "https://git.example:8443/org/a",
                "https://git.example/org",
                false,
            ),
            (
                "https://git.example/org/../other/a",
                "https://git.example/org",
                false,
            ),
            (
                "https://git.example/org/%2e%2e/other",
                "https://git.example/org",
                false,
            ),
            ("https://git.example/a", "https://git.example/", true),
        ];
        for (url, prefix, expect) in table {
            let below = is_below(&Url::parse(url).unwrap(), &Url::parse(prefix).unwrap());
            assert_eq!(below, expect, "{url} below {prefix}");
        }
    }

    #[test]
    fn addresses_are_shown_without_secrets() {
        let shown = without_credentials("https://user:canary@git.example/a?token=canary");
        assert_eq!(shown, "https://git.example/a");
    }
}
