//! Mirrors of repositories on this disk.

use std::time::Duration;

use capstan_render::{Tree, tree::Entry};
use git2::{Signature, build::TreeUpdateBuilder};

use super::*;
use crate::config::Config;

/// A repository with one commit after another on `main`.
struct Upstream {
    repository: Repository,
}

impl Upstream {
    fn new(folder: &Path) -> Self {
        Self {
            repository: Repository::init_bare(folder.join("upstream")).unwrap(),
        }
    }

    fn url(&self) -> String {
        format!("file://{}", self.repository.path().display())
    }

    /// Commits `files` over `parent`, and points `main` there.
    fn commit(&self, parent: Option<Oid>, files: &[(&str, &str)]) -> Oid {
        self.commit_as(git2::FileMode::Blob, parent, files)
    }

    /// The same for files of another mode: of links, the content is where they lead.
    fn commit_as(&self, mode: git2::FileMode, parent: Option<Oid>, files: &[(&str, &str)]) -> Oid {
        let parent = parent.map(|it| self.repository.find_commit(it).unwrap());
        let empty = self.repository.treebuilder(None).unwrap().write().unwrap();
        let base = parent.as_ref().map_or(empty, |it| it.tree_id());
        let mut update = TreeUpdateBuilder::new();
        for (path, content) in files {
            let blob = self.repository.blob(content.as_bytes()).unwrap();
            update.upsert(*path, blob, mode);
        }
        let base = self.repository.find_tree(base).unwrap();
        let tree = update.create_updated(&self.repository, &base).unwrap();
        self.commit_tree(parent.as_ref(), tree)
    }

    fn commit_tree(&self, parent: Option<&git2::Commit<'_>>, tree: Oid) -> Oid {
        let tree = self.repository.find_tree(tree).unwrap();
        let who = Signature::now("a", "a@example.org").unwrap();
        let parents: Vec<_> = parent.into_iter().collect();
        let id = self
            .repository
            .commit(None, &who, &who, "m", &tree, &parents)
            .unwrap();
        self.repository
            .reference("refs/heads/main", id, true, "")
            .unwrap();
        id
    }
}

struct Here {
    folder: tempfile::TempDir,
    upstream: Upstream,
    config: Config,
}

impl Here {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let upstream = Upstream::new(folder.path());
        let config = Config {
            allow_file_urls: vec![folder.path().to_owned()],
            ..Config::default()
        };
        Self {
            folder,
            upstream,
            config,
        }
    }

    fn spec(&self, follow: Follow) -> SourceSpec {
        SourceSpec {
            url: self.upstream.url(),
            follow,
            credentials: None,
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(60),
            suspend: false,
            ignore: None,
        }
    }

    fn mirror(&self, follow: &Follow) -> Mirror {
        Mirror::open(
            &self.folder.path().join("mirrors"),
            &self.spec(follow.clone()),
        )
        .unwrap()
    }

    fn fetch(&self, follow: &Follow) -> Result<Revision, SourceError> {
        let egress = Egress::new(&self.config, &self.spec(follow.clone()))?;
        self.mirror(follow).fetch(follow, egress)
    }
}

fn main() -> Follow {
    Follow::Branch("main".into())
}

#[test]
fn a_lock_that_a_killed_hub_left_stops_nothing() {
    let here = Here::new();
    let first = here.upstream.commit(None, &[("a.yaml", "one")]);
    here.fetch(&main()).unwrap();
    let mirror = here.mirror(&main());
    let own = mirror.repository.path().join(main().local_ref());
    fs::write(own.with_added_extension("lock"), b"").unwrap();
    let second = here.upstream.commit(Some(first), &[("a.yaml", "two")]);
    assert!(here.fetch(&main()).is_err(), "the lock is one");
    unlock(&here.folder.path().join("mirrors")).unwrap();
    let revision = here.fetch(&main()).unwrap();
    assert_eq!(revision.to_string(), format!("main@sha1:{second}"));
}

#[test]
fn files_are_read_at_the_revision_that_was_fetched() {
    let here = Here::new();
    let first = here
        .upstream
        .commit(None, &[("a/b.yaml", "one"), ("c.yaml", "two")]);
    let revision = here.fetch(&main()).unwrap();
    assert_eq!(revision.to_string(), format!("main@sha1:{first}"));
    here.upstream.commit(Some(first), &[("a/b.yaml", "three")]);
    let newer = here.fetch(&main()).unwrap();
    let mirror = here.mirror(&main());
    assert_eq!(mirror.head(&main()), Some(newer.clone()));
    let read = |at: &Revision| {
        String::from_utf8(
            mirror
                .tree(at)
                .unwrap()
                .1
                .read("a/b.yaml")
                .unwrap()
                .to_vec(),
        )
        .unwrap()
    };
    assert_eq!(
        (read(&revision), read(&newer)),
        ("one".to_owned(), "three".to_owned())
    );
    let tree = mirror.tree(&newer).unwrap().1;
    assert_eq!(tree.list("").unwrap(), ["a", "c.yaml"]);
    assert_eq!(tree.entry("a").unwrap(), Some(Entry::Folder));
    assert_eq!(tree.entry("nothing").unwrap(), None);
    assert!(matches!(
        tree.entry("c.yaml").unwrap(),
        Some(Entry::File(_))
    ));
}

#[test]
fn a_tree_that_names_itself_over_and_over_is_refused() {
    let here = Here::new();
    let repository = &here.upstream.repository;
    let blob = repository.blob(b"a: b").unwrap();
    let (mut id, mut mode) = (blob, 0o100_644);
    for _ in 0..12 {
        let mut tree = repository.treebuilder(None).unwrap();
        for name in 0..20 {
            tree.insert(name.to_string(), id, mode).unwrap();
        }
        (id, mode) = (tree.write().unwrap(), 0o040_000);
    }
    here.upstream.commit_tree(None, id);
    let revision = here.fetch(&main()).unwrap();
    let read = here.mirror(&main()).source(&here.spec(main()), &revision);
    let problem = read.err().unwrap().to_string();
    assert!(problem.contains("more than 200000 folders"), "{problem}");
}

#[test]
fn links_of_a_repository_are_followed_inside_it_only() {
    let here = Here::new();
    let cm = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\n";
    let files = [
        ("shared/cm.yaml", cm),
        ("shared/kustomization.yaml", "resources: [cm.yaml]\n"),
        ("folder/kustomization.yaml", "resources: [it]\n"),
        ("file/kustomization.yaml", "resources: [it]\n"),
    ];
    let first = here.upstream.commit(None, &files);
    let rendered = |link: &str, target: &str| {
        let mode = git2::FileMode::Link;
        here.upstream
            .commit_as(mode, Some(first), &[(link, target)]);
        let revision = here.fetch(&main()).unwrap();
        let (tree_id, tree) = here.mirror(&main()).tree(&revision).unwrap();
        let found = tree.entry(link).unwrap();
        assert_eq!(found, Some(Entry::Link(target.to_owned())));
        render(&revision, tree_id, tree, link.split_once('/').unwrap().0)
    };
    for (link, target) in [
        ("file/it", "../shared/cm.yaml"),
        ("folder/it", "../shared"),
        ("folder/it", "./../shared/../shared/"),
    ] {
        assert_eq!(
            rendered(link, target).unwrap(),
            ["shared/cm.yaml"],
            "{target}"
        );
    }
    for (link, target) in [
        ("file/it", "/etc/hostname"),
        ("file/it", "../../hostname"),
        ("file/it", "it"),
        ("folder/it", "/etc"),
        ("folder/it", "../.."),
        ("folder/it", "../../shared"),
    ] {
        let problem = rendered(link, target).unwrap_err();
        assert!(
            problem.contains("outside of the tree"),
            "{target}: {problem}"
        );
    }
}

/// Renders the folder `path`: the files that the objects came from.
fn render(
    revision: &Revision,
    tree_id: String,
    tree: Arc<GitTree>,
    path: &str,
) -> Result<Vec<String>, String> {
    let spec = serde_json::json!({"spec": {
        "interval": "10m", "prune": true, "path": path,
        "sourceRef": {"kind": "GitRepository", "name": "fleet"},
    }});
    let input = capstan_render::unit::UnitInput {
        key: &"dev/Kustomization/flux-system/apps".parse().unwrap(),
        origin: &capstan_core::Origin::Placement {
            name: "platform".into(),
        },
        spec: &capstan_render::flux::Kustomization::parse(&spec).unwrap(),
        source: &"GitRepository/flux-system/fleet".parse().unwrap(),
        pinned: &capstan_render::PinnedTree {
            revision: revision.clone(),
            tree_id,
            tree,
        },
        digest_key: &[7; 32],
    };
    let rendered = capstan_render::unit::render_unit(&input, &capstan_render::Memo::default());
    let rendered = rendered.map_err(|it| it[0].to_string())?;
    Ok(rendered
        .entries
        .iter()
        .map(|it| it.entry.path.clone())
        .collect())
}

#[test]
fn what_a_source_ignores_is_not_part_of_it() {
    let here = Here::new();
    let files = [
        ("deploy/a.yaml", "one"),
        ("deploy/.sourceignore", "draft.yaml\n"),
        ("deploy/draft.yaml", "two"),
        ("docs/b.yaml", "three"),
    ];
    here.upstream.commit(None, &files);
    let revision = here.fetch(&main()).unwrap();
    let mut spec = here.spec(main());
    let mirror = here.mirror(&main());
    let (whole, tree) = mirror.source(&spec, &revision).unwrap();
    assert_eq!(tree.list("").unwrap(), ["deploy", "docs"]);
    assert_eq!(tree.list("deploy").unwrap(), [".sourceignore", "a.yaml"]);
    spec.ignore = Some("/*\n!/deploy\n".into());
    let (part, tree) = mirror.source(&spec, &revision).unwrap();
    assert_eq!(tree.list("").unwrap(), ["deploy"]);
    assert_ne!(whole, part, "a memo must not take one for the other");
}

#[test]
fn a_pinned_revision_stays_after_a_force_push() {
    let here = Here::new();
    let first = here.upstream.commit(None, &[("a", "one")]);
    let pinned = here.fetch(&main()).unwrap();
    here.mirror(&main())
        .keep(&BTreeSet::from([first.to_string().as_str()]))
        .unwrap();
    let other = here.upstream.commit(None, &[("a", "two")]);
    assert_eq!(here.fetch(&main()).unwrap().commit(), other.to_string());
    let mirror = here.mirror(&main());
    assert!(mirror.tree(&pinned).is_ok());
    let kept = format!("{PINS}{first}");
    assert!(mirror.repository.find_reference(&kept).is_ok());
    mirror.keep(&BTreeSet::new()).unwrap();
    assert!(mirror.repository.find_reference(&kept).is_err());
}

#[test]
fn what_is_not_there_is_an_error_and_the_last_revision_stays() {
    let here = Here::new();
    here.upstream.commit(None, &[("a", "one")]);
    let revision = here.fetch(&main()).unwrap();
    here.upstream
        .repository
        .find_reference("refs/heads/main")
        .unwrap()
        .delete()
        .unwrap();
    assert!(here.fetch(&main()).is_err(), "a branch that was deleted");
    assert_eq!(here.mirror(&main()).head(&main()), Some(revision));
    assert!(here.fetch(&Follow::Branch("other".into())).is_err());
    assert!(here.fetch(&Follow::Branch("a..b".into())).is_err());
}

#[test]
fn the_newest_tag_of_a_range_is_followed() {
    let here = Here::new();
    let mut parent = None;
    for tag in ["v1.0.0", "v1.10.0", "v1.9.0", "v2.0.0", "other"] {
        let id = here.upstream.commit(parent, &[("a", tag)]);
        here.upstream
            .repository
            .reference(&format!("refs/tags/{tag}"), id, true, "")
            .unwrap();
        parent = Some(id);
    }
    let follow = Follow::Semver("1.x".into());
    let revision = here.fetch(&follow).unwrap();
    assert!(revision.as_str().starts_with("v1.10.0@sha1:"), "{revision}");
    assert_eq!(here.mirror(&follow).head(&follow), Some(revision));
    let commit = Follow::Commit(parent.unwrap().to_string());
    assert_eq!(
        here.fetch(&commit).unwrap().to_string(),
        format!("sha1:{}", parent.unwrap())
    );
}

#[test]
fn a_path_that_is_not_allowed_is_not_read() {
    let mut here = Here::new();
    here.upstream.commit(None, &[("a", "one")]);
    here.config.allow_file_urls = vec![here.folder.path().join("mirrors")];
    let refused = here.fetch(&main()).unwrap_err().to_string();
    assert!(refused.contains("allow_file_urls"), "{refused}");
}
