//! From the text of templates to objects: splitting, heads, hooks, and the order of installation.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::HelmVersion;
use crate::error::Error;
use crate::head::HeadCache;

/// One object of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The template that it comes from.
    pub source: String,
    /// Its text.
    pub text: String,
    /// Its `apiVersion`; empty where it has none.
    pub api_version: String,
    /// Its `kind`; empty where it has none, as a document of comments only.
    pub kind: String,
    /// Its `metadata.name`.
    pub name: String,
    /// Whether it must not be shown: a Secret, or made with random values or from Secrets.
    pub sensitive: bool,
}

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the variants are Helm's names of its events")]
pub enum HookEvent {
    PreInstall,
    PostInstall,
    PreDelete,
    PostDelete,
    PreUpgrade,
    PostUpgrade,
    PreRollback,
    PostRollback,
    Test,
}

impl HookEvent {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "pre-install" => Self::PreInstall,
            "post-install" => Self::PostInstall,
            "pre-delete" => Self::PreDelete,
            "post-delete" => Self::PostDelete,
            "pre-upgrade" => Self::PreUpgrade,
            "post-upgrade" => Self::PostUpgrade,
            "pre-rollback" => Self::PreRollback,
            "post-rollback" => Self::PostRollback,
            "test" | "test-success" => Self::Test,
            _ => return None,
        })
    }
}

/// An object that Helm runs at certain moments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The object.
    pub manifest: Manifest,
    /// When it runs.
    pub events: Vec<HookEvent>,
    /// Lower ones run first.
    pub weight: i64,
    /// When it is deleted, in Helm's words.
    pub delete_policies: Vec<String>,
    /// When its logs are shown, in Helm's words.
    pub output_log_policies: Vec<String>,
}

const HOOK: &str = "helm.sh/hook";
const HOOK_WEIGHT: &str = "helm.sh/hook-weight";
const HOOK_DELETE: &str = "helm.sh/hook-delete-policy";
const HOOK_OUTPUT_LOG: &str = "helm.sh/hook-output-log-policy";

/// Kinds in the order in which Helm installs them. The last two have a place of their own in Helm 4 only.
const INSTALL_ORDER: [&str; 38] = [
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];
/// How many of them Helm 3 knows.
const V3_KINDS: usize = 36;

/// A sort key: known kinds by their place, unknown ones after them by name.
fn place(kind: &str, version: HelmVersion) -> (usize, &str) {
    let known = match version {
        HelmVersion::V3 => &INSTALL_ORDER[..V3_KINDS],
        HelmVersion::V4 => &INSTALL_ORDER[..],
    };
    match known.iter().position(|one| *one == kind) {
        Some(at) => (at, ""),
        None => (known.len(), kind),
    }
}

/// Splits files into objects, hooks apart from the others, both in the order of installation. `heads` are those of earlier renders;
/// `sensitive` says which files are.
pub(crate) fn sort(
    files: &BTreeMap<String, String>,
    version: HelmVersion,
    heads: &HeadCache,
    sensitive: impl Fn(&str) -> bool,
) -> Result<(Vec<Hook>, Vec<Manifest>), Error> {
    let mut hooks = Vec::new();
    let mut manifests = Vec::new();
    for (path, content) in files {
        let base = path.rsplit('/').next().unwrap_or(path);
        if base.starts_with('_') || go_trim(content).is_empty() {
            continue;
        }
        for text in split(content, version) {
            let is_sensitive = sensitive(path);
            let head =
                heads
                    .head(&text, version, is_sensitive)
                    .map_err(|reason| Error::Manifest {
                        path: path.clone(),
                        reason,
                    })?;
            let manifest = Manifest {
                source: path.clone(),
                sensitive: head.kind == "Secret" || is_sensitive,
                text,
                api_version: head.api_version,
                kind: head.kind,
                name: head.name,
            };
            match head.annotations.get(HOOK) {
                None => manifests.push(manifest),
                Some(events) => hooks.extend(hook(manifest, events, &head.annotations)),
            }
        }
    }
    hooks.sort_by(|a: &Hook, b: &Hook| {
        place(&a.manifest.kind, version).cmp(&place(&b.manifest.kind, version))
    });
    manifests.sort_by(|a: &Manifest, b: &Manifest| {
        place(&a.kind, version).cmp(&place(&b.kind, version))
    });
    Ok((hooks, manifests))
}

/// The hook of an object; one with an event that nobody knows is dropped.
fn hook(manifest: Manifest, events: &str, annotations: &BTreeMap<String, String>) -> Option<Hook> {
    let words = |text: &str| {
        text.split(',')
            .map(|word| go_trim(word).to_lowercase())
            .collect::<Vec<_>>()
    };
    let events = words(events)
        .iter()
        .map(|event| HookEvent::parse(event))
        .collect::<Option<Vec<_>>>()?;
    let policies = |name: &str| {
        annotations
            .get(name)
            .map(|text| words(text))
            .unwrap_or_default()
    };
    let weight = annotations
        .get(HOOK_WEIGHT)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    Some(Hook {
        manifest,
        events,
        weight,
        delete_policies: policies(HOOK_DELETE),
        output_log_policies: policies(HOOK_OUTPUT_LOG),
    })
}

/// What Go calls space.
fn is_go_space(c: char) -> bool {
    c.is_whitespace()
}

fn go_trim(text: &str) -> &str {
    text.trim_matches(is_go_space)
}

static SEPARATOR_V3: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[\t\n\f\r ]*\n)---[\t\n\f\r ]*").expect("the pattern is fixed")
});

/// The text between what `(?m)^---[ \t]*` matches.
fn between_separators(content: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut line) = (Vec::new(), 0, 0);
    loop {
        if let Some(rest) = content[line..].strip_prefix("---") {
            parts.push(&content[begin..line]);
            let rest = rest.trim_start_matches([' ', '\t']);
            begin = content.len() - rest.len();
            line = begin;
        }
        match content[line..].find('\n') {
            Some(end) => line += end + 1,
            None => break,
        }
    }
    parts.push(&content[begin..]);
    parts
}

/// The documents of a file. Helm 4 keeps blank lines at the end of each, which count in block scalars.
pub(crate) fn split(content: &str, version: HelmVersion) -> Vec<String> {
    match version {
        HelmVersion::V3 => SEPARATOR_V3
            .split(go_trim(content))
            .map(go_trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .collect(),
        HelmVersion::V4 => {
            let content = content.trim_start_matches(is_go_space);
            let documents = between_separators(content).into_iter();
            documents
                .filter(|text| !go_trim(text).is_empty())
                .map(|text| text.trim_start_matches(is_go_space).to_owned())
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(content: &str, version: HelmVersion) -> Vec<String> {
        split(content, version)
    }

    #[test]
    fn helm_4_cuts_where_its_pattern_matches() {
        let pattern = Regex::new(r"(?m)^---[ \t]*").unwrap();
        let pieces = ["---", "\n", " ", "\t", "a: 1", "\r", "-", "--- # x"];
        // Every sequence of five pieces.
        for number in 0..pieces.len().pow(5) {
            let piece = |at: u32| pieces[number / pieces.len().pow(at) % pieces.len()];
            let text: String = (0..5).map(piece).collect();
            let expected: Vec<&str> = pattern.split(&text).collect();
            assert_eq!(between_separators(&text), expected, "{text:?}");
        }
    }

    #[test]
    fn documents_are_cut_as_each_version_cuts() {
        let content = "\n---\na: 1\n---\n\n---b: 2\n--- # c\nc: |\n  x\n\n\n---\nd: 4\n\n";
        assert_eq!(
            texts(content, HelmVersion::V3),
            ["a: 1", "---b: 2", "# c\nc: |\n  x", "d: 4"]
        );
        assert_eq!(
            texts(content, HelmVersion::V4),
            ["a: 1\n", "b: 2\n", "# c\nc: |\n  x\n\n\n", "d: 4\n\n"]
        );
        assert_eq!(
            texts("a: |\n  x\n  ---\n  y", HelmVersion::V4),
            ["a: |\n  x\n  ---\n  y"]
        );
        assert_eq!(
            texts("# only a comment", HelmVersion::V3),
            ["# only a comment"]
        );
    }

    fn kinds(files: &[(&str, &str)], version: HelmVersion) -> (Vec<String>, Vec<String>) {
        let files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
        let (hooks, manifests) = sort(&files, version, &HeadCache::default(), |_| false).unwrap();
        (
            hooks.into_iter().map(|hook| hook.manifest.kind).collect(),
            manifests
                .into_iter()
                .map(|manifest| manifest.kind)
                .collect(),
        )
    }

    #[test]
    fn kinds_install_in_order_and_unknown_ones_last() {
        let files = [
            (
                "b.yaml",
                "kind: Zoo\n---\nkind: Ape\n---\nkind: ValidatingWebhookConfiguration\n---\nkind: Deployment",
            ),
            (
                "a.yaml",
                "kind: Service\n---\nkind: Namespace\n---\nkind: MutatingWebhookConfiguration",
            ),
        ];
        let v3 = kinds(&files, HelmVersion::V3).1;
        assert_eq!(
            v3,
            [
                "Namespace",
                "Service",
                "Deployment",
                "Ape",
                "MutatingWebhookConfiguration",
                "ValidatingWebhookConfiguration",
                "Zoo"
            ]
        );
        let v4 = kinds(&files, HelmVersion::V4).1;
        assert_eq!(
            v4,
            [
                "Namespace",
                "Service",
                "Deployment",
                "MutatingWebhookConfiguration",
                "ValidatingWebhookConfiguration",
                "Ape",
                "Zoo"
            ]
        );
    }

    #[test]
    fn hooks_are_read_and_unknown_ones_dropped() {
        let text = |hook: &str| {
            format!(
                "kind: Job\nmetadata: {{name: j, annotations: {{helm.sh/hook: '{hook}', helm.sh/hook-weight: '-5', helm.sh/hook-delete-policy: 'hook-succeeded, Before-Hook-Creation'}}}}"
            )
        };
        let files = BTreeMap::from([
            ("t.yaml".to_owned(), text("pre-install, Test-Success")),
            ("u.yaml".to_owned(), text("pre-install,made-up")),
        ]);
        let (hooks, manifests) =
            sort(&files, HelmVersion::V4, &HeadCache::default(), |_| true).unwrap();
        assert!(manifests.is_empty());
        let [hook] = hooks.as_slice() else {
            panic!("{hooks:?}")
        };
        assert_eq!(
            (hook.events.as_slice(), hook.weight),
            ([HookEvent::PreInstall, HookEvent::Test].as_slice(), -5)
        );
        assert_eq!(
            hook.delete_policies,
            ["hook-succeeded", "before-hook-creation"]
        );
        assert!(hook.manifest.sensitive);
    }
}
