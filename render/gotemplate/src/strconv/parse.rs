//! Numbers as `strconv` reads them.

use thiserror::Error;

/// Why a text is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NumError {
    /// Not a number at all.
    #[error("invalid syntax")]
    Syntax,
    /// A number, but too large.
    #[error("value out of range")]
    Range,
}

/// `strconv.ParseUint(text, base, 64)`; base 0 takes the base from the prefix and allows `_` between digits.
///
/// # Errors
/// As `strconv`: no number, or one of more than 64 bits.
pub fn parse_uint(text: &str, base: u32) -> Result<u64, NumError> {
    let (digits, radix) = match (base, text.as_bytes()) {
        (_, []) => return Err(NumError::Syntax),
        (0, [b'0', b'x' | b'X', _, ..]) => (&text[2..], 16),
        (0, [b'0', b'o' | b'O', _, ..]) => (&text[2..], 8),
        (0, [b'0', b'b' | b'B', _, ..]) => (&text[2..], 2),
        (0, [b'0', _, ..]) => (&text[1..], 8),
        (0, _) => (text, 10),
        (base @ 2..=36, _) => (text, base),
        _ => return Err(NumError::Syntax),
    };
    let mut number: u64 = 0;
    let mut overflow = false;
    for byte in digits.bytes() {
        if byte == b'_' && base == 0 {
            continue;
        }
        let digit = char::from(byte).to_digit(radix).ok_or(NumError::Syntax)?;
        match number
            .checked_mul(radix.into())
            .and_then(|number| number.checked_add(digit.into()))
        {
            Some(next) => number = next,
            None => overflow = true,
        }
        if overflow {
            // As in Go, what follows an overflow is not looked at.
            return Err(NumError::Range);
        }
    }
    if text.contains('_') && !underscores_ok(text) {
        Err(NumError::Syntax)
    } else {
        Ok(number)
    }
}

/// `strconv.ParseInt(text, base, 64)`. Out of range, Go also gives the nearest number: [`NumError::Range`] says so, the sign says which.
///
/// # Errors
/// As `strconv`: no number, or one of more than 64 bits.
pub fn parse_int(text: &str, base: u32) -> Result<i64, NumError> {
    if text.is_empty() {
        return Err(NumError::Syntax);
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let magnitude = parse_uint(digits, base)?;
    if negative {
        if magnitude > 1 << 63 {
            Err(NumError::Range)
        } else {
            Ok(0_i64.wrapping_sub_unsigned(magnitude))
        }
    } else {
        i64::try_from(magnitude).map_err(|_| NumError::Range)
    }
}

/// `strconv.ParseFloat(text, 64)`: decimal and hexadecimal numbers, infinities and NaN.
///
/// # Errors
/// As `strconv`: no number, or one too large for a `float64`.
pub fn parse_float(text: &str) -> Result<f64, NumError> {
    let (negative, body) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let sign = if negative { -1.0 } else { 1.0 };
    if body.eq_ignore_ascii_case("inf") || body.eq_ignore_ascii_case("infinity") {
        return Ok(sign * f64::INFINITY);
    }
    if text.eq_ignore_ascii_case("nan") {
        return Ok(f64::NAN);
    }
    if text.contains('_') && !underscores_ok(text) {
        return Err(NumError::Syntax);
    }
    let digits: String = body.chars().filter(|c| *c != '_').collect();
    let number = match digits.as_bytes() {
        [b'0', b'x' | b'X', rest @ ..] if !rest.is_empty() => parse_hex_float(rest)?,
        bytes => {
            let shape = bytes
                .iter()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
            let signed = matches!(bytes.first(), Some(b'+' | b'-') | None);
            if !shape || signed {
                return Err(NumError::Syntax);
            }
            digits.parse().map_err(|_| NumError::Syntax)?
        }
    };
    if number.is_infinite() {
        Err(NumError::Range)
    } else {
        Ok(sign * number)
    }
}

/// Hexadecimal digits with a point, and the exponent that Go demands.
fn parse_hex_float(text: &[u8]) -> Result<f64, NumError> {
    let split = text
        .iter()
        .position(|byte| matches!(byte, b'p' | b'P'))
        .ok_or(NumError::Syntax)?;
    let (mantissa_text, exponent_text) = (&text[..split], &text[split + 1..]);
    let exponent_digits = match exponent_text {
        [b'+' | b'-', digits @ ..] => digits,
        digits => digits,
    };
    if exponent_digits.is_empty() || !exponent_digits.iter().all(u8::is_ascii_digit) {
        return Err(NumError::Syntax);
    }
    // Exponents beyond this are as good as infinite.
    let written = exponent_digits.iter().fold(0_i64, |sum, byte| {
        (sum * 10 + i64::from(byte - b'0')).min(100_000)
    });
    let mut exponent = if exponent_text[0] == b'-' {
        -written
    } else {
        written
    };
    let (mut mantissa, mut sticky, mut digits, mut point) = (0_u64, false, 0, false);
    for byte in mantissa_text {
        if *byte == b'.' && !point {
            point = true;
            continue;
        }
        let digit = char::from(*byte).to_digit(16).ok_or(NumError::Syntax)?;
        digits += 1;
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | u64::from(digit);
            exponent -= if point { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            exponent += if point { 0 } else { 4 };
        }
    }
    if digits == 0 {
        return Err(NumError::Syntax);
    }
    Ok(scale(mantissa, sticky, exponent))
}

/// `mantissa × 2^exponent` rounded once, half to even; `sticky` says that something below the mantissa was cut off.
fn scale(mantissa: u64, sticky: bool, exponent: i64) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let shift = mantissa.leading_zeros();
    let top = mantissa << shift;
    let top_exponent = exponent - i64::from(shift) + 63;
    if top_exponent > 1023 {
        return f64::INFINITY;
    }
    // 53 bits are kept, fewer below the smallest normal number.
    let dropped = 11 + (-1022 - top_exponent).max(0);
    if dropped > 64 {
        return 0.0;
    }
    let (kept, rest) = if dropped == 64 {
        (0, u128::from(top))
    } else {
        (top >> dropped, u128::from(top) & ((1 << dropped) - 1))
    };
    let half = 1_u128 << (dropped - 1);
    let round_up = rest > half || (rest == half && (sticky || kept & 1 == 1));
    let rounded = kept + u64::from(round_up);
    // Assembling the bits lets a carry run into the exponent, which is right.
    let biased = if top_exponent < -1022 {
        0
    } else {
        u64::try_from(top_exponent + 1022).unwrap_or(0)
    };
    f64::from_bits((biased << 52) + rounded)
}

/// Whether each `_` stands between digits, or between a base prefix and a digit.
fn underscores_ok(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text).as_bytes();
    let (mut last, rest, hex) = match body {
        [b'0', b'x' | b'X', rest @ ..] => (b'0', rest, true),
        [b'0', b'b' | b'B' | b'o' | b'O', rest @ ..] => (b'0', rest, false),
        rest => (b'^', rest, false),
    };
    for byte in rest {
        if byte.is_ascii_digit() || hex && byte.is_ascii_hexdigit() {
            last = b'0';
        } else if *byte == b'_' {
            if last != b'0' {
                return false;
            }
            last = b'_';
        } else {
            if last == b'_' {
                return false;
            }
            last = b'!';
        }
    }
    last != b'_'
}
