use crate::model::reachability::by_peer;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::host::NeighbourState;

check! {
    /// The kernel has a permanent neighbour entry for another node, and no host answers at that MAC address.
    ///
    /// ## Why it matters
    /// The kernel never sends ARP for a permanent entry. If the other host is replaced, moves or gets another network
    /// interface, all packets for it go to a MAC address that no longer exists. To both nodes the other one looks down.
    ///
    /// ## How to fix it
    /// Delete the entry, and remove it from the network configuration that created it; then the kernel uses ARP again.
    ///
    /// ## When it is wrong
    /// If the entry is correct and the other host is down.
    ///
    /// Source: Linux `ip-neighbour(8)`, `net/core/neighbour.c` (`NUD_PERMANENT`).
    "network/permanent-neighbour-entry": Error, "a permanent neighbour entry has a MAC address at which no host answers";
    healthy "no permanent neighbour entry hides another node";
    needs Probes, Neighbours, Nodes;
    caused_by "network/no-route";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let probes = host.probes.get()?;
    let neighbours = host.neighbours.get()?;
    for reach in by_peer(probes).iter().filter(|reach| !reach.host_answers()) {
        let of_peer = neighbours.iter().filter(|entry| entry.addr == reach.peer.addr);
        for entry in of_peer.filter(|entry| entry.state == NeighbourState::Permanent) {
            let name = view.name_of_peer(reach.peer);
            let (addr, device) = (entry.addr, &entry.interface);
            let summary = format!(
                "{} has a permanent neighbour entry {addr} -> {} on {device} for {name}, and no host answers there",
                host.name, entry.mac
            );
            let shown = format!("{addr} dev {device} lladdr {} PERMANENT", entry.mac);
            let finding =
                out.report(Subject::Node(host.name.clone()), summary, Evidence::value(neighbours, shown));
            finding.also_affects(Subject::Node(name));
            finding.with(Evidence::value(probes, reach.describe())).confidence(Confidence::Medium).remedy(
                Remedy {
                    title: format!("Delete the neighbour entry for {addr} on {device}").into(),
                    risk: Risk::Manual,
                    impact: "the kernel resolves the address by ARP from then on".into(),
                    steps: vec![Step::Manual {
                        node: host.name.clone().into(),
                        text: "delete the entry, and remove it from the network configuration of the system"
                            .into(),
                        commands: vec![format!("ip neighbour delete {addr} dev {device}")],
                    }],
                },
            );
        }
    }
    Ok(())
}
