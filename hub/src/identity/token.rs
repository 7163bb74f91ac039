//! One-time enrolment tokens: `<id>.<secret>`. Only a hash of the secret is kept.

use capstan_core::Digest;

use crate::secret::Secret;

/// A token is good for an hour: long enough to apply a manifest, too short to be found later.
pub(crate) const TOKEN_LIFE_MS: u64 = 3_600_000;
/// Bytes of the public part, which names the record.
const ID_BYTES: usize = 8;
/// Bytes of the secret part: cannot be guessed.
const SECRET_BYTES: usize = 32;

/// A token that was just made.
pub(crate) struct NewToken {
    pub(crate) id: String,
    pub(crate) hash: Digest,
    /// What the person gets, once.
    pub(crate) token: Secret,
}

/// Draws a token.
pub(crate) fn new_token() -> NewToken {
    let id = Secret::random_hex(ID_BYTES).expose_text().to_owned();
    let secret = Secret::random_hex(SECRET_BYTES);
    let token = Secret::new(format!("{id}.{}", secret.expose_text()));
    NewToken {
        hash: Digest::of(secret.expose()),
        id,
        token,
    }
}

/// The id and the hash of a token that somebody presents.
pub(crate) fn parse(token: &str) -> Option<(&str, Digest)> {
    let (id, secret) = token.trim().split_once('.')?;
    let plain = |it: &str, bytes: usize| {
        it.len() == 2 * bytes && it.bytes().all(|it| it.is_ascii_hexdigit())
    };
    let good = plain(id, ID_BYTES) && plain(secret, SECRET_BYTES);
    good.then(|| (id, Digest::of(secret.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_its_own_and_no_other() {
        let (one, two) = (new_token(), new_token());
        let (id, hash) = parse(one.token.expose_text()).unwrap();
        assert_eq!((id, hash), (one.id.as_str(), one.hash));
        assert_ne!(hash, two.hash);
        let longer = format!("{}0", one.token.expose_text());
        for bad in ["", ".", "abc", "abc.def", &longer, "../x.y"] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
