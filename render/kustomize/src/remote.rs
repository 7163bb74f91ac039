//! What a kustomization may name that is not in the tree. Nothing is fetched here: the caller says where it put what it fetched.

use crate::error::{Error, ErrorKind};

/// Whether `path` is read over HTTP.
pub(crate) fn is_remote_file(path: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        path.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

pub(crate) fn not_fetched(path: &str) -> Error {
    let message = format!(
        "'{path}' is remote and was not fetched for this build; copy it into the repository or declare it as a source"
    );
    Error::new(ErrorKind::NotAvailable, message)
}

/// Whether kustomize would clone `path`: a scheme, or a host that it knows, and something that can be a repository.
pub(crate) fn is_repository(path: &str) -> bool {
    if path.starts_with('/') {
        return false;
    }
    let url = path.split('?').next().unwrap_or_default();
    let url = strip_ignoring_case(url, "git::").unwrap_or(url);
    let scheme = ["ssh://", "https://", "http://", "file://"]
        .into_iter()
        .find(|s| strip_ignoring_case(url, s).is_some())
        .unwrap_or("");
    let rest = &url[scheme.len()..];
    let user = user_name(rest);
    let host_and_path = &rest[user.len()..];
    let lower = host_and_path.to_ascii_lowercase();
    let github = lower.starts_with("github.com/") || lower.starts_with("github.com:");
    let like_scp = scheme.is_empty() && (!user.is_empty() || github);
    if scheme.is_empty() && !like_scp {
        return false;
    }
    if scheme == "file://" {
        return !host_and_path.is_empty() && stays_inside(host_and_path);
    }
    let slash = host_and_path.find('/');
    let colon = host_and_path.find(':').filter(|at| like_scp && *at > 0);
    let end = match (slash, colon) {
        (Some(slash), Some(colon)) => Some(slash.min(colon)),
        (slash, colon) => slash.or(colon),
    };
    let Some(end) = end else { return false };
    has_repository(&host_and_path[end + 1..])
}

fn strip_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    text.get(..prefix.len())
        .filter(|start| start.eq_ignore_ascii_case(prefix))
        .map(|_| &text[prefix.len()..])
}

/// `git@` of `git@host`, with its `@`.
fn user_name(text: &str) -> &str {
    let Some(at) = text.find('@') else { return "" };
    let name = &text[..at];
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if good { &text[..=at] } else { "" }
}

fn has_repository(path: &str) -> bool {
    if let Some(at) = path.find("_git/") {
        let below = path[at + 5..].split_once('/').map_or("", |(_, rest)| rest);
        return stays_inside(below);
    }
    if let Some((repository, below)) = path.split_once("//") {
        return !repository.is_empty() && stays_inside(below);
    }
    if let Some(at) = path.find(".git") {
        return stays_inside(&path[at + 4..]);
    }
    let mut segments = path.splitn(3, '/');
    let repository = (segments.next(), segments.next());
    matches!(repository, (Some(owner), Some(name)) if !(owner.is_empty() && name.is_empty()))
        && stays_inside(segments.next().unwrap_or_default())
}

fn stays_inside(path: &str) -> bool {
    let mut depth = 0_i32;
    for segment in path.split('/').filter(|s| !s.is_empty() && *s != ".") {
        depth += if segment == ".." { -1 } else { 1 };
        if depth < 0 {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_from_folders() {
        for url in [
            "https://github.com/org/repo",
            "https://github.com/org/repo//deploy?ref=v1",
            "github.com/org/repo/deploy",
            "git@github.com:org/repo.git",
            "git::https://gitlab.com/org/repo.git//x",
            "ssh://git@host/org/repo",
            "https://dev.azure.com/org/project/_git/repo",
        ] {
            assert!(is_repository(url), "{url}");
        }
        for path in [
            "../base",
            "base",
            "/abs",
            "github.com",
            "https://host",
            "foo/bar/baz",
            "github.com/org",
            "https://host/a/b/../..",
        ] {
            assert!(!is_repository(path), "{path}");
        }
        assert!(is_remote_file("HTTPS://x/y.yaml") && !is_remote_file("httpx"));
    }
}
