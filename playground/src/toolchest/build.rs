//! Builds one tool with Go: under a lock, with progress, and put in place by one rename.

use std::collections::VecDeque;
use std::fs::{self, File, TryLockError};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::recipe::Recipe;
use super::{Progress, Step, Tool, ToolError, Toolchest};

/// A cold build of the API server takes some six minutes on two idle cores; a machine that is five times slower still gets there,
/// and a download that hangs is given up.
const BUILD_LIMIT: Duration = Duration::from_secs(45 * 60);

/// How often progress is reported at most: often enough to see that it moves, rare enough for a log.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// Lines of output that an error shows.
const LAST_LINES: usize = 20;

/// Builds `tool` unless another process did so in the meantime, and returns its path.
pub(super) fn build(chest: &Toolchest, tool: Tool) -> Result<PathBuf, ToolError> {
    chest.check_go(tool)?;
    let target = chest.cached(tool);
    let folder = target.parent().unwrap_or(&chest.cache);
    fs::create_dir_all(folder).map_err(io(folder, "creating the cache folder"))?;
    let _lock = lock(chest, tool, &target)?;
    if target.is_file() {
        return Ok(target);
    }
    let started = Instant::now();
    // Beside the target, so that the rename stays within one file system; gone when it is dropped, after an error too.
    let work = tempfile::Builder::new()
        .prefix(".build-")
        .tempdir_in(&chest.cache)
        .map_err(io(&chest.cache, "creating a work folder"))?;
    let recipe = tool.recipe();
    for (name, text) in [("go.mod", recipe.go_mod), ("go.sum", recipe.go_sum)] {
        let path = work.path().join(name);
        fs::write(&path, text).map_err(io(&path, "writing"))?;
    }
    let packages = count_packages(chest, tool, &recipe, work.path())?;
    let binary = compile(chest, tool, &recipe, work.path(), packages)?;
    fs::rename(&binary, &target).map_err(io(&target, "moving the built tool into place"))?;
    say(
        chest,
        tool,
        Step::Built {
            seconds: started.elapsed().as_secs(),
        },
    );
    Ok(target)
}

/// Held until it is dropped or the process ends, however it ends.
fn lock(chest: &Toolchest, tool: Tool, target: &Path) -> Result<File, ToolError> {
    let path = target.with_extension("lock");
    let file = File::create(&path).map_err(io(&path, "creating the lock"))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => say(chest, tool, Step::Waiting),
        Err(TryLockError::Error(error)) => return Err(io(&path, "locking")(error)),
    }
    file.lock().map_err(io(&path, "waiting for the lock"))?;
    Ok(file)
}

/// Lists the packages that the tool consists of, which downloads the modules that it needs.
fn count_packages(
    chest: &Toolchest,
    tool: Tool,
    recipe: &Recipe,
    work: &Path,
) -> Result<usize, ToolError> {
    let mut command = go(chest, work);
    command
        .args([
            "list",
            "-mod=readonly",
            "-deps",
            "-f",
            "{{.ImportPath}}",
            recipe.package,
        ])
        .stdout(Stdio::piped());
    let mut modules = 0;
    let listed = run(chest, tool, command, |line| {
        modules += usize::from(line.starts_with("go: downloading"));
        Step::Downloading { modules }
    })?;
    Ok(listed.lines().count())
}

fn compile(
    chest: &Toolchest,
    tool: Tool,
    recipe: &Recipe,
    work: &Path,
    packages: usize,
) -> Result<PathBuf, ToolError> {
    let binary = work.join(tool.name());
    let mut command = go(chest, work);
    command.args([
        "build",
        "-v",
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        &recipe.ldflags,
        "-o",
    ]);
    command
        .arg(&binary)
        .arg(recipe.package)
        .stdout(Stdio::null());
    let mut done = 0;
    run(chest, tool, command, |line| {
        done += usize::from(!line.starts_with("go: "));
        Step::Compiling {
            done,
            of: packages.max(done),
        }
    })?;
    Ok(binary)
}

/// Go, so that nothing of the user's environment changes the result.
fn go(chest: &Toolchest, work: &Path) -> Command {
    let mut command = Command::new(&chest.go);
    command
        .current_dir(work)
        .env("GOFLAGS", "")
        .env("GOWORK", "off")
        .env("GOTOOLCHAIN", "local")
        .env("CGO_ENABLED", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Runs one Go command to its end, turning each line that it prints on stderr into a step; returns its stdout if that is piped.
fn run(
    chest: &Toolchest,
    tool: Tool,
    mut command: Command,
    mut step: impl FnMut(&str) -> Step,
) -> Result<String, ToolError> {
    let shown = format!("{command:?}");
    let mut child = command.spawn().map_err(io(&chest.go, "starting"))?;
    let (sender, lines) = mpsc::channel();
    let stderr = child.stderr.take().expect("stderr was asked for as a pipe");
    thread::spawn(move || {
        // Whoever listens may be gone after an error; then there is nobody to tell.
        BufReader::new(stderr)
            .lines()
            .map_while(Result::ok)
            .try_for_each(|line| sender.send(line))
    });
    let stdout = child.stdout.take().map(|mut pipe| {
        thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).map(|_| text)
        })
    });
    let mut last = VecDeque::new();
    let deadline = Instant::now() + BUILD_LIMIT;
    let mut reported: Option<Instant> = None;
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                let now = step(&line);
                if reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
                    reported = Some(Instant::now());
                    say(chest, tool, now);
                }
                last.push_back(line);
                if last.len() > LAST_LINES {
                    last.pop_front();
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => return Err(give_up(&mut child, tool, shown, &last)),
        }
    }
    let status = child.wait().map_err(io(&chest.go, "waiting for"))?;
    if !status.success() {
        return Err(ToolError::Build {
            tool,
            command: shown,
            status: status.to_string(),
            output: join(&last),
        });
    }
    let text = stdout
        .map(|reader| reader.join().expect("reading a pipe does not panic"))
        .transpose();
    text.map(Option::unwrap_or_default)
        .map_err(io(&chest.go, "reading the output of"))
}

fn give_up(child: &mut Child, tool: Tool, command: String, last: &VecDeque<String>) -> ToolError {
    // Both fail only for a process that is gone already.
    let _ = child.kill();
    let _ = child.wait();
    ToolError::Build {
        tool,
        command,
        status: format!("no end after {} minutes", BUILD_LIMIT.as_secs() / 60),
        output: join(last),
    }
}

fn join(lines: &VecDeque<String>) -> String {
    lines
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("\n")
}

fn say(chest: &Toolchest, tool: Tool, step: Step) {
    (chest.report)(&Progress { tool, step });
}

fn io<'a>(path: &'a Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> ToolError + 'a {
    move |source| ToolError::Io {
        path: path.to_owned(),
        doing,
        source,
    }
}
