//! Which hub the command talks to when it is not told: a small file in the user's configuration folder.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

/// A hub and how to talk to it. The token itself stays in its own file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Context {
    /// Address of the API.
    pub(crate) hub: String,
    /// File with the token.
    pub(crate) token_file: PathBuf,
    /// PEM file with the authority of the hub's certificate.
    pub(crate) ca_file: Option<PathBuf>,
}

/// The current context, if there is one.
pub(crate) fn current() -> anyhow::Result<Option<Context>> {
    let Some(path) = path() else { return Ok(None) };
    match fs::read(&path) {
        Ok(bytes) => {
            let context = serde_json::from_slice(&bytes);
            Ok(Some(context.with_context(|| {
                format!("{} cannot be read; remove it", path.display())
            })?))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Makes `context` the current one.
pub(crate) fn save(context: &Context) -> anyhow::Result<PathBuf> {
    let Some(path) = path() else {
        bail!("neither XDG_CONFIG_HOME nor HOME is set")
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    fs::write(&path, serde_json::to_vec_pretty(context)?)
        .with_context(|| path.display().to_string())?;
    Ok(path)
}

fn path() -> Option<PathBuf> {
    let set = |name: &str| {
        env::var_os(name)
            .filter(|it| !it.is_empty())
            .map(PathBuf::from)
    };
    let folder = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(folder.join("capstan/context.json"))
}
