//! How answers are printed: tables for people, JSON, YAML and names for programs. Data goes to stdout, the rest to stderr.

use std::{fmt::Write, io};

use anyhow::Context;
use clap::ValueEnum;
use serde_json::Value;

/// A form of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns.
    #[default]
    Table,
    /// More columns.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// `kind/name`, one a line.
    Name,
}

/// One column of a table: its title, and what it shows of an item.
pub(crate) struct Column {
    /// Title, in capitals.
    pub(crate) title: &'static str,
    /// Whether it is there only where the output is wide.
    pub(crate) wide: bool,
    /// What it shows.
    pub(crate) cell: fn(&Value) -> String,
}

/// Prints a list `{"items": [...]}` in the form asked for.
pub(crate) fn print_list(list: &Value, format: Format, columns: &[Column]) -> anyhow::Result<()> {
    let items = list["items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    match format {
        Format::Json => print(&format!("{}\n", serde_json::to_string_pretty(list)?)),
        Format::Yaml => print(&to_yaml(list)?),
        Format::Name => {
            let mut out = String::new();
            for item in items {
                // A unit is named by its key, which the other commands take.
                let key = text(item, "/metadata/key");
                let name = if key.is_empty() {
                    text(item, "/metadata/name")
                } else {
                    key
                };
                writeln!(out, "{}/{name}", text(item, "/kind").to_lowercase())?;
            }
            print(&out)
        }
        Format::Table | Format::Wide => {
            if items.is_empty() {
                tell("Nothing found.");
                return Ok(());
            }
            print(&table(items, format == Format::Wide, columns))
        }
    }
}

/// A JSON value as YAML.
pub(crate) fn to_yaml(value: &Value) -> anyhow::Result<String> {
    capstan_goyaml::marshal(value).context("the answer cannot be written as YAML")
}

/// A table with columns as wide as they need.
pub(crate) fn table(items: &[Value], wide: bool, columns: &[Column]) -> String {
    let columns: Vec<&Column> = columns.iter().filter(|it| wide || !it.wide).collect();
    let mut rows = vec![
        columns
            .iter()
            .map(|it| it.title.to_owned())
            .collect::<Vec<_>>(),
    ];
    rows.extend(items.iter().map(|item| {
        columns
            .iter()
            .map(|it| printable(&(it.cell)(item)))
            .collect()
    }));
    let width = |at: usize| {
        rows.iter()
            .map(|it| it[at].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        let cells = row
            .iter()
            .zip(&widths)
            // Not by a width of `format!`, which ends at 65,535.
            .map(|(cell, width)| cell.clone() + &" ".repeat(width - cell.chars().count()));
        let line = cells.collect::<Vec<_>>().join("   ");
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Text from Git and agents without what would steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    let clean = |it: char| if it.is_control() { ' ' } else { it };
    text.chars().map(clean).collect()
}

/// A text of an item, or nothing.
pub(crate) fn text(item: &Value, pointer: &str) -> String {
    match item.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// The condition of a type.
pub(crate) fn condition<'a>(item: &'a Value, kind: &str) -> Option<&'a Value> {
    item.pointer("/status/conditions")?
        .as_array()?
        .iter()
        .find(|it| it["type"] == kind)
}

/// Writes to stdout. A reader that went away, as `head` does, is no error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    use io::Write as _;
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("stdout"),
    }
}

/// Says something to the person, on stderr.
pub(crate) fn tell(text: &str) {
    eprintln!("{text}");
}

/// How long before `now` the time (RFC 3339) was, as kubectl shows ages. Empty where it is no time.
pub(crate) fn age(since: &str, now: jiff::Timestamp) -> String {
    let Ok(since) = since.parse::<jiff::Timestamp>() else {
        return String::new();
    };
    let seconds = now.as_second().saturating_sub(since.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NAME: Column = Column {
        title: "NAME",
        wide: false,
        cell: |it| text(it, "/metadata/name"),
    };
    const UID: Column = Column {
        title: "UID",
        wide: true,
        cell: |it| text(it, "/metadata/uid"),
    };

    #[test]
    fn tables_line_up_and_hide_wide_columns() {
        let items = [
            json!({"metadata": {"name": "a", "uid": "1"}}),
            json!({"metadata": {"name": "long", "uid": "2"}}),
        ];
        assert_eq!(table(&items, false, &[NAME, UID]), "NAME\na\nlong\n");
        assert_eq!(
            table(&items, true, &[NAME, UID]),
            "NAME   UID\na      1\nlong   2\n"
        );
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\n"), "a [31mb ");
    }

    #[test]
    fn ages_are_short() {
        let table = [
            (5, "5s"),
            (119, "119s"),
            (600, "10m"),
            (7200, "2h"),
            (200_000, "2d"),
        ];
        for (seconds, expect) in table {
            let now = jiff::Timestamp::from_second(seconds).unwrap();
            assert_eq!(age("1970-01-01T00:00:00Z", now), expect);
        }
        assert_eq!(age("never", jiff::Timestamp::UNIX_EPOCH), "");
    }
}
