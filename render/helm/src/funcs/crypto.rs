//! Passwords and encryption.

use aes::cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit, block_padding::NoPadding};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use capstan_gotemplate::{Ctx, Function, Type, UintKind, Value};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::encode::decode_base64;
use super::value::{Result, any, bytes, give, text};
use crate::context;

const S: &[Type] = &[Type::String];
const S2: &[Type] = &[Type::String, Type::String];
const STRING: Type = Type::String;

/// The cost of bcrypt that Go has by default.
const BCRYPT_COST: u32 = 10;
/// The longest password that bcrypt takes, in bytes.
const MAX_BCRYPT_BYTES: usize = 72;
/// Steps that bcrypt and scrypt count as: they take about as long.
const HASH_STEPS: u64 = 200_000;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("bcrypt", S, STRING, |ctx, args| {
        let hash = bcrypt_hash(ctx, "bcrypt", bytes(args, 0))?;
        give(hash)
    }),
    Function::new("htpasswd", S2, STRING, htpasswd),
    Function::new(
        "derivePassword",
        &[Type::Uint(UintKind::Uint32), STRING, STRING, STRING, STRING],
        STRING,
        derive_password,
    ),
    Function::new("encryptAES", S2, STRING, encrypt_aes),
    Function::new("decryptAES", S2, STRING, decrypt_aes),
];

/// Salted with bytes derived from the password, so that it is the same at every render.
fn bcrypt_hash(ctx: &mut Ctx<'_>, function: &str, password: &[u8]) -> Result<String> {
    ctx.charge_steps(HASH_STEPS)?;
    if password.len() > MAX_BCRYPT_BYTES {
        return Ok(
            "failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes"
                .to_owned(),
        );
    }
    let mut salt = [0; 16];
    context::of(ctx)?
        .derive(function, &hex::encode(password))
        .fill(&mut salt);
    match bcrypt::hash_with_salt(password, BCRYPT_COST, salt) {
        Ok(parts) => Ok(parts.format_for_version(bcrypt::Version::TwoA)),
        Err(error) => Ok(format!("failed to encrypt string with bcrypt: {error}")),
    }
}

fn htpasswd(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let user = text(args, 0);
    if user.contains(':') {
        return give(format!("invalid username: {user}"));
    }
    let hash = bcrypt_hash(ctx, "htpasswd", bytes(args, 1))?;
    give(format!("{user}:{hash}"))
}

/// Forms of a derived password: each letter stands for a class of characters.
fn password_templates(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        "long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        "medium" => &["CvcnoCvc", "CvcCvcno"],
        "short" => &["Cvcn"],
        "basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        "pin" => &["nnnn"],
        _ => return None,
    })
}

fn password_characters(class: u8) -> &'static [u8] {
    match class {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'A' => b"AEIOUBCDFGHJKLMNPQRSTVWXYZ",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

/// The Master Password algorithm.
fn derive_password(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    const SEED: &[u8] = b"com.lyndir.masterpassword";
    let counter = match any(args, 0) {
        Value::Uint(_, counter) => u32::try_from(*counter & u64::from(u32::MAX)).unwrap_or(0),
        _ => 0,
    };
    let (kind, password, user, site) = (
        text(args, 1),
        bytes(args, 2),
        bytes(args, 3),
        bytes(args, 4),
    );
    let Some(templates) = password_templates(&kind) else {
        return give(format!("cannot find password template {kind}"));
    };
    ctx.charge_steps(HASH_STEPS)?;
    context::of(ctx)?.mark_sensitive();
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    let salt = [SEED, &length(user), user].concat();
    // N = 32768, r = 8, p = 2, 64 bytes.
    let params =
        scrypt::Params::new(15, 8, 2, 64).expect("the parameters are within scrypt's bounds");
    let mut key = [0; 64];
    scrypt::scrypt(password, &salt, &params, &mut key).expect("64 bytes are a valid length");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac.update(&[SEED, &length(site), site, &counter.to_be_bytes()].concat());
    let seed = mac.finalize().into_bytes();
    let template = templates[usize::from(seed[0]) % templates.len()];
    let letters = template.bytes().zip(&seed[1..]).map(|(class, number)| {
        let characters = password_characters(class);
        characters[usize::from(*number) % characters.len()]
    });
    give(letters.collect::<Vec<u8>>())
}

/// The password cut or filled up to 32 bytes: the key.
fn aes_key(password: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let used = password.len().min(32);
    key[..used].copy_from_slice(&password[..used]);
    key
}

/// Bytes of a block of AES.
const BLOCK: usize = 16;

/// AES-256 in CBC mode; the initialisation vector comes first.
fn encrypt_aes(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let plain = bytes(args, 1);
    if plain.is_empty() {
        return give("");
    }
    let key = aes_key(bytes(args, 0));
    let mut iv = [0; BLOCK];
    let label = format!("{}{}", hex::encode(key), hex::encode(plain));
    context::of(ctx)?.derive("encryptAES", &label).fill(&mut iv);
    let padding = BLOCK - plain.len() % BLOCK;
    let mut padded = plain.to_vec();
    padded.resize(plain.len() + padding, u8::try_from(padding).unwrap_or(0));
    let cipher = cbc::Encryptor::<aes::Aes256>::new(&key.into(), &iv.into());
    let encrypted = cipher.encrypt_padded_vec_mut::<NoPadding>(&padded);
    give(STANDARD.encode([iv.as_slice(), &encrypted].concat()))
}

fn decrypt_aes(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let text = bytes(args, 1);
    if text.is_empty() {
        return give("");
    }
    let data = decode_base64(text)
        .map_err(|offset| format!("illegal base64 data at input byte {offset}"))?;
    context::of(ctx)?.mark_sensitive();
    let Some((iv, encrypted)) = data.split_first_chunk::<BLOCK>() else {
        return Err(format!(
            "runtime error: slice bounds out of range [:{BLOCK}] with capacity {}",
            data.len()
        )
        .into());
    };
    let key = aes_key(bytes(args, 0));
    let cipher = cbc::Decryptor::<aes::Aes256>::new(&key.into(), &(*iv).into());
    let Ok(mut plain) = cipher.decrypt_padded_vec_mut::<NoPadding>(encrypted) else {
        return Err("crypto/cipher: input not full blocks".into());
    };
    let Some(padding) = plain.last().map(|last| usize::from(*last)) else {
        return Err("runtime error: index out of range [-1]".into());
    };
    let Some(length) = plain.len().checked_sub(padding) else {
        return Err("runtime error: slice bounds out of range".into());
    };
    plain.truncate(length);
    give(plain)
}
