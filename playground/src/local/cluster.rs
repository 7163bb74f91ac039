//! A running control plane: how it starts, and what can be done to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

use super::command::{self, Files};
use super::folder;
use super::kubeconfig::kubeconfig;
use super::pki::{self, Pki};
use super::ports::Ports;
use super::process::{Process, State};
use super::ready::{READY_LIMIT, chain, wait_until};
use super::reaper::Reaper;
use super::setup::{NODE, client, io, is_ready, node, programs, url, write};
use super::{LocalError, LocalOptions, Part, Variant};

/// How often a start is tried again with other ports. Each try loses only if a process that is not ours took one of six ports within
/// the second after nobody listened there.
const PORT_ATTEMPTS: usize = 5;

/// The group that may do everything.
const ADMINS: &str = "system:masters";

/// A real Kubernetes control plane. Dropping it kills its processes and removes its data.
#[derive(Debug)]
pub struct LocalCluster {
    options: LocalOptions,
    ports: Ports,
    files: Files,
    pki: Pki,
    admin: String,
    client: reqwest::Client,
    programs: BTreeMap<Part, PathBuf>,
    parts: Mutex<BTreeMap<Part, Process>>,
    /// The part that ended by itself last, and how.
    ended: watch::Sender<Option<(Part, String)>>,
    // In this order: first the processes go, then the shell that would kill them, then the folder.
    reaper: Reaper,
    _data: TempDir,
}

impl LocalCluster {
    /// Starts a cluster and waits until it can be used. Tools that are missing are built first, which can take minutes.
    pub async fn start(options: LocalOptions) -> Result<Self, LocalError> {
        let programs = programs(&options).await?;
        Self::start_with(options, programs).await
    }

    /// Starts several at once; where one fails, none is left.
    pub async fn start_all(all: Vec<LocalOptions>) -> Result<Vec<Self>, LocalError> {
        let mut starts = Vec::new();
        for options in all {
            // Before the first start, so that a build takes its time alone.
            let programs = programs(&options).await?;
            starts.push(Self::start_with(options, programs));
        }
        futures::future::try_join_all(starts).await
    }

    async fn start_with(
        options: LocalOptions,
        programs: BTreeMap<Part, PathBuf>,
    ) -> Result<Self, LocalError> {
        let mut attempt = 1;
        loop {
            match Self::start_once(options.clone(), programs.clone()).await {
                Err(error) if error.is_port_in_use() && attempt < PORT_ATTEMPTS => {
                    tracing::info!(
                        cluster = options.name,
                        attempt,
                        "a port was taken meanwhile, trying others"
                    );
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn start_once(
        options: LocalOptions,
        programs: BTreeMap<Part, PathBuf>,
    ) -> Result<Self, LocalError> {
        let cluster = Self::prepare(options, programs)?;
        for part in cluster.options.variant.parts() {
            cluster.spawn(*part)?;
            // The others start while they wait for the API server; etcd and it are waited for, since nothing runs without them.
            if matches!(part, Part::Etcd | Part::ApiServer) {
                cluster.wait_ready(*part).await?;
            }
        }
        cluster.wait_settled().await?;
        Ok(cluster)
    }

    /// Everything but the processes.
    fn prepare(
        options: LocalOptions,
        programs: BTreeMap<Part, PathBuf>,
    ) -> Result<Self, LocalError> {
        let prefix = format!(
            "capstan-{}-",
            options
                .name
                .replace(|c: char| !c.is_ascii_alphanumeric(), "-")
        );
        let data = folder::private(&prefix)
            .map_err(io(&std::env::temp_dir(), "creating the data folder"))?;
        let files = Files {
            root: data.path().to_owned(),
        };
        let reaper = Reaper::start(data.path())?;
        let (ports, pki) = (Ports::pick()?, Pki::new(&options.name)?);
        let admin = pki.client("admin", Some(ADMINS))?;
        let client = client(&options.name, &pki, &admin)?;
        let admin = kubeconfig(&options.name, &url(&ports), &pki.authority, "admin", &admin);
        let (ended, _) = watch::channel(None);
        let parts = Mutex::default();
        let cluster = Self {
            options,
            ports,
            files,
            pki,
            admin,
            client,
            programs,
            parts,
            ended,
            reaper,
            _data: data,
        };
        cluster.write_files()?;
        Ok(cluster)
    }

    fn write_files(&self) -> Result<(), LocalError> {
        let (private, public) = pki::token_keys()?;
        let stages = include_str!("stages.yaml");
        let files = [
            (command::CA, self.pki.authority.as_str()),
            (command::TOKEN_KEY, &private),
            (command::TOKEN_PUBLIC_KEY, &public),
            (command::STAGES, stages),
            ("kubeconfig", &self.admin),
        ];
        for (name, text) in files {
            write(&self.files.at(name), text)?;
        }
        self.rotate_server_certificate()?;
        let users = [
            (
                Part::ControllerManager,
                "system:kube-controller-manager",
                None,
            ),
            (Part::Scheduler, "system:kube-scheduler", None),
            // It writes the status of nodes and pods as a kubelet does, for all of them.
            (Part::Kwok, "kwok", Some(ADMINS)),
        ];
        for (part, user, group) in users {
            write(
                &self.files.kubeconfig(part),
                &self.kubeconfig_for(user, group)?,
            )?;
        }
        Ok(())
    }

    fn spawn(&self, part: Part) -> Result<(), LocalError> {
        let program = self
            .programs
            .get(&part)
            .expect("a part is started only where its variant has it");
        let command = command::command(part, program, &self.files, &self.ports, &self.options);
        let (ended, name) = (self.ended.clone(), self.options.name.clone());
        let tell = move |status: &str, asked: bool| {
            if !asked {
                tracing::error!(cluster = name, %part, status, "a part of a local cluster ended by itself");
                ended.send_replace(Some((part, status.to_owned())));
            }
        };
        let process = Process::start(command, &self.files.log(part), &self.reaper, tell).map_err(
            |source| LocalError::Start {
                cluster: self.options.name.clone(),
                part,
                program: program.clone(),
                source,
            },
        )?;
        self.parts().insert(part, process);
        Ok(())
    }

    /// Waits until `part` says that it is well, or any part ends.
    async fn wait_ready(&self, part: Part) -> Result<(), LocalError> {
        self.wait(part, &command::health_url(part, &self.ports), |_| true)
            .await
    }

    /// Waits until what every cluster has is there: the first namespace and, in a full one, its service account and the node.
    async fn wait_settled(&self) -> Result<(), LocalError> {
        self.wait(
            Part::ApiServer,
            &format!("{}/api/v1/namespaces/default", self.url()),
            |_| true,
        )
        .await?;
        if self.options.variant == Variant::ApiOnly {
            return Ok(());
        }
        self.create("/api/v1/nodes", &node()).await?;
        for part in [Part::ControllerManager, Part::Scheduler, Part::Kwok] {
            self.wait_ready(part).await?;
        }
        let account = format!(
            "{}/api/v1/namespaces/default/serviceaccounts/default",
            self.url()
        );
        self.wait(Part::ControllerManager, &account, |_| true)
            .await?;
        self.wait(
            Part::Kwok,
            &format!("{}/api/v1/nodes/{NODE}", self.url()),
            is_ready,
        )
        .await
    }

    async fn wait(
        &self,
        part: Part,
        url: &str,
        good: impl Fn(&Value) -> bool,
    ) -> Result<(), LocalError> {
        let outcome = tokio::select! {
            ended = self.part_ended() => return Err(ended),
            outcome = wait_until(&self.client, url, good) => outcome,
        };
        outcome.map_err(|last| LocalError::NotReady {
            cluster: self.options.name.clone(),
            part,
            seconds: READY_LIMIT.as_secs(),
            last,
            log: self.log_tail(part),
        })
    }

    async fn create(&self, path: &str, object: &Value) -> Result<(), LocalError> {
        let failed = |reason| LocalError::Request {
            cluster: self.options.name.clone(),
            doing: format!("POST {path}"),
            reason,
        };
        let answer = self
            .client
            .post(format!("{}{path}", self.url()))
            .json(object)
            .send()
            .await
            .map_err(|error| failed(chain(&error)))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(failed(format!(
                "{status}: {}",
                answer.text().await.unwrap_or_default()
            ))),
        }
    }

    /// The cluster's name.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Where the API server listens.
    pub fn url(&self) -> String {
        url(&self.ports)
    }

    /// Where etcd listens: for tests that do to it what only an operator would.
    pub fn etcd_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.etcd_client)
    }

    /// A kubeconfig of an administrator.
    pub fn kubeconfig(&self) -> String {
        self.admin.clone()
    }

    /// The same as a file, as long as the cluster lives.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.files.at("kubeconfig")
    }

    /// A kubeconfig of another user, who may do only what RBAC gives to that user or group.
    pub fn kubeconfig_for(&self, user: &str, group: Option<&str>) -> Result<String, LocalError> {
        let identity = self.pki.client(user, group)?;
        Ok(kubeconfig(
            &self.options.name,
            &self.url(),
            &self.pki.authority,
            user,
            &identity,
        ))
    }

    /// Gives the control plane a new server certificate of the same authority, which the API server takes up while it runs.
    pub fn rotate_server_certificate(&self) -> Result<(), LocalError> {
        let server = self.pki.server()?;
        write(&self.files.at(command::SERVER_KEY), &server.key)?;
        write(
            &self.files.at(command::SERVER_CERTIFICATE),
            &server.certificate,
        )
    }

    /// Kills a part (SIGKILL) and waits until it is gone.
    pub async fn kill(&self, part: Part) {
        self.end(part, Signal::SIGKILL).await;
    }

    /// Asks a part to end (SIGTERM) and waits until it did.
    pub async fn terminate(&self, part: Part) {
        self.end(part, Signal::SIGTERM).await;
    }

    async fn end(&self, part: Part, signal: Signal) {
        self.signal(part, signal);
        let state = self.parts().get(&part).map(Process::state);
        if let Some(mut state) = state {
            // Fails only if the process and its last word are gone, which is what is waited for.
            let _ = state.wait_for(|state| *state != State::Running).await;
        }
    }

    /// Stops a part in its tracks (SIGSTOP): its connections stay open, and nobody answers.
    pub fn freeze(&self, part: Part) {
        self.signal(part, Signal::SIGSTOP);
    }

    /// Lets a frozen part go on.
    pub fn thaw(&self, part: Part) {
        self.signal(part, Signal::SIGCONT);
    }

    fn signal(&self, part: Part, signal: Signal) {
        if let Some(process) = self.parts().get(&part) {
            process.signal(signal);
        }
    }

    /// Starts a part again, with its old data and ports, after killing it if it runs; waits until it is ready.
    pub async fn restart(&self, part: Part) -> Result<(), LocalError> {
        self.kill(part).await;
        self.ended.send_replace(None);
        self.spawn(part)?;
        self.wait_ready(part).await
    }

    /// Waits until a part ends that nobody killed, and says so with the last lines of its log.
    pub async fn part_ended(&self) -> LocalError {
        let mut ended = self.ended.subscribe();
        let seen = ended
            .wait_for(Option::is_some)
            .await
            .expect("the cluster holds the sender")
            .clone();
        let (part, status) = seen.expect("it was waited for until there is one");
        LocalError::PartEnded {
            cluster: self.options.name.clone(),
            part,
            status,
            log: self.log_tail(part),
        }
    }

    /// The last lines of a part's log.
    pub fn log_tail(&self, part: Part) -> String {
        self.parts()
            .get(&part)
            .map(Process::log_tail)
            .unwrap_or_default()
    }

    /// The number of a part's process, while it runs.
    pub fn pid(&self, part: Part) -> Option<u32> {
        self.parts()
            .get(&part)?
            .pid()
            .map(|pid| pid.as_raw().cast_unsigned())
    }

    /// The memory that a part holds now (resident set), in bytes.
    pub fn memory(&self, part: Part) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid(part)?)).ok()?;
        let kibibytes: u64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()?;
        Some(kibibytes * 1024)
    }

    /// Ends everything and removes the data. Dropping does the same, but blocks.
    pub async fn stop(self) {
        // A panic in there has been told.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }

    fn parts(&self) -> std::sync::MutexGuard<'_, BTreeMap<Part, Process>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        // All at once; dropping each then only waits for its end.
        self.parts()
            .values()
            .for_each(|process| process.signal(Signal::SIGKILL));
        self.parts().clear();
    }
}
