//! What must be in no log and no store, whatever a test is about: the credentials that a fleet makes for itself.

use std::path::{Path, PathBuf};

/// Files that are there to hold a credential.
const HOLDERS: [&str; 5] = [".token", ".kubeconfig", ".key", "identity.json", "identity"];

/// The files of `written` in which a credential lies that `written` itself holds, with what it is.
pub(super) fn leaks(written: &[(PathBuf, Vec<u8>)]) -> Vec<String> {
    let holds = |it: &Path| {
        let name = it.file_name().unwrap_or_default().to_string_lossy();
        HOLDERS.iter().any(|end| name.ends_with(end))
    };
    let tokens = written
        .iter()
        .filter(|it| it.0.extension().is_some_and(|it| it == "token"));
    let secrets: Vec<(String, &[u8])> = tokens
        .map(|(path, content)| (path.display().to_string(), content.trim_ascii()))
        .filter(|it| !it.1.is_empty())
        .chain([("a private key".to_owned(), &b"PRIVATE KEY-----"[..])])
        .collect();
    let mut found = Vec::new();
    for (path, content) in written.iter().filter(|it| !holds(&it.0)) {
        for (what, secret) in &secrets {
            if content.windows(secret.len()).any(|it| it == *secret) {
                found.push(format!("{what} is in {}", path.display()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::leaks;

    #[test]
    fn a_token_in_a_log_is_found_and_its_own_file_is_none() {
        let files = |log: &str| {
            let files = [
                ("hub/admin.token", "s3cret\n"),
                ("hub.log", log),
                ("dev.kubeconfig", "s3cret"),
            ];
            files.map(|it| (it.0.into(), it.1.as_bytes().to_vec()))
        };
        assert_eq!(leaks(&files("all is well")), Vec::<String>::new());
        assert_eq!(
            leaks(&files("token s3cret")),
            ["hub/admin.token is in hub.log"]
        );
    }
}
