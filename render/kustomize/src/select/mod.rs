//! Which objects are meant: regular expressions on their identity, selectors on labels and annotations.

pub(crate) mod labels;
pub(crate) mod pattern;

use regex::Regex;

use crate::error::Result;
use crate::id::{Gvk, ResId};
use crate::kustomization::Selector;
use crate::resource::Resource;
use labels::LabelSelector;

/// A selector, its expressions compiled. An empty part matches anything.
#[derive(Clone)]
pub(crate) struct Matcher {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: String,
    annotations: String,
}

impl Matcher {
    pub(crate) fn new(selector: &Selector) -> Result<Matcher> {
        let compile = |text: &str| {
            if text.is_empty() {
                Ok(None)
            } else {
                pattern::compile(&format!("^(?:{text})$")).map(Some)
            }
        };
        Ok(Matcher {
            group: compile(&selector.group)?,
            version: compile(&selector.version)?,
            kind: compile(&selector.kind)?,
            name: compile(&selector.name)?,
            namespace: compile(&selector.namespace)?,
            labels: selector.label_selector.clone(),
            annotations: selector.annotation_selector.clone(),
        })
    }

    /// The objects that are meant, by position. Names and namespaces count as they are and as they were first.
    pub(crate) fn select(&self, resources: &[Resource]) -> Result<Vec<usize>> {
        let labels = LabelSelector::parse(&self.labels);
        let annotations = LabelSelector::parse(&self.annotations);
        let mut out = Vec::new();
        for (at, resource) in resources.iter().enumerate() {
            let (now, first) = (resource.id(), resource.original_id());
            let namespace = |id: &ResId| self.matches_namespace(id.effective_namespace());
            let is_meant = (namespace(&first) || namespace(now))
                && (self.matches_name(&first.name) || self.matches_name(&now.name))
                && self.matches_type(&now.gvk)
                && labels
                    .as_ref()
                    .map_err(Clone::clone)?
                    .matches(|key| find(resource.labels(), key))
                && annotations
                    .as_ref()
                    .map_err(Clone::clone)?
                    .matches(|key| find(resource.annotations(), key));
            if is_meant {
                out.push(at);
            }
        }
        Ok(out)
    }

    pub(crate) fn matches_type(&self, gvk: &Gvk) -> bool {
        is_match(self.group.as_ref(), &gvk.group)
            && is_match(self.version.as_ref(), &gvk.version)
            && is_match(self.kind.as_ref(), &gvk.kind)
    }

    pub(crate) fn matches_name(&self, name: &str) -> bool {
        is_match(self.name.as_ref(), name)
    }

    pub(crate) fn matches_namespace(&self, namespace: &str) -> bool {
        is_match(self.namespace.as_ref(), namespace)
    }

    /// Type, name and namespace as they are written.
    pub(crate) fn matches_id(&self, id: &ResId) -> bool {
        self.matches_type(&id.gvk)
            && self.matches_name(&id.name)
            && self.matches_namespace(&id.namespace)
    }

    pub(crate) fn matches_metadata(&self, resource: &Resource) -> Result<bool> {
        let annotations = LabelSelector::parse(&self.annotations)?;
        let labels = LabelSelector::parse(&self.labels)?;
        Ok(annotations.matches(|key| find(resource.annotations(), key))
            && labels.matches(|key| find(resource.labels(), key)))
    }
}

fn is_match(pattern: Option<&Regex>, text: &str) -> bool {
    pattern.is_none_or(|p| p.is_match(text))
}

fn find<'a>(mut entries: impl Iterator<Item = (&'a str, &'a str)>, key: &str) -> Option<&'a str> {
    entries.find(|(k, _)| *k == key).map(|(_, v)| v)
}
