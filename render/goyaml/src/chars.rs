//! Character classes, as libyaml and its Go ports define them, over bytes that are known to be UTF-8.

/// The byte at `i`, or NUL past the end, as the Go reader pads its buffer.
#[inline]
pub(crate) fn at(b: &[u8], i: usize) -> u8 {
    b.get(i).copied().unwrap_or(0)
}

/// Bytes of the line break at `i` (a CR LF pair is two), or 0.
#[inline]
pub(crate) fn break_len(b: &[u8], i: usize) -> usize {
    match at(b, i) {
        b'\n' => 1,
        b'\r' if at(b, i + 1) == b'\n' => 2,
        b'\r' => 1,
        0xC2 if at(b, i + 1) == 0x85 => 2,
        0xE2 if at(b, i + 1) == 0x80 && matches!(at(b, i + 2), 0xA8 | 0xA9) => 3,
        _ => 0,
    }
}

#[inline]
pub(crate) fn is_break(b: &[u8], i: usize) -> bool {
    break_len(b, i) > 0
}

#[inline]
pub(crate) fn is_blank(b: &[u8], i: usize) -> bool {
    matches!(at(b, i), b' ' | b'\t')
}

#[inline]
pub(crate) fn is_breakz(b: &[u8], i: usize) -> bool {
    at(b, i) == 0 || is_break(b, i)
}

#[inline]
pub(crate) fn is_blankz(b: &[u8], i: usize) -> bool {
    is_blank(b, i) || is_breakz(b, i)
}

/// Letters, digits, `_` and `-`: what anchors, handles and directive names are made of.
#[inline]
pub(crate) fn is_alpha(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_' || c == b'-'
}

/// Bytes of the UTF-8 character that starts with `c`.
#[inline]
pub(crate) fn width(c: u8) -> usize {
    match c {
        0..=0x7F => 1,
        0x80..=0xDF => 2,
        0xE0..=0xEF => 3,
        _ => 4,
    }
}

/// What the emitters write without an escape. Everything beyond the basic plane is escaped, as in Go.
#[inline]
pub(crate) fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}')
        && c != '\u{FEFF}'
}

/// Whether `c` is one of the line breaks of YAML 1.1.
#[inline]
pub(crate) fn is_break_char(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}
