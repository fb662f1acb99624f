use super::free_subnet::free_subnet;
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::host::Address;
use facts::network::Network;
use facts::service::{Service, Task};

check! {
    /// A network of the swarm has no address left for the tasks that want one.
    ///
    /// ## Why it matters
    /// Each task on an overlay takes an address, each service a virtual one, and each node that runs such a task one
    /// for itself. When there are none left, tasks are rejected or stay New, and it looks like anything but a lack of
    /// addresses.
    ///
    /// ## How to fix it
    /// Make the network anew with a larger subnet; or let services go by `endpoint_mode: dnsrr`, which saves their
    /// virtual addresses. Fewer tasks help only after a while.
    ///
    /// ## When it is wrong
    /// Just after tasks were scaled down, until their addresses are given back.
    ///
    /// Source: swarmkit `manager/allocator`; moby `daemon/cluster/executor/container/executor.go`.
    "network/addresses-exhausted": Error, "a network has no address left";
    needs Networks, Services, Tasks, Nodes;
    for each Host: run
}

/// What managers and nodes say of a task that gets no address.
const WORDS: [&str; 2] = ["ip addresses may be exhausted", "could not find an available IP"];

/// A task is tried again every few seconds, until so many addresses are kept for those that failed that the next ones
/// stay New without a word.
const FRESH_SECONDS: i64 = 120;

/// How long a task may be New.
const NEW_SECONDS: i64 = 10;

/// A network with what it has to give and what is wanted of it.
struct Demand<'a> {
    network: &'a Network,
    services: Vec<&'a Service>,
    room: u64,
    tasks: u64,
    vips: u64,
    nodes: u64,
}

impl<'a> Demand<'a> {
    /// `None` for a network whose subnet has no number of addresses that one could count.
    fn of(network: &'a Network, services: &'a [Service], nodes: u64) -> Option<Self> {
        let room = network.subnets.iter().find_map(|subnet| room(subnet))?;
        let services: Vec<_> = services.iter().filter(|service| uses(service, network)).collect();
        let tasks = services.iter().map(|service| service.replicas.unwrap_or(nodes)).sum();
        let vips = services.iter().filter(|service| !service.dnsrr).count() as u64;
        Some(Self { network, services, room, tasks, vips, nodes: nodes.min(tasks) })
    }

    fn wants(&self) -> u64 {
        self.tasks.saturating_add(self.vips).saturating_add(self.nodes)
    }

    fn is_full(&self) -> bool {
        self.wants() > self.room
    }

    /// What is left over; the network with the least is the one that a task found empty.
    fn left(&self) -> i128 {
        i128::from(self.room) - i128::from(self.wants())
    }
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    let services = view.snapshot.services.get()?;
    let tasks = view.snapshot.tasks.get()?;
    let nodes = view.snapshot.nodes.get()?.len() as u64;
    let now = view.snapshot.taken.as_second();
    let age = |task: &Task| task.since.map_or(i64::MAX, |at| now - at.as_second());
    let failed =
        |task: &&Task| age(task) <= FRESH_SECONDS && WORDS.iter().any(|words| task.error.contains(words));
    let waits = |task: &&Task| task.state == "new" && task.desired == "running" && age(task) >= NEW_SECONDS;
    let running = |service: &Service| {
        tasks.iter().filter(|task| task.service == service.id && task.state == "running").count() as u64
    };
    let overlays = networks.iter().filter(|network| network.driver == "overlay");
    let demands: Vec<_> = overlays.filter_map(|network| Demand::of(network, services, nodes)).collect();
    for demand in &demands {
        let network = demand.network;
        let lacks = |service: &&&Service| running(service) < service.replicas.unwrap_or(nodes);
        let short: Vec<_> = demand.services.iter().filter(lacks).collect();
        let of_short = |task: &&Task| short.iter().any(|service| service.id == task.service);
        let shares = |other: &Demand<'_>| short.iter().any(|service| uses(service, other.network));
        let is_tightest = !demands.iter().any(|other| other.left() < demand.left() && shares(other));
        let complaint = tasks.iter().filter(of_short).find(failed).filter(|_| is_tightest);
        let waiting = tasks.iter().filter(of_short).find(waits).filter(|_| demand.is_full());
        let Some(task) = complaint.or(waiting) else { continue };
        let names: Vec<_> = short.iter().map(|service| service.name.as_str()).collect();
        let summary = format!(
            "the network {} ({}) has {} addresses to give, and {} tasks, {} virtual addresses and {} nodes want {}: \
             {} gets none",
            network.name,
            network.subnets.join(", "),
            demand.room,
            demand.tasks,
            demand.vips,
            demand.nodes,
            demand.wants(),
            names.join(", "),
        );
        let error = if task.error.is_empty() { "no error" } else { task.error.as_str() };
        let shown = format!("task {} is {}: {error}", task.id, task.state);
        let finding =
            out.report(Subject::Network(network.name.clone()), summary, Evidence::value(tasks, shown));
        let config = format!("{}: IPAM.Config has Subnet {}", network.name, network.subnets.join(", "));
        finding.with(Evidence::value(networks, config));
        for service in &short {
            finding.also_affects(Subject::Service(service.name.clone()));
        }
        if !demand.is_full() {
            finding.confidence(Confidence::Medium);
        }
        finding.remedy(remedy(host, network, networks));
    }
    Ok(())
}

/// How many addresses a subnet has beside those of the network, of its gateway and of all.
fn room(subnet: &str) -> Option<u64> {
    let subnet: Address = subnet.parse().ok()?;
    let bits = 32_u32.checked_sub(subnet.prefix.into()).filter(|_| subnet.addr.is_ipv4())?;
    Some((1_u64 << bits).saturating_sub(3))
}

/// Whether the tasks of a service get an address on the network.
fn uses(service: &Service, network: &Network) -> bool {
    let asks = service.networks.iter().any(|name| *name == network.name || *name == network.id.0);
    asks || network.ingress && service.ports.iter().any(|port| port.ingress)
}

fn remedy(host: &Host, network: &Network, all: &[Network]) -> Remedy {
    let name = shell_quote(&network.name);
    let ingress = if network.ingress { " --ingress" } else { "" };
    let subnet = free_subnet(all, &[], 22);
    Remedy {
        title: format!("Give {} a larger subnet", network.name).into(),
        risk: Risk::Disruptive,
        impact: "whatever is on the network stops until it is there again".into(),
        steps: vec![Step::Manual {
            node: host.name.clone(),
            text: "on a manager: take down what uses the network, make it anew with room for every task, every service \
                   and every node, and deploy again"
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
    use super::room;

    #[test]
    fn counts_the_addresses_to_give() {
        assert_eq!(room("10.0.0.0/29"), Some(5));
        assert_eq!(room("10.0.0.0/24"), Some(253));
        assert_eq!(room("10.0.0.0/32"), Some(0));
        assert_eq!(room("2001:db8::/64"), None);
        assert_eq!(room("x"), None);
    }
}
