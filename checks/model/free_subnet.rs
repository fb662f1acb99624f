//! A free subnet for the command that creates a network again.

use facts::host::Address;
use facts::network::Network;
use std::net::Ipv4Addr;

/// A subnet that overlaps none of `networks` and none of `taken`; the placeholder `SUBNET` if there is none.
pub(crate) fn free_subnet(networks: &[Network], taken: &[Address], prefix: u8) -> String {
    let subnets =
        networks.iter().flat_map(|network| &network.subnets).filter_map(|subnet| subnet.parse().ok());
    let taken: Vec<Address> = subnets.chain(taken.iter().copied()).collect();
    let candidates =
        (201..=250).map(|second| Address { addr: Ipv4Addr::new(10, second, 0, 0).into(), prefix });
    let free = candidates.into_iter().find(|subnet| !taken.iter().any(|other| other.overlaps(subnet)));
    free.map_or_else(|| "SUBNET".to_owned(), |subnet| format!("{}/{}", subnet.addr, subnet.prefix))
}
