use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::host::Address;
use std::collections::BTreeMap;
use std::net::IpAddr;

check! {
    /// An interface of this machine has the address of another node.
    ///
    /// ## Why it matters
    /// Two machines answer for one address, and whoever asks last gets the one or the other. The node to which it belongs
    /// loses its connections now and then, or to some nodes and not to others; this machine takes what is meant for that
    /// node for its own and never reaches it.
    ///
    /// ## How to fix it
    /// Take the address away from the machine that it does not belong to, and out of its network settings: a copied virtual
    /// machine, a hand-made address, or a floating address that two machines hold.
    ///
    /// ## When it is wrong
    /// Where the other node has gone within the last seconds, and this machine took its address over.
    ///
    /// Source: RFC 5227; moby `libnetwork/networkdb`.
    "network/duplicate-ip": Error, "a machine has the address of another node";
    needs Info, Interfaces, Networks, Nodes;
    caused_by "swarm/duplicate-node-identity", "swarm/local-advertise-addr";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    // What this node goes by is its own; without it, or where it has it no more, it has moved.
    let Some(own) = host.info.get()?.swarm.node_addr else { return Ok(()) };
    let interfaces = host.interfaces.get()?;
    if !interfaces.iter().any(|interface| interface.holds(own)) {
        return Ok(());
    }
    let networks = host.networks.get()?;
    let of_mesh = networks.iter().filter(|network| network.ingress);
    let peers = of_mesh.flat_map(|network| network.peers.iter().flatten());
    let mut others: BTreeMap<IpAddr, &str> = peers.map(|peer| (peer.addr, peer.name.as_str())).collect();
    // Gossip that does not know this node by its own address may have it by another.
    if others.remove(&own).is_none() {
        return Ok(());
    }
    for (addr, gossip_name) in others {
        let held = |Address { addr: held, .. }: &&Address| *held == addr;
        let taken = interfaces.iter().find_map(|one| Some((one, one.addresses.iter().find(held)?)));
        let Some((interface, address)) = taken else { continue };
        let whose = match view.name_of(addr) {
            name if name.as_str() == addr.to_string() => "another node".to_owned(),
            name => name.to_string(),
        };
        let name = &interface.name;
        let summary = format!("{name} of {} has {addr}, which is the address of {whose}", host.name);
        let proof = Evidence::value(interfaces, format!("{name}: {addr}/{}", address.prefix));
        let finding = out.report(Subject::Node(host.name.clone()), summary, proof);
        finding.also_affects(Subject::Node(view.name_of(addr)));
        finding
            .with(Evidence::value(networks, format!("ingress has the peer {gossip_name} at {addr}")))
            .remedy(Remedy {
                title: format!("Take {addr} away from {}", host.name).into(),
                risk: Risk::Manual,
                impact: "connections to that address end".into(),
                steps: vec![Step::Manual {
                    node: host.name.clone(),
                    text: "take it away, and out of the system's network settings".into(),
                    commands: vec![format!("ip address delete {addr}/{} dev {name}", address.prefix)],
                }],
            });
    }
    Ok(())
}
