//! Signed announcements of news. They make a source due, and nothing else: what they say is not read.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::secret::Secret;

/// What an announcement is worth.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    Yes,
    /// No signature, or a wrong one.
    No,
}

/// Checks a signature over the raw body. GitHub says `X-Hub-Signature-256: sha256=<hex>`, Gitea `X-Gitea-Signature: <hex>`;
/// GitLab signs nothing and sends the secret itself as `X-Gitlab-Token`.
pub(crate) fn announced(secret: &Secret, headers: &http::HeaderMap, body: &[u8]) -> Announced {
    let header = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    let github = header("x-hub-signature-256").and_then(|it| it.strip_prefix("sha256="));
    let signature = github.or_else(|| header("x-gitea-signature"));
    if secret.expose().is_empty() {
        return Announced::No;
    }
    let good = match (signature, header("x-gitlab-token")) {
        (Some(hex), _) => hex::decode(hex).is_ok_and(|signature| {
            let mac = Hmac::<Sha256>::new_from_slice(secret.expose());
            // Compares in constant time.
            mac.is_ok_and(|it| it.chain_update(body).verify_slice(&signature).is_ok())
        }),
        (None, Some(token)) => secret.is(token.as_bytes()),
        (None, None) => false,
    };
    if good { Announced::Yes } else { Announced::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_signature_over_exactly_this_body_counts() {
        let secret = Secret::new("key");
        let body = b"The quick brown fox jumps over the lazy dog";
        let good = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
        let table = [
            ("x-hub-signature-256", format!("sha256={good}"), true),
            ("x-gitea-signature", good.to_owned(), true),
            ("x-gitlab-token", "key".to_owned(), true),
            ("x-gitlab-token", "kez".to_owned(), false),
            ("x-hub-signature-256", good.to_owned(), false),
            (
                "x-hub-signature-256",
                format!("sha256={}", good.replace('f', "e")),
                false,
            ),
            ("x-hub-signature-256", "sha256=zz".to_owned(), false),
            ("x-other", good.to_owned(), false),
        ];
        for (name, value, expect) in table {
            let mut headers = http::HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(
                announced(&secret, &headers, body) == Announced::Yes,
                expect,
                "{name} {value}"
            );
            assert_eq!(announced(&Secret::default(), &headers, body), Announced::No);
        }
        let mut headers = http::HeaderMap::new();
        headers.insert("x-gitea-signature", good.parse().unwrap());
        assert_eq!(announced(&secret, &headers, b"other"), Announced::No);
    }
}
