//! Symbolic links and paths that lead out: what lies in the tree is reached through them, what lies outside never is.

#![allow(clippy::unwrap_used, reason = "a test file: a panic is the report")]

use capstan_kustomize::{Cache, ErrorKind, MemoryTree, Options, build, flux};

fn cm(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n")
}

fn tree(files: &[(&str, &str)], links: &[(&str, &str)]) -> MemoryTree {
    let mut tree = MemoryTree::new(files.iter().copied());
    tree.insert("shared/cm.yaml", cm("shared"));
    tree.insert("shared/kustomization.yaml", "resources: [cm.yaml]\n");
    tree.insert("shared/text.txt", "text of the tree");
    for (path, target) in links {
        tree.link(*path, *target);
    }
    tree
}

/// What the kustomization in `app` gives: the origins of the objects, or the error.
fn origins(tree: &MemoryTree) -> Result<Vec<String>, (ErrorKind, String)> {
    let built = build(tree, "app", &Options::default());
    let built = built.map_err(|it| (it.kind(), it.to_string()))?;
    let file = |it: &capstan_kustomize::Built| it.origin.file.clone();
    Ok(built.objects.iter().map(file).collect())
}

fn resources(list: &str, links: &[(&str, &str)]) -> Result<Vec<String>, (ErrorKind, String)> {
    let text = format!("resources: [{list}]\n");
    origins(&tree(&[("app/kustomization.yaml", &text)], links))
}

#[test]
fn links_inside_of_the_tree_lead_to_what_they_name() {
    let table: &[(&str, &[(&str, &str)])] = &[
        ("a.yaml", &[("app/a.yaml", "../shared/cm.yaml")]),
        (
            "deep/a.yaml",
            &[("app/deep", "../shared"), ("shared/a.yaml", "cm.yaml")],
        ),
        ("base", &[("app/base", "../shared")]),
        ("x/../a.yaml", &[("app/a.yaml", "../shared/cm.yaml")]),
        (
            "a.yaml",
            &[
                ("app/a.yaml", "b.yaml"),
                ("app/b.yaml", "c.yaml"),
                ("app/c.yaml", "../shared/cm.yaml"),
            ],
        ),
        ("up/shared/cm.yaml", &[("app/up", "..")]),
    ];
    for (list, links) in table {
        // Where a link ends is where an object comes from.
        let found = resources(list, links).unwrap();
        assert_eq!(found, ["shared/cm.yaml"], "{list} {links:?}");
    }
}

#[test]
fn the_kustomization_file_itself_may_be_a_link() {
    let mut tree = tree(
        &[],
        &[("app/kustomization.yaml", "../kustomizations/app.yaml")],
    );
    tree.insert("kustomizations/app.yaml", "resources: [cm.yaml]\n");
    tree.insert("app/cm.yaml", cm("own"));
    assert_eq!(origins(&tree).unwrap(), ["app/cm.yaml"]);
}

#[test]
fn what_leads_out_is_never_read() {
    let outside: &[(&str, &[(&str, &str)])] = &[
        ("../../etc/passwd", &[]),
        ("/etc/passwd", &[]),
        ("a.yaml", &[("app/a.yaml", "/etc/passwd")]),
        ("a.yaml", &[("app/a.yaml", "../../etc/passwd")]),
        (
            "a.yaml",
            &[("app/a.yaml", "b.yaml"), ("app/b.yaml", "../../x")],
        ),
        ("deep/a.yaml", &[("app/deep", "/etc")]),
        ("deep/a.yaml", &[("app/deep", "../..")]),
        ("base", &[("app/base", "/srv/base")]),
        ("base", &[("app/base", "../../base")]),
        // In a circle.
        ("a.yaml", &[("app/a.yaml", "a.yaml")]),
        (
            "a.yaml",
            &[("app/a.yaml", "b.yaml"), ("app/b.yaml", "a.yaml")],
        ),
        ("base", &[("app/base", "other"), ("app/other", "base/x")]),
    ];
    for (list, links) in outside {
        let (kind, message) = resources(list, links).unwrap_err();
        assert_eq!(kind, ErrorKind::NotFound, "{list} {links:?}: {message}");
        let says = ["outside of the tree", "cannot be absolute"];
        assert!(
            says.iter().any(|it| message.contains(it)),
            "{list} {links:?}: {message}"
        );
    }
}

#[test]
fn what_is_not_there_is_said_to_be_missing() {
    let (kind, message) = resources("a.yaml", &[("app/a.yaml", "nope.yaml")]).unwrap_err();
    assert_eq!(kind, ErrorKind::NotFound);
    assert!(message.contains("no such file or directory"), "{message}");
}

/// Every field that names a file or a folder, with a link in its place.
#[test]
fn no_field_reads_through_a_link_that_leads_out() {
    let fields = [
        "resources: [it]",
        "components: [it]",
        "bases: [it]",
        "patches: [{path: it}]",
        "patchesStrategicMerge: [it]",
        "patchesJson6902: [{target: {version: v1, kind: ConfigMap, name: shared}, path: it}]",
        "configMapGenerator: [{name: g, files: [it]}]",
        "configMapGenerator: [{name: g, files: [key=it]}]",
        "configMapGenerator: [{name: g, envs: [it]}]",
        "configMapGenerator: [{name: g, env: it}]",
        "secretGenerator: [{name: g, files: [it]}]",
        "secretGenerator: [{name: g, envs: [it]}]",
        "configurations: [it]",
        "crds: [it]",
        "openapi: {path: it}",
        "replacements: [{path: it}]",
        "generators: [it]",
        "transformers: [it]",
        "validators: [it]",
    ];
    let targets = ["/etc/hostname", "../../etc/hostname", "it", "../../app"];
    for field in fields {
        for target in targets {
            let text = format!("resources: [../shared]\n{field}\n").replace(
                "resources: [../shared]\nresources: [it]",
                "resources: [../shared, it]",
            );
            let tree = tree(&[("app/kustomization.yaml", &text)], &[("app/it", target)]);
            let (kind, message) = origins(&tree).expect_err(field);
            assert!(
                kind == ErrorKind::NotFound && message.contains("outside of the tree"),
                "{field} -> {target}: {kind:?} {message}"
            );
        }
    }
}

#[test]
fn generators_read_through_links_that_stay_inside() {
    let text = "configMapGenerator: [{name: g, files: [it, whole/text.txt], options: {disableNameSuffixHash: true}}]\n";
    let links = [("app/it", "../shared/text.txt"), ("app/whole", "../shared")];
    let tree = tree(&[("app/kustomization.yaml", text)], &links);
    let yaml = build(&tree, "app", &Options::default()).unwrap().to_yaml();
    let data = "data:\n  it: text of the tree\n  text.txt: text of the tree\n";
    assert!(yaml.contains(data), "{yaml}");
}

#[test]
fn a_folder_that_links_to_one_above_it_is_a_cycle() {
    for target in [".", "..", "../app", "../shared/../app"] {
        let (kind, message) = resources("round", &[("app/round", target)]).unwrap_err();
        assert_eq!(kind, ErrorKind::Cycle, "{target}: {message}");
        assert!(message.contains("cycle detected"), "{message}");
    }
}

/// What is read through a link is part of what a kept result depends on.
#[test]
fn a_cache_notices_when_a_link_leads_elsewhere() {
    let cache = Cache::default();
    let options = Options {
        cache: Some(&cache),
        ..Options::default()
    };
    let names = |tree: &MemoryTree| -> Result<Vec<String>, String> {
        let built = build(tree, "app", &options).map_err(|it| it.to_string())?;
        Ok(built.objects.iter().map(|it| it.id.name.clone()).collect())
    };
    let text = "resources: [it.yaml, base]\n";
    let links = [("app/it.yaml", "one.yaml"), ("app/base", "../shared")];
    let mut tree = tree(&[("app/kustomization.yaml", text)], &links);
    tree.insert("app/one.yaml", cm("one"));
    tree.insert("app/two.yaml", cm("two"));
    tree.insert(
        "other/kustomization.yaml",
        "resources: [../app/one.yaml]\nnamePrefix: other-\n",
    );
    assert_eq!(names(&tree).unwrap(), ["one", "shared"]);
    assert_eq!(names(&tree).unwrap(), ["one", "shared"]);
    tree.link("app/it.yaml", "two.yaml");
    assert_eq!(names(&tree).unwrap(), ["shared", "two"]);
    tree.link("app/base", "../other");
    assert_eq!(names(&tree).unwrap(), ["other-one", "two"]);
    tree.link("app/it.yaml", "/etc/passwd");
    assert!(names(&tree).unwrap_err().contains("outside of the tree"));
}

#[test]
fn a_unit_of_flux_is_held_to_the_same() {
    let spec = flux::FluxSpec::default();
    let links = [
        ("app/in.yaml", "../shared/cm.yaml"),
        ("out", "../elsewhere"),
        ("way", "app"),
    ];
    let tree = tree(&[("app/own.yaml", &cm("own"))], &links);
    let build = |path: &str| flux::build(&tree, path, &spec, &Options::default());
    // What Flux packs has no links in it: a folder that is scanned gives its own files alone.
    let built = build("way").unwrap();
    let files: Vec<&str> = built.objects.iter().map(|it| &*it.origin.file).collect();
    assert_eq!(files, ["app/own.yaml"]);
    for path in ["out", "../elsewhere", "way/../../elsewhere"] {
        assert_eq!(
            build(path).unwrap_err().kind(),
            ErrorKind::NotFound,
            "{path}"
        );
    }
}
