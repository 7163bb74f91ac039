//! The hub as a program of its own: `capstan-hub`, the same as `capstan hub`.

use clap::Parser;
use tracing_subscriber::EnvFilter;

/// Follows Git and tells every cluster's agent what its cluster should be
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    hub: capstan_hub::Args,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
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
    capstan_hub::run(cli.hub.into_config()?).await?;
    Ok(())
}
