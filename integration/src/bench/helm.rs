//! Renders of real charts: the real command as a process, ours cold (load, parse, render) and warm (parsed chart, new values), and many
//! releases of one chart. Where there are no shared charts, generated ones are measured.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, anyhow, bail, ensure};
use capstan_helm::{Chart, Files, HelmVersion, TemplateOptions, Values, template};
use capstan_playground::toolchest::{Tool, Toolchest};

use super::{Measure, allocated_bytes, median, median_time, milliseconds};
use crate::conformance::helm::{PARTS, add_folder, now, secret};

/// Charts that are measured, evenly spread over all sizes, the largest included.
const CHARTS: usize = 15;
/// Runs of the process for each chart; it takes a good tenth of a second.
const PROCESS_RUNS: usize = 3;
const COLD_RUNS: usize = 5;
const WARM_RUNS: usize = 11;
/// Releases of one chart.
const RELEASES: usize = 1_000;

struct Case {
    name: String,
    folder: PathBuf,
    files: Files,
    bytes: usize,
}

/// What one chart takes, in milliseconds.
struct Timing {
    process: f64,
    cold: f64,
    warm: f64,
    own_process: Option<f64>,
}

pub(crate) fn run(dir: Option<&Path>) -> anyhow::Result<Vec<Measure>> {
    let helm = Toolchest::from_env()?
        .path(Tool::Helm4)
        .context("find helm to compare with")?;
    // Charts that are written for this run are gone after it.
    let generated = tempfile::tempdir()?;
    let cases = read_cases(dir, generated.path())?;
    let mut measures = Vec::new();
    let mut timings = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let timing = measure(&helm, case)?;
        let size = match at {
            0 => Some("small"),
            at if at == cases.len() / 2 => Some("median"),
            at if at + 1 == cases.len() => Some("largest"),
            _ => None,
        };
        if let Some(size) = size {
            measures.extend(figures(size, case, &timing)?);
        }
        timings.push(timing);
    }
    measures.extend(ratios(&timings));
    measures.extend(releases(&cases[cases.len() / 2])?);
    Ok(measures)
}

/// Charts at their default values, smallest first: the shared ones, evenly spread over all sizes, or generated ones where there are none.
fn read_cases(dir: Option<&Path>, generated: &Path) -> anyhow::Result<Vec<Case>> {
    let shared = crate::conformance::find_data(dir, "helm", &PARTS);
    let list = shared
        .as_ref()
        .and_then(|folder| std::fs::read_to_string(folder.join("cases.tsv")).ok());
    let folders: Vec<(String, PathBuf)> = match (shared, list) {
        (Some(folder), Some(list)) => at_defaults(&list)
            .map(|chart| (chart.to_owned(), folder.join("charts").join(chart)))
            .collect(),
        _ if dir.is_some() => {
            bail!("bench helm: there are no charts (cases.tsv) in the folder that was given")
        }
        _ => super::charts::write(generated)?
            .into_iter()
            .map(|name| (name.clone(), generated.join(name)))
            .collect(),
    };
    let mut cases = folders
        .into_iter()
        .map(|(name, folder)| read_case(name, folder))
        .collect::<Result<Vec<_>, _>>()?;
    cases.sort_by(|a, b| (a.bytes, &a.name).cmp(&(b.bytes, &b.name)));
    ensure!(
        !cases.is_empty(),
        "bench helm: cases.tsv names no chart at its default values"
    );
    let last = cases.len() - 1;
    let picked: Vec<usize> = (0..CHARTS).map(|i| i * last / (CHARTS - 1)).collect();
    let numbered = cases.into_iter().enumerate();
    let chosen = numbered.filter(|(at, _)| picked.contains(at));
    Ok(chosen.map(|(_, case)| case).collect())
}

/// The charts that a list of cases has at their default values.
fn at_defaults(list: &str) -> impl Iterator<Item = &str> {
    let rows = list
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect::<Vec<_>>());
    rows.filter_map(|row| match row[..] {
        [_, chart, "-"] => Some(chart),
        _ => None,
    })
}

fn read_case(name: String, folder: PathBuf) -> anyhow::Result<Case> {
    let mut files = Files::new();
    add_folder(&mut files, &folder, "").with_context(|| folder.display().to_string())?;
    let bytes = files.values().map(|data| data.len()).sum();
    Ok(Case {
        name,
        folder,
        files,
        bytes,
    })
}

/// A release whose values no other has, so that no render can stand for another.
fn options(number: usize) -> anyhow::Result<TemplateOptions> {
    let mut options = TemplateOptions::new(HelmVersion::V4, now(), secret());
    options.release_name = format!("release-{number}");
    options.values = Values::new()
        .set(&format!("capstanBenchmark.number={number}"))
        .map_err(|error| anyhow!("set a value: {error}"))?;
    // Schemas may refuse a value that the chart does not know; the real command is measured without them too.
    options.skip_schema_validation = true;
    Ok(options)
}

fn measure(helm: &Path, case: &Case) -> anyhow::Result<Timing> {
    let process = |program: &Path, arguments: &[&str]| {
        median_time(PROCESS_RUNS, || {
            let status = Command::new(program)
                .args(arguments)
                .arg(&case.folder)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            drop(black_box(status));
        })
    };
    let theirs = process(
        helm,
        &["template", "release-name", "--skip-schema-validation"],
    );
    let own = std::env::current_exe()?.with_file_name("capstan");
    let own_process = own
        .exists()
        .then(|| milliseconds(process(&own, &["render"])));
    let first = options(0)?;
    let load = || Chart::load(&case.files).map_err(|error| anyhow!("load {}: {error}", case.name));
    template(&load()?, &first).map_err(|error| anyhow!("render {}: {error}", case.name))?;
    let cold = median_time(COLD_RUNS, || {
        let rendered = load().map(|chart| template(&chart, &first).map(|text| text.len()));
        drop(black_box(rendered));
    });
    let chart = load()?;
    let all: Vec<TemplateOptions> = (0..WARM_RUNS).map(options).collect::<Result<_, _>>()?;
    let mut next = all.iter().cycle();
    let warm = median_time(WARM_RUNS, || {
        if let Some(options) = next.next() {
            drop(black_box(template(&chart, options).map(|text| text.len())));
        }
    });
    Ok(Timing {
        process: milliseconds(theirs),
        cold: milliseconds(cold),
        warm: milliseconds(warm),
        own_process,
    })
}

fn figures(size: &str, case: &Case, timing: &Timing) -> anyhow::Result<Vec<Measure>> {
    let against_process = |what: &str, value: f64| Measure {
        name: format!("{size} ({} kB): {what}", case.bytes / 1000),
        value,
        unit: "ms",
        baseline: Some(timing.process),
    };
    let mut all = vec![
        against_process("cold", timing.cold),
        against_process("warm", timing.warm),
    ];
    all.extend(
        timing
            .own_process
            .map(|own| against_process("as a process", own)),
    );
    let chart = Chart::load(&case.files)?;
    let warm = options(1)?;
    template(&chart, &warm)?;
    let cold_bytes = allocated_bytes(|| {
        drop(black_box(
            Chart::load(&case.files).map(|chart| template(&chart, &warm)),
        ));
    });
    let warm_bytes = allocated_bytes(|| drop(black_box(template(&chart, &warm))));
    let allocations = [("cold", cold_bytes), ("warm", warm_bytes)];
    all.extend(allocations.map(|(what, bytes)| Measure {
        name: format!("{size}: {what} render allocates"),
        value: bytes as f64 / 1e6,
        unit: "MB",
        baseline: None,
    }));
    Ok(all)
}

/// Medians over all measured charts.
fn ratios(timings: &[Timing]) -> Vec<Measure> {
    let over_all = |name: &str, value: &dyn Fn(&Timing) -> Option<f64>| {
        let of = |timing: &Timing| value(timing).map(|own| timing.process / own);
        Some(Measure {
            name: format!("median ratio of {} charts: {name}", timings.len()),
            value: median(timings.iter().filter_map(of).collect())?,
            unit: "x",
            baseline: None,
        })
    };
    [
        over_all("cold", &|timing| Some(timing.cold)),
        over_all("warm", &|timing| Some(timing.warm)),
        over_all("as a process", &|timing| timing.own_process),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Many releases of one parsed chart, each with values of its own, in one thread and in two.
fn releases(case: &Case) -> anyhow::Result<Vec<Measure>> {
    let chart = Chart::load(&case.files)?;
    let all: Vec<TemplateOptions> = (0..RELEASES).map(options).collect::<Result<_, _>>()?;
    template(&chart, &all[0])?;
    let part = |part: &[TemplateOptions]| {
        part.iter()
            .filter(|options| template(&chart, options).is_ok())
            .count()
    };
    let mut measures = Vec::new();
    for threads in [1, 2] {
        let start = Instant::now();
        let rendered: usize = std::thread::scope(|scope| {
            let chunks = all.chunks(RELEASES.div_ceil(threads));
            let workers: Vec<_> = chunks
                .map(|chunk| scope.spawn(move || part(chunk)))
                .collect();
            let counts = workers.into_iter().map(|worker| worker.join().unwrap_or(0));
            counts.sum()
        });
        let seconds = start.elapsed().as_secs_f64();
        ensure!(
            rendered == RELEASES,
            "bench helm: {} of {RELEASES} releases failed",
            RELEASES - rendered
        );
        measures.push(Measure {
            name: format!("{RELEASES} releases of one chart, {threads} thread(s)"),
            value: RELEASES as f64 / seconds,
            unit: "/s",
            baseline: None,
        });
    }
    let bytes = allocated_bytes(|| drop(black_box(template(&chart, &all[1]))));
    measures.push(Measure {
        name: "one of these releases allocates".to_owned(),
        value: bytes as f64 / 1e6,
        unit: "MB",
        baseline: None,
    });
    Ok(measures)
}
