//! Objects changed by hand on one real cluster: how long until each is again as Git says.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    Measure,
    fleet::{Bench, file, objects, unit},
};

/// Objects that are changed.
const OBJECTS: usize = 1_000;
/// People who change them at the same time.
const HANDS: usize = 16;
/// Longest wait for the next correction.
const PATIENCE: Duration = Duration::from_secs(60);

/// When each object was changed: just before the request.
type Changed = Mutex<BTreeMap<String, Instant>>;

pub(crate) async fn run() -> anyhow::Result<Vec<Measure>> {
    let bench = Bench::start(&[]).await?;
    let wanted = objects("ours", OBJECTS, 0);
    let files = [unit("objects"), file("objects/all.yaml", &wanted)];
    bench.commit(&files, 1).await?;
    let changed = Changed::default();
    let before = bench.requests().await?;
    let collection = "/api/v1/namespaces/ours/configmaps";
    let events = bench.cluster().watch(collection).await?;
    let hands = stream::iter(&wanted[1..])
        .map(|(path, _)| change(&bench, path, &changed))
        .buffer_unordered(HANDS)
        .try_for_each(|()| async { Ok(()) });
    let (corrected, hands) = tokio::join!(corrections(events, &changed), hands);
    hands?;
    let mut seconds = corrected?;
    seconds.sort_by(f64::total_cmp);
    let requests = bench.requests().await? - before;
    let part = |of: usize| seconds[(OBJECTS * of).div_ceil(100).saturating_sub(1)];
    let figure = |what: &str, value, unit, baseline| Measure {
        name: format!("{OBJECTS} objects changed by hand: {what}"),
        value,
        unit,
        baseline,
    };
    let mut measures = vec![
        figure("corrected, median", part(50), "s", None),
        figure("corrected, p99", part(99), "s", None),
        figure("corrected, last", part(100), "s", None),
        figure("requests", requests, "count", Some(OBJECTS as f64)),
    ];
    measures.extend(bench.agent_memory(&format!("{OBJECTS} objects changed by hand"))?);
    Ok(measures)
}

fn lock(changed: &Changed) -> MutexGuard<'_, BTreeMap<String, Instant>> {
    changed.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn change(bench: &Bench, path: &str, changed: &Changed) -> anyhow::Result<()> {
    let name = path.rsplit('/').next().unwrap_or_default();
    lock(changed).insert(name.to_owned(), Instant::now());
    let patch = json!({"data": {"value": "by hand"}});
    bench.cluster().patch(path, &patch).await?;
    Ok(())
}

/// Seconds from each change to the event that shows the object as declared again.
async fn corrections(
    events: impl futures::Stream<Item = anyhow::Result<Value>>,
    changed: &Changed,
) -> anyhow::Result<Vec<f64>> {
    let mut events = pin!(events);
    let mut seconds = Vec::new();
    while seconds.len() < OBJECTS {
        let Ok(event) = timeout(PATIENCE, events.next()).await else {
            bail!(
                "no correction for {} s; {} of {OBJECTS} were corrected",
                PATIENCE.as_secs(),
                seconds.len()
            );
        };
        let object = event.context("the watch ended")??;
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if object["data"]["value"] == "0" {
            let since = lock(changed).remove(name);
            seconds.extend(since.map(|it| it.elapsed().as_secs_f64()));
        }
    }
    Ok(seconds)
}
