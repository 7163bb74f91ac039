//! What a unit is made of before variables are replaced: the same for all clusters that differ in variables alone, and kept for them.

use std::sync::{Arc, OnceLock};

use capstan_kustomize::Origin;

use crate::{
    problem::Problem,
    substitute::{SUBSTITUTE, is_excepted, parse},
    unit::RenderedEntry,
};

/// The objects of a kustomization, in order.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) parts: Vec<Part>,
    /// Bytes that it takes, roughly.
    pub(crate) bytes: usize,
}

/// One object.
pub(crate) struct Part {
    /// Kind and name, as problems name it.
    about: String,
    origin: Arc<Origin>,
    /// Its text, as kustomize prints it.
    pub(crate) yaml: Arc<str>,
    /// Whether variables may change it.
    pub(crate) varies: bool,
    /// What is made of it, once that is known, where no variable changes it.
    entry: OnceLock<RenderedEntry>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Part({})", self.about)
    }
}

impl Base {
    pub(crate) fn new(build: &capstan_kustomize::Build) -> Self {
        let parts: Vec<Part> = build.objects.iter().map(Part::new).collect();
        // The text is there twice once what is made of it is kept too.
        let bytes = parts.iter().map(|it| it.yaml.len() * 2).sum();
        Self { parts, bytes }
    }

    /// Whether it may be kept: nothing in it is a Secret, or may turn out to be one.
    pub(crate) fn is_public(build: &capstan_kustomize::Build) -> bool {
        let kinds = build.objects.iter().map(|it| &it.id.gvk.kind);
        kinds
            .into_iter()
            .all(|it| it != "Secret" && !it.contains('$'))
    }
}

impl Part {
    fn new(object: &capstan_kustomize::Built) -> Self {
        let excepted = || {
            object.yaml.contains(SUBSTITUTE) && parse(&object.yaml).is_ok_and(|it| is_excepted(&it))
        };
        Self {
            about: format!("{}/{}", object.id.gvk.kind, object.id.name),
            origin: object.origin.clone(),
            yaml: object.yaml.clone(),
            varies: object.yaml.contains('$') && !excepted(),
            entry: OnceLock::new(),
        }
    }

    /// The file that it came from; empty where it was generated.
    pub(crate) fn file(&self) -> &str {
        &self.origin.file
    }

    /// The line that it begins at.
    pub(crate) fn line(&self) -> Option<u32> {
        Some(self.origin.line).filter(|it| *it > 0)
    }

    pub(crate) fn problem(&self, message: String) -> Problem {
        let problem = Problem::error(message).about(&self.about);
        problem.in_file(self.file(), self.line())
    }

    /// What was made of it for another cluster and is the same for each.
    pub(crate) fn entry(&self) -> Option<&RenderedEntry> {
        self.entry.get()
    }

    /// Keeps what was made of it for all who share the base.
    pub(crate) fn keep(&self, entry: &RenderedEntry) {
        if !self.varies && !entry.entry.sensitive {
            // Another thread may have made the same.
            drop(self.entry.set(entry.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use capstan_kustomize::{MemoryTree, Options, build};

    use super::*;

    #[test]
    fn what_is_or_may_be_a_secret_is_not_kept() {
        let public = |object: &str| {
            let files = [
                ("kustomization.yaml", "resources: [r.yaml]\n"),
                ("r.yaml", object),
            ];
            let built = build(&MemoryTree::new(files), "", &Options::default()).unwrap();
            Base::is_public(&built)
        };
        let object = |kind: &str| format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: x}}\n");
        assert!(public(&object("ConfigMap")));
        assert!(!public(&object("Secret")));
        assert!(!public(&object("${kind:=Secret}")));
        assert!(!public(&format!(
            "{}---\n{}",
            object("Pod"),
            object("Secret")
        )));
    }
}
