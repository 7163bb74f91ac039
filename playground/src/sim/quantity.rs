//! Kubernetes quantities in their canonical form: the API server stores `1000m` as `1`.

/// The suffixes of decimal quantities, by power of ten.
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];
/// The suffixes of binary quantities, by power of 1024.
const BINARY: [(&str, u32); 6] = [
    ("Ki", 1),
    ("Mi", 2),
    ("Gi", 3),
    ("Ti", 4),
    ("Pi", 5),
    ("Ei", 6),
];

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Decimal,
    Binary,
    Exponent,
}

/// A quantity in units of 10^-9, which is as fine as one can be.
pub(crate) fn nano(text: &str) -> Option<i128> {
    parse(text).map(|(value, _)| value)
}

/// The canonical form of a quantity, or nothing where the text is none.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let (value, format) = parse(text)?;
    if value == 0 {
        return Some("0".into());
    }
    let one = 10_i128.pow(9);
    if format == Format::Binary && value.abs() >= 1024 * one {
        let mut units = value.div_euclid(one) + i128::from(value.rem_euclid(one) != 0);
        let mut suffix = "";
        for (name, _) in BINARY {
            if units % 1024 != 0 {
                break;
            }
            units /= 1024;
            suffix = name;
        }
        return Some(format!("{units}{suffix}"));
    }
    let mut exponent = -9;
    let mut mantissa = value;
    while mantissa % 1000 == 0 && exponent < 18 {
        mantissa /= 1000;
        exponent += 3;
    }
    if format == Format::Exponent {
        return Some(if exponent == 0 {
            mantissa.to_string()
        } else {
            format!("{mantissa}e{exponent}")
        });
    }
    let suffix = DECIMAL
        .iter()
        .find(|(_, e)| *e == exponent)
        .map_or("", |(name, _)| name);
    Some(format!("{mantissa}{suffix}"))
}

fn parse(text: &str) -> Option<(i128, Format)> {
    let negative = text.starts_with('-');
    let body = text.trim_start_matches(['+', '-']);
    if text.len() - body.len() > 1 {
        return None;
    }
    let digits = body
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(body.len());
    let (number, suffix) = body.split_at(digits);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let (format, ten, binary) = scale(suffix)?;
    let mut value: i128 = format!("{whole}{fraction}").parse().ok()?;
    value = value.checked_mul(1024_i128.pow(binary))?;
    let power = 9 + ten - i32::try_from(fraction.len()).ok()?;
    value = if power >= 0 {
        value.checked_mul(10_i128.checked_pow(power.unsigned_abs())?)?
    } else {
        // What is finer than can be held is rounded up, away from zero.
        let divisor = 10_i128.checked_pow(power.unsigned_abs())?;
        value / divisor + i128::from(value % divisor != 0)
    };
    Some((if negative { -value } else { value }, format))
}

fn scale(suffix: &str) -> Option<(Format, i32, u32)> {
    if let Some((_, ten)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some((Format::Decimal, *ten, 0));
    }
    if let Some((_, power)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Some((Format::Binary, 0, *power));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    Some((Format::Exponent, exponent, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms() {
        let table = [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("1000Mi", "1000Mi"),
            ("2000", "2k"),
            ("100m", "100m"),
            ("512Ki", "512Ki"),
            ("0", "0"),
            ("0Gi", "0"),
            ("1e3", "1e3"),
            ("1024", "1024"),
            ("-1", "-1"),
            ("0.1Ki", "102400m"),
            ("1500m", "1500m"),
            ("12345678", "12345678"),
        ];
        for (input, expected) in table {
            assert_eq!(canonical(input).as_deref(), Some(expected), "{input}");
        }
        for wrong in ["", "m", "1.2.3", "one", "1x", "--1"] {
            assert_eq!(canonical(wrong), None, "{wrong}");
        }
    }
}
