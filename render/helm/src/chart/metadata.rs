//! `Chart.yaml` and `requirements.yaml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use capstan_goyaml::{JsonBuilder, format_float, unmarshal_object};
use regex::Regex;
use serde_json::{Map, Value};

use crate::error::quoted;
use crate::semver::Version;

/// What `Chart.yaml` says.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    missing_docs,
    reason = "the fields are those of Chart.yaml, in its words"
)]
pub struct Metadata {
    pub name: String,
    pub home: String,
    pub sources: Vec<String>,
    pub version: String,
    pub description: String,
    pub keywords: Vec<String>,
    pub maintainers: Vec<Maintainer>,
    pub icon: String,
    pub api_version: String,
    pub condition: String,
    pub tags: String,
    pub app_version: String,
    pub deprecated: bool,
    pub annotations: Option<BTreeMap<String, String>>,
    pub kube_version: String,
    /// An empty list is not the same as none: Helm processes it.
    pub dependencies: Option<Vec<Dependency>>,
    pub chart_type: String,
}

/// Someone who maintains a chart.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    missing_docs,
    reason = "the fields are those of Chart.yaml, in its words"
)]
pub struct Maintainer {
    pub name: String,
    pub email: String,
    pub url: String,
}

/// A chart that a chart needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dependency {
    /// Its name, in its own `Chart.yaml`.
    pub name: String,
    /// A version, or a constraint.
    pub version: String,
    /// Where Helm would get it.
    pub repository: String,
    /// Paths in the values, separated by commas, that switch it on or off.
    pub condition: String,
    /// Tags that switch it on or off.
    pub tags: Vec<String>,
    /// Whether it is on; decided for each render.
    pub enabled: bool,
    /// What of its values the parent takes over: names of exports, or pairs of `child` and `parent`.
    pub import_values: Vec<Value>,
    /// Another name for it.
    pub alias: String,
}

static ALIAS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("^[a-zA-Z0-9_-]+$").expect("the pattern is fixed"));
static UNPRINTABLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[^\p{L}\p{M}\p{N}\p{P}\p{S} ]").expect("the pattern is fixed"));

impl Metadata {
    /// Reads `Chart.yaml`.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let mut metadata = Self::default();
        metadata.read(text)?;
        if metadata.api_version.is_empty() {
            "v1".clone_into(&mut metadata.api_version);
        }
        Ok(metadata)
    }

    /// Reads fields over those that are there: `Chart.yaml` first, then `requirements.yaml`.
    pub(super) fn read(&mut self, text: &[u8]) -> Result<(), String> {
        let root = unmarshal_object(text, &mut JsonBuilder).map_err(|error| {
            error
                .to_string()
                .replace("map[string]interface {}", "chart.Metadata")
        })?;
        let Some(Value::Object(object)) = root else {
            return Ok(());
        };
        let fields = Fields {
            object: &object,
            path: "Metadata.",
        };
        fields.text("name", &mut self.name)?;
        fields.text("home", &mut self.home)?;
        fields.texts("sources", &mut self.sources)?;
        fields.text("version", &mut self.version)?;
        fields.text("description", &mut self.description)?;
        fields.texts("keywords", &mut self.keywords)?;
        fields.text("icon", &mut self.icon)?;
        fields.text("apiVersion", &mut self.api_version)?;
        fields.text("condition", &mut self.condition)?;
        fields.text("tags", &mut self.tags)?;
        fields.text("appVersion", &mut self.app_version)?;
        fields.flag("deprecated", &mut self.deprecated)?;
        fields.text("kubeVersion", &mut self.kube_version)?;
        fields.text("type", &mut self.chart_type)?;
        if let Some(annotations) = fields.map("annotations")? {
            self.annotations = Some(annotations);
        }
        if let Some(items) = fields.list("maintainers")? {
            self.maintainers = items
                .iter()
                .map(Maintainer::read)
                .collect::<Result<_, _>>()?;
        }
        if let Some(items) = fields.list("dependencies")? {
            self.dependencies = Some(
                items
                    .iter()
                    .map(Dependency::read)
                    .collect::<Result<_, _>>()?,
            );
        }
        Ok(())
    }

    /// Checks what Helm checks when it loads a chart, and takes unprintable characters out as it does.
    pub(super) fn validate(&mut self) -> Result<(), String> {
        for field in [
            &mut self.name,
            &mut self.description,
            &mut self.home,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
        ] {
            sanitize(field);
        }
        sanitize(&mut self.app_version);
        sanitize(&mut self.kube_version);
        self.sources
            .iter_mut()
            .chain(&mut self.keywords)
            .for_each(sanitize);
        if self.name.is_empty() {
            return Err("chart.metadata.name is required".to_owned());
        }
        if self.name == "." || self.name == ".." {
            return Err(format!(
                "chart.metadata.name {} is not allowed",
                quoted(&self.name)
            ));
        }
        if self.name.contains('/') {
            return Err(format!(
                "chart.metadata.name {} is invalid",
                quoted(&self.name)
            ));
        }
        if self.version.is_empty() {
            return Err("chart.metadata.version is required".to_owned());
        }
        if Version::parse(&self.version).is_err() {
            return Err(format!(
                "chart.metadata.version {} is invalid",
                quoted(&self.version)
            ));
        }
        if !matches!(self.chart_type.as_str(), "" | "application" | "library") {
            return Err("chart.metadata.type must be application or library".to_owned());
        }
        for maintainer in &mut self.maintainers {
            [
                &mut maintainer.name,
                &mut maintainer.email,
                &mut maintainer.url,
            ]
            .into_iter()
            .for_each(sanitize);
        }
        self.validate_dependencies()
    }

    fn validate_dependencies(&mut self) -> Result<(), String> {
        let mut names = BTreeMap::new();
        for dependency in self.dependencies.iter_mut().flatten() {
            for field in [
                &mut dependency.name,
                &mut dependency.version,
                &mut dependency.repository,
                &mut dependency.condition,
            ] {
                sanitize(field);
            }
            dependency.tags.iter_mut().for_each(sanitize);
            if !dependency.alias.is_empty() && !ALIAS.is_match(&dependency.alias) {
                return Err(format!(
                    "dependency {} has disallowed characters in the alias",
                    quoted(&dependency.name)
                ));
            }
            let key = if dependency.alias.is_empty() {
                &dependency.name
            } else {
                &dependency.alias
            };
            if names.insert(key.clone(), ()).is_some() {
                return Err(format!(
                    "more than one dependency with name or alias {}",
                    quoted(key)
                ));
            }
        }
        Ok(())
    }

    /// Whether only its partials count.
    pub(crate) fn is_library(&self) -> bool {
        self.chart_type.eq_ignore_ascii_case("library")
    }
}

impl Maintainer {
    fn read(value: &Value) -> Result<Self, String> {
        let object = match value {
            Value::Object(object) => object,
            Value::Null => {
                return Err(
                    "validation: maintainers must not contain empty or null nodes".to_owned(),
                );
            }
            other => return Err(mismatch(other, "Metadata.maintainers", "chart.Maintainer")),
        };
        let fields = Fields {
            object,
            path: "Maintainer.maintainers.",
        };
        let mut maintainer = Self::default();
        fields.text("name", &mut maintainer.name)?;
        fields.text("email", &mut maintainer.email)?;
        fields.text("url", &mut maintainer.url)?;
        Ok(maintainer)
    }
}

impl Dependency {
    fn read(value: &Value) -> Result<Self, String> {
        let object = match value {
            Value::Object(object) => object,
            Value::Null => {
                return Err(
                    "validation: dependencies must not contain empty or null nodes".to_owned(),
                );
            }
            other => return Err(mismatch(other, "Metadata.dependencies", "chart.Dependency")),
        };
        let fields = Fields {
            object,
            path: "Dependency.dependencies.",
        };
        let mut dependency = Self::default();
        fields.text("name", &mut dependency.name)?;
        fields.text("version", &mut dependency.version)?;
        fields.text("repository", &mut dependency.repository)?;
        fields.text("condition", &mut dependency.condition)?;
        fields.texts("tags", &mut dependency.tags)?;
        fields.flag("enabled", &mut dependency.enabled)?;
        fields.text("alias", &mut dependency.alias)?;
        if let Some(items) = fields.list("import-values")? {
            dependency.import_values = items.clone();
        }
        Ok(dependency)
    }
}

/// Spaces become blanks, what cannot be printed goes.
fn sanitize(text: &mut String) {
    let plain = text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    if !plain {
        let blanks: String = text
            .chars()
            .map(|c| if c.is_whitespace() { ' ' } else { c })
            .collect();
        *text = UNPRINTABLE.replace_all(&blanks, "").into_owned();
    }
}

/// The fields of an object, as Go decodes them into a struct: names match whatever their case, numbers and booleans become text where text
/// is wanted.
pub(crate) struct Fields<'a> {
    pub(crate) object: &'a Map<String, Value>,
    /// Struct and field names in front, for errors.
    pub(crate) path: &'a str,
}

impl<'a> Fields<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        let found = self.object.get(name).or_else(|| {
            self.object
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        });
        found.filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str, into: &mut String) -> Result<(), String> {
        if let Some(value) = self.get(name) {
            *into = to_text(value)
                .ok_or_else(|| mismatch(value, &format!("{}{name}", self.path), "string"))?;
        }
        Ok(())
    }

    fn flag(&self, name: &str, into: &mut bool) -> Result<(), String> {
        match self.get(name) {
            None => {}
            Some(Value::Bool(flag)) => *into = *flag,
            Some(other) => return Err(mismatch(other, &format!("{}{name}", self.path), "bool")),
        }
        Ok(())
    }

    fn texts(&self, name: &str, into: &mut Vec<String>) -> Result<(), String> {
        let path = format!("{}{name}", self.path);
        if let Some(items) = self.list(name)? {
            *into = items
                .iter()
                .map(|item| {
                    if item.is_null() {
                        Ok(String::new())
                    } else {
                        to_text(item).ok_or_else(|| mismatch(item, &path, "string"))
                    }
                })
                .collect::<Result<_, _>>()?;
        }
        Ok(())
    }

    fn list(&self, name: &str) -> Result<Option<&'a Vec<Value>>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => {
                let go_type = match name {
                    "maintainers" => "[]*chart.Maintainer",
                    "dependencies" => "[]*chart.Dependency",
                    "import-values" => "[]interface {}",
                    _ => "[]string",
                };
                Err(mismatch(other, &format!("{}{name}", self.path), go_type))
            }
        }
    }

    /// A map of texts.
    pub(crate) fn map(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, String> {
        let path = format!("{}{name}", self.path);
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(object)) => {
                let entry = |(key, value): (&String, &Value)| {
                    let text = if value.is_null() {
                        Some(String::new())
                    } else {
                        to_text(value)
                    };
                    text.map(|text| (key.clone(), text))
                        .ok_or_else(|| mismatch(value, &path, "string"))
                };
                object.iter().map(entry).collect::<Result<_, _>>().map(Some)
            }
            Some(other) => Err(mismatch(other, &path, "map[string]string")),
        }
    }
}

/// The text of a scalar.
fn to_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) if number.is_f64() => number.as_f64().map(format_float),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Go's words for a value of the wrong kind.
pub(crate) fn mismatch(value: &Value, path: &str, go_type: &str) -> String {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go struct field {path} of type {go_type}"
    )
}
