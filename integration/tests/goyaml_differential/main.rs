//! capstan-goyaml against the Go libraries that it stands for, over random documents, scalars and values.
//!
//! The oracle is a small Go program (`integration/go/goyaml`), built here. Without `go` the tests say so and do nothing.

mod generate;
mod oracle;
mod ours;

use generate::Random;
use oracle::{Answer, Oracle};

/// Documents of each sort and operation. Enough to meet every rule many times over; a run takes seconds.
const DOCUMENTS: usize = 1_000;
/// The first seed. A failure names the one that it came from.
const SEED: u64 = 20_261_123;

const READ: [&str; 6] = [
    "sigs-to-json",
    "sigs-to-json-strict",
    "sigs-object",
    "v3-to-json",
    "v3-object-to-json",
    "v3-tree",
];
const WRITE_TREES: [&str; 3] = ["v3-compact", "v3-wide", "v3-default"];
const WRITE_VALUES: [&str; 2] = ["sigs-marshal", "v3-marshal"];

#[test]
fn scalars_are_resolved_as_in_go() {
    compare(&READ, |random| format!("k: {}\n", random.scalar()));
}

#[test]
fn well_formed_documents_are_read_as_in_go() {
    compare(&READ, Random::document);
}

#[test]
fn damaged_documents_are_read_or_refused_as_in_go() {
    compare(&READ, |random| {
        let document = random.document();
        random.damage(document)
    });
}

#[test]
fn soups_of_indicators_are_read_or_refused_as_in_go() {
    compare(&READ, Random::soup);
}

#[test]
fn trees_are_written_as_in_go() {
    compare(&WRITE_TREES, Random::document);
}

#[test]
fn damaged_trees_are_written_as_in_go() {
    compare(&WRITE_TREES, |random| {
        let document = random.document();
        random.damage(document)
    });
}

#[test]
fn values_are_written_as_in_go() {
    compare(&WRITE_VALUES, |random| random.value(4).to_string());
}

/// Asks both sides the same and lists what differs.
fn compare(operations: &[&str], make: impl Fn(&mut Random) -> String) {
    let Some(oracle) = Oracle::build() else {
        return;
    };
    let texts: Vec<(u64, String)> = (SEED..)
        .take(DOCUMENTS)
        .map(|seed| (seed, make(&mut Random::new(seed))))
        .collect();
    for operation in operations {
        let questions: Vec<(&str, &str)> = texts
            .iter()
            .map(|(_, text)| (*operation, text.as_str()))
            .collect();
        let answers = oracle.ask(&questions);
        let mut different = Vec::new();
        for ((seed, text), theirs) in texts.iter().zip(&answers) {
            let ours = ours::answer(operation, text);
            if !agree(&ours, theirs) {
                different.push(format!("seed {seed}, {operation}\n--- text\n{text}\n--- Go\n{theirs}\n--- ours\n{ours}\n"));
            }
        }
        let total = different.len();
        different.truncate(5);
        assert!(
            different.is_empty(),
            "{total} of {} differ; the first:\n\n{}",
            texts.len(),
            different.join("\n")
        );
    }
}

fn agree(ours: &Answer, theirs: &Answer) -> bool {
    match (ours, theirs) {
        // Go answers one thing now and another then, or breaks down: any answer will do.
        (_, Answer::Random | Answer::Panic(_)) => true,
        (Answer::Error(ours), Answer::Error(theirs)) => same_error(ours, theirs),
        // Go's JSON has an escape for what was no UTF-8.
        (Answer::Text(ours), Answer::Text(theirs)) => {
            *ours == theirs.replace("\\ufffd", "\u{FFFD}")
        }
        _ => ours == theirs,
    }
}

fn same_error(ours: &str, theirs: &str) -> bool {
    // Bad characters are found before anything else here, and when the reader gets there in Go.
    if ours.ends_with("control characters are not allowed") {
        return true;
    }
    // A map in a message is sorted by the types of its keys first, in an order that Go's linker chose.
    let before_map = |error: &str| {
        error
            .split("map[interface {}]interface {}{")
            .next()
            .map(str::to_owned)
    };
    before_map(ours) == before_map(theirs)
}
