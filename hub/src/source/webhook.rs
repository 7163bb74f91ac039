//! Signed announcements of news. They make a source due, and nothing else: what they say is not read.

use hmac::{Hmac, Mac};
use sha2::{Sha256, Sha512};

use crate::secret::Secret;

/// What an announcement is worth.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    Yes,
    /// No signature, or a wrong one.
    No,
}

/// Headers whose value is `ALGORITHM=HEX`: of GitHub and those like it, of Bitbucket, and of Flux's `generic-hmac`.
const NAMED: [&str; 3] = ["x-hub-signature-256", "x-hub-signature", "x-signature"];
/// Headers whose value is the HMAC-SHA256 in hex.
const PLAIN: [&str; 2] = ["x-gitea-signature", "x-gogs-signature"];
/// GitLab signs nothing, and sends the secret itself.
const TOKEN: &str = "x-gitlab-token";

/// Checks the signatures over the raw body; one that is good is enough, since some servers also send an older kind.
/// Everything is compared in constant time.
pub(crate) fn announced(secret: &Secret, headers: &http::HeaderMap, body: &[u8]) -> Announced {
    let header = |name: &&str| headers.get(*name).and_then(|it| it.to_str().ok());
    let named = NAMED.iter().filter_map(header).any(|it| {
        let (algorithm, hex) = it.split_once('=').unwrap_or_default();
        match algorithm {
            "sha256" => is_signed::<Hmac<Sha256>>(secret, hex, body),
            "sha512" => is_signed::<Hmac<Sha512>>(secret, hex, body),
            // SHA-1 is too weak to be taken.
            _ => false,
        }
    });
    let plain = PLAIN.iter().filter_map(header);
    let mut plain = plain.filter(|it| is_signed::<Hmac<Sha256>>(secret, it, body));
    let good = named
        || plain.next().is_some()
        || header(&TOKEN).is_some_and(|it| secret.is(it.as_bytes()));
    if good && !secret.expose().is_empty() {
        Announced::Yes
    } else {
        Announced::No
    }
}

fn is_signed<M: Mac + hmac::digest::KeyInit>(
    secret: &Secret,
    signature: &str,
    body: &[u8],
) -> bool {
    let Ok(signature) = hex::decode(signature.trim()) else {
        return false;
    };
    let mac = <M as hmac::digest::KeyInit>::new_from_slice(secret.expose());
    mac.is_ok_and(|it| it.chain_update(body).verify_slice(&signature).is_ok())
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
            ("x-hub-signature", format!("sha256={good}"), true),
            ("x-signature", format!("sha256={good}"), true),
            ("x-signature", format!("sha512={good}"), false),
            ("x-signature", format!("sha1={good}"), false),
            ("x-signature", good.to_owned(), false),
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
        headers.insert("x-hub-signature", "sha1=00".parse().unwrap());
        assert_eq!(
            announced(&secret, &headers, body),
            Announced::Yes,
            "both kinds"
        );
    }
}
