//! Sets and maps.

use super::bits::{Bits, Tristate};
use super::{Bytes, Verdict};
use serde::{Deserialize, Serialize};

/// A set, or a map if its elements have values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// An anonymous set, which is printed inline.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anonymous: bool,
    /// The lengths of the fields of a concatenated key, in bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<u32>,
    /// It has, or may get, more elements than were read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Its elements.
    pub elements: Vec<Element>,
}

/// An element of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Element {
    /// Its key, or the lowest key; none for the catch-all element.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Bytes>,
    /// The highest key of an interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Bytes>,
    /// The value in a map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Bytes>,
    /// The verdict in a verdict map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// It has a condition, such as a rate limit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub conditional: bool,
}

impl Set {
    /// The elements that a key may match, and whether it certainly matches one. If several are returned, it
    /// matches one of them.
    pub(super) fn find(&self, key: &Bits) -> (Tristate, Vec<&Element>) {
        let mut found = if self.cut { Tristate::Unknown } else { Tristate::No };
        let mut candidates = Vec::new();
        for element in self.elements.iter().filter(|element| element.key.is_some()) {
            let mut hit = self.holds(element, key);
            if hit == Tristate::Yes && element.conditional {
                hit = Tristate::Unknown;
            }
            if hit == Tristate::Yes {
                return (Tristate::Yes, vec![element]);
            }
            if hit == Tristate::Unknown {
                candidates.push(element);
            }
            found = found.or(hit);
        }
        if let Some(any) = self.elements.iter().find(|element| element.key.is_none()) {
            candidates.push(any);
            found = if any.conditional { Tristate::Unknown } else { Tristate::Yes };
        }
        (found, candidates)
    }

    fn holds(&self, element: &Element, key: &Bits) -> Tristate {
        let Some(Bytes(from)) = &element.key else { return Tristate::Unknown };
        let Some(Bytes(last)) = &element.last else { return key.equals(from) };
        if self.fields.len() < 2 {
            return key.within(from, last);
        }
        // Each field starts in a separate register.
        let mut offset = 0;
        let mut holds = Tristate::Yes;
        for length in self.fields.iter().map(|length| *length as usize) {
            let (Some(low), Some(high)) =
                (from.get(offset..offset + length), last.get(offset..offset + length))
            else {
                return Tristate::Unknown;
            };
            holds = holds.and(key.part(offset, length).within(low, high));
            offset += length.next_multiple_of(4);
        }
        holds
    }
}
