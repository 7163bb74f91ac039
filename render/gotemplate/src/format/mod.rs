//! Go's `fmt`: `print`, `println` and `printf` over [`Value`]s, with every verb, flag and error form.

mod printf;
mod scalar;
mod value;

use crate::limits::{LimitError, MAX_VALUE_DEPTH};
use crate::value::{Kind, Value};

/// `fmt.Sprint`: default formats, a space between two operands when neither is a string.
///
/// # Errors
/// The result would be longer than `max_bytes`, or a value contains itself.
pub fn sprint(args: &[Value], max_bytes: usize) -> Result<Vec<u8>, LimitError> {
    let mut printer = Printer::new(Vec::new(), max_bytes);
    printer.print(args);
    printer.finish()
}

/// Appends what `fmt.Sprint` makes of one value.
pub(crate) fn append_value(
    out: Vec<u8>,
    value: &Value,
    max_bytes: usize,
) -> Result<Vec<u8>, LimitError> {
    let mut printer = Printer::new(out, max_bytes);
    printer.print_arg(value, 'v');
    printer.finish()
}

/// `fmt.Sprintln`: default formats, spaces between all operands, and a line feed.
///
/// # Errors
/// As [`sprint`].
pub fn sprintln(args: &[Value], max_bytes: usize) -> Result<Vec<u8>, LimitError> {
    let mut printer = Printer::new(Vec::new(), max_bytes);
    for (index, arg) in args.iter().enumerate() {
        if index > 0 {
            printer.write(b" ");
        }
        printer.print_arg(arg, 'v');
    }
    printer.write(b"\n");
    printer.finish()
}

/// `fmt.Sprintf`. What does not fit the format shows in the result, as in Go: `%!d(string=a)`, `%!s(MISSING)`, `%!(EXTRA int=1)`.
///
/// # Errors
/// As [`sprint`].
pub fn sprintf(
    format: impl AsRef<[u8]>,
    args: &[Value],
    max_bytes: usize,
) -> Result<Vec<u8>, LimitError> {
    let mut printer = Printer::new(Vec::new(), max_bytes);
    printer.printf(format.as_ref(), args);
    printer.finish()
}

/// Flags, width and precision of one verb.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    width: Option<usize>,
    precision: Option<usize>,
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%+v`
    plus_v: bool,
    /// `%#v`
    sharp_v: bool,
}

struct Printer {
    out: Vec<u8>,
    max_len: usize,
    flags: Flags,
    /// Writing the value of a verb that does not fit: methods are not asked.
    erroring: bool,
    depth: usize,
    error: Option<LimitError>,
}

impl Printer {
    fn new(out: Vec<u8>, max_bytes: usize) -> Self {
        let max_len = out.len().saturating_add(max_bytes);
        Self {
            out,
            max_len,
            flags: Flags::default(),
            erroring: false,
            depth: 0,
            error: None,
        }
    }

    fn finish(self) -> Result<Vec<u8>, LimitError> {
        match self.error {
            None => Ok(self.out),
            Some(error) => Err(error),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.has_room(bytes.len()) {
            self.out.extend_from_slice(bytes);
        }
    }

    fn write_str(&mut self, text: &str) {
        self.write(text.as_bytes());
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        if self.error.is_none() && self.out.len().saturating_add(bytes) > self.max_len {
            self.error = Some(LimitError::Output(self.max_len as u64));
        }
        self.error.is_none()
    }

    /// Runs `print` one level further down in a value.
    fn deeper(&mut self, print: impl FnOnce(&mut Self)) {
        if self.error.is_some() {
            return;
        }
        if self.depth >= MAX_VALUE_DEPTH {
            self.error = Some(LimitError::ValueDepth(MAX_VALUE_DEPTH));
            return;
        }
        self.depth += 1;
        crate::stack::with_stack(|| print(self));
        self.depth -= 1;
    }

    fn print(&mut self, args: &[Value]) {
        let mut previous_string = false;
        for (index, arg) in args.iter().enumerate() {
            let string = arg.kind() == Kind::String;
            if index > 0 && !string && !previous_string {
                self.write(b" ");
            }
            self.print_arg(arg, 'v');
            previous_string = string;
        }
    }
}

#[cfg(test)]
mod tests;
