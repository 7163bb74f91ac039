//! The Go program that knows.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What one side makes of a question.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Text(String),
    Error(String),
    /// Go does not always say the same.
    Random,
    /// Go's library panicked.
    Panic(String),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Text(text) => f.write_str(text),
            Answer::Error(error) => write!(f, "error: {error}"),
            Answer::Random => f.write_str("(random)"),
            Answer::Panic(panic) => f.write_str(panic),
        }
    }
}

pub(crate) struct Oracle {
    program: PathBuf,
}

impl Oracle {
    /// Builds the program once. Nothing, and a line that says why, where it cannot be had.
    pub(crate) fn build() -> Option<Oracle> {
        static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
        PROGRAM
            .get_or_init(build)
            .clone()
            .map(|program| Oracle { program })
    }

    /// Asks (operation, text) pairs, all at once.
    pub(crate) fn ask(&self, questions: &[(&str, &str)]) -> Vec<Answer> {
        let mut child = Command::new(&self.program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the oracle was just built");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let answers = std::thread::scope(|scope| {
            scope.spawn(move || {
                for (operation, text) in questions {
                    let question =
                        serde_json::json!({"op": operation, "text": base64(text.as_bytes())});
                    writeln!(stdin, "{question}").expect("the oracle reads to the end");
                }
            });
            stdout
                .lines()
                .map(|line| answer(&line.expect("the oracle writes UTF-8")))
                .collect::<Vec<_>>()
        });
        let status = child.wait().expect("the oracle ends");
        assert!(
            status.success() && answers.len() == questions.len(),
            "the oracle gave up: {status}"
        );
        answers
    }
}

fn build() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("go/goyaml");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("goyaml-oracle");
    let built = Command::new("go")
        .arg("build")
        .arg("-o")
        .arg(&program)
        .arg(".")
        .current_dir(source)
        .output();
    let output = match built {
        Ok(output) => output,
        Err(error) => {
            eprintln!(
                "skipped: the Go toolchain is needed to compare with Go's libraries, and `go` does not start: {error}"
            );
            return None;
        }
    };
    if output.status.success() {
        return Some(program);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let offline = ["dial tcp", "lookup ", "no such host", "disabled by GOPROXY"]
        .iter()
        .any(|sign| stderr.contains(sign));
    assert!(offline, "the oracle does not build: {stderr}");
    eprintln!("skipped: the modules that the oracle needs cannot be fetched: {stderr}");
    None
}

fn answer(line: &str) -> Answer {
    let line: serde_json::Value = serde_json::from_str(line).expect("the oracle answers in JSON");
    if line["random"] == true {
        return Answer::Random;
    }
    match (line["out"].as_str(), line["err"].as_str()) {
        (Some(text), _) => Answer::Text(text.to_owned()),
        (None, Some(panic)) if panic.starts_with("panic: ") => Answer::Panic(panic.to_owned()),
        (None, error) => Answer::Error(error.expect("an answer is text or an error").to_owned()),
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let symbol = ALPHABET[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= chunk.len() {
                char::from(symbol)
            } else {
                '='
            });
        }
    }
    text
}
