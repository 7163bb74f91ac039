//! Dates: `now`, `date`, `toDate` and the like, with Go's layouts. The local time zone is UTC: a render must not depend on where it runs.

mod civil;
mod layout;
mod parse;

use std::any::Any;

use capstan_gotemplate::{Ctx, Function, IntKind, Method, Object, Type, Value};
use jiff::tz::{TimeZone, TimeZoneDatabase};

pub(super) use civil::Civil;

use super::duration;
use super::value::{Result, any, bytes, give, text};
use crate::context::{self, Now};

const ANY: &[Type] = &[Type::Any];
const STRING: Type = Type::String;
const TIME: Type = Type::Object(NAME);
const NAME: &str = "time.Time";
const S_ANY: &[Type] = &[Type::String, Type::Any];
const S_TIME: &[Type] = &[Type::String, TIME];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("now", &[], TIME, now),
    Function::new("ago", ANY, STRING, ago),
    Function::new("date", S_ANY, STRING, |ctx, args| {
        format_in(ctx, any(args, 1), "Local", &text(args, 0))
    }),
    Function::new(
        "dateInZone",
        &[STRING, Type::Any, STRING],
        STRING,
        date_in_zone,
    ),
    Function::new(
        "date_in_zone",
        &[STRING, Type::Any, STRING],
        STRING,
        date_in_zone,
    ),
    Function::new("htmlDate", ANY, STRING, |ctx, args| {
        format_in(ctx, any(args, 0), "Local", "2006-01-02")
    }),
    Function::new(
        "htmlDateInZone",
        &[Type::Any, STRING],
        STRING,
        |ctx, args| format_in(ctx, any(args, 0), &text(args, 1), "2006-01-02"),
    ),
    Function::new("dateModify", S_TIME, TIME, |_, args| {
        Ok(modify(args).unwrap_or_else(|_| any(args, 1).clone()))
    }),
    Function::new("date_modify", S_TIME, TIME, |_, args| {
        Ok(modify(args).unwrap_or_else(|_| any(args, 1).clone()))
    }),
    Function::new("mustDateModify", S_TIME, TIME, |_, args| modify(args)),
    Function::new("must_date_modify", S_TIME, TIME, |_, args| modify(args)),
    Function::new("toDate", &[STRING, STRING], TIME, |_, args| {
        Ok(Value::object(
            parse::parse(&text(args, 0), &text(args, 1)).unwrap_or(GoTime::ZERO),
        ))
    }),
    Function::new("mustToDate", &[STRING, STRING], TIME, |_, args| {
        parse::parse(&text(args, 0), &text(args, 1))
            .map(Value::object)
            .map_err(Into::into)
    }),
    Function::new("unixEpoch", &[TIME], STRING, |_, args| {
        give(receiver(args, 0)?.seconds.to_string())
    }),
];

/// A `time.Time`: a moment, and the zone in which it is shown.
#[derive(Debug, Clone)]
pub(super) struct GoTime {
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
    zone: Zone,
}

#[derive(Debug, Clone)]
enum Zone {
    Utc,
    /// An offset in seconds, and its name, if it has one.
    Fixed(i32, String),
    Named(TimeZone),
}

/// Seconds from the year 1 to 1970.
const YEAR_ONE: i64 = -62_135_596_800;

impl GoTime {
    /// Go's zero time.
    pub(super) const ZERO: Self = Self {
        seconds: YEAR_ONE,
        nanoseconds: 0,
        zone: Zone::Utc,
    };

    const fn utc(seconds: i64, nanoseconds: u32) -> Self {
        Self {
            seconds,
            nanoseconds,
            zone: Zone::Utc,
        }
    }

    /// Offset from UTC in seconds, and the zone's abbreviation.
    fn offset(&self) -> (i32, String) {
        match &self.zone {
            Zone::Utc => (0, "UTC".to_owned()),
            Zone::Fixed(offset, name) => (*offset, name.clone()),
            Zone::Named(zone) => match jiff::Timestamp::from_second(self.seconds) {
                Ok(moment) => {
                    let info = zone.to_offset_info(moment);
                    (info.offset().seconds(), info.abbreviation().to_owned())
                }
                // Beyond what the zone database knows.
                Err(_) => (0, "UTC".to_owned()),
            },
        }
    }

    /// Nanoseconds from a moment to now, as far as Go's type reaches.
    pub(super) fn since(now: Now, time: &Self) -> i64 {
        let seconds = i128::from(now.seconds) - i128::from(time.seconds);
        let difference =
            seconds * 1_000_000_000 + i128::from(now.nanoseconds) - i128::from(time.nanoseconds);
        i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
    }

    /// The moment some nanoseconds later.
    fn plus(&self, nanoseconds: i64) -> Self {
        let total = i128::from(self.seconds) * 1_000_000_000
            + i128::from(self.nanoseconds)
            + i128::from(nanoseconds);
        Self {
            seconds: i64::try_from(total.div_euclid(1_000_000_000)).unwrap_or(i64::MAX),
            nanoseconds: u32::try_from(total.rem_euclid(1_000_000_000)).unwrap_or(0),
            zone: self.zone.clone(),
        }
    }

    /// `time.RFC3339Nano`
    pub(super) fn rfc3339(&self) -> String {
        layout::format(self, "2006-01-02T15:04:05.999999999Z07:00")
    }

    /// A date of TOML: with or without time, with or without zone.
    pub(super) fn parse_toml(text: &str) -> Option<Self> {
        let layouts = [
            "2006-01-02T15:04:05.999999999Z07:00",
            "2006-01-02T15:04:05.999999999",
            "2006-01-02",
            "15:04:05.999999999",
        ];
        layouts
            .iter()
            .find_map(|layout| parse::parse(layout, text).ok())
    }

    /// The calendar date and clock time in its zone.
    fn civil(&self) -> Civil {
        Civil::new(self.seconds.saturating_add(self.offset().0.into()))
    }

    /// `time.LoadLocation`; a name that is none gives UTC.
    fn in_zone(mut self, name: &str) -> Self {
        self.zone = match name {
            "" | "UTC" | "Local" => Zone::Utc,
            name => TimeZoneDatabase::bundled()
                .get(name)
                .map_or(Zone::Utc, Zone::Named),
        };
        self
    }
}

impl PartialEq for GoTime {
    fn eq(&self, other: &Self) -> bool {
        (self.seconds, self.nanoseconds) == (other.seconds, other.nanoseconds)
    }
}

fn receiver(args: &[Value], index: usize) -> Result<&GoTime> {
    any(args, index)
        .downcast()
        .ok_or_else(|| "not a time".into())
}

fn now(ctx: &mut Ctx<'_>, _: &[Value]) -> Result {
    let now = context::of(ctx)?.now;
    Ok(Value::object(GoTime::utc(now.seconds, now.nanoseconds)))
}

/// A moment as Sprig takes it: a time, or seconds in an integer; everything else means now.
fn moment(ctx: &mut Ctx<'_>, value: &Value, int32: bool) -> Result<GoTime> {
    Ok(match value {
        Value::Int(IntKind::Int | IntKind::Int64, seconds) => GoTime::utc(*seconds, 0),
        Value::Int(IntKind::Int32, seconds) if int32 => GoTime::utc(*seconds, 0),
        other => match other.downcast::<GoTime>() {
            Some(time) => time.clone(),
            None => {
                let now = context::of(ctx)?.now;
                GoTime::utc(now.seconds, now.nanoseconds)
            }
        },
    })
}

fn format_in(ctx: &mut Ctx<'_>, value: &Value, zone: &str, layout: &str) -> Result {
    give(layout::format(
        &moment(ctx, value, true)?.in_zone(zone),
        layout,
    ))
}

fn date_in_zone(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    format_in(ctx, any(args, 1), &text(args, 2), &text(args, 0))
}

fn ago(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let time = moment(ctx, any(args, 0), false)?;
    let elapsed = GoTime::since(context::of(ctx)?.now, &time);
    give(duration::show(duration::round(elapsed, 1_000_000_000)))
}

fn modify(args: &[Value]) -> Result {
    let difference = duration::parse(&String::from_utf8_lossy(bytes(args, 0)))?;
    Ok(Value::object(receiver(args, 1)?.plus(difference)))
}

const METHODS: &[Method] = &[
    Method::new("Format", &[STRING], STRING, |_, args| {
        give(layout::format(receiver(args, 0)?, &text(args, 1)))
    }),
    Method::new("String", &[], STRING, |_, args| {
        give(layout::format(receiver(args, 0)?, layout::STRING))
    }),
    Method::new("Unix", &[], Type::INT64, |_, args| {
        Ok(Value::int64(receiver(args, 0)?.seconds))
    }),
    Method::new("UnixNano", &[], Type::INT64, |_, args| {
        let time = receiver(args, 0)?;
        Ok(Value::int64(
            time.seconds
                .wrapping_mul(1_000_000_000)
                .wrapping_add(time.nanoseconds.into()),
        ))
    }),
    Method::new("UnixMilli", &[], Type::INT64, |_, args| {
        let time = receiver(args, 0)?;
        Ok(Value::int64(
            time.seconds
                .wrapping_mul(1_000)
                .wrapping_add((time.nanoseconds / 1_000_000).into()),
        ))
    }),
    Method::new("Year", &[], Type::INT, |_, args| {
        Ok(Value::int(receiver(args, 0)?.civil().year))
    }),
    Method::new("Month", &[], Type::Object("time.Month"), |_, args| {
        Ok(Value::object(Named::month(receiver(args, 0)?)))
    }),
    Method::new("Weekday", &[], Type::Object("time.Weekday"), |_, args| {
        Ok(Value::object(Named::weekday(receiver(args, 0)?)))
    }),
    Method::new("Day", &[], Type::INT, |_, args| {
        Ok(Value::int(receiver(args, 0)?.civil().day))
    }),
    Method::new("YearDay", &[], Type::INT, |_, args| {
        Ok(Value::int(receiver(args, 0)?.civil().year_day))
    }),
    Method::new("Hour", &[], Type::INT, |_, args| {
        Ok(Value::int(receiver(args, 0)?.civil().hour))
    }),
    Method::new("Minute", &[], Type::INT, |_, args| {
        Ok(Value::int(receiver(args, 0)?.civil().minute))
    }),
    Method::new("Second", &[], Type::INT, |_, args| {
        Ok(Value::int(receiver(args, 0)?.civil().second))
    }),
    Method::new("Nanosecond", &[], Type::INT, |_, args| {
        Ok(Value::int(receiver(args, 0)?.nanoseconds.into()))
    }),
    Method::new("UTC", &[], TIME, |_, args| {
        Ok(Value::object(receiver(args, 0)?.clone().in_zone("UTC")))
    }),
    Method::new("Local", &[], TIME, |_, args| {
        Ok(Value::object(receiver(args, 0)?.clone().in_zone("Local")))
    }),
    Method::new("IsZero", &[], Type::Bool, |_, args| {
        Ok(Value::Bool(*receiver(args, 0)? == GoTime::ZERO))
    }),
    Method::new("Equal", &[TIME], Type::Bool, |_, args| {
        Ok(Value::Bool(receiver(args, 0)? == receiver(args, 1)?))
    }),
    Method::new("Before", &[TIME], Type::Bool, |_, args| {
        Ok(Value::Bool(
            order(receiver(args, 0)?) < order(receiver(args, 1)?),
        ))
    }),
    Method::new("After", &[TIME], Type::Bool, |_, args| {
        Ok(Value::Bool(
            order(receiver(args, 0)?) > order(receiver(args, 1)?),
        ))
    }),
    Method::new(
        "AddDate",
        &[Type::INT, Type::INT, Type::INT],
        TIME,
        add_date,
    ),
    Method::new("Add", &[Type::Object("time.Duration")], TIME, |_, args| {
        let difference = any(args, 1)
            .downcast::<duration::Duration>()
            .map_or(0, |duration| duration.0);
        Ok(Value::object(receiver(args, 0)?.plus(difference)))
    }),
    Method::new("Sub", &[TIME], Type::Object("time.Duration"), |_, args| {
        let (time, other) = (receiver(args, 0)?, receiver(args, 1)?);
        let now = Now {
            seconds: time.seconds,
            nanoseconds: time.nanoseconds,
        };
        Ok(Value::object(duration::Duration(GoTime::since(now, other))))
    }),
];

fn order(time: &GoTime) -> (i64, u32) {
    (time.seconds, time.nanoseconds)
}

fn add_date(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let time = receiver(args, 0)?;
    let civil = time.civil();
    let number = |index: usize| super::value::int(args, index).clamp(-1_000_000_000, 1_000_000_000);
    let seconds = Civil::seconds_of(
        civil.year + number(1),
        civil.month + number(2),
        civil.day + number(3),
        civil.hour,
        civil.minute,
        civil.second,
    );
    Ok(Value::object(GoTime {
        seconds: seconds.wrapping_sub(time.offset().0.into()),
        ..time.clone()
    }))
}

/// A time as YAML and JSON have it, if the value is one.
pub(super) fn rfc3339(value: &Value) -> Option<String> {
    value.downcast::<GoTime>().map(GoTime::rfc3339)
}

impl Object for GoTime {
    fn type_name(&self) -> &'static str {
        NAME
    }

    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn text(&self) -> Option<String> {
        Some(layout::format(self, layout::STRING))
    }

    fn json(&self) -> Option<Value> {
        Some(Value::string(self.rfc3339()))
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>() == Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A month or a weekday: an integer in Go, with a name.
#[derive(Debug)]
struct Named {
    type_name: &'static str,
    name: &'static str,
    number: i64,
}

impl Named {
    fn month(time: &GoTime) -> Self {
        let number = time.civil().month;
        Self {
            type_name: "time.Month",
            name: civil::month_name(number),
            number,
        }
    }

    fn weekday(time: &GoTime) -> Self {
        let number = time.civil().weekday;
        Self {
            type_name: "time.Weekday",
            name: civil::weekday_name(number),
            number,
        }
    }
}

impl Object for Named {
    fn type_name(&self) -> &'static str {
        self.type_name
    }

    fn text(&self) -> Option<String> {
        Some(self.name.to_owned())
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::int(self.number))
    }

    fn json(&self) -> Option<Value> {
        self.underlying()
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other
            .as_any()
            .downcast_ref::<Self>()
            .is_some_and(|other| other.number == self.number)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
