//! What a person asks the hub to do: reconcile, suspend, resume, approve, promote, rollback, release, freeze.

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};

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

/// `capstan reconcile`.
#[derive(Args, Debug)]
pub(crate) struct Reconcile {
    /// A unit (CLUSTER/KIND/NAMESPACE/NAME) to fetch, compare and apply, or a source (KIND/NAMESPACE/NAME) to fetch.
    name: String,
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
    /// The revision, or the beginning of its commit; that of the environment before where nothing is said.
    #[arg(long, value_name = "REVISION")]
    to: Option<String>,
}

/// `capstan freeze`.
#[derive(Args, Debug)]
pub(crate) struct Freeze {
    /// What: a cluster, PIPELINE/ENVIRONMENT, or * for everything.
    scope: String,
    /// Lift the freeze.
    #[arg(long)]
    lift: bool,
    /// Why; it is kept in the audit record.
    #[arg(long, default_value = "")]
    reason: String,
}

/// Fetches a source, or reconciles a unit.
pub(crate) async fn reconcile(api: &Api, args: &Reconcile) -> anyhow::Result<()> {
    let name = args.name.strip_prefix("source/").unwrap_or(&args.name);
    let path = match name.parse::<capstan_core::SourceKey>() {
        Ok(source) => format!("/sources/{source}/reconcile"),
        Err(_) => format!("/units/{}/reconcile", unit_path(name)?),
    };
    let answer = api.post(&path, &json!({"reason": args.reason})).await?;
    output::tell(&text(&answer, "/message"));
    Ok(())
}

/// Asks for `verb` on a unit.
pub(crate) async fn on_unit(api: &Api, verb: &str, args: &OnUnit) -> anyhow::Result<()> {
    let unit = unit_path(&args.unit)?;
    let answer = api
        .post(
            &format!("/units/{unit}/{verb}"),
            &json!({"reason": args.reason}),
        )
        .await?;
    output::tell(&text(&answer, "/message"));
    Ok(())
}

/// Lets a stopped deletion go on.
pub(crate) async fn approve(api: &Api, args: &Approve) -> anyhow::Result<()> {
    let path = if args.epoch {
        format!("/clusters/{}/confirm-epoch", args.name)
    } else {
        format!("/units/{}/approve", unit_path(&args.name)?)
    };
    let answer = api.post(&path, &json!({"reason": args.reason})).await?;
    output::tell(&text(&answer, "/message"));
    Ok(())
}

/// Promotes.
pub(crate) async fn promote(api: &Api, args: &Promote) -> anyhow::Result<()> {
    let more = json!({"force": args.force, "to": args.to});
    on_environment(api, "promote", &args.on, more).await
}

/// Asks for `verb` on an environment, with what else the request says.
pub(crate) async fn on_environment(
    api: &Api,
    verb: &str,
    args: &OnEnvironment,
    more: Value,
) -> anyhow::Result<()> {
    let path = format!(
        "/pipelines/{}/environments/{}/{verb}",
        args.pipeline, args.environment
    );
    let mut body = more;
    body["reason"] = json!(args.reason);
    let answer = api.post(&path, &body).await?;
    output::tell(&text(&answer, "/message"));
    Ok(())
}

/// Stops pins from moving, or lets them move again.
pub(crate) async fn freeze(api: &Api, args: &Freeze) -> anyhow::Result<()> {
    let path = if args.lift { "/unfreeze" } else { "/freeze" };
    let answer = api
        .post(path, &json!({"scope": args.scope, "reason": args.reason}))
        .await?;
    output::tell(&text(&answer, "/message"));
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
}
