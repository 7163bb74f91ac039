//! `capstan cluster`: who belongs to the fleet.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::get::{Get, Kind};
use crate::{
    api::Api,
    output::{self, Format, text},
};

/// `capstan cluster …`.
#[derive(Subcommand, Debug)]
pub(crate) enum Cluster {
    /// Make an identity for a cluster and print what to apply there. The token in it is good once, for an hour.
    Add(Add),
    /// List the clusters, as `capstan get clusters` does.
    List(List),
    /// Print a new token for a cluster whose agent lost its identity.
    Token(Named),
    /// Take a cluster's certificates back; its live stream ends at once.
    Revoke(Named),
    /// Forget a cluster. What the agent applied stays.
    Remove(Named),
}

/// `capstan cluster add`.
#[derive(Args, Debug)]
pub(crate) struct Add {
    /// Its name.
    name: String,
    /// Labels, for selectors. Those declared in the fleet path win.
    #[arg(long, short, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Write the token alone to this file, readable only by you, instead of printing manifests.
    #[arg(long, value_name = "FILE")]
    write_token: Option<PathBuf>,
}

/// `capstan cluster list`.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only the one of this name.
    name: Option<String>,
    /// Form of the output.
    #[arg(long, short, default_value = "table")]
    output: Format,
}

/// A cluster by name.
#[derive(Args, Debug)]
pub(crate) struct Named {
    /// Its name.
    name: String,
    /// Why; it is kept in the audit record.
    #[arg(long, default_value = "")]
    reason: String,
}

/// Does it.
pub(crate) async fn run(api: &Api, args: &Cluster) -> anyhow::Result<()> {
    match args {
        Cluster::Add(add) => self::add(api, add).await,
        Cluster::List(list) => {
            let mut get = Get::all(Kind::Clusters, list.output);
            get.name.clone_from(&list.name);
            super::get::run(api, &get).await
        }
        Cluster::Token(named) => {
            let answer = api
                .post(&format!("/clusters/{}/token", named.name), &reason(named))
                .await?;
            output::print(&format!("{}\n", text(&answer, "/token")))
        }
        Cluster::Revoke(named) => {
            api.post(&format!("/clusters/{}/revoke", named.name), &reason(named))
                .await?;
            output::tell(&format!("{}: revoked", named.name));
            Ok(())
        }
        Cluster::Remove(named) => {
            api.delete(&format!("/clusters/{}", named.name), &reason(named))
                .await?;
            output::tell(&format!(
                "{}: removed; what its agent applied stays",
                named.name
            ));
            Ok(())
        }
    }
}

fn reason(named: &Named) -> Value {
    json!({"reason": named.reason})
}

async fn add(api: &Api, args: &Add) -> anyhow::Result<()> {
    let mut labels = Map::new();
    for label in &args.label {
        let Some((key, value)) = label.split_once('=') else {
            bail!("--label {label}: KEY=VALUE is needed")
        };
        labels.insert(key.to_owned(), value.into());
    }
    let answer = api
        .post("/clusters", &json!({"name": args.name, "labels": labels}))
        .await?;
    match &args.write_token {
        Some(file) => {
            write_private(file, &text(&answer, "/token"))
                .with_context(|| file.display().to_string())?;
            output::tell(&format!(
                "{}: token written; agents connect to {}",
                args.name,
                text(&answer, "/hub")
            ));
            Ok(())
        }
        None => {
            output::tell(
                "# Apply this in the cluster within an hour: capstan cluster add … | kubectl apply -f -",
            );
            output::print(&text(&answer, "/manifest"))
        }
    }
}

/// Writes a file that only the user can read; it must not be there yet.
pub(crate) fn write_private(file: &Path, content: &str) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    file.write_all(content.as_bytes())
}
