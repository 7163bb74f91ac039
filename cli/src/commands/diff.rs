//! `capstan diff`: what a revision would change, and where.

use clap::Args;
use serde_json::Value;

use crate::{
    api::Api,
    output::{self, Format, printable, text},
};

/// `capstan diff`.
#[derive(Args, Debug)]
pub(crate) struct Diff {
    /// The revision to compare with: a commit that the hub's mirror has. The newest where nothing is said.
    #[arg(long)]
    revision: Option<String>,
    /// Only of this cluster.
    #[arg(long, short)]
    cluster: Option<String>,
    /// Only of this unit (CLUSTER/KIND/NAMESPACE/NAME).
    #[arg(long, short)]
    unit: Option<String>,
    /// Form of the output.
    #[arg(long, short, default_value = "table")]
    output: Format,
}

/// Prints the differences. Gives whether there are any: the exit code is that of `kubectl diff`.
pub(crate) async fn run(api: &Api, args: &Diff) -> anyhow::Result<bool> {
    let query = [
        ("revision", args.revision.as_deref().unwrap_or_default()),
        ("cluster", args.cluster.as_deref().unwrap_or_default()),
        ("unit", args.unit.as_deref().unwrap_or_default()),
    ];
    let answer = api.get("/diff", &query).await?;
    let items = answer["items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    match args.output {
        Format::Table | Format::Wide => {
            output::print(&items.iter().map(shown).collect::<String>())?
        }
        other => output::print_list(&answer, other, &[])?,
    }
    Ok(!items.is_empty())
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
