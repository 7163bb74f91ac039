//! Conformance with the real tools, and benchmarks: `conformance kustomize|helm|fleets [DIR]`, `bench NAME [DIR] [--json]`; and `tools`,
//! which builds those tools.

mod bench;
mod conformance;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Allocations are counted, so that benchmarks can say how many bytes a build takes.
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

/// Conformance and benchmarks of Capstan.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Holds our results against those of the real tools. Exit 0: all passed, 1: some failed, 2: no cases.
    Conformance {
        /// What to check.
        tool: Tool,
        /// A folder laid out like the shared data; any part may be missing.
        dir: Option<PathBuf>,
    },
    /// Runs a benchmark.
    Bench {
        /// Which one.
        name: String,
        /// A folder laid out like the shared data.
        dir: Option<PathBuf>,
        /// The largest size, where a benchmark has sizes: the agents of `swarm`.
        #[arg(long)]
        size: Option<usize>,
        /// Prints `[{"name", "value", "unit", "baseline", "ratio"}]` instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Builds every real tool that tests compare with and is not built yet; says how far it is.
    Tools,
    /// A hub as a process of its own, so that a test can kill it.
    #[command(hide = true)]
    Hub(Box<capstan_hub::Args>),
    /// An agent as a process of its own.
    #[command(hide = true)]
    Agent(Box<capstan_agent::Args>),
}

#[derive(Clone, Copy, ValueEnum)]
enum Tool {
    Kustomize,
    Helm,
    /// Whole Flux repositories, run on simulated clusters.
    Fleets,
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Conformance {
            tool: Tool::Kustomize,
            dir,
        } => check_kustomize(dir.as_deref()),
        Command::Conformance {
            tool: Tool::Helm,
            dir,
        } => check_helm(dir.as_deref()),
        Command::Conformance {
            tool: Tool::Fleets,
            dir,
        } => run_fleets(dir.as_deref()),
        Command::Bench {
            name,
            dir,
            size,
            json,
        } => bench::main(&name, dir.as_deref(), size, json),
        Command::Tools => build_tools(),
        Command::Hub(args) => process(async { Ok(capstan_hub::run(args.into_config()?).await?) }),
        Command::Agent(args) => process(capstan_agent::run(
            (*args).into(),
            capstan_agent::terminated(),
        )),
    }
}

fn build_tools() -> anyhow::Result<ExitCode> {
    use capstan_playground::toolchest::{Tool as Real, Toolchest};
    let chest = Toolchest::from_env()?.on_progress(|progress| eprintln!("{progress}"));
    for tool in Real::ALL {
        chest.path(tool)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a part of the fleet; it logs to where a test looks.
fn process(part: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    tokio::runtime::Runtime::new()?.block_on(part)?;
    Ok(ExitCode::SUCCESS)
}

fn check_kustomize(dir: Option<&Path>) -> anyhow::Result<ExitCode> {
    use conformance::{Report, accepted, find_data, kustomize, say};
    let report = match find_data(dir, "kustomize", &kustomize::PARTS) {
        Some(folder) => kustomize::run(&folder)?,
        None => Report(Vec::new()),
    };
    say(&report.text(&accepted("accepted-kustomize.txt")));
    Ok(report.exit_code().into())
}

fn run_fleets(dir: Option<&Path>) -> anyhow::Result<ExitCode> {
    use conformance::{Report, find_data, fleets, say};
    // One repository may be named in place of a folder of them.
    let one = dir.filter(|it| it.join("clusters").is_dir() || it.join("hub").is_dir());
    let (folder, only) = match one {
        Some(it) => (it.parent().map(Path::to_owned), it.file_name()),
        None => (
            dir.map(Path::to_owned)
                .or_else(|| find_data(None, "fleets", &["."])),
            None,
        ),
    };
    let only = only.map(|it| it.to_string_lossy().into_owned());
    let report = match folder {
        Some(folder) => tokio::runtime::Runtime::new()?
            .block_on(async { fleets::run(&folder, only.as_deref()).await })?,
        None => Report(Vec::new()),
    };
    say(&report.text(&[]));
    Ok(report.exit_code().into())
}

fn check_helm(dir: Option<&Path>) -> anyhow::Result<ExitCode> {
    use conformance::{Report, accepted, find_data, helm, say};
    let report = match find_data(dir, "helm", &helm::PARTS) {
        Some(folder) => helm::run(&folder)?,
        None => Report(Vec::new()),
    };
    say(&report.text(&accepted("accepted-helm.txt")));
    Ok(report.exit_code().into())
}
