//! What a person asks the hub to do: reconcile, suspend, resume, approve, promote, rollback, release, freeze.

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};

use super::get::short;
use crate::{
    api::Api,
    output::{self, text},
};

/// An action on one unit.
#[derive(Args, Debug)]
pub(crate) struct OnUnit {
    /// The unit: CLUSTER/KIND/NAMESPACE/NAME, as `capstan get units -o name` prints it.
    unit: String,
    /// Why; it is kept in the audit record.
    #[arg(long, default_value = "")]
    reason: String,
}

/// `capstan approve`.
#[derive(Args, Debug)]
pub(crate) struct Approve {
    /// The unit whose deletion waits, or with --epoch a cluster.
    name: String,
    /// Accept the hub's store as it is after a restore, so that it may remove units of this cluster again.
    #[arg(long)]
    epoch: bool,
    /// Why; it is kept in the audit record.
    #[arg(long, default_value = "")]
    reason: String,
}

/// An action on one environment of a pipeline.
#[derive(Args, Debug)]
pub(crate) struct OnEnvironment {
    /// The pipeline.
    pipeline: String,
    /// The environment.
    environment: String,
    /// Why; it is kept in the audit record.
    #[arg(long, default_value = "")]
    reason: String,
}

/// `capstan promote`.
#[derive(Args, Debug)]
pub(crate) struct Promote {
    #[command(flatten)]
    on: OnEnvironment,
    /// Promote though the environment before is not healthy. Needs a reason.
    #[arg(long, requires = "reason")]
    force: bool,
}

/// `capstan freeze`.
#[derive(Args, Debug)]
pub(crate) struct Freeze {
    /// The clusters.
    #[arg(required = true)]
    clusters: Vec<String>,
    /// Lift the freeze.
    #[arg(long)]
    lift: bool,
    /// Why; it is kept in the audit record.
    #[arg(long, default_value = "")]
    reason: String,
}

/// Asks for `verb` on a unit.
pub(crate) async fn on_unit(api: &Api, verb: &str, args: &OnUnit) -> anyhow::Result<()> {
    let unit = unit_path(&args.unit)?;
    api.post(
        &format!("/units/{unit}/{verb}"),
        &json!({"reason": args.reason}),
    )
    .await?;
    output::tell(&format!("{unit}: {verb} accepted"));
    Ok(())
}

/// Lets a stopped deletion go on.
pub(crate) async fn approve(api: &Api, args: &Approve) -> anyhow::Result<()> {
    let path = if args.epoch {
        format!("/clusters/{}/approve-epoch", args.name)
    } else {
        format!("/units/{}/approve", unit_path(&args.name)?)
    };
    api.post(&path, &json!({"reason": args.reason})).await?;
    output::tell(&format!("{}: approved", args.name));
    Ok(())
}

/// Promotes.
pub(crate) async fn promote(api: &Api, args: &Promote) -> anyhow::Result<()> {
    on_environment(api, "promote", &args.on, args.force).await
}

/// Asks for `verb` on an environment, and prints what moves.
pub(crate) async fn on_environment(
    api: &Api,
    verb: &str,
    args: &OnEnvironment,
    force: bool,
) -> anyhow::Result<()> {
    let path = format!(
        "/pipelines/{}/environments/{}/{verb}",
        args.pipeline, args.environment
    );
    let answer = api
        .post(&path, &json!({"reason": args.reason, "force": force}))
        .await?;
    let changes = answer["changes"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if changes.is_empty() {
        output::tell("Nothing to change.");
    }
    for change in changes {
        output::tell(&moved(change));
    }
    Ok(())
}

fn moved(change: &Value) -> String {
    let from = short(&text(change, "/from"));
    let from = if from.is_empty() {
        "nothing".to_owned()
    } else {
        from
    };
    format!(
        "{}: {} from {from} to {}",
        text(change, "/cluster"),
        text(change, "/source"),
        short(&text(change, "/to"))
    )
}

/// Stops the pins of clusters from moving, or lets them move again.
pub(crate) async fn freeze(api: &Api, args: &Freeze) -> anyhow::Result<()> {
    if args.lift {
        for cluster in &args.clusters {
            api.delete(
                &format!("/freeze/{cluster}"),
                &json!({"reason": args.reason}),
            )
            .await?;
        }
    } else {
        api.post(
            "/freeze",
            &json!({"clusters": args.clusters, "reason": args.reason}),
        )
        .await?;
    }
    output::tell(&format!(
        "{}: {}",
        args.clusters.join(", "),
        if args.lift { "freeze lifted" } else { "frozen" }
    ));
    Ok(())
}

/// A unit's key, with or without the `unit/` that `-o name` prints before it.
fn unit_path(name: &str) -> anyhow::Result<String> {
    let name = name.strip_prefix("unit/").unwrap_or(name);
    match name.parse::<capstan_core::UnitKey>() {
        Ok(key) => Ok(key.to_string()),
        Err(error) => bail!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_named_as_they_are_listed() {
        let key = "dev/Kustomization/flux-system/apps";
        assert_eq!(unit_path(&format!("unit/{key}")).unwrap(), key);
        assert!(
            unit_path("apps")
                .unwrap_err()
                .to_string()
                .contains("CLUSTER/KIND/NAMESPACE/NAME")
        );
    }

    #[test]
    fn moves_read_as_sentences() {
        let change = json!({"cluster": "prod", "source": "GitRepository/flux-system/fleet", "from": null, "to": "main@sha1:0123456789abcdef"});
        assert_eq!(
            moved(&change),
            "prod: GitRepository/flux-system/fleet from nothing to main@0123456789ab"
        );
    }
}
