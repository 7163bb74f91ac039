//! Charts, archives, values and calls that nobody wrote on purpose: reading and rendering them ends, within the limits, without a panic.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot make its charts has failed"
)]

use std::io::Write as _;
use std::sync::Arc;

use capstan_gotemplate::{Funcs, Limits};
use capstan_helm::{
    Chart, Files, HelmVersion, Now, Release, RenderInput, Secret, Values, funcs, render,
};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const VERSIONS: [HelmVersion; 2] = [HelmVersion::V3, HelmVersion::V4];

/// Functions that take long on purpose, or search for primes: a handful of calls says as much about them as hundreds.
const SLOW: [&str; 4] = ["bcrypt", "htpasswd", "derivePassword", "genPrivateKey"];

fn input(version: HelmVersion) -> RenderInput {
    let release = Release::install("demo", "default");
    let mut input = RenderInput::offline(version, release, Now::default(), Secret::new([7; 32]));
    input.limits = Limits {
        steps: 100_000,
        output_bytes: 1 << 18,
        value_bytes: 4 << 20,
        template_depth: 100,
        interrupt: None,
    };
    input
}

fn render_all(chart: &Chart, values: &Values) {
    for version in VERSIONS {
        let _ = render(chart, values, &input(version));
    }
}

/// A chart that uses what archives and folders are read for.
const FILES: [(&str, &str); 9] = [
    (
        "Chart.yaml",
        "apiVersion: v2\nname: c\nversion: 0.1.0\ndependencies:\n- {name: sub, version: '*', condition: sub.on, import-values: [a]}\n",
    ),
    ("values.yaml", "a: {b: [1, null, x]}\nsub: {on: true}\n"),
    (
        "values.schema.json",
        "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"object\"}}}",
    ),
    (
        "templates/a.yaml",
        "kind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata:\n{{ toYaml .Values.a | nindent 2 }}\n",
    ),
    (
        "templates/_h.tpl",
        "{{ define \"h\" }}{{ tpl . $ }}{{ end }}",
    ),
    ("templates/NOTES.txt", "{{ .Files.Get \"x.txt\" }}"),
    ("x.txt", "text"),
    (
        "charts/sub/Chart.yaml",
        "apiVersion: v2\nname: sub\nversion: 0.1.0\n",
    ),
    ("charts/sub/values.yaml", "exports: {a: {z: 1}}\n"),
];

/// The chart packed, before it is compressed.
fn tar() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, text) in FILES {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, format!("c/{path}"), text.as_bytes())
            .unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Places in a text, each with what is written there.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    proptest::collection::vec(any::<(prop::sample::Index, u8)>(), 1..12)
}

fn changed(bytes: &[u8], changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (place, byte) in changes {
        let place = place.index(bytes.len());
        bytes[place] = *byte;
    }
    bytes
}

fn names() -> Vec<&'static str> {
    let mut all = Funcs::new();
    funcs::register(&mut all, HelmVersion::V4);
    let is_quick = |name: &&str| !SLOW.contains(name) && !name.starts_with("gen");
    let mut names: Vec<&str> = all.names().filter(is_quick).collect();
    names.extend(["include", "tpl", "required", "fail", "lookup"]);
    names
}

const ARGUMENTS: [&str; 34] = [
    "nil",
    "true",
    "0",
    "-1",
    "5",
    "1.5",
    "1e300",
    "9223372036854775807",
    "\"\"",
    "\"a b-C_d\"",
    "\"\\xff\\xfe\"",
    "\"1.2.3-x\"",
    "\"a: [1\"",
    "\"((a+)+)+$\"",
    "\"{{ . }}\"",
    "(list)",
    "(list 1 nil \"a\" (list))",
    "(dict)",
    "(dict \"a\" (dict \"b\" nil))",
    ".",
    ".Values",
    ".Files",
    "(int64 -9223372036854775808)",
    "(int64 9223372036854775807)",
    "-9223372036854775808",
    "now",
    "(toDate \"2006\" \"9999\")",
    "(dateModify \"2562047h\" now)",
    "\"2562047h47m16.854775807s\"",
    "\"Mon Jan _2 15:04:05.000 MST 2006\"",
    "\"-0x8p-1074\"",
    "(list 3 1 2 3)",
    "(until 40)",
    "(b64enc \"x\")",
];

/// Functions that read a text of their own language, each with the argument `.t` where such a text belongs.
const READERS: [&str; 32] = [
    "semver .t",
    "semverCompare .t \"1.2.3-x\"",
    "semverCompare \">1.2 <4\" .t",
    "date .t now",
    "(now).Format .t",
    "toDate .t .u",
    "mustToDate .t .t",
    "mustDateModify .t now",
    "durationRound .t",
    "duration .t",
    "urlParse .t",
    "regexMatch .t .u",
    "regexFindAll .t .u -1",
    "regexReplaceAll .t .u .u",
    "regexSplit .t .u -1",
    "fromYaml .t",
    "fromYamlArray .t",
    "fromJson .t",
    "fromToml .t",
    "toToml (fromYaml .t)",
    "toYaml (fromYaml .t)",
    "printf .t 1 \"a\" 1.5 nil",
    "printf .t (fromYaml .u)",
    "tpl .t .",
    "b32dec .t",
    "b64dec .t",
    "float64 .t | int64 | toDecimal",
    "mulf .t .u | divf .u",
    "splitn .u 3 .t",
    "wrapWith 3 .u .t",
    "snakecase .t | camelcase | kebabcase | title | initials | swapcase",
    ".Files.Glob .t",
];

/// Letters of all of these languages.
const TEXT: &str = "[a-cA-Z0-9 %#+*.,:;=<>|^~!?(){}\\[\\]\"'&$@/_\\\\\n\tµé-]{0,24}";

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, max_shrink_iters: 256, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn any_archive_ends(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Chart::from_archive(&bytes);
        let _ = Chart::from_archive(&gzip(&bytes));
    }

    #[test]
    fn a_damaged_archive_ends(changes in changes(), compressed in any::<bool>(), length in any::<prop::sample::Index>()) {
        let archive = if compressed {
            let whole = changed(&gzip(&tar()), &changes);
            let length = length.index(whole.len());
            whole[..length].to_vec()
        } else {
            gzip(&changed(&tar(), &changes))
        };
        if let Ok(chart) = Chart::from_archive(&archive) {
            render_all(&chart, &Values::new());
        }
    }

    #[test]
    fn a_damaged_chart_ends(file in 0..FILES.len(), changes in changes()) {
        let mut files: Files = FILES
            .iter()
            .map(|(path, text)| ((*path).to_owned(), Arc::from(text.as_bytes())))
            .collect();
        let (path, text) = FILES[file];
        files.insert(path.to_owned(), changed(text.as_bytes(), &changes).into());
        if let Ok(chart) = Chart::load(&files) {
            render_all(&chart, &Values::new());
        }
    }

    #[test]
    fn any_values_end(text in "[a-c0-9{}\\[\\]:,.=\"'& *|>\n-]{0,80}") {
        for version in VERSIONS {
            let _ = Values::parse(text.as_bytes(), version);
            let _ = Values::new().set_json(&text, version);
        }
        let _ = Values::new().set(&text);
        let _ = Values::new().set_literal(&text);
    }

    #[test]
    fn any_call_ends(
        name in proptest::sample::select(names()),
        arguments in proptest::collection::vec(proptest::sample::select(&ARGUMENTS[..]), 0..5),
        piped in any::<bool>(),
    ) {
        let (last, before) = arguments.split_last().map_or(("", &[][..]), |(last, before)| (*last, before));
        let text = if piped && !last.is_empty() {
            format!("{{{{ {last} | {name} {} }}}}", before.join(" "))
        } else {
            format!("{{{{ {name} {} }}}}", arguments.join(" "))
        };
        let files: Files = [("Chart.yaml", FILES[0].1), ("charts/sub/Chart.yaml", FILES[7].1), ("templates/t.yaml", &text)]
            .into_iter()
            .map(|(path, text)| (path.to_owned(), Arc::from(text.as_bytes())))
            .collect();
        render_all(&Chart::load(&files).unwrap(), &Values::new());
    }

    #[test]
    fn any_text_ends_where_it_is_read(reader in proptest::sample::select(&READERS[..]), text in TEXT, other in TEXT) {
        let template = format!("{{{{ with .Values }}}}{{{{ {reader} }}}}{{{{ end }}}}").replace(".Files", "$.Files");
        let values = serde_json::json!({"t": text, "u": other}).to_string();
        let files: Files = [("Chart.yaml", FILES[0].1), ("charts/sub/Chart.yaml", FILES[7].1), ("templates/t.yaml", &template), ("values.yaml", &values)]
            .into_iter()
            .map(|(path, text)| (path.to_owned(), Arc::from(text.as_bytes())))
            .collect();
        render_all(&Chart::load(&files).unwrap(), &Values::new());
    }
}

#[test]
fn an_archive_that_grows_without_end_is_refused() {
    let zeros = vec![0; 1 << 20];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..120 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 1 << 20);
    assert!(Chart::from_archive(&bomb).is_err());
}
