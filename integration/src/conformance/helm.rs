//! Charts: our renders against what Helm 3 and Helm 4 printed.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use capstan_goyaml::{JsonBuilder, unmarshal};
use capstan_helm::{
    Chart, Error, Facts, Files, HelmVersion, KubeVersion, Now, Release, RenderInput, Secret,
    TemplateOptions, Values, render_files, template,
};
use serde_json::Value;

use super::{Group, Report, Verdict, compare};

/// The files and folders that hold cases; any may be missing.
pub(crate) const PARTS: [&str; 2] = ["probes.jsonl", "cases.tsv"];

/// The versions, with the folder of what each is expected to print and the Kubernetes version that the probes were made with: those of
/// Helm 3 print `.Capabilities.KubeVersion` as v1.20.0, what its packages say of themselves in a program that does not stamp a version
/// into them as the command's build does.
const VERSIONS: [(HelmVersion, &str, &str); 2] = [
    (HelmVersion::V3, "3.21", "v1.20.0"),
    (HelmVersion::V4, "4.2", "v1.36.0"),
];
/// The Kubernetes version of the real cases.
const CASES_KUBE_VERSION: &str = "v1.36.0";

/// Runs all cases in a folder.
pub(crate) fn run(folder: &Path) -> io::Result<Report> {
    let mut probes = [Group::new("probes, Helm 3"), Group::new("probes, Helm 4")];
    let mut cases = [Group::new("charts, Helm 3"), Group::new("charts, Helm 4")];
    run_probes(folder, &mut probes)?;
    run_cases(folder, &mut cases)?;
    let groups = probes.into_iter().chain(cases);
    Ok(Report(groups.filter(|group| group.total > 0).collect()))
}

/// The time of all renders: cases that print it are not among the deterministic ones.
pub(crate) fn now() -> Now {
    Now {
        seconds: 1_700_000_000,
        nanoseconds: 0,
    }
}

/// What random values come from; cases that have some are not compared.
pub(crate) fn secret() -> Secret {
    Secret::new([7; 32])
}

fn text<'v>(case: &'v Value, key: &str) -> &'v str {
    case.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn run_probes(folder: &Path, groups: &mut [Group; 2]) -> io::Result<()> {
    let path = folder.join("probes.jsonl");
    if !path.exists() {
        return Ok(());
    }
    let default_values =
        std::fs::read_to_string(folder.join("probes_values.yaml")).unwrap_or_default();
    for (number, line) in std::fs::read_to_string(path)?.lines().enumerate() {
        let probe: Value = serde_json::from_str(line)?;
        if probe.get("nondeterministic").is_some() {
            continue;
        }
        let name = format!("{} {}", number + 1, text(&probe, "template"));
        for (group, (version, _, kube_version)) in groups.iter_mut().zip(VERSIONS) {
            let result = run_probe(&probe, &default_values, version, kube_version);
            group.record(&name, judge_probe(&probe, version, &result));
        }
    }
    Ok(())
}

/// The chart that the probes are templates of.
fn probe_chart(template: &str, values: &str) -> Result<Chart, String> {
    let metadata = "apiVersion: v2\nname: c\nversion: 1.2.3\nappVersion: \"4.5\"\nkeywords: [a, b]\nmaintainers: [{name: m}]\n";
    let files = [
        ("Chart.yaml", metadata),
        ("values.yaml", values),
        ("templates/t.yaml", template),
        ("files/a.txt", "line1\nline2\n"),
        ("files/b.bin", "x: 1\n"),
    ];
    let mut files: Files = files
        .into_iter()
        .map(|(path, text)| (path.to_owned(), Arc::from(text.as_bytes())))
        .collect();
    if template.contains("files/empty.txt") {
        files.insert("files/empty.txt".to_owned(), Arc::from(&b""[..]));
    }
    Chart::load(&files).map_err(|error| error.to_string())
}

/// What the one template of a probe gives, or the error as Go words it.
fn run_probe(
    probe: &Value,
    default_values: &str,
    version: HelmVersion,
    kube_version: &str,
) -> Result<String, String> {
    let values = probe
        .get("values")
        .and_then(Value::as_str)
        .unwrap_or(default_values);
    let chart = probe_chart(text(probe, "template"), values)?;
    let mut given = Values::parse(text(probe, "over").as_bytes(), version)?;
    for assignment in probe
        .get("set")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        given = given.set(assignment).map_err(|error| error.to_string())?;
    }
    let mut input = RenderInput::offline(version, Release::install("r", "ns"), now(), secret());
    input.facts = Facts {
        kube_version: KubeVersion::parse(kube_version).map_err(|error| error.to_string())?,
        ..Facts::offline()
    };
    let files = render_files(&chart, &given, &input).map_err(|error| match error {
        Error::Template(error) if !error.message.starts_with("parse error") => {
            // What `fail` and `required` say is shown alone; other errors are compared in Go's words, which both versions share.
            if error.message.starts_with("execution error at") {
                error.message
            } else {
                error.go
            }
        }
        other => other.to_string(),
    })?;
    Ok(files.get("c/templates/t.yaml").cloned().unwrap_or_default())
}

fn judge_probe(probe: &Value, version: HelmVersion, result: &Result<String, String>) -> Verdict {
    let expected = match version {
        HelmVersion::V4 => probe.get("v4").or_else(|| probe.get("v3")),
        HelmVersion::V3 => probe.get("v3"),
    };
    let Some(expected) = expected else {
        return Verdict::Failed("  the probe says nothing of this version\n".to_owned());
    };
    match (text(expected, "err"), result) {
        ("", Ok(output)) => compare(text(expected, "out"), output),
        ("", Err(error)) => Verdict::Failed(format!("  {error}\n")),
        (error, Ok(_)) => Verdict::Failed(format!("  an error was expected: {error}\n")),
        (expected, Err(error)) => compare(expected, &go_words(probe, version, error)),
    }
}

/// Where a probe says nothing of its own about Helm 4, its error is Helm 3's. The two differ in the names of Go's packages and in one prefix.
fn go_words(probe: &Value, version: HelmVersion, error: &str) -> String {
    if version == HelmVersion::V3 || probe.get("v4").is_some() {
        return error.to_owned();
    }
    ["KubeVersion", "Values", "VersionSet"].into_iter().fold(
        error.replace("cannot unmarshal yaml document: ", ""),
        |text, name| text.replace(&format!("common.{name}"), &format!("chartutil.{name}")),
    )
}

fn run_cases(folder: &Path, groups: &mut [Group; 2]) -> io::Result<()> {
    let Ok(list) = std::fs::read_to_string(folder.join("cases.tsv")) else {
        return Ok(());
    };
    let mut charts = BTreeMap::new();
    for line in list.lines().skip(1) {
        let mut columns = line.split('\t');
        let (Some(case), Some(name), Some(values)) =
            (columns.next(), columns.next(), columns.next())
        else {
            continue;
        };
        let path = folder.join("charts").join(name);
        if !charts.contains_key(name) {
            charts.insert(name.to_owned(), load_chart(&path)?);
        }
        let values = if values == "-" {
            Vec::new()
        } else {
            std::fs::read(path.join(values))?
        };
        for (group, (version, expected, _)) in groups.iter_mut().zip(VERSIONS) {
            let expected = folder
                .join("expected")
                .join(expected)
                .join(format!("{case}.yaml"));
            if !expected.exists() {
                continue;
            }
            let result = match &charts[name] {
                Ok(chart) => run_case(chart, &values, version),
                Err(error) => Err(error.clone()),
            };
            let verdict = match result {
                Ok(output) => compare_documents(&std::fs::read_to_string(expected)?, &output),
                Err(error) => Verdict::Failed(format!("  {error}\n")),
            };
            group.record(case, verdict);
        }
    }
    Ok(())
}

fn run_case(chart: &Chart, values: &[u8], version: HelmVersion) -> Result<String, String> {
    let mut options = TemplateOptions::new(version, now(), secret());
    options.values = Values::parse(values, version)?;
    options.kube_version = Some(CASES_KUBE_VERSION.to_owned());
    template(chart, &options).map_err(|error| error.to_string())
}

/// A chart from a folder, or why it is none.
pub(crate) fn load_chart(folder: &Path) -> io::Result<Result<Chart, String>> {
    let mut files = Files::new();
    add_folder(&mut files, folder, "")?;
    Ok(Chart::load(&files).map_err(|error| error.to_string()))
}

/// Adds what is in a folder; links are followed, as Helm does.
pub(crate) fn add_folder(files: &mut Files, folder: &Path, prefix: &str) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            add_folder(files, &entry.path(), &format!("{name}/"))?;
        } else {
            files.insert(name, std::fs::read(entry.path())?.into());
        }
    }
    Ok(())
}

/// Compares what documents mean, one by one and in order. Documents of comments only do not count.
pub(crate) fn compare_documents(expected: &str, actual: &str) -> Verdict {
    let (expected, actual) = (documents(expected), documents(actual));
    for (index, (expected, actual)) in expected.iter().zip(&actual).enumerate() {
        if expected.1 != actual.1 {
            let pretty = |(text, value): &(String, Value)| match value {
                Value::String(_) => text.clone(),
                value => serde_json::to_string_pretty(&sorted(value))
                    .unwrap_or_else(|error| error.to_string()),
            };
            return match compare(&pretty(expected), &pretty(actual)) {
                Verdict::Failed(reason) => {
                    let source = expected.0.lines().next().unwrap_or_default();
                    Verdict::Failed(format!("  document {} ({source})\n{reason}", index + 1))
                }
                Verdict::Passed => Verdict::Failed(format!("  document {} differs\n", index + 1)),
            };
        }
    }
    if expected.len() == actual.len() {
        return Verdict::Passed;
    }
    let sources = |documents: &[(String, Value)]| {
        let first: Vec<_> = documents
            .iter()
            .map(|(text, _)| text.lines().next().unwrap_or_default().to_owned())
            .collect();
        first.join("\n")
    };
    match compare(&sources(&expected), &sources(&actual)) {
        Verdict::Failed(reason) => Verdict::Failed(format!(
            "  {} documents, {} were expected\n{reason}",
            actual.len(),
            expected.len()
        )),
        Verdict::Passed => Verdict::Failed(format!(
            "  {} documents, {} were expected\n",
            actual.len(),
            expected.len()
        )),
    }
}

/// Texts and what they mean by YAML 1.1. Text that is no YAML stands for itself.
fn documents(text: &str) -> Vec<(String, Value)> {
    let mut texts = vec![String::new()];
    for line in text.split_inclusive('\n') {
        match line.strip_prefix("---") {
            Some(rest) => texts.push(rest.trim_start_matches([' ', '\t']).to_owned()),
            None => {
                if let Some(last) = texts.last_mut() {
                    last.push_str(line);
                }
            }
        }
    }
    let meant = texts.into_iter().map(|text| {
        let value = unmarshal(text.as_bytes(), &mut JsonBuilder)
            .unwrap_or_else(|_| Value::String(text.trim().to_owned()));
        (text.trim_start().to_owned(), value)
    });
    meant.filter(|(_, value)| !value.is_null()).collect()
}

/// The value with the keys of its maps in order, for people to compare.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let entries: BTreeMap<_, _> = object
                .iter()
                .map(|(key, value)| (key.clone(), sorted(value)))
                .collect();
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(expected: &str, actual: &str) -> bool {
        matches!(compare_documents(expected, actual), Verdict::Passed)
    }

    #[test]
    fn documents_compare_by_meaning_and_order() {
        assert!(passes(
            "---\n# Source: a\na: yes\nb: [1, 2]\n",
            "---\n# other\nb:\n- 1\n- 2\na: true\n"
        ));
        assert!(passes("---\na: 1\n---\n# nothing\n", "a: 1\n"));
        assert!(!passes("---\na: 1\n---\nb: 1\n", "---\nb: 1\n---\na: 1\n"));
        assert!(!passes("---\na: 1\n", "---\na: \"1\"\n"));
        assert!(!passes("---\na: 1\n---\nb: 1\n", "---\na: 1\n"));
        assert!(!passes("---\na: [\n", "---\na: {\n"));
    }
}
