//! Takes out of a transcript what two equal servers may say differently: identities, times, the numbers of versions, generated names, and words of
//! the libraries that they are made with.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

/// Names values by the order in which they appear, so that "the same as before" and "another than before" remain visible.
#[derive(Default)]
pub(crate) struct Normaliser {
    uids: BTreeMap<String, usize>,
    versions: BTreeMap<String, usize>,
}

impl Normaliser {
    /// The answer without what may differ, as text.
    pub(crate) fn text(&mut self, answer: &Value) -> String {
        let mut answer = answer.clone();
        self.walk(&mut answer);
        let text = format!("{:#}", sorted(&answer));
        let uid = Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
            .expect("a pattern");
        let time = Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").expect("a pattern");
        let too_old = Regex::new(r"too old resource version: \d+ \(\d+\)").expect("a pattern");
        let text = library_words(&text);
        let text = uid.replace_all(&text, |found: &regex::Captures<'_>| {
            format!("<uid {}>", number(&mut self.uids, &found[0]))
        });
        let text = time.replace_all(&text, "<time>");
        too_old
            .replace_all(&text, "too old resource version: <version> (<version>)")
            .into_owned()
    }

    fn walk(&mut self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk(item)),
            Value::Object(map) => {
                // The version of a list moves with every write of anybody, so it may be anything.
                let is_list = map.get("items").is_some_and(Value::is_array);
                // Says whether the stored form changed; a client that is no storage migrator has no use for it.
                map.shift_remove("storageVersionHash");
                for key in ["gitCommit", "goVersion"] {
                    map.entry(key).and_modify(|built| *built = "<built>".into());
                }
                if let Some(prefix) = map.get("generateName").and_then(Value::as_str)
                    && map.contains_key("name")
                {
                    let name = format!("{prefix}<generated>");
                    map.insert("name".to_owned(), name.into());
                }
                // So does that of a bookmark: it is of whatever was written last, by anybody.
                if map.get("type").is_some_and(|it| it == "BOOKMARK")
                    && let Some(version) = map
                        .get_mut("object")
                        .and_then(|it| it.pointer_mut("/metadata/resourceVersion"))
                {
                    *version = "<bookmark>".into();
                }
                for (key, item) in map.iter_mut() {
                    match (key.as_str(), &mut *item) {
                        ("metadata", Value::Object(list)) if is_list => {
                            for field in ["resourceVersion", "continue"] {
                                if let Some(Value::String(text)) = list.get_mut(field) {
                                    *text = format!("<list {field}>");
                                }
                            }
                        }
                        ("resourceVersion", Value::String(version))
                            if version.parse::<u64>().is_ok_and(|version| version > 0) =>
                        {
                            *version = format!("<version {}>", number(&mut self.versions, version));
                        }
                        ("managedFields", Value::Array(entries)) => entries.sort_by_key(entry_key),
                        _ => {}
                    }
                    self.walk(item);
                }
            }
            _ => {}
        }
    }
}

/// How a parser puts what is wrong with JSON, the difference of two Go values printed line by line, and versions within a text.
fn library_words(text: &str) -> String {
    let syntax = Regex::new(r#"invalid character[^"]*"#).expect("a pattern");
    let difference = Regex::new(r#"\\n@@ (?:[^"\\]|\\.)*"#).expect("a pattern");
    let version = Regex::new(r#"(resourceVersion\\+":\\+")\d+"#).expect("a pattern");
    let record = Regex::new(r"\(\d+\)( does not match the ResourceVersion in record )\(\d+\)")
        .expect("a pattern");
    let text = syntax.replace_all(text, "<syntax error>");
    let text = record.replace_all(&text, "(<version>)$1(<version>)");
    let text = difference.replace_all(&text, "");
    version.replace_all(&text, "$1<version>").into_owned()
}

/// The server orders entries by time in seconds, then by name: whether two writes fall into one second is chance.
fn entry_key(entry: &Value) -> (String, String, String, String) {
    let text = |key: &str| entry[key].to_string();
    (
        text("operation"),
        text("manager"),
        text("subresource"),
        text("apiVersion"),
    )
}

fn number(known: &mut BTreeMap<String, usize>, value: &str) -> usize {
    let next = known.len() + 1;
    *known.entry(value.to_owned()).or_insert(next)
}

/// With keys in order: two servers may write fields of an object in different orders.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(map) => {
            let ordered: BTreeMap<_, _> = map
                .iter()
                .map(|(key, item)| (key.clone(), sorted(item)))
                .collect();
            ordered.into_iter().collect()
        }
        other => other.clone(),
    }
}
