//! Builds of real kustomizations: the real command as a process, ours cold, ours warm with nothing and with one file changed.

mod many;
mod sample;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, bail};
use capstan_kustomize::{Build, Cache, MemoryTree, Options, Tree, build};
use capstan_playground::toolchest::{Tool, Toolchest};

use super::{Measure, allocated_bytes, median, median_time, milliseconds};
use crate::conformance::kustomize::{PARTS, load_folder};

/// Cases that are measured, evenly spread over all sizes.
const CASES: usize = 15;
/// Runs of the process for each case; it takes up to a second.
const PROCESS_RUNS: usize = 3;
const COLD_RUNS: usize = 5;
const WARM_RUNS: usize = 21;
const CHANGED_RUNS: usize = 9;

struct Case {
    name: String,
    folder: PathBuf,
    path: String,
    expected_bytes: u64,
}

/// What one case takes, in milliseconds.
struct Timing {
    process: f64,
    cold: f64,
    unchanged: f64,
    changed: f64,
    own_process: Option<f64>,
}

pub(crate) fn run(dir: Option<&Path>) -> anyhow::Result<Vec<Measure>> {
    let kustomize = Toolchest::from_env()?
        .path(Tool::Kustomize)
        .context("find kustomize to compare with")?;
    // Kustomizations that are written for this run are gone after it.
    let generated = tempfile::tempdir()?;
    let cases = choose(read_cases(dir, generated.path())?);
    let mut trees: BTreeMap<PathBuf, MemoryTree> = BTreeMap::new();
    let mut measures = Vec::new();
    let mut timings = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        if !trees.contains_key(&case.folder) {
            trees.insert(case.folder.clone(), load_folder(&case.folder)?);
        }
        let tree = trees
            .get_mut(&case.folder)
            .expect("the tree was just loaded");
        let timing = measure(&kustomize, case, tree)?;
        let size = match at {
            0 => Some("small"),
            at if at == cases.len() / 2 => Some("median"),
            at if at + 1 == cases.len() => Some("large"),
            _ => None,
        };
        if let Some(size) = size {
            measures.extend(figures(size, &timing));
            let bytes =
                allocated_bytes(|| drop(black_box(build(tree, &case.path, &Options::default()))));
            measures.push(Measure {
                name: format!("{size}: cold build allocates"),
                value: bytes as f64 / 1e6,
                unit: "MB",
                baseline: None,
            });
        }
        timings.push(timing);
    }
    measures.extend(ratios(&timings));
    measures.extend(many::run()?);
    Ok(measures)
}

/// The shared kustomizations, or generated ones where there are none and none were asked for.
fn read_cases(dir: Option<&Path>, generated: &Path) -> anyhow::Result<Vec<Case>> {
    let shared = crate::conformance::find_data(dir, "kustomize", &PARTS);
    let shared = shared.filter(|it| it.join("cases.tsv").exists());
    let folder = match (shared, dir) {
        (Some(folder), _) => folder,
        (None, None) => return Ok(sample::cases(generated)?),
        (None, Some(dir)) => bail!("{}: there are no kustomizations (cases.tsv)", dir.display()),
    };
    let list = std::fs::read_to_string(folder.join("cases.tsv"))?;
    let mut cases = Vec::new();
    for line in list.lines().skip(1) {
        let [name, tree, path] = line.split('\t').collect::<Vec<_>>()[..] else {
            continue;
        };
        let expected = folder.join("expected").join(format!("{name}.yaml"));
        cases.push(Case {
            name: name.to_owned(),
            folder: folder.join("trees").join(tree),
            path: path.to_owned(),
            expected_bytes: std::fs::metadata(expected).map_or(0, |m| m.len()),
        });
    }
    Ok(cases)
}

/// Some cases of every size, smallest first, the largest included.
fn choose(mut cases: Vec<Case>) -> Vec<Case> {
    cases.retain(|case| case.expected_bytes > 0);
    cases.sort_by(|a, b| (a.expected_bytes, &a.name).cmp(&(b.expected_bytes, &b.name)));
    let last = cases.len().saturating_sub(1);
    let mut picked: Vec<usize> = (0..CASES).map(|i| i * last / (CASES - 1)).collect();
    picked.dedup();
    let wanted = |at: &usize| picked.contains(at);
    cases
        .into_iter()
        .enumerate()
        .filter(|(at, _)| wanted(at))
        .map(|(_, case)| case)
        .collect()
}

fn measure(kustomize: &Path, case: &Case, tree: &mut MemoryTree) -> anyhow::Result<Timing> {
    let folder = case.folder.join(&case.path);
    let process = |program: &Path, arguments: &[&str]| {
        median_time(PROCESS_RUNS, || {
            let status = Command::new(program)
                .args(arguments)
                .arg(&folder)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            drop(black_box(status));
        })
    };
    let theirs = process(
        kustomize,
        &["build", "--load-restrictor", "LoadRestrictionsNone"],
    );
    let own = std::env::current_exe()?.with_file_name("capstan");
    let own_process = own
        .exists()
        .then(|| milliseconds(process(&own, &["render"])));

    let plain = Options::default();
    build(tree, &case.path, &plain).map_err(|e| anyhow::anyhow!("build {}: {e}", case.name))?;
    let cold = median_time(COLD_RUNS, || {
        black_box(text(build(tree, &case.path, &plain)));
    });

    let cache = Cache::default();
    let warm = Options {
        cache: Some(&cache),
        ..plain
    };
    let first =
        build(tree, &case.path, &warm).map_err(|e| anyhow::anyhow!("build {}: {e}", case.name))?;
    let unchanged = median_time(WARM_RUNS, || {
        drop(black_box(build(tree, &case.path, &warm)))
    });

    let touched = touch_target(&first, tree);
    let original = tree.read(&touched)?;
    let mut times = Vec::new();
    for run in 0..CHANGED_RUNS {
        let mut content = original.to_vec();
        content.extend_from_slice(format!("\n# touched {run}\n").as_bytes());
        tree.insert(touched.clone(), content);
        let time = median_time(1, || {
            black_box(text(build(tree, &case.path, &warm)));
        });
        times.push(milliseconds(time));
    }
    tree.insert(touched, original.to_vec());
    Ok(Timing {
        process: milliseconds(theirs),
        cold: milliseconds(cold),
        unchanged: milliseconds(unchanged),
        changed: median(times).unwrap_or_default(),
        own_process,
    })
}

fn text(built: Result<Arc<Build>, capstan_kustomize::Error>) -> usize {
    built.map(|build| build.to_yaml().len()).unwrap_or_default()
}

/// The file that a commit changes: the smallest that the result has objects of, as patches are small.
fn touch_target(build: &Build, tree: &MemoryTree) -> String {
    let files: std::collections::BTreeSet<&str> = build
        .objects
        .iter()
        .map(|object| &*object.origin.file)
        .collect();
    let size = |file: &&str| tree.read(file).map_or(usize::MAX, |content| content.len());
    files
        .into_iter()
        .min_by_key(size)
        .unwrap_or_default()
        .to_owned()
}

fn figures(size: &str, timing: &Timing) -> Vec<Measure> {
    let against_process = |what: &str, value: f64| Measure {
        name: format!("{size}: {what}"),
        value,
        unit: "ms",
        baseline: Some(timing.process),
    };
    let mut all = vec![
        against_process("cold build", timing.cold),
        against_process("warm, nothing changed", timing.unchanged),
        against_process("warm, one file changed", timing.changed),
    ];
    all.extend(
        timing
            .own_process
            .map(|own| against_process("as a process", own)),
    );
    all
}

/// Medians over all measured cases.
fn ratios(timings: &[Timing]) -> Vec<Measure> {
    let over_all = |name: &str, value: &dyn Fn(&Timing) -> Option<f64>| {
        let ratio = median(
            timings
                .iter()
                .filter_map(|t| value(t).map(|v| t.process / v))
                .collect(),
        )?;
        Some(Measure {
            name: format!("median ratio of {} cases: {name}", timings.len()),
            value: ratio,
            unit: "x",
            baseline: None,
        })
    };
    [
        over_all("cold", &|t| Some(t.cold)),
        over_all("warm, nothing changed", &|t| Some(t.unchanged)),
        over_all("warm, one file changed", &|t| Some(t.changed)),
        over_all("as a process", &|t| t.own_process),
    ]
    .into_iter()
    .flatten()
    .collect()
}
