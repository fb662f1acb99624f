//! Values with some unknown bits.

/// The result of a test on such values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tristate {
    Yes,
    No,
    Unknown,
}

impl Tristate {
    pub(super) fn of(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }

    pub(super) fn negated(self, negated: bool) -> Self {
        match (self, negated) {
            (Self::Yes, true) => Self::No,
            (Self::No, true) => Self::Yes,
            (other, _) => other,
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Unknown,
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        self.negated(true).and(other.negated(true)).negated(true)
    }
}

/// Bytes, and which of their bits are known. An unknown bit is 0 in the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    value: Vec<u8>,
    known: Vec<u8>,
}

impl Bits {
    pub(super) fn known(value: impl Into<Vec<u8>>) -> Self {
        let value = value.into();
        Self { known: vec![0xff; value.len()], value }
    }

    pub(super) fn unknown(length: usize) -> Self {
        Self { value: vec![0; length], known: vec![0; length] }
    }

    /// Only the bits that are set in `mask` are known.
    pub(super) fn partly(value: impl Into<Vec<u8>>, mask: impl Into<Vec<u8>>) -> Self {
        let (mut value, known) = (value.into(), mask.into());
        value.iter_mut().zip(&known).for_each(|(byte, known)| *byte &= known);
        Self { value, known }
    }

    /// `length` bytes from an offset; bytes beyond the end are unknown.
    pub(super) fn part(&self, offset: usize, length: usize) -> Self {
        let take =
            |from: &[u8]| (offset..offset + length).map(|at| from.get(at).copied().unwrap_or(0)).collect();
        Self { value: take(&self.value), known: take(&self.known) }
    }

    pub(super) fn put(&mut self, offset: usize, part: &Self) {
        for (at, (value, known)) in part.value.iter().zip(&part.known).enumerate() {
            if let (Some(to), Some(is)) = (self.value.get_mut(offset + at), self.known.get_mut(offset + at)) {
                (*to, *is) = (*value, *known);
            }
        }
    }

    /// `value & mask ^ xor`: a bit that the mask clears becomes known.
    pub(super) fn masked(&self, mask: &[u8], xor: &[u8]) -> Self {
        let at = |from: &[u8], at: usize| from.get(at).copied().unwrap_or(0);
        let bytes = 0..self.value.len();
        let known = bytes.clone().map(|i| self.known[i] | !at(mask, i)).collect::<Vec<_>>();
        let value = bytes.map(|i| (self.value[i] & at(mask, i)) ^ at(xor, i)).collect::<Vec<_>>();
        Self::partly(value, known)
    }

    /// The bytes of each unit of this size in reverse order.
    pub(super) fn turned(&self, size: usize) -> Self {
        let turn =
            |from: &[u8]| from.chunks(size.max(1)).flat_map(|unit| unit.iter().rev().copied()).collect();
        Self { value: turn(&self.value), known: turn(&self.known) }
    }

    /// Whether it starts with these bytes.
    pub(super) fn equals(&self, other: &[u8]) -> Tristate {
        let part = self.part(0, other.len());
        let differs = part
            .value
            .iter()
            .zip(&part.known)
            .zip(other)
            .any(|((value, known), other)| (value ^ other) & known != 0);
        match (differs, part.known.iter().all(|known| *known == 0xff)) {
            (true, _) => Tristate::No,
            (false, true) => Tristate::Yes,
            (false, false) => Tristate::Unknown,
        }
    }

    /// Whether it lies between two values, both included, as a big-endian number.
    pub(super) fn within(&self, from: &[u8], to: &[u8]) -> Tristate {
        let part = self.part(0, from.len());
        let lowest = part.value.clone();
        let highest: Vec<u8> =
            part.value.iter().zip(&part.known).map(|(value, known)| value | !known).collect();
        if lowest.as_slice() >= from && highest.as_slice() <= to {
            Tristate::Yes
        } else if highest.as_slice() < from || lowest.as_slice() > to {
            Tristate::No
        } else {
            Tristate::Unknown
        }
    }

    /// `length` bytes as a big-endian number; none where it is shorter.
    pub(super) fn word(&self, offset: usize, length: usize) -> Option<Word> {
        (offset.checked_add(length)? <= self.value.len()).then(|| {
            let part = self.part(offset, length);
            let number = |bytes: &[u8]| bytes.iter().fold(0, |sum: u32, byte| sum << 8 | u32::from(*byte));
            let above = u32::MAX.checked_shl(8 * u32::try_from(length).unwrap_or(4)).unwrap_or(0);
            Word { value: number(&part.value), known: number(&part.known) | above }
        })
    }

    /// The length in bytes.
    pub(super) fn length(&self) -> usize {
        self.value.len()
    }
}

/// A number with some unknown bits. An unknown bit is 0 in the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    value: u32,
    known: u32,
}

impl Word {
    pub(super) fn of(value: u32) -> Self {
        Self { value, known: u32::MAX }
    }

    pub(super) fn exact(self) -> Option<u32> {
        (self.known == u32::MAX).then_some(self.value)
    }

    pub(super) fn and(self, mask: u32) -> Self {
        Self { value: self.value & mask, known: self.known | !mask }
    }

    pub(super) fn up(self, bits: u32) -> Self {
        let moved = |number: u32| number.checked_shl(bits).unwrap_or(0);
        Self { value: moved(self.value), known: moved(self.known) | !moved(u32::MAX) }
    }

    pub(super) fn down(self, bits: u32) -> Self {
        let moved = |number: u32| number.checked_shr(bits).unwrap_or(0);
        Self { value: moved(self.value), known: moved(self.known) | !moved(u32::MAX) }
    }

    /// Whether it lies between two numbers, both included.
    pub(super) fn within(self, from: u32, to: u32) -> Tristate {
        let (lowest, highest) = (self.value, self.value | !self.known);
        if lowest >= from && highest <= to {
            Tristate::Yes
        } else if highest < from || lowest > to {
            Tristate::No
        } else {
            Tristate::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_bit_leaves_open_only_what_depends_on_it() {
        let bits = Bits::partly([0x12, 0x30], [0xff, 0xf0]);
        assert_eq!(bits.equals(&[0x12, 0x35]), Tristate::Unknown);
        assert_eq!(bits.equals(&[0x12, 0x45]), Tristate::No);
        assert_eq!(bits.equals(&[0x12]), Tristate::Yes);
        assert_eq!(bits.within(&[0x12, 0x00], &[0x12, 0xff]), Tristate::Yes);
        assert_eq!(bits.within(&[0x12, 0x31], &[0x12, 0xff]), Tristate::Unknown);
        assert_eq!(bits.within(&[0x13, 0x00], &[0x14, 0xff]), Tristate::No);
        assert_eq!(bits.masked(&[0xff, 0xf0], &[0, 1]).equals(&[0x12, 0x31]), Tristate::Yes);
        assert_eq!(bits.turned(2).equals(&[0x30, 0x12]), Tristate::Unknown);
        assert_eq!(Bits::unknown(1).equals(&[0]), Tristate::Unknown);
    }

    #[test]
    fn an_open_question_stays_open_unless_another_decides() {
        assert_eq!(Tristate::Unknown.and(Tristate::No), Tristate::No);
        assert_eq!(Tristate::Unknown.and(Tristate::Yes), Tristate::Unknown);
        assert_eq!(Tristate::Unknown.or(Tristate::Yes), Tristate::Yes);
        assert_eq!(Tristate::Unknown.negated(true), Tristate::Unknown);
    }
}
