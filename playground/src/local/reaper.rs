//! The last resort against processes left behind: a shell that waits for the end of our pipe.
//!
//! A destructor does not run when a process is killed, nor for a `static`. The kernel closes the pipe in every case; the shell then
//! reads the end of its input, kills the process groups that it was told of and removes the data folder. It is in a process
//! group of its own, so that Ctrl-C in a terminal does not reach it.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use nix::unistd::Pid;

use super::LocalError;

/// Reads lines `+PID` and `-PID`; at the end of input it kills the groups that remain and removes the folder `$1`.
const SCRIPT: &str = r#"
groups=' '
while read -r line; do
  pid=${line#?}
  case $line in
  +*) groups="$groups$pid " ;;
  -*) groups="${groups%% $pid *} ${groups#* $pid }" ;;
  esac
done
# `-s`: the shell of Debian takes no `--` after the short form.
for pid in $groups; do kill -s KILL -- "-$pid"; done
rm -rf -- "$1"
"#;

/// Tells the shell what to kill. Clones speak to the same shell; it acts when the last is gone.
#[derive(Debug, Clone)]
pub(super) struct Reaper {
    pipe: Arc<Mutex<Pipe>>,
}

#[derive(Debug)]
struct Pipe {
    shell: Child,
    stdin: Option<ChildStdin>,
}

impl Reaper {
    /// Starts the shell that is to remove `folder` at the end.
    pub(super) fn start(folder: &Path) -> Result<Self, LocalError> {
        let failed = |source| LocalError::Io {
            path: folder.to_owned(),
            doing: "starting the shell that cleans up",
            source,
        };
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "capstan-playground-reaper"])
            .arg(folder)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let stdin = shell.stdin.take();
        Ok(Self {
            pipe: Arc::new(Mutex::new(Pipe { shell, stdin })),
        })
    }

    /// The process group `pid` is to be killed at the end.
    pub(super) fn watch(&self, pid: Pid) {
        self.say(&format!("+{pid}\n"));
    }

    /// It has ended; its number may belong to another by now.
    pub(super) fn forget(&self, pid: Pid) {
        self.say(&format!("-{pid}\n"));
    }

    fn say(&self, line: &str) {
        let mut pipe = self
            .pipe
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(Err(error)) = pipe
            .stdin
            .as_mut()
            .map(|stdin| stdin.write_all(line.as_bytes()))
        {
            tracing::warn!(%error, "the shell that cleans up after a killed process is gone");
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // Fails only where there is no such process any more.
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep")
            .arg("600")
            .process_group(0)
            .spawn()
            .unwrap()
    }

    #[test]
    fn it_kills_what_it_watches_and_removes_the_folder() {
        let folder = tempfile::tempdir().unwrap().keep();
        let (mut watched, mut forgotten) = (sleeper(), sleeper());
        let reaper = Reaper::start(&folder).unwrap();
        for child in [&watched, &forgotten] {
            reaper.watch(Pid::from_raw(child.id().cast_signed()));
        }
        reaper.forget(Pid::from_raw(forgotten.id().cast_signed()));
        drop(reaper);
        let deadline = Instant::now() + Duration::from_secs(30);
        while watched.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the watched process still runs");
            std::thread::yield_now();
        }
        assert!(!folder.exists());
        assert!(
            forgotten.try_wait().unwrap().is_none(),
            "the forgotten one was killed too"
        );
        forgotten.kill().unwrap();
        forgotten.wait().unwrap();
    }
}
