//! What `capstan render` reads and what it does not: `--root`, links, `--tree`.

use std::{fs, os::unix::fs::symlink};

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    render: Render,
}

/// A folder with a repository in it, and something beside it that is nobody's business.
struct Disk {
    folder: tempfile::TempDir,
}

const CM: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\n";
const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: beside}\n";

impl Disk {
    fn new(files: &[(&str, &str)]) -> Self {
        let disk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        disk.write("beside/secret.yaml", SECRET);
        disk.write("beside/kustomization.yaml", "resources: [secret.yaml]\n");
        for (path, text) in files {
            disk.write(&format!("repo/{path}"), text);
        }
        disk
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, path: &str, target: impl AsRef<Path>) {
        let path = self.path(&format!("repo/{path}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        drop(fs::remove_file(&path));
        symlink(target, path).unwrap();
    }

    /// What `capstan render` prints for `path` below the repository.
    fn render(&self, path: &str, flags: &[&str]) -> Result<String, String> {
        let path = self.path(&format!("repo/{path}"));
        let line = ["render", path.to_str().unwrap()];
        let line = Line::try_parse_from(line.iter().chain(flags)).unwrap();
        render_text(&line.render).map_err(|it| format!("{it:#}"))
    }

    fn below_root(&self, path: &str) -> Result<String, String> {
        let root = self.path("repo");
        self.render(path, &["--root", root.to_str().unwrap()])
    }
}

#[test]
fn nothing_above_the_root_is_read() {
    let disk = Disk::new(&[("app/kustomization.yaml", "resources: [../../beside]\n")]);
    let error = disk.below_root("app").unwrap_err();
    assert!(error.contains("outside of the tree"), "{error}");
    // Without a work tree around it and without `--root`, nothing is in the way.
    assert!(disk.render("app", &[]).unwrap().contains("name: beside"));
    // The root of the repository is the root of what is read.
    fs::create_dir(disk.path("repo/.git")).unwrap();
    let error = disk.render("app", &[]).unwrap_err();
    assert!(error.contains("outside of the tree"), "{error}");
    let wider = disk.path("");
    let wider = disk.render("app", &["--root", wider.to_str().unwrap()]);
    assert!(wider.unwrap().contains("name: beside"));
}

#[test]
fn a_root_that_is_not_above_the_path_is_refused() {
    let disk = Disk::new(&[
        ("app/kustomization.yaml", "resources: []\n"),
        ("other/x", ""),
    ]);
    let other = disk.path("repo/other");
    let error = disk.render("app", &["--root", other.to_str().unwrap()]);
    let error = error.unwrap_err();
    assert!(error.contains("is not below the root"), "{error}");
    // A link is where it leads: the folder behind it lies outside.
    disk.link("way", "../beside");
    let error = disk.below_root("way").unwrap_err();
    assert!(error.contains("is not below the root"), "{error}");
}

#[test]
fn links_are_followed_inside_the_root_only() {
    let disk = Disk::new(&[
        ("app/kustomization.yaml", "resources: [it.yaml]\n"),
        ("dir/kustomization.yaml", "resources: [it]\n"),
        ("shared/cm.yaml", CM),
        ("shared/kustomization.yaml", "resources: [cm.yaml]\n"),
    ]);
    let (inside, outside) = (disk.path("repo/shared"), disk.path("beside"));
    disk.link("chain.yaml", "shared/cm.yaml");
    for target in [
        PathBuf::from("../shared/cm.yaml"),
        PathBuf::from("../chain.yaml"),
        inside.join("cm.yaml"),
    ] {
        disk.link("app/it.yaml", &target);
        let text = disk.below_root("app").expect("a link inside");
        assert!(text.contains("name: cm"), "{target:?}");
    }
    for target in [
        PathBuf::from("../../beside/secret.yaml"),
        outside.join("secret.yaml"),
        PathBuf::from("it.yaml"),
        PathBuf::from("/etc/hostname"),
    ] {
        disk.link("app/it.yaml", &target);
        let error = disk.below_root("app").unwrap_err();
        assert!(error.contains("outside of the tree"), "{target:?}: {error}");
    }
    for target in [PathBuf::from("../shared"), inside] {
        disk.link("dir/it", &target);
        assert!(disk.below_root("dir").is_ok(), "{target:?}");
    }
    for target in [
        PathBuf::from("../../beside"),
        outside,
        PathBuf::from("it/x"),
    ] {
        disk.link("dir/it", &target);
        let error = disk.below_root("dir").unwrap_err();
        assert!(error.contains("outside of the tree"), "{target:?}: {error}");
    }
}

#[test]
fn charts_are_held_to_the_root_too() {
    let chart = "apiVersion: v2\nname: c\nversion: 0.1.0\n";
    let disk = Disk::new(&[
        ("chart/Chart.yaml", chart),
        ("chart/templates/cm.yaml", CM),
        (
            "app/kustomization.yaml",
            "helmCharts: [{name: c, releaseName: r}]\n",
        ),
        ("app/charts/c/Chart.yaml", chart),
        ("app/charts/c/values.yaml", "{}\n"),
        (
            "shared/linked.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: linked}\n",
        ),
    ]);
    disk.link("chart/templates/it.yaml", "../../shared/linked.yaml");
    assert!(disk.below_root("chart").unwrap().contains("name: linked"));
    disk.link("chart/templates/it.yaml", "../../../beside/secret.yaml");
    let error = disk.below_root("chart").unwrap_err();
    assert!(error.contains("leads out of"), "{error}");
    // A chart of a kustomization.
    disk.link(
        "app/charts/c/templates/it.yaml",
        "../../../../shared/linked.yaml",
    );
    assert!(disk.below_root("app").unwrap().contains("name: linked"));
    disk.link(
        "app/charts/c/templates/it.yaml",
        "../../../../../beside/secret.yaml",
    );
    let error = disk.below_root("app").unwrap_err();
    assert!(error.contains("outside of the tree"), "{error}");
}

#[test]
fn the_tree_says_where_each_object_came_from() {
    let disk = Disk::new(&[
        (
            "app/kustomization.yaml",
            "resources: [../base]\nnamePrefix: p-\nconfigMapGenerator: [{name: made, literals: [a=b]}]\npatches: [{path: patch.yaml}]\n",
        ),
        (
            "app/patch.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {a: b}\n",
        ),
        (
            "base/kustomization.yaml",
            "resources: [all.yaml]\nnamespace: shop\n",
        ),
        ("base/all.yaml", &format!("{SECRET}---\n# a comment\n{CM}")),
        ("plain/it.yaml", CM),
    ]);
    assert_eq!(
        disk.render(
            "app",
            &["--root", disk.path("repo").to_str().unwrap(), "--tree"]
        )
        .unwrap(),
        "\
ConfigMap/shop/p-cm  base/all.yaml:6
  base/kustomization.yaml  NamespaceTransformer
  app/kustomization.yaml  PatchTransformer
  app/kustomization.yaml  PrefixTransformer
ConfigMap/p-made-4h2mbtbbt6  app/kustomization.yaml (ConfigMapGenerator)
  app/kustomization.yaml  PrefixTransformer
  app/kustomization.yaml  HashTransformer
Secret/shop/p-beside  base/all.yaml:1
  base/kustomization.yaml  NamespaceTransformer
  app/kustomization.yaml  PrefixTransformer
"
    );
}

#[test]
fn the_tree_of_a_folder_names_its_files_and_keeps_errors() {
    let disk = Disk::new(&[
        ("plain/a.yaml", CM),
        ("plain/deep/s.yaml", SECRET),
        ("bad/a.yaml", "a: b: c\n"),
    ]);
    let root = disk.path("repo");
    let flags = ["--root", root.to_str().unwrap(), "--tree"];
    assert_eq!(
        disk.render("plain", &flags).unwrap(),
        "ConfigMap/cm  plain/a.yaml:1\nSecret/beside  plain/deep/s.yaml:1\n"
    );
    let error = disk.render("bad", &flags).unwrap_err();
    assert!(error.contains("bad/a.yaml"), "{error}");
}
