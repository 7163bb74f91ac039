//! Folders and kustomizations.

use std::path::Path;

use anyhow::bail;

/// What `path`, which lies below `root`, gives.
pub(super) fn render(path: &Path, root: &Path, _tree: bool) -> anyhow::Result<String> {
    bail!(
        "{} below {}: building kustomizations is not there yet",
        path.display(),
        root.display()
    )
}
