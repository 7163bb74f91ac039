//! A Kubernetes API server in memory, over HTTP on loopback.
//!
//! It answers like a kube-apiserver 1.36, as far as a client of the common verbs can tell: discovery, lists and watches with resource versions,
//! server-side apply with managed fields, patches, deletion with finalizers and owners, custom kinds, roles and impersonation. One process can
//! hold hundreds of clusters: they share their schema tables and two threads.
//!
//! ```no_run
//! use capstan_playground::sim::{SimCluster, SimOptions};
//!
//! let cluster = SimCluster::start(SimOptions::default()).expect("loopback has a free port");
//! println!("{}", cluster.kubeconfig());
//! ```
//!
//! Tests script it: faults per request ([`Fault`]), workloads that are slow or fail ([`Readiness`]), a clock that stands still
//! ([`ClockMode`]), changes by somebody else ([`SimCluster::put_as`]), and an API server that freezes, stops, or loses its data.
//! They see every request ([`SimCluster::requests`]) and every object ([`SimCluster::objects`]).
//!
//! What it does not do it refuses with 501 and says so: logs, exec and proxies of pods, OpenAPI v2, bindings. Workloads get their status only;
//! no ReplicaSets, Pods or Events are made. Webhooks are matched but never reached, so that their failure policy decides. Rules in CEL of custom
//! kinds are not evaluated, which creating such a definition warns of. Tables are not made; clients that ask for them take objects.

mod admission;
mod apply;
mod auth;
mod authn;
mod bootstrap;
mod cluster;
mod controllers;
mod convert;
mod crd;
mod defaults;
mod delete;
mod discovery;
mod faults;
mod gc;
mod handler;
mod http;
mod identity;
mod inspect;
mod kinds;
mod namespaces;
mod options;
mod patch;
mod quantity;
mod quota;
mod rbac;
mod read;
mod record;
mod reviews;
mod route;
mod scale;
mod schema;
mod selector;
mod state;
mod status;
mod storage;
mod strategy;
mod suffix;
pub(crate) mod tls;
mod validate;
mod watch;
mod workloads;
mod write;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use base64::Engine as _;

pub use auth::User;
pub use faults::{Action, Fault, RequestMatch};
pub use inspect::{ObjectRef, Refused};
pub use record::Recorded;
pub use workloads::{Readiness, WorkloadMatch};

use cluster::{Cluster, Gate};
use state::{Clock, State};

/// Why a simulated cluster could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// No port.
    #[error("simulated cluster: cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A certificate could not be made.
    #[error("simulated cluster: cannot make {what}")]
    Certificate {
        /// Which.
        what: &'static str,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// TLS could not be set up.
    #[error("simulated cluster: cannot set up TLS")]
    Tls {
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

/// How the time of a cluster passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClockMode {
    /// With the clock of the machine, plus what it is advanced by.
    #[default]
    Running,
    /// Only when it is advanced.
    Frozen,
}

/// How a cluster is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimOptions {
    /// How the kubeconfig calls it.
    pub name: String,
    /// Served over TLS, with its own authority.
    pub tls: bool,
    /// Requests are checked against roles. The kubeconfig is that of an administrator in any case.
    pub rbac: bool,
    /// The work of a controller manager is done: namespaces end, dependents are collected, workloads become ready.
    pub controllers: bool,
    /// How its time passes.
    pub clock: ClockMode,
    /// What becomes of workloads; without a rule they are ready at once.
    pub workloads: Vec<(WorkloadMatch, Readiness)>,
}

impl Default for SimOptions {
    fn default() -> SimOptions {
        SimOptions {
            name: "sim".into(),
            tls: false,
            rbac: true,
            controllers: true,
            clock: ClockMode::Running,
            workloads: Vec::new(),
        }
    }
}

/// What a restart does with the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// They stay, as after a restart of the API server.
    Keep,
    /// They are lost, as after the loss of etcd: a new cluster at the same address.
    Lose,
}

/// A simulated cluster. It stops when it is dropped.
pub struct SimCluster {
    cluster: Arc<Cluster>,
    options: SimOptions,
    address: SocketAddr,
    token: String,
    /// Says when the listener has ended.
    running: Mutex<Option<mpsc::Receiver<()>>>,
}

impl std::fmt::Debug for SimCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimCluster")
            .field("name", &self.options.name)
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}

fn fresh(options: &SimOptions, credentials: auth::Credentials) -> State {
    let frozen = (options.clock == ClockMode::Frozen).then(jiff::Timestamp::now);
    let mut policies = workloads::Policies::default();
    for (which, readiness) in &options.workloads {
        policies.set(which.clone(), readiness.clone());
    }
    let clock = Clock::new(frozen);
    let mut state = State::new(
        clock,
        credentials,
        options.rbac,
        options.controllers,
        policies,
    );
    bootstrap::fill(&mut state);
    state
}

impl SimCluster {
    /// Starts a cluster on a port that the kernel picks.
    ///
    /// # Errors
    /// When loopback cannot be listened on, or certificates cannot be made.
    pub fn start(options: SimOptions) -> Result<SimCluster, SimError> {
        let mut credentials = auth::Credentials::default();
        let token = credentials.issue(User::admin());
        let tls = if options.tls {
            Some(tls::Tls::new()?)
        } else {
            None
        };
        let cluster = Arc::new(Cluster::new(fresh(&options, credentials), tls));
        let mut sim = SimCluster {
            cluster,
            options,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            token,
            running: Mutex::new(None),
        };
        sim.address = sim.listen()?;
        Ok(sim)
    }

    fn listen(&self) -> Result<SocketAddr, SimError> {
        let failed = |source| SimError::Listen {
            address: self.address,
            source,
        };
        let listener = std::net::TcpListener::bind(self.address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = {
            let _inside = cluster::runtime().enter();
            tokio::net::TcpListener::from_std(listener).map_err(failed)?
        };
        self.cluster.gate.send_replace(Gate::Running);
        let (ended, running) = mpsc::channel();
        let shared = Arc::clone(&self.cluster);
        cluster::runtime().spawn(async move {
            http::listen(shared, listener).await;
            // Nobody waits where the cluster was dropped.
            let _ = ended.send(());
        });
        cluster::runtime().spawn(cluster::tick(Arc::clone(&self.cluster)));
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        Ok(address)
    }

    /// Where it is served.
    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "{}://{}",
            if self.options.tls { "https" } else { "http" },
            self.address
        )
    }

    /// A kubeconfig of an administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig_text(&format!("{{token: {}}}", self.token))
    }

    /// A kubeconfig of somebody else, with a token of their own.
    #[must_use]
    pub fn kubeconfig_for(&self, user: User) -> String {
        self.kubeconfig_text(&format!("{{token: {}}}", self.token_for(user)))
    }

    /// A kubeconfig with a client certificate; the cluster must be served over TLS.
    ///
    /// # Errors
    /// When there is no authority, or no certificate can be made.
    pub fn kubeconfig_with_certificate(&self, user: &User) -> Result<String, SimError> {
        let tls = self.cluster.tls.as_ref().ok_or_else(|| SimError::Tls {
            source: rustls::Error::General("the cluster is served without TLS".into()),
        })?;
        let (certificate, key) = tls.client(user)?;
        let encode = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
        Ok(self.kubeconfig_text(&format!(
            "{{client-certificate-data: {}, client-key-data: {}}}",
            encode(certificate),
            encode(key)
        )))
    }

    fn kubeconfig_text(&self, user: &str) -> String {
        let name = &self.options.name;
        let authority = self.cluster.tls.as_ref().map(|tls| {
            format!(
                ", certificate-authority-data: {}",
                base64::engine::general_purpose::STANDARD.encode(&tls.authority)
            )
        });
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {name}\nclusters:\n- name: {name}\n  cluster: {{server: \"{}\"{}}}\ncontexts:\n- name: {name}\n  context: {{cluster: {name}, user: {name}}}\nusers:\n- name: {name}\n  user: {user}\n",
            self.url(),
            authority.unwrap_or_default()
        )
    }

    /// A new bearer token of a user.
    #[must_use]
    pub fn token_for(&self, user: User) -> String {
        self.cluster.lock().credentials.issue(user)
    }

    /// Makes a token worthless.
    pub fn revoke(&self, token: &str) {
        self.cluster.lock().credentials.revoke(token);
    }

    /// Leaves every request, old and new, without an answer.
    pub fn freeze(&self) {
        self.cluster
            .gate
            .send_if_modified(|gate| std::mem::replace(gate, Gate::Frozen) != Gate::Frozen);
    }

    /// Goes on after [`SimCluster::freeze`].
    pub fn thaw(&self) {
        self.cluster.gate.send_replace(Gate::Running);
    }

    /// Closes the port and all connections at once. The objects stay for [`SimCluster::restart`].
    pub fn stop(&self) {
        self.cluster.gate.send_replace(Gate::Stopped);
        let running = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(running) = running {
            // An error means that it has ended already.
            let _ = running.recv();
        }
    }

    /// Stops it if it runs, and serves again at the same address.
    ///
    /// # Errors
    /// When somebody took the port in between.
    pub fn restart(&self, data: Data) -> Result<(), SimError> {
        self.stop();
        if data == Data::Lose {
            let mut state = self.cluster.lock();
            let credentials = state.credentials.clone();
            *state = fresh(&self.options, credentials);
        }
        self.listen()?;
        Ok(())
    }

    /// Lets the time of the cluster pass.
    pub fn advance(&self, by: Duration) {
        self.cluster.write(|state| state.clock.advance(by));
    }

    /// What becomes of workloads from now on; those in progress are looked at again.
    pub fn set_readiness(&self, which: WorkloadMatch, readiness: Readiness) {
        self.cluster.write(|state| {
            state.policies.set(which, readiness);
            controllers::revisit_workloads(state);
        });
    }
}

impl Drop for SimCluster {
    fn drop(&mut self) {
        self.cluster.gate.send_replace(Gate::Stopped);
    }
}
