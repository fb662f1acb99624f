//! The addresses that an overlay has, and those that its services need.

use super::free_subnet::free_subnet;
use crate::remedy::shell_quote;
use crate::{Remedy, Risk, Step};
use facts::Host;
use facts::host::Address;
use facts::network::Network;
use facts::service::Service;

/// What managers and nodes report for a task without an address.
pub(crate) const NO_ADDRESS: [&str; 2] = ["ip addresses may be exhausted", "could not find an available IP"];

/// The address demand of one overlay.
pub(crate) struct Demand<'a> {
    pub(crate) network: &'a Network,
    /// The services with tasks on the network.
    pub(crate) services: Vec<&'a Service>,
    /// The assignable addresses.
    pub(crate) capacity: u64,
    /// One address for each wanted task.
    pub(crate) tasks: u64,
    /// One address for each service with a VIP.
    pub(crate) vips: u64,
    /// One address for the load balancer of each node with such a task.
    pub(crate) nodes: u64,
}

impl<'a> Demand<'a> {
    /// `None` if the network has no IPv4 subnet.
    pub(crate) fn of(network: &'a Network, services: &'a [Service], nodes: u64) -> Option<Self> {
        let capacity = network.subnets.iter().filter_map(|subnet| capacity(subnet)).sum();
        network.subnets.iter().find_map(|subnet| self::capacity(subnet))?;
        let services: Vec<_> = services.iter().filter(|service| uses(service, network)).collect();
        let tasks = services.iter().map(|service| service.replicas.unwrap_or(nodes)).sum();
        let vips = services.iter().filter(|service| !service.dnsrr).count() as u64;
        // Every node has a load balancer on the ingress network.
        let balancers = if network.ingress { nodes } else { nodes.min(tasks) };
        Some(Self { network, services, capacity, tasks, vips, nodes: balancers })
    }

    /// The addresses that are needed in total.
    pub(crate) fn needed(&self) -> u64 {
        self.tasks.saturating_add(self.vips).saturating_add(self.nodes)
    }

    /// Whether more addresses are needed than there are.
    pub(crate) fn is_full(&self) -> bool {
        self.needed() > self.capacity
    }

    /// The unused addresses; negative if too few.
    pub(crate) fn free(&self) -> i128 {
        i128::from(self.capacity) - i128::from(self.needed())
    }

    /// The sum, such as `2 tasks, 1 VIP and 2 load balancers need 5 of 253 addresses`.
    pub(crate) fn describe(&self) -> String {
        let count = |number: u64, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
        format!(
            "{}, {} and {} need {} of {} addresses",
            count(self.tasks, "task"),
            count(self.vips, "VIP"),
            count(self.nodes, "load balancer"),
            self.needed(),
            self.capacity
        )
    }
}

/// The assignable addresses of a subnet: all but the network, gateway and broadcast address.
pub(crate) fn capacity(subnet: &str) -> Option<u64> {
    let subnet: Address = subnet.parse().ok()?;
    let bits = 32_u32.checked_sub(subnet.prefix.into()).filter(|_| subnet.addr.is_ipv4())?;
    Some((1_u64 << bits).saturating_sub(3))
}

/// Whether the tasks of a service get an address on the network.
pub(crate) fn uses(service: &Service, network: &Network) -> bool {
    let asks = service.networks.iter().any(|name| *name == network.name || *name == network.id.0);
    asks || network.ingress && service.ports.iter().any(|port| port.ingress)
}

/// Re-creates the network with more addresses.
pub(crate) fn larger_subnet(host: &Host, network: &Network, all: &[Network]) -> Remedy {
    let name = shell_quote(&network.name);
    let ingress = if network.ingress { " --ingress" } else { "" };
    let subnet = free_subnet(all, &[], 22);
    Remedy {
        title: format!("Re-create {} with a larger subnet", network.name).into(),
        risk: Risk::Disruptive,
        impact: "services on the network stop until it is re-created".into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text: "on a manager: remove the services that use the network, re-create it with one address for each task, each \
                   service and each node, and deploy again"
                .into(),
            commands: vec![
                format!("docker network rm {name}"),
                format!("docker network create --driver overlay{ingress} --subnet {subnet} {name}"),
            ],
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::capacity;

    #[test]
    fn counts_the_assignable_addresses() {
        assert_eq!(capacity("10.0.0.0/29"), Some(5));
        assert_eq!(capacity("10.0.0.0/24"), Some(253));
        assert_eq!(capacity("10.0.0.0/32"), Some(0));
        assert_eq!(capacity("2001:db8::/64"), None);
        assert_eq!(capacity("x"), None);
    }
}
