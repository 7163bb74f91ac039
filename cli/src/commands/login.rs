//! `capstan login`: remembers which hub to talk to.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::{
    api::{Api, HubFlags},
    context::{self, Context},
    output,
};

/// `capstan login`. Uses --hub, --token-file and --ca-file.
#[derive(Args, Debug)]
pub(crate) struct Login {
    /// Address of the hub's API.
    url: String,
    /// File with the token: the hub writes its admin token into its data folder.
    #[arg(id = "login_token", long = "token", value_name = "FILE")]
    token: PathBuf,
    /// PEM file with the authority of the hub's certificate, where it is not a public one.
    #[arg(id = "login_ca", long = "ca", value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Tries the hub and keeps the context if it answers.
pub(crate) async fn run(args: &Login) -> anyhow::Result<()> {
    let absolute = |it: &PathBuf| it.canonicalize().with_context(|| it.display().to_string());
    let context = Context {
        hub: args.url.trim_end_matches('/').to_owned(),
        token_file: absolute(&args.token)?,
        ca_file: args.ca.as_ref().map(absolute).transpose()?,
    };
    let flags = HubFlags {
        hub: Some(context.hub.clone()),
        token_file: Some(context.token_file.clone()),
        ca_file: context.ca_file.clone(),
    };
    Api::connect(&flags)?.get("/clusters", &[]).await?;
    let path = context::save(&context)?;
    output::tell(&format!(
        "{} is the current hub (kept in {})",
        context.hub,
        path.display()
    ));
    Ok(())
}
