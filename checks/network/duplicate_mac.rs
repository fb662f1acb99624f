use super::reach::by_peer;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::host::Neighbour;
use std::collections::BTreeMap;

check! {
    /// Two nodes on one network have the same hardware address.
    ///
    /// ## Why it matters
    /// The switch, or the bridge of the hypervisor, sends what is for one of them to whichever was heard last. Both lose
    /// connections at random, and nothing in Docker says so. It is what a copied virtual machine brings along.
    ///
    /// ## How to fix it
    /// Let the hypervisor give the copy a hardware address of its own.
    ///
    /// ## When it is wrong
    /// Where a device answers for several nodes in their place and is no router of this machine's.
    ///
    /// Source: RFC 826; IEEE 802.1D (learning bridges).
    "network/duplicate-mac": Error, "two nodes have the same hardware address";
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
        // A router that stands in for all others, as in clouds, is no copy of them.
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
        all.extend(own.then(|| format!("{} itself", host.name)));
        let summary = format!("{} have one hardware address, {mac}", all.join(" and "));
        let shown = |entry: &&Neighbour| format!("{} dev {device} lladdr {mac}", entry.addr);
        let shown = entries.iter().map(shown).collect::<Vec<_>>().join("; ");
        let subject = Subject::Node(if own { host.name.clone() } else { names[0].clone() });
        let finding = out.report(subject, summary, Evidence::value(neighbours, shown));
        for name in &names {
            finding.also_affects(Subject::Node(name.clone()));
        }
        match own {
            true => finding.with(Evidence::value(interfaces, format!("{device}: {mac}"))),
            false => finding.confidence(Confidence::Medium),
        }
        .remedy(Remedy {
            title: "Give one of them a hardware address of its own".into(),
            risk: Risk::Manual,
            impact: "the machine that is changed loses its connections for a moment".into(),
            steps: vec![Step::Manual {
                node: names[0].clone(),
                text:
                    "in the settings of the virtual machine that is the copy; `cat` shows what the system has"
                        .into(),
                commands: vec!["cat /sys/class/net/*/address".into()],
            }],
        });
    }
    Ok(())
}
