//! `capstan diff`: what a revision would change, and where.

use clap::Args;
use serde_json::{Value, json};

use crate::{
    api::Api,
    output::{self, Format, printable, text},
};

/// `capstan diff`.
#[derive(Args, Debug)]
pub(crate) struct Diff {
    /// A cluster (NAME) or a unit (CLUSTER/KIND/NAMESPACE/NAME); every cluster where nothing is said.
    name: Option<String>,
    /// The revision to compare with: a commit that the hub's mirror has. The newest where nothing is said.
    #[arg(long)]
    revision: Option<String>,
    /// Form of the output.
    #[arg(long, short, default_value = "table")]
    output: Format,
}

/// Prints the differences. Gives whether there are any: the exit code is that of `kubectl diff`.
pub(crate) async fn run(api: &Api, args: &Diff) -> anyhow::Result<bool> {
    let query = [("revision", args.revision.as_deref().unwrap_or_default())];
    let mut items = Vec::new();
    for path in paths(api, args.name.as_deref()).await? {
        let answer = api.get(&path, &query).await?;
        items.extend(answer["items"].as_array().cloned().unwrap_or_default());
    }
    match args.output {
        Format::Table | Format::Wide => {
            output::print(&items.iter().map(shown).collect::<String>())?;
        }
        other => output::print_list(&json!({"kind": "DiffList", "items": items}), other, &[])?,
    }
    Ok(!items.is_empty())
}

/// What to ask for.
async fn paths(api: &Api, name: Option<&str>) -> anyhow::Result<Vec<String>> {
    if let Some(name) = name {
        let kind = if name.contains('/') {
            "units"
        } else {
            "clusters"
        };
        return Ok(vec![format!("/{kind}/{name}/diff")]);
    }
    let clusters = api.get("/clusters", &[]).await?;
    let names = clusters["items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    Ok(names
        .iter()
        .map(|it| format!("/clusters/{}/diff", text(it, "/metadata/name")))
        .collect())
}

fn shown(item: &Value) -> String {
    let head = format!(
        "{} {} {}: {}",
        text(item, "/cluster"),
        text(item, "/unit"),
        text(item, "/object"),
        text(item, "/action")
    );
    let lines = text(item, "/diff");
    let lines: String = lines
        .lines()
        .map(|it| format!("{}\n", printable(it)))
        .collect();
    format!("{}\n{lines}", printable(&head))
}
