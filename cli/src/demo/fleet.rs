//! The sample fleet repository.

use std::path::Path;

use anyhow::Context;
use capstan_playground::git::{GitServer, git};

/// Its name on the Git server.
pub(super) const REPOSITORY: &str = "fleet.git";

macro_rules! sample {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("sample/", $path)))),*]
    };
}

/// Its files.
const FILES: &[(&str, &str)] = sample![
    "README.md",
    "fleet/clusters.yaml",
    "fleet/placement.yaml",
    "fleet/pipeline.yaml",
    "clusters/dev/shop.yaml",
    "clusters/dev/guestbook.yaml",
    "clusters/staging/shop.yaml",
    "clusters/staging/guestbook.yaml",
    "clusters/prod/shop.yaml",
    "clusters/prod/guestbook.yaml",
    "apps/shop/base/kustomization.yaml",
    "apps/shop/base/namespace.yaml",
    "apps/shop/base/deployment.yaml",
    "apps/shop/base/service.yaml",
    "apps/shop/overlays/dev/kustomization.yaml",
    "apps/shop/overlays/staging/kustomization.yaml",
    "apps/shop/overlays/prod/kustomization.yaml",
    "apps/guestbook/guestbook.yaml",
];

/// Makes the repository on `server` and pushes the sample to it, by way of a work tree below `folder`.
pub(super) async fn publish(server: &GitServer, folder: &Path) -> anyhow::Result<()> {
    server.create(REPOSITORY).await?;
    let work = folder.join("sample");
    for (path, content) in FILES {
        let file = work.join(path);
        let parent = file.parent().context("a sample file without a folder")?;
        std::fs::create_dir_all(parent)?;
        std::fs::write(&file, content)?;
    }
    let url = server.url(REPOSITORY);
    git(&work, &["init", "--quiet", "--initial-branch=main"]).await?;
    git(&work, &["add", "."]).await?;
    git(&work, &["commit", "--quiet", "--message=A sample fleet"]).await?;
    git(&work, &["push", "--quiet", &url, "main"]).await?;
    Ok(())
}
