//! The hub as a program of its own: `capstan-hub`, the same as `capstan hub`.

use clap::Parser;
use tracing_subscriber::EnvFilter;

/// Follows Git and tells every cluster's agent what its cluster should be
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    hub: capstan_hub::Args,
    /// Write logs as JSON
    #[arg(long)]
    log_json: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if cli.log_json {
        log.json().init();
    } else {
        log.init();
    }
    capstan_hub::run(cli.hub.into_config()?).await?;
    Ok(())
}
