//! The addresses of one host: which interface has which, and which of them other nodes can reach.

use facts::Host;
use facts::host::{Address, Interface};
use std::net::IpAddr;

/// The interface of this host that has `addr`; loopback addresses belong to every host.
pub(crate) fn local_holder(host: &Host, addr: IpAddr) -> Option<String> {
    if addr.is_loopback() {
        return Some("loopback".to_owned());
    }
    let interfaces = host.interfaces.get().ok()?;
    interfaces.iter().find(|interface| interface.holds(addr)).map(|interface| interface.name.clone())
}

/// Whether the interface is a bridge that the engine creates with the same address on every host.
pub(crate) fn is_docker_bridge(interface: &Interface) -> bool {
    let numbered = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    matches!(interface.name.as_str(), "docker0" | "docker_gwbridge")
        || interface.name.strip_prefix("br-").is_some_and(numbered)
}

/// Whether other hosts can reach the address at all: not loopback, not link-local, not unspecified.
pub(crate) fn is_routable(addr: IpAddr) -> bool {
    let link_local = match addr {
        IpAddr::V4(addr) => addr.is_link_local(),
        IpAddr::V6(addr) => addr.segments()[0] & 0xffc0 == 0xfe80,
    };
    !link_local && !addr.is_loopback() && !addr.is_unspecified()
}

/// The first routable address of an uplink, IPv4 before IPv6, with its interface.
pub(crate) fn uplink_address(interfaces: &[Interface]) -> Option<(&str, &Address)> {
    uplinks(interfaces).find_map(|uplink| Some((uplink.name.as_str(), routable_address(uplink)?)))
}

/// The address of an interface that other hosts can reach, IPv4 before IPv6.
pub(crate) fn routable_address(interface: &Interface) -> Option<&Address> {
    let routable = |address: &&Address| is_routable(address.addr);
    let v4 = interface.addresses.iter().filter(routable).find(|address| address.addr.is_ipv4());
    v4.or_else(|| interface.addresses.iter().find(routable))
}

/// The interface that is up and has no routable address, where there is exactly one: it lost the address it had.
pub(crate) fn uplink_without_address(interfaces: &[Interface]) -> Option<&Interface> {
    let mut bare = uplinks(interfaces).filter(|uplink| routable_address(uplink).is_none());
    bare.next().filter(|_| bare.next().is_none())
}

/// Interfaces that can lead to other nodes: up, and not made by the engine.
fn uplinks(interfaces: &[Interface]) -> impl Iterator<Item = &Interface> {
    interfaces.iter().filter(|i| {
        i.up && i.name != "lo"
            && !["docker", "veth", "br-"].iter().any(|prefix| i.name.starts_with(prefix))
            && !matches!(i.kind.as_str(), "bridge" | "vxlan" | "dummy")
    })
}

#[cfg(test)]
mod tests {
    use super::{uplink_address, uplink_without_address};
    use facts::host::{Address, Interface};

    fn interface(name: &str, kind: &str, addresses: &[&str]) -> Interface {
        let addresses = addresses.iter().map(|text| text.parse::<Address>().unwrap()).collect();
        Interface { name: name.into(), kind: kind.into(), up: true, addresses, ..Interface::default() }
    }

    #[test]
    fn a_link_local_address_is_never_the_address_for_other_nodes() {
        let lost =
            [interface("eth0", "", &["fe80::1/64"]), interface("docker0", "bridge", &["172.17.0.1/16"])];
        assert!(uplink_address(&lost).is_none());
        assert_eq!(uplink_without_address(&lost).unwrap().name, "eth0");
        let both = [interface("eth0", "", &["fe80::1/64", "2001:db8::2/64", "192.0.2.2/24"])];
        assert_eq!(uplink_address(&both).unwrap().1.addr.to_string(), "192.0.2.2");
        assert!(uplink_without_address(&both).is_none());
    }

    #[test]
    fn of_two_interfaces_without_an_address_neither_is_named() {
        let two = [interface("eth0", "", &["169.254.7.7/16"]), interface("eth1", "", &[])];
        assert!(uplink_address(&two).is_none() && uplink_without_address(&two).is_none());
    }
}
