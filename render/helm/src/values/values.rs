//! [`Values`]: what a user gives to a release.

use crate::HelmVersion;
use crate::tree::Tree;

use super::disguise;
use super::document::parse_values;
use super::literal;
use super::strvals::{self, StrvalsError};

/// The values that a user gives, over a chart's own. Cheap to clone, shared between threads.
#[derive(Clone, PartialEq)]
pub struct Values {
    tree: Tree,
    /// Where some are secret: the same values with others in their places.
    twin: Option<Tree>,
}

impl Values {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::from(Tree::empty_map())
    }

    /// Reads a values file.
    ///
    /// # Errors
    /// In the words of Helm, when the text is not YAML or no map.
    pub fn parse(text: &[u8], version: HelmVersion) -> Result<Self, String> {
        parse_values(text, version).map(Self::from)
    }

    /// Values out of JSON, as a Flux `HelmRelease` carries them. Anything but an object counts as none.
    #[must_use]
    pub fn from_json(value: &serde_json::Value) -> Self {
        if value.is_object() {
            Self::from(Tree::from(value))
        } else {
            Self::new()
        }
    }

    /// These values with others over them: maps are merged, everything else is replaced.
    #[must_use]
    pub fn merged(&self, over: &Self) -> Self {
        let twin = (self.has_secrets() || over.has_secrets())
            .then(|| self.twin_tree().merged(over.twin_tree()));
        Self {
            tree: self.tree.merged(&over.tree),
            twin,
        }
    }

    /// These values with others over them that nobody may see, as those of a Secret. What they are called is no secret, what they are is: what
    /// is made from them is marked as sensitive, and errors do not tell them. It takes a second render, with other values in their places.
    #[must_use]
    pub fn merged_secret(&self, over: &Self) -> Self {
        Self {
            tree: self.tree.merged(&over.tree),
            twin: Some(self.twin_tree().merged(&disguise::tree(over.twin_tree()))),
        }
    }

    /// Whether some are secret.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        self.twin.is_some()
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    fn twin_tree(&self) -> &Tree {
        self.twin.as_ref().unwrap_or(&self.tree)
    }

    /// The same values with others in the places of those that are secret.
    pub(crate) fn twin(&self) -> Self {
        Self::from(self.twin_tree().clone())
    }

    /// The values with `--set` assignments applied.
    ///
    /// # Errors
    /// When an assignment is malformed.
    pub fn set(&self, assignment: &str) -> Result<Self, StrvalsError> {
        self.changed(&mut |map| strvals::set_typed(assignment, map))
    }

    /// The values with `--set-string` assignments applied.
    ///
    /// # Errors
    /// When an assignment is malformed.
    pub fn set_string(&self, assignment: &str) -> Result<Self, StrvalsError> {
        self.changed(&mut |map| strvals::set_string(assignment, map))
    }

    /// The values with `--set-json` assignments applied. Helm 4 also takes a whole JSON object.
    ///
    /// # Errors
    /// When an assignment is malformed.
    pub fn set_json(&self, assignment: &str, version: HelmVersion) -> Result<Self, StrvalsError> {
        if version == HelmVersion::V4 && assignment.trim_start().starts_with('{') {
            let json: serde_json::Value = serde_json::from_str(assignment)
                .map_err(|error| StrvalsError(error.to_string()))?;
            return Ok(self.merged(&Self::from_json(&json)));
        }
        self.changed(&mut |map| strvals::set_json(assignment, map))
    }

    /// The values with `--set-file` assignments applied; `read` gives the content of a path.
    ///
    /// # Errors
    /// When an assignment is malformed or a file cannot be read.
    pub fn set_file(
        &self,
        assignment: &str,
        read: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
    ) -> Result<Self, StrvalsError> {
        self.changed(&mut |map| strvals::set_file(assignment, map, read))
    }

    /// The values with a `--set-literal` assignment applied.
    ///
    /// # Errors
    /// When the assignment is malformed.
    pub fn set_literal(&self, assignment: &str) -> Result<Self, StrvalsError> {
        self.changed(&mut |map| literal::set_literal(assignment, map))
    }

    fn changed(
        &self,
        change: &mut dyn FnMut(&capstan_gotemplate::Map) -> Result<(), StrvalsError>,
    ) -> Result<Self, StrvalsError> {
        let mut on = |tree: &Tree| {
            let map = tree.to_map();
            change(&map)?;
            Ok(Tree::from(&capstan_gotemplate::Value::Map(map)))
        };
        Ok(Self {
            tree: on(&self.tree)?,
            twin: self.twin.as_ref().map(on).transpose()?,
        })
    }
}

impl From<Tree> for Values {
    fn from(tree: Tree) -> Self {
        Self { tree, twin: None }
    }
}

impl Default for Values {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values hold secrets.
        f.write_str("Values(…)")
    }
}
