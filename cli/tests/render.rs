//! `capstan render` of charts as a person calls it: every flag, for a folder and for an archive, under Helm 3 and 4.
//!
//! Where the real `helm` is built, what it prints for the same flags is compared byte for byte.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use capstan_playground::toolchest::{Tool, Toolchest, can_test};

/// The chart of all tests: path and text.
const CHART: [(&str, &str); 14] = [
    (
        "Chart.yaml",
        "apiVersion: v2\nname: web\nversion: 1.2.3\nkubeVersion: '>=1.25.0-0'\n\
         dependencies:\n- {name: sub, version: '*', condition: sub.enabled}\n",
    ),
    (
        "values.yaml",
        "image: {repository: nginx, tag: '1.0'}\nreplicas: 1\nlist: [a, b]\nsub: {enabled: true}\n",
    ),
    (
        "values.schema.json",
        "{\"properties\": {\"replicas\": {\"type\": \"integer\", \"minimum\": 1},\n\
         \"image\": {\"properties\": {\"tag\": {\"type\": \"string\"}}}}}",
    ),
    (
        "crds/things.yaml",
        "kind: CustomResourceDefinition\nmetadata: {name: things}\n",
    ),
    (
        "templates/_helpers.tpl",
        "{{ define \"name\" }}{{ .Release.Name }}-web{{ end }}",
    ),
    (
        "templates/config.yaml",
        r#"apiVersion: v1
kind: ConfigMap
metadata: {name: {{ include "name" . }}, namespace: {{ .Release.Namespace }}}
data:
  install: "{{ .Release.IsInstall }} {{ .Release.IsUpgrade }} {{ .Release.Revision }}"
  kube: {{ .Capabilities.KubeVersion.Version }}
  apis: "{{ .Capabilities.APIVersions.Has "a.io/v1" }} {{ .Capabilities.APIVersions.Has "b.io/v1/Kind" }}"
  files: {{ range $path, $_ := .Files.Glob "*.txt" }}{{ $path }} {{ end }}
  values: {{ toJson .Values | quote }}
"#,
    ),
    (
        "templates/deploy.yaml",
        "kind: Deployment\nspec: {replicas: {{ .Values.replicas }}}\n",
    ),
    (
        "templates/hook.yaml",
        "kind: Job\nmetadata: {annotations: {helm.sh/hook: pre-install}}\n",
    ),
    (
        "templates/tests/ping.yaml",
        "kind: Pod\nmetadata: {annotations: {helm.sh/hook: test}}\n",
    ),
    ("templates/NOTES.txt", "{{ .Chart.Name }} is there\n"),
    ("kept.txt", "text"),
    (".helmignore", "# not for the chart\nleft-*.txt\n/large/\n"),
    (
        "charts/sub/Chart.yaml",
        "apiVersion: v2\nname: sub\nversion: 0.1.0\n",
    ),
    (
        "charts/sub/templates/a.yaml",
        "kind: Service\nmetadata: {name: sub}\n",
    ),
];
/// What `.helmignore` leaves out, and no archive has.
const IGNORED: [(&str, &str); 2] = [
    ("left-out.txt", "text"),
    ("large/templates/x.yaml", "not: {{ a template"),
];

/// A folder with the chart in both forms and the files that flags name.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &[u8]| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for (path, text) in CHART.iter().chain(&IGNORED) {
            write(&format!("web/{path}"), text.as_bytes());
        }
        write("web.tgz", &packed());
        write("one.yaml", b"replicas: 2\nimage: {tag: '2'}\n");
        write("two.yaml", b"replicas: 3\nlist: [c]\n");
        write("broken.yaml", b"a: [1\n");
        write("list.yaml", b"- a\n");
        write("text.txt", b"two\nlines, and a comma\n");
        write("short.secret", b"too short");
        write("long.secret", &[7; 32]);
        write("not.tgz", b"not gzip");
        write("cut.tgz", &packed()[..300]);
        write("empty/readme", b"");
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a program here; gives what it printed, or its exit code and what it said.
    fn run(&self, program: &Path, args: &[&str], stdin: &str) -> Result<String, (i32, String)> {
        let mut child = Command::new(program)
            .args(args)
            .current_dir(self.path())
            .env("HOME", self.path())
            .env("KUBECONFIG", self.path().join("none"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Who fails early does not read it.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout).unwrap());
        }
        assert!(output.stdout.is_empty(), "{args:?}: output of a failure");
        let said = String::from_utf8(output.stderr).unwrap();
        Err((output.status.code().unwrap_or(-1), said))
    }

    fn ours(
        &self,
        chart: &str,
        version: &str,
        args: &[&str],
        stdin: &str,
    ) -> Result<String, (i32, String)> {
        let all = [&["render", chart, "--helm-version", version], args].concat();
        self.run(Path::new(env!("CARGO_BIN_EXE_capstan")), &all, stdin)
    }

    /// The same flags for the real command. A name and a template for it exclude each other there.
    fn theirs(
        &self,
        helm: &Path,
        chart: &str,
        args: &[&str],
        stdin: &str,
    ) -> Result<String, (i32, String)> {
        let name: &[&str] = if args.contains(&"--name-template") {
            &["template", chart]
        } else {
            &["template", "release-name", chart]
        };
        self.run(helm, &[name, args].concat(), stdin)
    }
}

fn packed() -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(encoder);
    for (path, text) in CHART {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, format!("web/{path}"), text.as_bytes())
            .unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// The real commands that are built.
fn real() -> BTreeMap<&'static str, PathBuf> {
    [("3", Tool::Helm3), ("4", Tool::Helm4)]
        .into_iter()
        .filter(|(_, tool)| can_test("`capstan render` against the real Helm", &[*tool]))
        .map(|(version, tool)| {
            let path = Toolchest::from_env().and_then(|chest| chest.path(tool));
            (version, path.unwrap())
        })
        .collect()
}

/// Flags, stdin, what must be in the output, and what must not.
type Case<'c> = (&'c [&'c str], &'c str, &'c [&'c str], &'c [&'c str]);

const CASES: [Case<'_>; 29] = [
    (
        &[],
        "",
        &[
            "name: release-name-web, namespace: default",
            "\"true false 1\"",
            "kind: Job",
            "kind: Pod",
            "name: sub",
            "files: kept.txt \n",
        ],
        &["CustomResourceDefinition", "is there"],
    ),
    (&["--namespace", "shop"], "", &["namespace: shop"], &[]),
    (&["-n", "shop"], "", &["namespace: shop"], &[]),
    (
        &["--name-template", "{{ lower \"ABC\" }}-x"],
        "",
        &["name: abc-x-web"],
        &[],
    ),
    (
        &["--values", "one.yaml", "--values", "two.yaml"],
        "",
        &["replicas: 3", r#"\"tag\":\"2\""#, r#"\"list\":[\"c\"]"#],
        &[],
    ),
    (&["-f", "two.yaml,one.yaml"], "", &["replicas: 2"], &[]),
    (
        &["--values", "-"],
        "replicas: 7\nfrom: {stdin: true}\n",
        &["replicas: 7", r#"\"from\":{\"stdin\":true}"#],
        &[],
    ),
    (
        &["--values", "one.yaml", "-f", "-"],
        "replicas: 7\n",
        &["replicas: 7"],
        &[],
    ),
    (
        &["--set", "replicas=5", "--values", "one.yaml"],
        "",
        &["replicas: 5"],
        &[],
    ),
    (
        &["--set", "a.b=1,a.c={x,y},list[1]=z", "--set", "a.d=true"],
        "",
        &[
            r#"\"a\":{\"b\":1,\"c\":[\"x\",\"y\"],\"d\":true}"#,
            r#"\"list\":[null,\"z\"]"#,
        ],
        &[],
    ),
    (
        &["--set", "image=null", "--set", "list=null"],
        "",
        &[],
        &["nginx", "\\\"list\\\""],
    ),
    (
        &["--set-string", "image.tag=7,n=true"],
        "",
        &[r#"\"tag\":\"7\""#, r#"\"n\":\"true\""#],
        &[],
    ),
    (
        &["--set-json", r#"a={"b":[1,{"c":null}]},d="x""#],
        "",
        &[r#"\"a\":{\"b\":[1,{\"c\":null}]}"#, r#"\"d\":\"x\""#],
        &[],
    ),
    (
        &["--set-file", "text=text.txt"],
        "",
        &[r#"\"text\":\"two\\nlines, and a comma\\n\""#],
        &[],
    ),
    (
        &["--set-literal", r"text=a,b=\c.{d}"],
        "",
        &[r#"\"text\":\"a,b=\\\\c.{d}\""#],
        &[],
    ),
    (
        &[
            "--set-literal",
            "k=literal",
            "--set-string",
            "k=string",
            "--set",
            "k=set",
            "--set-json",
            "k=1",
        ],
        "",
        &[r#"\"k\":\"literal\""#],
        &[],
    ),
    (&["--set", "sub.enabled=false"], "", &[], &["name: sub"]),
    (
        &["--include-crds"],
        "",
        &["---\n# Source: web/crds/things.yaml\nkind: CustomResourceDefinition"],
        &[],
    ),
    (&["--no-hooks"], "", &[], &["kind: Job", "kind: Pod"]),
    (&["--skip-tests"], "", &["kind: Job"], &["kind: Pod"]),
    (&["--is-upgrade"], "", &["\"false true 1\""], &[]),
    (&["--kube-version", "1.29.3"], "", &["kube: v1.29.3"], &[]),
    (
        &["--api-versions", "a.io/v1,b.io/v1/Kind"],
        "",
        &["\"true true\""],
        &[],
    ),
    (
        &["-a", "a.io/v1", "-a", "c.io/v1"],
        "",
        &["\"true false\""],
        &[],
    ),
    (
        &["--show-only", "templates/deploy.yaml"],
        "",
        &["---\n# Source: web/templates/deploy.yaml\nkind: Deployment"],
        &["ConfigMap", "Service"],
    ),
    (
        &[
            "-s",
            "charts/sub/templates/*.yaml",
            "-s",
            "templates/hook.yaml",
        ],
        "",
        &["kind: Service", "kind: Job"],
        &["ConfigMap"],
    ),
    (
        &["--skip-schema-validation", "--set", "replicas=0"],
        "",
        &["replicas: 0"],
        &[],
    ),
    (
        &["--show-only", "crds/things.yaml", "--include-crds"],
        "",
        &["name: things"],
        &["ConfigMap"],
    ),
    (
        &["--set", "", "--set-string", "", "--set-literal", "a="],
        "",
        &[r#"\"a\":\"\""#],
        &[],
    ),
];

#[test]
fn every_flag_gives_what_helm_gives() {
    let place = Place::new();
    let real = real();
    for version in ["3", "4"] {
        for (args, stdin, there, absent) in CASES {
            let folder = place.ours("web", version, args, stdin);
            let text = folder
                .clone()
                .unwrap_or_else(|error| panic!("{args:?}: {error:?}"));
            for part in there {
                assert!(text.contains(part), "{args:?} lacks {part:?}:\n{text}");
            }
            for part in absent {
                assert!(!text.contains(part), "{args:?} has {part:?}:\n{text}");
            }
            let archive = place.ours("web.tgz", version, args, stdin);
            assert_eq!(
                archive, folder,
                "{args:?}: the archive gives something else"
            );
            if let Some(helm) = real.get(version) {
                let theirs = place.theirs(helm, "web", args, stdin);
                assert_eq!(theirs, folder, "{args:?} with Helm {version}");
            }
        }
    }
}

/// What is wrong, and what the one line about it says. Where it begins with `=`, Helm says the rest of it too.
const MISTAKES: [(&[&str], &str); 21] = [
    (&["--set", "replicas=0"], "=minimum: got 0, want 1"),
    (
        &["--set", "replicas=x", "--set", "image.tag=7"],
        "=at '/image/tag': got number, want string",
    ),
    (&["--values", "missing.yaml"], "missing.yaml: "),
    (
        &["--values", "broken.yaml"],
        "failed to parse broken.yaml: ",
    ),
    (&["--values", "list.yaml"], "failed to parse list.yaml: "),
    (
        &["--set", "a"],
        "=failed parsing --set data: key \"a\" has no value",
    ),
    (
        &["--set", "a[-1]=x"],
        "=failed parsing --set data: negative -1 index not allowed",
    ),
    (&["--set", "a[0=x"], "failed parsing --set data: "),
    (
        &["--set", "a={x"],
        "=failed parsing --set data: list must terminate with '}'",
    ),
    (
        &["--set-string", "a,b=1"],
        "=failed parsing --set-string data: key \"a\" has no value (cannot end with ,)",
    ),
    (&["--set-json", "a={"], "failed parsing --set-json data: "),
    (
        &["--set-file", "a=missing.txt"],
        "failed parsing --set-file data: ",
    ),
    (
        &["--set-literal", "a"],
        "=failed parsing --set-literal data: key \"a\" has no value",
    ),
    (
        &["--kube-version", "x"],
        "=invalid kube version 'x': could not parse \"x\" as version",
    ),
    (
        &["--kube-version", "1.20"],
        "=chart requires kubeVersion: >=1.25.0-0 which is incompatible with Kubernetes v1.20",
    ),
    (
        &["--show-only", "templates/none.yaml"],
        "=could not find template templates/none.yaml in chart",
    ),
    (&["--name-template", "{{ x"], "invalid --name-template: "),
    (
        &["--name-template", "NOT_ONE"],
        "=release name \"NOT_ONE\": invalid release name, must match regex",
    ),
    (&["--set", "sub=1"], "=type mismatch on sub: %!t(int64=1)"),
    (&["--secret-file", "short.secret"], "at least 32 bytes"),
    (&["--secret-file", "missing"], "missing: "),
];

#[test]
fn mistakes_are_told_in_one_error() {
    let place = Place::new();
    let real = real();
    for version in ["3", "4"] {
        for (args, wanted) in MISTAKES {
            let (code, said) = place.ours("web", version, args, "").unwrap_err();
            let words = wanted.trim_start_matches('=');
            assert_eq!(code, 1, "{args:?}: {said}");
            assert!(
                said.starts_with("error: ") && said.contains(words),
                "{args:?}: {said}"
            );
            assert_eq!(said.matches("error: ").count(), 1, "{args:?}: {said}");
            let archive = place.ours("web.tgz", version, args, "").unwrap_err();
            assert_eq!(archive, (code, said), "{args:?}");
            let compared = wanted.starts_with('=');
            if let Some(helm) = real.get(version).filter(|_| compared) {
                let (code, said) = place.theirs(helm, "web", args, "").unwrap_err();
                assert_eq!(code, 1, "{args:?}");
                assert!(said.contains(words), "{args:?}: Helm {version} says {said}");
            }
        }
    }
}

#[test]
fn what_is_no_chart_is_refused() {
    let place = Place::new();
    for (path, words) in [
        ("none", "none: "),
        ("not.tgz", "chart archive cannot be unpacked"),
        ("cut.tgz", "chart archive cannot be unpacked"),
        ("one.yaml", "chart archive cannot be unpacked"),
    ] {
        let (code, said) = place.ours(path, "4", &[], "").unwrap_err();
        assert_eq!(code, 1, "{path}: {said}");
        assert!(said.contains(words), "{path}: {said}");
    }
    // Flags that do not exist are another kind of mistake.
    for args in [&["--helm-version", "5"][..], &["--no-such-flag"]] {
        let (code, _) = place.ours("web", "4", args, "").unwrap_err();
        assert_eq!(code, 2, "{args:?}");
    }
}

#[test]
fn what_the_folder_leaves_out_is_not_read() {
    let place = Place::new();
    let web = place.path().join("web");
    // Neither is read: one is too large, the other leads nowhere that counts.
    let large = std::fs::File::create(web.join("large/file")).unwrap();
    large.set_len(200 << 20).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("/", web.join("left-link.txt")).unwrap();
    let root = ["--root", "."];
    assert!(place.ours("web", "4", &root, "").is_ok());
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/etc", web.join("out")).unwrap();
        let (_, said) = place.ours("web", "4", &root, "").unwrap_err();
        assert!(said.contains("leads out of"), "{said}");
    }
}

#[test]
fn random_values_repeat_with_a_secret_and_lookups_are_told() {
    let place = Place::new();
    let chart = place.path().join("random");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    let text =
        "p: {{ randAlphaNum 20 }}\nq: {{ lookup \"v1\" \"Secret\" \"ns\" \"pw\" | toJson }}\n";
    std::fs::write(chart.join("templates/a.yaml"), text).unwrap();
    std::fs::write(
        chart.join("Chart.yaml"),
        "apiVersion: v2\nname: c\nversion: 1.0.0\n",
    )
    .unwrap();
    let run = |args: &[&str]| place.ours("random", "4", args, "").unwrap();
    let kept = ["--secret-file", "long.secret"];
    assert_eq!(run(&kept), run(&kept));
    assert_ne!(run(&[]), run(&[]));
    let output = Command::new(env!("CARGO_BIN_EXE_capstan"))
        .args(["render", "random"])
        .current_dir(place.path())
        .output()
        .unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("q: {}"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("looks up v1/Secret ns pw"), "{said}");
}
