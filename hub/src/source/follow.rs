//! What of a repository is followed.

use std::fmt;

use capstan_core::Digest;

/// A branch, a tag, a range of tags, a ref or a commit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Follow {
    Branch(String),
    Tag(String),
    /// The newest tag in a range.
    Semver(String),
    /// A full ref name.
    Ref(String),
    /// One commit, found on any branch or tag.
    Commit(String),
}

impl Follow {
    /// The refs to fetch, as a refspec into the mirror's own names.
    pub(super) fn refspecs(&self) -> Vec<String> {
        let own = self.local_ref();
        match self {
            Self::Branch(branch) => vec![format!("+refs/heads/{branch}:{own}")],
            Self::Tag(tag) => vec![format!("+refs/tags/{tag}:{own}")],
            Self::Ref(name) => vec![format!("+{name}:{own}")],
            Self::Semver(_) => vec!["+refs/tags/*:refs/capstan/tags/*".to_owned()],
            Self::Commit(_) => vec![
                "+refs/heads/*:refs/capstan/all/heads/*".to_owned(),
                "+refs/tags/*:refs/capstan/all/tags/*".to_owned(),
            ],
        }
    }

    /// The ref of the mirror that keeps the newest commit. Its name is a digest, so nothing that people write becomes a path.
    pub(super) fn local_ref(&self) -> String {
        let hex = Digest::of(format!("{self:?}").as_bytes()).hex();
        format!("refs/capstan/heads/{}", &hex[..32])
    }

    /// What stands before the `@` of a revision, as Flux writes it.
    pub(super) fn revision(&self, commit: &str, tag: Option<&str>) -> String {
        match (self, tag) {
            (Self::Branch(name) | Self::Tag(name) | Self::Ref(name), _) => {
                format!("{name}@sha1:{commit}")
            }
            (Self::Semver(_), Some(tag)) => format!("{tag}@sha1:{commit}"),
            (Self::Semver(_) | Self::Commit(_), _) => format!("sha1:{commit}"),
        }
    }

    /// Whether the names in it can be names of refs. libgit2 checks refspecs too; this says it in our words.
    pub(super) fn problem(&self) -> Option<String> {
        let (name, full) = match self {
            Self::Branch(it) => (it, format!("refs/heads/{it}")),
            Self::Tag(it) => (it, format!("refs/tags/{it}")),
            Self::Ref(it) => (it, it.clone()),
            Self::Semver(it) => {
                let range = semver::VersionReq::parse(it);
                return range
                    .err()
                    .map(|error| format!("`{it}` is not a range of versions: {error}"));
            }
            Self::Commit(it) => {
                let good = it.len() == 40 && it.bytes().all(|it| it.is_ascii_hexdigit());
                return (!good).then(|| format!("`{it}` is not a commit of 40 hex digits"));
            }
        };
        let good = full.starts_with("refs/")
            && !full.contains('*')
            && git2::Reference::is_valid_name(&full);
        (!good).then(|| format!("`{name}` is not a name of a ref"))
    }
}

impl fmt::Display for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch(it) => write!(f, "branch {it}"),
            Self::Tag(it) => write!(f, "tag {it}"),
            Self::Semver(it) => write!(f, "tags {it}"),
            Self::Ref(it) => write!(f, "ref {it}"),
            Self::Commit(it) => write!(f, "commit {it}"),
        }
    }
}
