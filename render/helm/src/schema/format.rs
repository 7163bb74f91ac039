//! The formats that Helm's validator checks, for drafts up to 7.

use std::net::Ipv6Addr;

use serde_json::Value;

use super::error::quote;

/// A format that is checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    name: &'static str,
    check: fn(&str) -> Result<(), String>,
}

const FORMATS: [Format; 19] = [
    Format {
        name: "json-pointer",
        check: json_pointer,
    },
    Format {
        name: "relative-json-pointer",
        check: relative_json_pointer,
    },
    Format {
        name: "uuid",
        check: uuid,
    },
    Format {
        name: "duration",
        check: duration,
    },
    Format {
        name: "period",
        check: period,
    },
    Format {
        name: "ipv4",
        check: ipv4,
    },
    Format {
        name: "ipv6",
        check: ipv6,
    },
    Format {
        name: "hostname",
        check: hostname,
    },
    Format {
        name: "email",
        check: email,
    },
    Format {
        name: "date",
        check: date,
    },
    Format {
        name: "time",
        check: time,
    },
    Format {
        name: "date-time",
        check: date_time,
    },
    Format {
        name: "uri",
        check: uri,
    },
    Format {
        name: "iri",
        check: uri,
    },
    Format {
        name: "uri-reference",
        check: uri_reference,
    },
    Format {
        name: "iri-reference",
        check: uri_reference,
    },
    Format {
        name: "uri-template",
        check: uri_template,
    },
    Format {
        name: "semver",
        check: semver,
    },
    Format {
        name: "regex",
        check: is_regex,
    },
];

impl Format {
    /// The format of a name; names that are not known are not checked.
    pub(super) fn named(name: &str) -> Option<Self> {
        FORMATS.into_iter().find(|format| format.name == name)
    }

    /// Why the value is not of the format. Only strings can be wrong.
    pub(super) fn check(self, value: &Value) -> Result<(), String> {
        let Some(text) = value.as_str() else {
            return Ok(());
        };
        (self.check)(text)
            .map_err(|reason| format!("{} is not valid {}: {reason}", quote(text), self.name))
    }
}

fn is_regex(text: &str) -> Result<(), String> {
    crate::regexp::compile(text)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

type Check = Result<(), String>;

fn fail<T>(reason: &str) -> Result<T, String> {
    Err(reason.to_owned())
}

fn json_pointer(text: &str) -> Check {
    if text.is_empty() {
        return Ok(());
    }
    let Some(rest) = text.strip_prefix('/') else {
        return fail("not starting with /");
    };
    for token in rest.split('/') {
        if token
            .split('~')
            .skip(1)
            .any(|after| !after.starts_with(['0', '1']))
        {
            return fail("~ must be followed by 0 or 1");
        }
    }
    Ok(())
}

fn relative_json_pointer(text: &str) -> Check {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    match text.len() - rest.len() {
        0 => fail("must start with non-negative integer"),
        digits if digits > 1 && text.starts_with('0') => fail("starts with zero"),
        _ if rest == "#" => Ok(()),
        _ => json_pointer(rest),
    }
}

fn uuid(text: &str) -> Check {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let groups: Vec<&str> = text.split('-').collect();
    if groups.len() != GROUPS.len() {
        return fail("must have 5 elements");
    }
    for (index, (group, length)) in groups.into_iter().zip(GROUPS).enumerate() {
        if group.len() != length {
            return Err(format!(
                "element {} must be {length} characters long",
                index + 1
            ));
        }
        if let Some(c) = group.chars().find(|c| !c.is_ascii_hexdigit()) {
            return Err(format!("non-hex character {c:?}"));
        }
    }
    Ok(())
}

fn duration(text: &str) -> Check {
    let Some(rest) = text.strip_prefix('P') else {
        return fail("must start with P");
    };
    if rest.is_empty() {
        return fail("nothing after P");
    }
    if let Some(weeks) = rest.strip_suffix('W') {
        return match weeks {
            "" => fail("no number in week"),
            _ if weeks.bytes().all(|b| b.is_ascii_digit()) => Ok(()),
            _ => fail("invalid week"),
        };
    }
    for (index, part) in rest.split('T').enumerate() {
        if index > 0 && part.is_empty() {
            return fail("no time elements");
        }
        match index {
            0 => duration_part(part, "YMD")?,
            1 => duration_part(part, "HMS")?,
            _ => return fail("more than one T"),
        }
    }
    Ok(())
}

fn duration_part(text: &str, all: &str) -> Check {
    let mut units = all;
    let mut rest = text;
    while !rest.is_empty() {
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        if after.len() == rest.len() {
            return fail("missing number");
        }
        let Some(unit) = after.chars().next() else {
            return fail("missing unit");
        };
        match units.find(unit) {
            Some(at) => units = &units[at + 1..],
            None if all.contains(unit) => return Err(format!("unit {unit:?} out of order")),
            None => return Err(format!("invalid unit {unit:?}")),
        }
        rest = &after[unit.len_utf8()..];
    }
    Ok(())
}

fn period(text: &str) -> Check {
    let Some((start, end)) = text.split_once('/') else {
        return fail("missing slash");
    };
    let label = |what: &'static str| move |reason: String| format!("invalid {what}: {reason}");
    if start.starts_with('P') {
        duration(start).map_err(label("start duration"))?;
        return date_time(end).map_err(label("end date-time"));
    }
    date_time(start).map_err(label("start date-time"))?;
    if end.starts_with('P') {
        duration(end).map_err(label("end duration"))
    } else {
        date_time(end).map_err(label("end date-time"))
    }
}

fn ipv4(text: &str) -> Check {
    let groups: Vec<&str> = text.split('.').collect();
    if groups.len() != 4 {
        return fail("expected four decimals");
    }
    for group in groups {
        if group.len() > 1 && group.starts_with('0') {
            return fail("leading zeros");
        }
        match group.parse::<i64>() {
            Ok(number) if (0..=255).contains(&number) => {}
            Ok(_) => return fail("decimal must be between 0 and 255"),
            Err(_) => return Err(format!("strconv.Atoi: parsing {group:?}: invalid syntax")),
        }
    }
    Ok(())
}

fn ipv6(text: &str) -> Check {
    if !text.contains(':') {
        return fail("missing colon");
    }
    let address = text.split('%').next().unwrap_or(text);
    if address.parse::<Ipv6Addr>().is_err() {
        return Err(format!("ParseAddr({text:?}): unable to parse IP"));
    }
    if address.len() < text.len() {
        fail("zone id is not a part of ipv6 address")
    } else {
        Ok(())
    }
}

fn hostname(text: &str) -> Check {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.len() > 253 {
        return fail("more than 253 characters long");
    }
    for label in text.split('.') {
        if label.is_empty() || label.len() > 63 {
            return fail("label must be 1 to 63 characters long");
        }
        if label.starts_with('-') {
            return fail("label starts with hyphen");
        }
        if label.ends_with('-') {
            return fail("label ends with hyphen");
        }
        if let Some(c) = label
            .chars()
            .find(|c| !c.is_ascii_alphanumeric() && *c != '-')
        {
            return Err(format!("invalid character {c:?}"));
        }
    }
    Ok(())
}

fn email(text: &str) -> Check {
    if text.len() > 254 {
        return fail("more than 255 characters long");
    }
    let Some((local, domain)) = text.rsplit_once('@') else {
        return fail("missing @");
    };
    if local.len() > 64 {
        return fail("local part more than 64 characters long");
    }
    match local
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(quoted) if quoted.contains(['\\', '"']) => {
            return fail("backslash and quote are not allowed within quoted local part");
        }
        Some(_) => {}
        None => local_part(local)?,
    }
    if let Some(address) = domain
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return match address.strip_prefix("IPv6:") {
            Some(address) => {
                ipv6(address).map_err(|reason| format!("invalid ipv6 address: {reason}"))
            }
            None => ipv4(address).map_err(|reason| format!("invalid ipv4 address: {reason}")),
        };
    }
    hostname(domain).map_err(|reason| format!("invalid domain: {reason}"))
}

fn local_part(local: &str) -> Check {
    if local.starts_with('.') {
        return fail("starts with dot");
    }
    if local.ends_with('.') {
        return fail("ends with dot");
    }
    if local.contains("..") {
        return fail("consecutive dots");
    }
    match local
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !".!#$%&'*+-/=?^_`{|}~".contains(*c))
    {
        Some(c) => Err(format!("invalid character {c:?}")),
        None => Ok(()),
    }
}

fn date(text: &str) -> Check {
    let bytes = text.as_bytes();
    let shape = bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, b)| {
            if at == 4 || at == 7 {
                *b == b'-'
            } else {
                b.is_ascii_digit()
            }
        });
    if !shape {
        return Err(format!(
            "parsing time {text:?} as \"2006-01-02\": cannot parse {text:?} as \"2006\""
        ));
    }
    let number = |range: std::ops::Range<usize>| text[range].parse::<u32>().unwrap_or(0);
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return Err(format!("parsing time {text:?}: month out of range")),
    };
    if (1..=days).contains(&day) {
        Ok(())
    } else {
        Err(format!("parsing time {text:?}: day out of range"))
    }
}

fn time(text: &str) -> Check {
    if text.len() < 9 {
        return fail("less than 9 characters long");
    }
    let bytes = text.as_bytes();
    if bytes[2] != b':' || bytes[5] != b':' {
        return fail("missing colon in correct place");
    }
    let number = |from: usize| {
        text.get(from..from + 2)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse::<i32>().ok())
    };
    let (Some(mut hour), Some(mut minute), Some(second)) = (number(0), number(3), number(6)) else {
        return fail("invalid hour/min/sec");
    };
    if hour > 23 || minute > 59 || second > 60 {
        return fail("hour/min/sec out of range");
    }
    let Some(mut rest) = text.get(8..) else {
        return fail("invalid hour/min/sec");
    };
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() == fraction.len() {
            return fail("no digits in second fraction");
        }
    }
    if rest != "z" && rest != "Z" {
        let shift = offset(rest)?;
        let minutes = (hour * 60 + minute - shift).rem_euclid(24 * 60);
        (hour, minute) = (minutes / 60, minutes % 60);
    }
    if second >= 60 && (hour, minute) != (23, 59) {
        fail("invalid leap second")
    } else {
        Ok(())
    }
}

/// A zone offset in minutes.
fn offset(text: &str) -> Result<i32, String> {
    if text.len() != 6 {
        return fail("offset must be 6 characters long");
    }
    let sign = match text.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return fail("offset must begin with plus/minus"),
    };
    if text.as_bytes()[3] != b':' {
        return fail("missing colon in offset in correct place");
    }
    let number = |range: std::ops::Range<usize>| {
        text.get(range)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse::<i32>().ok())
    };
    match (number(1..3), number(4..6)) {
        (Some(hour), Some(minute)) if hour <= 23 && minute <= 59 => Ok(sign * (hour * 60 + minute)),
        (Some(_), Some(_)) => fail("hour/min in offset out of range"),
        _ => fail("invalid hour/min in offset"),
    }
}

fn date_time(text: &str) -> Check {
    if text.len() < 20 {
        return fail("less than 20 characters long");
    }
    if !matches!(text.as_bytes()[10], b't' | b'T') {
        return fail("11th character must be t or T");
    }
    date(&text[..10]).map_err(|reason| format!("invalid date element: {reason}"))?;
    time(&text[11..]).map_err(|reason| format!("invalid time element: {reason}"))
}

/// What Go's `net/url` refuses, and an IPv6 host without brackets.
fn parse_url(text: &str) -> Result<bool, String> {
    let problem = |reason: &str| Err(format!("parse {text:?}: {reason}"));
    if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return problem("net/url: invalid control character in URL");
    }
    let before_fragment = text.split('#').next().unwrap_or(text);
    if before_fragment.starts_with(':') {
        return problem("missing protocol scheme");
    }
    let scheme = before_fragment
        .split_once(':')
        .map(|(scheme, _)| scheme)
        .filter(|scheme| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        });
    if scheme.is_none()
        && before_fragment
            .split('/')
            .next()
            .is_some_and(|first| first.contains(':'))
    {
        return problem("first path segment in URL cannot contain colon");
    }
    let rest = scheme.map_or(before_fragment, |scheme| {
        &before_fragment[scheme.len() + 1..]
    });
    if let Some(after) = rest.strip_prefix("//") {
        let authority = after.split(['/', '?']).next().unwrap_or(after);
        let host = authority.rsplit('@').next().unwrap_or(authority);
        if host.contains(' ') {
            return problem("invalid character \" \" in host name");
        }
        check_host(host)?;
    }
    if text
        .split('%')
        .skip(1)
        .any(|after| !after.bytes().take(2).all(|b| b.is_ascii_hexdigit()) || after.len() < 2)
    {
        return problem("invalid URL escape");
    }
    Ok(scheme.is_some())
}

fn check_host(host: &str) -> Check {
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, _)) = rest.split_once(']') else {
            return fail("missing ']' in host");
        };
        return ipv6(address).map_err(|reason| format!("invalid ipv6 address: {reason}"));
    }
    match host.matches(':').count() {
        0 => Ok(()),
        1 if host
            .rsplit(':')
            .next()
            .is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit())) =>
        {
            Ok(())
        }
        1 => Err(format!(
            "invalid port {:?} after host",
            &host[host.find(':').unwrap_or(0)..]
        )),
        _ => fail("ipv6 address not enclosed in brackets"),
    }
}

fn uri(text: &str) -> Check {
    if parse_url(text)? {
        Ok(())
    } else {
        fail("relative url")
    }
}

fn uri_reference(text: &str) -> Check {
    if text.contains('\\') {
        return fail("contains \\");
    }
    parse_url(text).map(|_| ())
}

fn uri_template(text: &str) -> Check {
    parse_url(text)?;
    for token in text.split('/') {
        let mut open = false;
        for c in token.chars().filter(|c| matches!(c, '{' | '}')) {
            if (c == '{') == open {
                return fail("nested curly braces");
            }
            open = !open;
        }
        if open {
            return fail("no matching closing brace");
        }
    }
    Ok(())
}

fn semver(text: &str) -> Check {
    let (text, build) = text
        .split_once('+')
        .map_or((text, None), |(text, build)| (text, Some(build)));
    let (core, pre) = text
        .split_once('-')
        .map_or((text, None), |(core, pre)| (core, Some(pre)));
    let identifier = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if build.is_some_and(|build| !build.split('.').all(identifier)) {
        return fail("build identifier is empty or has an invalid character");
    }
    let zero_led = |part: &str| {
        part.len() > 1 && part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit())
    };
    if pre.is_some_and(|pre| {
        !pre.split('.')
            .all(|part| identifier(part) && !zero_led(part))
    }) {
        return fail(
            "pre-release identifier is empty, starts with zero or has an invalid character",
        );
    }
    let numbers: Vec<&str> = core.split('.').collect();
    if numbers.len() != 3 {
        return fail("versionCore must have 3 numbers separated by dot");
    }
    for (number, name) in numbers.into_iter().zip(["major", "minor", "patch"]) {
        if number.is_empty() {
            return Err(format!("{name} is empty"));
        }
        if number.len() > 1 && number.starts_with('0') {
            return Err(format!("{name} starts with zero"));
        }
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("{name} contains non-digit"));
        }
    }
    Ok(())
}
