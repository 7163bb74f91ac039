//! The command line of each part.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::pki::SERVICE_RANGE;
use super::ports::Ports;
use super::{Disk, LocalOptions, Part};

/// The files in a cluster's folder.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) root: PathBuf,
}

impl Files {
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn log(&self, part: Part) -> PathBuf {
        self.at(&format!("{part}.log"))
    }

    pub(super) fn kubeconfig(&self, part: Part) -> PathBuf {
        self.at(&format!("{part}.kubeconfig"))
    }
}

pub(super) const CA: &str = "ca.crt";
pub(super) const SERVER_CERTIFICATE: &str = "server.crt";
pub(super) const SERVER_KEY: &str = "server.key";
pub(super) const TOKEN_KEY: &str = "token.key";
pub(super) const TOKEN_PUBLIC_KEY: &str = "token.pub";
pub(super) const STAGES: &str = "stages.yaml";

/// What to run for `part`, with nothing of our own environment: a part reads no file outside its folder.
pub(super) fn command(
    part: Part,
    program: &Path,
    files: &Files,
    ports: &Ports,
    options: &LocalOptions,
) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(&files.root)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", &files.root);
    command.args(match part {
        Part::Etcd => etcd(files, ports, options.disk),
        Part::ApiServer => api_server(files, ports, options),
        Part::ControllerManager => controller_manager(files, ports),
        Part::Scheduler => scheduler(files, ports),
        Part::Kwok => kwok(files, ports),
    });
    command
}

/// Where a part says whether it is well.
pub(super) fn health_url(part: Part, ports: &Ports) -> String {
    match part {
        Part::Etcd => format!("http://127.0.0.1:{}/health", ports.etcd_client),
        Part::ApiServer => format!("https://127.0.0.1:{}/readyz", ports.api_server),
        Part::ControllerManager => {
            format!("https://127.0.0.1:{}/healthz", ports.controller_manager)
        }
        Part::Scheduler => format!("https://127.0.0.1:{}/healthz", ports.scheduler),
        Part::Kwok => format!("http://127.0.0.1:{}/healthz", ports.kwok),
    }
}

fn flag(name: &str, value: impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}

fn file(name: &str, path: &Path) -> String {
    flag(name, path.display())
}

fn etcd(files: &Files, ports: &Ports, disk: Disk) -> Vec<String> {
    let client = format!("http://127.0.0.1:{}", ports.etcd_client);
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    let mut flags = vec![
        file("data-dir", &files.at("etcd")),
        flag("listen-client-urls", &client),
        flag("advertise-client-urls", &client),
        flag("listen-peer-urls", &peer),
        flag("initial-advertise-peer-urls", &peer),
        flag("initial-cluster", format!("default={peer}")),
        flag("log-level", "warn"),
    ];
    if disk == Disk::Fast {
        flags.push("--unsafe-no-fsync".to_owned());
    }
    flags
}

fn api_server(files: &Files, ports: &Ports, options: &LocalOptions) -> Vec<String> {
    let mut flags = vec![
        flag(
            "etcd-servers",
            format!("http://127.0.0.1:{}", ports.etcd_client),
        ),
        flag("bind-address", "127.0.0.1"),
        flag("advertise-address", "127.0.0.1"),
        flag("secure-port", ports.api_server),
        // There is no other API server to keep a list of, and the address of this one may not be in an Endpoints object.
        flag("endpoint-reconciler-type", "none"),
        file("cert-dir", &files.at("pki")),
        file("tls-cert-file", &files.at(SERVER_CERTIFICATE)),
        file("tls-private-key-file", &files.at(SERVER_KEY)),
        file("client-ca-file", &files.at(CA)),
        flag("service-account-issuer", "https://kubernetes.default.svc"),
        file("service-account-key-file", &files.at(TOKEN_PUBLIC_KEY)),
        file("service-account-signing-key-file", &files.at(TOKEN_KEY)),
        flag("service-cluster-ip-range", SERVICE_RANGE),
        flag("authorization-mode", "RBAC"),
        flag("allow-privileged", true),
        flag("profiling", false),
    ];
    flags.extend(options.api_server_flags.iter().cloned());
    flags
}

/// What the controller manager and the scheduler share.
fn controller(part: Part, port: u16, files: &Files) -> Vec<String> {
    vec![
        file("kubeconfig", &files.kubeconfig(part)),
        flag("leader-elect", false),
        flag("bind-address", "127.0.0.1"),
        flag("secure-port", port),
        file("tls-cert-file", &files.at(SERVER_CERTIFICATE)),
        file("tls-private-key-file", &files.at(SERVER_KEY)),
        flag("profiling", false),
    ]
}

fn controller_manager(files: &Files, ports: &Ports) -> Vec<String> {
    let mut flags = controller(Part::ControllerManager, ports.controller_manager, files);
    flags.extend([
        file("service-account-private-key-file", &files.at(TOKEN_KEY)),
        file("root-ca-file", &files.at(CA)),
        flag("use-service-account-credentials", true),
    ]);
    flags
}

fn scheduler(files: &Files, ports: &Ports) -> Vec<String> {
    controller(Part::Scheduler, ports.scheduler, files)
}

fn kwok(files: &Files, ports: &Ports) -> Vec<String> {
    vec![
        file("kubeconfig", &files.kubeconfig(Part::Kwok)),
        file("config", &files.at(STAGES)),
        flag("manage-all-nodes", true),
        flag("node-lease-duration-seconds", 40),
        flag("server-address", format!("127.0.0.1:{}", ports.kwok)),
    ]
}
