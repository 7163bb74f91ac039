//! Renders from end to end: what a caller gives, and what it gets back.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_helm::{
    Chart, Error, Files, HelmVersion, Lookup, Lookups, Now, Release, RenderInput, Secret,
    TemplateOptions, Values, render, template,
};
use serde_json::json;

fn chart(files: &[(&str, &str)]) -> Chart {
    let mut all: Files = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), Arc::from(text.as_bytes())))
        .collect();
    all.entry("Chart.yaml".to_owned())
        .or_insert_with(|| Arc::from(&b"{apiVersion: v2, name: c, version: 0.1.0}"[..]));
    Chart::load(&all).unwrap()
}

fn input(version: HelmVersion) -> RenderInput {
    RenderInput::offline(
        version,
        Release::install("demo", "default"),
        Now::default(),
        Secret::new([7; 32]),
    )
}

fn secret_lookup() -> Lookup {
    Lookup {
        api_version: "v1".to_owned(),
        kind: "Secret".to_owned(),
        namespace: "default".to_owned(),
        name: "pw".to_owned(),
    }
}

const LOOKS_UP: &str = "{{ $s := lookup \"v1\" \"Secret\" \"default\" \"pw\" }}kind: ConfigMap\ndata: {v: {{ dig \"data\" \"v\" \"none\" $s }}}\n";

#[test]
fn lookups_are_declared_and_answered() {
    let chart = chart(&[("templates/a.yaml", LOOKS_UP)]);
    let offline = render(&chart, &Values::new(), &input(HelmVersion::V4)).unwrap();
    assert_eq!(offline.wanted, [secret_lookup()]);
    assert!(offline.manifests[0].text.contains("v: none") && !offline.manifests[0].sensitive);

    let mut answered = input(HelmVersion::V4);
    answered.lookups = Lookups::Given(BTreeMap::from([(
        secret_lookup(),
        Some(json!({"data": {"v": "live"}})),
    )]));
    let live = render(&chart, &Values::new(), &answered).unwrap();
    assert_eq!((live.lookups, live.wanted), (vec![secret_lookup()], vec![]));
    assert!(live.manifests[0].text.contains("v: live") && live.manifests[0].sensitive);

    answered.lookups = Lookups::Given(BTreeMap::from([(secret_lookup(), None)]));
    let absent = render(&chart, &Values::new(), &answered).unwrap();
    assert!(absent.wanted.is_empty() && absent.manifests[0].text.contains("v: none"));
}

#[test]
fn a_failure_for_lack_of_answers_says_what_it_waits_for() {
    let chart = chart(&[(
        "templates/a.yaml",
        "v: {{ (lookup \"v1\" \"Secret\" \"default\" \"pw\").data.v }}",
    )]);
    let mut waiting = input(HelmVersion::V4);
    waiting.lookups = Lookups::Given(BTreeMap::new());
    let error = render(&chart, &Values::new(), &waiting).unwrap_err();
    assert!(
        matches!(&error, Error::Lookups { lookups, .. } if *lookups == [secret_lookup()]),
        "{error}"
    );
    let offline = render(&chart, &Values::new(), &input(HelmVersion::V4)).unwrap_err();
    assert!(matches!(offline, Error::Template(_)), "{offline}");
}

#[test]
fn random_values_repeat_for_a_secret_and_are_sensitive() {
    let chart = chart(&[
        (
            "templates/a.yaml",
            "kind: ConfigMap\ndata: {p: {{ randAlphaNum 20 }}, q: {{ randAlphaNum 20 }}}",
        ),
        ("templates/b.yaml", "kind: ConfigMap\ndata: {}"),
    ]);
    let first = render(&chart, &Values::new(), &input(HelmVersion::V4)).unwrap();
    let again = render(&chart, &Values::new(), &input(HelmVersion::V4)).unwrap();
    assert_eq!(first, again);
    let sensitive: Vec<bool> = first
        .manifests
        .iter()
        .map(|manifest| manifest.sensitive)
        .collect();
    assert_eq!(sensitive, [true, false]);
    let mut other = input(HelmVersion::V4);
    other.secret = Secret::new([8; 32]);
    assert_ne!(first, render(&chart, &Values::new(), &other).unwrap());
}

/// A packed chart: files in the folder `NAME/`.
fn packed(name: &str, files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut builder = tar::Builder::new(encoder);
    let metadata = format!("{{apiVersion: v2, name: {name}, version: 0.1.0}}");
    let metadata = ("Chart.yaml".to_owned(), metadata.into_bytes());
    for (path, data) in std::iter::once(&metadata).chain(files) {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, format!("{name}/{path}"), data.as_slice())
            .unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

#[test]
fn archives_that_grow_together_are_refused() {
    let zeros = packed("sub", &[("zeros".to_owned(), vec![0; 30 << 20])]);
    let bombs = |count: usize| {
        let files: Vec<_> = (0..count)
            .map(|n| (format!("charts/sub{n}.tgz"), zeros.clone()))
            .collect();
        packed("c", &files)
    };
    assert!(bombs(4).len() < 1 << 20);
    assert!(Chart::from_archive(&bombs(3)).is_ok());
    let error = Chart::from_archive(&bombs(4)).unwrap_err().to_string();
    assert!(error.contains("larger than the maximum size"), "{error}");
    let mut nested = zeros;
    for name in ["b", "c", "d"] {
        let files = [
            ("charts/a.tgz".to_owned(), nested),
            ("zeros".to_owned(), vec![0; 30 << 20]),
        ];
        nested = packed(name, &files);
    }
    let error = Chart::from_archive(&nested).unwrap_err().to_string();
    assert!(error.contains("larger than the maximum size"), "{error}");
}

#[test]
fn archives_inside_archives_end() {
    let mut nested = packed("a", &[]);
    for _ in 0..=capstan_helm::chart::MAX_CHART_NESTING {
        nested = packed("b", &[("charts/a.tgz".to_owned(), nested)]);
    }
    let error = Chart::from_archive(&nested).unwrap_err().to_string();
    assert!(error.contains("levels deep"), "{error}");
}

#[test]
fn notes_are_apart_and_those_of_dependencies_on_demand() {
    let chart = chart(&[
        ("templates/NOTES.txt", "own {{ .Release.Name }}"),
        (
            "charts/sub/Chart.yaml",
            "{apiVersion: v2, name: sub, version: 0.1.0}",
        ),
        ("charts/sub/templates/NOTES.txt", "sub"),
    ]);
    let mut input = input(HelmVersion::V4);
    assert_eq!(
        render(&chart, &Values::new(), &input).unwrap().notes,
        "own demo"
    );
    input.sub_notes = true;
    assert_eq!(
        render(&chart, &Values::new(), &input).unwrap().notes,
        "sub\nown demo"
    );
}

#[test]
fn a_chart_is_shared_between_threads() {
    let chart = chart(&[("templates/a.yaml", "v: {{ .Values.n }}")]);
    let texts: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|n| {
                let chart = &chart;
                scope.spawn(move || {
                    let values = Values::new().set(&format!("n={n}")).unwrap();
                    render(chart, &values, &input(HelmVersion::V3))
                        .unwrap()
                        .manifests[0]
                        .text
                        .clone()
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    assert_eq!(texts, ["v: 0", "v: 1", "v: 2", "v: 3"]);
}

#[test]
fn dependencies_may_be_given_by_the_caller() {
    let parent = chart(&[(
        "Chart.yaml",
        "{apiVersion: v2, name: c, version: 0.1.0, dependencies: [{name: sub, version: ^1, alias: other}]}",
    )]);
    let missing = render(&parent, &Values::new(), &input(HelmVersion::V4)).unwrap_err();
    assert!(
        matches!(&missing, Error::MissingDependencies { names, .. } if names == &["sub"]),
        "{missing}"
    );
    let sub = chart(&[
        ("Chart.yaml", "{apiVersion: v2, name: sub, version: 1.2.0}"),
        (
            "templates/a.yaml",
            "v: {{ .Template.Name }} {{ .Values.x }}",
        ),
    ]);
    let whole = parent.with_dependencies([sub]);
    let rendered = render(
        &whole,
        &Values::new().set("other.x=1").unwrap(),
        &input(HelmVersion::V4),
    )
    .unwrap();
    assert_eq!(
        rendered.manifests[0].text,
        "v: c/charts/other/templates/a.yaml 1"
    );
}

#[test]
fn what_does_not_end_is_stopped() {
    let chart = chart(&[("templates/a.yaml", "{{ range until 100000000 }}x{{ end }}")]);
    let error = render(&chart, &Values::new(), &input(HelmVersion::V4))
        .unwrap_err()
        .to_string();
    assert!(error.contains("rendering stopped"), "{error}");
}

#[test]
fn a_name_may_come_from_a_template() {
    let chart = chart(&[("templates/a.yaml", "v: {{ .Release.Name }}")]);
    let mut options = TemplateOptions::new(HelmVersion::V4, Now::default(), Secret::new([1; 32]));
    options.name_template = Some("{{ lower \"ABC\" }}-x".to_owned());
    assert_eq!(
        template(&chart, &options).unwrap(),
        "---\n# Source: c/templates/a.yaml\nv: abc-x\n"
    );
    options.name_template = Some("{{ upper \"abc\" }}".to_owned());
    assert!(
        template(&chart, &options)
            .unwrap_err()
            .to_string()
            .starts_with("release name check failed: release name \"ABC\"")
    );
}

#[test]
fn nothing_secret_is_in_debug_output() {
    let chart = chart(&[(
        "templates/a.yaml",
        "kind: Secret\nstringData: {p: {{ .Values.p }}}",
    )]);
    let values = Values::new().set("p=hunter2").unwrap();
    let rendered = render(&chart, &values, &input(HelmVersion::V4)).unwrap();
    assert!(rendered.manifests[0].sensitive);
    assert!(!format!("{rendered:?} {values:?} {:?}", input(HelmVersion::V4)).contains("hunter2"));
}
