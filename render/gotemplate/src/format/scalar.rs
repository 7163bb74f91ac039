//! Booleans, numbers and strings with flags, width and precision.

use super::Printer;
use crate::strconv::{
    FloatFormat, append_float, can_backquote, decode_rune, is_print, push_rune, quote, quote_rune,
    quote_to_ascii, rune_count,
};

const LOWER: &[u8; 17] = b"0123456789abcdefx";
const UPPER: &[u8; 17] = b"0123456789ABCDEFX";

/// How an integer is to be written.
#[derive(Clone, Copy)]
pub(super) struct IntFormat {
    pub(super) base: u64,
    pub(super) upper: bool,
    /// `%O`: a prefix of `0o`.
    pub(super) octal_prefix: bool,
}

impl Printer {
    /// Fills up to the width, on the left unless `-` was given.
    pub(super) fn pad(&mut self, text: &[u8]) {
        let missing = self
            .flags
            .width
            .map_or(0, |width| width.saturating_sub(rune_count(text)));
        if self.flags.minus {
            self.write(text);
            self.write_padding(missing);
        } else {
            self.write_padding(missing);
            self.write(text);
        }
    }

    fn write_padding(&mut self, count: usize) {
        if count > 0 && self.has_room(count) {
            let fill = if self.flags.zero && !self.flags.minus {
                b'0'
            } else {
                b' '
            };
            self.out.resize(self.out.len() + count, fill);
        }
    }

    fn without_zero(&mut self, print: impl FnOnce(&mut Self)) {
        let zero = std::mem::take(&mut self.flags.zero);
        print(self);
        self.flags.zero = zero;
    }

    pub(super) fn format_int(&mut self, magnitude: u64, negative: bool, format: IntFormat) {
        let digits = if format.upper { UPPER } else { LOWER };
        let mut precision = 0;
        if let Some(wanted) = self.flags.precision {
            precision = wanted;
            if wanted == 0 && magnitude == 0 {
                let width = self.flags.width.unwrap_or(0);
                return self.without_zero(|printer| printer.write_padding(width));
            }
        } else if let (true, false, Some(width)) =
            (self.flags.zero, self.flags.minus, self.flags.width)
        {
            let sign = negative || self.flags.plus || self.flags.space;
            precision = width.saturating_sub(usize::from(sign));
        }
        if !self.has_room(precision) {
            return;
        }
        // Written from the right.
        let mut text = Vec::with_capacity(precision.max(20) + 4);
        let mut rest = magnitude;
        loop {
            text.push(digits[usize::try_from(rest % format.base).unwrap_or(0)]);
            rest /= format.base;
            if rest == 0 {
                break;
            }
        }
        if precision > text.len() {
            text.resize(precision, b'0');
        }
        if self.flags.sharp {
            match format.base {
                2 => text.extend_from_slice(b"b0"),
                8 if text.last() != Some(&b'0') => text.push(b'0'),
                16 => text.extend_from_slice(&[digits[16], b'0']),
                _ => {}
            }
        }
        if format.octal_prefix {
            text.extend_from_slice(b"o0");
        }
        if negative {
            text.push(b'-');
        } else if self.flags.plus {
            text.push(b'+');
        } else if self.flags.space {
            text.push(b' ');
        }
        text.reverse();
        self.without_zero(|printer| printer.pad(&text));
    }

    /// `0x…` where `prefix`, whatever the flags say.
    pub(super) fn format_hex(&mut self, number: u64, prefix: bool) {
        let sharp = std::mem::replace(&mut self.flags.sharp, prefix);
        self.format_int(
            number,
            false,
            IntFormat {
                base: 16,
                upper: false,
                octal_prefix: false,
            },
        );
        self.flags.sharp = sharp;
    }

    /// `%U`: `U+0041`, with `#` also `U+0041 'A'`.
    pub(super) fn format_unicode(&mut self, number: u64) {
        let digits = self.flags.precision.map_or(4, |precision| precision.max(4));
        if !self.has_room(digits) {
            return;
        }
        let shown = format!("{number:X}");
        // Not by a width of `format!`, which ends at 65,535.
        let mut text = b"U+".to_vec();
        text.resize(text.len() + digits.saturating_sub(shown.len()), b'0');
        text.extend_from_slice(shown.as_bytes());
        let rune = u32::try_from(number).ok().and_then(char::from_u32);
        if let Some(rune) = rune.filter(|rune| self.flags.sharp && is_print(*rune)) {
            text.extend_from_slice(b" '");
            push_rune(&mut text, rune);
            text.push(b'\'');
        }
        self.without_zero(|printer| printer.pad(&text));
    }

    /// `%c`
    pub(super) fn format_char(&mut self, number: u64) {
        let mut text = Vec::new();
        push_rune(&mut text, rune_of(number));
        self.pad(&text);
    }

    /// `%q` of an integer.
    pub(super) fn format_quoted_char(&mut self, number: u64) {
        let text = quote_rune(rune_of(number), self.flags.plus);
        self.pad(&text);
    }

    fn truncated<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some(mut runes) = self.flags.precision else {
            return text;
        };
        let mut end = 0;
        while end < text.len() && runes > 0 {
            end += decode_rune(&text[end..]).1;
            runes -= 1;
        }
        &text[..end]
    }

    /// `%s`
    pub(super) fn format_string(&mut self, text: &[u8]) {
        if self.flags.precision.is_none() && self.flags.width.is_none() {
            return self.write(text);
        }
        self.pad(self.truncated(text));
    }

    /// `%q`
    pub(super) fn format_quoted(&mut self, text: &[u8]) {
        let text = self.truncated(text);
        if !self.has_room(text.len()) {
            return;
        }
        let quoted = if self.flags.sharp && can_backquote(text) {
            [b"`", text, b"`"].concat()
        } else if self.flags.plus {
            quote_to_ascii(text)
        } else {
            quote(text)
        };
        self.pad(&quoted);
    }

    /// `%x` and `%X` of bytes.
    pub(super) fn format_hex_bytes(&mut self, bytes: &[u8], upper: bool) {
        let digits = if upper { UPPER } else { LOWER };
        let bytes = &bytes[..self.flags.precision.unwrap_or(usize::MAX).min(bytes.len())];
        if bytes.is_empty() {
            let width = self.flags.width.unwrap_or(0);
            return self.write_padding(width);
        }
        let mut text = Vec::with_capacity(bytes.len() * 2);
        if !self.has_room(bytes.len() * 2) {
            return;
        }
        for (index, byte) in bytes.iter().enumerate() {
            if index > 0 && self.flags.space {
                text.push(b' ');
            }
            if self.flags.sharp && (index == 0 || self.flags.space) {
                text.extend_from_slice(&[b'0', digits[16]]);
            }
            text.extend_from_slice(&[
                digits[usize::from(byte >> 4)],
                digits[usize::from(byte & 15)],
            ]);
        }
        self.pad(&text);
    }

    /// A float with the verb's format; `default_precision` where the format gives none. `verb` is what `#` looks at.
    pub(super) fn format_float(
        &mut self,
        number: f64,
        single: bool,
        format: FloatFormat,
        default_precision: Option<usize>,
        verb: char,
    ) {
        let precision = self.flags.precision.or(default_precision);
        if !self.has_room(precision.unwrap_or(0)) {
            return;
        }
        let mut text = vec![b'+'];
        append_float(&mut text, number, format, precision, single);
        if matches!(text.get(1), Some(b'-' | b'+')) {
            text.remove(0);
        }
        if self.flags.space && text[0] == b'+' && !self.flags.plus {
            text[0] = b' ';
        }
        if matches!(text[1], b'I' | b'N') {
            // Infinities and NaN look like no number, so they get no zeros; NaN gets no sign unless asked for.
            let start = usize::from(text[1] == b'N' && !self.flags.space && !self.flags.plus);
            return self.without_zero(|printer| printer.pad(&text[start..]));
        }
        if self.flags.sharp && format != FloatFormat::Binary {
            add_sharp_digits(&mut text, precision, verb);
        }
        if !self.flags.plus && text[0] == b'+' {
            return self.pad(&text[1..]);
        }
        let missing = self.flags.width.unwrap_or(0).saturating_sub(text.len());
        if self.flags.zero && !self.flags.minus && missing > 0 {
            self.write(&text[..1]);
            self.write_padding(missing);
            return self.write(&text[1..]);
        }
        self.pad(&text);
    }
}

/// `#` on a float: a decimal point always, and zeros up to the precision.
fn add_sharp_digits(text: &mut Vec<u8>, precision: Option<usize>, verb: char) {
    let mut digits = match verb {
        'v' | 'g' | 'G' | 'x' => i64::try_from(precision.unwrap_or(6)).unwrap_or(i64::MAX),
        _ => 0,
    };
    let exponent = |byte: &u8| match byte {
        b'p' | b'P' => true,
        b'e' | b'E' => !matches!(verb, 'x' | 'X'),
        _ => false,
    };
    let tail = text
        .iter()
        .skip(1)
        .position(exponent)
        .map(|offset| text.split_off(offset + 1))
        .unwrap_or_default();
    let mut significant = false;
    for byte in &text[1..] {
        if *byte == b'.' {
            continue;
        }
        significant |= *byte != b'0';
        digits -= i64::from(significant);
    }
    if !text.contains(&b'.') {
        if text.len() == 2 && text[1] == b'0' {
            digits -= 1;
        }
        text.push(b'.');
    }
    text.resize(text.len() + usize::try_from(digits).unwrap_or(0), b'0');
    text.extend_from_slice(&tail);
}

fn rune_of(number: u64) -> char {
    u32::try_from(number)
        .ok()
        .and_then(char::from_u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}
