//! Sets and maps.

use super::bits::{Bits, Truth};
use super::{Bytes, Verdict};
use serde::{Deserialize, Serialize};

/// A set, or a map where its elements hold something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// It belongs to one rule, which shows its elements.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anonymous: bool,
    /// The lengths of the fields that a key is made of, in bytes, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<u32>,
    /// It has, or may come to have, more elements than were read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Its elements.
    pub elements: Vec<Element>,
}

/// An element of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Element {
    /// Its key, or the lowest; none for whatever no other element has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Bytes>,
    /// The highest key, where it stands for several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Bytes>,
    /// What a map holds there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Bytes>,
    /// What a verdict map holds there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// It carries a condition of its own, such as a rate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub conditional: bool,
}

impl Set {
    /// The elements that a key may find, and whether it surely finds one. Where it does and they are several, it
    /// finds one of them.
    pub(super) fn find(&self, key: &Bits) -> (Truth, Vec<&Element>) {
        let mut found = if self.cut { Truth::Open } else { Truth::No };
        let mut candidates = Vec::new();
        for element in self.elements.iter().filter(|element| element.key.is_some()) {
            let mut hit = self.holds(element, key);
            if hit == Truth::Yes && element.conditional {
                hit = Truth::Open;
            }
            if hit == Truth::Yes {
                return (Truth::Yes, vec![element]);
            }
            if hit == Truth::Open {
                candidates.push(element);
            }
            found = found.or(hit);
        }
        if let Some(any) = self.elements.iter().find(|element| element.key.is_none()) {
            candidates.push(any);
            found = if any.conditional { Truth::Open } else { Truth::Yes };
        }
        (found, candidates)
    }

    fn holds(&self, element: &Element, key: &Bits) -> Truth {
        let Some(Bytes(from)) = &element.key else { return Truth::Open };
        let Some(Bytes(last)) = &element.last else { return key.equals(from) };
        if self.fields.len() < 2 {
            return key.within(from, last);
        }
        // Each field begins in a register of its own.
        let mut offset = 0;
        let mut holds = Truth::Yes;
        for length in self.fields.iter().map(|length| *length as usize) {
            let (Some(low), Some(high)) =
                (from.get(offset..offset + length), last.get(offset..offset + length))
            else {
                return Truth::Open;
            };
            holds = holds.and(key.part(offset, length).within(low, high));
            offset += length.next_multiple_of(4);
        }
        holds
    }
}
