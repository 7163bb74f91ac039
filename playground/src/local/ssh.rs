//! A real `sshd` on this machine that serves Git repositories, for tests of the SSH transport.
//!
//! It runs with a configuration of its own on a free port of 127.0.0.1, as the user who runs the test: one key may log in, and may
//! do nothing but fetch and push.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::folder;
use super::process::{Process, State};
use super::reaper::Reaper;
use crate::ports;

/// Where Debian and others put the daemon; it must be started by its full path.
const SSHD: [&str; 3] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];

/// It listens within a fraction of a second, on a machine that has nothing else to do.
const START_LIMIT: Duration = Duration::from_secs(120);

/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running SSH server. It ends when it is dropped.
#[derive(Debug)]
pub struct SshServer {
    port: u16,
    user: String,
    root: PathBuf,
    process: Process,
    _reaper: Reaper,
    folder: TempDir,
}

/// Why there is no SSH server.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// A program is not installed.
    #[error("{program} was not found; install openssh-server and openssh-client")]
    Missing {
        /// Its name.
        program: &'static str,
    },
    /// Its files could not be made.
    #[error("preparing an SSH server failed: {doing}: {source}")]
    Prepare {
        /// What was attempted.
        doing: String,
        /// The cause.
        source: std::io::Error,
    },
    /// It does not run.
    #[error("sshd does not run: {reason}; the last lines of its log:\n{log}")]
    NotRunning {
        /// What was seen.
        reason: String,
        /// Its log.
        log: String,
    },
}

impl SshServer {
    /// Serves the bare repositories below `root`.
    pub async fn start(root: &Path) -> Result<Self, SshError> {
        let program = SSHD
            .iter()
            .find(|path| Path::new(path).is_file())
            .ok_or(SshError::Missing { program: "sshd" })?;
        let folder = folder::private("capstan-sshd-").map_err(prepare("creating its folder"))?;
        let user = run(Command::new("id").arg("-un"), "id")?;
        for name in ["host_key", "user_key"] {
            keygen(folder.path(), name)?;
        }
        fs::copy(
            folder.path().join("user_key.pub"),
            folder.path().join("authorized_keys"),
        )
        .map_err(prepare("writing authorized_keys"))?;
        let port = ports::claim().map_err(prepare("finding a free port"))?;
        let config = folder.path().join("sshd_config");
        fs::write(&config, configuration(folder.path(), port))
            .map_err(prepare("writing its configuration"))?;
        if run(Command::new("id").arg("-u"), "id")? == "0" {
            // Started by root it wants an empty folder of this very name, which a distribution makes at boot.
            let mut builder = fs::DirBuilder::new();
            builder
                .recursive(true)
                .mode(0o755)
                .create("/run/sshd")
                .map_err(prepare("creating /run/sshd"))?;
        }
        let reaper = Reaper::start(folder.path()).map_err(|error| SshError::Prepare {
            doing: error.to_string(),
            source: std::io::ErrorKind::Other.into(),
        })?;
        let mut command = Command::new(program);
        command.arg("-D").arg("-e").arg("-f").arg(&config);
        let process = Process::start(command, &folder.path().join("log"), &reaper, |_, _| {})
            .map_err(prepare("starting sshd"))?;
        let server = Self {
            port,
            user,
            root: root.to_owned(),
            process,
            _reaper: reaper,
            folder,
        };
        server.wait_listening().await?;
        Ok(server)
    }

    async fn wait_listening(&self) -> Result<(), SshError> {
        let (state, deadline) = (self.process.state(), Instant::now() + START_LIMIT);
        let not_running = |reason| SshError::NotRunning {
            reason,
            log: self.process.log_tail(),
        };
        loop {
            let seen = TcpStream::connect(("127.0.0.1", self.port)).await;
            if let State::Ended { status, .. } = &*state.borrow() {
                return Err(not_running(format!("it ended ({status})")));
            }
            match seen {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() >= deadline => {
                    return Err(not_running(error.to_string()));
                }
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Where the repository `name` is.
    pub fn url(&self, name: &str) -> String {
        format!(
            "ssh://{}@127.0.0.1:{}{}",
            self.user,
            self.port,
            self.root.join(name).display()
        )
    }

    /// The private key that may log in.
    pub fn identity(&self) -> PathBuf {
        self.folder.path().join("user_key")
    }

    /// The server's line of a `known_hosts` file.
    pub fn known_host(&self) -> Result<String, SshError> {
        let key = fs::read_to_string(self.folder.path().join("host_key.pub"))
            .map_err(prepare("reading its host key"))?;
        Ok(format!("[127.0.0.1]:{} {}\n", self.port, key.trim_end()))
    }
}

/// Nothing of the machine's own configuration, no password, and one command: Git's.
fn configuration(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host_key\nAuthorizedKeysFile {folder}/authorized_keys\nPidFile none\n\
         StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
         AllowTcpForwarding no\nX11Forwarding no\nPermitTTY no\nForceCommand git-shell -c \"$SSH_ORIGINAL_COMMAND\"\nLogLevel VERBOSE\n"
    )
}

fn keygen(folder: &Path, name: &str) -> Result<(), SshError> {
    let path = folder.join(name);
    run(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
            .arg(&path),
        "ssh-keygen",
    )?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
        .map_err(prepare("closing a key to others"))
}

fn run(command: &mut Command, program: &'static str) -> Result<String, SshError> {
    let output = command.output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => SshError::Missing { program },
        _ => prepare(program)(error),
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(SshError::Prepare {
            doing: format!("{program} ({}): {said}", output.status),
            source: std::io::ErrorKind::Other.into(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn prepare(doing: &str) -> impl FnOnce(std::io::Error) -> SshError {
    let doing = doing.to_owned();
    move |source| SshError::Prepare { doing, source }
}
