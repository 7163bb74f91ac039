//! Certificates and private keys, derived from the release's secret.
//!
//! The same call gives the same key and the same certificate at every render, until half of the certificate's time has passed: then it
//! is another, so that it never expires while the release is rendered.

mod der;
mod keys;
mod pem;
mod primes;
mod x509;

use std::any::Any;
use std::net::IpAddr;
use std::sync::Arc;

use capstan_gotemplate::{Ctx, Function, Object, Type, Value};

use super::encode::decode_base64;
use super::value::{Result, any, bytes, give, int, text};
use crate::context;
use keys::PrivateKey;
use x509::{Request, Signer};

const STRING: Type = Type::String;
const INT: Type = Type::INT;
const LIST: Type = Type::LIST;
const NAME: &str = "sprig.certificate";
const CERTIFICATE: Type = Type::Object(NAME);

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Bits of the keys that certificates get, as in Sprig.
const RSA_BITS: usize = 2048;
/// Bits of `genPrivateKey "rsa"`, as in Sprig.
const LARGE_RSA_BITS: usize = 4096;
/// Bits of keys in a twin render, which nobody uses.
const TWIN_RSA_BITS: usize = 1024;
/// Steps that deriving an RSA key counts as: it takes about as long.
const RSA_STEPS: u64 = 500_000;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("genPrivateKey", &[STRING], STRING, private_key),
    Function::new("buildCustomCert", &[STRING, STRING], CERTIFICATE, custom),
    Function::new("genCA", &[STRING, INT], CERTIFICATE, |ctx, args| {
        let key = derived_key(ctx, "genCA", args, &[0, 1])?;
        authority(ctx, args, &key)
    }),
    Function::new(
        "genCAWithKey",
        &[STRING, INT, STRING],
        CERTIFICATE,
        |ctx, args| {
            let key = given_key(args, 2)?;
            authority(ctx, args, &key)
        },
    ),
    Function::new(
        "genSelfSignedCert",
        &[STRING, LIST, LIST, INT],
        CERTIFICATE,
        |ctx, args| {
            let key = derived_key(ctx, "genSelfSignedCert", args, &[0, 1, 2, 3])?;
            self_signed(ctx, args, &key)
        },
    ),
    Function::new(
        "genSelfSignedCertWithKey",
        &[STRING, LIST, LIST, INT, STRING],
        CERTIFICATE,
        |ctx, args| {
            let key = given_key(args, 4)?;
            self_signed(ctx, args, &key)
        },
    ),
    Function::new(
        "genSignedCert",
        &[STRING, LIST, LIST, INT, CERTIFICATE],
        CERTIFICATE,
        |ctx, args| {
            let key = derived_key(ctx, "genSignedCert", args, &[0, 1, 2, 3])?;
            signed(ctx, args, &key)
        },
    ),
    Function::new(
        "genSignedCertWithKey",
        &[STRING, LIST, LIST, INT, CERTIFICATE, STRING],
        CERTIFICATE,
        |ctx, args| {
            let key = given_key(args, 5)?;
            signed(ctx, args, &key)
        },
    ),
];

/// A certificate and its key, in PEM.
struct Certificate {
    cert: String,
    key: String,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificate(redacted)")
    }
}

impl Object for Certificate {
    fn type_name(&self) -> &'static str {
        NAME
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("Cert", Value::string(self.cert.as_str())),
            ("Key", Value::string(self.key.as_str())),
        ]
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other
            .as_any()
            .downcast_ref::<Self>()
            .is_some_and(|other| (&other.cert, &other.key) == (&self.cert, &self.key))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Arguments as a label.
fn label(ctx: &mut Ctx<'_>, args: &[Value], indexes: &[usize]) -> Result<String> {
    let mut label = String::new();
    for index in indexes {
        let shown = ctx.sprintf("%#v;", std::slice::from_ref(any(args, *index)))?;
        label.push_str(&shown.to_str());
    }
    Ok(label)
}

/// When a certificate of so many days begins: at a fixed moment, so that all renders agree, and so that half of its time is left at least.
fn beginning(now: i64, days: i64) -> i64 {
    let period = days.max(1).saturating_mul(DAY) / 2;
    now.div_euclid(period) * period
}

/// An RSA key for a call. Deriving one takes long, so the caller may keep it.
fn rsa_key(ctx: &mut Ctx<'_>, function: &str, arguments: &str, size: usize) -> Result<PrivateKey> {
    ctx.charge_steps(RSA_STEPS)?;
    let context = context::of(ctx)?;
    // What a twin gives is only compared, so the smallest key will do.
    let size = if context.is_twin { TWIN_RSA_BITS } else { size };
    let mut derived = context.derive(function, arguments);
    let mut id = [0; 32];
    derived.fill(&mut id);
    let cache = context.keys.clone();
    if let Some(kept) = cache.as_ref().and_then(|cache| cache.get(&id)) {
        return PrivateKey::parse(&kept).map_err(Into::into);
    }
    let key = PrivateKey::derive_rsa(derived, size)
        .map_err(|error| format!("error generating rsa key: {error}"))?;
    if let Some(cache) = cache {
        cache.put(id, Arc::from(key.to_pem()?));
    }
    Ok(key)
}

/// The key of a certificate. It changes when the certificate does. The days are the last of the arguments that make the label.
fn derived_key(
    ctx: &mut Ctx<'_>,
    function: &str,
    args: &[Value],
    indexes: &[usize],
) -> Result<PrivateKey> {
    let days = indexes.last().map_or(0, |index| int(args, *index));
    let from = beginning(context::of(ctx)?.now.seconds, days);
    let arguments = format!("{}{from}", label(ctx, args, indexes)?);
    rsa_key(ctx, function, &arguments, RSA_BITS)
}

fn given_key(args: &[Value], index: usize) -> Result<PrivateKey> {
    PrivateKey::parse(&text(args, index))
        .map_err(|error| format!("parsing private key: {error}").into())
}

fn private_key(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let kind = text(args, 0);
    let key = match &*kind {
        "" | "rsa" => rsa_key(ctx, "genPrivateKey", "rsa", LARGE_RSA_BITS)?,
        "ecdsa" => PrivateKey::derive_p256(context::of(ctx)?.derive("genPrivateKey", "ecdsa")),
        "ed25519" => {
            PrivateKey::derive_ed25519(context::of(ctx)?.derive("genPrivateKey", "ed25519"))
        }
        "dsa" => {
            return Err(
                "genPrivateKey: DSA keys are not supported; use rsa, ecdsa or ed25519".into(),
            );
        }
        other => return give(format!("Unknown type {other}")),
    };
    give(key.to_pem()?)
}

/// A given certificate and key, checked.
fn custom(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let decoded = |index: usize, what: &str| {
        let decoded = decode_base64(bytes(args, index))
            .map_err(|_| format!("unable to decode base64 {what}"))?;
        Ok::<_, String>(String::from_utf8_lossy(&decoded).into_owned())
    };
    let (cert, key) = (decoded(0, "certificate")?, decoded(1, "private key")?);
    let block = pem::decode(&cert).ok_or("unable to decode certificate")?;
    x509::parse(&block.bytes)
        .ok_or("error parsing certificate: decodedCert.Bytes: x509: malformed certificate")?;
    PrivateKey::parse(&key).map_err(|error| format!("error parsing private key: {error}"))?;
    context::of(ctx)?.mark_sensitive();
    Ok(Value::object(Certificate { cert, key }))
}

/// The request that the arguments make; `days` is the index of the days.
fn request(ctx: &mut Ctx<'_>, args: &[Value], days: usize, is_ca: bool) -> Result<Request> {
    let from = beginning(context::of(ctx)?.now.seconds, int(args, days));
    let all: Vec<usize> = (0..=days).collect();
    let arguments = format!("{}{from}", label(ctx, args, &all)?);
    let mut serial = [0; 16];
    context::of(ctx)?
        .derive("serial", &arguments)
        .fill(&mut serial);
    let (ips, names) = if days == 3 {
        (addresses(ctx, any(args, 1))?, names(ctx, any(args, 2))?)
    } else {
        (Vec::new(), Vec::new())
    };
    Ok(Request {
        common_name: text(args, 0).into_owned(),
        ips,
        names,
        not_before: from,
        not_after: from.saturating_add(int(args, days).saturating_mul(DAY)),
        is_ca,
        serial,
    })
}

fn shown(ctx: &mut Ctx<'_>, value: &Value) -> Result<String> {
    Ok(ctx.sprint(std::slice::from_ref(value))?.to_string())
}

fn addresses(ctx: &mut Ctx<'_>, list: &Value) -> Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for item in list
        .as_list()
        .map(capstan_gotemplate::List::items)
        .unwrap_or_default()
    {
        let Some(text) = item.as_str() else {
            return Err(format!("error parsing ip: {} is not a string", shown(ctx, item)?).into());
        };
        addresses.push(
            text.to_str()
                .parse()
                .map_err(|_| format!("error parsing ip: {text}"))?,
        );
    }
    Ok(addresses)
}

fn names(ctx: &mut Ctx<'_>, list: &Value) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for item in list
        .as_list()
        .map(capstan_gotemplate::List::items)
        .unwrap_or_default()
    {
        match item.as_str() {
            Some(text) => names.push(text.to_string()),
            None => {
                return Err(format!(
                    "error processing alternate dns name: {} is not a string",
                    shown(ctx, item)?
                )
                .into());
            }
        }
    }
    Ok(names)
}

fn finish(request: &Request, key: &PrivateKey, signer: &Signer<'_>) -> Result {
    let bytes = x509::create(request, key, signer);
    Ok(Value::object(Certificate {
        cert: pem::encode("CERTIFICATE", &bytes),
        key: key.to_pem()?,
    }))
}

fn authority(ctx: &mut Ctx<'_>, args: &[Value], key: &PrivateKey) -> Result {
    finish(
        &request(ctx, args, 1, true)?,
        key,
        &Signer { key, parent: None },
    )
}

fn self_signed(ctx: &mut Ctx<'_>, args: &[Value], key: &PrivateKey) -> Result {
    finish(
        &request(ctx, args, 3, false)?,
        key,
        &Signer { key, parent: None },
    )
}

fn signed(ctx: &mut Ctx<'_>, args: &[Value], key: &PrivateKey) -> Result {
    let request = request(ctx, args, 3, false)?;
    let authority = any(args, 4)
        .downcast::<Certificate>()
        .ok_or("unable to decode certificate")?;
    let block = pem::decode(&authority.cert).ok_or("unable to decode certificate")?;
    let parent = x509::parse(&block.bytes)
        .ok_or("error parsing certificate: decodedSignerCert.Bytes: x509: malformed certificate")?;
    let signing_key = PrivateKey::parse(&authority.key)
        .map_err(|error| format!("error parsing private key: {error}"))?;
    finish(
        &request,
        key,
        &Signer {
            key: &signing_key,
            parent: Some(parent),
        },
    )
}

#[cfg(test)]
mod tests;
