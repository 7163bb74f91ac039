//! `urlParse` and `urlJoin`, as Go's `net/url`.

use capstan_gotemplate::{Ctx, Function, Map, Type, Value};

use super::value::{Result, give, map, text};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("urlParse", &[Type::String], Type::MAP, url_parse),
    Function::new("urlJoin", &[Type::MAP], Type::String, url_join),
];

#[derive(Debug, Default)]
struct Url {
    scheme: String,
    opaque: String,
    /// Encoded, as `Userinfo.String` gives it.
    user: Option<String>,
    host: String,
    path: String,
    raw_path: String,
    query: Option<String>,
    fragment: String,
    raw_fragment: String,
}

fn url_parse(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let url = parse(&text(args, 0)).map_err(|error| format!("unable to parse url: {error}"))?;
    let entries = [
        ("scheme", url.scheme.clone()),
        ("host", url.host.clone()),
        ("hostname", hostname(&url.host).to_owned()),
        ("path", url.path.clone()),
        ("query", url.query.clone().unwrap_or_default()),
        ("opaque", url.opaque.clone()),
        ("fragment", url.fragment.clone()),
        ("userinfo", url.user.clone().unwrap_or_default()),
    ];
    Ok(entries
        .into_iter()
        .map(|(key, value)| (key, Value::string(value)))
        .collect::<Map>()
        .into())
}

fn url_join(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let map = map(args, 0);
    let part = |key: &str| match map.get(key) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.to_string()),
        Some(Value::Nil) => Err(super::value::NIL_DEREFERENCE.to_owned()),
        Some(other) => Err(format!(
            "unable to parse {key} key, must be of type string, but {} found",
            other.kind().name()
        )),
    };
    let userinfo = part("userinfo")?;
    let user = if userinfo.is_empty() {
        None
    } else {
        let parsed = parse(&format!("proto://{userinfo}@host"));
        parsed
            .map_err(|error| format!("unable to parse userinfo in dict: {error}"))?
            .user
    };
    let query = part("query")?;
    let url = Url {
        scheme: part("scheme")?,
        host: part("host")?,
        path: part("path")?,
        query: (!query.is_empty()).then_some(query),
        opaque: part("opaque")?,
        fragment: part("fragment")?,
        user,
        ..Url::default()
    };
    give(url.to_text())
}

/// The host without its port and brackets.
fn hostname(host: &str) -> &str {
    let host = match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit())
                && (!name.starts_with('[') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    };
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

fn quoted(text: &str) -> String {
    String::from_utf8_lossy(&capstan_gotemplate::strconv::quote(text)).into_owned()
}

/// `url.Parse`. The error is Go's.
fn parse(whole: &str) -> std::result::Result<Url, String> {
    let (rest, fragment) = match whole.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (whole, None),
    };
    let fail = |message: String| format!("parse {}: {message}", quoted(rest));
    let mut url = parse_rest(rest).map_err(fail)?;
    if let Some(fragment) = fragment {
        let decoded = decode(fragment, Part::Fragment)
            .map_err(|message| format!("parse {}: {message}", quoted(whole)))?;
        if encode(&decoded, Part::Fragment) != fragment {
            url.raw_fragment = fragment.to_owned();
        }
        url.fragment = decoded;
    }
    Ok(url)
}

fn parse_rest(text: &str) -> std::result::Result<Url, String> {
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let mut url = Url::default();
    if text == "*" {
        url.path = "*".to_owned();
        return Ok(url);
    }
    let (scheme, rest) = split_scheme(text)?;
    url.scheme = scheme.to_ascii_lowercase();
    let (mut rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    url.query = query.map(str::to_owned);
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            url.opaque = rest.to_owned();
            return Ok(url);
        }
        let first_segment = rest.split('/').next().unwrap_or_default();
        if first_segment.contains(':') {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let has_authority = !url.scheme.is_empty() || !rest.starts_with("///");
    if has_authority && let Some(after) = rest.strip_prefix("//") {
        let end = after.find('/').unwrap_or(after.len());
        parse_authority(&mut url, &after[..end])?;
        rest = &after[end..];
    }
    url.path = decode(rest, Part::Path)?;
    if encode(&url.path, Part::Path) != rest {
        url.raw_path = rest.to_owned();
    }
    Ok(url)
}

fn split_scheme(text: &str) -> std::result::Result<(&str, &str), String> {
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if index > 0 => {}
            b':' if index == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&text[..index], &text[index + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn parse_authority(url: &mut Url, authority: &str) -> std::result::Result<(), String> {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    url.host = parse_host(host)?;
    let Some(user) = user else { return Ok(()) };
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
    if !user.bytes().all(valid) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    url.user = Some(match user.split_once(':') {
        Some((name, password)) => {
            let (name, password) = (decode(name, Part::User)?, decode(password, Part::User)?);
            format!(
                "{}:{}",
                encode(&name, Part::User),
                encode(&password, Part::User)
            )
        }
        None => encode(&decode(user, Part::User)?, Part::User),
    });
    Ok(())
}

fn parse_host(host: &str) -> std::result::Result<String, String> {
    let valid_port = |port: &str| {
        port.is_empty()
            || port
                .strip_prefix(':')
                .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let port = if host.starts_with('[') {
        let end = host.rfind(']').ok_or("missing ']' in host")?;
        &host[end + 1..]
    } else {
        host.rfind(':').map_or("", |colon| &host[colon..])
    };
    if !valid_port(port) {
        return Err(format!("invalid port {} after host", quoted(port)));
    }
    decode(host, Part::Host)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    User,
    Host,
    Fragment,
}

/// Whether a byte is written as it is in a part.
fn is_plain(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
        return true;
    }
    match part {
        Part::Host => b"!$&'()*+,;=:[]<>\"".contains(&byte),
        Part::Path => b"$&+,/:;=@".contains(&byte),
        Part::User => b"$&+,;=".contains(&byte),
        Part::Fragment => b"$&+,/:;=?@!()*".contains(&byte),
    }
}

fn encode(text: &str, part: Part) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte, part) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn decode(text: &str, part: Part) -> std::result::Result<String, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let byte = bytes[index];
        if byte == b'%' {
            let digits = bytes
                .get(index + 1..index + 3)
                .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
            let Some(digits) = digits else {
                let shown = String::from_utf8_lossy(&bytes[index..bytes.len().min(index + 3)]);
                return Err(format!("invalid URL escape {}", quoted(&shown)));
            };
            let number = digits.iter().fold(0, |number, digit| {
                number * 16 + char::from(*digit).to_digit(16).unwrap_or(0)
            });
            // In a host only non-ASCII bytes may be escaped.
            if part == Part::Host && number < 0x80 && digits != b"25" {
                return Err(format!(
                    "invalid URL escape {}",
                    quoted(&String::from_utf8_lossy(&bytes[index..index + 3]))
                ));
            }
            out.push(u8::try_from(number).unwrap_or(0));
            index += 3;
            continue;
        }
        if part == Part::Host && byte < 0x80 && !is_plain(byte, part) {
            return Err(format!(
                "invalid character {} in host name",
                quoted(&char::from(byte).to_string())
            ));
        }
        out.push(byte);
        index += 1;
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

impl Url {
    /// `URL.String`
    fn to_text(&self) -> String {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out.push_str(&self.scheme);
            out.push(':');
        }
        if self.opaque.is_empty() {
            self.write_hierarchy(&mut out);
        } else {
            out.push_str(&self.opaque);
        }
        if let Some(query) = &self.query {
            out.push('?');
            out.push_str(query);
        }
        if !self.fragment.is_empty() {
            out.push('#');
            out.push_str(&if self.raw_fragment.is_empty() {
                encode(&self.fragment, Part::Fragment)
            } else {
                self.raw_fragment.clone()
            });
        }
        out
    }

    fn write_hierarchy(&self, out: &mut String) {
        if !self.scheme.is_empty() || !self.host.is_empty() || self.user.is_some() {
            if !self.host.is_empty() || !self.path.is_empty() || self.user.is_some() {
                out.push_str("//");
            }
            if let Some(user) = &self.user {
                out.push_str(user);
                out.push('@');
            }
            out.push_str(&encode(&self.host, Part::Host));
        }
        let path = if self.raw_path.is_empty() {
            encode(&self.path, Part::Path)
        } else {
            self.raw_path.clone()
        };
        if path == "%2A" {
            out.push('*');
            return;
        }
        if !path.is_empty() && !path.starts_with('/') && !self.host.is_empty() {
            out.push('/');
        }
        // Without a scheme a first segment with a colon would be taken for one.
        if out.is_empty()
            && path
                .split('/')
                .next()
                .is_some_and(|segment| segment.contains(':'))
        {
            out.push_str("./");
        }
        out.push_str(&path);
    }
}
