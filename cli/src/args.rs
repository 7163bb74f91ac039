//! The command line, and which function each command is.

use std::{env, process::ExitCode};

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use serde_json::json;

use crate::{
    api::{Api, HubFlags, Refused},
    commands::{act, cluster, describe, diff, events, get, login, playground, render, wait},
    demo, logs, output,
};

/// Exit code of a command that did not do what it was asked.
pub(crate) const FAILED: u8 = 1;
/// Exit code of `diff` where the hub could not answer: 1 says that there are differences, as for `kubectl diff`.
const DIFF_FAILED: u8 = 2;

/// A control plane for many Kubernetes clusters.
#[derive(Parser, Debug)]
#[command(
    name = "capstan",
    version,
    propagate_version = true,
    max_term_width = 120
)]
pub(crate) struct Cli<C: Subcommand = Command> {
    #[command(flatten)]
    hub: HubFlags,
    #[command(subcommand)]
    command: C,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// List clusters, units, objects, pipelines or sources.
    Get(get::Get),
    /// Show everything about a cluster or a unit.
    Describe(describe::Describe),
    /// Show what a revision would change. Exit code 1: something, 0: nothing, 2: it failed.
    Diff(diff::Diff),
    /// Show what happened.
    Events(events::Events),
    /// Wait until units are healthy.
    Wait(wait::Wait),
    /// Fetch a source, or fetch, compare and apply a unit, now.
    Reconcile(act::Reconcile),
    /// Leave a unit alone until it is resumed.
    Suspend(act::OnUnit),
    /// Take a suspended unit up again.
    Resume(act::OnUnit),
    /// Let a deletion go on that was stopped.
    Approve(act::Approve),
    /// Give an environment the revision that is healthy in the one before.
    Promote(act::Promote),
    /// Give an environment its last healthy revision and hold it there.
    Rollback(act::OnEnvironment),
    /// Let a held environment move again.
    Release(act::OnEnvironment),
    /// Stop revisions from moving: of a cluster, an environment, or everything.
    Freeze(act::Freeze),
    /// Add, list and remove clusters.
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// Remember which hub to talk to.
    Login(login::Login),
    /// Run a hub.
    Hub(capstan_hub::Args),
    /// Run the agent of a cluster.
    Agent(capstan_agent::Args),
    /// Run a sample fleet on this machine: a hub, a Git server, three clusters. Ctrl-C ends it.
    Demo(demo::Demo),
    /// Render a kustomization, a folder or a chart; needs no hub.
    Render(render::Render),
    /// A Kubernetes control plane on this machine to play with.
    #[command(subcommand)]
    Playground(playground::Playground),
    /// Print completions for a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// [`Command`] with only one of its commands.
#[derive(Subcommand, Debug)]
enum RenderOnly {
    /// Render a kustomization, a folder or a chart; needs no hub.
    Render(render::Render),
}

/// What was typed, or the end of the process where that is no command. Scripts run `capstan render` by the thousand, and describing all
/// commands takes as long as rendering something small: only that one is described where it is the first word.
pub(crate) fn parse() -> Cli {
    if env::args_os().nth(1).is_none_or(|it| it != "render") {
        return Cli::parse();
    }
    let Cli { hub, command } = Cli::<RenderOnly>::parse();
    let RenderOnly::Render(args) = command;
    Cli {
        hub,
        command: Command::Render(args),
    }
}

/// Does what was asked.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match &cli.command {
        Command::Render(args) => render::run(args)?,
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut <Cli>::command(), "capstan", &mut script);
            output::print(&String::from_utf8(script)?)?;
        }
        Command::Hub(args) => {
            logs::start("info");
            runtime()?.block_on(capstan_hub::run(args.clone().into_config()?))?;
        }
        Command::Agent(args) => {
            logs::start("info");
            // One thread is plenty for one cluster, and each further one costs memory in every cluster.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("tokio")?;
            let config = capstan_agent::Config::from(args.clone());
            runtime.block_on(async {
                capstan_agent::run(config, capstan_agent::terminated()).await
            })?;
        }
        Command::Demo(args) => {
            logs::start("off");
            until_stopped(demo::run(args))?;
        }
        Command::Login(args) => runtime()?.block_on(login::run(args))?,
        Command::Playground(args) => until_stopped(playground::run(args))?,
        Command::Diff(args) => return Ok(run_diff(&cli.hub, args)),
        command => runtime()?.block_on(ask(&cli.hub, command))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("tokio")
}

/// Runs what a person stops with Ctrl-C, also in the middle of building a tool: that is not waited for.
fn until_stopped(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}

fn run_diff(flags: &HubFlags, args: &diff::Diff) -> ExitCode {
    let differs = runtime()
        .and_then(|it| it.block_on(async { diff::run(&Api::connect(flags)?, args).await }));
    match differs {
        Ok(differs) => ExitCode::from(u8::from(differs)),
        Err(error) => {
            output::tell(&format!("error: {error:#}"));
            ExitCode::from(DIFF_FAILED)
        }
    }
}

/// The commands that a hub answers.
async fn ask(flags: &HubFlags, command: &Command) -> anyhow::Result<()> {
    let api = Api::connect(flags)?;
    let asked = match command {
        Command::Get(args) => get::run(&api, args).await,
        Command::Describe(args) => describe::run(&api, args).await,
        Command::Events(args) => events::run(&api, args).await,
        Command::Wait(args) => wait::run(&api, args).await,
        Command::Reconcile(args) => act::reconcile(&api, args).await,
        Command::Suspend(args) => act::on_unit(&api, "suspend", args).await,
        Command::Resume(args) => act::on_unit(&api, "resume", args).await,
        Command::Approve(args) => act::approve(&api, args).await,
        Command::Promote(args) => act::promote(&api, args).await,
        Command::Rollback(args) => act::on_environment(&api, "rollback", args, json!({})).await,
        Command::Release(args) => act::on_environment(&api, "release", args, json!({})).await,
        Command::Freeze(args) => act::freeze(&api, args).await,
        Command::Cluster(args) => cluster::run(&api, args).await,
        other => anyhow::bail!("{other:?} needs no hub"),
    };
    asked.map_err(|error| match error.downcast_ref::<Refused>() {
        Some(refused) if refused.status.as_u16() == 404 => error.context("not found"),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli>::command().debug_assert();
    }

    #[test]
    fn render_alone_is_described_as_among_the_others() {
        for words in [
            &["capstan", "render", "--help"][..],
            &["capstan", "render"],
            &["capstan", "render", "x", "--no"],
        ] {
            let alone = Cli::<RenderOnly>::try_parse_from(words).map(|_| ());
            let among = <Cli>::try_parse_from(words).map(|_| ());
            assert_eq!(
                alone.unwrap_err().to_string(),
                among.unwrap_err().to_string()
            );
        }
    }

    #[test]
    fn force_needs_a_reason() {
        let forced = <Cli>::try_parse_from(["capstan", "promote", "platform", "prod", "--force"]);
        assert!(forced.is_err());
        let reasoned = <Cli>::try_parse_from([
            "capstan", "promote", "platform", "prod", "--force", "--reason", "hotfix",
        ]);
        assert!(reasoned.is_ok());
    }
}
