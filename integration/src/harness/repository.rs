//! The fleet repository as somebody with a clone works on it.

use std::path::{Path, PathBuf};

use capstan_playground::git::git;

/// A clone.
pub struct Repository {
    work: PathBuf,
}

impl Repository {
    /// Clones `url` into `work`.
    ///
    /// # Errors
    /// When git fails.
    pub async fn clone(url: &str, work: PathBuf) -> anyhow::Result<Self> {
        let folder = work.parent().unwrap_or(Path::new("."));
        git(folder, &["clone", "--quiet", url, &work.to_string_lossy()]).await?;
        git(&work, &["checkout", "--quiet", "-B", "main"]).await?;
        Ok(Self { work })
    }

    /// Writes the files and pushes them as one commit. Gives the commit.
    ///
    /// # Errors
    /// When git fails.
    pub async fn commit(&self, message: &str, files: &[(&str, &str)]) -> anyhow::Result<String> {
        for (path, content) in files {
            let file = self.work.join(path);
            std::fs::create_dir_all(file.parent().unwrap_or(&self.work))?;
            std::fs::write(&file, content)?;
        }
        self.push(message).await
    }

    /// Removes files or folders and pushes that as one commit. Gives the commit.
    ///
    /// # Errors
    /// When git fails.
    pub async fn remove(&self, message: &str, paths: &[&str]) -> anyhow::Result<String> {
        for path in paths {
            git(&self.work, &["rm", "--quiet", "-r", path]).await?;
        }
        self.push(message).await
    }

    async fn push(&self, message: &str) -> anyhow::Result<String> {
        git(&self.work, &["add", "--all"]).await?;
        git(&self.work, &["commit", "--quiet", "--message", message]).await?;
        git(&self.work, &["push", "--quiet", "origin", "main"]).await?;
        Ok(git(&self.work, &["rev-parse", "HEAD"]).await?)
    }
}
