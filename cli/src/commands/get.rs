//! `capstan get`: clusters, units, objects, pipelines, sources.

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::{
    api::Api,
    commands::wait,
    output::{self, Column, Format, condition, text},
};

/// `capstan get KIND [NAME]`.
#[derive(Args, Debug)]
pub(crate) struct Get {
    /// What to list.
    kind: Kind,
    /// Only the one of this name.
    pub(super) name: Option<String>,
    /// Only of this cluster.
    #[arg(long, short)]
    cluster: Option<String>,
    /// Only of this unit (CLUSTER/KIND/NAMESPACE/NAME).
    #[arg(long, short)]
    unit: Option<String>,
    /// Only in this namespace.
    #[arg(long, short)]
    namespace: Option<String>,
    /// Only in clusters of this environment.
    #[arg(long, short)]
    environment: Option<String>,
    /// Form of the output.
    #[arg(long, short, default_value = "table")]
    output: Format,
    /// Print again whenever something changes.
    #[arg(long, short)]
    watch: bool,
}

impl Get {
    /// All of a kind.
    pub(crate) fn all(kind: Kind, output: Format) -> Self {
        Self {
            kind,
            name: None,
            cluster: None,
            unit: None,
            namespace: None,
            environment: None,
            output,
            watch: false,
        }
    }
}

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Clusters of the fleet.
    #[value(alias = "cluster")]
    Clusters,
    /// Kustomizations and HelmReleases, by cluster.
    #[value(alias = "unit")]
    Units,
    /// Kubernetes objects that units own.
    #[value(alias = "object")]
    Objects,
    /// Pipelines with their environments.
    #[value(alias = "pipeline")]
    Pipelines,
    /// Sources that the hub follows.
    #[value(alias = "source")]
    Sources,
    /// What is wrong in Git, and what of it is not there yet.
    #[value(alias = "problem")]
    Problems,
    /// Who did what, and why.
    Audit,
}

/// Lists, once or again and again.
pub(crate) async fn run(api: &Api, args: &Get) -> anyhow::Result<()> {
    let (path, columns) = match args.kind {
        Kind::Clusters => ("/clusters", CLUSTERS),
        Kind::Units => ("/units", UNITS),
        Kind::Objects => ("/objects", OBJECTS),
        Kind::Pipelines => ("/pipelines", PIPELINES),
        Kind::Sources => ("/sources", SOURCES),
        Kind::Problems => ("/problems", PROBLEMS),
        Kind::Audit => ("/audit", AUDIT),
    };
    let mut shown = list(api, args, path).await?;
    output::print_list(&shown, args.output, columns)?;
    if !args.watch {
        return Ok(());
    }
    wait::on_changes(api, async || {
        let now = list(api, args, path).await?;
        if now != shown {
            if args.output != Format::Json {
                output::print("\n")?;
            }
            output::print_list(&now, args.output, columns)?;
            shown = now;
        }
        Ok(false)
    })
    .await
}

async fn list(api: &Api, args: &Get, path: &str) -> anyhow::Result<Value> {
    let given = |it: &Option<String>| it.clone().unwrap_or_default();
    let query = [
        ("cluster", given(&args.cluster)),
        ("unit", given(&args.unit)),
        ("namespace", given(&args.namespace)),
        ("environment", given(&args.environment)),
        ("name", given(&args.name)),
    ];
    let query: Vec<(&str, &str)> = query.iter().map(|it| (it.0, it.1.as_str())).collect();
    let mut answer = api.get(path, &query).await?;
    // Not every list of the hub can be filtered.
    if let (Some(name), Some(items)) = (&args.name, answer["items"].as_array_mut()) {
        items.retain(|it| {
            ["/metadata/name", "/metadata/key"]
                .iter()
                .any(|at| text(it, at) == *name)
        });
    }
    if let Some(name) = &args.name
        && answer["items"].as_array().is_some_and(Vec::is_empty)
    {
        let what = path.trim_start_matches('/');
        anyhow::bail!(
            "there is nothing named `{name}` among the {what}; `capstan get {what}` lists all"
        );
    }
    Ok(answer)
}

const fn column(title: &'static str, cell: fn(&Value) -> String) -> Column {
    Column {
        title,
        wide: false,
        cell,
    }
}

const fn wide(title: &'static str, cell: fn(&Value) -> String) -> Column {
    Column {
        title,
        wide: true,
        cell,
    }
}

const CLUSTERS: &[Column] = &[
    column("NAME", |it| text(it, "/metadata/name")),
    column("READY", |it| ready(it, "status")),
    column("STATE", |it| ready(it, "reason")),
    column("UNITS", |it| {
        format!(
            "{}/{}",
            number(it, "/status/unitsReady"),
            number(it, "/status/units")
        )
    }),
    column("REVISION", |it| short(&text(it, "/status/revision"))),
    column("ENVIRONMENT", environments),
    wide("AGENT", |it| text(it, "/status/agentVersion")),
    wide("KUBERNETES", |it| text(it, "/status/kubeVersion")),
    wide("GENERATION", |it| text(it, "/status/generation")),
    wide("UID", |it| text(it, "/metadata/uid")),
    column("AGE", |it| age(it, "/status/link/since")),
    wide("MESSAGE", |it| ready(it, "message")),
];

const UNITS: &[Column] = &[
    column("CLUSTER", |it| text(it, "/spec/cluster")),
    column("KIND", |it| text(it, "/spec/kind")),
    column("NAMESPACE", |it| text(it, "/spec/namespace")),
    column("NAME", |it| text(it, "/metadata/name")),
    column("READY", |it| ready(it, "status")),
    column("STATE", |it| ready(it, "reason")),
    column("REVISION", |it| short(&text(it, "/status/revision"))),
    column("OBJECTS", |it| {
        format!(
            "{}/{}",
            number(it, "/status/objectsReady"),
            number(it, "/status/objects")
        )
    }),
    wide("DRIFTED", |it| number(it, "/status/drifted")),
    wide("CORRECTED", |it| number(it, "/status/driftCorrected")),
    wide("SOURCE", |it| text(it, "/spec/source")),
    column("AGE", |it| age(it, "/status/since")),
    column("MESSAGE", not_ready_message),
];

const OBJECTS: &[Column] = &[
    column("CLUSTER", |it| text(it, "/spec/cluster")),
    column("NAMESPACE", |it| text(it, "/spec/namespace")),
    column("KIND", |it| text(it, "/spec/kind")),
    column("NAME", |it| text(it, "/metadata/name")),
    column("HEALTH", |it| text(it, "/status/health")),
    column("DRIFTED", |it| text(it, "/status/drifted")),
    wide("GROUP", |it| text(it, "/spec/group")),
    wide("VERSION", |it| text(it, "/spec/version")),
    column("UNIT", |it| text(it, "/spec/unit")),
    column("MESSAGE", not_ready_message),
];

const PIPELINES: &[Column] = &[
    column("NAME", |it| text(it, "/metadata/name")),
    column("SOURCE", |it| text(it, "/spec/source")),
    column("ENVIRONMENTS", pipeline_environments),
];

const SOURCES: &[Column] = &[
    column("KIND", |it| text(it, "/spec/kind")),
    column("NAMESPACE", |it| text(it, "/spec/namespace")),
    column("NAME", |it| text(it, "/metadata/name")),
    column("READY", |it| ready(it, "status")),
    column("REVISION", |it| short(&text(it, "/status/revision"))),
    column("FOLLOWS", |it| text(it, "/spec/follows")),
    wide("URL", |it| text(it, "/spec/url")),
    column("FETCHED", |it| age(it, "/status/fetched")),
    column("MESSAGE", not_ready_message),
];

const PROBLEMS: &[Column] = &[
    column("LEVEL", |it| text(it, "/level")),
    column("CLUSTER", |it| text(it, "/cluster")),
    column("UNIT", |it| text(it, "/unit")),
    column("FILE", file_and_line),
    column("MESSAGE", |it| text(it, "/message")),
];

const AUDIT: &[Column] = &[
    column("AGE", |it| age(it, "/time")),
    column("ACTOR", |it| text(it, "/actor")),
    column("VERB", |it| text(it, "/verb")),
    column("TARGET", |it| text(it, "/target")),
    column("REASON", |it| text(it, "/reason")),
    column("OUTCOME", |it| text(it, "/outcome")),
];

fn ready(item: &Value, field: &str) -> String {
    condition(item, "Ready").map_or_else(|| "Unknown".to_owned(), |it| text(&it[field], ""))
}

fn not_ready_message(item: &Value) -> String {
    if ready(item, "status") == "True" {
        String::new()
    } else {
        ready(item, "message")
    }
}

fn file_and_line(item: &Value) -> String {
    match (text(item, "/file"), text(item, "/line")) {
        (file, line) if line.is_empty() => file,
        (file, line) => format!("{file}:{line}"),
    }
}

fn number(item: &Value, pointer: &str) -> String {
    let text = text(item, pointer);
    if text.is_empty() {
        "0".to_owned()
    } else {
        text
    }
}

fn environments(item: &Value) -> String {
    let list = item.pointer("/spec/environments").and_then(Value::as_array);
    let names: Vec<&str> = list
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    names.join(",")
}

fn pipeline_environments(item: &Value) -> String {
    let list = item
        .pointer("/status/environments")
        .and_then(Value::as_array);
    let shown = list.into_iter().flatten().map(|it| {
        let revision = short(&text(it, "/pin/revision"));
        let revision = if revision.is_empty() {
            "-".to_owned()
        } else {
            revision
        };
        format!("{} {revision}", text(it, "/name"))
    });
    shown.collect::<Vec<_>>().join(" > ")
}

fn age(item: &Value, pointer: &str) -> String {
    output::age(&text(item, pointer), jiff::Timestamp::now())
}

/// A revision as people read it: `main@abababababab`.
pub(crate) fn short(revision: &str) -> String {
    revision
        .parse::<capstan_core::Revision>()
        .map_or_else(|_| revision.to_owned(), |it| it.short())
}
