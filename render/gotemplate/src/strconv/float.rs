//! Floating-point numbers as `strconv.AppendFloat` writes them.

/// More digits than any float has: the rest are zeros. (Rust's formatter takes no precision above 65,535, Go's takes a million.)
const MAX_EXACT_DIGITS: usize = 1_100;

/// The format letter of `strconv.FormatFloat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatFormat {
    /// `b`: mantissa and binary exponent.
    Binary,
    /// `e`, or `E` where `upper`.
    Exponent {
        /// Capital letters.
        upper: bool,
    },
    /// `f`
    Fixed,
    /// `g` or `G`: `e` for large exponents, `f` otherwise.
    General {
        /// Capital letters.
        upper: bool,
    },
    /// `x` or `X`: hexadecimal mantissa.
    Hex {
        /// Capital letters.
        upper: bool,
    },
}

/// `strconv.FormatFloat(number, format, precision, bits)`; no precision means the fewest digits that give the number back.
#[must_use]
pub fn format_float(
    number: f64,
    format: FloatFormat,
    precision: Option<usize>,
    single: bool,
) -> String {
    let mut out = Vec::new();
    append_float(&mut out, number, format, precision, single);
    String::from_utf8(out).unwrap_or_default()
}

/// `strconv.AppendFloat`; `single` for a `float32`.
pub fn append_float(
    out: &mut Vec<u8>,
    number: f64,
    format: FloatFormat,
    precision: Option<usize>,
    single: bool,
) {
    if number.is_nan() {
        out.extend_from_slice(b"NaN");
        return;
    }
    if number.is_infinite() {
        out.extend_from_slice(if number < 0.0 { b"-Inf" } else { b"+Inf" });
        return;
    }
    match format {
        FloatFormat::Binary => append_binary(out, number, single),
        FloatFormat::Hex { upper } => append_hex(out, number, precision, upper, single),
        FloatFormat::Exponent { upper } => {
            let digits = precision.map_or_else(
                || Digits::shortest(number, single),
                |precision| Digits::rounded(number, precision + 1),
            );
            let precision = precision.unwrap_or(digits.digits.len().saturating_sub(1));
            digits.append_exponent(out, precision, upper);
        }
        FloatFormat::Fixed => match precision {
            None => {
                let digits = Digits::shortest(number, single);
                let precision = usize::try_from(digits.len() - digits.point).unwrap_or(0);
                digits.append_fixed(out, precision);
            }
            Some(precision) => append_exact_fixed(out, number, precision),
        },
        FloatFormat::General { upper } => append_general(out, number, precision, upper, single),
    }
}

fn append_exact_fixed(out: &mut Vec<u8>, number: f64, precision: usize) {
    let exact = precision.min(MAX_EXACT_DIGITS);
    out.extend_from_slice(format!("{number:.exact$}").as_bytes());
    out.resize(out.len() + (precision - exact), b'0');
}

fn append_general(
    out: &mut Vec<u8>,
    number: f64,
    precision: Option<usize>,
    upper: bool,
    single: bool,
) {
    let digits = match precision {
        None => Digits::shortest(number, single),
        Some(precision) => Digits::rounded(number, precision.max(1)).without_trailing_zeros(),
    };
    let mut limit = precision.map_or(6, |precision| {
        i64::try_from(precision.max(1)).unwrap_or(i64::MAX)
    });
    let mut shown = precision.map_or(digits.len(), |_| limit);
    if precision.is_some() && limit > digits.len() && digits.len() >= digits.point {
        limit = digits.len();
    }
    let exponent = digits.point - 1;
    if exponent < -4 || exponent >= limit {
        shown = shown.min(digits.len());
        digits.append_exponent(out, usize::try_from(shown - 1).unwrap_or(0), upper);
    } else {
        if shown > digits.point {
            shown = digits.len();
        }
        digits.append_fixed(out, usize::try_from(shown - digits.point).unwrap_or(0));
    }
}

/// Decimal digits of a number: `0.DIGITS × 10^point`. No digits is zero.
struct Digits {
    negative: bool,
    digits: Vec<u8>,
    point: i64,
}

impl Digits {
    fn shortest(number: f64, single: bool) -> Self {
        Self::parse(
            &if single {
                format!("{:e}", number as f32)
            } else {
                format!("{number:e}")
            },
            number,
        )
        .without_trailing_zeros()
    }

    fn rounded(number: f64, count: usize) -> Self {
        let exact = count.saturating_sub(1).min(MAX_EXACT_DIGITS);
        Self::parse(&format!("{number:.exact$e}"), number)
    }

    /// Reads what Rust's `{:e}` wrote: `-1.25e-7`.
    fn parse(text: &str, number: f64) -> Self {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let digits: Vec<u8> = if number == 0.0 {
            Vec::new()
        } else {
            mantissa.bytes().filter(u8::is_ascii_digit).collect()
        };
        let point = if digits.is_empty() {
            0
        } else {
            exponent.parse::<i64>().unwrap_or(0) + 1
        };
        Self {
            negative: number.is_sign_negative(),
            digits,
            point,
        }
    }

    fn without_trailing_zeros(mut self) -> Self {
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
        }
        self
    }

    fn len(&self) -> i64 {
        i64::try_from(self.digits.len()).unwrap_or(i64::MAX)
    }

    /// `-d.ddde±dd`
    fn append_exponent(&self, out: &mut Vec<u8>, precision: usize, upper: bool) {
        self.append_sign(out);
        out.push(self.digits.first().copied().unwrap_or(b'0'));
        if precision > 0 {
            out.push(b'.');
            let fraction = self.digits.get(1..).unwrap_or_default();
            let shown = fraction.len().min(precision);
            out.extend_from_slice(&fraction[..shown]);
            out.resize(out.len() + precision - shown, b'0');
        }
        let exponent = if self.digits.is_empty() {
            0
        } else {
            self.point - 1
        };
        let letter = if upper { 'E' } else { 'e' };
        let sign = if exponent < 0 { '-' } else { '+' };
        out.extend_from_slice(format!("{letter}{sign}{:02}", exponent.unsigned_abs()).as_bytes());
    }

    /// `-ddd.ddd`
    fn append_fixed(&self, out: &mut Vec<u8>, precision: usize) {
        self.append_sign(out);
        let point = usize::try_from(self.point).unwrap_or(0);
        if point == 0 {
            out.push(b'0');
        } else {
            let whole = point.min(self.digits.len());
            out.extend_from_slice(&self.digits[..whole]);
            out.resize(out.len() + point - whole, b'0');
        }
        if precision == 0 {
            return;
        }
        out.push(b'.');
        for index in 0..precision {
            let digit = usize::try_from(self.point + i64::try_from(index).unwrap_or(i64::MAX)).ok();
            out.push(
                digit
                    .and_then(|digit| self.digits.get(digit).copied())
                    .unwrap_or(b'0'),
            );
        }
    }

    fn append_sign(&self, out: &mut Vec<u8>) {
        if self.negative {
            out.push(b'-');
        }
    }
}

/// A float taken apart: sign, mantissa with its top bit, binary exponent of the mantissa's top bit, mantissa bits.
fn decompose(number: f64, single: bool) -> (bool, u64, i64, u32) {
    let (bits, mantissa_bits, exponent_bits) = if single {
        (u64::from((number as f32).to_bits()), 23, 8)
    } else {
        (number.to_bits(), 52, 11)
    };
    let bias = (1_i64 << (exponent_bits - 1)) - 1;
    let raw = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
    let fraction = bits & ((1 << mantissa_bits) - 1);
    let exponent = i64::try_from(raw).unwrap_or(0);
    let (mantissa, exponent) = if raw == 0 {
        (fraction, 1 - bias)
    } else {
        (fraction | 1 << mantissa_bits, exponent - bias)
    };
    (number.is_sign_negative(), mantissa, exponent, mantissa_bits)
}

/// `-ddddp±ddd`
fn append_binary(out: &mut Vec<u8>, number: f64, single: bool) {
    let (negative, mantissa, exponent, mantissa_bits) = decompose(number, single);
    let sign = if negative { "-" } else { "" };
    out.extend_from_slice(
        format!("{sign}{mantissa}p{:+}", exponent - i64::from(mantissa_bits)).as_bytes(),
    );
}

/// `-0x1.yyyyp±dd`
fn append_hex(out: &mut Vec<u8>, number: f64, precision: Option<usize>, upper: bool, single: bool) {
    let (negative, mut mantissa, mut exponent, mantissa_bits) = decompose(number, single);
    if mantissa == 0 {
        exponent = 0;
    }
    mantissa <<= 60 - mantissa_bits;
    while mantissa != 0 && mantissa & (1 << 60) == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    if let Some(precision) = precision.filter(|precision| *precision < 15) {
        let shift = precision * 4;
        let extra = (mantissa << shift) & ((1 << 60) - 1);
        mantissa >>= 60 - shift;
        if extra | (mantissa & 1) > 1 << 59 {
            mantissa += 1;
        }
        mantissa <<= 60 - shift;
        if mantissa & (1 << 61) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let hex: &[u8; 16] = if upper {
        b"0123456789ABCDEF"
    } else {
        b"0123456789abcdef"
    };
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(&[
        b'0',
        if upper { b'X' } else { b'x' },
        hex[(mantissa >> 60 & 1) as usize],
    ]);
    mantissa <<= 4;
    if precision.map_or(mantissa != 0, |precision| precision > 0) {
        out.push(b'.');
        let mut left = precision;
        while left.map_or(mantissa != 0, |left| left > 0) {
            out.push(hex[(mantissa >> 60 & 15) as usize]);
            mantissa <<= 4;
            left = left.map(|left| left - 1);
        }
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let letter = if upper { 'P' } else { 'p' };
    out.extend_from_slice(format!("{letter}{sign}{:02}", exponent.unsigned_abs()).as_bytes());
}
