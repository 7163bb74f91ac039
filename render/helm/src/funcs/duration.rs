//! `time.Duration`: reading, writing, and the functions of Helm 4 that convert it.

use std::any::Any;

use capstan_gotemplate::strconv::parse_float;
use capstan_gotemplate::{Ctx, Function, Method, Object, Type, Value};

use super::time::GoTime;
use super::value::{Result, any, float_to_int, give, text};
use crate::context;

const ANY: &[Type] = &[Type::Any];
const ANY_2: &[Type] = &[Type::Any, Type::Any];
const STRING: Type = Type::String;
const DURATION: Type = Type::Object(NAME);
const NAME: &str = "time.Duration";

/// Nanoseconds of a microsecond, and so on.
const MICROSECOND: i64 = 1_000;
const MILLISECOND: i64 = 1_000 * MICROSECOND;
const SECOND: i64 = 1_000 * MILLISECOND;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("duration", ANY, STRING, duration),
    Function::new("durationRound", ANY, STRING, duration_round),
];

/// Only Helm 4 has these.
pub(super) const FUNCTIONS_V4: &[Function] = &[
    Function::new("mustToDuration", ANY, DURATION, |_, args| {
        Ok(Value::object(Duration(read(any(args, 0))?)))
    }),
    Function::new("durationSeconds", ANY, Type::FLOAT64, |_, args| {
        Ok(Value::float64(in_units(lenient(args), SECOND)))
    }),
    Function::new("durationMilliseconds", ANY, Type::INT64, |_, args| {
        Ok(Value::int64(lenient(args) / MILLISECOND))
    }),
    Function::new("durationMicroseconds", ANY, Type::INT64, |_, args| {
        Ok(Value::int64(lenient(args) / MICROSECOND))
    }),
    Function::new("durationNanoseconds", ANY, Type::INT64, |_, args| {
        Ok(Value::int64(lenient(args)))
    }),
    Function::new("durationMinutes", ANY, Type::FLOAT64, |_, args| {
        Ok(Value::float64(in_units(lenient(args), MINUTE)))
    }),
    Function::new("durationHours", ANY, Type::FLOAT64, |_, args| {
        Ok(Value::float64(in_units(lenient(args), HOUR)))
    }),
    Function::new("durationDays", ANY, Type::FLOAT64, |_, args| {
        Ok(Value::float64(in_units(lenient(args), HOUR) / 24.0))
    }),
    Function::new("durationWeeks", ANY, Type::FLOAT64, |_, args| {
        Ok(Value::float64(in_units(lenient(args), HOUR) / 24.0 / 7.0))
    }),
    Function::new("durationRoundTo", ANY_2, DURATION, |_, args| {
        Ok(to_multiple(args, round))
    }),
    Function::new("durationTruncateTo", ANY_2, DURATION, |_, args| {
        Ok(to_multiple(args, truncate))
    }),
];

/// Nanoseconds. In Go a defined integer type; templates see its text and its methods.
#[derive(Debug)]
pub(super) struct Duration(pub(super) i64);

const METHODS: &[Method] = &[
    Method::new("String", &[], STRING, |_, args| give(show(receiver(args)))),
    Method::new("Seconds", &[], Type::FLOAT64, |_, args| {
        Ok(Value::float64(in_units(receiver(args), SECOND)))
    }),
    Method::new("Minutes", &[], Type::FLOAT64, |_, args| {
        Ok(Value::float64(in_units(receiver(args), MINUTE)))
    }),
    Method::new("Hours", &[], Type::FLOAT64, |_, args| {
        Ok(Value::float64(in_units(receiver(args), HOUR)))
    }),
    Method::new("Milliseconds", &[], Type::INT64, |_, args| {
        Ok(Value::int64(receiver(args) / MILLISECOND))
    }),
    Method::new("Microseconds", &[], Type::INT64, |_, args| {
        Ok(Value::int64(receiver(args) / MICROSECOND))
    }),
    Method::new("Nanoseconds", &[], Type::INT64, |_, args| {
        Ok(Value::int64(receiver(args)))
    }),
    Method::new("Abs", &[], DURATION, |_, args| {
        Ok(Value::object(Duration(receiver(args).saturating_abs())))
    }),
    Method::new("Round", &[DURATION], DURATION, |_, args| {
        Ok(Value::object(Duration(round(
            receiver(args),
            argument(args),
        ))))
    }),
    Method::new("Truncate", &[DURATION], DURATION, |_, args| {
        Ok(Value::object(Duration(truncate(
            receiver(args),
            argument(args),
        ))))
    }),
];

fn receiver(args: &[Value]) -> i64 {
    any(args, 0)
        .downcast::<Duration>()
        .map_or(0, |duration| duration.0)
}

fn argument(args: &[Value]) -> i64 {
    any(args, 1)
        .downcast::<Duration>()
        .map_or(0, |duration| duration.0)
}

impl Object for Duration {
    fn type_name(&self) -> &'static str {
        NAME
    }

    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn text(&self) -> Option<String> {
        Some(show(self.0))
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::int64(self.0))
    }

    fn json(&self) -> Option<Value> {
        self.underlying()
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other
            .as_any()
            .downcast_ref::<Self>()
            .is_some_and(|other| other.0 == self.0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Whole units and the fraction apart, as Go divides.
fn in_units(nanoseconds: i64, unit: i64) -> f64 {
    (nanoseconds / unit) as f64 + (nanoseconds % unit) as f64 / unit as f64
}

/// Sprig's `duration`: seconds.
fn duration(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let seconds = match any(args, 0) {
        Value::String(text) => {
            capstan_gotemplate::strconv::parse_int(&text.to_str(), 10).unwrap_or(0)
        }
        Value::Int(capstan_gotemplate::IntKind::Int64, seconds) => *seconds,
        _ => 0,
    };
    give(show(seconds.wrapping_mul(SECOND)))
}

/// Sprig's `durationRound`: the largest unit only.
fn duration_round(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let value = any(args, 0);
    let nanoseconds = match value {
        Value::String(_) => parse(&text(args, 0)).unwrap_or(0),
        Value::Int(capstan_gotemplate::IntKind::Int64, nanoseconds) => *nanoseconds,
        _ => match value.downcast::<GoTime>() {
            Some(time) => GoTime::since(context::of(ctx)?.now, time),
            None => 0,
        },
    };
    const DAY: u64 = 24 * HOUR.unsigned_abs();
    let units = [
        (365 * DAY, "y"),
        (30 * DAY, "mo"),
        (DAY, "d"),
        (HOUR.unsigned_abs(), "h"),
        (MINUTE.unsigned_abs(), "m"),
        (SECOND.unsigned_abs(), "s"),
    ];
    let magnitude = nanoseconds.unsigned_abs();
    let unit = units.iter().find(|(unit, _)| magnitude > *unit);
    give(unit.map_or_else(
        || "0s".to_owned(),
        |(unit, name)| format!("{}{name}", magnitude / unit),
    ))
}

/// `time.Duration.String`
pub(super) fn show(nanoseconds: i64) -> String {
    let magnitude = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let (second, minute) = (SECOND.unsigned_abs(), MINUTE.unsigned_abs());
    if magnitude == 0 {
        return "0s".to_owned();
    }
    if magnitude < second {
        let (unit, name) = match magnitude {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{sign}{}{name}", fraction(magnitude, unit));
    }
    let seconds = fraction(magnitude % minute, second);
    let minutes = magnitude / minute;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// `number / unit` with as many decimals as there are.
fn fraction(number: u64, unit: u64) -> String {
    let digits = usize::try_from(unit.ilog10()).unwrap_or(0);
    let rest = number % unit;
    if rest == 0 {
        return (number / unit).to_string();
    }
    let decimals = format!("{rest:0digits$}");
    format!("{}.{}", number / unit, decimals.trim_end_matches('0'))
}

/// A text as the package `time` shows it in errors: what is no printable ASCII byte by byte.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..0x80 => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

/// `time.ParseDuration`. The error is Go's.
pub(super) fn parse(text: &str) -> std::result::Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", quoted(text));
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.len()
            - rest
                .trim_start_matches(|rune: char| rune.is_ascii_digit())
                .len();
        let (whole, tail) = rest.split_at(digits);
        let (decimals, tail) = match tail.strip_prefix('.') {
            Some(tail) => tail.split_at(
                tail.len()
                    - tail
                        .trim_start_matches(|rune: char| rune.is_ascii_digit())
                        .len(),
            ),
            None => ("", tail),
        };
        if whole.is_empty() && decimals.is_empty() {
            return Err(invalid());
        }
        let unit_end = tail
            .find(|rune: char| rune == '.' || rune.is_ascii_digit())
            .unwrap_or(tail.len());
        let (name, tail) = tail.split_at(unit_end);
        let unit = match name {
            "" => return Err(format!("time: missing unit in duration {}", quoted(text))),
            "ns" => 1,
            "us" | "µs" | "μs" => MICROSECOND,
            "ms" => MILLISECOND,
            "s" => SECOND,
            "m" => MINUTE,
            "h" => HOUR,
            other => {
                let other = capstan_gotemplate::strconv::quote(other);
                return Err(format!(
                    "time: unknown unit {} in duration {}",
                    String::from_utf8_lossy(&other),
                    quoted(text)
                ));
            }
        };
        let whole: i128 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| invalid())?
        };
        total += whole.checked_mul(unit.into()).ok_or_else(invalid)? + decimal_part(decimals, unit);
        if total > 1 << 63 {
            return Err(invalid());
        }
        rest = tail;
    }
    let signed = if negative { -total } else { total };
    i64::try_from(signed).map_err(|_| invalid())
}

/// Decimals of a unit in nanoseconds, cut off.
fn decimal_part(decimals: &str, unit: i64) -> i128 {
    // More digits than these are below a nanosecond of an hour.
    let digits: String = decimals.chars().take(18).collect();
    let scale = 10_i128.pow(u32::try_from(digits.len()).unwrap_or(0));
    digits
        .parse::<i128>()
        .map_or(0, |number| number * i128::from(unit) / scale)
}

/// A duration, a text, or a number of seconds.
fn read(value: &Value) -> Result<i64> {
    let seconds = |seconds: f64| {
        let shown = Value::float64(seconds);
        let shown = capstan_gotemplate::format::sprint(std::slice::from_ref(&shown), 64)
            .unwrap_or_default();
        let shown = String::from_utf8_lossy(&shown).into_owned();
        if seconds.is_nan() || seconds.is_infinite() {
            return Err(format!("invalid duration seconds: {shown}").into());
        }
        if seconds.abs() > i64::MAX as f64 / SECOND as f64 {
            return Err(format!("duration seconds overflow: {shown}").into());
        }
        Ok(float_to_int(seconds * SECOND as f64))
    };
    match value {
        Value::Nil => Err("invalid duration".into()),
        Value::String(text) => {
            let text = text.to_str();
            let trimmed = text.trim();
            if trimmed.is_empty() {
                return Err("empty duration".into());
            }
            if let Ok(nanoseconds) = parse(trimmed) {
                return Ok(nanoseconds);
            }
            match parse_float(trimmed) {
                Ok(number) => seconds(number),
                Err(_) => {
                    let quoted = capstan_gotemplate::strconv::quote(text.as_bytes());
                    Err(format!(
                        "could not parse duration {}",
                        String::from_utf8_lossy(&quoted)
                    )
                    .into())
                }
            }
        }
        Value::Int(_, number) => number
            .checked_mul(SECOND)
            .ok_or_else(|| format!("duration seconds overflow: {number}").into()),
        Value::Uint(_, number) => i64::try_from(*number)
            .ok()
            .and_then(|number| number.checked_mul(SECOND))
            .ok_or_else(|| format!("duration seconds overflow: {number}").into()),
        Value::Float(_, number) => seconds(*number),
        other => match other.downcast::<Duration>() {
            Some(duration) => Ok(duration.0),
            None => Err(format!("unsupported duration type {}", other.type_name()).into()),
        },
    }
}

/// 0 for what is no duration.
fn lenient(args: &[Value]) -> i64 {
    read(any(args, 0)).unwrap_or(0)
}

fn to_multiple(args: &[Value], operation: fn(i64, i64) -> i64) -> Value {
    let nanoseconds = match (read(any(args, 0)), read(any(args, 1))) {
        (Err(_), _) => 0,
        (Ok(nanoseconds), Err(_)) => nanoseconds,
        (Ok(nanoseconds), Ok(multiple)) => operation(nanoseconds, multiple),
    };
    Value::object(Duration(nanoseconds))
}

/// To the nearest multiple, half away from zero; what overflows stays at the end.
pub(super) fn round(nanoseconds: i64, multiple: i64) -> i64 {
    if multiple <= 0 {
        return nanoseconds;
    }
    let rest = i128::from(nanoseconds % multiple);
    let (whole, multiple) = (i128::from(nanoseconds) - rest, i128::from(multiple));
    let rounded = if rest.abs() * 2 >= multiple {
        whole + multiple * rest.signum()
    } else {
        whole
    };
    i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
}

fn truncate(nanoseconds: i64, multiple: i64) -> i64 {
    if multiple <= 0 {
        nanoseconds
    } else {
        nanoseconds - nanoseconds % multiple
    }
}
