//! Numbers as the decimal text that they were written in, so that 0.3 is a multiple of 0.1.

use std::cmp::Ordering;

use serde_json::Number;

/// A number: its value for comparing, its digits for dividing.
#[derive(Clone, Debug)]
pub(super) struct Decimal {
    value: f64,
    /// As an integer where it is one that fits, which is exact where a float would not be.
    integer: Option<i128>,
    /// `digits × 10^exponent`, where it has so few digits.
    scaled: Option<(i128, i32)>,
}

impl Decimal {
    pub(super) fn new(number: &Number) -> Self {
        let value = number.as_f64().unwrap_or(f64::NAN);
        let scaled = parse(&number.to_string());
        let integer = scaled.and_then(|(digits, exponent)| {
            let exponent = u32::try_from(exponent).ok()?;
            digits.checked_mul(10_i128.checked_pow(exponent)?)
        });
        Self {
            value,
            integer,
            scaled,
        }
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        match (self.integer, other.integer) {
            (Some(left), Some(right)) => left.cmp(&right),
            _ => self.value.total_cmp(&other.value),
        }
    }

    /// Whether it is a whole number.
    pub(super) fn is_integer(&self) -> bool {
        self.integer.is_some() || self.value.fract() == 0.0
    }

    /// Whether dividing by `other` leaves nothing.
    pub(super) fn is_multiple_of(&self, other: &Self) -> bool {
        let exact = self.scaled.zip(other.scaled).and_then(
            |((left, left_exponent), (right, right_exponent))| {
                let low = left_exponent.min(right_exponent);
                let scale = |digits: i128, exponent: i32| {
                    digits.checked_mul(10_i128.checked_pow(u32::try_from(exponent - low).ok()?)?)
                };
                scale(left, left_exponent)?.checked_rem(scale(right, right_exponent)?)
            },
        );
        match exact {
            Some(remainder) => remainder == 0,
            None => (self.value / other.value).fract() == 0.0,
        }
    }

    /// As Helm's validator prints it: thousands grouped, from a million on as a power of ten.
    pub(super) fn localized(&self) -> String {
        let text = format!("{:e}", self.value);
        let Some((mantissa, exponent)) = text.split_once('e') else {
            return text;
        };
        let exponent: i32 = exponent.parse().unwrap_or(0);
        if self.value != 0.0 && !(-4..6).contains(&exponent) {
            return format!("{mantissa} × 10{}", superscript(exponent));
        }
        let plain = format!("{}", self.value);
        match plain.split_once('.') {
            Some((whole, fraction)) => format!("{}.{fraction}", grouped(whole)),
            None => grouped(&plain),
        }
    }
}

/// Digits with a comma after each thousand.
pub(super) fn grouped(digits: &str) -> String {
    let (sign, digits) = digits
        .strip_prefix('-')
        .map_or(("", digits), |rest| ("-", rest));
    let mut out = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// An exponent of at least two raised digits.
fn superscript(exponent: i32) -> String {
    let sign = if exponent < 0 { "⁻" } else { "" };
    let raised = |digit: char| {
        "⁰¹²³⁴⁵⁶⁷⁸⁹"
            .chars()
            .nth(digit.to_digit(10).unwrap_or(0) as usize)
            .unwrap_or(digit)
    };
    let digits = format!("{:02}", exponent.unsigned_abs());
    sign.chars().chain(digits.chars().map(raised)).collect()
}

/// Decimal text as digits and a power of ten.
fn parse(text: &str) -> Option<(i128, i32)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    Some((
        digits,
        exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::new(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn multiples_are_decimal() {
        for (number, of, expect) in [
            ("0.3", "0.1", true),
            ("0.35", "0.1", false),
            ("4", "2", true),
            ("1e3", "10", true),
            ("7.5", "2.5", true),
            ("1", "0.3", false),
        ] {
            assert_eq!(
                decimal(number).is_multiple_of(&decimal(of)),
                expect,
                "{number} {of}"
            );
        }
    }

    #[test]
    fn numbers_print_as_in_helm() {
        for (number, expect) in [
            ("1e22", "1 × 10²²"),
            ("-12345.5", "-12,345.5"),
            ("10000000", "1 × 10⁰⁷"),
            ("0.0000001", "1 × 10⁻⁰⁷"),
            ("65536", "65,536"),
            ("1234567.891", "1.234567891 × 10⁰⁶"),
            ("0.35", "0.35"),
            ("0", "0"),
            ("100000", "100,000"),
        ] {
            assert_eq!(decimal(number).localized(), expect);
        }
    }

    #[test]
    fn integers_are_recognised_and_compared() {
        assert!(
            decimal("1.0").is_integer()
                && decimal("1e3").is_integer()
                && !decimal("1.5").is_integer()
        );
        assert_eq!(
            decimal("9007199254740993").compare(&decimal("9007199254740992")),
            Ordering::Greater
        );
        assert_eq!(decimal("1.0").compare(&decimal("1")), Ordering::Equal);
    }
}
