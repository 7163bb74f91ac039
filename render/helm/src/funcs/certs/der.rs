//! As much DER as certificates and keys take: writing values, and reading tags and lengths.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const PRINTABLE_STRING: u8 = 0x13;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
/// `[0]` of a structure.
pub(super) const CONTEXT_0: u8 = 0xa0;
/// `[3]` of a structure.
pub(super) const CONTEXT_3: u8 = 0xa3;
pub(super) const NULL: &[u8] = &[0x05, 0x00];
pub(super) const TRUE: &[u8] = &[0x01, 0x01, 0xff];

/// A value with its tag and length.
pub(super) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length @ 0..=0x7f) => out.push(length),
        _ => {
            let bytes = content.len().to_be_bytes();
            let used = &bytes[bytes
                .iter()
                .position(|byte| *byte != 0)
                .unwrap_or(bytes.len() - 1)..];
            out.push(0x80 | u8::try_from(used.len()).unwrap_or(0));
            out.extend_from_slice(used);
        }
    }
    out.extend_from_slice(content);
    out
}

/// Values one after another in a value.
pub(super) fn group(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    value(tag, &parts.concat())
}

/// An unsigned integer from its bytes.
pub(super) fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let start = bytes
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(bytes.len());
    let mut content = Vec::with_capacity(bytes.len() + 1);
    if bytes.get(start).is_none_or(|byte| byte & 0x80 != 0) {
        content.push(0);
    }
    content.extend_from_slice(&bytes[start..]);
    value(INTEGER, &content)
}

/// A bit string of whole bytes.
pub(super) fn bits(bytes: &[u8]) -> Vec<u8> {
    group(BIT_STRING, &[&[0], bytes])
}

/// A value that was read: its tag, its content, and all of its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'d> {
    pub(super) tag: u8,
    pub(super) content: &'d [u8],
    pub(super) whole: &'d [u8],
}

/// Reads the first value, and gives what follows.
pub(super) fn read(data: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (&tag, rest) = data.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let length = if first < 0x80 {
        usize::from(first)
    } else {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let (digits, after) = rest.split_at_checked(count)?;
        rest = after;
        digits
            .iter()
            .fold(0, |length, digit| length << 8 | usize::from(*digit))
    };
    let (content, after) = rest.split_at_checked(length)?;
    let whole = &data[..data.len() - after.len()];
    Some((
        Item {
            tag,
            content,
            whole,
        },
        after,
    ))
}

/// The values one after another.
pub(super) fn items(mut data: &[u8]) -> Option<Vec<Item<'_>>> {
    let mut items = Vec::new();
    while !data.is_empty() {
        let (item, rest) = read(data)?;
        items.push(item);
        data = rest;
    }
    Some(items)
}
