//! Number literals: all the types that one can be.

use super::lex::Kind;
use crate::strconv::{NumError, Unquoted, parse_float, parse_int, parse_uint, quote, unquote_char};
use crate::value::Str;

/// A number literal. Which of its readings counts depends on the parameter that it is given to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Number {
    pub(crate) text: Str,
    pub(crate) int: Option<i64>,
    pub(crate) uint: Option<u64>,
    pub(crate) float: Option<f64>,
    pub(crate) complex: Option<(f64, f64)>,
}

impl Number {
    /// Reads a literal. The error is in Go's words.
    pub(crate) fn parse(text: &[u8], kind: Kind) -> Result<Self, String> {
        let shown = String::from_utf8_lossy(text);
        let mut number = Self {
            text: Str::from(text),
            ..Self::default()
        };
        match kind {
            Kind::CharConstant => number.set_char(text, &shown)?,
            Kind::Complex => number.set_complex(&shown)?,
            _ => number.set_number(&shown)?,
        }
        Ok(number)
    }

    fn set_char(&mut self, text: &[u8], shown: &str) -> Result<(), String> {
        let (rune, tail) = unquote_char(&text[1..], text[0]).ok_or("invalid syntax")?;
        if tail != b"'" {
            return Err(format!("malformed character constant: {shown}"));
        }
        let code = match rune {
            Unquoted::Byte(byte) => i64::from(byte),
            Unquoted::Rune(rune) => i64::from(u32::from(rune)),
        };
        self.int = Some(code);
        self.uint = u64::try_from(code).ok();
        self.float = Some(code as f64);
        Ok(())
    }

    /// `1+2i`: two numbers, the second with its sign.
    fn set_complex(&mut self, text: &str) -> Result<(), String> {
        let body = text.strip_suffix('i').unwrap_or(text);
        let exponent_sign = |index: usize| {
            matches!(body.as_bytes()[index - 1], b'e' | b'E' | b'p' | b'P')
                && !is_hex_digit_e(body, index)
        };
        let split = (1..body.len())
            .rev()
            .find(|index| matches!(body.as_bytes()[*index], b'+' | b'-') && !exponent_sign(*index))
            .ok_or_else(|| format!("syntax error scanning complex number: {text}"))?;
        let part = |text: &str| {
            parse_float(text)
                .map_err(|error| format!("strconv.ParseFloat: parsing \"{text}\": {error}"))
        };
        self.complex = Some((part(&body[..split])?, part(&body[split..])?));
        self.simplify_complex();
        Ok(())
    }

    fn set_number(&mut self, text: &str) -> Result<(), String> {
        if let Some(imaginary) = text.strip_suffix('i')
            && let Ok(imaginary) = parse_float(imaginary)
        {
            self.complex = Some((0.0, imaginary));
            self.simplify_complex();
            return Ok(());
        }
        self.uint = parse_uint(text, 0).ok();
        self.int = parse_int(text, 0).ok();
        if self.int == Some(0) {
            // -0 is no unsigned number to strconv.
            self.uint = Some(0);
        }
        if let Some(float) = self
            .int
            .map(int_to_float)
            .or_else(|| self.uint.map(uint_to_float))
        {
            self.float = Some(float);
            return Ok(());
        }
        let quoted = || String::from_utf8_lossy(&quote(text)).into_owned();
        match parse_float(text) {
            Ok(_) if !text.contains(['.', 'e', 'E', 'p', 'P']) => {
                Err(format!("integer overflow: {}", quoted()))
            }
            Ok(float) => {
                self.float = Some(float);
                self.set_integers(float);
                Ok(())
            }
            Err(NumError::Syntax | NumError::Range) => {
                Err(format!("illegal number syntax: {}", quoted()))
            }
        }
    }

    /// The integer readings of a float that has no fraction.
    fn set_integers(&mut self, float: f64) {
        self.int = exact_int(float);
        self.uint = exact_uint(float);
    }

    fn simplify_complex(&mut self) {
        if let Some((real, 0.0)) = self.complex {
            self.float = Some(real);
            self.set_integers(real);
        }
    }
}

/// In a hexadecimal number, `e` is a digit.
fn is_hex_digit_e(text: &str, index: usize) -> bool {
    matches!(text.as_bytes()[index - 1], b'e' | b'E')
        && text.trim_start_matches(['+', '-']).starts_with("0x")
}

fn int_to_float(number: i64) -> f64 {
    number as f64
}

fn uint_to_float(number: u64) -> f64 {
    number as f64
}

fn exact_int(float: f64) -> Option<i64> {
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&float);
    (fits && float.fract() == 0.0).then_some(float as i64)
}

fn exact_uint(float: f64) -> Option<u64> {
    let fits = (0.0..18_446_744_073_709_551_616.0).contains(&float);
    (fits && float.fract() == 0.0).then_some(float as u64)
}
