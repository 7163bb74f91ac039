//! The real `kustomize` against ours: small kustomizations, one for each field and each kind of error, and generated overlays.
//!
//! Output is compared byte by byte, errors by their words. Where the tool is not built the tests say so and pass; with
//! `CAPSTAN_REQUIRE_TOOLS` set it is built.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails loudly, and says when it is skipped"
)]

mod charts;
#[path = "../differential/mod.rs"]
mod differential;
mod generate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use capstan_kustomize::{ChartRenderer, MemoryTree, Options, build};
use capstan_playground::toolchest::{Tool, Toolchest};
use differential::shown;

/// Generated overlays: each costs a process of the real tool.
const GENERATED: u64 = 150;
/// The first seed. A failure names the one that it came from.
const SEED: u64 = 20_261_127;
/// What error messages call the folder of the case.
const ROOT: &str = "/case";

#[derive(Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) files: BTreeMap<String, String>,
    /// Symbolic links and where they lead.
    links: BTreeMap<String, String>,
}

#[test]
fn every_field_gives_what_kustomize_gives() {
    let cases = cases(include_str!("cases/fields.txt"));
    assert!(cases.len() > 30, "the file of cases is read");
    for case in &cases {
        assert!(ours(case).is_ok(), "{}: {:?}", case.name, ours(case));
    }
    compare(&cases);
}

#[test]
fn every_error_has_the_words_of_kustomize() {
    let cases = cases(include_str!("cases/errors.txt"));
    assert!(cases.len() > 50, "the file of cases is read");
    for case in &cases {
        assert!(ours(case).is_err(), "{}: an error was expected", case.name);
    }
    compare(&cases);
}

#[test]
fn generated_overlays_give_what_kustomize_gives() {
    let cases: Vec<Case> = (SEED..SEED + GENERATED).map(generate::overlay).collect();
    let built = cases.iter().filter(|case| ours(case).is_ok()).count();
    assert!(
        built * 3 > cases.len(),
        "most generated overlays are to be buildable, {built} of {} are",
        cases.len()
    );
    compare(&cases);
}

/// Reads cases: `### NAME`, then `== PATH` before each file, or `== PATH -> TARGET` for a link.
fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut path = None;
    for line in text.split_inclusive('\n') {
        if let Some(name) = line.strip_prefix("### ") {
            cases.push(Case {
                name: name.trim().to_owned(),
                ..Case::default()
            });
            path = None;
        } else if let (Some(name), Some(case)) = (line.strip_prefix("== "), cases.last_mut()) {
            let name = name.trim();
            path = None;
            if let Some((link, target)) = name.split_once(" -> ") {
                case.links.insert(link.to_owned(), target.to_owned());
            } else {
                case.files.insert(name.to_owned(), String::new());
                path = Some(name.to_owned());
            }
        } else if let (Some(path), Some(case)) = (&path, cases.last_mut()) {
            case.files.entry(path.clone()).or_default().push_str(line);
        }
    }
    cases
}

/// The real command, or `None` where it is not there.
fn kustomize() -> Option<PathBuf> {
    let chest = Toolchest::from_env().unwrap();
    if std::env::var_os("CAPSTAN_REQUIRE_TOOLS").is_some() {
        return Some(chest.path(Tool::Kustomize).unwrap());
    }
    let found = chest.find(Tool::Kustomize);
    if found.is_none() {
        println!(
            "SKIPPED, nothing to compare with: {} is not built; set CAPSTAN_REQUIRE_TOOLS=1 to build it",
            Tool::Kustomize
        );
    }
    found
}

/// Compares all cases and reports all differences at once.
fn compare(cases: &[Case]) {
    let Some(kustomize) = kustomize() else { return };
    let theirs = |case: &Case| theirs(&kustomize, &[], case);
    compare_with(cases, theirs, ours, comparable);
}

/// The same for any way to build.
fn compare_with(
    cases: &[Case],
    theirs: impl Fn(&Case) -> Result<String, String>,
    ours: impl Fn(&Case) -> Result<String, String>,
    comparable: impl Fn(&str) -> String,
) {
    let mut differences = Vec::new();
    for case in cases {
        let (theirs, ours) = (theirs(case), ours(case));
        let same = match (&theirs, &ours) {
            (Ok(theirs), Ok(ours)) => theirs == ours,
            (Err(theirs), Err(ours)) => comparable(theirs) == comparable(ours),
            _ => false,
        };
        if !same {
            differences.push(format!(
                "### {}\n--- kustomize\n{}\n--- ours\n{}\n",
                case.name,
                shown(&theirs),
                shown(&ours)
            ));
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {} cases differ:\n{}",
        differences.len(),
        cases.len(),
        differences.join("\n")
    );
}

fn ours(case: &Case) -> Result<String, String> {
    ours_with(case, None)
}

fn ours_with(case: &Case, charts: Option<&dyn ChartRenderer>) -> Result<String, String> {
    let files = case.files.iter();
    let mut tree = MemoryTree::new(files.map(|(path, text)| (path.clone(), text.as_str())));
    for (path, target) in &case.links {
        tree.link(path.as_str(), target.as_str());
    }
    let options = Options {
        display_root: ROOT,
        charts,
        ..Options::default()
    };
    match build(&tree, "", &options) {
        Ok(built) => Ok(built.to_yaml()),
        Err(error) => Err(error.to_string().trim_end().to_owned()),
    }
}

/// What the real command prints, or its error.
fn theirs(kustomize: &Path, flags: &[&str], case: &Case) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    // The tool shows paths as they are without links.
    let root = folder.path().canonicalize().unwrap();
    for (path, text) in &case.files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    for (path, target) in &case.links {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }
    let output = Command::new(kustomize)
        .args(["build", "--load-restrictor", "LoadRestrictionsNone"])
        .args(flags)
        .arg(&root)
        .env_clear()
        .env("HOME", &root)
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).unwrap());
    }
    let stderr =
        String::from_utf8_lossy(&output.stderr).replace(root.to_str().expect("UTF-8"), ROOT);
    let error = stderr
        .strip_prefix("Error: ")
        .or_else(|| stderr.split_once("\nError: ").map(|(_, error)| error));
    Err(error.unwrap_or(&stderr).trim_end().to_owned())
}

/// An error without what differs on purpose: Go's pointers, paths that depend on the version of Go, whole objects (which may be secret),
/// the words of another regular expression engine.
fn comparable(error: &str) -> String {
    let mut text = error.to_owned();
    while let Some((before, after)) = text.split_once(" &{0x") {
        let end = after.find('}').map_or(after.len(), |at| at + 1);
        text = format!("{before}{}", &after[end..]);
    }
    while let Some((before, after)) = text.split_once("Go struct field ") {
        let end = after.find(" of type").unwrap_or(after.len());
        text = format!("{before}Go field{}", &after[end..]);
    }
    while let Some((before, after)) = text.split_once(" with config: `\n") {
        let rest = after.split_once("\n`").map_or("", |(_, rest)| rest);
        text = format!("{before}{rest}");
    }
    // Which of several referrers is met first is up to the order of Go's maps.
    for whole in ["found multiple possible referrals", "error parsing regexp"] {
        if text.contains(whole) {
            return whole.to_owned();
        }
    }
    if let Some((before, _)) = text.split_once("produces ID conflict") {
        return before.to_owned();
    }
    match text.rsplit_once(": json: unsupported value") {
        Some((_, value)) => value.to_owned(),
        None => text,
    }
}
