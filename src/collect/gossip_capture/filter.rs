//! The classic BPF filter of the packet socket. It sees a packet from its IP
//! header.

use super::packet::{ESP, GOSSIP, ICMP, ICMP_V6, UDP, UNREACHABLE, UNREACHABLE_V6};
use socket2::SockFilter;

/// The captured length: an IP header, an ICMP header, and the quoted headers.
pub(super) const SNAP: u16 = 160;

/// The instruction that accepts a packet.
const YES: u8 = 28;
/// The instruction that drops a packet.
const NO: u8 = 29;

/// Accepts gossip over UDP, ESP, and ICMP errors about either.
pub(super) const PROGRAM: [SockFilter; 30] = [
    byte(0),
    high_nibble(),
    when(2, 0x40, 3, 17),
    // IPv4: the protocol is the byte at 9.
    byte(9),
    when(4, ESP as u32, YES, 5),
    when(5, ICMP as u32, 14, 6),
    when(6, UDP as u32, 7, NO),
    // Only the first fragment has ports.
    word(6),
    when_any(8, 0x1fff, NO, 9),
    header(),
    word_behind(0),
    when(11, GOSSIP as u32, YES, 12),
    word_behind(2),
    when(13, GOSSIP as u32, YES, NO),
    header(),
    byte_behind(0),
    when(16, UNREACHABLE as u32, YES, NO),
    // IPv6: the protocol is the byte at 6, and the content begins at 40.
    when(17, 0x60, 18, NO),
    byte(6),
    when(19, ESP as u32, YES, 20),
    when(20, ICMP_V6 as u32, 26, 21),
    when(21, UDP as u32, 22, NO),
    word(40),
    when(23, GOSSIP as u32, YES, 24),
    word(42),
    when(25, GOSSIP as u32, YES, NO),
    byte(40),
    when(27, UNREACHABLE_V6 as u32, YES, NO),
    give(SNAP),
    give(0),
];

const fn step(code: u32, value: u32) -> SockFilter {
    SockFilter::new(code as u16, 0, 0, value)
}

/// Loads one byte.
const fn byte(at: u32) -> SockFilter {
    step(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, at)
}

/// Loads two bytes.
const fn word(at: u32) -> SockFilter {
    step(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, at)
}

/// Loads one byte after the IPv4 header, whose length is in X.
const fn byte_behind(at: u32) -> SockFilter {
    step(libc::BPF_LD | libc::BPF_B | libc::BPF_IND, at)
}

/// Loads two bytes after the IPv4 header.
const fn word_behind(at: u32) -> SockFilter {
    step(libc::BPF_LD | libc::BPF_H | libc::BPF_IND, at)
}

/// Loads the length of the IPv4 header into X.
const fn header() -> SockFilter {
    step(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0)
}

/// Masks all but the IP version.
const fn high_nibble() -> SockFilter {
    step(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0xf0)
}

/// Jumps to one instruction if the value equals the loaded one, and to another if not.
const fn when(here: u8, value: u32, is: u8, is_not: u8) -> SockFilter {
    jump(libc::BPF_JEQ, here, value, is, is_not)
}

/// Jumps to one instruction if any of these bits is set, and to another if not.
const fn when_any(here: u8, bits: u32, is: u8, is_not: u8) -> SockFilter {
    jump(libc::BPF_JSET, here, bits, is, is_not)
}

/// A jump has the number of instructions to skip.
const fn jump(kind: u32, here: u8, value: u32, is: u8, is_not: u8) -> SockFilter {
    SockFilter::new((libc::BPF_JMP | kind | libc::BPF_K) as u16, is - here - 1, is_not - here - 1, value)
}

/// Accepts the packet and returns this many bytes.
const fn give(bytes: u16) -> SockFilter {
    step(libc::BPF_RET | libc::BPF_K, bytes as u32)
}
