//! The chest with a stand-in for Go: what is built when, and what a person is told.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;

use super::*;

/// A `go` that answers as Go does for the three commands that the chest uses; `build` is the shell code of its build.
fn fake_go(folder: &Path, version: &str, build: &str) -> PathBuf {
    let path = folder.join("go");
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in\nenv) echo {version};;\nlist) echo 'go: downloading example.com/a v1.0.0' >&2; echo a; echo b;;\n\
         build) echo \"$@\" >> {}/builds; while [ \"$1\" != -o ]; do shift; done; out=$2; {build};;\nesac\n",
        folder.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn chest(folder: &Path, go: PathBuf) -> Toolchest {
    Toolchest {
        go,
        ..Toolchest::new(folder.join("cache"), None)
    }
}

#[test]
fn a_tool_is_built_once_and_found_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = said.clone();
    let go = fake_go(
        folder.path(),
        "go1.26.8",
        "echo pkg/one >&2; echo binary > $out",
    );
    let chest = chest(folder.path(), go)
        .on_progress(move |progress| heard.lock().unwrap().push(progress.to_string()));
    assert_eq!(chest.find(Tool::Etcd), None);
    let path = chest.path(Tool::Etcd).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "binary\n");
    assert_eq!(chest.path(Tool::Etcd).unwrap(), path);
    assert_eq!(chest.find(Tool::Etcd), Some(path));
    assert_eq!(
        fs::read_to_string(folder.path().join("builds"))
            .unwrap()
            .lines()
            .count(),
        1
    );
    let said = said.lock().unwrap();
    assert_eq!(
        said[0],
        "etcd: building from source (once), 1 modules downloaded"
    );
    assert_eq!(
        said[1],
        "etcd: building from source (once), 1 of at most 2 packages compiled"
    );
    assert!(said[2].starts_with("etcd: built in "), "{said:?}");
}

#[test]
fn several_at_once_build_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let chest = chest(
        folder.path(),
        fake_go(folder.path(), "go1.26.8", "echo binary > $out"),
    );
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| chest.path(Tool::Kwok).unwrap()))
            .collect();
        let paths: Vec<_> = asked
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        assert!(paths.iter().all(|path| path == &paths[0]), "{paths:?}");
    });
    assert_eq!(
        fs::read_to_string(folder.path().join("builds"))
            .unwrap()
            .lines()
            .count(),
        1
    );
}

#[test]
fn a_failed_build_says_why_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let chest = chest(
        folder.path(),
        fake_go(
            folder.path(),
            "go1.26.8",
            "echo 'undefined: thing' >&2; exit 3",
        ),
    );
    let error = chest.path(Tool::Helm4).unwrap_err().to_string();
    assert!(
        error.starts_with("helm4: `")
            && error.contains("exit status: 3")
            && error.ends_with("undefined: thing"),
        "{error}"
    );
    let below = |folder: &Path| fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let folders: Vec<_> = below(&chest.cache).collect();
    let left: Vec<_> = folders.iter().flat_map(|it| below(it)).collect();
    let is_lock = |path: &PathBuf| path.extension().is_some_and(|it| it == "lock");
    assert!(left.iter().all(is_lock), "{left:?}");
}

#[test]
fn a_missing_or_old_go_says_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let absent = chest(folder.path(), folder.path().join("nothing-here"));
    let old = chest(folder.path(), fake_go(folder.path(), "go1.19.8", "exit 1"));
    for (chest, reason) in [
        (absent, "No such file or directory"),
        (old, "it is go1.19.8, too old"),
    ] {
        for error in [
            chest.path(Tool::KubeApiserver).unwrap_err(),
            chest.can_provide(&Tool::ALL).unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(
                text.contains(reason) && text.contains("install Go 1.26 or newer"),
                "{text}"
            );
        }
    }
}

#[test]
fn given_control_plane_binaries_come_first() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["kube-apiserver", "helm4"] {
        fs::write(folder.path().join(name), "given").unwrap();
    }
    let chest = Toolchest::new(folder.path().join("cache"), Some(folder.path().to_owned()));
    assert_eq!(
        chest.find(Tool::KubeApiserver),
        Some(folder.path().join("kube-apiserver"))
    );
    assert_eq!(
        chest.find(Tool::Helm4),
        None,
        "KUBEBUILDER_ASSETS is about the control plane only"
    );
}

#[test]
fn each_tool_has_a_file_of_its_own() {
    let mut names: Vec<_> = Tool::ALL
        .iter()
        .map(|tool| format!("{}-{}", tool, tool.recipe().fingerprint()))
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), Tool::ALL.len());
}

#[test]
fn versions_of_go_are_read() {
    for (text, expected) in [
        ("go1.26.8", Some((1, 26))),
        ("go1.27rc1", Some((1, 27))),
        ("go1.26-custom", Some((1, 26))),
        ("gcc", None),
        ("", None),
    ] {
        assert_eq!(go_version(text), expected, "{text}");
    }
}
