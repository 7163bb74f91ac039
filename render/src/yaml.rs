//! YAML documents as JSON values, with the line that each begins at.

use capstan_goyaml::{DecodeOptions, Dialect, JsonBuilder};
use capstan_kustomize::Tree;
use serde_json::Value;

use crate::problem::Problem;

/// A file larger than this is no configuration.
pub(crate) const MAX_FILE_BYTES: usize = 4 << 20;

/// One document of a file.
pub(crate) struct Document {
    /// The line that it begins at, counted from one, where it is known.
    pub(crate) line: Option<u32>,
    /// The document.
    pub(crate) value: Value,
}

/// The documents of a file that are not empty.
pub(crate) fn read_file(tree: &dyn Tree, file: &str) -> Result<Vec<Document>, Problem> {
    let bytes = tree
        .read(file)
        .map_err(|it| Problem::error(it.reason).in_file(file, None))?;
    if bytes.len() > MAX_FILE_BYTES {
        let message = format!(
            "{} bytes, more than the {MAX_FILE_BYTES} that a file may have",
            bytes.len()
        );
        return Err(Problem::error(message).in_file(file, None));
    }
    let wrong = |it: capstan_goyaml::Error| Problem::error(it.to_string()).in_file(file, it.line());
    let options = DecodeOptions {
        dialect: Dialect::V2,
        strict: false,
        object: false,
    };
    let mut documents = Vec::new();
    for document in capstan_goyaml::parse(&bytes, Dialect::V2).map_err(wrong)? {
        let value =
            capstan_goyaml::decode(&document.root, options, &mut JsonBuilder).map_err(wrong)?;
        if !value.is_null() {
            let line = Some(document.root.line).filter(|it| *it > 0);
            documents.push(Document { line, value });
        }
    }
    Ok(documents)
}
