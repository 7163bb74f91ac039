//! Many units on one real cluster: all of them, none of them and one of them changed, beside the floor.

use super::{
    Measure,
    fleet::{Bench, File, file, objects, unit},
};

/// Units, each of a Namespace and two ConfigMaps.
const SIZES: [usize; 2] = [100, 500];

pub(crate) async fn run() -> anyhow::Result<Vec<Measure>> {
    let mut measures = Vec::new();
    for size in SIZES {
        measures.extend(measure(size).await?);
    }
    Ok(measures)
}

async fn measure(size: usize) -> anyhow::Result<Vec<Measure>> {
    let bench = Bench::start(&[]).await?;
    let name = |number: usize| format!("unit-{number}");
    let content = |number: usize, value: usize| {
        let name = name(number);
        file(&format!("{name}/all.yaml"), &objects(&name, 2, value))
    };
    let mut figures = Vec::new();
    let mut figure = |what: &str, (seconds, requests): (f64, f64), baseline| {
        let name = |unit: &str| format!("{size} units: {what}, {unit}");
        figures.extend([
            Measure {
                name: name("commit to healthy"),
                value: seconds,
                unit: "s",
                baseline,
            },
            Measure {
                name: name("requests"),
                value: requests,
                unit: "count",
                baseline: None,
            },
        ]);
    };

    let all: Vec<File> = (0..size)
        .flat_map(|number| [unit(&name(number)), content(number, 0)])
        .collect();
    let created = timed(&bench, &all, size).await?;
    let mut floor = 0.0;
    // The namespaces one after the other would be a floor too high: all of them are given at once, as the units are.
    let others: Vec<_> = (0..size)
        .map(|number| objects(&format!("floor-{number}"), 2, 0))
        .collect();
    for stage in [0..1, 1..3] {
        let stage: Vec<_> = others
            .iter()
            .flat_map(|it| it[stage.clone()].to_vec())
            .collect();
        floor += bench.floor(&stage).await?.as_secs_f64();
    }
    figure("all created", created, Some(floor));
    let nothing = vec![("README.md".to_owned(), "changes no unit".to_owned())];
    figure(
        "none changed",
        timed(&bench, &nothing, size).await?,
        Some(floor),
    );
    let one = vec![content(0, 1)];
    figure("one changed", timed(&bench, &one, size).await?, Some(floor));
    figures.extend(bench.agent_memory(&format!("{size} units"))?);
    Ok(figures)
}

/// Seconds and requests that a commit takes.
async fn timed(bench: &Bench, files: &[File], units: usize) -> anyhow::Result<(f64, f64)> {
    let before = bench.requests().await?;
    let time = bench.commit(files, units).await?;
    Ok((time.as_secs_f64(), bench.requests().await? - before))
}
