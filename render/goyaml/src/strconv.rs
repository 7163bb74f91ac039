//! Numbers to text and back, as Go's strconv does it.

/// `strconv.ParseInt(s, 0, 64)`, for text without underscores.
pub(crate) fn parse_int_base0(s: &str) -> Option<i64> {
    let (negative, digits) = match s.as_bytes().first()? {
        b'-' => (true, &s[1..]),
        b'+' => (false, &s[1..]),
        _ => (false, s),
    };
    let magnitude = parse_uint_base0(digits)?;
    if negative {
        // -2^63 has no positive counterpart.
        (magnitude <= 1 << 63).then(|| (magnitude as i64).wrapping_neg())
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// `strconv.ParseUint(s, 0, 64)`, for text without underscores.
pub(crate) fn parse_uint_base0(s: &str) -> Option<u64> {
    let bytes = s.as_bytes();
    let (digits, radix) = match bytes {
        [b'0', b'x' | b'X', ..] => (&s[2..], 16),
        [b'0', b'b' | b'B', ..] => (&s[2..], 2),
        [b'0', b'o' | b'O', ..] => (&s[2..], 8),
        [b'0', _, ..] => (&s[1..], 8),
        _ => (s, 10),
    };
    if !digits.bytes().next()?.is_ascii_alphanumeric() {
        // Rust would take a sign here.
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// A number as YAML writes one, `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, that is not too large.
pub(crate) fn parse_yaml_float(s: &str) -> Option<f64> {
    let unsigned = s.strip_prefix(['-', '+']).unwrap_or(s);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if digits.is_empty() || !all_digits(digits) {
            return None;
        }
    }
    finite(s)
}

/// `strconv.ParseFloat` of text that starts with a point. Underscores may stand between digits there.
pub(crate) fn parse_float_leading_dot(s: &str) -> Option<f64> {
    if !s.contains('_') {
        return parse_yaml_float(s);
    }
    let bytes = s.as_bytes();
    let digit = |i: Option<usize>| i.and_then(|i| bytes.get(i)).is_some_and(u8::is_ascii_digit);
    let mut between_digits = true;
    for (i, _) in s.match_indices('_') {
        // Runs of underscores are not allowed, so both neighbours are digits.
        between_digits &= digit(i.checked_sub(1)) && digit(Some(i + 1));
    }
    if between_digits {
        parse_yaml_float(&s.replace('_', ""))
    } else {
        None
    }
}

fn finite(s: &str) -> Option<f64> {
    s.parse().ok().filter(|f: &f64| f.is_finite())
}

/// `strconv.FormatFloat(f, 'g', -1, 64)`, with YAML's words for what is no number.
pub fn format_float(f: f64) -> String {
    match special(f) {
        Some(word) => word.to_owned(),
        None => shortest_g(&format!("{f:e}")),
    }
}

/// `strconv.FormatFloat(f, 'g', -1, 32)`, which sigs.k8s.io/yaml uses for keys, with YAML's words for what is no number.
pub fn format_float32(f: f64) -> String {
    let narrow = f as f32;
    match special(f64::from(narrow)) {
        Some(word) => word.to_owned(),
        None => shortest_g(&format!("{narrow:e}")),
    }
}

fn special(f: f64) -> Option<&'static str> {
    if f.is_nan() {
        Some(".nan")
    } else if f.is_infinite() {
        Some(if f > 0.0 { ".inf" } else { "-.inf" })
    } else {
        None
    }
}

/// From Rust's shortest `d.ddde-x` to Go's `%g`: an exponent below -4 or from 6 on, in at least two digits.
fn shortest_g(scientific: &str) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    if !(-4..6).contains(&exponent) {
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{mantissa}e{exponent_sign}{:02}", exponent.abs());
    }
    let digits = mantissa.replace('.', "");
    if exponent < 0 {
        let zeros = "0".repeat((-exponent - 1) as usize);
        return format!("{sign}0.{zeros}{digits}");
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        format!("{sign}{digits}{}", "0".repeat(whole - digits.len()))
    } else {
        format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_go_prints_them() {
        for (float, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (123_456.0, "123456"),
            (999_999.0, "999999"),
            (1_000_000.0, "1e+06"),
            (1_048_576.0, "1.048576e+06"),
            (1_234_567.8, "1.2345678e+06"),
            (-1e100, "-1e+100"),
            (f64::INFINITY, ".inf"),
            (f64::NEG_INFINITY, "-.inf"),
            (f64::NAN, ".nan"),
        ] {
            assert_eq!(format_float(float), text);
        }
        assert_eq!(format_float32(0.1), "0.1");
        assert_eq!(format_float32(16_777_217.0), "1.6777216e+07");
    }

    #[test]
    fn integers_are_read_in_the_base_their_prefix_says() {
        for (text, int) in [
            ("0", Some(0)),
            ("0644", Some(420)),
            ("0o17", Some(15)),
            ("0x1F", Some(31)),
            ("-0b11", Some(-3)),
            ("+5", Some(5)),
            ("08", None),
            ("0x", None),
            ("", None),
            ("-", None),
            ("--1", None),
            ("0x-1", None),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
        ] {
            assert_eq!(parse_int_base0(text), int, "{text}");
        }
        assert_eq!(parse_uint_base0("18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_uint_base0("18446744073709551616"), None);
        assert_eq!(parse_uint_base0("+1"), None);
    }
}
