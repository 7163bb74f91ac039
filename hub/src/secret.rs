//! Values that must not be seen: they have no `Display`, and their `Debug` says nothing.

use std::{fmt, fs, io, path::Path};

use subtle::ConstantTimeEq;

/// A credential, token or key.
#[derive(Clone, Default)]
pub(crate) struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes.
    pub(crate) fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// `bytes` random bytes of the operating system as hex digits.
    pub(crate) fn random_hex(bytes: usize) -> Self {
        let mut raw = vec![0; bytes];
        fill_random(&mut raw);
        Self(hex::encode(raw).into_bytes())
    }

    /// A file's content without the line end that editors leave.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let mut bytes = fs::read(path)?;
        while matches!(bytes.last(), Some(b'\n' | b'\r')) {
            bytes.pop();
        }
        Ok(Self(bytes))
    }

    /// The bytes, for the one place that needs them.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }

    /// As text, for the one place that needs it; empty where it is none.
    pub(crate) fn expose_text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Compares in constant time.
    pub(crate) fn is(&self, given: &[u8]) -> bool {
        !self.0.is_empty() && self.0.ct_eq(given).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Fills `bytes` from the operating system.
pub(crate) fn fill_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system has random bytes, or nothing here is safe");
}

/// A random number below `bound`, for spreading things in time.
pub(crate) fn random_below(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    fill_random(&mut bytes);
    u64::from_be_bytes(bytes) % bound.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_nothing_and_compares() {
        let secret = Secret::new("canary");
        assert!(!format!("{secret:?}").contains("canary"));
        assert!(secret.is(b"canary") && !secret.is(b"canarx"));
        assert!(!Secret::default().is(b""));
    }
}
