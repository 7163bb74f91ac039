//! `capstan-agent`: the agent alone, for a container image that holds nothing else.

use std::process::ExitCode;

use capstan_agent::{Args, run};
use clap::Parser;
use tracing_subscriber::EnvFilter;

/// Keeps one cluster as the hub says it should be.
#[derive(Parser)]
#[command(name = "capstan-agent", version)]
struct Command {
    #[command(flatten)]
    args: Args,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("CAPSTAN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr);
    if std::env::var("CAPSTAN_LOG_FORMAT").is_ok_and(|it| it == "json") {
        log.json().init();
    } else {
        log.init();
    }
    match run(Command::parse().args.into(), capstan_agent::terminated()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
