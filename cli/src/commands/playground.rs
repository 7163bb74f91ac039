//! `capstan playground`: clusters on this machine for a person to play with.

use anyhow::Context;
use capstan_playground::local;
use clap::Subcommand;

use crate::output;

/// `capstan playground …`.
#[derive(Subcommand, Debug)]
pub(crate) enum Playground {
    /// Run a real control plane until Ctrl-C. Its parts are built from source the first time, which needs Go and some minutes.
    Up {
        /// A name for it.
        name: String,
    },
}

/// Does it.
pub(crate) async fn run(args: &Playground) -> anyhow::Result<()> {
    let Playground::Up { name } = args;
    let mut printed = Ok(());
    let announce = |cluster: &local::LocalCluster| {
        output::tell(&format!(
            "The control plane is ready; Ctrl-C stops it and removes everything. In another terminal:\n  \
             export KUBECONFIG={}\n\nIts kubeconfig:",
            cluster.kubeconfig_path().display()
        ));
        printed = output::print(&cluster.kubeconfig());
    };
    let context = || format!("playground {name}");
    let options = local::LocalOptions::full(name).with_context(context)?;
    let options = options.on_progress(|progress| output::tell(&progress.to_string()));
    local::up(options, announce).await.with_context(context)?;
    printed
}
