//! Packing what is kept: with the context of the thread, since making one costs more than packing a small value with it.

use std::{cell::RefCell, io};

use zstd::{
    bulk::{Compressor, Decompressor},
    zstd_safe::get_frame_content_size,
};

/// Fast, and objects compress well at it.
const LEVEL: i32 = 3;

thread_local! {
    static PACKER: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Packs `bytes`.
pub(super) fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    PACKER.with_borrow_mut(|it| match it {
        Some(packer) => packer.compress(bytes),
        None => it.insert(Compressor::new(LEVEL)?).compress(bytes),
    })
}

/// Unpacks what [`pack`] gave, where that is at most `limit` bytes long.
pub(super) fn unpack(packed: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let said = get_frame_content_size(packed).map_err(|_| invalid("it is not packed with zstd"))?;
    let said = said.ok_or_else(|| invalid("it does not say how long it is"))?;
    let length = usize::try_from(said).unwrap_or(usize::MAX);
    if length > limit {
        return Err(invalid("it is longer than anything that is kept"));
    }
    UNPACKER.with_borrow_mut(|it| match it {
        Some(unpacker) => unpacker.decompress(packed, length),
        None => it.insert(Decompressor::new()?).decompress(packed, length),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_and_nothing_else_does() {
        for content in [&b""[..], b"a", &[7; 100_000]] {
            let packed = pack(content).unwrap();
            assert_eq!(unpack(&packed, 100_000).unwrap(), content);
        }
        let packed = pack(&[7; 100]).unwrap();
        assert!(unpack(&packed, 99).is_err());
        assert!(unpack(&packed[..packed.len() - 1], 100).is_err());
        assert!(unpack(b"garbage", 100).is_err());
        assert_eq!(
            unpack(&packed, 100).unwrap(),
            [7; 100],
            "after failures too"
        );
    }
}
