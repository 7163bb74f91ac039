//! From bytes to text: encodings, and the characters that YAML allows.

use std::borrow::Cow;

use crate::error::Error;
use crate::limits::MAX_INPUT_BYTES;

/// Decodes the input as Go's reader does: UTF-8 with or without a byte order mark, or UTF-16 with one.
pub(crate) fn decode(input: &[u8]) -> Result<Cow<'_, str>, Error> {
    if input.len() > MAX_INPUT_BYTES {
        return Err(fault(&format!(
            "input of {} bytes is larger than the limit of {MAX_INPUT_BYTES}",
            input.len()
        )));
    }
    let text = match input {
        [0xFF, 0xFE, rest @ ..] => Cow::Owned(decode_utf16(rest, u16::from_le_bytes)?),
        [0xFE, 0xFF, rest @ ..] => Cow::Owned(decode_utf16(rest, u16::from_be_bytes)?),
        [0xEF, 0xBB, 0xBF, rest @ ..] => Cow::Borrowed(decode_utf8(rest)?),
        rest => Cow::Borrowed(decode_utf8(rest)?),
    };
    if has_control(&text) {
        return Err(fault("control characters are not allowed"));
    }
    Ok(text)
}

fn decode_utf8(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        // A control character before the bad byte is met first.
        if std::str::from_utf8(&bytes[..at]).is_ok_and(has_control) {
            return fault("control characters are not allowed");
        }
        fault(utf8_problem(&bytes[at..]))
    })
}

fn utf8_problem(rest: &[u8]) -> &'static str {
    let (width, value) = match rest[0] {
        0xC0..=0xDF => (2, u32::from(rest[0] & 0x1F)),
        0xE0..=0xEF => (3, u32::from(rest[0] & 0x0F)),
        0xF0..=0xF7 => (4, u32::from(rest[0] & 0x07)),
        _ => return "invalid leading UTF-8 octet",
    };
    if rest.len() < width {
        return "incomplete UTF-8 octet sequence";
    }
    if rest[1..width].iter().any(|b| b & 0xC0 != 0x80) {
        return "invalid trailing UTF-8 octet";
    }
    let value = rest[1..width]
        .iter()
        .fold(value, |v, b| v << 6 | u32::from(b & 0x3F));
    match (width, value) {
        (2, 0x80..) | (3, 0x800..) | (4, 0x1_0000..) => "invalid Unicode character",
        _ => "invalid length of a UTF-8 sequence",
    }
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, Error> {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let mut text = String::with_capacity(bytes.len());
    for decoded in char::decode_utf16(units) {
        match decoded {
            Ok(c) => text.push(c),
            Err(e) if e.unpaired_surrogate() >= 0xDC00 => {
                return Err(fault("unexpected low surrogate area"));
            }
            Err(_) => return Err(fault("expected low surrogate area")),
        }
    }
    if bytes.len() % 2 == 1 {
        return Err(fault("incomplete UTF-16 character"));
    }
    Ok(text)
}

fn has_control(text: &str) -> bool {
    /// Bytes that are looked at together: hardly any text has a suspicious one.
    const CHUNK: usize = 64;
    let bytes = text.as_bytes();
    let suspicious = |chunk: &[u8]| {
        chunk.iter().fold(false, |found, &c| {
            found | ((c < 0x20) & (c != b'\n')) | (c == 0x7F) | (c == 0xC2) | (c == 0xEF)
        })
    };
    let chunks = bytes.chunks(CHUNK).enumerate();
    chunks
        .filter(|(_, chunk)| suspicious(chunk))
        .any(|(at, chunk)| (0..chunk.len()).any(|i| is_control(&bytes[at * CHUNK + i..])))
}

/// Whether a control character begins here. What follows a byte that begins a longer character is there, since this is text.
fn is_control(bytes: &[u8]) -> bool {
    match bytes[0] {
        b'\t' | b'\n' | b'\r' => false,
        0..0x20 | 0x7F => true,
        // U+0080 to U+009F, but for NEL
        0xC2 => bytes[1] < 0xA0 && bytes[1] != 0x85,
        // U+FFFE and U+FFFF
        0xEF => bytes[1] == 0xBF && bytes[2] >= 0xBE,
        _ => false,
    }
}

fn fault(problem: &str) -> Error {
    Error::Syntax {
        line: None,
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_found_wherever_they_stand() {
        for before in 0..150 {
            let text = |c: &str| format!("{}{c}{}", "a".repeat(before), "é\t\r\nz".repeat(20));
            for c in ["\u{1}", "\u{b}", "\u{7f}", "\u{80}", "\u{9f}", "\u{fffe}"] {
                assert!(has_control(&text(c)), "{c:?} behind {before}");
            }
            for c in ["", "\t", "\u{85}", "\u{a0}", "\u{feff}", "\u{fffd}", "©"] {
                assert!(!has_control(&text(c)), "{c:?} behind {before}");
            }
        }
    }
}
