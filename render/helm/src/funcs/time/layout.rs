//! Go's reference layouts: `2006-01-02 15:04:05` and so on, and formatting with them.

use super::GoTime;
use super::civil::{month_name, weekday_name};

/// What `time.Time.String` uses.
pub(super) const STRING: &str = "2006-01-02 15:04:05.999999999 -0700 MST";

/// A part of a layout that stands for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Year,
    LongYear,
    Month,
    LongMonth,
    NumMonth,
    ZeroMonth,
    Weekday,
    LongWeekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    /// `PM`, or `pm`.
    Noon {
        upper: bool,
    },
    /// `-0700` and its variants; `z` writes `Z` for UTC.
    Offset {
        z: bool,
        shape: OffsetShape,
    },
    /// `MST`
    ZoneName,
    /// `.000`, or `.999` which omits trailing zeros. The separator is a point or a comma.
    Fraction {
        digits: usize,
        trim: bool,
        separator: char,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OffsetShape {
    /// `-07`
    Hours,
    /// `-0700`
    Minutes,
    /// `-07:00`
    ColonMinutes,
    /// `-070000`
    Seconds,
    /// `-07:00:00`
    ColonSeconds,
}

/// Texts that stand for something wherever they are, longest first.
const FIXED: [(&str, Element); 31] = [
    ("January", Element::LongMonth),
    ("Monday", Element::LongWeekday),
    ("MST", Element::ZoneName),
    ("002", Element::ZeroYearDay),
    ("01", Element::ZeroMonth),
    ("02", Element::ZeroDay),
    ("03", Element::ZeroHour12),
    ("04", Element::ZeroMinute),
    ("05", Element::ZeroSecond),
    ("06", Element::Year),
    ("15", Element::Hour),
    ("1", Element::NumMonth),
    ("2006", Element::LongYear),
    ("2", Element::Day),
    ("__2", Element::UnderYearDay),
    ("_2", Element::UnderDay),
    ("3", Element::Hour12),
    ("4", Element::Minute),
    ("5", Element::Second),
    ("PM", Element::Noon { upper: true }),
    ("pm", Element::Noon { upper: false }),
    (
        "-07:00:00",
        Element::Offset {
            z: false,
            shape: OffsetShape::ColonSeconds,
        },
    ),
    (
        "-070000",
        Element::Offset {
            z: false,
            shape: OffsetShape::Seconds,
        },
    ),
    (
        "-07:00",
        Element::Offset {
            z: false,
            shape: OffsetShape::ColonMinutes,
        },
    ),
    (
        "-0700",
        Element::Offset {
            z: false,
            shape: OffsetShape::Minutes,
        },
    ),
    (
        "-07",
        Element::Offset {
            z: false,
            shape: OffsetShape::Hours,
        },
    ),
    (
        "Z07:00:00",
        Element::Offset {
            z: true,
            shape: OffsetShape::ColonSeconds,
        },
    ),
    (
        "Z070000",
        Element::Offset {
            z: true,
            shape: OffsetShape::Seconds,
        },
    ),
    (
        "Z07:00",
        Element::Offset {
            z: true,
            shape: OffsetShape::ColonMinutes,
        },
    ),
    (
        "Z0700",
        Element::Offset {
            z: true,
            shape: OffsetShape::Minutes,
        },
    ),
    (
        "Z07",
        Element::Offset {
            z: true,
            shape: OffsetShape::Hours,
        },
    ),
];

/// The text before the next element, the element with its own text, and what follows.
pub(super) fn next_element(layout: &str) -> (&str, Option<(Element, &str)>, &str) {
    for (index, _) in layout.char_indices() {
        // In _2006 the underscore is itself.
        if layout[index..].starts_with("_2006") {
            continue;
        }
        if let Some((element, length)) = element_at(&layout[index..]) {
            let end = index + length;
            return (
                &layout[..index],
                Some((element, &layout[index..end])),
                &layout[end..],
            );
        }
    }
    (layout, None, "")
}

fn element_at(layout: &str) -> Option<(Element, usize)> {
    if let Some((text, element)) = FIXED.iter().find(|(text, _)| layout.starts_with(text)) {
        return Some((*element, text.len()));
    }
    let short = |text: &str, element| {
        let rest = layout.strip_prefix(text)?;
        (!rest.starts_with(|rune: char| rune.is_ascii_lowercase())).then_some((element, text.len()))
    };
    short("Jan", Element::Month)
        .or_else(|| short("Mon", Element::Weekday))
        .or_else(|| fraction_at(layout))
}

/// A point or comma and zeros or nines up to something that is no digit.
fn fraction_at(layout: &str) -> Option<(Element, usize)> {
    let separator = layout
        .chars()
        .next()
        .filter(|rune| matches!(rune, '.' | ','))?;
    let digit = layout[1..]
        .chars()
        .next()
        .filter(|rune| matches!(rune, '0' | '9'))?;
    let rest = layout[1..].trim_start_matches(digit);
    let digits = layout.len() - 1 - rest.len();
    let ends = !rest.starts_with(|rune: char| rune.is_ascii_digit());
    ends.then_some((
        Element::Fraction {
            digits,
            trim: digit == '9',
            separator,
        },
        1 + digits,
    ))
}

/// `time.Time.Format`
pub(super) fn format(time: &GoTime, mut layout: &str) -> String {
    let mut out = String::with_capacity(layout.len() + 10);
    loop {
        let (prefix, element, rest) = next_element(layout);
        out.push_str(prefix);
        let Some((element, _)) = element else {
            return out;
        };
        write(&mut out, time, element);
        layout = rest;
    }
}

fn write(out: &mut String, time: &GoTime, element: Element) {
    let civil = time.civil();
    let hour12 = if civil.hour % 12 == 0 {
        12
    } else {
        civil.hour % 12
    };
    let text = match element {
        Element::Year => format!("{:02}", civil.year.unsigned_abs() % 100),
        Element::LongYear if civil.year < 0 => format!("-{:04}", civil.year.unsigned_abs()),
        Element::LongYear => format!("{:04}", civil.year),
        Element::Month => month_name(civil.month)[..3].to_owned(),
        Element::LongMonth => month_name(civil.month).to_owned(),
        Element::NumMonth => civil.month.to_string(),
        Element::ZeroMonth => format!("{:02}", civil.month),
        Element::Weekday => weekday_name(civil.weekday)[..3].to_owned(),
        Element::LongWeekday => weekday_name(civil.weekday).to_owned(),
        Element::Day => civil.day.to_string(),
        Element::UnderDay => format!("{:2}", civil.day),
        Element::ZeroDay => format!("{:02}", civil.day),
        Element::UnderYearDay => format!("{:3}", civil.year_day),
        Element::ZeroYearDay => format!("{:03}", civil.year_day),
        Element::Hour => format!("{:02}", civil.hour),
        Element::Hour12 => hour12.to_string(),
        Element::ZeroHour12 => format!("{hour12:02}"),
        Element::Minute => civil.minute.to_string(),
        Element::ZeroMinute => format!("{:02}", civil.minute),
        Element::Second => civil.second.to_string(),
        Element::ZeroSecond => format!("{:02}", civil.second),
        Element::Noon { upper: true } => if civil.hour >= 12 { "PM" } else { "AM" }.to_owned(),
        Element::Noon { upper: false } => if civil.hour >= 12 { "pm" } else { "am" }.to_owned(),
        Element::Offset { z, shape } => offset(time.offset().0, z, shape),
        Element::ZoneName => match time.offset() {
            (seconds, name) if name.is_empty() => offset(seconds, false, OffsetShape::Minutes),
            (_, name) => name,
        },
        Element::Fraction {
            digits,
            trim,
            separator,
        } => fraction(time.nanoseconds, digits, trim, separator),
    };
    out.push_str(&text);
}

fn offset(seconds: i32, z: bool, shape: OffsetShape) -> String {
    if z && seconds == 0 {
        return "Z".to_owned();
    }
    let minutes = seconds / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, minutes, seconds) = (minutes.abs() / 60, minutes.abs() % 60, seconds.abs() % 60);
    match shape {
        OffsetShape::Hours => format!("{sign}{hours:02}"),
        OffsetShape::Minutes => format!("{sign}{hours:02}{minutes:02}"),
        OffsetShape::ColonMinutes => format!("{sign}{hours:02}:{minutes:02}"),
        OffsetShape::Seconds => format!("{sign}{hours:02}{minutes:02}{seconds:02}"),
        OffsetShape::ColonSeconds => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

fn fraction(nanoseconds: u32, digits: usize, trim: bool, separator: char) -> String {
    let all = format!("{nanoseconds:09}");
    let mut shown: String = all
        .chars()
        .chain(std::iter::repeat('0'))
        .take(digits.min(9))
        .collect();
    if trim {
        shown.truncate(shown.trim_end_matches('0').len());
        if shown.is_empty() {
            return shown;
        }
    }
    format!("{separator}{shown}")
}
