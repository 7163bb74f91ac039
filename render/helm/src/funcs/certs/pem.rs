//! PEM blocks as Go's `encoding/pem` writes and reads them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Characters of base64 in a line.
const LINE: usize = 64;

/// A block.
pub(super) struct Block {
    pub(super) kind: String,
    pub(super) bytes: Vec<u8>,
}

/// Writes a block.
pub(super) fn encode(kind: &str, bytes: &[u8]) -> String {
    let body = STANDARD.encode(bytes);
    let mut out = format!("-----BEGIN {kind}-----\n");
    for line in body.as_bytes().chunks(LINE) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str(&format!("-----END {kind}-----\n"));
    out
}

/// The first block of a text. Headers are skipped.
pub(super) fn decode(text: &str) -> Option<Block> {
    let mut lines = text.lines().map(str::trim_end);
    let kind = loop {
        let line = lines.next()?;
        if let Some(kind) = line
            .strip_prefix("-----BEGIN ")
            .and_then(|line| line.strip_suffix("-----"))
        {
            break kind.to_owned();
        }
    };
    let end = format!("-----END {kind}-----");
    let mut body = String::new();
    for line in lines {
        if line == end {
            let bytes = STANDARD.decode(&body).ok()?;
            return Some(Block { kind, bytes });
        }
        if !line.contains(':') {
            body.push_str(line.trim());
        }
    }
    None
}
