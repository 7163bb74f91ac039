//! One version: parsing as loose as Helm's, comparison as the specification has it.

use std::cmp::Ordering;
use std::fmt;

/// The longest text that is looked at, in bytes: what the Go library allows.
pub const MAX_VERSION_BYTES: usize = 256;

/// Why a text is not a version. The wording is that of the Go library, as charts print it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// The text does not have the shape of a version.
    #[error("invalid semantic version")]
    Invalid,
    /// Longer than [`MAX_VERSION_BYTES`].
    #[error("version string is too long (max {MAX_VERSION_BYTES} bytes)")]
    TooLong,
    /// A number of the version does not fit 64 bits.
    #[error(
        "error parsing version segment: strconv.ParseUint: parsing \"{0}\": value out of range"
    )]
    OutOfRange(String),
    /// A numeric part of the pre-release starts with zero.
    #[error("version segment starts with 0")]
    LeadingZero,
}

/// A semantic version, and the text that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// First number.
    pub major: u64,
    /// Second number; 0 where the text has none.
    pub minor: u64,
    /// Third number; 0 where the text has none.
    pub patch: u64,
    /// What follows `-`, or nothing.
    pub pre: String,
    /// What follows `+`, or nothing.
    pub metadata: String,
    /// The text as it was given.
    pub original: String,
}

impl Version {
    /// Reads a version: `v` is optional, so are the second and third number, and leading zeros are taken.
    ///
    /// # Errors
    /// When the text is too long, has another shape, or a number does not fit.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        if text.len() > MAX_VERSION_BYTES {
            return Err(VersionError::TooLong);
        }
        let rest = text.strip_prefix('v').unwrap_or(text);
        let (rest, metadata) = match rest.split_once('+') {
            Some((rest, metadata)) => (rest, Some(metadata)),
            None => (rest, None),
        };
        let (numbers, pre) = match rest.split_once('-') {
            Some((numbers, pre)) => (numbers, Some(pre)),
            None => (rest, None),
        };
        let parts: Vec<&str> = numbers.split('.').collect();
        let digits = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if parts.len() > 3
            || !parts.iter().all(digits)
            || [pre, metadata]
                .into_iter()
                .flatten()
                .any(|text| !is_identifiers(text))
        {
            return Err(VersionError::Invalid);
        }
        let number = |index: usize| match parts.get(index) {
            Some(part) => part
                .parse::<u64>()
                .map_err(|_| VersionError::OutOfRange((*part).to_owned())),
            None => Ok(0),
        };
        let version = Self {
            major: number(0)?,
            minor: number(1)?,
            patch: number(2)?,
            pre: pre.unwrap_or_default().to_owned(),
            metadata: metadata.unwrap_or_default().to_owned(),
            original: text.to_owned(),
        };
        let zero_led = |part: &str| {
            part.len() > 1 && part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit())
        };
        if version.pre.split('.').any(zero_led) {
            return Err(VersionError::LeadingZero);
        }
        Ok(version)
    }

    /// Order by precedence: build metadata does not count.
    #[must_use]
    pub fn precedence(&self, other: &Self) -> Ordering {
        (self.major, self.minor, self.patch)
            .cmp(&(other.major, other.minor, other.patch))
            .then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => compare_pre(&self.pre, &other.pre),
            })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

/// Dot-separated, none empty, of letters, digits and hyphens.
fn is_identifiers(text: &str) -> bool {
    text.split('.').all(|part| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}

/// Order of two pre-releases, part by part; a missing part is lower.
pub(super) fn compare_pre(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (l, r) => {
                let order = compare_part(l.unwrap_or_default(), r.unwrap_or_default());
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
    }
}

fn compare_part(left: &str, right: &str) -> Ordering {
    if left == right {
        return Ordering::Equal;
    }
    match (left.is_empty(), right.is_empty()) {
        (true, _) => return Ordering::Less,
        (_, true) => return Ordering::Greater,
        _ => {}
    }
    match (left.parse::<u64>(), right.parse::<u64>()) {
        (Ok(l), Ok(r)) => l.cmp(&r),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => left.cmp(right),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loose_texts_are_versions() {
        for (text, expect) in [
            ("1.2.3", "1.2.3"),
            ("1.2", "1.2.0"),
            ("v1.2", "1.2.0"),
            ("1", "1.0.0"),
            ("01.2.3", "1.2.3"),
            ("1.2.3-beta.1+build.7", "1.2.3-beta.1+build.7"),
            ("v1.33.4-gke.1245000", "1.33.4-gke.1245000"),
            ("1.2-5", "1.2.0-5"),
            ("1.2.3-a-b", "1.2.3-a-b"),
            ("1.2.3+a-b", "1.2.3+a-b"),
        ] {
            assert_eq!(
                Version::parse(text).map(|v| v.to_string()),
                Ok(expect.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn other_texts_are_not() {
        for text in [
            "",
            "v",
            "a",
            "1.2.3.4",
            "1.2.",
            "1..2",
            "V1.2",
            "1.2.3-",
            "1.2.3+",
            "1.2.3-a..b",
            "1.2.3-ä",
            " 1.2.3",
            "1.2.x",
            "-1",
        ] {
            assert_eq!(Version::parse(text), Err(VersionError::Invalid), "{text:?}");
        }
        assert_eq!(Version::parse("1.2.3-01"), Err(VersionError::LeadingZero));
        assert_eq!(Version::parse("1.2.3-0a"), Version::parse("1.2.3-0a"));
        assert_eq!(
            Version::parse("99999999999999999999.0.0"),
            Err(VersionError::OutOfRange("99999999999999999999".to_owned()))
        );
        assert_eq!(Version::parse(&"1".repeat(257)), Err(VersionError::TooLong));
    }

    #[test]
    fn precedence_is_that_of_the_specification() {
        let ordered = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
            "1.1.0",
            "2.0.0",
        ];
        for (i, left) in ordered.iter().enumerate() {
            for (j, right) in ordered.iter().enumerate() {
                let (left, right) = (
                    Version::parse(left).unwrap(),
                    Version::parse(right).unwrap(),
                );
                assert_eq!(left.precedence(&right), i.cmp(&j), "{left} {right}");
            }
        }
        let with_metadata = Version::parse("1.0.0+a").unwrap();
        assert_eq!(
            with_metadata.precedence(&Version::parse("1.0.0+b").unwrap()),
            Ordering::Equal
        );
    }
}
