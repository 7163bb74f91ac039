//! Encryption of what must be kept at rest and not be read there.

use std::{io, path::Path};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::{files, secret::fill_random};

/// Bytes of an AES-256 key.
const KEY_BYTES: usize = 32;

/// Seals and opens with the key in one file, which lies outside of the store.
pub(crate) struct Sealer(LessSafeKey);

impl Sealer {
    /// Reads the key, or makes it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let key = files::read_or_make(path, || {
            let mut key = vec![0; KEY_BYTES];
            fill_random(&mut key);
            Ok(key)
        })?;
        let wrong = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} is not a key of {KEY_BYTES} bytes", path.display()),
            )
        };
        let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| wrong())?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Encrypts `bytes`; they can be opened only under the same `name`.
    pub(crate) fn seal(&self, name: &[u8], bytes: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        fill_random(&mut nonce);
        let mut sealed = bytes.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name),
                &mut sealed,
            )
            .expect("AES-GCM takes 64 GiB, and no value comes near");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Decrypts what [`Sealer::seal`] gave, or nothing where it was changed or made with another key.
    pub(crate) fn unseal(&self, name: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = rest.to_vec();
        let open = self.0.open_in_place(nonce, Aad::from(name), &mut bytes);
        let length = open.ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_what_it_sealed_under_the_same_name() {
        let folder = tempfile::tempdir().unwrap();
        let sealer = Sealer::open(&folder.path().join("key")).unwrap();
        let mut sealed = sealer.seal(b"name", b"canary");
        assert!(!sealed.windows(6).any(|it| it == b"canary"));
        assert_eq!(sealer.unseal(b"name", &sealed).unwrap(), b"canary");
        assert_eq!(sealer.unseal(b"other", &sealed), None);
        assert_eq!(sealer.unseal(b"name", &sealed[..4]), None);
        sealed[20] ^= 1;
        assert_eq!(sealer.unseal(b"name", &sealed), None);
        let other = Sealer::open(&folder.path().join("other")).unwrap();
        sealed[20] ^= 1;
        assert_eq!(other.unseal(b"name", &sealed), None);
    }
}
