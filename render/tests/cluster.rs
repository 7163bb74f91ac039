//! Stories about rendering one cluster: what units it gets, and what stands in the way of the others.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test file: a panic is the report"
)]

use std::{collections::BTreeMap, sync::Arc};

use capstan_core::{MediaType, Origin, SourceKey};
use capstan_render::{
    ClusterInput, Memo, PinnedTree, RenderedCluster, RootUnit, UnitOutcome, cluster::roots,
    flux::GitRepository, render_cluster, tree::MemoryTree,
};
use serde_json::json;

const APP: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, namespace: shop}\ndata: {a: b}\n";

fn source() -> SourceKey {
    "GitRepository/flux-system/fleet".parse().unwrap()
}

fn kustomization(name: &str, path: &str, more: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\nspec:\n  \
         interval: 10m\n  prune: true\n  path: {path}\n  sourceRef: {{kind: GitRepository, name: flux-system}}\n{more}"
    )
}

fn root_units() -> Vec<RootUnit> {
    let placement = json!({
        "clusters": {},
        "sync": [{"sourceRef": {"kind": "GitRepository", "name": "fleet"}, "path": "./clusters/${cluster_name}"}],
    });
    let placements = BTreeMap::from([(
        "platform".to_owned(),
        serde_json::from_value(placement).unwrap(),
    )]);
    roots(
        &"dev".parse().unwrap(),
        &BTreeMap::new(),
        &BTreeMap::new(),
        &placements,
    )
    .0
}

fn render_with(memo: &Memo, tree_id: &str, files: &[(&str, &str)]) -> RenderedCluster {
    let tree = MemoryTree::new(files.iter().map(|(path, text)| (*path, text.as_bytes())));
    let pinned = PinnedTree {
        revision: "main@sha1:1".parse().unwrap(),
        tree_id: tree_id.to_owned(),
        tree: Arc::new(tree),
    };
    let spec = json!({"spec": {"url": "https://example.org/fleet", "interval": "1m"}});
    let input = ClusterInput {
        name: &"dev".parse().unwrap(),
        roots: &root_units(),
        sources: &BTreeMap::from([(source(), GitRepository::parse(&spec).unwrap())]),
        trees: &BTreeMap::from([(source(), Ok(pinned))]),
        digest_key: &[7; 32],
    };
    render_cluster(&input, memo)
}

fn render(files: &[(&str, &str)]) -> RenderedCluster {
    render_with(&Memo::default(), "tree", files)
}

fn outcome<'a>(rendered: &'a RenderedCluster, name: &str) -> &'a UnitOutcome {
    let key = format!("dev/Kustomization/flux-system/{name}")
        .parse()
        .unwrap();
    rendered
        .units
        .get(&key)
        .unwrap_or_else(|| panic!("no unit {name} in {:?}", rendered.units.keys()))
}

fn objects(rendered: &RenderedCluster, name: &str) -> Vec<String> {
    match outcome(rendered, name) {
        UnitOutcome::Rendered(unit) => unit
            .entries
            .iter()
            .map(|it| it.entry.key.to_string())
            .collect(),
        UnitOutcome::Failed { problems, .. } => panic!("{name}: {problems:?}"),
    }
}

fn problem(rendered: &RenderedCluster, name: &str) -> String {
    match outcome(rendered, name) {
        UnitOutcome::Rendered(_) => panic!("{name} was rendered"),
        UnitOutcome::Failed { problems, .. } => problems[0].to_string(),
    }
}

#[test]
fn units_yield_units() {
    let rendered = render(&[
        (
            "clusters/dev/apps.yaml",
            &kustomization("apps", "./apps", ""),
        ),
        (
            "clusters/dev/namespace.yaml",
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n",
        ),
        ("apps/app.yaml", APP),
    ]);
    assert_eq!(objects(&rendered, "flux-system"), ["Namespace/shop"]);
    assert_eq!(objects(&rendered, "apps"), ["ConfigMap/shop/app"]);
    let UnitOutcome::Rendered(apps) = outcome(&rendered, "apps") else {
        unreachable!()
    };
    assert!(matches!(&apps.origin, Origin::Parent { unit } if unit.name == "flux-system"));
    assert_eq!(apps.entries[0].entry.path, "apps/app.yaml");
}

#[test]
fn a_broken_manifest_stops_only_its_unit_and_names_file_and_line() {
    let rendered = render(&[
        (
            "clusters/dev/good.yaml",
            &kustomization("good", "./good", ""),
        ),
        ("clusters/dev/bad.yaml", &kustomization("bad", "./bad", "")),
        ("good/app.yaml", APP),
        (
            "bad/app.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [\n",
        ),
    ]);
    assert_eq!(objects(&rendered, "good"), ["ConfigMap/shop/app"]);
    let problem = problem(&rendered, "bad");
    assert!(problem.starts_with("bad/app.yaml:"), "{problem}");
}

#[test]
fn a_missing_path_is_an_error_not_an_empty_unit() {
    let rendered = render(&[("clusters/other/a.yaml", APP)]);
    let problem = problem(&rendered, "flux-system");
    assert!(
        problem.contains("kustomization path not found"),
        "{problem}"
    );
}

#[test]
fn an_emptied_folder_is_an_empty_unit() {
    let rendered = render(&[("clusters/dev/README.md", "nothing here")]);
    assert!(objects(&rendered, "flux-system").is_empty());
}

#[test]
fn what_is_not_honoured_refuses_the_unit() {
    let more = "  kubeConfig: {secretRef: {name: other}}\n";
    let rendered = render(&[
        (
            "clusters/dev/apps.yaml",
            &kustomization("apps", "./apps", more),
        ),
        ("apps/app.yaml", APP),
    ]);
    assert_eq!(
        problem(&rendered, "apps"),
        "spec.kubeConfig is not there yet"
    );
}

#[test]
fn only_granted_sources_are_rendered() {
    let other =
        kustomization("apps", "./apps", "").replace("name: flux-system}\n", "name: other}\n");
    let rendered = render(&[("clusters/dev/apps.yaml", &other), ("apps/app.yaml", APP)]);
    let problem = problem(&rendered, "apps");
    assert!(
        problem.contains("GitRepository/flux-system/other is not granted"),
        "{problem}"
    );
}

#[test]
fn a_root_may_declare_itself_as_bootstrap_does() {
    let sync = kustomization("flux-system", "./clusters/dev", "");
    let rendered = render(&[
        ("clusters/dev/gotk-sync.yaml", &sync),
        ("clusters/dev/app.yaml", APP),
    ]);
    assert_eq!(objects(&rendered, "flux-system"), ["ConfigMap/shop/app"]);
    assert_eq!((rendered.units.len(), rendered.warnings.len()), (1, 0));
}

#[test]
fn who_waits_waits_for_the_units_that_it_yields() {
    let more = "  wait: true\n  healthChecks: [{kind: Deployment, name: x, apiVersion: apps/v1}]\n";
    let checks = |more: &str| {
        let infra = kustomization("infra", "./infra", more);
        let rendered = render(&[
            ("clusters/dev/infra.yaml", infra.as_str()),
            ("infra/child.yaml", &kustomization("child", "./app", "")),
            ("infra/itself.yaml", &infra),
            ("app/app.yaml", APP),
        ]);
        let UnitOutcome::Rendered(unit) = outcome(&rendered, "infra") else {
            panic!()
        };
        let keys = unit.spec.health_checks.iter().map(|it| it.key.to_string());
        keys.collect::<Vec<_>>()
    };
    let child = "Kustomization.kustomize.toolkit.fluxcd.io/flux-system/child";
    assert_eq!(checks(more), [child]);
    assert_eq!(
        checks(&more.replace("true", "false")),
        ["Deployment.apps/flux-system/x"]
    );
}

#[test]
fn units_of_made_sources_come_after_what_makes_them() {
    let generator = "apiVersion: source.extensions.fluxcd.io/v1beta1\nkind: ArtifactGenerator\nmetadata: {name: g, namespace: flux-system}\n\
        spec:\n  sources: [{alias: repo, kind: GitRepository, name: flux-system}]\n  artifacts:\n  \
        - {name: made, originRevision: '@repo', copy: [{from: '@repo/app/**', to: '@artifact/'}]}\n";
    let user = |name: &str| {
        let text = kustomization(name, "./", "");
        text.replace(
            "kind: GitRepository, name: flux-system",
            &format!("kind: ExternalArtifact, name: {name}"),
        )
    };
    let rendered = render(&[
        ("clusters/dev/a.yaml", &user("made")),
        ("clusters/dev/b.yaml", &kustomization("b", "./b", "")),
        ("clusters/dev/c.yaml", &user("nobody-makes")),
        ("b/generator.yaml", generator),
        ("app/app.yaml", APP),
    ]);
    assert_eq!(objects(&rendered, "made"), ["ConfigMap/shop/app"]);
    let UnitOutcome::Rendered(unit) = outcome(&rendered, "made") else {
        panic!()
    };
    assert_eq!(
        (unit.source.clone(), unit.revision.as_str()),
        (source(), "main@sha1:1")
    );
    let UnitOutcome::Failed { problems, .. } = outcome(&rendered, "nobody-makes") else {
        panic!()
    };
    assert!(
        problems[0].to_string().contains("no ArtifactGenerator"),
        "{problems:?}"
    );
    assert_eq!(rendered.warnings, []);
}

#[test]
fn flux_itself_is_left_out() {
    let controller = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: source-controller\n  namespace: flux-system\n  \
                      labels: {app.kubernetes.io/part-of: flux}\n";
    let rendered = render(&[
        ("clusters/dev/flux-system/gotk.yaml", controller),
        ("clusters/dev/app.yaml", APP),
    ]);
    assert_eq!(objects(&rendered, "flux-system"), ["ConfigMap/shop/app"]);
}

#[test]
fn secrets_are_addressed_with_the_clusters_key_and_never_memoised() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\nstringData: {k: canary}\n";
    let memo = Memo::default();
    let rendered = render_with(&memo, "tree", &[("clusters/dev/s.yaml", secret)]);
    let UnitOutcome::Rendered(unit) = outcome(&rendered, "flux-system") else {
        panic!()
    };
    let entry = &unit.entries[0];
    assert!(entry.entry.sensitive);
    assert_ne!(entry.entry.digest, capstan_core::Digest::of(&entry.bytes));
    assert!(memo.is_empty());
    assert!(!format!("{unit:?}").contains("canary"));
}

#[test]
fn the_same_tree_is_built_once() {
    let memo = Memo::default();
    let files = [("clusters/dev/app.yaml", APP)];
    let first = render_with(&memo, "tree", &files);
    let again = render_with(&memo, "tree", &files);
    let (UnitOutcome::Rendered(first), UnitOutcome::Rendered(again)) = (
        outcome(&first, "flux-system"),
        outcome(&again, "flux-system"),
    ) else {
        panic!()
    };
    assert!(Arc::ptr_eq(&first.entries, &again.entries));
}

#[test]
fn a_helm_release_says_that_it_is_not_there_yet() {
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: web, namespace: shop}\nspec: {interval: 5m}\n";
    let rendered = render(&[("clusters/dev/release.yaml", release)]);
    let key = "dev/HelmRelease/shop/web".parse().unwrap();
    let UnitOutcome::Failed { problems, .. } = &rendered.units[&key] else {
        panic!()
    };
    assert!(problems[0].message.contains("not there yet"));
}

#[test]
fn units_that_yield_each_other_end() {
    let rendered = render(&[
        ("clusters/dev/a.yaml", &kustomization("a", "./a", "")),
        ("a/b.yaml", &kustomization("b", "./b", "")),
        ("b/a.yaml", &kustomization("a", "./a", "")),
    ]);
    assert_eq!(rendered.units.len(), 3);
    assert_eq!(rendered.warnings.len(), 1, "{:?}", rendered.warnings);
}

const VARIABLES: &str = "  postBuild:\n    substitute: {region: eu}\n    substituteFrom: [{kind: Secret, name: domain}]\n";

fn text_of(rendered: &RenderedCluster, unit: &str, object: &str) -> (MediaType, String) {
    let UnitOutcome::Rendered(unit) = outcome(rendered, unit) else {
        panic!("{}", problem(rendered, unit))
    };
    let mut entries = unit.entries.iter();
    let found = entries.find(|it| it.entry.key.to_string() == object);
    let found = found.unwrap_or_else(|| panic!("no {object}"));
    let text = String::from_utf8(found.bytes.to_vec()).unwrap();
    (found.entry.media_type, text)
}

#[test]
fn text_with_variables_of_the_cluster_is_left_for_its_agent() {
    let named = |name: &str, data: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: '{name}', namespace: shop}}\ndata: {{a: '{data}'}}\n---\n"
        )
    };
    let objects = [
        named("plain", "b"),
        named("inline", "${region} $${domain}"),
        named("left", "${domain} ${region}"),
        named("${domain/./-}-x", "c"),
        named("excepted", "${domain}").replace(
            "namespace: shop",
            "namespace: shop, annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}",
        ),
    ];
    let rendered = render(&[
        (
            "clusters/dev/apps.yaml",
            &kustomization("apps", "./apps", VARIABLES),
        ),
        ("apps/all.yaml", &objects.concat()),
    ]);
    let whole = |name: &str| {
        let (kind, text) = text_of(&rendered, "apps", &format!("ConfigMap/shop/{name}"));
        assert_eq!(kind, MediaType::Object, "{name}");
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        object["data"]["a"].as_str().unwrap().to_owned()
    };
    assert_eq!(whole("plain"), "b");
    assert_eq!(whole("inline"), "eu ${domain}");
    assert_eq!(whole("excepted"), "${domain}");
    let left = text_of(&rendered, "apps", "ConfigMap/shop/left");
    assert_eq!(left.0, MediaType::Text);
    assert!(left.1.contains("a: ${domain} ${region}\n"), "{}", left.1);
    let (kind, text) = text_of(&rendered, "apps", "ConfigMap/shop/${domain_._-}-x");
    assert_eq!(kind, MediaType::Text);
    assert!(text.contains("name: ${domain/./-}-x"), "{text}");
    let UnitOutcome::Rendered(unit) = outcome(&rendered, "apps") else {
        unreachable!()
    };
    let substitution = unit.spec.substitution.as_ref().unwrap();
    assert_eq!(substitution.from[0].to_string(), "Secret/domain");
    assert_eq!(substitution.variables["region"], "eu");
}

#[test]
fn flux_objects_with_variables_of_the_cluster_are_said_and_stop_nothing_else() {
    let child = kustomization("child", "./child", "").replace("10m", "${interval}");
    let inline = kustomization("inline", "./child", "");
    let nameless = kustomization("'${domain}'", "./child", "");
    let rendered = render(&[
        (
            "clusters/dev/apps.yaml",
            &kustomization("apps", "./apps", VARIABLES),
        ),
        (
            "apps/all.yaml",
            &[child, inline, nameless, APP.to_owned()].join("\n---\n"),
        ),
        ("child/app.yaml", &APP.replace("app", "other")),
    ]);
    assert_eq!(objects(&rendered, "apps"), ["ConfigMap/shop/app"]);
    assert_eq!(objects(&rendered, "inline"), ["ConfigMap/shop/other"]);
    let said = problem(&rendered, "child");
    assert!(said.starts_with("apps/all.yaml:"), "{said}");
    assert!(said.contains("not there yet"), "{said}");
    let warned = rendered.warnings.iter().map(ToString::to_string);
    let warned: Vec<String> = warned.filter(|it| it.contains("${domain}")).collect();
    assert_eq!(warned.len(), 1, "{:?}", rendered.warnings);
}

#[test]
fn a_source_of_variables_that_is_none_refuses_the_unit() {
    for (more, said) in [
        ("{kind: Pod, name: x}", "unknown variant `Pod`"),
        ("{kind: Secret, name: a/b}", "`a/b` is not a valid name"),
    ] {
        let more = format!("  postBuild: {{substituteFrom: [{more}]}}\n");
        let rendered = render(&[
            (
                "clusters/dev/apps.yaml",
                &kustomization("apps", "./apps", &more),
            ),
            ("apps/app.yaml", APP),
        ]);
        let problem = problem(&rendered, "apps");
        assert!(problem.contains(said), "{problem}");
    }
}

/// Units that differ in their variables alone share what no variable changes, and give what each would give by itself.
#[test]
fn what_no_variable_changes_is_made_once() {
    let app = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\n---\n\
               apiVersion: v1\nkind: ConfigMap\nmetadata: {name: varies}\ndata: {site: \"${site:=none}\"}\n---\n\
               apiVersion: v1\nkind: ConfigMap\nmetadata: {name: excepted, annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}}\n\
               data: {site: \"${site}\"}\n";
    let with = |site: &str| format!("  postBuild: {{substitute: {{site: {site}}}}}\n");
    let (one, two) = (with("a"), with("b"));
    let units = [("one", &*one), ("two", &*two), ("none", "")].map(|(name, more)| {
        (
            format!("clusters/dev/{name}.yaml"),
            kustomization(name, "./app", more),
        )
    });
    let mut files: Vec<(&str, &str)> = units.iter().map(|(p, t)| (&**p, &**t)).collect();
    files.push(("app/app.yaml", app));
    let together = render(&files);
    let entries = |rendered: &RenderedCluster, name: &str| match outcome(rendered, name) {
        UnitOutcome::Rendered(unit) => unit.entries.clone(),
        UnitOutcome::Failed { problems, .. } => panic!("{name}: {problems:?}"),
    };
    for (at, (name, site)) in [("one", "a"), ("two", "b"), ("none", "${site:=none}")]
        .iter()
        .enumerate()
    {
        let alone = render(&[files[at], files[3]]);
        let digests = |it: &RenderedCluster| -> Vec<_> {
            entries(it, name)
                .iter()
                .map(|it| it.entry.clone())
                .collect()
        };
        assert_eq!(digests(&together), digests(&alone), "{name}");
        assert!(
            text_of(&together, name, "ConfigMap/varies")
                .1
                .contains(&format!("\"{site}\"")),
            "{name}"
        );
        assert!(
            text_of(&together, name, "ConfigMap/excepted")
                .1
                .contains("${site}"),
            "{name}"
        );
    }
    let bytes = |unit: &str, object: &str| {
        let entries = entries(&together, unit);
        let found = entries.iter().find(|it| it.entry.key.name == object);
        found.unwrap().bytes.clone()
    };
    for same in ["plain", "excepted"] {
        assert!(
            Arc::ptr_eq(&bytes("one", same), &bytes("two", same)),
            "{same}"
        );
    }
    assert!(!Arc::ptr_eq(
        &bytes("one", "varies"),
        &bytes("two", "varies")
    ));
}
