//! Checks the shape of the workspace: crate edges, purity, file headers, orphan files, long files, words that do not belong, seeds of tests.
//!
//! An ordinary test, so that `cargo test` is the only gate that a person has to know.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test file: a panic is the report"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Every crate of ours, its folder, and which of our crates its `[dependencies]` may name.
const CRATES: &[(&str, &str, &[&str])] = &[
    ("capstan-core", "core", &[]),
    ("capstan-goyaml", "render/goyaml", &[]),
    ("capstan-envsubst", "render/envsubst", &[]),
    ("capstan-gotemplate", "render/gotemplate", &[]),
    (
        "capstan-helm",
        "render/helm",
        &["capstan-gotemplate", "capstan-goyaml"],
    ),
    (
        "capstan-kustomize",
        "render/kustomize",
        &["capstan-envsubst", "capstan-goyaml"],
    ),
    (
        "capstan-render",
        "render",
        &[
            "capstan-core",
            "capstan-envsubst",
            "capstan-goyaml",
            "capstan-helm",
            "capstan-kustomize",
        ],
    ),
    ("capstan-proto", "proto", &["capstan-core"]),
    (
        "capstan-hub",
        "hub",
        &[
            "capstan-core",
            "capstan-goyaml",
            "capstan-proto",
            "capstan-render",
        ],
    ),
    (
        "capstan-agent",
        "agent",
        &["capstan-core", "capstan-proto", "capstan-render"],
    ),
    ("capstan-playground", "playground", &["capstan-core"]),
    (
        "capstan",
        "cli",
        &[
            "capstan-agent",
            "capstan-core",
            "capstan-goyaml",
            "capstan-helm",
            "capstan-hub",
            "capstan-kustomize",
            "capstan-playground",
            "capstan-render",
        ],
    ),
    (
        "capstan-integration",
        "integration",
        &[
            "capstan-agent",
            "capstan-core",
            "capstan-goyaml",
            "capstan-helm",
            "capstan-hub",
            "capstan-kustomize",
            "capstan-playground",
            "capstan-proto",
            "capstan-render",
        ],
    ),
];

/// Crates that only compute, and what must not appear anywhere below them.
const PURE_CRATES: &[&str] = &[
    "capstan-core",
    "capstan-goyaml",
    "capstan-envsubst",
    "capstan-gotemplate",
    "capstan-helm",
    "capstan-kustomize",
    "capstan-render",
];
const IO_CRATES: &[&str] = &[
    "tokio",
    "tonic",
    "kube",
    "kube-client",
    "hyper",
    "reqwest",
    "git2",
    "gix",
    "rand",
    "mio",
    "socket2",
];
/// What crates of cryptography bring along though nothing of it is called: our code is held to naming no source of
/// randomness (see `AMBIENT`), and gives those crates a generator of its own.
const CARRIED: &[(&str, &str)] = &[("capstan-helm", "rand"), ("capstan-render", "rand")];
/// Words for randomness that nobody gave, which no pure crate may say.
const AMBIENT: &[&str] = &["OsRng", "thread_rng", "getrandom", "from_entropy"];
/// Crates that only one folder may name, and the folder.
const OWNED: &[(&str, &[&str])] = &[(
    "kube::",
    &["agent/src/cluster", "agent/tests", "integration"],
)];

/// Modules that only compute but live in a crate that does IO.
const PURE_MODULES: &[&str] = &[
    "hub/src/plan",
    "hub/src/session",
    "hub/src/fleet",
    "agent/src/plan",
    "agent/src/session",
];
const IO_PATHS: &[&str] = &[
    "tokio::", "tonic::", "kube::", "std::fs", "std::env", "std::net", "::now()", ".await",
];

/// Lines that a file may have without its `mod tests`.
const MAX_FILE_LINES: usize = 600;

#[test]
fn crates_depend_only_on_what_the_map_allows() {
    let dependencies = dependencies();
    for (krate, _, allowed) in CRATES {
        let found = dependencies
            .get(*krate)
            .unwrap_or_else(|| panic!("{krate} is not a member"));
        for ours in found
            .iter()
            .filter(|it| it.as_str() == "capstan" || it.starts_with("capstan-"))
        {
            assert!(
                allowed.contains(&ours.as_str()),
                "{krate} must not depend on {ours}"
            );
        }
    }
    for krate in PURE_CRATES {
        let mut below = BTreeSet::new();
        let mut todo = vec![(*krate).to_owned()];
        while let Some(it) = todo.pop() {
            if below.insert(it.clone()) {
                todo.extend(dependencies.get(&it).into_iter().flatten().cloned());
            }
        }
        for io in IO_CRATES {
            let carried = CARRIED.contains(&(*krate, *io));
            assert!(
                carried || !below.contains(*io),
                "{krate} must not reach {io}"
            );
        }
    }
}

/// What each package of the resolved graph links, by name, without what is only for building or testing.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1"])
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let meta: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let names: BTreeMap<&str, &str> = meta["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["id"].as_str().unwrap(), it["name"].as_str().unwrap()))
        .collect();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in meta["resolve"]["nodes"].as_array().unwrap() {
        let set = graph
            .entry(names[node["id"].as_str().unwrap()].to_owned())
            .or_default();
        for dep in node["deps"].as_array().unwrap() {
            let normal = dep["dep_kinds"]
                .as_array()
                .unwrap()
                .iter()
                .any(|it| it["kind"].is_null());
            if normal {
                set.insert(names[dep["pkg"].as_str().unwrap()].to_owned());
            }
        }
    }
    graph
}

#[test]
fn source_files_are_tidy() {
    let root = root();
    let mut wrong = Vec::new();
    for (_, folder, _) in CRATES {
        let files = rust_files(&root.join(folder).join("src"));
        let texts: Vec<String> = files
            .iter()
            .map(|it| fs::read_to_string(it).unwrap())
            .collect();
        for (file, text) in files.iter().zip(&texts) {
            let name = file.strip_prefix(&root).unwrap().display().to_string();
            check_file(&name, text, &texts, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn check_file(name: &str, text: &str, siblings: &[String], wrong: &mut Vec<String>) {
    if !text.starts_with("//!") {
        wrong.push(format!("{name}: no `//!` line saying what this module is"));
    }
    let stem = Path::new(name).file_stem().unwrap().to_str().unwrap();
    let is_root = ["lib", "main", "mod"].contains(&stem) || name.contains("/src/bin/");
    if !is_root
        && !siblings
            .iter()
            .any(|it| it.contains(&format!("mod {stem};")))
    {
        wrong.push(format!(
            "{name}: no `mod {stem};` names it, so it is never compiled"
        ));
    }
    let is_test = stem == "tests" || name.contains("/tests/");
    if !is_test {
        let pure = PURE_MODULES.iter().any(|it| {
            let rest = name.strip_prefix(it);
            rest.is_some_and(|it| it.starts_with('/') || it.starts_with('.'))
        });
        for io in IO_PATHS.iter().filter(|io| pure && text.contains(**io)) {
            wrong.push(format!("{name}: a pure module says `{io}`"));
        }
        let pure_crate = name.starts_with("core/") || name.starts_with("render/");
        for word in AMBIENT
            .iter()
            .filter(|it| pure_crate && text.contains(**it))
        {
            wrong.push(format!("{name}: a pure crate says `{word}`"));
        }
        let lines = text.split("\nmod tests {").next().unwrap().lines().count();
        let generated = text.lines().take(3).any(|it| it.contains("enerated"));
        if lines > MAX_FILE_LINES && !generated {
            wrong.push(format!(
                "{name}: {lines} lines, more than {MAX_FILE_LINES}: split it"
            ));
        }
    }
    for (owned, folders) in OWNED {
        if text.contains(owned) && !folders.iter().any(|it| name.starts_with(it)) {
            wrong.push(format!(
                "{name}: only {} may say `{owned}`",
                folders.join(", ")
            ));
        }
    }
}

/// What a gate tries must not depend on luck: a change would be refused for a fault that is older. `PROPTEST_RNG_SEED` still overrides it.
#[test]
fn property_tests_have_a_fixed_seed() {
    let root = root();
    let folders = CRATES.iter().map(|(_, folder, _)| root.join(folder));
    for folder in folders.flat_map(|it| [it.join("src"), it.join("tests")]) {
        for file in rust_files(&folder) {
            let text = fs::read_to_string(&file).unwrap();
            let tests = text.matches("\nproptest! {").count();
            let seeds = text.matches("rng_seed: RngSeed::Fixed(").count();
            assert!(
                seeds >= tests,
                "{}: a `proptest!` without a fixed seed",
                file.display()
            );
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    if !folder.exists() {
        return files;
    }
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
    files
}
