//! What a data object holds, unpacked. Journald packs what is longer than 512 bytes.

use std::borrow::Cow;
use std::io::{self, Read as _};

/// The most that one value may unpack to. A line of an engine has 48 KiB at most.
const MOST: usize = 1 << 20;

/// The flags of an object that is packed.
const XZ: u8 = 1;
const LZ4: u8 = 2;
const ZSTD: u8 = 4;

/// The value that was packed as the flags of its object say.
pub(super) fn unpacked(flags: u8, packed: &[u8]) -> io::Result<Cow<'_, [u8]>> {
    let flaw = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    match flags & (XZ | LZ4 | ZSTD) {
        0 => Ok(packed.into()),
        LZ4 => lz4(packed).map(Cow::from).ok_or_else(|| flaw("a value cannot be unpacked")),
        ZSTD => {
            let mut value = Vec::new();
            zstd::Decoder::with_buffer(packed)?.take(MOST as u64).read_to_end(&mut value)?;
            Ok(value.into())
        }
        _ => Err(flaw("a value is packed with xz, which this program does not read")),
    }
}

/// The size of the value, then one block of LZ4.
fn lz4(packed: &[u8]) -> Option<Vec<u8>> {
    let (size, mut packed) = packed.split_first_chunk()?;
    let size = usize::try_from(u64::from_le_bytes(*size)).ok().filter(|size| *size <= MOST)?;
    let mut value = Vec::with_capacity(size);
    loop {
        let token = *packed.split_off_first()?;
        let literals = length(token >> 4, &mut packed)?;
        value.extend_from_slice(packed.split_off(..literals)?);
        // The last sequence ends with its literals.
        if packed.is_empty() {
            return (value.len() == size).then_some(value);
        }
        let distance = u16::from_le_bytes(packed.split_off(..2)?.try_into().ok()?);
        let copied = length(token & 0xf, &mut packed)?.checked_add(4)?;
        let from = value.len().checked_sub(usize::from(distance))?;
        if distance == 0 || copied > size.checked_sub(value.len())? {
            return None;
        }
        // What is copied may run into what was just written: that is how it repeats.
        for at in from..from + copied {
            value.push(value[at]);
        }
    }
}

/// A length of four bits, and more bytes where these are not enough.
fn length(bits: u8, packed: &mut &[u8]) -> Option<usize> {
    let mut length = usize::from(bits);
    let mut more = bits == 0xf;
    while more {
        let byte = *packed.split_off_first()?;
        length += usize::from(byte);
        more = byte == 0xff;
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpacks_lz4_and_refuses_what_is_broken() {
        let packed = |size: u64, block: &[u8]| [&size.to_le_bytes(), block].concat();
        // Two literals, four and six more of them from two back, and one literal.
        let block = [0x26, b'a', b'b', 2, 0, 0x10, b'c'];
        assert_eq!(unpacked(LZ4, &packed(13, &block)).unwrap(), &b"ababababababc"[..]);
        let long = [[0x1f, b'a', 1, 0, 255, 255, 0].as_slice(), &[0]].concat();
        assert_eq!(unpacked(LZ4, &packed(530, &long)).unwrap().len(), 530);
        for (size, block) in [
            (12, &block[..]),
            (14, &block),
            (13, &block[..5]),
            (13, &[0x26, b'a', b'b', 3, 0, 0x10, b'c']),
            (13, &[0x26, b'a', b'b', 0, 0, 0x10, b'c']),
            (u64::MAX, &block),
            (13, &[0xff]),
            (1, &[]),
        ] {
            assert!(unpacked(LZ4, &packed(size, block)).is_err(), "{size} {block:?}");
        }
        assert!(unpacked(LZ4, b"short").is_err());
        assert!(unpacked(ZSTD, b"not zstd").is_err());
        assert!(unpacked(LZ4 | ZSTD, b"both").is_err());
    }
}
