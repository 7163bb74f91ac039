//! One part as a process: started in a group of its own, watched, killed with all that it started.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::sync::watch;

use super::reaper::Reaper;

/// Lines of a log that an error shows.
const LOG_LINES: usize = 15;

/// How much of a log's end is read to find them: a line of a Go panic is shorter than a page.
const LOG_BYTES: u64 = 16 * 1024;

/// Whether a process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It runs, or is frozen.
    Running,
    /// It ended.
    Ended {
        /// How, for a person.
        status: String,
        /// Whether we asked for it.
        asked: bool,
    },
}

/// A running (or ended) process.
#[derive(Debug)]
pub(super) struct Process {
    log: PathBuf,
    control: Arc<Mutex<Control>>,
    state: watch::Receiver<State>,
    waiter: Option<JoinHandle<()>>,
}

/// What the waiting thread and we both change.
#[derive(Debug)]
struct Control {
    /// Until the process was reaped: as long as it is here, its number belongs to it.
    pid: Option<Pid>,
    asked: bool,
}

impl Process {
    /// Starts `command`, with its output appended to `log`. `tell` hears how it ended, and whether we asked for it.
    pub(super) fn start(
        mut command: Command,
        log: &Path,
        reaper: &Reaper,
        tell: impl FnOnce(&str, bool) + Send + 'static,
    ) -> std::io::Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(log)?;
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let child = command.spawn()?;
        let pid = Pid::from_raw(child.id().cast_signed());
        reaper.watch(pid);
        let control = Arc::new(Mutex::new(Control {
            pid: Some(pid),
            asked: false,
        }));
        let (sender, state) = watch::channel(State::Running);
        let waiter = thread::spawn({
            let (control, reaper) = (control.clone(), reaper.clone());
            move || {
                let (status, asked) = wait(child, pid, &control, &reaper);
                tell(&status, asked);
                // Nobody may be left who wants to know.
                let _ = sender.send(State::Ended { status, asked });
            }
        });
        Ok(Self {
            log: log.to_owned(),
            control,
            state,
            waiter: Some(waiter),
        })
    }

    /// Its number, while it runs.
    pub(super) fn pid(&self) -> Option<Pid> {
        self.lock().pid
    }

    /// Where its state is told.
    pub(super) fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Sends a signal to it and all that it started. One that has ended gets none.
    pub(super) fn signal(&self, signal: Signal) {
        let mut control = self.lock();
        let Some(pid) = control.pid else { return };
        control.asked |= matches!(signal, Signal::SIGKILL | Signal::SIGTERM);
        match killpg(pid, signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => {
                tracing::error!(%pid, %signal, %error, "sending a signal to a process group failed")
            }
        }
    }

    /// The last lines of its log.
    pub(super) fn log_tail(&self) -> String {
        read_tail(&self.log).unwrap_or_else(|error| format!("({}: {error})", self.log.display()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        if let Some(waiter) = self.waiter.take() {
            // A killed process ends, so this does too; a panic in there is told by its own message.
            let _ = waiter.join();
        }
    }
}

/// Waits for the end of `child`. The process stays a zombie until its number is out of `control`, so that no signal
/// can ever reach another process with that number.
fn wait(mut child: Child, pid: Pid, control: &Mutex<Control>, reaper: &Reaper) -> (String, bool) {
    while let Err(Errno::EINTR) = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
    {
    }
    let asked = {
        let mut control = control.lock().unwrap_or_else(PoisonError::into_inner);
        control.pid = None;
        reaper.forget(pid);
        control.asked
    };
    (
        child
            .wait()
            .map_or_else(|error| error.to_string(), describe),
        asked,
    )
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => Signal::try_from(signal)
            .map_or_else(|_| format!("signal {signal}"), |signal| signal.to_string()),
        (None, None) => status.to_string(),
    }
}

fn read_tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(LOG_LINES)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    async fn end(process: &Process) -> State {
        let mut state = process.state();
        let ended = state.wait_for(|state| *state != State::Running);
        tokio::time::timeout(std::time::Duration::from_secs(30), ended)
            .await
            .expect("it ends")
            .expect("it is told")
            .clone()
    }

    #[tokio::test]
    async fn an_end_by_itself_and_an_end_that_was_asked_for_differ() {
        let folder = tempfile::tempdir().unwrap();
        let reaper = Reaper::start(folder.path()).unwrap();
        let log = folder.path().join("log");
        let fails = Process::start(
            shell("for i in $(seq 40); do echo line $i; done; exit 7"),
            &log,
            &reaper,
            |_, _| {},
        )
        .unwrap();
        assert_eq!(
            end(&fails).await,
            State::Ended {
                status: "exit status 7".into(),
                asked: false
            }
        );
        assert_eq!(fails.log_tail().lines().count(), LOG_LINES);
        assert!(fails.log_tail().ends_with("line 40"));
        let stays =
            Process::start(shell("sleep 600; echo never"), &log, &reaper, |_, _| {}).unwrap();
        stays.signal(Signal::SIGKILL);
        assert_eq!(
            end(&stays).await,
            State::Ended {
                status: "SIGKILL".into(),
                asked: true
            }
        );
        assert_eq!(stays.pid(), None);
    }

    #[tokio::test]
    async fn dropping_it_kills_what_it_started_too() {
        let folder = tempfile::tempdir().unwrap();
        let reaper = Reaper::start(folder.path()).unwrap();
        let process = Process::start(
            shell("sleep 600 & wait"),
            &folder.path().join("log"),
            &reaper,
            |_, _| {},
        )
        .unwrap();
        let pid = process.pid().unwrap();
        drop(process);
        // The group's last member is a child of init's by now: it goes as soon as that collects it.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while killpg(pid, None) != Err(Errno::ESRCH) {
            assert!(
                std::time::Instant::now() < deadline,
                "the group still has members"
            );
            thread::yield_now();
        }
    }
}
