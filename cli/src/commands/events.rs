//! `capstan events`: what happened.

use clap::Args;

use super::wait;
use crate::{
    api::Api,
    output::{self, Column, Format, age, text},
};

/// `capstan events`.
#[derive(Args, Debug)]
pub(crate) struct Events {
    /// Only of this cluster.
    #[arg(long, short)]
    cluster: Option<String>,
    /// Only of this unit (CLUSTER/KIND/NAMESPACE/NAME).
    #[arg(long, short)]
    unit: Option<String>,
    /// How many at most, the newest ones.
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Form of the output.
    #[arg(long, short, default_value = "table")]
    output: Format,
    /// Go on with what happens from now.
    #[arg(long, short)]
    watch: bool,
}

const COLUMNS: &[Column] = &[
    Column {
        title: "AGE",
        wide: false,
        cell: |it| age(&text(it, "/time"), jiff::Timestamp::now()),
    },
    Column {
        title: "TYPE",
        wide: false,
        cell: |it| text(it, "/type"),
    },
    Column {
        title: "REASON",
        wide: false,
        cell: |it| text(it, "/reason"),
    },
    Column {
        title: "CLUSTER",
        wide: false,
        cell: |it| text(it, "/spec/cluster"),
    },
    Column {
        title: "UNIT",
        wide: true,
        cell: |it| text(it, "/spec/unit"),
    },
    Column {
        title: "OBJECT",
        wide: false,
        cell: |it| text(it, "/spec/object"),
    },
    Column {
        title: "MESSAGE",
        wide: false,
        cell: |it| text(it, "/message"),
    },
];

/// Lists, once or as they come.
pub(crate) async fn run(api: &Api, args: &Events) -> anyhow::Result<()> {
    let mut after = String::new();
    let mut first = true;
    wait::on_changes(api, async || {
        let limit = args.limit.to_string();
        let query = [
            ("cluster", args.cluster.as_deref().unwrap_or_default()),
            ("unit", args.unit.as_deref().unwrap_or_default()),
            ("after", after.as_str()),
            ("limit", limit.as_str()),
        ];
        let events = api.get("/events", &query).await?;
        let items = events["items"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        if let Some(last) = items.iter().filter_map(|it| it["number"].as_u64()).max() {
            after = last.to_string();
        }
        let anything = !items.is_empty();
        match args.output {
            // One title is enough for all that follows.
            Format::Table | Format::Wide if anything && !first => {
                let rows = output::table(items, args.output == Format::Wide, COLUMNS);
                output::print(rows.split_once('\n').map_or("", |it| it.1))?;
            }
            format if anything || first => output::print_list(&events, format, COLUMNS)?,
            _ => {}
        }
        first = false;
        Ok(!args.watch)
    })
    .await
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_event_without_a_time_has_no_age() {
        let cells: Vec<String> = COLUMNS.iter().map(|it| (it.cell)(&Value::Null)).collect();
        assert!(cells.iter().all(String::is_empty));
        let event = json!({"reason": "DriftCorrected"});
        assert_eq!((COLUMNS[2].cell)(&event), "DriftCorrected");
    }
}
