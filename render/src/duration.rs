//! Go durations (`1h30m`, `500ms`), as Flux writes intervals and timeouts.

/// Longest duration that is taken: what fits Go's `time.Duration`, about 292 years.
const MAX_SECONDS: f64 = 9_223_372_036.0;

/// Seconds of a Go duration, rounded up so that a short interval does not become none. `None` where `text` is not a
/// duration or is negative.
pub fn parse_seconds(text: &str) -> Option<u32> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit() && it != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let after = &rest[digits..];
        let unit_end = after
            .find(|it: char| it.is_ascii_digit() || it == '.')
            .unwrap_or(after.len());
        seconds += number * seconds_of(&after[..unit_end])?;
        rest = &after[unit_end..];
    }
    (seconds <= MAX_SECONDS).then(|| seconds.ceil().min(f64::from(u32::MAX)) as u32)
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::parse_seconds;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let table = [
            ("10m", Some(600)),
            ("1h30m", Some(5400)),
            ("1m0s", Some(60)),
            ("500ms", Some(1)),
            ("1.5h", Some(5400)),
            ("0", Some(0)),
            ("", None),
            ("10", None),
            ("m", None),
            ("-1m", None),
            ("5 m", None),
            ("1d", None),
        ];
        for (text, expect) in table {
            assert_eq!(parse_seconds(text), expect, "{text}");
        }
    }
}
