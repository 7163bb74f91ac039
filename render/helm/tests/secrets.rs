//! Secrets: what is derived from one, what is made from those of a user or of the cluster, and that no error tells them.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_helm::{
    Chart, Files, HelmVersion, Lookup, Lookups, Now, Release, RenderInput, Rendered, Secret,
    Values, render, render_files,
};
use serde_json::json;

fn chart(files: &[(&str, &str)]) -> Chart {
    let metadata = ("Chart.yaml", "{apiVersion: v2, name: c, version: 0.1.0}");
    let all: Files = std::iter::once(&metadata)
        .chain(files)
        .map(|(path, text)| ((*path).to_owned(), Arc::from(text.as_bytes())))
        .collect();
    Chart::load(&all).unwrap()
}

fn input(version: HelmVersion) -> RenderInput {
    RenderInput::offline(
        version,
        Release::install("demo", "default"),
        Now {
            seconds: 1_800_000_000,
            nanoseconds: 0,
        },
        Secret::new([7; 32]),
    )
}

const VERSIONS: [HelmVersion; 2] = [HelmVersion::V3, HelmVersion::V4];

/// Which of a render's manifests and hooks are sensitive, by the files that they come from.
fn marks(rendered: &Rendered) -> BTreeMap<&str, bool> {
    let hooks = rendered.hooks.iter().map(|hook| &hook.manifest);
    let all = rendered.manifests.iter().chain(hooks);
    all.map(|manifest| {
        let file = manifest.source.rsplit('/').next().unwrap();
        (file.trim_end_matches(".yaml"), manifest.sensitive)
    })
    .collect()
}

fn secret_values() -> Values {
    let secret = Values::from_json(&json!({"auth": {"password": "hunter2", "port": 5432}}));
    Values::new()
        .set("name=web")
        .unwrap()
        .merged_secret(&secret)
        .set("size=3")
        .unwrap()
}

#[test]
fn what_is_made_from_secret_values_is_sensitive() {
    let chart = chart(&[
        ("values.yaml", "auth: {user: admin, password: ''}"),
        (
            "templates/plain.yaml",
            "kind: A\nv: {{ .Values.name }}-{{ .Values.size }}-{{ .Values.auth.user }}",
        ),
        (
            "templates/direct.yaml",
            "kind: A\nv: {{ .Values.auth.password }}",
        ),
        (
            "templates/digest.yaml",
            "kind: A\nv: {{ toYaml .Values | sha256sum }}",
        ),
        (
            "templates/number.yaml",
            "kind: A\nv: {{ .Values.auth.port }}",
        ),
        (
            "templates/hook.yaml",
            "kind: A\nmetadata: {annotations: {helm.sh/hook: test}}\nv: {{ b64enc .Values.auth.password }}",
        ),
        ("templates/secret.yaml", "kind: Secret"),
        (
            "templates/NOTES.txt",
            "Your password is {{ .Values.auth.password }}",
        ),
    ]);
    for version in VERSIONS {
        let rendered = render(&chart, &secret_values(), &input(version)).unwrap();
        let sensitive = BTreeMap::from([
            ("plain", false),
            ("direct", true),
            ("digest", true),
            ("number", true),
            ("hook", true),
            ("secret", true),
        ]);
        assert_eq!(marks(&rendered), sensitive);
        assert!(rendered.notes_are_sensitive && rendered.notes.contains("hunter2"));
    }
}

#[test]
fn where_other_secrets_do_not_render_all_is_sensitive() {
    let chart = chart(&[
        ("templates/a.yaml", "kind: A"),
        (
            "templates/b.yaml",
            "{{ if ne .Values.auth.password \"hunter2\" }}{{ fail \"no\" }}{{ end }}",
        ),
    ]);
    let rendered = render(&chart, &secret_values(), &input(HelmVersion::V4)).unwrap();
    assert_eq!(marks(&rendered), BTreeMap::from([("a", true)]));
}

#[test]
fn errors_do_not_tell_secret_values() {
    let fails = [
        "{{ fail (printf \"no %s\" .Values.auth.password) }}",
        "{{ required .Values.auth.password nil }}",
        "{{ mustToDate \"2006\" .Values.auth.password }}",
        "{{ tpl (printf \"{{ .x.%s.z }}\" .Values.auth.password) . }}",
        "{{ tpl (printf \"{{ %s\" .Values.auth.password) . }}",
        "{{ include .Values.auth.password . }}",
        "{{ atoi .Values.auth.password | until }}",
        "{{ semver .Values.auth.password }}",
        "{{ index .Values.auth .Values.auth.password \"x\" }}",
        "{{ fail (.Values.auth.port | toString) }}",
        "{{ fail (b64enc .Values.auth.password) }}",
        "a: {{ .Values.auth.password }}: b",
        "kind: A\nmetadata: {annotations: {a: {{ list .Values.auth.password | toJson }}}}",
    ];
    let told = ["hunter2", "5432", "aHVudGVyMg"];
    for text in fails {
        let chart = chart(&[("templates/a.yaml", text)]);
        for version in VERSIONS {
            let Err(error) = render(&chart, &secret_values(), &input(version)) else {
                continue;
            };
            let shown = format!("{error} {error:?}");
            assert!(
                !told.iter().any(|secret| shown.contains(secret)),
                "{text}: {shown}"
            );
            assert!(error.to_string().contains("c/templates/a.yaml"), "{error}");
            if let Err(error) = render_files(&chart, &secret_values(), &input(version)) {
                let shown = format!("{error} {error:?}");
                assert!(!told.iter().any(|secret| shown.contains(secret)));
            }
        }
    }
}

#[test]
fn errors_that_do_not_depend_on_secrets_are_whole() {
    let chart = chart(&[(
        "templates/a.yaml",
        "{{ $p := .Values.auth.password }}{{ required \"a size is needed\" .Values.missing }}",
    )]);
    let error = render(&chart, &secret_values(), &input(HelmVersion::V4)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "execution error at (c/templates/a.yaml:1:36): a size is needed"
    );
}

#[test]
fn violations_of_schemas_do_not_tell_secret_values() {
    let schema = r#"{"properties": {
        "name": {"type": "integer"},
        "auth": {"properties": {"password": {"pattern": "^x+$"}, "port": {"maximum": 10}}}}}"#;
    let chart = chart(&[("values.schema.json", schema)]);
    let error = render(&chart, &secret_values(), &input(HelmVersion::V4))
        .unwrap_err()
        .to_string();
    let hidden = "not shown, because it depends on secret values";
    assert_eq!(
        error.trim_end().lines().collect::<Vec<_>>(),
        [
            "values don't meet the specifications of the schema(s) in the following chart(s):",
            "c:",
            "- at '/auth': validation failed",
            &format!("  - at '/auth/password': {hidden}"),
            &format!("  - at '/auth/port': {hidden}"),
            "- at '/name': got string, want integer",
        ]
    );
}

#[test]
fn errors_do_not_tell_derived_values_nor_those_of_the_cluster() {
    let lookup = Lookup {
        api_version: "v1".to_owned(),
        kind: "Secret".to_owned(),
        namespace: "default".to_owned(),
        name: "pw".to_owned(),
    };
    let object =
        json!({"kind": "Secret", "metadata": {"name": "pw"}, "data": {"p": "aHVudGVyMg=="}});
    let mut input = input(HelmVersion::V4);
    input.lookups = Lookups::Given(BTreeMap::from([(lookup, Some(object))]));
    let live = "(lookup \"v1\" \"Secret\" \"default\" \"pw\").data.p";
    for text in [
        "{{ fail (randNumeric 8) }}".to_owned(),
        format!("{{{{ fail ({live} | b64dec) }}}}"),
        format!("{{{{ fail {live} }}}}"),
    ] {
        let chart = chart(&[("templates/a.yaml", &text)]);
        let error = render(&chart, &Values::new(), &input).unwrap_err();
        assert_eq!(
            error.to_string(),
            "execution error at (c/templates/a.yaml:1:3): not shown, because it depends on secret values"
        );
    }
    let chart = chart(&[(
        "templates/a.yaml",
        &format!("{{{{ $a := randAlpha 5 }}}}{{{{ $b := {live} }}}}{{{{ fail \"in words\" }}}}"),
    )]);
    let error = render(&chart, &Values::new(), &input).unwrap_err();
    assert!(error.to_string().ends_with(": in words"), "{error}");
}

/// Each leaves something secret where templates that run later find it.
#[test]
fn what_later_templates_find_is_sensitive_too() {
    for text in [
        "{{ $_ := set .Values \"p\" (randAlpha 5) }}",
        "{{ $_ := set .Values.inner \"p\" (randAlpha 5) }}",
        "{{ $_ := set . \"p\" (randAlpha 5) }}",
        "{{ $_ := set $.Release \"p\" (randAlpha 5) }}",
        "{{ $_ := set .Subcharts \"p\" (randAlpha 5) }}",
        "{{ $_ := set .Values \"p\" (genCAWithKey \"ca\" 10 (genPrivateKey \"ed25519\")) }}",
        "{{ $_ := set .Values \"self\" (set .Values \"p\" (randAlpha 5)) }}",
    ] {
        let chart = chart(&[
            ("values.yaml", "inner: {}"),
            ("templates/z.yaml", "kind: A"),
            ("templates/y.yaml", &format!("kind: A\n{text}")),
            ("templates/x.yaml", "kind: A"),
        ]);
        for version in VERSIONS {
            let rendered = render(&chart, &Values::new(), &input(version)).unwrap();
            let spread = BTreeMap::from([("x", true), ("y", true), ("z", false)]);
            assert_eq!(marks(&rendered), spread, "{text}");
        }
    }
    let chart = chart(&[
        (
            "templates/y.yaml",
            "kind: A\n{{ $_ := set .Values \"a\" 1 }}\nv: {{ uuidv4 }}",
        ),
        ("templates/x.yaml", "kind: A"),
    ]);
    let rendered = render(&chart, &Values::new(), &input(HelmVersion::V4)).unwrap();
    let apart = BTreeMap::from([("x", false), ("y", true)]);
    assert_eq!(marks(&rendered), apart, "what changed before is no secret");
}

#[test]
fn every_function_of_chance_marks_what_it_is_in() {
    for text in [
        "randAlphaNum 5",
        "randAlpha 5",
        "randNumeric 5",
        "randAscii 5 | quote",
        "randInt 1 100000",
        "randBytes 5",
        "uuidv4",
        "shuffle \"abcdefgh\"",
        "bcrypt \"x\"",
        "htpasswd \"a\" \"x\"",
        "encryptAES \"key\" \"text\"",
        "derivePassword 1 \"long\" \"password\" \"user\" \"example.com\"",
        "genPrivateKey \"ecdsa\" | b64enc",
        "genPrivateKey \"ed25519\" | b64enc",
        "(genCA \"ca\" 365).Cert | b64enc",
        "(genSelfSignedCert \"a\" nil nil 365).Key | b64enc",
        "(genSignedCert \"a\" nil nil 365 (genCA \"ca\" 365)).Cert | b64enc",
    ] {
        let chart = chart(&[
            ("templates/a.yaml", "kind: A"),
            ("templates/b.yaml", &format!("kind: A\nv: {{{{ {text} }}}}")),
        ]);
        let once = render(&chart, &Values::new(), &input(HelmVersion::V4)).unwrap();
        let marked = BTreeMap::from([("a", false), ("b", true)]);
        assert_eq!(marks(&once), marked, "{text}");
        // RSA keys take long, so that they repeat is looked at once.
        if !text.contains("nil nil") {
            let again = render(&chart, &Values::new(), &input(HelmVersion::V4)).unwrap();
            assert_eq!(once, again, "{text}");
        }
    }
}

/// The pattern of Bitnami's charts: what lives in the cluster is kept, and a password is drawn where nothing does.
#[test]
fn values_that_live_in_the_cluster_win() {
    let chart = chart(&[(
        "templates/a.yaml",
        "kind: Secret\n{{ $live := lookup \"v1\" \"Secret\" .Release.Namespace \"pw\" }}\
         data: {p: {{ dig \"data\" \"p\" (randAlphaNum 20 | b64enc) $live }}}",
    )]);
    let lookup = Lookup {
        api_version: "v1".to_owned(),
        kind: "Secret".to_owned(),
        namespace: "default".to_owned(),
        name: "pw".to_owned(),
    };
    let with = |object| {
        let mut input = input(HelmVersion::V4);
        input.lookups = Lookups::Given(BTreeMap::from([(lookup.clone(), object)]));
        let rendered = render(&chart, &Values::new(), &input).unwrap();
        rendered.manifests[0].text.clone()
    };
    assert!(with(Some(json!({"data": {"p": "bGl2ZQ=="}}))).contains("p: bGl2ZQ=="));
    let drawn = with(None);
    assert!(drawn == with(None) && !drawn.contains("bGl2ZQ=="));
}

#[test]
fn each_lookup_gives_a_copy_of_its_own() {
    let look = "(lookup \"v1\" \"ConfigMap\" \"default\" \"a\")";
    let chart = chart(&[(
        "templates/a.yaml",
        &format!("{{{{ $_ := set {look} \"x\" 1 }}}}v: {{{{ {look} | toJson }}}}"),
    )]);
    let lookup = Lookup {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        namespace: "default".to_owned(),
        name: "a".to_owned(),
    };
    let mut input = input(HelmVersion::V4);
    input.lookups = Lookups::Given(BTreeMap::from([(lookup, Some(json!({"data": {}})))]));
    let rendered = render(&chart, &Values::new(), &input).unwrap();
    assert_eq!(rendered.manifests[0].text, "v: {\"data\":{}}");
    assert!(!rendered.manifests[0].sensitive);
}

#[test]
fn a_certificate_is_made_again_while_it_is_still_good() {
    let chart = chart(&[(
        "templates/a.yaml",
        "v: {{ (genCAWithKey \"ca\" 1 (genPrivateKey \"ed25519\")).Cert | b64enc }}",
    )]);
    let at = |hour: i64| {
        let mut input = input(HelmVersion::V4);
        input.now.seconds += hour * 3600;
        render(&chart, &Values::new(), &input).unwrap()
    };
    // Those of one day are the shortest: half of it is left whenever one is looked at.
    let first = at(0);
    assert!((1..=12).any(|hour| at(hour) != first));
}
