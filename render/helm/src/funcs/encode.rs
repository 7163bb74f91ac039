//! Encodings and checksums.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use capstan_gotemplate::{Ctx, Function, Type, Value};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::value::{Result, bytes, give};

const S: &[Type] = &[Type::String];
const STRING: Type = Type::String;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("b64enc", S, STRING, |_, args| {
        give(STANDARD.encode(bytes(args, 0)))
    }),
    Function::new("b64dec", S, STRING, b64dec),
    Function::new("b32enc", S, STRING, |_, args| {
        give(base32_encode(bytes(args, 0)))
    }),
    Function::new("b32dec", S, STRING, b32dec),
    Function::new("sha1sum", S, STRING, |_, args| {
        give(hex::encode(Sha1::digest(bytes(args, 0))))
    }),
    Function::new("sha256sum", S, STRING, |_, args| {
        give(hex::encode(Sha256::digest(bytes(args, 0))))
    }),
    Function::new("sha512sum", S, STRING, |_, args| {
        give(hex::encode(Sha512::digest(bytes(args, 0))))
    }),
    Function::new("adler32sum", S, STRING, |_, args| {
        give(adler32(bytes(args, 0)).to_string())
    }),
];

/// A decoding error is the result, as in Sprig.
fn b64dec(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    match decode_base64(bytes(args, 0)) {
        Ok(decoded) => give(decoded),
        Err(offset) => give(format!("illegal base64 data at input byte {offset}")),
    }
}

/// Go's standard decoder: line feeds are skipped; the error is the offset that Go names.
pub(super) fn decode_base64(text: &[u8]) -> std::result::Result<Vec<u8>, usize> {
    decode(text, &BASE64, 6, 4, |padding, digits| {
        matches!((digits, padding), (2, 2) | (3, 1))
    })
}

fn b32dec(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let valid = |padding: usize, digits: usize| {
        matches!((digits, padding), (2, 6) | (4, 4) | (5, 3) | (7, 1))
    };
    // Unlike base64, it takes line breaks out before it counts.
    let text: Vec<u8> = bytes(args, 0)
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .collect();
    match decode(&text, BASE32, 5, 8, valid) {
        Ok(decoded) => give(decoded),
        Err(offset) => give(format!("illegal base32 data at input byte {offset}")),
    }
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE64: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Groups of `group` digits of `bits` bits; the last may be filled up with `=`.
fn decode(
    text: &[u8],
    alphabet: &[u8],
    bits: u32,
    group: usize,
    valid_padding: impl Fn(usize, usize) -> bool,
) -> std::result::Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(text.len());
    let mut input = text
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, byte)| !matches!(byte, b'\r' | b'\n'));
    loop {
        let (mut number, mut digits) = (0_u64, 0);
        let mut padded = false;
        while digits < group {
            match input.next() {
                None if digits == 0 => return Ok(out),
                None => return Err(text.len() - digits.min(text.len())),
                Some((offset, b'=')) if digits < 2 => return Err(offset),
                Some((offset, b'=')) => {
                    let mut padding = 1;
                    for (offset, byte) in input.by_ref() {
                        padding += 1;
                        if byte != b'=' || digits + padding > group {
                            return Err(offset);
                        }
                    }
                    if digits + padding < group {
                        return Err(text.len());
                    }
                    if !valid_padding(padding, digits) {
                        return Err(offset);
                    }
                    padded = true;
                    break;
                }
                Some((offset, byte)) => {
                    let digit = alphabet
                        .iter()
                        .position(|letter| *letter == byte)
                        .ok_or(offset)?;
                    number = number << bits | digit as u64;
                    digits += 1;
                }
            }
        }
        let total = u32::try_from(digits).unwrap_or(0) * bits;
        for index in 1..=total / 8 {
            out.push((number >> (total - 8 * index)) as u8);
        }
        if padded {
            return Ok(out);
        }
    }
}

fn base32_encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let number = (0..5).fold(0_u64, |number, index| {
            number << 8 | u64::from(chunk.get(index).copied().unwrap_or(0))
        });
        let digits = (chunk.len() * 8).div_ceil(5);
        for index in 0..8 {
            let digit = (number >> (35 - 5 * index)) & 31;
            out.push(if index < digits {
                char::from(BASE32[digit as usize])
            } else {
                '='
            });
        }
    }
    out
}

fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in bytes {
        low = (low + u32::from(*byte)) % MODULUS;
        high = (high + low) % MODULUS;
    }
    high << 16 | low
}
