//! Constraints: groups joined by `||`, each a list of comparisons that must all hold.

use std::cmp::Ordering;
use std::sync::LazyLock;

use regex::Regex;

use super::version::{Version, compare_pre};

/// The longest constraint that is looked at, in bytes: what the Go library allows.
pub const MAX_CONSTRAINT_BYTES: usize = 512;
/// The most groups joined by `||`: what the Go library allows.
pub const MAX_CONSTRAINT_GROUPS: usize = 32;

/// Why a text is not a constraint, in the words of the Go library.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// The text does not have the shape of a constraint.
    #[error("improper constraint: {}", crate::error::quoted(.0))]
    Improper(String),
    /// A version in the constraint is none.
    #[error("constraint parser error")]
    Version,
    /// Longer than [`MAX_CONSTRAINT_BYTES`].
    #[error("constraint string is too long (max {MAX_CONSTRAINT_BYTES} bytes)")]
    TooLong,
    /// More groups than [`MAX_CONSTRAINT_GROUPS`].
    #[error("too many constraint groups (max {MAX_CONSTRAINT_GROUPS})")]
    TooManyGroups,
}

/// A condition on versions.
#[derive(Clone, Debug)]
pub struct Constraint {
    groups: Vec<Group>,
}

#[derive(Clone, Debug)]
struct Group {
    comparisons: Vec<Comparison>,
    /// Whether one of the comparisons names a pre-release, which opts the group in to pre-releases.
    takes_pre: bool,
}

#[derive(Clone, Debug)]
struct Comparison {
    operator: Operator,
    version: Version,
    /// A number was left out or is `x`.
    dirty: bool,
    minor_dirty: bool,
    patch_dirty: bool,
}

#[derive(Clone, Copy, Debug)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Tilde,
    Caret,
}

const OPERATORS: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";
const VERSION: &str = r"v?([0-9|x|X|\*]+)(\.[0-9|x|X|\*]+)?(\.[0-9|x|X|\*]+)?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";
/// What Go's `\s` stands for.
const SPACE: &str = r"[\t\n\f\r ]";

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is fixed and covered by tests")
}

static ONE: LazyLock<Regex> = LazyLock::new(|| {
    compiled(&format!(
        "^{SPACE}*({OPERATORS}){SPACE}*({VERSION}){SPACE}*$"
    ))
});
static RANGE: LazyLock<Regex> = LazyLock::new(|| {
    compiled(&format!(
        "{SPACE}*({VERSION}){SPACE}+-{SPACE}+({VERSION}){SPACE}*"
    ))
});
static FIND: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!("({OPERATORS}){SPACE}*({VERSION})")));
static VALID: LazyLock<Regex> = LazyLock::new(|| {
    compiled(&format!(
        "^({SPACE}*({OPERATORS}){SPACE}*({VERSION}){SPACE}*)((?:{SPACE}+|,{SPACE}*)({OPERATORS}){SPACE}*({VERSION}){SPACE}*)*$"
    ))
});

impl Constraint {
    /// Reads a constraint.
    ///
    /// # Errors
    /// When the text is too long or has another shape.
    pub fn parse(text: &str) -> Result<Self, ConstraintError> {
        if text.len() > MAX_CONSTRAINT_BYTES {
            return Err(ConstraintError::TooLong);
        }
        let text = rewrite_ranges(text);
        let groups: Vec<&str> = text.split("||").collect();
        if groups.len() > MAX_CONSTRAINT_GROUPS {
            return Err(ConstraintError::TooManyGroups);
        }
        let groups = groups
            .into_iter()
            .map(Group::parse)
            .collect::<Result<_, _>>()?;
        Ok(Self { groups })
    }

    /// Whether the version satisfies the constraint.
    #[must_use]
    pub fn matches(&self, version: &Version) -> bool {
        self.groups.iter().any(|group| {
            let hidden = !version.pre.is_empty() && !group.takes_pre;
            !hidden
                && group
                    .comparisons
                    .iter()
                    .all(|comparison| comparison.holds(version))
        })
    }
}

/// `1.2 - 1.4` means `>= 1.2, <= 1.4`.
fn rewrite_ranges(text: &str) -> String {
    let mut out = text.to_owned();
    for found in RANGE.captures_iter(text) {
        let rewritten = format!(">= {}, <= {} ", &found[1], &found[11]);
        out = out.replacen(&found[0], &rewritten, 1);
    }
    out
}

impl Group {
    fn parse(text: &str) -> Result<Self, ConstraintError> {
        if !VALID.is_match(text) {
            return Err(ConstraintError::Improper(text.to_owned()));
        }
        let comparisons = FIND
            .find_iter(text)
            .map(|found| Comparison::parse(found.as_str()))
            .collect::<Result<Vec<_>, _>>()?;
        let takes_pre = comparisons
            .iter()
            .any(|comparison| !comparison.version.pre.is_empty());
        Ok(Self {
            comparisons,
            takes_pre,
        })
    }
}

impl Comparison {
    fn parse(text: &str) -> Result<Self, ConstraintError> {
        let found = ONE
            .captures(text)
            .ok_or_else(|| ConstraintError::Improper(text.to_owned()))?;
        let part = |index: usize| found.get(index).map_or("", |part| part.as_str());
        let open = |text: &str| matches!(text.trim_start_matches('.'), "" | "x" | "X" | "*");
        let pre = part(6);
        let (mut dirty, mut minor_dirty, mut patch_dirty) = (true, false, false);
        let version = if open(part(3)) {
            format!("0.0.0{pre}")
        } else if open(part(4)) {
            minor_dirty = true;
            format!("{}.0.0{pre}", part(3))
        } else if open(part(5)) {
            patch_dirty = true;
            format!("{}{}.0{pre}", part(3), part(4))
        } else {
            dirty = false;
            part(2).to_owned()
        };
        let version = Version::parse(&version).map_err(|_| ConstraintError::Version)?;
        Ok(Self {
            operator: Operator::parse(part(1)),
            version,
            dirty,
            minor_dirty,
            patch_dirty,
        })
    }

    fn holds(&self, version: &Version) -> bool {
        let order = version.precedence(&self.version);
        match self.operator {
            Operator::Equal if self.dirty => self.tilde(version),
            Operator::Equal => order == Ordering::Equal,
            Operator::NotEqual => self.not_equal(version),
            Operator::Greater => self.greater(version),
            Operator::Less => order == Ordering::Less,
            Operator::GreaterEqual => order != Ordering::Less,
            Operator::LessEqual => self.less_equal(version),
            Operator::Tilde => self.tilde(version),
            Operator::Caret => self.caret(version),
        }
    }

    /// `!=1.2` excludes every 1.2.x.
    fn not_equal(&self, version: &Version) -> bool {
        let con = &self.version;
        if self.dirty {
            if con.major != version.major {
                return true;
            }
            if self.minor_dirty {
                return false;
            }
            if con.minor != version.minor {
                return true;
            }
            if self.patch_dirty {
                return compare_pre(&version.pre, &con.pre) != Ordering::Equal;
            }
            if con.patch != version.patch {
                return true;
            }
        }
        version.precedence(con) != Ordering::Equal
    }

    /// `>11` starts at 12, `>11.1` at 11.2.
    fn greater(&self, version: &Version) -> bool {
        let con = &self.version;
        if self.dirty {
            match version.major.cmp(&con.major) {
                Ordering::Greater => return true,
                Ordering::Less => return false,
                Ordering::Equal if self.minor_dirty => return false,
                Ordering::Equal if self.patch_dirty => return version.minor > con.minor,
                Ordering::Equal => {}
            }
        }
        version.precedence(con) == Ordering::Greater
    }

    /// `<=11` ends with the last 11.x.
    fn less_equal(&self, version: &Version) -> bool {
        let con = &self.version;
        if !self.dirty {
            return version.precedence(con) != Ordering::Greater;
        }
        version.major < con.major
            || (version.major == con.major && (version.minor <= con.minor || self.minor_dirty))
    }

    /// The same major version, and the same minor one if it is named.
    fn tilde(&self, version: &Version) -> bool {
        let con = &self.version;
        if version.precedence(con) == Ordering::Less {
            return false;
        }
        // `~0.0.0` and `*` take everything.
        if (con.major, con.minor, con.patch) == (0, 0, 0) && !self.minor_dirty && !self.patch_dirty
        {
            return true;
        }
        version.major == con.major && (version.minor == con.minor || self.minor_dirty)
    }

    /// The leftmost number that is not zero must stay.
    fn caret(&self, version: &Version) -> bool {
        let con = &self.version;
        if version.precedence(con) == Ordering::Less {
            return false;
        }
        if con.major > 0 || self.minor_dirty {
            return version.major == con.major;
        }
        if version.major > 0 {
            return false;
        }
        if con.minor > 0 || self.patch_dirty {
            return version.minor == con.minor;
        }
        version.minor == 0 && con.patch == version.patch
    }
}

impl Operator {
    fn parse(text: &str) -> Self {
        match text {
            "!=" => Self::NotEqual,
            ">" => Self::Greater,
            "<" => Self::Less,
            ">=" | "=>" => Self::GreaterEqual,
            "<=" | "=<" => Self::LessEqual,
            "~" | "~>" => Self::Tilde,
            "^" => Self::Caret,
            _ => Self::Equal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(constraint: &str, yes: &[&str], no: &[&str]) {
        let parsed = Constraint::parse(constraint).unwrap();
        for version in yes {
            assert!(
                parsed.matches(&Version::parse(version).unwrap()),
                "{constraint} should match {version}"
            );
        }
        for version in no {
            assert!(
                !parsed.matches(&Version::parse(version).unwrap()),
                "{constraint} should not match {version}"
            );
        }
    }

    #[test]
    fn equality_and_wildcards() {
        check(
            "1.2.3",
            &["1.2.3", "v1.2.3", "1.2.3+meta"],
            &["1.2.4", "1.2.3-a"],
        );
        check("=1.2", &["1.2.0", "1.2.9"], &["1.3.0"]);
        check("1.x", &["1.0.0", "1.9.9"], &["2.0.0", "0.9.0"]);
        check("*", &["0.0.0", "1.2.3", "99.0.0"], &["1.0.0-a"]);
        check("*-0", &["1.0.0-a", "1.2.3"], &[]);
        check("!=1.2", &["1.3.0", "2.2.0"], &["1.2.0", "1.2.7"]);
        check("!=1.x", &["2.0.0", "0.1.0"], &["1.2.0"]);
        check("!=1.2.3", &["1.2.4"], &["1.2.3"]);
    }

    #[test]
    fn inequalities() {
        check(">1.2", &["1.3.0", "2.0.0"], &["1.2.0", "1.2.9"]);
        check(">11", &["12.0.0"], &["11.9.9", "10.0.0"]);
        check(">1.2.3", &["1.2.4"], &["1.2.3"]);
        check(
            ">=1.19",
            &["1.19.0", "2.0.0"],
            &["1.18.9", "1.19.0-gke.1", "1.20.0-rc.1"],
        );
        check(
            ">=1.19-0",
            &["1.19.0-gke.1", "1.33.4-gke.1245000", "1.19.0"],
            &["1.18.9"],
        );
        check("=>1.19.0-0", &["1.19.0-gke.1", "1.20.0"], &["1.18.0"]);
        check("<=1.2", &["1.2.9", "1.0.0"], &["1.3.0"]);
        check("<=11", &["11.9.9"], &["12.0.0"]);
        check("=<1.2.3", &["1.2.3"], &["1.2.4"]);
        check("<1.2", &["1.1.9"], &["1.2.0"]);
    }

    #[test]
    fn tilde_and_caret() {
        check("~1.2.3", &["1.2.3", "1.2.9"], &["1.3.0", "1.2.2"]);
        check("~1.2", &["1.2.0", "1.2.9"], &["1.3.0"]);
        check("~>1", &["1.0.0", "1.9.0"], &["2.0.0"]);
        check("~0.0.0", &["0.0.0", "5.0.0"], &[]);
        check("^1.2.3", &["1.2.3", "1.9.0"], &["2.0.0", "1.2.2"]);
        check("^0.2.3", &["0.2.3", "0.2.9"], &["0.3.0"]);
        check("^0.2", &["0.2.0", "0.2.9"], &["0.3.0"]);
        check("^0.0.3", &["0.0.3"], &["0.0.4", "0.1.0"]);
        check("^0.0", &["0.0.0", "0.0.9"], &["0.1.0"]);
        check("^0", &["0.0.0", "0.9.0"], &["1.0.0"]);
    }

    #[test]
    fn groups_and_ranges() {
        check(">=1.2, <3.0.0", &["1.2.0", "2.9.9"], &["3.0.0", "1.1.0"]);
        check(">=1.2 <3.0.0", &["1.2.0"], &["3.0.0"]);
        check("~1.2 || >=3", &["1.2.5", "3.0.0", "4.0.0"], &["2.0.0"]);
        check("1.2 - 1.4.5", &["1.2.0", "1.4.5"], &["1.4.6", "1.1.9"]);
        check(
            ">= 1.21.0-0 <= 1.30.0-0",
            &["1.25.0", "1.25.0-eks-1"],
            &["1.30.0"],
        );
    }

    #[test]
    fn improper_constraints_are_refused() {
        for text in [
            "foo", ">>1", "1.2.3.4", ">=1.2 &&", "", " ", "1 2 b", "|| 1",
        ] {
            assert!(Constraint::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(
            Constraint::parse("foo").unwrap_err().to_string(),
            "improper constraint: \"foo\""
        );
        assert_eq!(
            Constraint::parse(&"1".repeat(513)).unwrap_err(),
            ConstraintError::TooLong
        );
        assert_eq!(
            Constraint::parse(&vec!["1"; 33].join("||")).unwrap_err(),
            ConstraintError::TooManyGroups
        );
        assert_eq!(
            Constraint::parse("1.2.3-01").unwrap_err(),
            ConstraintError::Version
        );
    }
}
