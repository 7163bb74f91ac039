//! `capstan describe`: everything that is known of one cluster or unit.

use clap::Args;
use serde_json::Value;

use crate::{
    api::Api,
    output::{self, printable, text},
};

/// `capstan describe NAME`.
#[derive(Args, Debug)]
pub(crate) struct Describe {
    /// A cluster (NAME) or a unit (CLUSTER/KIND/NAMESPACE/NAME).
    name: String,
}

/// Fetches and prints.
pub(crate) async fn run(api: &Api, args: &Describe) -> anyhow::Result<()> {
    let is_unit = args.name.contains('/');
    let (path, filter) = if is_unit {
        ("/units", "unit")
    } else {
        ("/clusters", "cluster")
    };
    let item = api.get(&format!("{path}/{}", args.name), &[]).await?;
    let mut out = output::to_yaml(&item)?;
    let events = api
        .get("/events", &[(filter, &args.name), ("limit", "20")])
        .await?;
    out.push_str(&section("Events", &events, |it| {
        format!(
            "{}  {}  {}",
            text(it, "/type"),
            text(it, "/reason"),
            text(it, "/message")
        )
    }));
    if is_unit {
        let objects = api.get("/objects", &[("unit", &args.name)]).await?;
        out.push_str(&section("Objects", &objects, |it| {
            format!(
                "{}  {}/{}  {}",
                text(it, "/status/health"),
                text(it, "/spec/kind"),
                text(it, "/metadata/name"),
                text(it, "/status/conditions/0/message")
            )
        }));
    }
    output::print(&out)
}

fn section(title: &str, list: &Value, line: impl Fn(&Value) -> String) -> String {
    let items = list["items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if items.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = items
        .iter()
        .map(|it| format!("  {}\n", printable(&line(it))))
        .collect();
    format!("\n{title}:\n{}", lines.concat())
}
