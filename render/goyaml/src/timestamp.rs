//! Dates and times, in the four layouts that the Go libraries take for timestamps.

use std::fmt;

/// A date with an optional time and offset, checked to exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    nanosecond: u32,
    /// Minutes east of UTC.
    offset: i32,
}

impl Timestamp {
    /// Reads `2006-1-2`, `2006-1-2 15:4:5.999` or `2006-1-2T15:4:5.999Z` (also `t`, also an offset).
    pub fn parse(text: &str) -> Option<Timestamp> {
        let bytes = text.as_bytes();
        if bytes.len() < 8 || bytes[4] != b'-' || !bytes[..4].iter().all(u8::is_ascii_digit) {
            return None;
        }
        let mut rest = &bytes[5..];
        let year = bytes[..4]
            .iter()
            .fold(0, |n, b| n * 10 + u16::from(b - b'0'));
        let month = number(&mut rest)?;
        literal(&mut rest, b'-')?;
        let day = number(&mut rest)?;
        if !(1..=12).contains(&month) || day < 1 || day > days_in(month, year) {
            return None;
        }
        let mut time = Timestamp {
            year,
            month,
            day,
            hour: 0,
            minute: 0,
            second: 0,
            nanosecond: 0,
            offset: 0,
        };
        match rest.first() {
            None => return Some(time),
            Some(b'T' | b't') => {
                rest = &rest[1..];
                time.clock(&mut rest)?;
                time.offset = offset(&mut rest)?;
            }
            Some(b' ') => {
                while let [b' ', tail @ ..] = rest {
                    rest = tail;
                }
                time.clock(&mut rest)?;
            }
            Some(_) => return None,
        }
        rest.is_empty().then_some(time)
    }

    fn clock(&mut self, rest: &mut &[u8]) -> Option<()> {
        self.hour = number(rest).filter(|h| *h < 24)?;
        literal(rest, b':')?;
        self.minute = number(rest).filter(|m| *m < 60)?;
        literal(rest, b':')?;
        self.second = number(rest).filter(|s| *s < 60)?;
        if let [b'.' | b',', b'0'..=b'9', ..] = rest {
            let digits = rest[1..].iter().take_while(|b| b.is_ascii_digit()).count();
            self.nanosecond = (1..=9).fold(0, |n, i| {
                n * 10
                    + if i <= digits {
                        u32::from(rest[i] - b'0')
                    } else {
                        0
                    }
            });
            *rest = &rest[1 + digits..];
        }
        Some(())
    }

    /// Whether Go can write this offset as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.offset.abs() < 24 * 60
    }
}

/// One or two digits.
fn number(rest: &mut &[u8]) -> Option<u8> {
    match *rest {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', tail @ ..] => {
            *rest = tail;
            Some((a - b'0') * 10 + (b - b'0'))
        }
        [a @ b'0'..=b'9', tail @ ..] => {
            *rest = tail;
            Some(a - b'0')
        }
        _ => None,
    }
}

fn literal(rest: &mut &[u8], c: u8) -> Option<()> {
    *rest = rest.strip_prefix(&[c])?;
    Some(())
}

/// `Z` or `+07:00`, to the minute.
fn offset(rest: &mut &[u8]) -> Option<i32> {
    if let Some(tail) = rest.strip_prefix(b"Z") {
        *rest = tail;
        return Some(0);
    }
    let [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2, tail @ ..] = *rest else {
        return None;
    };
    let two = |a: &u8, b: &u8| {
        (a.is_ascii_digit() && b.is_ascii_digit()).then(|| i32::from((a - b'0') * 10 + (b - b'0')))
    };
    let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
    // 24 hours and 60 minutes are let through, as in Go.
    if hours > 24 || minutes > 60 {
        return None;
    }
    *rest = tail;
    let offset = hours * 60 + minutes;
    Some(if *sign == b'-' { -offset } else { offset })
}

fn days_in(month: u8, year: u16) -> u8 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// RFC 3339 with as many digits of the second as there are, which is what Go makes of a time in JSON.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            self.year, self.month, self.day, self.hour, self.minute, self.second
        )?;
        if self.nanosecond != 0 {
            write!(
                f,
                ".{}",
                format!("{:09}", self.nanosecond).trim_end_matches('0')
            )?;
        }
        match self.offset {
            0 => f.write_str("Z"),
            offset => {
                let sign = if offset < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_and_ranges_are_gos() {
        for (text, time) in [
            ("2001-01-01", Some("2001-01-01T00:00:00Z")),
            ("2001-1-2", Some("2001-01-02T00:00:00Z")),
            (
                "2001-12-14t21:59:43.10-05:00",
                Some("2001-12-14T21:59:43.1-05:00"),
            ),
            ("2001-12-14T21:59:43Z", Some("2001-12-14T21:59:43Z")),
            (
                "2001-12-14 21:59:43.123456789012",
                Some("2001-12-14T21:59:43.123456789Z"),
            ),
            ("2001-12-14   1:2:3", Some("2001-12-14T01:02:03Z")),
            (
                "2001-12-14T1:2:3,5+24:60",
                Some("2001-12-14T01:02:03.5+25:00"),
            ),
            ("2001-02-29", None),
            ("2000-02-29", Some("2000-02-29T00:00:00Z")),
            ("2001-13-01", None),
            ("2001-12-14T21:59:43", None),
            ("2001-12-14 21:59:43Z", None),
            ("2001-12-14 24:00:00", None),
            ("2001-01-01x", None),
            ("20010101", None),
            ("2001-1-", None),
        ] {
            assert_eq!(
                Timestamp::parse(text).map(|t| t.to_string()).as_deref(),
                time,
                "{text}"
            );
        }
    }
}
