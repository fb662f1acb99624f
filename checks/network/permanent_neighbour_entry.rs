use super::reach::by_peer;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::host::NeighbourState;

check! {
    /// The kernel was told by hand which hardware address another node has, and nothing answers there.
    ///
    /// ## Why it matters
    /// A permanent entry is never asked for again. When the other machine is replaced, moved or given another card,
    /// everything that this one sends goes to a card that is no longer there; to both nodes the other one looks off.
    ///
    /// ## How to fix it
    /// Take the entry away, and out of the network settings that made it; the kernel then asks for itself.
    ///
    /// ## When it is wrong
    /// Where the entry is right and the other machine is off.
    ///
    /// Source: Linux `ip-neighbour(8)`, `net/core/neighbour.c` (`NUD_PERMANENT`).
    "network/permanent-neighbour-entry": Error, "a permanent entry leads to a hardware address where nobody answers";
    needs Probes, Neighbours, Nodes;
    caused_by "network/no-route";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let probes = host.probes.get()?;
    let neighbours = host.neighbours.get()?;
    for reach in by_peer(probes).iter().filter(|reach| !reach.machine_answers()) {
        let of_it = neighbours.iter().filter(|entry| entry.addr == reach.peer.addr);
        for entry in of_it.filter(|entry| entry.state == NeighbourState::Permanent) {
            let name = view.name_of_peer(reach.peer);
            let (addr, device) = (entry.addr, &entry.interface);
            let summary = format!(
                "{} was told for ever that {name} has the hardware address {} on {device}, and nobody answers there",
                host.name, entry.mac
            );
            let shown = format!("{addr} dev {device} lladdr {} PERMANENT", entry.mac);
            let finding =
                out.report(Subject::Node(host.name.clone()), summary, Evidence::value(neighbours, shown));
            finding.also_affects(Subject::Node(name));
            finding.with(Evidence::value(probes, reach.shown())).confidence(Confidence::Medium).remedy(
                Remedy {
                    title: "Take the entry away".into(),
                    risk: Risk::Manual,
                    impact: "the kernel asks for the address itself from then on".into(),
                    steps: vec![Step::Manual {
                        node: host.name.clone(),
                        text: "delete it, and take it out of the system's network settings".into(),
                        commands: vec![format!("ip neighbour delete {addr} dev {device}")],
                    }],
                },
            );
        }
    }
    Ok(())
}
