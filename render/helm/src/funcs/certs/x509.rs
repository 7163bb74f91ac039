//! Certificates: what Sprig's templates for them say, in DER.

use std::net::IpAddr;

use sha1::{Digest, Sha1};

use super::der;
use super::keys::PrivateKey;
use crate::funcs::time::Civil;

/// What a certificate is to say.
pub(super) struct Request {
    pub(super) common_name: String,
    pub(super) ips: Vec<IpAddr>,
    pub(super) names: Vec<String>,
    /// Seconds since 1970.
    pub(super) not_before: i64,
    /// Seconds since 1970.
    pub(super) not_after: i64,
    pub(super) is_ca: bool,
    pub(super) serial: [u8; 16],
}

/// Who signs: the key, and for another certificate its name and key identifier.
pub(super) struct Signer<'k> {
    pub(super) key: &'k PrivateKey,
    pub(super) parent: Option<Parent>,
}

/// What a signing certificate gives to those that it signs.
pub(super) struct Parent {
    subject: Vec<u8>,
    key_id: Option<Vec<u8>>,
}

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const KEY_USAGE: u8 = 0x0f;
const SUBJECT_KEY_ID: u8 = 0x0e;
const ALT_NAMES: u8 = 0x11;
const BASIC_CONSTRAINTS: u8 = 0x13;
const AUTHORITY_KEY_ID: u8 = 0x23;
const EXT_KEY_USAGE: u8 = 0x25;
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

/// A signed certificate for a key.
pub(super) fn create(request: &Request, subject_key: &PrivateKey, signer: &Signer<'_>) -> Vec<u8> {
    let subject = name(&request.common_name);
    let issuer = signer
        .parent
        .as_ref()
        .map_or(&subject, |parent| &parent.subject);
    let (public_key, key_bits) = subject_key.public();
    let mut serial = request.serial;
    // Positive, and never zero.
    serial[0] = serial[0] & 0x7f | 0x40;
    let algorithm = signer.key.signature_algorithm();
    let to_be_signed = der::group(
        der::SEQUENCE,
        &[
            &der::value(der::CONTEXT_0, &[der::INTEGER, 1, 2]),
            &der::unsigned(&serial),
            &algorithm,
            issuer,
            &der::group(
                der::SEQUENCE,
                &[&time(request.not_before), &time(request.not_after)],
            ),
            &subject,
            &public_key,
            &der::value(
                der::CONTEXT_3,
                &der::value(
                    der::SEQUENCE,
                    &extensions(request, &key_bits, signer, *issuer != subject),
                ),
            ),
        ],
    );
    let signature = signer.key.sign(&to_be_signed);
    der::group(
        der::SEQUENCE,
        &[&to_be_signed, &algorithm, &der::bits(&signature)],
    )
}

/// Reads what a signing certificate says about itself.
pub(super) fn parse(certificate: &[u8]) -> Option<Parent> {
    let (outer, _) = der::read(certificate)?;
    let (body, _) = der::read(outer.content)?;
    let items = der::items(body.content)?;
    // The version is left out of the oldest certificates.
    let first = usize::from(items.first()?.tag == der::CONTEXT_0);
    let subject = items
        .get(first + 4)
        .filter(|item| item.tag == der::SEQUENCE)?;
    let extensions = items.iter().find(|item| item.tag == der::CONTEXT_3);
    let key_id = extensions.and_then(|extensions| find_key_id(extensions.content));
    Some(Parent {
        subject: subject.whole.to_vec(),
        key_id,
    })
}

fn find_key_id(extensions: &[u8]) -> Option<Vec<u8>> {
    let (list, _) = der::read(extensions)?;
    for extension in der::items(list.content)? {
        let parts = der::items(extension.content)?;
        if parts.first()?.content == [0x55, 0x1d, SUBJECT_KEY_ID] {
            let (id, _) = der::read(parts.last()?.content)?;
            return Some(id.content.to_vec());
        }
    }
    None
}

/// A name that is only a common name.
fn name(common_name: &str) -> Vec<u8> {
    let printable = common_name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte));
    let tag = if printable {
        der::PRINTABLE_STRING
    } else {
        der::UTF8_STRING
    };
    let attribute = der::group(
        der::SEQUENCE,
        &[
            &der::value(der::OID, COMMON_NAME),
            &der::value(tag, common_name.as_bytes()),
        ],
    );
    if common_name.is_empty() {
        return der::value(der::SEQUENCE, &[]);
    }
    der::value(der::SEQUENCE, &der::value(der::SET, &attribute))
}

/// `UTCTime` until 2049, as the standard demands.
fn time(seconds: i64) -> Vec<u8> {
    let civil = Civil::new(seconds);
    let rest = format!(
        "{:02}{:02}{:02}{:02}{:02}Z",
        civil.month, civil.day, civil.hour, civil.minute, civil.second
    );
    match civil.year {
        1950..2050 => der::value(
            der::UTC_TIME,
            format!("{:02}{rest}", civil.year % 100).as_bytes(),
        ),
        year => der::value(
            der::GENERALIZED_TIME,
            format!("{:04}{rest}", year.clamp(0, 9999)).as_bytes(),
        ),
    }
}

fn extension(number: u8, critical: bool, content: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { der::TRUE } else { &[] };
    der::group(
        der::SEQUENCE,
        &[
            &der::value(der::OID, &[0x55, 0x1d, number]),
            critical,
            &der::value(der::OCTET_STRING, content),
        ],
    )
}

fn extensions(
    request: &Request,
    key_bits: &[u8],
    signer: &Signer<'_>,
    issued_by_other: bool,
) -> Vec<u8> {
    // Digital signature and key encipherment; for an authority also the signing of certificates.
    let usage: &[u8] = if request.is_ca {
        &[der::BIT_STRING, 2, 2, 0xa4]
    } else {
        &[der::BIT_STRING, 2, 5, 0xa0]
    };
    let purposes = der::group(
        der::SEQUENCE,
        &[
            &der::value(der::OID, SERVER_AUTH),
            &der::value(der::OID, CLIENT_AUTH),
        ],
    );
    let constraints = der::value(der::SEQUENCE, if request.is_ca { der::TRUE } else { &[] });
    let mut out = [
        extension(KEY_USAGE, true, usage),
        extension(EXT_KEY_USAGE, false, &purposes),
        extension(BASIC_CONSTRAINTS, true, &constraints),
    ]
    .concat();
    if request.is_ca {
        let id = der::value(der::OCTET_STRING, &Sha1::digest(key_bits));
        out.extend(extension(SUBJECT_KEY_ID, false, &id));
    }
    if let Some(id) = signer
        .parent
        .as_ref()
        .and_then(|parent| parent.key_id.as_ref())
        .filter(|_| issued_by_other)
    {
        // [0] of the sequence, without a tag of its own.
        out.extend(extension(
            AUTHORITY_KEY_ID,
            false,
            &der::value(der::SEQUENCE, &der::value(0x80, id)),
        ));
    }
    if !request.names.is_empty() || !request.ips.is_empty() {
        out.extend(extension(
            ALT_NAMES,
            request.common_name.is_empty(),
            &alternative_names(request),
        ));
    }
    out
}

fn alternative_names(request: &Request) -> Vec<u8> {
    let mut names = Vec::new();
    for name in &request.names {
        names.extend(der::value(0x82, name.as_bytes()));
    }
    for ip in &request.ips {
        names.extend(match ip {
            IpAddr::V4(ip) => der::value(0x87, &ip.octets()),
            IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
                Some(ip) => der::value(0x87, &ip.octets()),
                None => der::value(0x87, &ip.octets()),
            },
        });
    }
    der::value(der::SEQUENCE, &names)
}
