//! The driver and the offload features of network interfaces, from sysfs and over ethtool netlink.

use facts::host::Interface;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC};
use nix::sys::{socket::setsockopt, socket::sockopt::ReceiveTimeout, time::TimeVal};
use std::io;

/// Timeout of one answer of the kernel.
const TIMEOUT: TimeVal = TimeVal::new(1, 0);
/// Kinds of interfaces without a hardware NIC.
const VIRTUAL: [&str; 6] = ["veth", "bridge", "vxlan", "dummy", "ifb", "tun"];
/// The prefixes of the features that are kept.
const KEPT: [&str; 3] = ["tx-checksum", "tx-udp_tnl", "rx-gro"];
/// `GENL_ID_CTRL` and `CTRL_CMD_GETFAMILY` (`linux/genetlink.h`).
const CONTROL: (u16, u8) = (16, 3);
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
/// `linux/ethtool_netlink.h`.
const FEATURES_GET: u8 = 11;
const FEATURES_HEADER: u16 = 1;
const HEADER_DEV_NAME: u16 = 2;
const FEATURES_ACTIVE: u16 = 4;
const BITSET_BITS: u16 = 3;
const BIT_NAME: u16 = 2;
/// `NLA_F_NESTED`, and the mask of an attribute's type.
const NESTED: u16 = 1 << 15;
const TYPE: u16 = 0x3fff;

/// Adds the driver and the active features. An interface without them keeps them empty, as do kernels before 5.6, which
/// have no ethtool netlink.
pub(super) fn describe(interfaces: &mut [Interface]) {
    let family = family();
    for interface in interfaces {
        if interface.name == "lo" || VIRTUAL.contains(&interface.kind.as_str()) {
            continue;
        }
        interface.driver = driver(&interface.name).unwrap_or_default();
        if let Ok(family) = family {
            interface.offloads = features(family, &interface.name).unwrap_or_default();
        }
    }
}

fn driver(name: &str) -> Option<String> {
    let link = std::fs::read_link(format!("/sys/class/net/{name}/device/driver")).ok()?;
    Some(link.file_name()?.to_str()?.to_owned())
}

/// The id of the generic netlink family `ethtool`.
fn family() -> io::Result<u16> {
    let (kind, command) = CONTROL;
    let answer = request(kind, command, &attribute(FAMILY_NAME, b"ethtool\0"))?;
    let id =
        attributes(&answer).find(|(kind, _)| *kind == FAMILY_ID).and_then(|(_, value)| value.try_into().ok());
    id.map(u16::from_ne_bytes).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

/// The active features of an interface that concern checksums and tunnels.
fn features(family: u16, name: &str) -> io::Result<Vec<String>> {
    let device = attribute(HEADER_DEV_NAME, &[name.as_bytes(), b"\0"].concat());
    let answer = request(family, FEATURES_GET, &attribute(FEATURES_HEADER | NESTED, &device))?;
    let active = attributes(&answer).find(|(kind, _)| *kind == FEATURES_ACTIVE).map(|(_, value)| value);
    let bits = active.and_then(|active| attributes(active).find(|(kind, _)| *kind == BITSET_BITS));
    let name_of = |bit: &[u8]| {
        let (_, name) = attributes(bit).find(|(kind, _)| *kind == BIT_NAME)?;
        Some(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned())
    };
    let names = bits.into_iter().flat_map(|(_, bits)| attributes(bits)).filter_map(|(_, bit)| name_of(bit));
    let mut names: Vec<_> = names.filter(|name| KEPT.iter().any(|kept| name.starts_with(kept))).collect();
    names.sort();
    Ok(names)
}

/// One request of generic netlink. The result is the attributes of the answer.
fn request(kind: u16, command: u8, attributes: &[u8]) -> io::Result<Vec<u8>> {
    let mut message = vec![0; 20];
    message.extend(attributes);
    let length = u32::try_from(message.len()).map_err(io::Error::other)?;
    let header = [
        &length.to_ne_bytes()[..],
        &kind.to_ne_bytes(),
        &(libc::NLM_F_REQUEST as u16).to_ne_bytes(),
        &[0; 8],
        &[command, 1, 0, 0],
    ]
    .concat();
    message.splice(..20, header);
    let socket = Socket::new(NETLINK_GENERIC)?;
    setsockopt(&socket, ReceiveTimeout, &TIMEOUT)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&message, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    if kind == Some(libc::NLMSG_ERROR as u16) {
        let code = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
        return Err(io::Error::from_raw_os_error(code.unwrap_or(-libc::EIO).saturating_neg()));
    }
    Ok(answer.get(20..).unwrap_or_default().to_vec())
}

/// An attribute, padded to four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    let mut attribute = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

/// The attributes of a message by type.
fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let word = |at: usize| Some(u16::from_ne_bytes(rest.get(at..at + 2)?.try_into().ok()?));
        let (length, kind) = (usize::from(word(0)?), word(2)? & TYPE);
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive_a_round_trip() {
        let bytes = [attribute(FAMILY_NAME, b"ethtool\0"), attribute(FAMILY_ID, &[1, 2])].concat();
        let read: Vec<_> = attributes(&bytes).collect();
        assert_eq!(read, [(FAMILY_NAME, &b"ethtool\0"[..]), (FAMILY_ID, &[1, 2][..])]);
        assert_eq!(attributes(&bytes[..3]).count(), 0);
        assert_eq!(attributes(&[255, 0, 1, 0]).count(), 0);
    }

    #[test]
    fn the_loopback_interface_has_features() {
        let Ok(family) = family() else { return };
        let names = features(family, "lo").unwrap();
        assert!(names.iter().any(|name| name.starts_with("tx-checksum")), "{names:?}");
    }
}
