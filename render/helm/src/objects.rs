//! The objects that templates see: `.Chart`, `.Capabilities`, `.Files`, `.Values` and their methods, as each version of Helm shapes them.

mod structs;

use capstan_gotemplate::{Ctx, FuncError, List, Map, Method, NamedType, Str, Type, Value};
use capstan_goyaml::{Error as YamlError, Marshal, ValueWriter, marshal};
use serde_json::Value as Json;

use crate::chart::{Dependency, Maintainer, Metadata};
use crate::context::{self, HelmVersion};
use crate::error::quoted;
use crate::facts::{Facts, KubeVersion};
use crate::pattern::Glob;
use crate::tree::Tree;
use crate::values::{path_value, table};
use crate::work::{ChartId, Work};
use structs::{Struct, struct_field};

/// `.Values` and what else Helm keeps as `Values`.
pub(crate) static VALUES: [NamedType; 2] = [
    values_type("chartutil.Values"),
    values_type("common.Values"),
];
static FILES: NamedType = NamedType {
    name: "engine.files",
    underlying: Type::Map(&Type::BYTES),
    methods: &FILES_METHODS,
};
static VERSION_SET: [NamedType; 2] = [
    version_set("chartutil.VersionSet"),
    version_set("common.VersionSet"),
];

const fn values_type(name: &'static str) -> NamedType {
    NamedType {
        name,
        underlying: Type::MAP,
        methods: &VALUES_METHODS,
    }
}

const fn version_set(name: &'static str) -> NamedType {
    NamedType {
        name,
        underlying: Type::STRINGS,
        methods: &VERSION_SET_METHODS,
    }
}

static VALUES_METHODS: [Method; 5] = [
    Method::new("AsMap", &[], Type::MAP, |_, args| {
        Ok(receiver(args)?.unnamed().into())
    }),
    Method::new("Encode", &[Type::Object("io.Writer")], Type::Any, |_, _| {
        Err("no writer can be made in a template".into())
    }),
    Method::new("PathValue", &[Type::String], Type::Any, |_, args| {
        let path = text(args, 1);
        path_value(&receiver(args)?, &path)
            .ok_or_else(|| format!("{} is not a value", quoted(last_segment(&path))).into())
    }),
    Method::new("Table", &[Type::String], Type::Any, |ctx, args| {
        let path = text(args, 1);
        let version = context::of(ctx)?.version;
        let values = receiver(args)?;
        let found = table(&values, &path).ok_or_else(|| {
            FuncError::from(format!(
                "{} is not a table",
                quoted(missing_table(&values, &path))
            ))
        })?;
        Ok(Value::Map(found.named(&VALUES[version as usize])))
    }),
    Method::new("YAML", &[], Type::String, |_, args| {
        let yaml = marshal(&Yaml(&Value::Map(receiver(args)?)))
            .map_err(|error| FuncError::from(error.to_string()))?;
        Ok(Value::string(yaml))
    }),
];

static VERSION_SET_METHODS: [Method; 1] = [Method::new(
    "Has",
    &[Type::String],
    Type::Bool,
    |_, args| {
        let Some(Value::List(list)) = args.first() else {
            return Ok(Value::Bool(false));
        };
        let wanted = text(args, 1);
        Ok(Value::Bool(list.items().iter().any(|item| {
            item.as_str().is_some_and(|item| *item == *wanted)
        })))
    },
)];

static FILES_METHODS: [Method; 6] = [
    Method::new("AsConfig", &[], Type::String, |ctx, args| {
        base_names(ctx, args, |data| Str::from(&*data.to_str()))
    }),
    Method::new("AsSecrets", &[], Type::String, |ctx, args| {
        base_names(ctx, args, |data| Str::from(base64(data.as_bytes())))
    }),
    Method::new("Get", &[Type::String], Type::String, |_, args| {
        Ok(Value::String(file(args)?))
    }),
    Method::new("GetBytes", &[Type::String], Type::BYTES, |_, args| {
        Ok(Value::Bytes(file(args)?))
    }),
    Method::new("Glob", &[Type::String], Type::Named(&FILES), |ctx, args| {
        let files = receiver(args)?;
        ctx.charge_steps(files.len() as u64)?;
        // A pattern that is malformed matches everything, as in Helm.
        let glob = Glob::parse(&text(args, 1));
        let found = files.entries().into_iter().filter(|(path, _)| {
            glob.as_ref()
                .is_none_or(|glob| glob.matches(&path.to_str()))
        });
        Ok(Value::Map(Map::from_entries(Type::Named(&FILES), found)))
    }),
    Method::new("Lines", &[Type::String], Type::STRINGS, |ctx, args| {
        let data = file(args)?;
        let data = data.to_str();
        if data.is_empty() {
            let there = receiver(args)?.contains(text(args, 1));
            return match context::of(ctx)?.version {
                // Helm 3 looks at the last byte before it knows that there is one.
                HelmVersion::V3 if there => Err("runtime error: index out of range [-1]".into()),
                _ => Ok(Value::List(List::strings(Vec::<Str>::new()))),
            };
        }
        let lines = data.strip_suffix('\n').unwrap_or(&data);
        ctx.charge_values(lines.len() as u64)?;
        Ok(Value::List(List::strings(lines.split('\n'))))
    }),
];

fn receiver(args: &[Value]) -> Result<Map, FuncError> {
    args.first()
        .and_then(Value::as_map)
        .cloned()
        .ok_or_else(|| "the receiver is no map".into())
}

fn text(args: &[Value], index: usize) -> String {
    args.get(index)
        .and_then(Value::as_str)
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// The first name of a path where no table is.
fn missing_table<'p>(values: &Map, path: &'p str) -> &'p str {
    let ends = path
        .match_indices('.')
        .map(|(at, _)| at)
        .chain([path.len()]);
    let missing = ends
        .map(|end| &path[..end])
        .find(|part| table(values, part).is_none());
    last_segment(missing.unwrap_or(path))
}

fn last_segment(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn file(args: &[Value]) -> Result<Str, FuncError> {
    Ok(match receiver(args)?.get(text(args, 1)) {
        Some(Value::Bytes(data)) => data,
        _ => Str::default(),
    })
}

/// The files under the last segment of their paths, as YAML. Of files with the same one, the last in order stays.
fn base_names(
    ctx: &mut Ctx<'_>,
    args: &[Value],
    convert: impl Fn(&Str) -> Str,
) -> Result<Value, FuncError> {
    let named = Map::typed(Type::STRING_MAP);
    for (path, data) in receiver(args)?.entries() {
        if let Value::Bytes(data) = data {
            ctx.charge_values(data.len() as u64 * 2)?;
            let path = path.to_str();
            named.insert(
                path.rsplit('/').next().unwrap_or(&path),
                Value::String(convert(&data)),
            );
        }
    }
    let yaml = marshal(&Yaml(&Value::Map(named))).unwrap_or_default();
    Ok(Value::string(yaml.strip_suffix('\n').unwrap_or(&yaml)))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A value on its way to YAML.
struct Yaml<'v>(&'v Value);

impl Marshal for Yaml<'_> {
    fn marshal(&self, writer: &mut ValueWriter) -> Result<(), YamlError> {
        match self.0 {
            Value::Bool(value) => writer.bool(*value),
            Value::Int(_, number) => writer.int(*number),
            Value::Uint(_, number) => writer.uint(*number),
            Value::Float(_, number) => writer.float(*number),
            Value::String(text) => writer.string(&text.to_str()),
            Value::Bytes(bytes) => writer.string(&base64(bytes.as_bytes())),
            Value::List(list) => writer.sequence(list.items().iter().map(Yaml)),
            Value::Map(map) => {
                let entries = map.entries();
                writer.mapping(
                    entries
                        .iter()
                        .map(|(key, value)| (key.to_str(), Yaml(value))),
                )
            }
            Value::Nil | Value::Complex(_) | Value::Object(_) | Value::Func(_) => writer.null(),
        }
    }
}

/// `.Capabilities`.
pub(crate) fn capabilities(facts: &Facts, version: HelmVersion) -> Value {
    let api_versions = facts
        .api_versions
        .iter()
        .map(|text| Value::string(text.as_str()))
        .collect();
    Value::object(Struct {
        type_name: ["*chartutil.Capabilities", "*common.Capabilities"][version as usize],
        fields: vec![
            ("KubeVersion", kube_version(&facts.kube_version, version)),
            (
                "APIVersions",
                Value::List(List::typed(
                    Type::Named(&VERSION_SET[version as usize]),
                    api_versions,
                )),
            ),
            ("HelmVersion", helm_version(version)),
        ],
        ..Struct::default()
    })
}

fn kube_version(kube: &KubeVersion, version: HelmVersion) -> Value {
    static METHODS: [Method; 2] = [
        Method::new("GitVersion", &[], Type::String, |_, args| {
            Ok(struct_field(args, "Version"))
        }),
        Method::new("String", &[], Type::String, |_, args| {
            let text = args
                .first()
                .and_then(Value::downcast::<Struct>)
                .and_then(|object| object.text.clone());
            Ok(Value::string(text.unwrap_or_default()))
        }),
    ];
    let shown = kube.shown(version).to_owned();
    let printed = match version {
        HelmVersion::V3 => shown.clone(),
        HelmVersion::V4 => kube.normalized().to_owned(),
    };
    let fields = vec![
        ("Version", Value::string(shown)),
        ("Major", Value::string(kube.major())),
        ("Minor", Value::string(kube.minor())),
    ];
    let mut printed_fields = fields.clone();
    if version == HelmVersion::V4 {
        printed_fields.insert(1, ("normalizedVersion", Value::string(printed.as_str())));
    }
    Value::object(Struct {
        type_name: ["chartutil.KubeVersion", "common.KubeVersion"][version as usize],
        fields,
        methods: &METHODS,
        text: Some(printed),
        printed: Some(printed_fields),
        ..Struct::default()
    })
}

/// The build of Helm whose result this is.
fn helm_version(version: HelmVersion) -> Value {
    let mut fields = vec![
        (
            "Version",
            Value::static_string(["v3.22.0", "v4.3.1"][version as usize]),
        ),
        ("GitCommit", Value::static_string("")),
        ("GitTreeState", Value::static_string("")),
        ("GoVersion", Value::static_string("go1.26.8")),
    ];
    let mut json = vec![
        ("version", fields[0].1.clone()),
        ("go_version", fields[3].1.clone()),
    ];
    if version == HelmVersion::V4 {
        fields.push(("KubeClientVersion", Value::static_string("v1.37")));
        json.push(("kube_client_version", Value::static_string("v1.37")));
    }
    Value::object(Struct {
        type_name: "version.BuildInfo",
        fields,
        json: Some(json),
        ..Struct::default()
    })
}

/// `.Files`.
pub(crate) fn files(work: &Work, chart: ChartId) -> Value {
    let entries = work
        .inner(chart)
        .files
        .iter()
        .map(|(path, data)| (path.clone(), Value::Bytes(data.clone())));
    Value::Map(Map::from_entries(Type::Named(&FILES), entries))
}

/// A map of the type that `.Values` has.
pub(crate) fn values_map(version: HelmVersion) -> Map {
    Map::typed(Type::Named(&VALUES[version as usize]))
}

/// `.Chart`: a struct in Helm 3, a map in Helm 4.
pub(crate) fn chart(work: &Work, id: ChartId) -> Value {
    let metadata = &work.inner(id).metadata;
    let declared: Vec<&Dependency> = work
        .requirements(id)
        .unwrap_or_default()
        .iter()
        .map(|requirement| &work.requirements[*requirement])
        .collect();
    let fields = metadata_fields(metadata, work.name(id), &declared, work.version());
    let is_root = Value::Bool(work.is_root(id));
    match work.version() {
        HelmVersion::V4 => {
            let map: Map = fields
                .into_iter()
                .map(|field| (field.go, field.value))
                .collect();
            map.insert("IsRoot", is_root);
            Value::Map(map)
        }
        HelmVersion::V3 => {
            let mut json: Vec<_> = fields
                .iter()
                .filter(|field| field.value.truth())
                .map(|field| (field.json, field.value.clone()))
                .collect();
            json.push(("IsRoot", is_root.clone()));
            let embedded: Vec<_> = fields
                .into_iter()
                .map(|field| (field.go, field.value))
                .collect();
            let metadata = Value::object(Struct {
                type_name: "chart.Metadata",
                fields: embedded.clone(),
                ..Struct::default()
            });
            Value::object(Struct {
                type_name: "struct { chart.Metadata; IsRoot bool }",
                fields: vec![("Metadata", metadata), ("IsRoot", is_root)],
                embedded,
                json: Some(json),
                ..Struct::default()
            })
        }
    }
}

/// A field of a Go struct, with its name in JSON.
struct Field {
    go: &'static str,
    json: &'static str,
    value: Value,
}

fn field(go: &'static str, json: &'static str, value: Value) -> Field {
    Field { go, json, value }
}

/// The fields of `Chart.yaml` in the order of Helm's struct.
fn metadata_fields(
    metadata: &Metadata,
    name: &str,
    declared: &[&Dependency],
    version: HelmVersion,
) -> Vec<Field> {
    let string = |text: &str| Value::string(text);
    let strings = |texts: &[String]| match version {
        HelmVersion::V3 => Value::List(List::strings(texts.iter().map(String::as_str))),
        HelmVersion::V4 => Value::list(texts.iter().map(|text| string(text)).collect()),
    };
    let annotations = match &metadata.annotations {
        Some(entries) => Map::from_entries(
            Type::STRING_MAP,
            entries
                .iter()
                .map(|(key, text)| (Str::from(key.as_str()), string(text))),
        ),
        None => Map::nil(Type::STRING_MAP),
    };
    let maintainers = metadata
        .maintainers
        .iter()
        .map(|maintainer| pointer("*chart.Maintainer", maintainer_fields(maintainer), version))
        .collect();
    let dependencies = declared
        .iter()
        .map(|dependency| {
            pointer(
                "*chart.Dependency",
                dependency_fields(dependency, version),
                version,
            )
        })
        .collect();
    let pointers = |go_type: &'static Type, items: Vec<Value>| match version {
        HelmVersion::V3 => Value::List(List::typed(Type::Slice(go_type), items)),
        HelmVersion::V4 => Value::list(items),
    };
    vec![
        field("Name", "name", string(name)),
        field("Home", "home", string(&metadata.home)),
        field("Sources", "sources", strings(&metadata.sources)),
        field("Version", "version", string(&metadata.version)),
        field("Description", "description", string(&metadata.description)),
        field("Keywords", "keywords", strings(&metadata.keywords)),
        field(
            "Maintainers",
            "maintainers",
            pointers(&Type::Object("*chart.Maintainer"), maintainers),
        ),
        field("Icon", "icon", string(&metadata.icon)),
        field("APIVersion", "apiVersion", string(&metadata.api_version)),
        field("Condition", "condition", string(&metadata.condition)),
        field("Tags", "tags", string(&metadata.tags)),
        field("AppVersion", "appVersion", string(&metadata.app_version)),
        field("Deprecated", "deprecated", Value::Bool(metadata.deprecated)),
        field("Annotations", "annotations", Value::Map(annotations)),
        field("KubeVersion", "kubeVersion", string(&metadata.kube_version)),
        field(
            "Dependencies",
            "dependencies",
            pointers(&Type::Object("*chart.Dependency"), dependencies),
        ),
        field("Type", "type", string(&metadata.chart_type)),
    ]
}

fn maintainer_fields(maintainer: &Maintainer) -> Vec<Field> {
    vec![
        field("Name", "name", Value::string(maintainer.name.as_str())),
        field("Email", "email", Value::string(maintainer.email.as_str())),
        field("URL", "url", Value::string(maintainer.url.as_str())),
    ]
}

fn dependency_fields(dependency: &Dependency, version: HelmVersion) -> Vec<Field> {
    let tags = match version {
        HelmVersion::V3 => Value::List(List::strings(dependency.tags.iter().map(String::as_str))),
        HelmVersion::V4 => Value::list(
            dependency
                .tags
                .iter()
                .map(|tag| Value::string(tag.as_str()))
                .collect(),
        ),
    };
    let imports = dependency.import_values.iter().map(|item| match item {
        // What was imported is noted as a pair; templates see it as Helm notes it.
        Json::Array(pair) => {
            let part = |index: usize| {
                Value::string(pair.get(index).and_then(Json::as_str).unwrap_or_default())
            };
            Value::Map(Map::from_entries(
                Type::STRING_MAP,
                [
                    (Str::from("child"), part(0)),
                    (Str::from("parent"), part(1)),
                ],
            ))
        }
        other => Tree::from(other).to_value(),
    });
    vec![
        field("Name", "name", Value::string(dependency.name.as_str())),
        field(
            "Version",
            "version",
            Value::string(dependency.version.as_str()),
        ),
        field(
            "Repository",
            "repository",
            Value::string(dependency.repository.as_str()),
        ),
        field(
            "Condition",
            "condition",
            Value::string(dependency.condition.as_str()),
        ),
        field("Tags", "tags", tags),
        field("Enabled", "enabled", Value::Bool(dependency.enabled)),
        field(
            "ImportValues",
            "import-values",
            Value::list(imports.collect()),
        ),
        field("Alias", "alias", Value::string(dependency.alias.as_str())),
    ]
}

/// A pointer to a struct in Helm 3, a map in Helm 4.
fn pointer(type_name: &'static str, fields: Vec<Field>, version: HelmVersion) -> Value {
    if version == HelmVersion::V4 {
        return Value::Map(
            fields
                .into_iter()
                .map(|field| (field.go, field.value))
                .collect(),
        );
    }
    // JSON leaves empty fields out, but a dependency's name and repository have no `omitempty`.
    let always = |field: &Field| {
        type_name == "*chart.Dependency" && matches!(field.json, "name" | "repository")
    };
    let json = fields
        .iter()
        .filter(|field| field.value.truth() || always(field))
        .map(|field| (field.json, field.value.clone()))
        .collect();
    let fields = fields
        .into_iter()
        .map(|field| (field.go, field.value))
        .collect();
    Value::object(Struct {
        type_name,
        fields,
        json: Some(json),
        ..Struct::default()
    })
}
