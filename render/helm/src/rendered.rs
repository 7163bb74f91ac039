//! [`Rendered`]: what a render gives.

use std::fmt::Write as _;

use crate::context::Lookup;
use crate::manifest::{Hook, HookEvent, Manifest};

/// A file of a chart's `crds/` folder, as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crd {
    /// Its path, chart names in front.
    pub source: String,
    /// Its text.
    pub text: String,
}

/// What a chart gives for a release.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// Objects in the order of installation.
    pub manifests: Vec<Manifest>,
    /// Hooks, by kind as the manifests; their weights order them when they run.
    pub hooks: Vec<Hook>,
    /// CRDs outside templates, the chart's own first, then its dependencies'.
    pub crds: Vec<Crd>,
    /// `NOTES.txt`.
    pub notes: String,
    /// Whether the notes must not be shown, as [`Manifest::sensitive`].
    pub notes_are_sensitive: bool,
    /// All that the chart looked up in the cluster.
    pub lookups: Vec<Lookup>,
    /// What of it there was no answer to. The result is final only when this is empty, or when there is no cluster to ask.
    pub wanted: Vec<Lookup>,
}

impl Rendered {
    /// The text that `helm template` prints.
    #[must_use]
    pub fn to_text(&self, options: &TextOptions) -> String {
        let mut out = String::new();
        if options.include_crds {
            for crd in &self.crds {
                push(&mut out, &crd.source, &crd.text);
            }
        }
        for manifest in &self.manifests {
            push(&mut out, &manifest.source, &manifest.text);
        }
        let mut out = format!("{}\n", out.trim_matches(char::is_whitespace));
        if !options.no_hooks {
            let wanted = self
                .hooks
                .iter()
                .filter(|hook| !options.skip_tests || !hook.events.contains(&HookEvent::Test));
            for hook in wanted {
                push(&mut out, &hook.manifest.source, &hook.manifest.text);
            }
        }
        out
    }
}

fn push(out: &mut String, source: &str, text: &str) {
    let _ = write!(out, "---\n# Source: {source}\n{text}\n");
}

/// What of a release is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextOptions {
    /// `--include-crds`
    pub include_crds: bool,
    /// `--no-hooks`
    pub no_hooks: bool,
    /// `--skip-tests`
    pub skip_tests: bool,
}

impl std::fmt::Debug for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Texts may be secrets.
        let shown = |manifest: &Manifest| {
            format!(
                "{}/{} from {}",
                manifest.kind, manifest.name, manifest.source
            )
        };
        f.debug_struct("Rendered")
            .field(
                "manifests",
                &self.manifests.iter().map(shown).collect::<Vec<_>>(),
            )
            .field(
                "hooks",
                &self
                    .hooks
                    .iter()
                    .map(|hook| shown(&hook.manifest))
                    .collect::<Vec<_>>(),
            )
            .field("lookups", &self.lookups)
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}
