//! The real `helm`, 3 and 4, against ours: one chart for each rule, and charts with generated values and templates.
//!
//! Output is compared byte by byte, errors by their words. Where the tools are not built the tests say `SKIPPED` and pass; with
//! `CAPSTAN_REQUIRE_TOOLS` set they build them, and fail where they cannot.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod differential;
#[path = "helm_differential/expressions.rs"]
mod expressions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use capstan_helm::{
    Chart, Files, HelmVersion, Now, Secret, TemplateOptions, TextOptions, Values, template,
};
use capstan_playground::toolchest::{Tool, Toolchest, can_test};
use differential::{Dice, shown};

/// Generated charts, and expressions, for each version: each costs a process.
const GENERATED: u64 = 40;
/// What makes an expression depend on the time or on Go's memory, or has words of a TOML library that we have not.
const NOT_COMPARED: [&str; 6] = [
    "date",
    "Date",
    "duration",
    "erge",
    "9223372036854775807",
    "fromToml",
];

struct Case {
    name: String,
    args: Vec<String>,
    files: BTreeMap<String, String>,
}

/// Reads cases: `### NAME`, perhaps `args: …`, and `== PATH` before each file.
fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut path = None;
    for line in text.split_inclusive('\n') {
        if let Some(name) = line.strip_prefix("### ") {
            cases.push(Case {
                name: name.trim().to_owned(),
                args: Vec::new(),
                files: BTreeMap::new(),
            });
            path = None;
            continue;
        }
        let Some(case) = cases.last_mut() else {
            continue;
        };
        match (line.strip_prefix("== "), line.strip_prefix("args: "), &path) {
            (Some(name), _, _) => path = Some(name.trim().to_owned()),
            (None, Some(args), None) => {
                case.args = args.split_whitespace().map(str::to_owned).collect();
            }
            (None, _, Some(path)) => case.files.entry(path.clone()).or_default().push_str(line),
            (None, None, None) => {}
        }
    }
    for case in &mut cases {
        let metadata = || "apiVersion: v2\nname: c\nversion: 0.1.0\n".to_owned();
        case.files
            .entry("Chart.yaml".to_owned())
            .or_insert_with(metadata);
    }
    cases
}

/// The real command, or `None` where it is not built and need not be.
fn helm(tool: Tool) -> Option<PathBuf> {
    can_test("charts against the real Helm", &[tool]).then(|| {
        Toolchest::from_env()
            .and_then(|chest| chest.path(tool))
            .unwrap()
    })
}

/// What the real command prints, or its error.
fn theirs(helm: &Path, case: &Case) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let chart = folder.path().join("chart");
    for (path, text) in &case.files {
        let path = chart.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let output = Command::new(helm)
        .args(["template", "release-name"])
        .arg(&chart)
        .args(&case.args)
        .env("HOME", folder.path())
        .env("KUBECONFIG", folder.path().join("none"))
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).unwrap());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let error = stderr
        .find("Error: ")
        .map_or(&*stderr, |at| &stderr[at + 7..]);
    let hint = "\n\nUse --debug flag to render out invalid YAML";
    Err(error.trim_end().replace(hint, "").trim_end().to_owned())
}

fn ours(case: &Case, version: HelmVersion) -> Result<String, String> {
    let files: Files = case
        .files
        .iter()
        .map(|(path, text)| (path.clone(), Arc::from(text.as_bytes())))
        .collect();
    let options = options(case, version)?;
    let chart = Chart::load(&files).map_err(|error| error.to_string())?;
    template(&chart, &options).map_err(|error| error.to_string().trim_end().to_owned())
}

fn options(case: &Case, version: HelmVersion) -> Result<TemplateOptions, String> {
    let mut options = TemplateOptions::new(version, Now::default(), Secret::new([1; 32]));
    let mut text = TextOptions::default();
    // Helm applies the flags by kind, not in the order in which they stand.
    let mut values = Values::new();
    let of = |flag: &str| {
        let pairs = case.args.windows(2).filter(move |pair| pair[0] == flag);
        pairs.map(|pair| pair[1].clone()).collect::<Vec<_>>()
    };
    let words = |error: capstan_helm::StrvalsError| error.to_string();
    for assignment in of("--set-json") {
        values = values.set_json(&assignment, version).map_err(words)?;
    }
    for assignment in of("--set") {
        values = values
            .set(&assignment)
            .map_err(|error| format!("failed parsing --set data: {error}"))?;
    }
    for assignment in of("--set-string") {
        values = values.set_string(&assignment).map_err(words)?;
    }
    for assignment in of("--set-literal") {
        values = values.set_literal(&assignment).map_err(words)?;
    }
    options.values = values;
    for arg in &case.args {
        match arg.as_str() {
            "--no-hooks" => text.no_hooks = true,
            "--skip-tests" => text.skip_tests = true,
            "--include-crds" => text.include_crds = true,
            "--is-upgrade" => options.is_upgrade = true,
            "--skip-schema-validation" => options.skip_schema_validation = true,
            _ => {}
        }
    }
    options.text = text;
    options.show_only = of("--show-only");
    options.kube_version = of("--kube-version").pop();
    for namespace in of("--namespace") {
        options.namespace = namespace;
    }
    for list in of("--api-versions") {
        options
            .api_versions
            .extend(list.split(',').map(str::to_owned));
    }
    Ok(options)
}

/// A result with the violations of schemas in order: Go's validator lists them, and the names in them, in the order of its maps.
fn in_order(result: &Result<String, String>) -> Result<String, Vec<Vec<&str>>> {
    let error = match result {
        Ok(text) => return Ok(text.clone()),
        Err(error) => error,
    };
    let mut lines: Vec<Vec<&str>> = error.lines().map(|line| vec![line]).collect();
    if error.starts_with("values don't meet") {
        for line in &mut lines {
            *line = line[0].split([' ', ',']).collect();
            line.sort_unstable();
        }
        lines.sort_unstable();
    }
    Err(lines)
}

/// Compares all cases and reports all differences at once.
fn compare(tool: Tool, version: HelmVersion, cases: &[Case]) {
    let Some(helm) = helm(tool) else { return };
    let mut differences = Vec::new();
    for case in cases {
        let (theirs, ours) = (theirs(&helm, case), ours(case, version));
        if in_order(&theirs) != in_order(&ours) {
            differences.push(format!(
                "### {} {:?}\n--- helm\n{}\n--- ours\n{}\n",
                case.name,
                case.args,
                shown(&theirs),
                shown(&ours)
            ));
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {} cases differ from {tool}:\n{}",
        differences.len(),
        cases.len(),
        differences.join("\n")
    );
}

/// The cases of one version: a few differ on purpose, and say so with `only: 3` or `only: 4` in their name.
fn rules(other: &str) -> Vec<Case> {
    let mut all = cases(include_str!("helm_cases/charts.txt"));
    all.retain(|case| !case.name.contains(other));
    all
}

#[test]
fn rules_are_those_of_helm_3() {
    compare(Tool::Helm3, HelmVersion::V3, &rules("(only 4)"));
}

#[test]
fn rules_are_those_of_helm_4() {
    compare(Tool::Helm4, HelmVersion::V4, &rules("(only 3)"));
}

const NAMES: [&str; 6] = ["a", "b", "c", "sub", "global", "x-y"];
const SCALARS: [&str; 14] = [
    "1", "0", "-2.5", "1e6", "true", "no", "null", "\"\"", "text", "\"1\"", "0644", "'a: b'", "[]",
    "{}",
];
const EXPRESSIONS: [&str; 16] = [
    "{{ toJson .Values }}",
    "{{ toYaml .Values | nindent 2 }}",
    "{{ .Values.a }}",
    "{{ .Values.sub.b }}",
    "{{ .Values.b | default \"d\" | quote }}",
    "{{ range $k, $v := .Values }}{{ $k }}={{ $v }} {{ end }}",
    "{{ if .Values.c }}yes{{ else }}no{{ end }}",
    "{{ with .Values.global }}{{ .a }}{{ end }}",
    "{{ printf \"%v %T\" .Values.a .Values.a }}",
    "{{ eq (toString .Values.a) \"1\" }}",
    "{{ merge (dict \"z\" 1) (.Values.sub | default dict) | toJson }}",
    "{{ index .Values \"x-y\" }}",
    "{{ tpl \"{{ .Values.a }}\" . }}",
    "{{ .Values.c | int }} {{ .Values.c | toString | trunc 3 }}",
    "{{ hasKey .Values \"a\" }} {{ kindOf .Values.b }}",
    "{{ include \"h\" . }}",
];

fn generated_values(dice: &mut Dice, depth: usize) -> String {
    let mut out = String::new();
    for name in NAMES {
        // What is no map where a chart's values belong ends the render, which is one rule among many.
        let must_be_map = depth == 0 && name == "sub" && dice.roll(8) > 0;
        match dice.roll(4) {
            0 => {}
            1 if depth < 2 => {
                let inner = generated_values(dice, depth + 1);
                let indented: String = inner.lines().map(|line| format!("  {line}\n")).collect();
                out.push_str(&if indented.is_empty() {
                    format!("{name}: {{}}\n")
                } else {
                    format!("{name}:\n{indented}")
                });
            }
            _ if must_be_map => out.push_str("sub: {a: true, b: 2}\n"),
            2 => {
                let items = [dice.pick(&SCALARS), dice.pick(&SCALARS)];
                out.push_str(&format!("{name}: [{}, {}]\n", items[0], items[1]));
            }
            _ => out.push_str(&format!("{name}: {}\n", dice.pick(&SCALARS))),
        }
    }
    out
}

fn generated(seed: u64) -> Case {
    let mut dice = Dice(seed.wrapping_mul(7919) + 1);
    let mut files = BTreeMap::new();
    let mut add = |path: &str, text: String| files.insert(path.to_owned(), text);
    let declares = dice.roll(2) == 0;
    let dependencies = if declares {
        "dependencies: [{name: sub, version: \"*\", condition: sub.a}]\n"
    } else {
        ""
    };
    add(
        "Chart.yaml",
        format!("apiVersion: v2\nname: c\nversion: 0.1.0\n{dependencies}"),
    );
    add("values.yaml", generated_values(&mut dice, 0));
    add(
        "charts/sub/Chart.yaml",
        "apiVersion: v2\nname: sub\nversion: 0.1.0\n".to_owned(),
    );
    add("charts/sub/values.yaml", generated_values(&mut dice, 0));
    add(
        "templates/_h.tpl",
        format!(
            "{{{{ define \"h\" }}}}{}{{{{ end }}}}",
            EXPRESSIONS[dice.roll(4)]
        ),
    );
    for path in ["templates/a.yaml", "charts/sub/templates/a.yaml"] {
        let mut text = String::new();
        for key in 0..3 {
            let expression = dice.pick(&EXPRESSIONS);
            text.push_str(&format!("# k{key}: {expression}\n"));
        }
        add(path, text);
    }
    let given = generated_values(&mut dice, 1);
    let mut args = Vec::new();
    for line in given.lines().filter(|line| !line.starts_with(' ')) {
        if let Some((name, value)) = line.split_once(": ")
            && !value.contains(['[', '{', ' ', '\''])
            && (name != "sub" || dice.roll(8) == 0)
        {
            args.extend(["--set".to_owned(), format!("{name}={value}")]);
        }
    }
    Case {
        name: format!("generated from seed {seed}"),
        args,
        files,
    }
}

/// A chart with one expression; what it gives is encoded, so that any text is YAML.
fn generated_expression(seed: u64) -> Option<Case> {
    let mut dice = Dice(seed.wrapping_mul(104_729) + 1);
    let depth = dice.roll(4);
    let expression = expressions::expression(&mut dice, depth);
    let compared = !NOT_COMPARED.iter().any(|part| expression.contains(part));
    let template = format!("v: {{{{ {expression} | toString | b64enc }}}}\n");
    let mut all = cases(&format!("### expression {seed}: {expression}\n"));
    let case = all.pop().filter(|_| compared);
    case.map(|mut case| {
        let values = expressions::VALUES.to_owned();
        case.files.insert("values.yaml".to_owned(), values);
        case.files.insert("templates/a.yaml".to_owned(), template);
        case
    })
}

fn generated_expressions() -> Vec<Case> {
    let compared = (0..).filter_map(generated_expression);
    compared.take(GENERATED as usize).collect()
}

#[test]
fn generated_expressions_are_as_in_helm_3() {
    compare(Tool::Helm3, HelmVersion::V3, &generated_expressions());
}

#[test]
fn generated_expressions_are_as_in_helm_4() {
    compare(Tool::Helm4, HelmVersion::V4, &generated_expressions());
}

#[test]
fn generated_charts_are_as_in_helm_3() {
    let cases: Vec<Case> = (0..GENERATED).map(generated).collect();
    compare(Tool::Helm3, HelmVersion::V3, &cases);
}

#[test]
fn generated_charts_are_as_in_helm_4() {
    let cases: Vec<Case> = (0..GENERATED).map(generated).collect();
    compare(Tool::Helm4, HelmVersion::V4, &cases);
}
