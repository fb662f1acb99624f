//! The tables of an overlay in the kernel: the VXLAN device, its forwarding entries and its neighbour entries.

use crate::collect::netlink::dump;
use netlink_packet_route::link::{InfoData, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The VXLAN device of an overlay. An overlay with several subnets has one device for each, with another VNI.
pub(super) struct Device {
    pub(super) name: String,
    pub(super) vni: u32,
    pub(super) port: u16,
    pub(super) up: bool,
}

/// An endpoint on another node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Endpoint {
    pub(super) node: IpAddr,
    pub(super) addr: Ipv4Addr,
    pub(super) mac: Vec<u8>,
}

/// The device and the remote endpoints in the network namespace of this thread, by node and address.
pub(super) fn read() -> io::Result<(Device, Vec<Endpoint>)> {
    let devices = devices()?;
    let device = devices.values().next();
    let device =
        device.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the namespace has no VXLAN device"))?;
    let device = Device { name: device.name.clone(), ..*device };
    let remote: BTreeMap<Vec<u8>, IpAddr> = entries(AddressFamily::Bridge)?
        .into_iter()
        .filter(|entry| devices.contains_key(&entry.header.ifindex))
        .filter_map(|entry| {
            let (addr, mac) = pair(&entry)?;
            Some((mac, ip(addr)?))
        })
        .collect();
    let mut endpoints: Vec<_> = entries(AddressFamily::Inet)?
        .into_iter()
        .filter_map(|entry| {
            let (addr, mac) = pair(&entry)?;
            let NeighbourAddress::Inet(addr) = addr else { return None };
            Some(Endpoint { node: *remote.get(&mac)?, addr: *addr, mac })
        })
        .collect();
    endpoints.sort();
    endpoints.dedup();
    Ok((device, endpoints))
}

/// The VXLAN devices of the network namespace of this thread, by index.
pub(super) fn devices() -> io::Result<BTreeMap<u32, Device>> {
    let mut devices = BTreeMap::new();
    for message in dump(NETLINK_ROUTE, RouteNetlinkMessage::GetLink(LinkMessage::default()))? {
        let RouteNetlinkMessage::NewLink(link) = message else { continue };
        let vxlan = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(infos) => infos.iter().find_map(|info| match info {
                LinkInfo::Data(InfoData::Vxlan(vxlan)) => Some(vxlan),
                _ => None,
            }),
            _ => None,
        });
        let Some(vxlan) = vxlan else { continue };
        let name = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.clone()),
            _ => None,
        });
        let up = link.header.flags.contains(LinkFlags::Up);
        let mut device = Device { name: name.unwrap_or_default(), vni: 0, port: 0, up };
        for info in vxlan {
            match info {
                InfoVxlan::Id(vni) => device.vni = *vni,
                InfoVxlan::Port(port) => device.port = *port,
                _ => {}
            }
        }
        devices.insert(link.header.index, device);
    }
    Ok(devices)
}

fn entries(family: AddressFamily) -> io::Result<Vec<NeighbourMessage>> {
    let mut question = NeighbourMessage::default();
    question.header.family = family;
    let answer = dump(NETLINK_ROUTE, RouteNetlinkMessage::GetNeighbour(question))?;
    let entry = |message| match message {
        RouteNetlinkMessage::NewNeighbour(entry) => Some(entry),
        _ => None,
    };
    Ok(answer.into_iter().filter_map(entry).collect())
}

/// The address and the MAC address of an entry, if it has both.
fn pair(entry: &NeighbourMessage) -> Option<(&NeighbourAddress, Vec<u8>)> {
    let addr = entry.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(addr) => Some(addr),
        _ => None,
    })?;
    let mac = entry.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(mac) => Some(mac.clone()),
        _ => None,
    })?;
    Some((addr, mac))
}

/// The address of a forwarding entry, which comes as bytes because its family is AF_BRIDGE.
fn ip(addr: &NeighbourAddress) -> Option<IpAddr> {
    match addr {
        NeighbourAddress::Inet(addr) => Some((*addr).into()),
        NeighbourAddress::Inet6(addr) => Some((*addr).into()),
        NeighbourAddress::Other(bytes) => match bytes.len() {
            4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.as_slice()).ok()?).into()),
            16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?).into()),
            _ => None,
        },
        _ => None,
    }
}
