use crate::model::reachability::by_peer;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::host::Neighbour;
use std::collections::BTreeMap;

check! {
    /// Two nodes on one network have the same MAC address.
    ///
    /// ## Why it matters
    /// The switch or the bridge of the hypervisor forwards frames for one of them to whichever sent last. Both lose
    /// connections at random, and nothing in Docker reports it. Cloned virtual machines are the usual origin.
    ///
    /// ## How to fix it
    /// Give the clone a unique MAC address in the settings of the hypervisor.
    ///
    /// ## When it is wrong
    /// If a device answers ARP for several nodes (proxy ARP) and is not a router of this node.
    ///
    /// Source: RFC 826; IEEE 802.1D (learning bridges).
    "network/duplicate-mac": Error, "two nodes have the same MAC address";
    healthy "the MAC addresses of the nodes are unique";
    needs Probes, Neighbours, Interfaces, Routes;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let probes = host.probes.get()?;
    let neighbours = host.neighbours.get()?;
    let interfaces = host.interfaces.get()?;
    let routes = host.routes.get()?;
    let reaches = by_peer(probes);
    let mut holders: BTreeMap<(&str, &str), Vec<&Neighbour>> = BTreeMap::new();
    for entry in neighbours.iter().filter(|entry| !entry.mac.is_empty()) {
        holders.entry((&entry.interface, &entry.mac)).or_default().push(entry);
    }
    for ((device, mac), entries) in holders {
        // A router that answers ARP for all others, as in clouds, is not a clone.
        if entries.iter().any(|entry| routes.iter().any(|route| route.gateway == Some(entry.addr))) {
            continue;
        }
        let peers: Vec<_> = reaches
            .iter()
            .filter(|reach| entries.iter().any(|entry| entry.addr == reach.peer.addr))
            .collect();
        let own = interfaces.iter().any(|one| one.name == device && one.mac == mac);
        let lost = peers.iter().any(|reach| reach.is_lossy());
        if peers.is_empty() || !own && (peers.len() < 2 || !lost) {
            continue;
        }
        let names: Vec<_> = peers.iter().map(|reach| view.name_of_peer(reach.peer)).collect();
        let mut all: Vec<_> = names.iter().map(ToString::to_string).collect();
        all.extend(own.then(|| format!("{} (this node)", host.name)));
        let summary = format!("{} have the same MAC address {mac}", all.join(" and "));
        let shown = |entry: &&Neighbour| format!("{} dev {device} lladdr {mac}", entry.addr);
        let shown = entries.iter().map(shown).collect::<Vec<_>>().join("; ");
        let subject = Subject::Node(if own { host.name.clone() } else { names[0].clone() });
        let finding = out.report(subject, summary, Evidence::value(neighbours, shown));
        for name in &names {
            finding.also_affects(Subject::Node(name.clone()));
        }
        if own {
            finding.with(Evidence::value(interfaces, format!("{device}: {mac}")));
        } else {
            finding.confidence(Confidence::Medium);
        }
        finding.remedy(Remedy {
            title: format!("Give one of {} a unique MAC address", all.join(", ")).into(),
            risk: Risk::Manual,
            impact: "the host that is changed loses its connections for a moment".into(),
            steps: vec![Step::Manual {
                node: names[0].clone().into(),
                text: "change the MAC address of the clone in the hypervisor's settings; the command lists the addresses of \
                       this host"
                    .into(),
                commands: vec!["ip -brief link".into()],
            }],
        });
    }
    Ok(())
}
