//! `capstan describe`: everything that is known of one cluster or unit.

use clap::Args;
use serde_json::Value;

use crate::{
    api::Api,
    commands::get::short,
    output::{self, Column, Format, age, printable, table, text},
};

/// `capstan describe NAME`.
#[derive(Args, Debug)]
pub(crate) struct Describe {
    /// A cluster (NAME) or a unit (CLUSTER/KIND/NAMESPACE/NAME).
    name: String,
    /// Form of the output; JSON and YAML have the object as the hub gives it.
    #[arg(long, short, default_value = "table")]
    output: Format,
}

/// What is shown of a cluster, and where it stands.
const CLUSTER: &[(&str, &str)] = &[
    ("Name", "/metadata/name"),
    ("UID", "/metadata/uid"),
    ("Labels", "/metadata/labels"),
    ("Environments", "/spec/environments"),
    ("Identity", "/status/identity"),
    ("Certificate ends", "/status/certificateEnds"),
    ("Agent", "/status/agentVersion"),
    ("Kubernetes", "/status/kubeVersion"),
    ("Revisions", "/status/revisions"),
    ("Generation", "/status/generation"),
    ("Received", "/status/receivedGeneration"),
    ("Units", "/status/units"),
    ("Units ready", "/status/unitsReady"),
    ("Objects", "/status/objects"),
];
/// The same of a unit.
const UNIT: &[(&str, &str)] = &[
    ("Name", "/metadata/key"),
    ("Environments", "/spec/environments"),
    ("Comes from", "/spec/origin"),
    ("Source", "/spec/source"),
    ("Depends on", "/spec/dependsOn"),
    ("Prune", "/spec/prune"),
    ("Wait", "/spec/wait"),
    ("Suspended", "/spec/suspend"),
    ("State", "/status/state"),
    ("Since", "/status/since"),
    ("Message", "/status/message"),
    ("Revision", "/status/revision"),
    ("Last applied", "/status/lastAppliedRevision"),
    ("Objects", "/status/objects"),
    ("Objects ready", "/status/objectsReady"),
    ("Drift corrected", "/status/driftCorrected"),
];

const CONDITIONS: &[Column] = &[
    column("TYPE", |it| text(it, "/type")),
    column("STATUS", |it| text(it, "/status")),
    column("REASON", |it| text(it, "/reason")),
    column("AGE", |it| since(it, "/lastTransitionTime")),
    column("MESSAGE", |it| text(it, "/message")),
];
const OBJECTS: &[Column] = &[
    column("HEALTH", |it| text(it, "/status/health")),
    column("OBJECT", |it| text(it, "/metadata/key")),
    column("MESSAGE", |it| text(it, "/status/message")),
];
const EVENTS: &[Column] = &[
    column("AGE", |it| since(it, "/time")),
    column("TYPE", |it| text(it, "/type")),
    column("REASON", |it| text(it, "/reason")),
    column("OBJECT", |it| text(it, "/spec/object")),
    column("MESSAGE", |it| text(it, "/message")),
];

const fn column(title: &'static str, cell: fn(&Value) -> String) -> Column {
    Column {
        title,
        wide: false,
        cell,
    }
}

fn since(item: &Value, pointer: &str) -> String {
    age(&text(item, pointer), jiff::Timestamp::now())
}

/// Fetches and prints.
pub(crate) async fn run(api: &Api, args: &Describe) -> anyhow::Result<()> {
    let name = args.name.strip_prefix("unit/").unwrap_or(&args.name);
    let name = name.strip_prefix("cluster/").unwrap_or(name);
    let is_unit = name.contains('/');
    let (path, filter, fields) = if is_unit {
        ("/units", "unit", UNIT)
    } else {
        ("/clusters", "cluster", CLUSTER)
    };
    let item = api.get(&format!("{path}/{name}"), &[]).await?;
    match args.output {
        Format::Json => return output::print(&format!("{item:#}\n")),
        Format::Yaml => return output::print(&output::to_yaml(&item)?),
        Format::Name => return output::print(&format!("{filter}/{name}\n")),
        Format::Table | Format::Wide => {}
    }
    let mut out = listed(&item, fields);
    out.push_str(&section(
        "Conditions",
        &item["status"]["conditions"],
        CONDITIONS,
    ));
    if is_unit {
        let objects = api.get("/objects", &[("unit", name)]).await?;
        out.push_str(&section("Objects", &objects["items"], OBJECTS));
    }
    let query = [(filter, name), ("limit", "20")];
    let events = api.get("/events", &query).await?;
    out.push_str(&section("Events", &events["items"], EVENTS));
    output::print(&out)
}

/// One line for each field that is there.
fn listed(item: &Value, fields: &[(&str, &str)]) -> String {
    let width = fields.iter().map(|it| it.0.len() + 1).max().unwrap_or(0);
    let lines = fields.iter().filter_map(|(title, pointer)| {
        let shown = plain(item.pointer(pointer)?);
        let title = format!("{title}:");
        (!shown.is_empty()).then(|| format!("{title:<width$} {}\n", printable(&shown)))
    });
    lines.collect()
}

/// A value as people read it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.contains("sha1:") => short(text),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(all) => {
            let pairs = all.iter().map(|(key, it)| match it {
                Value::Object(inner) => {
                    let values: Vec<_> = inner.values().map(plain).collect();
                    format!("{key} {}", values.join(", "))
                }
                it => format!("{key}={}", plain(it)),
            });
            pairs.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

fn section(title: &str, items: &Value, columns: &[Column]) -> String {
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return String::new();
    }
    let lines = table(items, false, columns);
    let lines: String = lines.lines().map(|it| format!("  {it}\n")).collect();
    format!("\n{title}:\n{lines}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_there_is_left_out() {
        let item = json!({
            "metadata": {"key": "dev/Kustomization/flux-system/apps"},
            "spec": {"dependsOn": [], "origin": {"Placement": {"name": "all"}}},
            "status": {"revision": "main@sha1:abababababababababababababababababababab", "message": ""},
        });
        assert_eq!(
            listed(&item, UNIT),
            "Name:            dev/Kustomization/flux-system/apps\n\
             Comes from:      Placement all\n\
             Revision:        main@abababababab\n"
        );
    }
}
