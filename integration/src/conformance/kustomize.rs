//! Kustomizations: our builds against what `kustomize build` printed.

use std::collections::BTreeMap;
use std::path::Path;

use capstan_kustomize::{Build, Error, MemoryTree, Options, Order, build};
use serde_json::Value;

use super::{Group, Report, Verdict, compare};

/// The files and folders that hold cases; any may be missing.
pub(crate) const PARTS: [&str; 3] = ["probes.json", "krusty_cases.json", "cases.tsv"];

/// What the probes call the folder that they were built in.
const PROBE_ROOT: &str = "$T";
/// The probes were recorded with a development build.
const PROBE_VERSION: &str = "(devel)";
/// Cases that upstream lists among the failing ones although the command builds them: what fails there is a later step of the test.
const BUILT_AFTER_ALL: [&str; 1] = ["TestIssue1251_Patches_ProdVsDev_Failure"];

/// Runs all cases in a folder.
pub(crate) fn run(folder: &Path) -> std::io::Result<Report> {
    let mut groups = vec![
        Group::new("probes"),
        Group::new("probe errors"),
        Group::new("krusty"),
        Group::new("krusty errors"),
        Group::new("real"),
    ];
    if let Some(probes) = read_json(&folder.join("probes.json"))? {
        probes
            .as_array()
            .into_iter()
            .flatten()
            .for_each(|probe| run_probe(probe, &mut groups));
    }
    if let Some(cases) = read_json(&folder.join("krusty_cases.json"))? {
        let of = |kind: &str| {
            cases
                .get(kind)
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default()
        };
        of("full")
            .iter()
            .filter(|case| text(case, "oracle") == "ok")
            .for_each(|case| run_krusty(case, &mut groups[2]));
        of("err")
            .iter()
            .filter(|case| can_fail_here(case))
            .for_each(|case| run_krusty_error(case, &mut groups[3]));
    }
    run_real(folder, &mut groups[4])?;
    groups.retain(|group| group.total > 0);
    Ok(Report(groups))
}

fn read_json(path: &Path) -> std::io::Result<Option<Value>> {
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&std::fs::read(path)?)?))
}

fn text<'v>(case: &'v Value, key: &str) -> &'v str {
    case.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn tree_of(case: &Value) -> MemoryTree {
    let files = case
        .get("files")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    MemoryTree::new(
        files.map(|(path, content)| (path.clone(), content.as_str().unwrap_or_default())),
    )
}

fn verdict(result: &Result<std::sync::Arc<Build>, Error>, expected: &str) -> Verdict {
    match result {
        Ok(build) => compare(expected, &build.to_yaml()),
        Err(error) => Verdict::Failed(format!("  {error}\n")),
    }
}

fn run_probe(probe: &Value, groups: &mut [Group]) {
    let (tree, name) = (tree_of(probe), text(probe, "name"));
    let options = Options {
        display_root: PROBE_ROOT,
        version: PROBE_VERSION,
        ..Options::default()
    };
    let result = build(&tree, text(probe, "run"), &options);
    if probe.get("rc").and_then(Value::as_i64) == Some(0) {
        groups[0].record(name, verdict(&result, text(probe, "out")));
        return;
    }
    let wanted = text(probe, "err");
    let wanted = wanted
        .rfind("Error: ")
        .map_or(wanted, |at| &wanted[at + 7..]);
    let outcome = match result {
        Ok(_) => Verdict::Failed("  an error was expected\n".to_owned()),
        // Go prints the whole object before the reason; the reason has to be the same.
        Err(error) if wanted.starts_with("map[string]interface {}") => {
            let reason = |text: &str| {
                text.rsplit_once(": json: ")
                    .map(|(_, reason)| reason.trim().to_owned())
            };
            compare(
                &reason(wanted).unwrap_or_default(),
                &reason(&error.to_string()).unwrap_or_default(),
            )
        }
        Err(error) => compare(wanted.trim(), error.to_string().trim()),
    };
    groups[1].record(name, outcome);
}

fn run_krusty(case: &Value, group: &mut Group) {
    let options = Options {
        order: Order::Fifo,
        ..Options::default()
    };
    let result = build(&tree_of(case), text(case, "run"), &options);
    let expected = case
        .get("expected")
        .and_then(|e| e.get(0))
        .and_then(Value::as_str)
        .unwrap_or_default();
    group.record(
        text(case, "name"),
        verdict(&result, expected.strip_prefix('\n').unwrap_or(expected)),
    );
}

/// Cases that fail for reasons that do not hold here: load restrictions and plugins are decided by the caller.
fn can_fail_here(case: &Value) -> bool {
    let options = text(case, "opts");
    !options.contains("RootOnly")
        && !options.contains("PluginsEnabled")
        && !BUILT_AFTER_ALL.contains(&text(case, "name"))
}

fn run_krusty_error(case: &Value, group: &mut Group) {
    let options = Options {
        order: Order::Fifo,
        ..Options::default()
    };
    let outcome = match build(&tree_of(case), text(case, "run"), &options) {
        Ok(_) => Verdict::Failed("  an error was expected\n".to_owned()),
        Err(_) => Verdict::Passed,
    };
    group.record(text(case, "name"), outcome);
}

fn run_real(folder: &Path, group: &mut Group) -> std::io::Result<()> {
    let Ok(list) = std::fs::read_to_string(folder.join("cases.tsv")) else {
        return Ok(());
    };
    let mut trees = BTreeMap::new();
    for line in list.lines().skip(1) {
        let mut columns = line.split('\t');
        let (Some(case), Some(tree), Some(path)) = (columns.next(), columns.next(), columns.next())
        else {
            continue;
        };
        if !trees.contains_key(tree) {
            trees.insert(
                tree.to_owned(),
                load_folder(&folder.join("trees").join(tree))?,
            );
        }
        let expected =
            std::fs::read_to_string(folder.join("expected").join(format!("{case}.yaml")))?;
        let result = build(&trees[tree], path, &Options::default());
        group.record(case, verdict(&result, &expected));
    }
    Ok(())
}

/// A folder on disk as a tree in memory.
pub(crate) fn load_folder(folder: &Path) -> std::io::Result<MemoryTree> {
    let mut tree = MemoryTree::default();
    add_folder(&mut tree, folder, "")?;
    Ok(tree)
}

fn add_folder(tree: &mut MemoryTree, folder: &Path, prefix: &str) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            tree.link(
                path,
                std::fs::read_link(entry.path())?
                    .to_string_lossy()
                    .into_owned(),
            );
        } else if kind.is_dir() {
            add_folder(tree, &entry.path(), &format!("{path}/"))?;
        } else {
            tree.insert(path, std::fs::read(entry.path())?);
        }
    }
    Ok(())
}
