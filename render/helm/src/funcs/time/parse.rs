//! Reading dates with Go's layouts.

use crate::funcs::duration::quoted;

use super::civil::{Civil, days_in, month_name, weekday_name};
use super::layout::{Element, OffsetShape, next_element};
use super::{GoTime, Zone};

/// `time.ParseInLocation(layout, text, time.UTC)`. The error is Go's.
pub(super) fn parse(layout: &str, text: &str) -> Result<GoTime, String> {
    let mut fields = Fields::default();
    let (mut rest_layout, mut rest) = (layout, text);
    loop {
        let (prefix, element, suffix) = next_element(rest_layout);
        rest = skip(rest, prefix).map_err(|at| mismatch(layout, text, at, prefix))?;
        let Some((element, element_text)) = element else {
            if rest.is_empty() {
                break;
            }
            return Err(complaint(text, &format!(": extra text: {}", quoted(rest))));
        };
        rest_layout = suffix;
        match fields.read(element, rest, suffix) {
            Ok(after) => rest = after,
            Err(Bad::Range(what)) => {
                return Err(complaint(text, &format!(": {what} out of range")));
            }
            Err(Bad::Text) => return Err(mismatch(layout, text, rest, element_text)),
        }
    }
    fields
        .into_time()
        .map_err(|message| complaint(text, message))
}

fn complaint(text: &str, message: &str) -> String {
    format!("parsing time {}{message}", quoted(text))
}

fn mismatch(layout: &str, text: &str, rest: &str, element: &str) -> String {
    format!(
        "parsing time {} as {}: cannot parse {} as {}",
        quoted(text),
        quoted(layout),
        quoted(rest),
        quoted(element)
    )
}

enum Bad {
    /// Not of the form.
    Text,
    /// Of the form, but this is too large.
    Range(&'static str),
}

type Read<'t, T = &'t str> = Result<T, Bad>;

/// Skips literal text of the layout; spaces match any number of them. The error is where it did not match.
fn skip<'t>(mut text: &'t str, mut prefix: &str) -> Result<&'t str, &'t str> {
    while let Some(wanted) = prefix.chars().next() {
        if wanted == ' ' {
            if !text.is_empty() && !text.starts_with(' ') {
                return Err(text);
            }
            prefix = prefix.trim_start_matches(' ');
            text = text.trim_start_matches(' ');
            continue;
        }
        text = text.strip_prefix(wanted).ok_or(text)?;
        prefix = &prefix[wanted.len_utf8()..];
    }
    Ok(text)
}

#[derive(Default)]
struct Fields {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanoseconds: u32,
    afternoon: Option<bool>,
    utc: bool,
    offset: Option<i32>,
    zone: String,
}

/// One or two digits; two where `fixed`.
fn number(text: &str, fixed: bool) -> Read<'_, (i64, &str)> {
    let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    if digits == 0 || (fixed && digits < 2) {
        return Err(Bad::Text);
    }
    Ok((text[..digits].parse().unwrap_or(0), &text[digits..]))
}

/// A name, whatever its case: its number.
fn lookup<'t>(
    text: &'t str,
    mut names: impl Iterator<Item = (i64, &'static str)>,
) -> Read<'t, (i64, &'t str)> {
    let matches = |name: &str| {
        text.get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name))
    };
    let (index, name) = names.find(|(_, name)| matches(name)).ok_or(Bad::Text)?;
    Ok((index, &text[name.len()..]))
}

fn split(text: &str, length: usize) -> Read<'_, (&str, &str)> {
    text.split_at_checked(length).ok_or(Bad::Text)
}

impl Fields {
    /// Reads an element's text and gives what follows. `layout` is what follows in the layout.
    fn read<'t>(&mut self, element: Element, text: &'t str, layout: &str) -> Read<'t> {
        match element {
            Element::Year | Element::LongYear => self.read_year(element, text),
            Element::Month | Element::LongMonth | Element::NumMonth | Element::ZeroMonth => {
                self.read_month(element, text)
            }
            Element::Weekday => {
                Ok(lookup(text, (0..7).map(|day| (day, &weekday_name(day)[..3])))?.1)
            }
            Element::LongWeekday => Ok(lookup(text, (0..7).map(|day| (day, weekday_name(day))))?.1),
            Element::Day | Element::UnderDay | Element::ZeroDay => {
                let text = if element == Element::UnderDay {
                    text.strip_prefix(' ').unwrap_or(text)
                } else {
                    text
                };
                let (day, rest) = number(text, element == Element::ZeroDay)?;
                self.day = Some(day);
                Ok(rest)
            }
            Element::UnderYearDay | Element::ZeroYearDay => self.read_year_day(element, text),
            Element::Hour | Element::Hour12 | Element::ZeroHour12 => {
                let (hour, rest) = number(text, element == Element::ZeroHour12)?;
                let limit = if element == Element::Hour { 23 } else { 12 };
                self.hour = within(hour, limit, "hour")?;
                Ok(rest)
            }
            Element::Minute | Element::ZeroMinute => {
                let (minute, rest) = number(text, element == Element::ZeroMinute)?;
                self.minute = within(minute, 59, "minute")?;
                Ok(rest)
            }
            Element::Second | Element::ZeroSecond => self.read_second(element, text, layout),
            Element::Noon { upper } => {
                let (word, rest) = split(text, 2)?;
                let (am, pm) = if upper { ("AM", "PM") } else { ("am", "pm") };
                self.afternoon = Some(if word == pm {
                    true
                } else if word == am {
                    false
                } else {
                    return Err(Bad::Text);
                });
                Ok(rest)
            }
            Element::Offset { z, shape } => self.read_offset(z, shape, text),
            Element::ZoneName => self.read_zone(text),
            Element::Fraction {
                digits,
                trim: false,
                ..
            } => {
                let (fraction, rest) = split(text, 1 + digits)?;
                self.nanoseconds = nanoseconds(fraction)?;
                Ok(rest)
            }
            Element::Fraction { .. } => self.read_optional_fraction(text),
        }
    }

    fn read_year<'t>(&mut self, element: Element, text: &'t str) -> Read<'t> {
        let long = element == Element::LongYear;
        let (digits, rest) = split(text, if long { 4 } else { 2 })?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Bad::Text);
        }
        let year: i64 = digits.parse().map_err(|_| Bad::Text)?;
        self.year = match year {
            year if long => year,
            69.. => year + 1900,
            year => year + 2000,
        };
        Ok(rest)
    }

    fn read_month<'t>(&mut self, element: Element, text: &'t str) -> Read<'t> {
        let (month, rest) = match element {
            Element::Month => lookup(text, (1..=12).map(|month| (month, &month_name(month)[..3])))?,
            Element::LongMonth => lookup(text, (1..=12).map(|month| (month, month_name(month))))?,
            _ => number(text, element == Element::ZeroMonth)?,
        };
        if !(1..=12).contains(&month) {
            return Err(Bad::Range("month"));
        }
        self.month = Some(month);
        Ok(rest)
    }

    fn read_year_day<'t>(&mut self, element: Element, mut text: &'t str) -> Read<'t> {
        let under = element == Element::UnderYearDay;
        for _ in 0..2 {
            if under {
                text = text.strip_prefix(' ').unwrap_or(text);
            }
        }
        let digits = text.bytes().take(3).take_while(u8::is_ascii_digit).count();
        if digits == 0 || (!under && digits < 3) {
            return Err(Bad::Text);
        }
        self.year_day = Some(text[..digits].parse().unwrap_or(0));
        Ok(&text[digits..])
    }

    /// Seconds, and a fraction that the layout does not mention.
    fn read_second<'t>(&mut self, element: Element, text: &'t str, layout: &str) -> Read<'t> {
        let (second, rest) = number(text, element == Element::ZeroSecond)?;
        self.second = within(second, 59, "second")?;
        let mentioned = matches!(next_element(layout).1, Some((Element::Fraction { .. }, _)));
        if mentioned {
            Ok(rest)
        } else {
            self.read_optional_fraction(rest)
        }
    }

    fn read_optional_fraction<'t>(&mut self, text: &'t str) -> Read<'t> {
        if !text.starts_with(['.', ',']) {
            return Ok(text);
        }
        let digits = text.bytes().skip(1).take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Ok(text);
        }
        let (fraction, rest) = text.split_at(1 + digits);
        self.nanoseconds = nanoseconds(fraction)?;
        Ok(rest)
    }

    fn read_offset<'t>(&mut self, z: bool, shape: OffsetShape, text: &'t str) -> Read<'t> {
        if z && let Some(rest) = text.strip_prefix('Z') {
            self.utc = true;
            return Ok(rest);
        }
        let (length, starts) = match shape {
            OffsetShape::Hours => (3, &[1][..]),
            OffsetShape::Minutes => (5, &[1, 3][..]),
            OffsetShape::ColonMinutes => (6, &[1, 4][..]),
            OffsetShape::Seconds => (7, &[1, 3, 5][..]),
            OffsetShape::ColonSeconds => (9, &[1, 4, 7][..]),
        };
        let (shown, rest) = split(text, length)?;
        let colons = matches!(shape, OffsetShape::ColonMinutes | OffsetShape::ColonSeconds);
        if colons
            && starts[1..]
                .iter()
                .any(|start| shown.as_bytes()[start - 1] != b':')
        {
            return Err(Bad::Text);
        }
        let mut parts = [0; 3];
        for (part, start) in parts.iter_mut().zip(starts) {
            *part = number(shown.get(*start..start + 2).ok_or(Bad::Text)?, true)?.0;
        }
        within(parts[0], 24, "time zone offset hour")?;
        within(parts[1], 60, "time zone offset minute")?;
        within(parts[2], 60, "time zone offset second")?;
        let seconds = i32::try_from((parts[0] * 60 + parts[1]) * 60 + parts[2]).unwrap_or(0);
        self.offset = Some(match shown.as_bytes()[0] {
            b'+' => seconds,
            b'-' => -seconds,
            _ => return Err(Bad::Text),
        });
        Ok(rest)
    }

    fn read_zone<'t>(&mut self, text: &'t str) -> Read<'t> {
        if let Some(rest) = text.strip_prefix("UTC") {
            self.utc = true;
            return Ok(rest);
        }
        let length = zone_length(text).ok_or(Bad::Text)?;
        self.zone = text[..length].to_owned();
        Ok(&text[length..])
    }

    fn into_time(mut self) -> Result<GoTime, &'static str> {
        match self.afternoon {
            Some(true) if self.hour < 12 => self.hour += 12,
            Some(false) if self.hour == 12 => self.hour = 0,
            _ => {}
        }
        self.apply_year_day()?;
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        if day < 1 || day > days_in(self.year, month) {
            return Err(": day out of range");
        }
        let seconds = Civil::seconds_of(self.year, month, day, self.hour, self.minute, self.second);
        let (offset, zone) = match (self.utc, self.offset) {
            (true, _) => (0, Zone::Utc),
            // UTC is the local zone, so its offset needs no other.
            (false, Some(0)) if self.zone.is_empty() || self.zone == "UTC" => (0, Zone::Utc),
            (false, Some(offset)) => (offset, Zone::Fixed(offset, self.zone)),
            (false, None) if self.zone.is_empty() => (0, Zone::Utc),
            (false, None) => {
                let hours = self
                    .zone
                    .strip_prefix("GMT")
                    .and_then(|hours| hours.parse::<i32>().ok())
                    .unwrap_or(0);
                (0, Zone::Fixed(hours * 3600, self.zone))
            }
        };
        Ok(GoTime {
            seconds: seconds - i64::from(offset),
            nanoseconds: self.nanoseconds,
            zone,
        })
    }

    /// Month and day of a day of the year; they must not contradict what was read.
    fn apply_year_day(&mut self) -> Result<(), &'static str> {
        let Some(year_day) = self.year_day else {
            return Ok(());
        };
        let days = Civil::seconds_of(self.year + 1, 1, 1, 0, 0, 0)
            - Civil::seconds_of(self.year, 1, 1, 0, 0, 0);
        if year_day < 1 || year_day > days / 86_400 {
            return Err(": day-of-year out of range");
        }
        let date = Civil::new(Civil::seconds_of(self.year, 1, year_day, 0, 0, 0));
        if self.month.is_some_and(|month| month != date.month) {
            return Err(": day-of-year does not match month");
        }
        if self.day.is_some_and(|day| day != date.day) {
            return Err(": day-of-year does not match day");
        }
        (self.month, self.day) = (Some(date.month), Some(date.day));
        Ok(())
    }
}

fn within(number: i64, limit: i64, what: &'static str) -> Read<'static, i64> {
    if number > limit {
        Err(Bad::Range(what))
    } else {
        Ok(number)
    }
}

/// `.123` in nanoseconds; more than nine digits are cut.
fn nanoseconds(fraction: &str) -> Read<'static, u32> {
    let digits = fraction.strip_prefix(['.', ',']).ok_or(Bad::Text)?;
    let padded: String = digits
        .chars()
        .chain(std::iter::repeat('0'))
        .take(9)
        .collect();
    padded.parse().map_err(|_| Bad::Text)
}

/// The length of something that looks like a zone's abbreviation.
fn zone_length(text: &str) -> Option<usize> {
    if text.starts_with("ChST") || text.starts_with("MeST") {
        return Some(4);
    }
    let signed = |text: &str| {
        let digits = text
            .strip_prefix(['+', '-'])?
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        let hours = text.get(1..=digits)?.parse::<u32>().ok()?;
        (digits > 0 && hours <= 23).then_some(1 + digits)
    };
    if let Some(rest) = text.strip_prefix("GMT") {
        return Some(3 + signed(rest).unwrap_or(0));
    }
    if text.starts_with(['+', '-']) {
        return signed(text);
    }
    let capitals = text
        .bytes()
        .take(6)
        .take_while(u8::is_ascii_uppercase)
        .count();
    match capitals {
        5 if text.as_bytes()[4] == b'T' => Some(5),
        4 if text.as_bytes()[3] == b'T' || text.starts_with("WITA") => Some(4),
        3 => Some(3),
        _ => None,
    }
}
