//! Tests on packet bytes at computed offsets: `u32`, and classic BPF programs.

use super::bits::{Tristate, Word};
use super::header::Packet;
use serde::{Deserialize, Serialize};

/// One test of `u32`: how to compute a number, and its allowed ranges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// The steps; the first one loads four bytes.
    pub way: Vec<(Step, u32)>,
    /// The ranges, both ends included.
    pub ranges: Vec<(u32, u32)>,
}

/// An operation on the current number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Bitwise AND.
    And,
    /// Left shift.
    Up,
    /// Right shift.
    Down,
    /// Loads four bytes at the current offset plus the number plus this constant.
    At,
}

/// An instruction of classic BPF (`struct sock_filter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instruction {
    /// The operation code.
    pub code: u16,
    /// The number of instructions to skip if the condition holds.
    pub holds: u8,
    /// The number of instructions to skip if it does not.
    pub fails: u8,
    /// The constant.
    pub k: u32,
}

impl Number {
    pub(super) fn asked(&self, packet: &Packet) -> Tristate {
        let bytes = packet.bytes();
        let mut place = 0_usize;
        let mut number: Option<Word> = None;
        for (step, k) in &self.way {
            number = match (step, number) {
                (_, None) => bytes.word(*k as usize, 4),
                (Step::And, Some(number)) => Some(number.and(*k)),
                (Step::Up, Some(number)) => Some(number.up(*k)),
                (Step::Down, Some(number)) => Some(number.down(*k)),
                (Step::At, Some(number)) => {
                    let Some(more) = number.exact() else { return Tristate::Unknown };
                    place = place.saturating_add(more as usize);
                    bytes.word(place.saturating_add(*k as usize), 4)
                }
            };
            // The packet length is unknown.
            if number.is_none() {
                return Tristate::Unknown;
            }
        }
        let within = |number: Word| {
            self.ranges.iter().fold(Tristate::No, |any, (from, to)| any.or(number.within(*from, *to)))
        };
        number.map_or(Tristate::Unknown, within)
    }
}

/// Whether a program accepts a packet; unknown if it uses operations that are not implemented.
pub(super) fn run(program: &[Instruction], packet: &Packet) -> Tristate {
    const LOAD: u16 = 0x00;
    const ALU: u16 = 0x04;
    const JUMP: u16 = 0x05;
    const RETURN: u16 = 0x06;
    const TO_INDEX: u16 = 0x07;
    /// `SKF_AD_OFF + SKF_AD_PAY_OFFSET`: the offset of the payload.
    const CONTENT: u32 = 0xffff_f034;
    let bytes = packet.bytes();
    let (mut number, mut index) = (None::<Word>, None::<Word>);
    let mut at = 0;
    while let Some(Instruction { code, holds, fails, k }) = program.get(at).copied() {
        at += 1;
        let size = match code & 0x18 {
            0x00 => 4,
            0x08 => 2,
            _ => 1,
        };
        match (code & 0x07, code & 0xf8) {
            (LOAD, 0x20) if k == CONTENT => number = packet.content().map(Word::of),
            (LOAD, 0x20 | 0x28 | 0x30) => number = bytes.word(k as usize, size),
            (LOAD, 0x40 | 0x48 | 0x50) => {
                let place = index.and_then(Word::exact).and_then(|index| index.checked_add(k));
                number = place.and_then(|place| bytes.word(place as usize, size));
            }
            (LOAD, 0x00) => number = Some(Word::of(k)),
            (ALU, 0x50) => number = number.map(|number| number.and(k)),
            (ALU, 0x60) => number = number.map(|number| number.up(k)),
            (ALU, 0x70) => number = number.map(|number| number.down(k)),
            (JUMP, 0x00) => at = at.saturating_add(k as usize),
            (JUMP, question @ (0x10 | 0x20 | 0x30 | 0x40)) => {
                let Some(number) = number else { return Tristate::Unknown };
                let answer = match question {
                    0x10 => number.within(k, k),
                    0x20 => number.within(0, k).negated(true),
                    0x30 => number.within(k, u32::MAX),
                    _ => number.and(k).within(0, 0).negated(true),
                };
                at += usize::from(match answer {
                    Tristate::Yes => holds,
                    Tristate::No => fails,
                    Tristate::Unknown => return Tristate::Unknown,
                });
            }
            (RETURN, 0x00) => return Tristate::of(k != 0),
            (TO_INDEX, 0x00) => index = number,
            _ => return Tristate::Unknown,
        }
    }
    Tristate::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::{Direction, Flow};
    use crate::host::Protocol;

    fn overlay(vni: Option<u32>) -> Packet {
        Packet {
            direction: Direction::In,
            flow: Flow::New,
            protocol: Protocol::Udp,
            source: [192, 0, 2, 2].into(),
            destination: [192, 0, 2, 1].into(),
            source_port: None,
            destination_port: Some(4789),
            link: None,
            onward: None,
            vni,
            owner: None,
            redirected: false,
        }
    }

    /// `0>>22&0x3C@12&0xFFFFFF00=VNI<<8`: how engines up to 24 match a VNI.
    fn by_u32(vni: u32) -> Number {
        let way = vec![
            (Step::At, 0),
            (Step::Down, 22),
            (Step::And, 0x3c),
            (Step::At, 12),
            (Step::And, 0xffff_ff00),
        ];
        Number { way, ranges: vec![(vni << 8, vni << 8)] }
    }

    /// The program that engines since 25 match a VNI with.
    fn by_bpf(vni: u32) -> Vec<Instruction> {
        [
            (0x20, 0, 0, 0xffff_f034),
            (0x07, 0, 0, 0),
            (0x40, 0, 0, 4),
            (0x74, 0, 0, 8),
            (0x15, 1, 0, vni),
            (0x06, 0, 0, 0),
            (0x06, 0, 0, u32::MAX),
        ]
        .map(|(code, holds, fails, k)| Instruction { code, holds, fails, k })
        .into()
    }

    #[test]
    fn both_ways_to_ask_for_an_overlay_are_answered_alike() {
        for (vni, asked, answer) in [
            (Some(4097), 4097, Tristate::Yes),
            (Some(4096), 4097, Tristate::No),
            (None, 4097, Tristate::Unknown),
        ] {
            assert_eq!(by_u32(asked).asked(&overlay(vni)), answer, "{vni:?}");
            assert_eq!(run(&by_bpf(asked), &overlay(vni)), answer, "{vni:?}");
        }
        let tcp = Packet { protocol: Protocol::Tcp, vni: None, ..overlay(None) };
        assert_eq!(run(&by_bpf(4097), &tcp), Tristate::Unknown);
    }
}
