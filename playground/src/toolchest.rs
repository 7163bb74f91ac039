//! Real tools, built once from pinned Go modules and kept outside the checkout.
//!
//! Tests compare Capstan with `helm`, `kustomize` and a real Kubernetes API server. None of them can be taken for granted
//! on a machine, so each is built from a Go module whose `go.mod` and `go.sum` are kept in `playground/go/` (and embedded
//! here), with one module per family because their dependencies disagree. What was built lies in the user's cache folder, in
//! a folder named by the hash of everything that went into it: a changed pin is a new folder, and the second run starts at once.
//!
//! ```no_run
//! use capstan_playground::toolchest::{Tool, Toolchest};
//! let helm = Toolchest::from_env()?.path(Tool::Helm4)?;
//! # Ok::<(), capstan_playground::toolchest::ToolError>(())
//! ```

mod build;
mod gate;
mod recipe;

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

pub use gate::{REQUIRE_TOOLS, can_pass_over, can_test};
pub use recipe::Tool;

/// The oldest Go that the pinned modules build with (their `go` line).
pub const GO_MINIMUM: (u32, u32) = (1, 26);

/// Where the tools are, and how those that are missing come to be.
#[derive(Clone)]
pub struct Toolchest {
    /// Folder that holds built tools, each in a folder of its own.
    pub cache: PathBuf,
    /// A folder with control-plane binaries that the user has (`KUBEBUILDER_ASSETS`); used before anything is built.
    pub assets: Option<PathBuf>,
    /// The Go command: a name looked up in `PATH`, or a path.
    pub go: PathBuf,
    report: Arc<dyn Fn(&Progress) + Send + Sync>,
}

/// What is going on while a tool is built, and how far it is. Prints as one line for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The tool that is asked for.
    pub tool: Tool,
    /// What happens with it now.
    pub step: Step,
}

/// One step of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Another process builds the same tool; this one waits for it.
    Waiting,
    /// The modules that it needs are being found and downloaded: so many so far.
    Downloading {
        /// Modules downloaded so far.
        modules: usize,
    },
    /// Packages are being compiled.
    Compiling {
        /// Packages compiled so far.
        done: usize,
        /// Packages that it consists of; those that Go has in its own cache are never reported as done.
        of: usize,
    },
    /// It is built and in the cache.
    Built {
        /// Seconds that it took.
        seconds: u64,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tool = self.tool;
        match &self.step {
            Step::Waiting => write!(f, "{tool}: another process builds it, waiting"),
            Step::Downloading { modules } => write!(
                f,
                "{tool}: building from source (once), {modules} modules downloaded"
            ),
            Step::Compiling { done, of } => write!(
                f,
                "{tool}: building from source (once), {done} of at most {of} packages compiled"
            ),
            Step::Built { seconds } => write!(f, "{tool}: built in {seconds} s"),
        }
    }
}

/// Why a tool could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// There is neither a cached binary nor a Go to build it with.
    #[error(
        "{tool}: not built yet, and Go was not found ({go}): {reason}; install Go {}.{} or newer (https://go.dev/dl, or Debian's golang-go), \
         or point KUBEBUILDER_ASSETS to a folder with kube-apiserver and etcd",
        GO_MINIMUM.0, GO_MINIMUM.1
    )]
    NoGo {
        /// The tool that is asked for.
        tool: Tool,
        /// The Go command that was tried.
        go: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
    /// Neither `XDG_CACHE_HOME` nor `HOME` says where the cache is.
    #[error("no cache folder: neither XDG_CACHE_HOME nor HOME is set; set one of them")]
    NoCache,
    /// The build failed.
    #[error("{tool}: `{command}` failed ({status}); its last lines:\n{output}")]
    Build {
        /// The tool that is asked for.
        tool: Tool,
        /// The command that failed.
        command: String,
        /// How it ended.
        status: String,
        /// The last lines that it printed.
        output: String,
    },
    /// The cache could not be read or written.
    #[error("{}: {doing} failed: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was attempted.
        doing: &'static str,
        /// The cause.
        source: std::io::Error,
    },
}

impl Toolchest {
    /// A chest as the environment describes it: `XDG_CACHE_HOME` or `~/.cache`, `KUBEBUILDER_ASSETS`, and `go` from `PATH`.
    /// Progress goes to the log.
    pub fn from_env() -> Result<Self, ToolError> {
        let folder = |name| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let home = || folder("HOME").map(|home| home.join(".cache"));
        let cache = folder("XDG_CACHE_HOME")
            .or_else(home)
            .ok_or(ToolError::NoCache)?;
        Ok(Self::new(
            cache.join("capstan").join("tools"),
            folder("KUBEBUILDER_ASSETS"),
        ))
    }

    /// A chest with its cache in `cache`.
    pub fn new(cache: PathBuf, assets: Option<PathBuf>) -> Self {
        Self {
            cache,
            assets,
            go: PathBuf::from("go"),
            report: Arc::new(|progress| tracing::info!("{progress}")),
        }
    }

    /// Calls `report` with each step instead of writing it to the log.
    pub fn on_progress(mut self, report: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.report = Arc::new(report);
        self
    }

    /// The tool's path if it is there, without building anything.
    pub fn find(&self, tool: Tool) -> Option<PathBuf> {
        let given = self
            .assets
            .as_ref()
            .filter(|_| tool.is_control_plane())
            .map(|folder| folder.join(tool.name()));
        given
            .into_iter()
            .chain([self.cached(tool)])
            .find(|path| path.is_file())
    }

    /// The tool's path; it is built first if it is not there, which takes from half a minute (etcd) to some minutes
    /// (kube-apiserver). Blocks; two processes never build the same tool at the same time.
    pub fn path(&self, tool: Tool) -> Result<PathBuf, ToolError> {
        match self.find(tool) {
            Some(path) => Ok(path),
            None => build::build(self, tool),
        }
    }

    /// Whether [`Toolchest::path`] can be expected to succeed: every tool is there, or Go is.
    pub fn can_provide(&self, tools: &[Tool]) -> Result<(), ToolError> {
        match tools.iter().find(|tool| self.find(**tool).is_none()) {
            Some(tool) => self.check_go(*tool),
            None => Ok(()),
        }
    }

    /// In a folder of its own, under its own name: what it does, it does in that name, as the manager of fields that it writes.
    fn cached(&self, tool: Tool) -> PathBuf {
        self.cache
            .join(tool.recipe().fingerprint())
            .join(tool.name())
    }

    /// Finds out whether Go is there and new enough.
    fn check_go(&self, tool: Tool) -> Result<(), ToolError> {
        let missing = |reason: String| ToolError::NoGo {
            tool,
            go: self.go.clone(),
            reason,
        };
        let output = Command::new(&self.go)
            .args(["env", "GOVERSION"])
            .env("GOTOOLCHAIN", "local")
            .current_dir(Path::new("/"))
            .output()
            .map_err(|error| missing(error.to_string()))?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match go_version(&version) {
            Some(found) if found >= GO_MINIMUM => Ok(()),
            Some(_) => Err(missing(format!("it is {version}, too old"))),
            // A development version of Go names no number; let the build decide.
            None if version.starts_with("devel") => Ok(()),
            None => Err(missing(
                String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            )),
        }
    }
}

impl fmt::Debug for Toolchest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Toolchest")
            .field("cache", &self.cache)
            .field("assets", &self.assets)
            .field("go", &self.go)
            .finish_non_exhaustive()
    }
}

/// `go1.26.8` as (1, 26).
fn go_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text
        .strip_prefix("go")?
        .split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests;
