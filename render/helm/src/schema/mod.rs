//! JSON Schema, drafts 4 to 2020-12, for `values.schema.json`.
//!
//! It reports what Helm's validator reports, in its words: every violation with its place in the values. Nothing is fetched: a `$ref` to
//! another document must be among those that the caller gives.

mod compile;
mod decimal;
mod document;
mod draft;
mod equal;
mod error;
mod format;
mod meta;
mod node;
mod uri;
mod validate;

use std::collections::BTreeMap;

use serde_json::Value;

pub use error::SchemaError;

/// The address that Helm gives a chart's schema; it shows in errors.
const SCHEMA_URL: &str = "file:///values.schema.json";

/// A compiled schema.
#[derive(Debug)]
pub struct Schema {
    nodes: Vec<node::Node>,
    root: node::NodeId,
}

impl Schema {
    /// Compiles a schema. `others` are the texts of documents that it may refer to, by their URL.
    ///
    /// # Errors
    /// When the text is not JSON or not a schema, or refers to what is not there.
    pub fn compile(text: &[u8], others: &BTreeMap<String, Vec<u8>>) -> Result<Self, SchemaError> {
        let document: Value =
            serde_json::from_slice(text).map_err(|error| SchemaError::Json(error.to_string()))?;
        let (nodes, root) = compile::Compiler::new(others).compile(SCHEMA_URL, document)?;
        Ok(Self { nodes, root })
    }

    /// Checks values.
    ///
    /// # Errors
    /// With every violation, a line each.
    pub fn validate(&self, values: &Value) -> Result<(), SchemaError> {
        validate::validate(&self.nodes, self.root, values)
            .map_err(|violation| SchemaError::Invalid(violation.lines()))
    }
}

#[cfg(test)]
mod tests;
