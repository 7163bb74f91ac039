//! A real Git server on this machine: `git http-backend` behind HTTP, for the demo and for tests.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
    serve::Listener,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::Command,
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::sim::tls::Tls;

/// A push larger than this is no demo.
const MAX_REQUEST_BYTES: usize = 64 << 20;
/// A client that does not finish its handshake in this time keeps the others waiting no longer.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// A CGI program's header lines.
const MAX_HEADER_BYTES: usize = 16 << 10;

/// Who may use a [`GitServer`].
#[derive(Clone)]
pub struct Login {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
}

/// A running server of bare repositories. It stops when it is dropped.
pub struct GitServer {
    scheme: &'static str,
    address: SocketAddr,
    root: PathBuf,
    task: JoinHandle<()>,
}

struct Backend {
    root: PathBuf,
    login: Option<String>,
}

impl GitServer {
    /// Serves the repositories below `root`, which must exist, on a free loopback port. With a `login`, every request needs
    /// it; without, everybody on this machine may read and push.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(root: &Path, login: Option<Login>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self::serve("http", listener, address, root, login))
    }

    /// The same over TLS, with a certificate of an authority that is made for it and given as PEM.
    ///
    /// # Errors
    /// When no port or no certificate can be had.
    pub async fn start_tls(root: &Path, login: Option<Login>) -> io::Result<(Self, String)> {
        let tls = Tls::new().map_err(io::Error::other)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let listener = TlsListener {
            listener,
            acceptor: tls.acceptor.clone(),
        };
        let server = Self::serve("https", listener, address, root, login);
        Ok((server, tls.authority))
    }

    fn serve<L: Listener>(
        scheme: &'static str,
        listener: L,
        address: SocketAddr,
        root: &Path,
        login: Option<Login>,
    ) -> Self
    where
        L::Addr: std::fmt::Debug,
    {
        let basic = |it: Login| {
            format!(
                "Basic {}",
                STANDARD.encode(format!("{}:{}", it.user, it.password))
            )
        };
        let backend = Arc::new(Backend {
            root: root.to_owned(),
            login: login.map(basic),
        });
        let router = Router::new().fallback(serve).with_state(backend);
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "git server ended");
            }
        });
        Self {
            scheme,
            address,
            root: root.to_owned(),
            task,
        }
    }

    /// Where the repository `name` is.
    pub fn url(&self, name: &str) -> String {
        format!("{}://{}/{name}", self.scheme, self.address)
    }

    /// Makes an empty bare repository that may be pushed to, whose branch is `main`.
    ///
    /// # Errors
    /// When `git` is missing or fails; its own words are in the error.
    pub async fn create(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.root.join(name);
        let folder = path.to_string_lossy().into_owned();
        git(
            &self.root,
            &[
                "init",
                "--quiet",
                "--bare",
                "--initial-branch=main",
                &folder,
            ],
        )
        .await?;
        git(&path, &["config", "http.receivepack", "true"]).await?;
        Ok(path)
    }
}

/// Connections whose handshake is done.
struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, peer)) = self.listener.accept().await else {
                continue;
            };
            let done = tokio::time::timeout(HANDSHAKE_TIMEOUT, self.acceptor.accept(stream)).await;
            if let Ok(Ok(stream)) = done {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Runs `git` in `folder` with a fixed identity and without the user's configuration, and gives what it prints.
///
/// # Errors
/// When `git` is missing or fails; its own words are in the error.
pub async fn git(folder: &Path, args: &[&str]) -> io::Result<String> {
    let output = command(folder)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .await;
    let output = output
        .map_err(|error| io::Error::new(error.kind(), format!("git: {error}; install git")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!(
            "git {}: {}",
            args.join(" "),
            said.trim()
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", "Capstan")
        .env("GIT_AUTHOR_EMAIL", "capstan@localhost")
        .env("GIT_COMMITTER_NAME", "Capstan")
        .env("GIT_COMMITTER_EMAIL", "capstan@localhost")
        .kill_on_drop(true);
    command
}

async fn serve(State(backend): State<Arc<Backend>>, request: Request) -> Response<Body> {
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .map(HeaderValue::as_bytes);
    if backend
        .login
        .as_deref()
        .is_some_and(|it| given != Some(it.as_bytes()))
    {
        let mut refused = status(StatusCode::UNAUTHORIZED, "a login is needed");
        let challenge = HeaderValue::from_static("Basic realm=\"git\"");
        refused
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
        return refused;
    }
    backend.run(request).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "git http-backend failed");
        status(StatusCode::INTERNAL_SERVER_ERROR, "git http-backend failed")
    })
}

impl Backend {
    async fn run(&self, request: Request) -> io::Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let text = |name: HeaderName| {
            let value = parts.headers.get(name).and_then(|it| it.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let mut command = command(&self.root);
        command
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &self.root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REQUEST_METHOD", parts.method.as_str())
            .env("PATH_INFO", parts.uri.path())
            .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
            .env("CONTENT_TYPE", text(header::CONTENT_TYPE))
            .env("HTTP_CONTENT_ENCODING", text(header::CONTENT_ENCODING))
            .env(
                "GIT_PROTOCOL",
                text(HeaderName::from_static("git-protocol")),
            )
            .env("REMOTE_USER", "capstan")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let body = axum::body::to_bytes(body, MAX_REQUEST_BYTES)
            .await
            .map_err(io::Error::other)?;
        command.env("CONTENT_LENGTH", body.len().to_string());
        let mut child = command.spawn()?;
        let mut stdin = child
            .stdin
            .take()
            .ok_or_else(|| io::Error::other("no stdin"))?;
        let mut stdout = child
            .stdout
            .take()
            .ok_or_else(|| io::Error::other("no stdout"))?;
        let write = async move {
            // A request that git refuses is not read to its end.
            let _ = stdin.write_all(&body).await;
        };
        let mut answer = Vec::new();
        let (read, ()) = tokio::join!(stdout.read_to_end(&mut answer), write);
        read?;
        child.wait().await?;
        parse_cgi(&answer)
    }
}

/// A CGI answer: header lines, an empty line, the body.
fn parse_cgi(answer: &[u8]) -> io::Result<Response<Body>> {
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n");
    let end = end
        .filter(|it| *it <= MAX_HEADER_BYTES)
        .ok_or_else(|| io::Error::other("no header"))?;
    let head = std::str::from_utf8(&answer[..end]).map_err(io::Error::other)?;
    let mut response = Response::new(Body::from(answer[end + 4..].to_vec()));
    for line in head.split("\r\n") {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| io::Error::other("a header without `:`"))?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default();
            *response.status_mut() = code.parse().map_err(io::Error::other)?;
            continue;
        }
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(io::Error::other)?;
        let value = HeaderValue::from_str(value).map_err(io::Error::other)?;
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

fn status(code: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = code;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_pushed_can_be_cloned_by_who_may() {
        let folder = tempfile::tempdir().unwrap();
        let login = Login {
            user: "ann".into(),
            password: "p".into(),
        };
        let server = GitServer::start(folder.path(), Some(login)).await.unwrap();
        server.create("fleet.git").await.unwrap();
        let work = folder.path().join("work");
        let with_login = server.url("fleet.git").replace("http://", "http://ann:p@");
        git(folder.path(), &["clone", "--quiet", &with_login, "work"])
            .await
            .unwrap();
        std::fs::write(work.join("a.txt"), "a").unwrap();
        git(&work, &["add", "."]).await.unwrap();
        git(&work, &["commit", "--quiet", "-m", "first"])
            .await
            .unwrap();
        git(&work, &["push", "--quiet", "origin", "HEAD:main"])
            .await
            .unwrap();
        git(folder.path(), &["clone", "--quiet", &with_login, "again"])
            .await
            .unwrap();
        assert!(folder.path().join("again/a.txt").exists());
        let refused = git(
            folder.path(),
            &["clone", "--quiet", &server.url("fleet.git"), "no"],
        )
        .await;
        assert!(refused.is_err());
    }
}
