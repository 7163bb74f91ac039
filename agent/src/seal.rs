//! Seals what the agent keeps on disk: AES-256-GCM with a key that is kept with the agent's identity.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// What was kept cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was sealed with another key, or has been changed")]
pub(crate) struct SealError;

/// Fills `bytes` with random ones.
pub(crate) fn random(bytes: &mut [u8]) -> std::io::Result<()> {
    getrandom::fill(bytes).map_err(|error| std::io::Error::other(error.to_string()))
}

/// Seals and opens with one key.
pub(crate) struct Sealer(LessSafeKey);

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

impl Sealer {
    /// A sealer with `key`.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("the key has the length that is asked");
        Self(LessSafeKey::new(key))
    }

    /// Seals `bytes` for the place `name`: they open nowhere else.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn seal(&self, name: &str, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        random(&mut nonce)?;
        let mut body = bytes.to_vec();
        let aad = Aad::from(name.as_bytes());
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .map_err(|_| std::io::Error::other("sealing failed"))?;
        let mut out = nonce.to_vec();
        out.append(&mut body);
        Ok(out)
    }

    /// Opens what was sealed for the place `name`.
    ///
    /// # Errors
    /// When it was not, or with another key.
    pub(crate) fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError)?;
        let mut body = body.to_vec();
        let open = self
            .0
            .open_in_place(nonce, Aad::from(name.as_bytes()), &mut body)
            .map_err(|_| SealError)?;
        let length = open.len();
        body.truncate(length);
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let sealer = Sealer::new(&[7; 32]);
        let sealed = sealer.seal("a", b"canary").unwrap();
        assert!(!sealed.windows(6).any(|it| it == b"canary"));
        assert_eq!(sealer.open("a", &sealed).unwrap(), b"canary");
        assert_eq!(sealer.open("b", &sealed), Err(SealError));
        assert_eq!(Sealer::new(&[8; 32]).open("a", &sealed), Err(SealError));
        assert_eq!(sealer.open("a", &sealed[..5]), Err(SealError));
    }
}
