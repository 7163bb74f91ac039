//! Hubs and agents as processes that can be killed and started again.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::Context;

/// Bytes of a log that an error shows.
const SHOWN_LOG_BYTES: usize = 2_000;

/// What is logged: all that a failing test may need, and what production has where times are measured.
const LOG: &str = if cfg!(debug_assertions) {
    "debug,h2=info,hyper=info,tower=info,rustls=info"
} else {
    "info"
};

/// A running process with its log in a file. It is killed when it is dropped.
pub struct Process {
    child: Mutex<Child>,
    args: Vec<String>,
    log: PathBuf,
}

impl Process {
    /// Starts the test's own program with `args`; what it logs is appended to `NAME.log` in `folder`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(folder: &Path, name: &str, args: &[&str]) -> anyhow::Result<Self> {
        let args: Vec<String> = args.iter().map(|it| (*it).to_owned()).collect();
        let log = folder.join(format!("{name}.log"));
        let child = Mutex::new(spawn(&args, &log, &[])?);
        Ok(Self { child, args, log })
    }

    /// Kills it with SIGKILL, which it cannot notice.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn kill(&self) -> anyhow::Result<()> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.kill().context("kill -9")?;
        child.wait().context("wait")?;
        Ok(())
    }

    /// Starts it again as before. A token that was used up does no harm: the agent has its certificate.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart(&self) -> anyhow::Result<()> {
        self.restart_with(&[])
    }

    /// The same, with further environment variables this once.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart_with(&self, environment: &[(&str, &str)]) -> anyhow::Result<()> {
        let child = spawn(&self.args, &self.log, environment)?;
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = child;
        Ok(())
    }

    /// Its number, for what `/proc` says of it.
    pub fn pid(&self) -> u32 {
        self.child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .id()
    }

    /// How it ended with the end of its log; nothing while it runs.
    pub fn ended(&self) -> Option<String> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let status = child.try_wait().ok().flatten()?;
        let log = std::fs::read(&self.log).unwrap_or_default();
        let end = &log[log.len().saturating_sub(SHOWN_LOG_BYTES)..];
        Some(format!("{status}\n{}", String::from_utf8_lossy(end)))
    }

    /// What it logged.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(&self.log)?).into_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that ended by itself needs no killing.
        let _ = self.kill();
    }
}

fn spawn(args: &[String], log: &Path, environment: &[(&str, &str)]) -> anyhow::Result<Child> {
    let log: File = OpenOptions::new().create(true).append(true).open(log)?;
    let program = program()?;
    let (program, args) = match small_agent(&program, args) {
        Some(agent) => (agent, &args[1..]),
        None => (program, args),
    };
    Command::new(&program)
        .args(args)
        .env("RUST_LOG", LOG)
        .env("CAPSTAN_LOG", LOG)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .with_context(|| program.display().to_string())
}

/// The agent's own small program, for an agent that is measured: what it has in memory is what people see. It is there where the
/// whole workspace was built.
fn small_agent(program: &Path, args: &[String]) -> Option<PathBuf> {
    let agent = program.with_file_name("capstan-agent");
    let is_measured = !cfg!(debug_assertions) && args.first().is_some_and(|it| it == "agent");
    (is_measured && agent.is_file()).then_some(agent)
}

/// `capstan-integration`, which has hubs and agents as hidden commands: this program itself, or what cargo builds beside a test.
/// Tests run from `deps`; it lies one folder above.
fn program() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folders = test.ancestors().skip(1).take(2);
    let found = folders
        .map(|it| it.join("capstan-integration"))
        .find(|it| it.is_file());
    found.context("capstan-integration is not beside the test; build it with `cargo build -p capstan-integration`")
}
