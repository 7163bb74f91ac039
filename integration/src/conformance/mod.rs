//! What the real tools produce, held against ours: passed and total per group, and the first difference of each failure.

pub(crate) mod fleets;
pub(crate) mod helm;
pub(crate) mod kustomize;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Lines around the first difference that a failure shows.
const CONTEXT_LINES: usize = 2;

/// What became of one case.
pub(crate) enum Verdict {
    Passed,
    /// Why not: the first difference, or the error.
    Failed(String),
}

/// The cases of one kind.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) name: &'static str,
    total: usize,
    failures: Vec<(String, String)>,
}

impl Group {
    pub(crate) fn new(name: &'static str) -> Group {
        Group {
            name,
            ..Group::default()
        }
    }

    pub(crate) fn record(&mut self, case: &str, verdict: Verdict) {
        self.total += 1;
        if let Verdict::Failed(reason) = verdict {
            self.failures.push((case.to_owned(), reason));
        }
    }
}

/// All groups of a run.
pub(crate) struct Report(pub(crate) Vec<Group>);

impl Report {
    /// The report as people read it. Failures that the file of accepted ones lists are marked; they still count.
    pub(crate) fn text(&self, accepted: &[String]) -> String {
        let mut out = String::new();
        if self.0.is_empty() {
            return "no cases were found".to_owned();
        }
        for group in &self.0 {
            for (case, reason) in &group.failures {
                let mark = if accepted.contains(case) {
                    " (accepted)"
                } else {
                    ""
                };
                let _ = writeln!(out, "FAILED {}/{case}{mark}\n{reason}\n", group.name);
            }
        }
        for group in &self.0 {
            let _ = writeln!(
                out,
                "{:<20} {:>5}/{}",
                group.name,
                group.total - group.failures.len(),
                group.total
            );
        }
        let failures = self.0.iter().flat_map(|group| &group.failures);
        let unexpected = failures.filter(|(case, _)| !accepted.contains(case));
        let _ = writeln!(out, "failures not accepted: {}", unexpected.count());
        out
    }

    /// 0: all passed, 1: some failed, 2: no cases.
    pub(crate) fn exit_code(&self) -> u8 {
        match (
            self.0.iter().map(|g| g.total).sum::<usize>(),
            self.0.iter().map(|g| g.failures.len()).sum::<usize>(),
        ) {
            (0, _) => 2,
            (_, 0) => 0,
            _ => 1,
        }
    }
}

/// The verdict on two texts that should be equal.
pub(crate) fn compare(expected: &str, actual: &str) -> Verdict {
    if expected == actual {
        return Verdict::Passed;
    }
    let (expected, actual): (Vec<&str>, Vec<&str>) =
        (expected.split('\n').collect(), actual.split('\n').collect());
    let same = expected
        .iter()
        .zip(&actual)
        .take_while(|(a, b)| a == b)
        .count();
    let mut reason = format!("  first difference at line {}:\n", same + 1);
    for line in &expected[same.saturating_sub(CONTEXT_LINES)..same] {
        let _ = writeln!(reason, "    {line}");
    }
    for (mark, lines) in [('-', &expected), ('+', &actual)] {
        for line in lines.iter().skip(same).take(CONTEXT_LINES + 1) {
            let _ = writeln!(reason, "  {mark} {line}");
        }
    }
    Verdict::Failed(reason)
}

/// The folder that holds any of `parts`: `dir` itself, or where the shared data has it below `dir`.
pub(crate) fn find_data(dir: Option<&Path>, tool: &str, parts: &[&str]) -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let fallback = [
        shared.clone(),
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    ];
    let roots = match dir {
        Some(dir) => vec![dir.to_owned()],
        None => fallback.to_vec(),
    };
    let candidates = roots.iter().flat_map(|root| {
        [
            root.clone(),
            root.join(tool),
            root.join("conformance").join(tool),
        ]
    });
    candidates
        .into_iter()
        .find(|folder| parts.iter().any(|part| folder.join(part).exists()))
}

/// The cases of a file of accepted failures: one a line, `#` starts a comment or the reason.
pub(crate) fn accepted(file: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("conformance")
        .join(file);
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// Prints what a command is for.
#[expect(clippy::print_stdout, reason = "the report is what the command prints")]
pub(crate) fn say(text: &str) {
    println!("{}", text.trim_end());
}
