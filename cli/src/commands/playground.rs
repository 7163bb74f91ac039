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
        output::tell("The control plane is ready; Ctrl-C stops it. Use it with");
        output::tell(&format!(
            "  capstan playground up {name} > kubeconfig &  kubectl --kubeconfig kubeconfig get nodes"
        ));
        printed = output::print(&cluster.kubeconfig());
    };
    local::up(name, announce)
        .await
        .with_context(|| format!("playground {name}"))?;
    printed
}
