//! Benchmarks: each measures in one run what it compares.

mod charts;
mod commit;
mod drift;
mod fleet;
mod helm;
mod kustomize;
mod swarm;
mod units;

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// One measured figure.
pub(crate) struct Measure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// What it is compared with, in the same unit.
    pub(crate) baseline: Option<f64>,
}

impl Measure {
    /// How many times better than the baseline.
    fn ratio(&self) -> Option<f64> {
        self.baseline
            .filter(|_| self.value > 0.0)
            .map(|baseline| baseline / self.value)
    }

    fn json(&self) -> Value {
        json!({"name": self.name, "value": self.value, "unit": self.unit, "baseline": self.baseline, "ratio": self.ratio()})
    }
}

/// The command: runs a benchmark by name.
pub(crate) fn main(
    name: &str,
    dir: Option<&Path>,
    size: Option<usize>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        size.is_none() || name == "swarm",
        "run benchmark {name}: it has no sizes; --size is for swarm"
    );
    let measures = match name {
        "commit" => block_on(commit::run())?,
        "drift" => block_on(drift::run())?,
        "helm" => helm::run(dir)?,
        "kustomize" => kustomize::run(dir)?,
        "swarm" => block_on(swarm::run(size))?,
        "units" => block_on(units::run())?,
        other => anyhow::bail!(
            "run benchmark {other}: there is none of that name; there are commit, drift, helm, kustomize, swarm and units"
        ),
    };
    if json {
        let list: Vec<Value> = measures.iter().map(Measure::json).collect();
        crate::conformance::say(&serde_json::to_string_pretty(&list)?);
    } else {
        crate::conformance::say(&table(&measures));
    }
    Ok(ExitCode::SUCCESS)
}

fn block_on<T>(run: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Runtime::new()?.block_on(run)
}

fn table(measures: &[Measure]) -> String {
    let width = measures
        .iter()
        .map(|m| m.name.len())
        .max()
        .unwrap_or_default();
    let mut out = format!(
        "{:<width$} {:>14} {:<6} {:>14} {:>10}\n",
        "name", "value", "unit", "baseline", "ratio"
    );
    for m in measures {
        let baseline = m.baseline.map(|b| format!("{b:.3}")).unwrap_or_default();
        let ratio = m.ratio().map(|r| format!("{r:.1} x")).unwrap_or_default();
        let _ = writeln!(
            out,
            "{:<width$} {:>14.3} {:<6} {:>14} {:>10}",
            m.name, m.value, m.unit, baseline, ratio
        );
    }
    out
}

/// The median of several runs.
pub(crate) fn median_time(runs: usize, mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

/// Bytes that are allocated while something runs.
pub(crate) fn allocated_bytes(run: impl FnOnce()) -> usize {
    let region = stats_alloc::Region::new(crate::ALLOCATOR);
    run();
    region.change().bytes_allocated
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
