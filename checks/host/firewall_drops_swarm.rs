use super::firewall::blocked::report_blocked;
use super::firewall::required_flow::required_flows;
use crate::{Findings, Judged, Severity, View};
use facts::Host;

check! {
    /// The firewall of this node drops, rejects or redirects traffic that the nodes of the swarm exchange.
    ///
    /// ## Why it matters
    /// Managers need 2377/tcp. All nodes need 7946/tcp and 7946/udp for gossip, and 4789/udp (or the data-path port of the
    /// swarm) for overlay networks. Encrypted overlay networks need ESP, IP protocol 50. When one of them is blocked,
    /// `docker node ls` may still show Ready while names do not resolve, containers do not reach one another, or the node
    /// becomes Down later. Blocked 4789/udp and ESP leave no line in any log.
    ///
    /// The check reads the rules of nftables (which firewalld, ufw and current iptables also use) and of legacy iptables,
    /// and evaluates them for each packet in the order that the kernel uses.
    ///
    /// ## How to fix it
    /// Run the commands of the remedy. They use the tool that owns the rule.
    ///
    /// ## When it is wrong
    /// A rule that depends on more than the packet, such as a rate limit or a set that packets fill, leaves the check
    /// unknown.
    ///
    /// Source: Docker docs "Open protocols and ports between the hosts"; Linux `net/netfilter/nf_tables_core.c`.
    "host/firewall-drops-swarm": Error, "the firewall of the node blocks swarm traffic";
    healthy "the firewall of the node passes all swarm traffic";
    needs Firewall, Info, SwarmState, Interfaces, Routes, Nodes, Networks, Overlays, Certificates;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    report_blocked(host, view, &required_flows(view.snapshot, host)?, Severity::Error, out)
}
