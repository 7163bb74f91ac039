//! The calendar: seconds to dates and back.

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A date and time of day in some zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Civil {
    pub(in super::super) year: i64,
    /// From 1.
    pub(in super::super) month: i64,
    /// From 1.
    pub(in super::super) day: i64,
    /// From 1.
    pub(super) year_day: i64,
    /// From Sunday, which is 0.
    pub(super) weekday: i64,
    pub(in super::super) hour: i64,
    pub(in super::super) minute: i64,
    pub(in super::super) second: i64,
}

impl Civil {
    /// The date and time this many seconds after 1970 began, as shown by a clock of the zone.
    pub(in super::super) fn new(seconds: i64) -> Self {
        let days = seconds.div_euclid(DAY);
        let rest = seconds.rem_euclid(DAY);
        let (year, month, day) = date_of(days);
        Self {
            year,
            month,
            day,
            year_day: days - days_of(year, 1, 1) + 1,
            weekday: (days + 4).rem_euclid(7),
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    /// The seconds of a date and time; numbers beyond their range carry over, as in Go's `time.Date`.
    pub(super) fn seconds_of(
        year: i64,
        month: i64,
        day: i64,
        hour: i64,
        minute: i64,
        second: i64,
    ) -> i64 {
        let months = month - 1;
        let days = days_of(year + months.div_euclid(12), months.rem_euclid(12) + 1, 1) + day - 1;
        days.wrapping_mul(DAY)
            .wrapping_add(hour * 3600 + minute * 60 + second)
    }
}

/// Days from 1970-01-01 to a date. Years are counted from March, so that the leap day is the last.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The date of a day counted from 1970-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (
        year_of_era + era * 400 + i64::from(month <= 2),
        month,
        day_of_year - (153 * shifted + 2) / 5 + 1,
    )
}

/// Days of a month.
pub(super) fn days_in(year: i64, month: i64) -> i64 {
    days_of(year + month / 12, month % 12 + 1, 1) - days_of(year, month, 1)
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// The English name of a month from 1.
pub(super) fn month_name(month: i64) -> &'static str {
    usize::try_from(month - 1)
        .ok()
        .and_then(|index| MONTHS.get(index).copied())
        .unwrap_or_default()
}

/// The English name of a weekday from Sunday, 0.
pub(super) fn weekday_name(weekday: i64) -> &'static str {
    usize::try_from(weekday)
        .ok()
        .and_then(|index| WEEKDAYS.get(index).copied())
        .unwrap_or_default()
}
