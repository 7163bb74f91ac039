//! Bounded fuzzing: a corpus, mutations of it, and inputs that made something new happen kept for more.
//!
//! Nothing may panic, and what the emitters write has to be readable.

#![allow(clippy::unwrap_used, reason = "a test file: a panic is the report")]

#[path = "../../tests/fuzzing/mod.rs"]
mod fuzzing;

use std::collections::BTreeSet;
use std::path::Path;

use capstan_goyaml::{
    DecodeOptions, Dialect, EmitOptions, JsonBuilder, Kind, Node, decode, emit, marshal,
    marshal_v3, parse, unmarshal,
};
use fuzzing::{Fuzz, Random};

/// The size of an input in bytes.
const MAX_INPUT: usize = 4_096;

const PIECES: &[&[u8]] = &[
    b": ",
    b"- ",
    b"? ",
    b"\n",
    b"\r\n",
    b"\n  ",
    b"  ",
    b"\t",
    b"#c\n",
    b"'",
    b"\"",
    b"|",
    b">",
    b"|2-\n",
    b"&a ",
    b"*a",
    b"!!str ",
    b"!!int ",
    b"!<x> ",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"---\n",
    b"...\n",
    b"%YAML 1.1\n",
    b"%TAG ! a\n",
    b"<<: ",
    b"\\",
    b"\\u",
    b"\xC2\x85",
    b"\xE2\x80\xA8",
    b"\xEF\xBB\xBF",
    b"\xFF\xFE",
    b"\xF0\x9F\x98\x80",
    b"\x00",
    b"\x7F",
    b"1e400",
    b"0x",
    b"2001-01-01",
    b"@",
    b"`",
];

#[test]
fn no_input_panics_and_what_is_written_can_be_read() {
    let fuzz = Fuzz {
        name: "goyaml",
        committed: &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"),
        runs: 4_000,
        least: 300,
    };
    fuzz.run([], mutate, |input: &Vec<u8>| check(input).join("\n"));
}

/// Does everything with an input, and says roughly what happened.
fn check(input: &[u8]) -> Vec<String> {
    let mut trace = Vec::new();
    match unmarshal(input, &mut JsonBuilder) {
        Ok(value) => {
            let written = marshal(&value);
            if let Ok(text) = &written {
                let read = unmarshal(text.as_bytes(), &mut JsonBuilder);
                if let Err(error) = read {
                    assert!(merges(&value), "{error} in {text}");
                }
            }
            let pretty = marshal_v3(&value, EmitOptions::KYAML_WIDE).unwrap();
            trace.push(format!("{} {}", written.is_ok(), shape(&pretty)));
        }
        Err(error) => trace.push(words(&error.to_string())),
    }
    match parse(input, Dialect::V3) {
        Ok(documents) => {
            for document in &documents {
                let options = DecodeOptions {
                    dialect: Dialect::V3,
                    strict: true,
                    object: false,
                };
                let decoded = decode(&document.root, options, &mut JsonBuilder);
                trace.push(
                    decoded
                        .map_or_else(|error| words(&error.to_string()), |_| "decoded".to_owned()),
                );
                for options in [EmitOptions::KYAML, EmitOptions::KYAML_WIDE, EmitOptions::V3] {
                    let written = emit(&document.root, options);
                    trace.push(
                        written.map_or_else(|error| words(&error.to_string()), |text| shape(&text)),
                    );
                }
                trace.push(kinds(&document.root, 3));
            }
        }
        Err(error) => trace.push(words(&error.to_string())),
    }
    trace
}

/// Whether there is a key that Go, and so do we, writes without the quotes that keep it from meaning a merge.
fn merges(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Object(map) => map.iter().any(|it| it.0 == "<<" || merges(it.1)),
        serde_json::Value::Array(items) => items.iter().any(merges),
        _ => false,
    }
}

/// The words of a message less what differs from input to input.
fn words(message: &str) -> String {
    message
        .split_whitespace()
        .take(14)
        .filter(|word| word.chars().all(char::is_alphabetic))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Which indicators a text has.
fn shape(text: &str) -> String {
    "|>'\"&*!{[#?-"
        .chars()
        .filter(|c| text.contains(*c))
        .collect()
}

fn kinds(node: &Node, depth: usize) -> String {
    let name = match node.kind {
        Kind::Scalar => return format!("{:?}", node.tag).chars().take(2).collect(),
        Kind::Alias => return "*".to_owned(),
        Kind::Sequence => "s",
        Kind::Mapping => "m",
    };
    let inner: BTreeSet<String> = if depth == 0 {
        BTreeSet::new()
    } else {
        node.content
            .iter()
            .map(|child| kinds(child, depth - 1))
            .collect()
    };
    format!("{name}({})", inner.into_iter().collect::<Vec<_>>().join(""))
}

fn mutate(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(input.len() + 1);
        let end = (at + random.below(24)).min(input.len());
        match random.below(6) {
            0 => drop(input.drain(at..end)),
            1 => {
                let copy = input[at..end].to_vec();
                input.splice(at..at, copy);
            }
            2 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len() + 1);
                let part = other[from..(from + random.below(80)).min(other.len())].to_vec();
                input.splice(at..end, part);
            }
            3 if at < input.len() => input[at] = random.below(256) as u8,
            _ => {
                let piece = PIECES[random.below(PIECES.len())].to_vec();
                input.splice(at..at, piece);
            }
        }
    }
    input.truncate(MAX_INPUT);
    input
}
