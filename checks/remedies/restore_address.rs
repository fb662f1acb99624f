//! How a host gets an address back that it lost.

use crate::remedy::shell_quote;
use crate::{Remedy, Risk, Step, View};
use facts::Host;
use facts::host::Address;
use std::net::IpAddr;

/// Adds `addr` to `device` again. Without a known device or prefix length a person has to fill them in.
pub(crate) fn restore_address(host: &Host, addr: IpAddr, device: Option<&str>, view: &View<'_>) -> Remedy {
    let node = host.name.clone();
    let step = match (device, prefix_length(host, addr, view)) {
        (Some(device), Some(prefix)) => {
            Step::AddAddress { node: node.into(), device: device.to_owned(), addr, prefix }
        }
        (device, prefix) => {
            let prefix = prefix.map_or_else(|| "PREFIX".to_owned(), |prefix| prefix.to_string());
            let device = device.map_or_else(|| "INTERFACE".to_owned(), shell_quote);
            Step::Manual {
                node: node.into(),
                text: "add the address with the prefix length of its network".into(),
                commands: vec![format!("ip addr add {addr}/{prefix} dev {device}")],
            }
        }
    };
    let place =
        device.map_or_else(|| format!("to {}", host.name), |device| format!("to {device} of {}", host.name));
    Remedy {
        title: format!("Add {addr} {place} again").into(),
        risk: Risk::Safe,
        impact: "Running tasks are not affected. Make the address permanent in the network configuration."
            .into(),
        steps: vec![step],
    }
}

/// The prefix length of the network of `addr`: from an interface in that network, here or on another examined host; else 24
/// where every manager that the host knows is in the same /24.
fn prefix_length(host: &Host, addr: IpAddr, view: &View<'_>) -> Option<u8> {
    let here = std::iter::once(host);
    let hosts = here.chain(view.snapshot.hosts.iter().filter(|other| other.name != host.name));
    let mut interfaces = hosts.filter_map(|host| host.interfaces.get().ok()).flat_map(|all| all.iter());
    let covering = interfaces.find_map(|interface| {
        interface.addresses.iter().find(|own| own.addr.is_ipv4() == addr.is_ipv4() && own.covers(addr))
    });
    if let Some(own) = covering {
        return Some(own.prefix);
    }
    let network = Address { addr, prefix: 24 };
    let info = host.info.get().ok()?;
    let mut others = info.swarm.managers.iter().filter(|manager| manager.addr.ip() != addr).peekable();
    let near = others.peek().is_some() && others.all(|manager| network.covers(manager.addr.ip()));
    (addr.is_ipv4() && near).then_some(24)
}
