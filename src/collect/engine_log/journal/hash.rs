//! How a journal finds the object that holds some value.

/// The hash of a value in a journal whose hashes have a key, which all have since systemd 246.
pub(super) fn keyed(key: [u8; 16], value: &[u8]) -> u64 {
    let [first, second] = [0, 8].map(|at| super::file::number(&key, at));
    sip(first, second, value)
}

/// SipHash-2-4.
#[expect(deprecated, reason = "what replaced it in std may change its algorithm, and a file format cannot")]
fn sip(first: u64, second: u64, value: &[u8]) -> u64 {
    use std::hash::{Hasher, SipHasher};
    let mut hasher = SipHasher::new_with_keys(first, second);
    hasher.write(value);
    hasher.finish()
}

/// The hash of a value in an older journal: Bob Jenkins' lookup3, `hashlittle2` with both seeds zero.
pub(super) fn unkeyed(value: &[u8]) -> u64 {
    let seed = 0xdead_beef_u32.wrapping_add(u32::try_from(value.len()).unwrap_or(u32::MAX));
    let mut state = [seed; 3];
    let mut chunks = value.chunks(12).peekable();
    while let Some(chunk) = chunks.next() {
        let mut block = [0; 12];
        block[..chunk.len()].copy_from_slice(chunk);
        for (word, bytes) in state.iter_mut().zip(block.as_chunks::<4>().0) {
            *word = word.wrapping_add(u32::from_le_bytes(*bytes));
        }
        match chunks.peek() {
            Some(_) => mix(&mut state),
            None => finish(&mut state),
        }
    }
    u64::from(state[2]) << 32 | u64::from(state[1])
}

fn mix([a, b, c]: &mut [u32; 3]) {
    for (first, second, third) in [(4, 6, 8), (16, 19, 4)] {
        *a = a.wrapping_sub(*c) ^ c.rotate_left(first);
        *c = c.wrapping_add(*b);
        *b = b.wrapping_sub(*a) ^ a.rotate_left(second);
        *a = a.wrapping_add(*c);
        *c = c.wrapping_sub(*b) ^ b.rotate_left(third);
        *b = b.wrapping_add(*a);
    }
}

fn finish([a, b, c]: &mut [u32; 3]) {
    let step = |x: &mut u32, y: u32, by: u32| *x = (*x ^ y).wrapping_sub(y.rotate_left(by));
    step(c, *b, 14);
    step(a, *c, 11);
    step(b, *a, 25);
    step(c, *b, 16);
    step(a, *c, 4);
    step(b, *a, 14);
    step(c, *b, 24);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_the_inventors_of_both_do() {
        // The last line of `driver5` in lookup3.c, and the vector in the appendix of the SipHash paper.
        assert_eq!(unkeyed(b"Four score and seven years ago"), 0x1777_0551_ce72_26e6);
        let key: [u8; 16] = std::array::from_fn(|at| at as u8);
        assert_eq!(keyed(key, &std::array::from_fn::<u8, 15, _>(|at| at as u8)), 0xa129_ca61_49be_45e5);
    }
}
