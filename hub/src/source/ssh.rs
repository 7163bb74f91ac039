//! Git's protocol over the `ssh` program, with pinned host keys and one key.

use std::{
    io::{self, Read, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
};

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use url::Url;

use super::egress::{self, Egress};

/// How much of what `ssh` complains of is kept.
const MAX_COMPLAINT_BYTES: u64 = 2048;

/// The transport for `ssh://`. The process lives as long as the connection.
#[derive(Default)]
pub(super) struct Ssh {
    running: Mutex<Option<Running>>,
}

/// A process that is ended when this is dropped.
struct Running {
    child: Arc<Mutex<Child>>,
    /// Dropped: the watch over the time ends.
    _watched: mpsc::Sender<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&self.child);
    }
}

fn end(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = child.kill();
    let _ = child.wait();
}

impl SmartSubtransport for Ssh {
    fn action(
        &self,
        _: &str,
        action: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let egress = egress::current()?;
        let program = match action {
            Service::UploadPackLs | Service::UploadPack => "git-upload-pack",
            Service::ReceivePackLs | Service::ReceivePack => "git-receive-pack",
        };
        let (running, connection) = start(&egress, program).map_err(|reason| {
            egress.failed(reason.clone());
            git2::Error::from_str(&reason)
        })?;
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        Ok(Box::new(connection))
    }

    fn close(&self) -> Result<(), git2::Error> {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Ok(())
    }
}

fn start(egress: &Egress, program: &str) -> Result<(Running, Connection), String> {
    let url = Url::parse(egress.address()).map_err(|it| it.to_string())?;
    let mut command = command(egress, &url, program)?;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|it| format!("the program ssh cannot be started: {it}; ssh:// sources need it"))?;
    let taken = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = taken else {
        return Err("ssh has no pipes".to_owned());
    };
    let child = Arc::new(Mutex::new(child));
    let (watched, watch) = mpsc::channel::<()>();
    let (late, left) = (child.clone(), egress.left());
    std::thread::spawn(move || {
        if watch.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
            end(&late);
        }
    });
    let complaints = egress.clone();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.take(MAX_COMPLAINT_BYTES).read_to_string(&mut text);
        if !text.trim().is_empty() {
            complaints.failed(format!("ssh: {}", text.trim()));
        }
    });
    let running = Running {
        child,
        _watched: watched,
    };
    let connection = Connection {
        stdin,
        stdout,
        egress: egress.clone(),
    };
    Ok((running, connection))
}

fn command(egress: &Egress, url: &Url, program: &str) -> Result<Command, String> {
    let credentials = &egress.credentials;
    let known_hosts = credentials.known_hosts.as_deref().ok_or(
        "an ssh:// source needs credentials with known_hosts: the keys that its server may have",
    )?;
    let identity = credentials
        .identity
        .as_deref()
        .ok_or("an ssh:// source needs credentials with identity: a private key")?;
    let host = url
        .host_str()
        .ok_or("the address has no host")?
        .trim_matches(['[', ']']);
    let user = if url.username().is_empty() {
        "git"
    } else {
        url.username()
    };
    let plain = |it: &str| {
        !it.is_empty()
            && !it.starts_with('-')
            && it
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || b"-._:@+".contains(&it))
    };
    if !plain(host) || !plain(user) {
        return Err(
            "the address has a host or user that ssh could take for something else".to_owned(),
        );
    }
    let path = url.path();
    if path.contains('\'') || path.contains('%') || path.bytes().any(|it| it.is_ascii_control()) {
        return Err(
            "the path of an ssh:// address must have no quotes and nothing escaped".to_owned(),
        );
    }
    let option = |name: &str, path: &Path| format!("{name}=\"{}\"", path.display());
    let seconds = egress.left().as_secs().max(1);
    let mut command = Command::new("ssh");
    command
        .env_remove("SSH_AUTH_SOCK")
        .args(["-F", "none", "-T", "-x", "-a"])
        .args([
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "IdentitiesOnly=yes",
        ])
        .args([
            "-o",
            "GlobalKnownHostsFile=/dev/null",
            "-o",
            "UpdateHostKeys=no",
        ])
        .args(["-o", &option("UserKnownHostsFile", known_hosts)])
        .args(["-o", &format!("ConnectTimeout={seconds}")])
        .arg("-i")
        .arg(identity)
        .args([
            "-p",
            &url.port().unwrap_or(22).to_string(),
            "-l",
            user,
            "--",
            host,
        ])
        .arg(format!("{program} '{path}'"));
    Ok(command)
}

struct Connection {
    stdin: ChildStdin,
    stdout: ChildStdout,
    egress: Egress,
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stdout.read(buffer)?;
        self.egress.take(count)?;
        Ok(count)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stdin.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdin.flush()
    }
}
