//! Flux's substitution of variables: text of an object in, the object out. The hub does it where it knows all values; the
//! agent where some of them are known to its cluster alone.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use capstan_envsubst::{Substituted, Unset};
use capstan_goyaml::{DecodeOptions, Dialect, JsonBuilder};
use serde_json::Value;

/// Label or annotation that keeps variables of an object from being replaced.
pub(crate) const SUBSTITUTE: &str = "kustomize.toolkit.fluxcd.io/substitute";

/// Variables with their values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables {
    values: BTreeMap<String, Variable>,
    always: bool,
}

#[derive(Clone, PartialEq, Eq)]
struct Variable {
    value: String,
    secret: bool,
}

impl fmt::Debug for Variables {
    /// The names alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// An object after its variables were replaced.
#[derive(Clone, PartialEq)]
pub struct Completed {
    /// The object.
    pub value: Value,
    /// A secret value is in it.
    pub secret: bool,
    /// A secret value is in what the object is known by: its kind, name or namespace.
    pub secret_identity: bool,
}

impl Variables {
    /// No variables. They are replaced nevertheless where `always` says so, and not at all otherwise, as Flux has it.
    pub fn new(always: bool) -> Self {
        Self {
            values: BTreeMap::new(),
            always,
        }
    }

    /// Gives a variable its value, less the line breaks in it; a value that it had before is replaced.
    ///
    /// # Errors
    /// When no variable may have that name: Flux refuses the unit then, whether it is used or not.
    pub fn set(&mut self, name: &str, value: &str, secret: bool) -> Result<(), String> {
        capstan_envsubst::check_name(name).map_err(|it| it.to_string())?;
        let value = capstan_envsubst::clean_value(value).into_owned();
        let variable = Variable { value, secret };
        self.values.insert(name.to_owned(), variable);
        Ok(())
    }

    /// Whether text with a `$` in it may come out otherwise.
    pub(crate) fn is_active(&self) -> bool {
        self.always || !self.values.is_empty()
    }

    /// Whether every variable that `text` names has a value here.
    pub(crate) fn know_all_of(&self, text: &str) -> Result<bool, String> {
        let named = capstan_envsubst::variables(text).map_err(|it| it.to_string())?;
        Ok(named.iter().all(|it| self.values.contains_key(it)))
    }

    fn are_secret(&self, names: &BTreeSet<String>) -> bool {
        let is_secret = |name: &String| self.values.get(name).is_some_and(|it| it.secret);
        names.iter().any(is_secret)
    }

    /// Whether secret values go into the identity of the object that `text` is. Where that cannot be told, they do.
    fn are_in_identity(&self, text: &str) -> bool {
        let Ok(value) = parse(text) else {
            return true;
        };
        [
            "/apiVersion",
            "/kind",
            "/metadata/name",
            "/metadata/namespace",
        ]
        .into_iter()
        .filter_map(|field| value.pointer(field)?.as_str())
        .any(|it| {
            self.replace(it)
                .map_or(true, |it| self.are_secret(&it.used))
        })
    }

    fn replace(&self, text: &str) -> Result<Substituted, String> {
        let lookup = |name: &str| {
            let found = self.values.get(name);
            found.map(|it| Cow::Borrowed(it.value.as_str()))
        };
        capstan_envsubst::substitute(text, Unset::Refuse, lookup).map_err(|it| it.to_string())
    }
}

/// Replaces the variables in the text of one object. An object that is excepted must not get here.
///
/// # Errors
/// Says which variable has no value, or which line is no YAML any more. No value is quoted.
pub fn complete(text: &str, variables: &Variables) -> Result<Completed, String> {
    if !variables.is_active() {
        let value = parse(text).map_err(|it| it.to_string())?;
        return Ok(Completed {
            value,
            secret: false,
            secret_identity: false,
        });
    }
    let replaced = variables.replace(text)?;
    let secret = variables.are_secret(&replaced.used);
    let value = parse(&replaced.text).map_err(|it| {
        let what = if secret {
            // The parser's own words may quote what it met.
            let line = it.line().map(|it| format!(" at line {it} of the object"));
            format!("it is no YAML{}", line.unwrap_or_default())
        } else {
            it.to_string()
        };
        format!("after variables were replaced: {what}")
    })?;
    Ok(Completed {
        value,
        secret,
        secret_identity: secret && variables.are_in_identity(text),
    })
}

/// Reads the text of one object, as kustomize prints it.
pub(crate) fn parse(text: &str) -> Result<Value, capstan_goyaml::Error> {
    let options = DecodeOptions {
        dialect: Dialect::V2,
        strict: false,
        object: false,
    };
    let document = capstan_goyaml::parse_first(text.as_bytes(), Dialect::V2)?;
    document.map_or(Ok(Value::Null), |it| {
        capstan_goyaml::decode(&it.root, options, &mut JsonBuilder)
    })
}

/// Whether an object says that its variables stay as they are.
pub(crate) fn is_excepted(value: &Value) -> bool {
    ["labels", "annotations"].into_iter().any(|field| {
        let set = value["metadata"][field][SUBSTITUTE].as_str();
        set.is_some_and(|it| it.eq_ignore_ascii_case("disabled"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(given: &[(&str, &str, bool)]) -> Variables {
        let mut variables = Variables::new(false);
        for (name, value, secret) in given {
            variables.set(name, value, *secret).unwrap();
        }
        variables
    }

    #[test]
    fn what_holds_a_secret_value_is_marked() {
        let given = variables(&[("domain", "example.com", false), ("token", "a\nb", true)]);
        let plain = complete("a: ${domain}\n", &given).unwrap();
        assert_eq!(
            (plain.value["a"].as_str(), plain.secret),
            (Some("example.com"), false)
        );
        let secret = complete("a: ${token}\n", &given).unwrap();
        assert_eq!(
            (secret.value["a"].as_str(), secret.secret),
            (Some("ab"), true)
        );
    }

    #[test]
    fn a_name_made_from_a_secret_is_told_apart() {
        let given = variables(&[("domain", "example.com", true), ("team", "a", false)]);
        let told = |text: &str| complete(text, &given).unwrap().secret_identity;
        assert!(told("metadata: {name: '${domain/./-}-tls'}\n"));
        assert!(!told(
            "metadata: {name: '${team}'}\ndata: {host: '${domain}'}\n"
        ));
    }

    #[test]
    fn nothing_is_replaced_where_there_is_no_variable() {
        let kept = complete("a: ${b} $${c}\n", &Variables::new(false)).unwrap();
        assert_eq!(kept.value["a"], "${b} $${c}");
        let always = complete("a: ${b:-x} $${c}\n", &Variables::new(true)).unwrap();
        assert_eq!(always.value["a"], "x ${c}");
    }

    #[test]
    fn errors_name_what_is_missing_and_quote_no_value() {
        let given = variables(&[("token", "hunter2: [", true)]);
        let missing = complete("a: ${b}\n", &given).err().unwrap();
        assert_eq!(missing, "variable not set (strict mode): \"b\"");
        let broken = complete("a: {x: ${token}\n", &given).err().unwrap();
        assert!(!broken.contains("hunter2"), "{broken}");
        assert!(broken.contains("no YAML"), "{broken}");
        assert!(!format!("{given:?}").contains("hunter2"));
        let name = Variables::new(false).set("a-b", "", false).unwrap_err();
        assert!(name.contains("'a-b' var name is invalid"), "{name}");
    }
}
