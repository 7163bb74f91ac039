//! Private keys: derived, read, written, and signing with them.

use ed25519_dalek::SigningKey as Ed25519Key;
use p256::SecretKey as P256Key;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey};
use rsa::pkcs1v15::SigningKey as RsaSigner;
use rsa::signature::{SignatureEncoding, Signer};
use rsa::{BigUint, RsaPrivateKey, traits::PublicKeyParts};
use sha2::Sha256;

use super::primes::derive_prime;
use super::{der, pem};
use crate::context::Derived;

/// A private key of a kind that charts ask for.
pub(super) enum PrivateKey {
    Rsa(Box<RsaPrivateKey>),
    P256(P256Key),
    Ed25519(Ed25519Key),
}

const RSA_OID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const SHA256_RSA_OID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
const EC_OID: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256_OID: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const SHA256_ECDSA_OID: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ED25519_OID: &[u8] = &[0x2b, 0x65, 0x70];

/// The public exponent, as Go chooses it.
const EXPONENT: u32 = 65_537;

impl PrivateKey {
    pub(super) fn derive_rsa(mut derived: Derived, bits: usize) -> Result<Self, String> {
        let mut prime = || BigUint::from_bytes_be(&derive_prime(&mut derived, bits / 2, EXPONENT));
        let (p, q) = (prime(), prime());
        let key = RsaPrivateKey::from_p_q(p, q, EXPONENT.into());
        Ok(Self::Rsa(Box::new(key.map_err(|error| error.to_string())?)))
    }

    pub(super) fn derive_p256(mut derived: Derived) -> Self {
        loop {
            let mut bytes = [0; 32];
            derived.fill(&mut bytes);
            // All but one in 2^32 numbers are keys.
            if let Ok(key) = P256Key::from_slice(&bytes) {
                return Self::P256(key);
            }
        }
    }

    pub(super) fn derive_ed25519(mut derived: Derived) -> Self {
        let mut bytes = [0; 32];
        derived.fill(&mut bytes);
        Self::Ed25519(Ed25519Key::from_bytes(&bytes))
    }

    /// Reads a PEM block. The errors are Sprig's.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let block = pem::decode(text).ok_or("no PEM data in input")?;
        if block.kind == "PRIVATE KEY" {
            return Self::from_pkcs8(&block.bytes).ok_or_else(|| "decoding PEM as PKCS#8: the key is damaged, or of a kind other than RSA, P-256 and Ed25519".to_owned());
        }
        let Some(kind) = block.kind.strip_suffix(" PRIVATE KEY") else {
            return Err(format!(
                "no private key data in PEM block of type {}",
                block.kind
            ));
        };
        match kind {
            "RSA" => RsaPrivateKey::from_pkcs1_der(&block.bytes)
                .map(|key| Self::Rsa(Box::new(key)))
                .map_err(|error| format!("parsing RSA private key from PEM: {error}")),
            "EC" => P256Key::from_sec1_der(&block.bytes)
                .map(Self::P256)
                .map_err(|_| {
                    "parsing EC private key from PEM: the key is damaged, or not on the curve P-256"
                        .to_owned()
                }),
            "DSA" => Err("parsing DSA private key from PEM: DSA is not supported".to_owned()),
            other => Err(format!("invalid private key type {other}")),
        }
    }

    fn from_pkcs8(bytes: &[u8]) -> Option<Self> {
        use rsa::pkcs8::DecodePrivateKey as _;
        if let Ok(key) = RsaPrivateKey::from_pkcs8_der(bytes) {
            return Some(Self::Rsa(Box::new(key)));
        }
        if let Ok(key) = P256Key::from_pkcs8_der(bytes) {
            return Some(Self::P256(key));
        }
        let (outer, _) = der::read(bytes)?;
        let items = der::items(outer.content)?;
        let algorithm = der::items(items.get(1)?.content)?;
        if algorithm.first()?.content != ED25519_OID {
            return None;
        }
        let (seed, _) = der::read(items.get(2)?.content)?;
        Some(Self::Ed25519(Ed25519Key::from_bytes(
            seed.content.try_into().ok()?,
        )))
    }

    /// The key as Sprig writes it.
    pub(super) fn to_pem(&self) -> Result<String, String> {
        match self {
            Self::Rsa(key) => {
                let bytes = key.to_pkcs1_der().map_err(|error| error.to_string())?;
                Ok(pem::encode("RSA PRIVATE KEY", bytes.as_bytes()))
            }
            Self::P256(key) => {
                let bytes = key.to_sec1_der().map_err(|error| error.to_string())?;
                Ok(pem::encode("EC PRIVATE KEY", &with_curve(&bytes)))
            }
            Self::Ed25519(key) => {
                let seed = der::value(
                    der::OCTET_STRING,
                    &der::value(der::OCTET_STRING, key.as_bytes()),
                );
                let algorithm = der::value(der::SEQUENCE, &der::value(der::OID, ED25519_OID));
                let bytes = der::group(der::SEQUENCE, &[&[der::INTEGER, 1, 0], &algorithm, &seed]);
                Ok(pem::encode("PRIVATE KEY", &bytes))
            }
        }
    }

    /// `SubjectPublicKeyInfo`, and the bits of the key in it.
    pub(super) fn public(&self) -> (Vec<u8>, Vec<u8>) {
        let oid = |bytes: &[u8]| der::value(der::OID, bytes);
        let (algorithm, key) = match self {
            Self::Rsa(key) => {
                let modulus = der::unsigned(&key.n().to_bytes_be());
                let exponent = der::unsigned(&key.e().to_bytes_be());
                (
                    der::group(der::SEQUENCE, &[&oid(RSA_OID), der::NULL]),
                    der::group(der::SEQUENCE, &[&modulus, &exponent]),
                )
            }
            Self::P256(key) => {
                let point = key.public_key().to_encoded_point(false).as_bytes().to_vec();
                (
                    der::group(der::SEQUENCE, &[&oid(EC_OID), &oid(P256_OID)]),
                    point,
                )
            }
            Self::Ed25519(key) => (
                der::value(der::SEQUENCE, &oid(ED25519_OID)),
                key.verifying_key().as_bytes().to_vec(),
            ),
        };
        (
            der::group(der::SEQUENCE, &[&algorithm, &der::bits(&key)]),
            key,
        )
    }

    /// What a certificate says that it is signed with.
    pub(super) fn signature_algorithm(&self) -> Vec<u8> {
        let oid = |bytes: &[u8]| der::value(der::OID, bytes);
        match self {
            Self::Rsa(_) => der::group(der::SEQUENCE, &[&oid(SHA256_RSA_OID), der::NULL]),
            Self::P256(_) => der::value(der::SEQUENCE, &oid(SHA256_ECDSA_OID)),
            Self::Ed25519(_) => der::value(der::SEQUENCE, &oid(ED25519_OID)),
        }
    }

    /// Signs. All three ways give the same signature each time.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(key) => RsaSigner::<Sha256>::new((**key).clone())
                .sign(message)
                .to_vec(),
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature =
                    p256::ecdsa::SigningKey::from(key).sign(message);
                signature.to_der().as_bytes().to_vec()
            }
            Self::Ed25519(key) => {
                use ed25519_dalek::Signer as _;
                key.sign(message).to_bytes().to_vec()
            }
        }
    }
}

/// Go writes the curve into an EC key, without which some readers do not know it.
fn with_curve(bytes: &[u8]) -> Vec<u8> {
    let parts = der::read(bytes).and_then(|(outer, _)| der::items(outer.content));
    let Some(parts) = parts else {
        return bytes.to_vec();
    };
    let curve = der::value(der::CONTEXT_0, &der::value(der::OID, P256_OID));
    let mut content = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        if index == 2 && part.tag != der::CONTEXT_0 {
            content.extend_from_slice(&curve);
        }
        content.extend_from_slice(part.whole);
    }
    der::value(der::SEQUENCE, &content)
}
