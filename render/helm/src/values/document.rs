//! `values.yaml` and other values files as text.

use capstan_goyaml::unmarshal_object;

use crate::HelmVersion;
use crate::tree::{Tree, TreeBuilder};

/// Reads a values file: Helm 3 its first document, Helm 4 all of them, later ones over earlier ones.
pub(crate) fn parse_values(text: &[u8], version: HelmVersion) -> Result<Tree, String> {
    match version {
        HelmVersion::V3 => parse_document(text),
        HelmVersion::V4 => {
            let mut values = Tree::empty_map();
            for document in documents(text)? {
                let document = parse_document(&document)
                    .map_err(|error| format!("cannot unmarshal yaml document: {error}"))?;
                values = values.merged(&document);
            }
            Ok(values)
        }
    }
}

/// A chart's own values for both versions. They only differ where the file has several documents.
pub(crate) fn load_default_values(text: &[u8]) -> [Result<Tree, String>; 2] {
    let separated = text
        .split(|&b| b == b'\n')
        .any(|line| line.starts_with(b"---"));
    let first = parse_values(text, HelmVersion::V3);
    let all = match &first {
        Ok(values) if !separated => Ok(values.clone()),
        _ => parse_values(text, HelmVersion::V4),
    };
    [first, all]
}

fn parse_document(text: &[u8]) -> Result<Tree, String> {
    let values = unmarshal_object(text, &mut TreeBuilder).map_err(|error| error.to_string())?;
    Ok(values.unwrap_or_else(Tree::empty_map))
}

/// Cuts a file at its `---` lines; nothing but a comment may follow the dashes.
fn documents(text: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut documents = Vec::new();
    let mut current = Vec::new();
    for line in text.split_inclusive(|&b| b == b'\n') {
        if let Some(after) = line.strip_prefix(b"---") {
            let after = after.trim_ascii();
            if !after.is_empty() && !after.starts_with(b"#") {
                return Err(format!(
                    "error reading yaml document: invalid Yaml document separator: {}",
                    String::from_utf8_lossy(after)
                ));
            }
            if !current.is_empty() {
                documents.push(std::mem::take(&mut current));
            } else {
                // Go's reader keeps a separator that nothing stands before.
                current.extend_from_slice(line);
            }
            continue;
        }
        current.extend_from_slice(line);
    }
    if !current.is_empty() {
        // Go's reader gives every line with a line break, the last one too, which errors at the end of a text count.
        if !current.ends_with(b"\n") {
            current.push(b'\n');
        }
        documents.push(current);
    }
    Ok(documents)
}
