//! `capstan wait`, and waiting for changes in general: woken by the hub's stream, and by a period in case it breaks.

use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use serde_json::Value;

use crate::{
    api::Api,
    output::{self, condition, text},
};

/// Period at which everything is looked at again though nothing was announced.
const PERIOD: Duration = Duration::from_secs(5);

/// `capstan wait`.
#[derive(Args, Debug)]
pub(crate) struct Wait {
    /// Only this cluster.
    #[arg(long, short)]
    cluster: Option<String>,
    /// Only this unit (CLUSTER/KIND/NAMESPACE/NAME).
    #[arg(long, short)]
    unit: Option<String>,
    /// Wait until this revision (or the start of its commit) is what is healthy.
    #[arg(long)]
    revision: Option<String>,
    /// How long at most, in seconds.
    #[arg(long, default_value_t = 300)]
    timeout: u64,
}

/// Waits until every unit asked for is healthy.
pub(crate) async fn run(api: &Api, args: &Wait) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    let mut last = String::new();
    let waiting = on_changes(api, async || {
        let query = [
            ("cluster", args.cluster.as_deref()),
            ("unit", args.unit.as_deref()),
        ];
        let query: Vec<_> = query
            .into_iter()
            .map(|it| (it.0, it.1.unwrap_or_default()))
            .collect();
        let units = api.get("/units", &query).await?;
        let items = units["items"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let wanted = args.revision.as_deref();
        let Some(unmet) = unmet(items, wanted) else {
            return Ok(true);
        };
        if unmet != last {
            output::tell(&format!("waiting for {unmet}"));
            last.clone_from(&unmet);
        }
        if Instant::now() >= deadline {
            bail!("not within {} s: {unmet}", args.timeout);
        }
        Ok(false)
    });
    waiting.await
}

/// The first unit that is not healthy, with what it says; nothing where all are.
pub(crate) fn unmet(items: &[Value], revision: Option<&str>) -> Option<String> {
    if items.is_empty() {
        return Some("any unit to be there".to_owned());
    }
    items.iter().find_map(|it| {
        let name = text(it, "/metadata/key");
        let ready = condition(it, "Ready")?;
        if ready["status"] != "True" {
            return Some(format!(
                "{name}: {} {}",
                text(ready, "/reason"),
                text(ready, "/message")
            ));
        }
        let applied = text(it, "/status/lastAppliedRevision");
        let behind = revision.is_some_and(|it| !applied.contains(it));
        behind.then(|| format!("{name}: healthy at {applied}"))
    })
}

/// Calls `look` now, after each change that the hub announces, and at least every [`PERIOD`], until it says that it is done.
pub(crate) async fn on_changes(
    api: &Api,
    mut look: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let mut stream = api.watch().await.ok();
    loop {
        if look().await? {
            return Ok(());
        }
        let next = async {
            match &mut stream {
                Some(stream) => stream.chunk().await.ok().flatten().is_some(),
                None => std::future::pending().await,
            }
        };
        if let Ok(false) = tokio::time::timeout(PERIOD, next).await {
            stream = api.watch().await.ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unit(status: &str, applied: &str) -> Value {
        json!({
            "metadata": {"key": "dev/Kustomization/a/b"},
            "status": {"conditions": [{"type": "Ready", "status": status, "reason": "R", "message": "m"}], "lastAppliedRevision": applied},
        })
    }

    #[test]
    fn what_is_waited_for_is_named() {
        assert_eq!(unmet(&[], None).as_deref(), Some("any unit to be there"));
        let waiting = [unit("True", "main@sha1:abc"), unit("Unknown", "")];
        assert_eq!(
            unmet(&waiting, None).as_deref(),
            Some("dev/Kustomization/a/b: R m")
        );
        assert_eq!(unmet(&[unit("True", "main@sha1:abc")], Some("abc")), None);
        assert!(unmet(&[unit("True", "main@sha1:abc")], Some("def")).is_some());
    }
}
