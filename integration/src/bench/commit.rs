//! From a commit to healthy objects on one real cluster, beside the floor: a bare client that applies the same objects.

use std::time::Duration;

use super::{
    Measure,
    fleet::{Bench, file, objects, unit},
    median,
};

/// Objects in a commit.
const SIZES: [usize; 3] = [1, 100, 1_000];
/// Commits that change all of them, beside the one that creates them.
const CHANGES: usize = 3;
/// How long the agent is left alone to see whether it is quiet.
const IDLE: Duration = Duration::from_secs(30);

pub(crate) async fn run() -> anyhow::Result<Vec<Measure>> {
    let mut measures = Vec::new();
    for size in SIZES {
        measures.extend(measure(size).await?);
    }
    Ok(measures)
}

/// One size, on a cluster and an agent of its own.
async fn measure(size: usize) -> anyhow::Result<Vec<Measure>> {
    let bench = Bench::start(&[]).await?;
    let (mut ours, mut floors, mut requests) = (Vec::new(), Vec::new(), Vec::new());
    for value in 0..=CHANGES {
        let mut files = vec![file("objects/all.yaml", &objects("ours", size, value))];
        if value == 0 {
            files.push(unit("objects"));
        }
        let before = bench.requests().await?;
        ours.push(bench.commit(&files, 1).await?.as_secs_f64());
        requests.push(bench.requests().await? - before);
        let floor = bench.floor(&objects("floor", size, value)).await?;
        floors.push(floor.as_secs_f64());
    }
    let figure = |what: &str, value: f64, unit: &'static str, baseline: Option<f64>| Measure {
        name: format!("{size} objects: {what}"),
        value,
        unit,
        baseline,
    };
    let mut measures = vec![
        figure(
            "commit to healthy, created",
            ours.remove(0),
            "s",
            Some(floors.remove(0)),
        ),
        figure(
            "requests, created",
            requests.remove(0),
            "count",
            Some(size as f64 + 1.0),
        ),
        figure(
            "commit to healthy, changed",
            median(ours).unwrap_or_default(),
            "s",
            median(floors),
        ),
        figure(
            "requests, changed",
            median(requests).unwrap_or_default(),
            "count",
            Some(size as f64),
        ),
    ];
    let before = bench.requests().await?;
    tokio::time::sleep(IDLE).await;
    let idle = bench.requests().await? - before;
    measures.push(figure(
        "requests of the idle agent in 30 s",
        idle,
        "count",
        None,
    ));
    measures.extend(bench.agent_memory(&format!("{size} objects"))?);
    Ok(measures)
}
