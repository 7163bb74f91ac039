//! Values as Go's `%#v` writes them. Error messages hold such text, and people search for it.

use super::mapping::{is_merge, merge_sources};
use super::{BASE64, is_string};
use crate::Dialect;
use crate::error::Error;
use crate::node::{Kind, Node, Tag};
use crate::resolve::{Resolved, resolve_tagged};
use crate::strconv::format_float;
use base64::Engine;

/// Bytes after which a value in an error message is cut. Go has no limit; a message of megabytes helps nobody.
const MAX_MESSAGE_BYTES: usize = 4096;

const NIL: &str = "interface {}(nil)";

/// A string in Go's quotes.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0C' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0B' => quoted.push_str("\\v"),
            c if (c as u32) < 0x20 || c == '\x7F' => {
                quoted.push_str(&format!("\\x{:02x}", c as u32))
            }
            '\u{80}'..='\u{A0}'
            | '\u{AD}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{FEFF}'
            | '\u{FFFE}'
            | '\u{FFFF}' => {
                quoted.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// What decoding the node to `interface{}` gives, as Go source.
pub(super) fn value(node: &Node, dialect: Dialect) -> Result<String, Error> {
    let mut out = String::new();
    write(&mut out, node, dialect, true)?;
    if out.len() > MAX_MESSAGE_BYTES {
        let cut = (0..=MAX_MESSAGE_BYTES)
            .rev()
            .find(|i| out.is_char_boundary(*i))
            .unwrap_or(0);
        out.truncate(cut);
        out.push_str("...");
    }
    Ok(out)
}

fn write(out: &mut String, node: &Node, dialect: Dialect, outermost: bool) -> Result<(), Error> {
    if out.len() > MAX_MESSAGE_BYTES {
        return Ok(());
    }
    let node = node.target()?;
    match node.kind {
        Kind::Scalar => scalar(out, node, dialect, outermost)?,
        Kind::Sequence | Kind::Alias => {
            out.push_str("[]interface {}{");
            for (i, item) in node.content.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write(out, item, dialect, false)?;
            }
            out.push('}');
        }
        Kind::Mapping => mapping(out, node, dialect)?,
    }
    Ok(())
}

fn mapping(out: &mut String, node: &Node, dialect: Dialect) -> Result<(), Error> {
    let mut entries = Vec::new();
    collect(&mut entries, node, dialect)?;
    // Go sorts by type first, nil before all, in an order of types that is its own affair.
    entries.sort_by(|a, b| (a.0 != NIL, &a.0).cmp(&(b.0 != NIL, &b.0)));
    // Of keys that are equal the last one counts.
    entries.reverse();
    entries.dedup_by(|later, earlier| later.0 == earlier.0);
    entries.reverse();
    let strings = dialect == Dialect::V3 && entries.iter().all(|(key, _)| key.starts_with('"'));
    out.push_str(if strings {
        "map[string]interface {}{"
    } else {
        "map[interface {}]interface {}{"
    });
    for (i, (key, value)) in entries.iter().enumerate() {
        out.push_str(if i > 0 { ", " } else { "" });
        out.push_str(key);
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
    Ok(())
}

fn collect(
    entries: &mut Vec<(String, String)>,
    node: &Node,
    dialect: Dialect,
) -> Result<(), Error> {
    for (key, value) in node.entries().take(MAX_MESSAGE_BYTES) {
        if is_merge(dialect, key) {
            for source in merge_sources(value)? {
                collect(entries, source.target()?, dialect)?;
            }
            continue;
        }
        let (mut k, mut v) = (String::new(), String::new());
        write(&mut k, key, dialect, false)?;
        write(&mut v, value, dialect, false)?;
        entries.push((k, v));
    }
    Ok(())
}

fn scalar(out: &mut String, node: &Node, dialect: Dialect, outermost: bool) -> Result<(), Error> {
    if is_string(node) || node.tag == Tag::Binary {
        let decoded = if node.tag == Tag::Binary {
            BASE64.decode(node.value.as_bytes()).unwrap_or_default()
        } else {
            Vec::new()
        };
        let text = if decoded.is_empty() {
            node.value.to_string()
        } else {
            super::go_utf8(&decoded)
        };
        out.push_str(&quote(&text));
        return Ok(());
    }
    let text = match resolve_tagged(dialect, &node.tag, &node.value)? {
        Resolved::Null if outermost => "<nil>".to_owned(),
        Resolved::Null => NIL.to_owned(),
        Resolved::Bool(value) => value.to_string(),
        Resolved::Int(value) => value.to_string(),
        Resolved::Uint(value) => format!("{value:#x}"),
        Resolved::Float(value) if value.is_finite() => format_float(value),
        Resolved::Float(value) => super::go_float(value).to_owned(),
        Resolved::Timestamp(_) | Resolved::Merge | Resolved::Str => quote(&node.value),
    };
    out.push_str(&text);
    Ok(())
}
