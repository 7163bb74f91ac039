//! The format string: verbs, flags, widths, and arguments by number.

use super::{Flags, Printer};
use crate::strconv::{decode_rune, push_rune};
use crate::value::Value;

/// The largest width and precision that Go takes.
const MAX_WIDTH: i64 = 1_000_000;

/// Where the reading of a format stands.
struct Cursor<'f> {
    format: &'f [u8],
    pos: usize,
    arg: usize,
    /// Arguments were taken by number, so none can be said to be left over.
    reordered: bool,
    /// The last number in brackets was one.
    good_index: bool,
    /// The item before was a number in brackets.
    after_index: bool,
}

impl Cursor<'_> {
    fn byte(&self) -> Option<u8> {
        self.format.get(self.pos).copied()
    }

    /// A decimal number. `None` if there is none, or it is too large: then the rest of the format is skipped.
    fn number(&mut self, end: usize) -> Option<usize> {
        let mut number: Option<i64> = None;
        while self.pos < end && self.format[self.pos].is_ascii_digit() {
            let so_far = number.unwrap_or(0);
            if so_far > MAX_WIDTH {
                self.pos = end;
                return None;
            }
            number = Some(so_far * 10 + i64::from(self.format[self.pos] - b'0'));
            self.pos += 1;
        }
        number.and_then(|number| usize::try_from(number).ok())
    }

    /// `[3]`, if it is there: the next argument by number.
    fn index(&mut self, args: usize) {
        self.after_index = false;
        if self.byte() != Some(b'[') {
            return;
        }
        self.reordered = true;
        let start = self.pos;
        let close = self.format[start + 1..]
            .iter()
            .position(|byte| *byte == b']')
            .map(|offset| start + 1 + offset);
        let Some(close) = close.filter(|_| self.format.len() - start >= 3) else {
            self.pos = start + 1;
            self.good_index = false;
            return;
        };
        self.pos = start + 1;
        let number = self.number(close);
        let exact = self.pos == close;
        self.pos = close + 1;
        match number {
            Some(number) if exact => {
                self.after_index = true;
                if (1..=args).contains(&number) {
                    self.arg = number - 1;
                } else {
                    self.good_index = false;
                }
            }
            _ => self.good_index = false,
        }
    }

    /// A width or precision given as an argument. `None` if that is no sensible integer.
    fn star(&mut self, args: &[Value]) -> Option<i64> {
        let arg = args.get(self.arg)?;
        self.arg += 1;
        arg.as_i64()
            .filter(|number| (-MAX_WIDTH..=MAX_WIDTH).contains(number))
    }
}

impl Printer {
    pub(super) fn printf(&mut self, format: &[u8], args: &[Value]) {
        let mut cursor = Cursor {
            format,
            pos: 0,
            arg: 0,
            reordered: false,
            good_index: true,
            after_index: false,
        };
        while cursor.pos < format.len() && self.error.is_none() {
            cursor.good_index = true;
            let text_end = format[cursor.pos..]
                .iter()
                .position(|byte| *byte == b'%')
                .map_or(format.len(), |offset| cursor.pos + offset);
            self.write(&format[cursor.pos..text_end]);
            cursor.pos = text_end;
            if cursor.pos < format.len() {
                cursor.pos += 1;
                self.directive(&mut cursor, args);
            }
        }
        if !cursor.reordered && cursor.arg < args.len() {
            self.extra(&args[cursor.arg..]);
        }
    }

    /// One directive; its `%` has been read.
    fn directive(&mut self, cursor: &mut Cursor<'_>, args: &[Value]) {
        self.flags = Flags::default();
        if self.read_flags(cursor, args) {
            return;
        }
        self.read_width(cursor, args);
        self.read_precision(cursor, args);
        if !cursor.after_index {
            cursor.index(args.len());
        }
        if cursor.pos >= cursor.format.len() {
            self.write_str("%!(NOVERB)");
            return;
        }
        let (verb, width) = decode_rune(&cursor.format[cursor.pos..]);
        cursor.pos += width;
        match args.get(cursor.arg) {
            _ if verb == '%' => self.write(b"%"),
            _ if !cursor.good_index => self.write_bad(verb, "BADINDEX"),
            None => self.write_bad(verb, "MISSING"),
            Some(arg) => {
                self.print_directive(arg, verb);
                cursor.arg += 1;
            }
        }
    }

    fn print_directive(&mut self, arg: &Value, verb: char) {
        if matches!(verb, 'v' | 'w') {
            self.flags.sharp_v = std::mem::take(&mut self.flags.sharp);
            self.flags.plus_v = std::mem::take(&mut self.flags.plus);
        }
        self.print_arg(arg, verb);
    }

    /// Reads the flags. True if the directive was so simple that it is done.
    fn read_flags(&mut self, cursor: &mut Cursor<'_>, args: &[Value]) -> bool {
        while let Some(byte) = cursor.byte() {
            match byte {
                b'#' => self.flags.sharp = true,
                b'0' => self.flags.zero = true,
                b'+' => self.flags.plus = true,
                b'-' => self.flags.minus = true,
                b' ' => self.flags.space = true,
                b'a'..=b'z' if cursor.arg < args.len() => {
                    self.print_directive(&args[cursor.arg], char::from(byte));
                    cursor.arg += 1;
                    cursor.pos += 1;
                    // Go leaves this as it was, which a bracket later on would show; nothing reads it before it is set again.
                    return true;
                }
                _ => break,
            }
            cursor.pos += 1;
        }
        cursor.index(args.len());
        false
    }

    fn read_width(&mut self, cursor: &mut Cursor<'_>, args: &[Value]) {
        if cursor.byte() != Some(b'*') {
            self.flags.width = cursor.number(cursor.format.len());
            if cursor.after_index && self.flags.width.is_some() {
                cursor.good_index = false;
            }
            return;
        }
        cursor.pos += 1;
        match cursor.star(args) {
            None => self.write_str("%!(BADWIDTH)"),
            Some(width) => {
                if width < 0 {
                    self.flags.minus = true;
                    // No zeros to the right.
                    self.flags.zero = false;
                }
                self.flags.width = usize::try_from(width.unsigned_abs()).ok();
            }
        }
        cursor.after_index = false;
    }

    fn read_precision(&mut self, cursor: &mut Cursor<'_>, args: &[Value]) {
        if cursor.pos + 1 >= cursor.format.len() || cursor.byte() != Some(b'.') {
            return;
        }
        cursor.pos += 1;
        if cursor.after_index {
            cursor.good_index = false;
        }
        cursor.index(args.len());
        if cursor.byte() != Some(b'*') {
            self.flags.precision = Some(cursor.number(cursor.format.len()).unwrap_or(0));
            return;
        }
        cursor.pos += 1;
        self.flags.precision = cursor
            .star(args)
            .and_then(|precision| usize::try_from(precision).ok());
        if self.flags.precision.is_none() {
            self.write_str("%!(BADPREC)");
        }
        cursor.after_index = false;
    }

    /// `%!d(MISSING)`
    fn write_bad(&mut self, verb: char, what: &str) {
        let mut text = b"%!".to_vec();
        push_rune(&mut text, verb);
        self.write(&text);
        self.write(b"(");
        self.write_str(what);
        self.write(b")");
    }

    /// Arguments that the format did not use.
    fn extra(&mut self, args: &[Value]) {
        self.flags = Flags::default();
        self.write_str("%!(EXTRA ");
        for (index, arg) in args.iter().enumerate() {
            if index > 0 {
                self.write(b", ");
            }
            if matches!(arg, Value::Nil) {
                self.write_str("<nil>");
            } else {
                self.write_str(&arg.type_name());
                self.write(b"=");
                self.print_arg(arg, 'v');
            }
        }
        self.write(b")");
    }
}
