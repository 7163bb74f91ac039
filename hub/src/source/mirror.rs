//! A bare mirror of one repository.

mod repack;

use std::{collections::BTreeSet, fs, io, path::Path, sync::Arc};

use capstan_core::{Digest, Revision};
use capstan_render::Tree;
use git2::{
    AutotagOption, ErrorCode, FetchOptions, Oid, RemoteCallbacks, RemoteRedirect, Repository,
};

use super::{
    Follow, SourceSpec,
    egress::{self, Egress},
    ignore::{Ignore, IgnoredTree},
    tree::GitTree,
};
use crate::files;

/// Refs that keep the content of pins, whatever the repository does to its branches.
const PINS: &str = "refs/capstan/pins/";

/// Why a source cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Failed(String),
    #[error("{what} is not in the repository")]
    Missing { what: String },
}

/// Removes the locks that a hub left in its mirrors when it was killed: with one of them a ref could never be moved again.
/// For the start only, while nobody else uses the data folder. Objects are never locked, and are many: their folders are passed over.
pub(crate) fn unlock(mirrors: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(mirrors) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            if entry.file_name() != "objects" {
                unlock(&path)?;
            }
        } else if path.extension().is_some_and(|it| it == "lock") {
            tracing::warn!(path = %path.display(), "a lock that a killed hub left is removed");
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// The mirror.
pub(crate) struct Mirror {
    repository: Repository,
}

impl Mirror {
    /// Opens the mirror of a source, or makes it. Sources with the same address and the same credentials share one.
    pub(crate) fn open(folder: &Path, spec: &SourceSpec) -> Result<Self, SourceError> {
        let credentials = spec.credentials.as_deref().unwrap_or_default();
        let name = Digest::of_parts([spec.url.as_bytes(), credentials.as_bytes()]).hex();
        let path = folder.join(&name[..32]);
        files::make_private_folder(folder).map_err(|it| failed(&it))?;
        let repository = match Repository::open_bare(&path) {
            Ok(repository) => repository,
            Err(_) => Repository::init_bare(&path).map_err(|it| failed(&it))?,
        };
        Ok(Self { repository })
    }

    /// Fetches what is followed and gives its newest revision.
    pub(crate) fn fetch(&self, follow: &Follow, egress: Egress) -> Result<Revision, SourceError> {
        if let Some(problem) = follow.problem() {
            return Err(SourceError::Refused(problem));
        }
        let mut callbacks = RemoteCallbacks::new();
        let limit = egress.clone();
        callbacks.transfer_progress(move |it| limit.may_go_on(it.received_bytes()));
        let mut options = FetchOptions::new();
        options.remote_callbacks(callbacks);
        options.download_tags(AutotagOption::None);
        options.follow_redirects(RemoteRedirect::None);
        let address = egress.address().to_owned();
        let mut remote = self
            .repository
            .remote_anonymous(&address)
            .map_err(|it| failed(&it))?;
        let refspecs = follow.refspecs();
        let limits = egress.clone();
        let fetched = egress::with(egress, || remote.fetch(&refspecs, Some(&mut options), None));
        let what = || SourceError::Missing {
            what: follow.to_string(),
        };
        match fetched {
            Ok(()) => {}
            Err(error)
                if error.code() == ErrorCode::NotFound
                    && error.class() == git2::ErrorClass::Reference =>
            {
                return Err(what());
            }
            Err(error) => return Err(limits.explain(&error)),
        }
        // A ref that was deleted leaves the mirror's own where it was, and libgit2 says nothing of it.
        if !advertised(&remote, &refspecs)? {
            return Err(what());
        }
        drop(remote);
        if let Err(error) = repack::repack(&self.repository) {
            // The mirror is as good as before, only slower.
            tracing::warn!(mirror = %self.repository.path().display(), "packs could not be put together: {error}");
        }
        self.resolve(follow)?.ok_or_else(what)
    }

    /// Finds the newest commit after a fetch, and remembers it under the followed thing's own ref.
    fn resolve(&self, follow: &Follow) -> Result<Option<Revision>, SourceError> {
        let own = follow.local_ref();
        let (commit, tag) = match follow {
            Follow::Branch(_) | Follow::Tag(_) | Follow::Ref(_) => {
                let reference = self.repository.find_reference(&own);
                let commit = reference.and_then(|it| it.peel_to_commit());
                (commit.map_err(|it| failed(&it))?.id(), None)
            }
            Follow::Semver(range) => match self.newest_tag(range)? {
                Some((tag, commit)) => (commit, Some(tag)),
                None => return Ok(None),
            },
            Follow::Commit(commit) => {
                let id = Oid::from_str(commit).map_err(|it| failed(&it))?;
                match self.repository.find_commit(id) {
                    Ok(it) => (it.id(), None),
                    Err(_) => return Ok(None),
                }
            }
        };
        self.repository
            .reference(&own, commit, true, "")
            .map_err(|it| failed(&it))?;
        let text = follow.revision(&commit.to_string(), tag.as_deref());
        if let Some(tag) = tag {
            // The tag's name is part of the revision, and is needed to say it again after a restart.
            let _ = self.repository.reference_symbolic(
                &format!("{own}-tag"),
                &format!("refs/capstan/tags/{tag}"),
                true,
                "",
            );
        }
        text.parse()
            .map(Some)
            .map_err(|it: capstan_core::IdError| SourceError::Refused(it.to_string()))
    }

    fn newest_tag(&self, range: &str) -> Result<Option<(String, Oid)>, SourceError> {
        let range = semver::VersionReq::parse(range).map_err(|it| failed(&it))?;
        let mut newest: Option<(semver::Version, String, Oid)> = None;
        let references = self
            .repository
            .references_glob("refs/capstan/tags/*")
            .map_err(|it| failed(&it))?;
        for reference in references.flatten() {
            let Ok(name) = reference.name() else { continue };
            let tag = name.trim_start_matches("refs/capstan/tags/").to_owned();
            let Ok(version) = semver::Version::parse(tag.trim_start_matches('v')) else {
                continue;
            };
            let Ok(commit) = reference.peel_to_commit() else {
                continue;
            };
            if range.matches(&version) && newest.as_ref().is_none_or(|it| it.0 < version) {
                newest = Some((version, tag, commit.id()));
            }
        }
        Ok(newest.map(|(_, tag, commit)| (tag, commit)))
    }

    /// What an earlier fetch found.
    pub(crate) fn head(&self, follow: &Follow) -> Option<Revision> {
        let own = follow.local_ref();
        let commit = self
            .repository
            .find_reference(&own)
            .ok()?
            .peel_to_commit()
            .ok()?
            .id();
        let link = self.repository.find_reference(&format!("{own}-tag")).ok();
        let target = link.and_then(|it| it.symbolic_target().ok().flatten().map(ToOwned::to_owned));
        let tag = target.map(|it| it.trim_start_matches("refs/capstan/tags/").to_owned());
        follow
            .revision(&commit.to_string(), tag.as_deref())
            .parse()
            .ok()
    }

    /// All files of a revision, and the hash that names them.
    pub(crate) fn tree(&self, revision: &Revision) -> Result<(String, Arc<GitTree>), SourceError> {
        let missing = || SourceError::Missing {
            what: revision.to_string(),
        };
        let id = Oid::from_str(revision.commit()).map_err(|_| missing())?;
        let root = self
            .repository
            .find_commit(id)
            .map_err(|_| missing())?
            .tree_id();
        let repository = Repository::open_bare(self.repository.path()).map_err(|it| failed(&it))?;
        let tree = GitTree::new(repository, root);
        Ok((root.to_string(), Arc::new(tree)))
    }

    /// The files of a revision without what the source ignores, and what names them.
    pub(crate) fn source(
        &self,
        spec: &SourceSpec,
        revision: &Revision,
    ) -> Result<(String, Arc<dyn Tree + Send + Sync>), SourceError> {
        let (id, tree) = self.tree(revision)?;
        let files = tree.ignore_files().map_err(|it| failed(&it))?;
        let ignore = Ignore::new(&files, spec.ignore.as_deref()).map_err(|it| failed(&it))?;
        // The files themselves are part of the tree's own hash.
        let id = match &spec.ignore {
            Some(it) => format!("{id}+{}", Digest::of(it.as_bytes()).hex()),
            None => id,
        };
        Ok((id, Arc::new(IgnoredTree::new(tree, ignore))))
    }

    /// Keeps exactly the content of `pinned`, also where the repository has dropped it.
    pub(crate) fn keep(&self, pinned: &BTreeSet<&str>) -> Result<(), SourceError> {
        let kept = self
            .repository
            .references_glob(&format!("{PINS}*"))
            .map_err(|it| failed(&it))?;
        for mut reference in kept.flatten() {
            let name = reference.name().unwrap_or_default().to_owned();
            if !pinned.contains(name.trim_start_matches(PINS)) {
                reference.delete().map_err(|it| failed(&it))?;
            }
        }
        for commit in pinned {
            let Ok(id) = Oid::from_str(commit) else {
                continue;
            };
            if self.repository.find_commit(id).is_ok() {
                let name = format!("{PINS}{commit}");
                self.repository
                    .reference(&name, id, true, "")
                    .map_err(|it| failed(&it))?;
            }
        }
        Ok(())
    }
}

fn failed(error: &dyn std::fmt::Display) -> SourceError {
    SourceError::Failed(error.to_string())
}

/// Whether the other side has the one ref that the refspecs ask for; always where they ask for a pattern.
fn advertised(remote: &git2::Remote<'_>, refspecs: &[String]) -> Result<bool, SourceError> {
    let [refspec] = refspecs else { return Ok(true) };
    let name = refspec
        .trim_start_matches('+')
        .split(':')
        .next()
        .unwrap_or_default();
    if name.contains('*') || !name.starts_with("refs/") {
        return Ok(true);
    }
    let heads = remote.list().map_err(|it| failed(&it))?;
    Ok(heads.iter().any(|it| it.name() == name))
}

#[cfg(test)]
mod tests;
