//! What an object says about how it is treated: Flux's labels and annotations `kustomize.toolkit.fluxcd.io/…`.

use serde_json::Value;

/// How an object is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ApplyPolicy {
    /// Own every declared field, and undo what was set with kubectl.
    #[default]
    Override,
    /// Own every declared field, and leave all others.
    Merge,
    /// Create it, and never touch it again.
    IfNotPresent,
    /// Neither apply nor prune.
    Ignore,
}

/// The switches of one object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Switches {
    /// `ssa`.
    pub(crate) apply: ApplyPolicy,
    /// `force: enabled`: delete and create again what cannot be changed in place.
    pub(crate) force: bool,
    /// `prune: disabled`: never delete it.
    pub(crate) keep: bool,
    /// `reconcile: disabled`: leave it alone.
    pub(crate) leave: bool,
}

impl Switches {
    /// Reads `metadata`; an annotation wins over a label, and case does not matter.
    pub(crate) fn of(metadata: &Value) -> Self {
        let get = |name: &str| {
            let key = format!("kustomize.toolkit.fluxcd.io/{name}");
            ["annotations", "labels"]
                .iter()
                .find_map(|it| metadata.get(it)?.get(&key)?.as_str())
                .unwrap_or_default()
                .to_ascii_lowercase()
        };
        Self {
            apply: match get("ssa").as_str() {
                "merge" => ApplyPolicy::Merge,
                "ifnotpresent" => ApplyPolicy::IfNotPresent,
                "ignore" => ApplyPolicy::Ignore,
                _ => ApplyPolicy::Override,
            },
            force: get("force") == "enabled",
            keep: get("prune") == "disabled",
            leave: get("reconcile") == "disabled",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn switches_are_read_in_any_case() {
        let metadata = json!({
            "labels": {"kustomize.toolkit.fluxcd.io/prune": "Disabled"},
            "annotations": {"kustomize.toolkit.fluxcd.io/ssa": "Merge", "kustomize.toolkit.fluxcd.io/force": "Enabled"},
        });
        let expect = Switches {
            apply: ApplyPolicy::Merge,
            force: true,
            keep: true,
            leave: false,
        };
        assert_eq!(Switches::of(&metadata), expect);
        assert_eq!(Switches::of(&json!({})), Switches::default());
    }
}
