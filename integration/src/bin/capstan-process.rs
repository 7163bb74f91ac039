//! A hub or an agent as a process of its own, so that a test can kill it.

use clap::Parser;

#[derive(Parser)]
enum Process {
    /// A hub.
    Hub(capstan_hub::Args),
    /// An agent.
    Agent(capstan_agent::Args),
}

fn main() -> anyhow::Result<()> {
    let filter =
        tracing_subscriber::EnvFilter::new("debug,h2=info,hyper=info,tower=info,rustls=info");
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Runtime::new()?;
    match Process::parse() {
        Process::Hub(args) => Ok(runtime.block_on(capstan_hub::run(args.into_config()?))?),
        Process::Agent(args) => runtime
            .block_on(async { capstan_agent::run(args.into(), capstan_agent::terminated()).await }),
    }
}
