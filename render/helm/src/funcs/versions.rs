//! `semver` and `semverCompare`.

use std::any::Any;

use capstan_gotemplate::{Ctx, FuncError, Function, Method, Object, Type, UintKind, Value};

use super::value::{Result, any, give, text};
use crate::semver::{Constraint, Version};

const STRING: Type = Type::String;
const POINTER: Type = Type::Object(NAME);
const NAME: &str = "*semver.Version";
const UINT64: Type = Type::Uint(UintKind::Uint64);

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("semver", &[Type::String], POINTER, |_, args| {
        Ok(Value::object(GoVersion(parse(&text(args, 0))?)))
    }),
    Function::new(
        "semverCompare",
        &[Type::String, Type::String],
        Type::Bool,
        compare,
    ),
];

fn parse(text: &str) -> Result<Version> {
    Version::parse(text).map_err(|error| error.to_string().into())
}

fn compare(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let constraint =
        Constraint::parse(&text(args, 0)).map_err(|error| FuncError::Message(error.to_string()))?;
    Ok(Value::Bool(constraint.matches(&parse(&text(args, 1))?)))
}

/// A `*semver.Version`.
#[derive(Debug)]
struct GoVersion(Version);

/// What a deep copy makes of a version: a copy of all exported fields, of which it has none.
pub(super) fn deep_copied(value: &Value) -> Option<Value> {
    value.downcast::<GoVersion>().map(|_| {
        Value::object(GoVersion(Version {
            major: 0,
            minor: 0,
            patch: 0,
            pre: String::new(),
            metadata: String::new(),
            original: String::new(),
        }))
    })
}

fn version(args: &[Value], index: usize) -> Result<&Version> {
    any(args, index)
        .downcast::<GoVersion>()
        .map(|version| &version.0)
        .ok_or_else(|| "not a version".into())
}

fn number(value: u64) -> Result {
    Ok(Value::Uint(UintKind::Uint64, value))
}

/// The version in its normal form: three numbers, pre-release, metadata.
fn normal(version: &Version) -> String {
    let mut text = format!("{}.{}.{}", version.major, version.minor, version.patch);
    if !version.pre.is_empty() {
        text.push('-');
        text.push_str(&version.pre);
    }
    if !version.metadata.is_empty() {
        text.push('+');
        text.push_str(&version.metadata);
    }
    text
}

fn ordering(args: &[Value]) -> Result<std::cmp::Ordering> {
    Ok(version(args, 0)?.precedence(version(args, 1)?))
}

/// The version with some numbers raised. It comes as a value, not as a pointer, and prints the same.
fn raised(args: &[Value], raise: impl FnOnce(&mut Version)) -> Result {
    let old = version(args, 0)?;
    let mut new = Version {
        pre: String::new(),
        metadata: String::new(),
        ..old.clone()
    };
    raise(&mut new);
    let prefix = if old.original.starts_with('v') {
        "v"
    } else {
        ""
    };
    new.original = format!("{prefix}{}", normal(&new));
    Ok(Value::object(GoVersion(new)))
}

const METHODS: &[Method] = &[
    Method::new("Major", &[], UINT64, |_, args| {
        number(version(args, 0)?.major)
    }),
    Method::new("Minor", &[], UINT64, |_, args| {
        number(version(args, 0)?.minor)
    }),
    Method::new("Patch", &[], UINT64, |_, args| {
        number(version(args, 0)?.patch)
    }),
    Method::new("Prerelease", &[], STRING, |_, args| {
        give(version(args, 0)?.pre.as_str())
    }),
    Method::new("Metadata", &[], STRING, |_, args| {
        give(version(args, 0)?.metadata.as_str())
    }),
    Method::new("Original", &[], STRING, |_, args| {
        give(version(args, 0)?.original.as_str())
    }),
    Method::new("String", &[], STRING, |_, args| {
        give(normal(version(args, 0)?))
    }),
    Method::new("Compare", &[POINTER], Type::INT, |_, args| {
        Ok(Value::int(ordering(args)? as i64))
    }),
    Method::new("Equal", &[POINTER], Type::Bool, |_, args| {
        Ok(Value::Bool(ordering(args)?.is_eq()))
    }),
    Method::new("LessThan", &[POINTER], Type::Bool, |_, args| {
        Ok(Value::Bool(ordering(args)?.is_lt()))
    }),
    Method::new("LessThanEqual", &[POINTER], Type::Bool, |_, args| {
        Ok(Value::Bool(ordering(args)?.is_le()))
    }),
    Method::new("GreaterThan", &[POINTER], Type::Bool, |_, args| {
        Ok(Value::Bool(ordering(args)?.is_gt()))
    }),
    Method::new("GreaterThanEqual", &[POINTER], Type::Bool, |_, args| {
        Ok(Value::Bool(ordering(args)?.is_ge()))
    }),
    Method::new("IncMajor", &[], POINTER, |_, args| {
        raised(args, |version| {
            (version.major, version.minor, version.patch) = (version.major.saturating_add(1), 0, 0)
        })
    }),
    Method::new("IncMinor", &[], POINTER, |_, args| {
        raised(args, |version| {
            (version.minor, version.patch) = (version.minor.saturating_add(1), 0)
        })
    }),
    Method::new("IncPatch", &[], POINTER, |_, args| {
        // A pre-release's patch is the release's already.
        let is_release = version(args, 0)?.pre.is_empty();
        raised(args, |version| {
            version.patch = version.patch.saturating_add(u64::from(is_release))
        })
    }),
];

impl Object for GoVersion {
    fn type_name(&self) -> &'static str {
        NAME
    }

    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn text(&self) -> Option<String> {
        Some(normal(&self.0))
    }

    fn printed(&self) -> Vec<(&'static str, Value)> {
        let version = &self.0;
        let number = |value| Value::Uint(UintKind::Uint64, value);
        let text = |text: &String| Value::string(text.as_str());
        vec![
            ("major", number(version.major)),
            ("minor", number(version.minor)),
            ("patch", number(version.patch)),
            ("pre", text(&version.pre)),
            ("metadata", text(&version.metadata)),
            ("original", text(&version.original)),
        ]
    }

    fn json(&self) -> Option<Value> {
        Some(Value::string(normal(&self.0)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
