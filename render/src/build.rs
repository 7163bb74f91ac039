//! From a folder of a source to the objects that it holds.

use capstan_kustomize::tree::{Entry, Tree};
use serde_json::Value;

use crate::{flux::Kustomization, problem::Problem, yaml};

/// Files that make a folder a kustomization.
const KUSTOMIZATION_FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// Folders below each other.
const MAX_DEPTH: usize = 32;

/// One object as it came from a build.
pub(crate) struct Built {
    /// The object.
    pub(crate) value: Value,
    /// The file that it came from; empty where it was generated.
    pub(crate) file: String,
    /// The line that it begins at.
    pub(crate) line: Option<u32>,
}

/// Builds the folder that `spec.path` names.
pub(crate) fn build(tree: &dyn Tree, spec: &Kustomization) -> Result<Vec<Built>, Vec<Problem>> {
    let path = spec.path.trim_start_matches("./").trim_matches('/');
    let mut built = Vec::new();
    let mut problems = Vec::new();
    match folder(tree, path, 0, &mut built, &mut problems) {
        Err(problem) => Err(vec![problem]),
        Ok(()) if problems.is_empty() => Ok(built),
        Ok(()) => Err(problems),
    }
}

fn folder(
    tree: &dyn Tree,
    path: &str,
    depth: usize,
    built: &mut Vec<Built>,
    problems: &mut Vec<Problem>,
) -> Result<(), Problem> {
    let failed = |it: &dyn std::fmt::Display| Problem::error(it.to_string()).in_file(path, None);
    let is_folder = path.is_empty()
        || matches!(
            tree.entry(path).map_err(|it| failed(&it))?,
            Some(Entry::Folder)
        );
    if !is_folder || depth > MAX_DEPTH {
        return Err(failed(&"kustomization path not found"));
    }
    let names = tree.list(path).map_err(|it| failed(&it))?;
    if names
        .iter()
        .any(|it| KUSTOMIZATION_FILES.contains(&it.as_str()))
    {
        return Err(failed(
            &"has a kustomization file; building kustomizations is not there yet",
        ));
    }
    for name in names {
        let below = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}/{name}")
        };
        match tree.entry(&below).map_err(|it| failed(&it))? {
            Some(Entry::Folder) if !name.starts_with('.') => {
                folder(tree, &below, depth + 1, built, problems)?
            }
            Some(Entry::File(_)) if name.ends_with(".yaml") || name.ends_with(".yml") => {
                match yaml::read_file(tree, &below) {
                    Ok(documents) => built.extend(documents.into_iter().map(|it| Built {
                        value: it.value,
                        file: below.clone(),
                        line: it.line,
                    })),
                    Err(problem) => problems.push(problem),
                }
            }
            _ => {}
        }
    }
    Ok(())
}
