//! Quoted strings and characters as Go writes and reads them.

use super::runes::{decode_rune, is_print, push_rune};

const LOWER_HEX: &[u8; 16] = b"0123456789abcdef";

/// `strconv.Quote`, of bytes that need not be UTF-8.
#[must_use]
pub fn quote(text: impl AsRef<[u8]>) -> Vec<u8> {
    quote_with(text.as_ref(), '"', false)
}

/// `strconv.QuoteToASCII`
#[must_use]
pub fn quote_to_ascii(text: impl AsRef<[u8]>) -> Vec<u8> {
    quote_with(text.as_ref(), '"', true)
}

/// `strconv.QuoteRune`, and `QuoteRuneToASCII` where `ascii_only`.
#[must_use]
pub fn quote_rune(rune: char, ascii_only: bool) -> Vec<u8> {
    let mut out = vec![b'\''];
    escape_rune(&mut out, rune, '\'', ascii_only);
    out.push(b'\'');
    out
}

fn quote_with(mut text: &[u8], delimiter: char, ascii_only: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    push_rune(&mut out, delimiter);
    while !text.is_empty() {
        let (rune, width) = decode_rune(text);
        if width == 1 && rune == char::REPLACEMENT_CHARACTER {
            push_hex(&mut out, b'x', u32::from(text[0]), 2);
        } else {
            escape_rune(&mut out, rune, delimiter, ascii_only);
        }
        text = &text[width..];
    }
    push_rune(&mut out, delimiter);
    out
}

fn escape_rune(out: &mut Vec<u8>, rune: char, delimiter: char, ascii_only: bool) {
    if rune == delimiter || rune == '\\' {
        out.push(b'\\');
        push_rune(out, rune);
        return;
    }
    if is_print(rune) && (rune.is_ascii() || !ascii_only) {
        push_rune(out, rune);
        return;
    }
    let short = match rune {
        '\x07' => b'a',
        '\x08' => b'b',
        '\x0c' => b'f',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        '\x0b' => b'v',
        _ => 0,
    };
    if short != 0 {
        out.extend_from_slice(&[b'\\', short]);
    } else if rune < ' ' || rune == '\x7f' {
        push_hex(out, b'x', rune.into(), 2);
    } else if u32::from(rune) < 0x1_0000 {
        push_hex(out, b'u', rune.into(), 4);
    } else {
        push_hex(out, b'U', rune.into(), 8);
    }
}

fn push_hex(out: &mut Vec<u8>, letter: u8, number: u32, digits: u32) {
    out.extend_from_slice(&[b'\\', letter]);
    for digit in (0..digits).rev() {
        out.push(LOWER_HEX[(number >> (4 * digit) & 0xF) as usize]);
    }
}

/// `strconv.CanBackquote`: whether the text can be written between back quotes.
#[must_use]
pub fn can_backquote(mut text: &[u8]) -> bool {
    while !text.is_empty() {
        let (rune, width) = decode_rune(text);
        text = &text[width..];
        let bad = match width {
            1 => {
                rune == char::REPLACEMENT_CHARACTER
                    || (rune < ' ' && rune != '\t')
                    || rune == '`'
                    || rune == '\x7f'
            }
            _ => rune == '\u{feff}',
        };
        if bad {
            return false;
        }
    }
    true
}

/// `strconv.Unquote` for the three kinds of Go literals. `None` is its `invalid syntax`.
#[must_use]
pub fn unquote(literal: &[u8]) -> Option<Vec<u8>> {
    let (&delimiter, rest) = literal.split_first()?;
    let (&last, body) = rest.split_last()?;
    match delimiter {
        b'`' if last == b'`' && !body.contains(&b'`') => {
            Some(body.iter().copied().filter(|byte| *byte != b'\r').collect())
        }
        b'"' | b'\'' => unquote_escaped(delimiter, rest),
        _ => None,
    }
}

fn unquote_escaped(delimiter: u8, mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(rest.len());
    while *rest.first()? != delimiter {
        if rest[0] == b'\n' {
            return None;
        }
        let (unquoted, tail) = unquote_char(rest, delimiter)?;
        match unquoted {
            Unquoted::Byte(byte) => out.push(byte),
            Unquoted::Rune(rune) => push_rune(&mut out, rune),
        }
        rest = tail;
        if delimiter == b'\'' {
            break;
        }
    }
    (rest == [delimiter]).then_some(out)
}

/// What one character or escape of a literal stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unquoted {
    /// A byte: ASCII, or `\x80` and such.
    Byte(u8),
    /// A character.
    Rune(char),
}

impl Unquoted {
    /// Its number.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::Byte(byte) => byte.into(),
            Self::Rune(rune) => rune.into(),
        }
    }
}

/// `strconv.UnquoteChar`: the first character of a literal's inside, and the rest.
#[must_use]
pub fn unquote_char(text: &[u8], delimiter: u8) -> Option<(Unquoted, &[u8])> {
    let (&first, rest) = text.split_first()?;
    if first == delimiter && matches!(delimiter, b'\'' | b'"') {
        return None;
    }
    if first >= 0x80 {
        let (rune, width) = decode_rune(text);
        return Some((Unquoted::Rune(rune), &text[width..]));
    }
    if first != b'\\' {
        return Some((Unquoted::Byte(first), rest));
    }
    let (&letter, rest) = rest.split_first()?;
    let simple = match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'\\' => b'\\',
        b'\'' | b'"' if letter == delimiter => letter,
        b'x' => {
            let number = digits(rest, 2, 16)?;
            return Some((Unquoted::Byte(u8::try_from(number).ok()?), &rest[2..]));
        }
        b'u' | b'U' => {
            let width = if letter == b'u' { 4 } else { 8 };
            return Some((
                Unquoted::Rune(char::from_u32(digits(rest, width, 16)?)?),
                &rest[width..],
            ));
        }
        b'0'..=b'7' => {
            let number = u32::from(letter - b'0') * 64 + digits(rest, 2, 8)?;
            return Some((Unquoted::Byte(u8::try_from(number).ok()?), &rest[2..]));
        }
        _ => return None,
    };
    Some((Unquoted::Byte(simple), rest))
}

fn digits(text: &[u8], width: usize, base: u32) -> Option<u32> {
    text.get(..width)?.iter().try_fold(0_u32, |number, byte| {
        let digit = char::from(*byte).to_digit(base)?;
        Some(number.wrapping_mul(base) + digit)
    })
}
