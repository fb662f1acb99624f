use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::host::Address;
use std::collections::BTreeMap;
use std::net::IpAddr;

check! {
    /// An interface of this node has the IP address of another node.
    ///
    /// ## Why it matters
    /// Two hosts answer ARP for one address, and each neighbour uses whichever answered last. The node that owns the
    /// address loses connections at random, or to some nodes only. This node takes packets for that node as its own and
    /// never reaches it.
    ///
    /// ## How to fix it
    /// Remove the address from the host that does not own it, and from its network configuration. Usual origins: a cloned
    /// virtual machine, a manually added address, a floating address (VRRP, keepalived) that two hosts hold.
    ///
    /// ## When it is wrong
    /// If the other node left within the last seconds and this node took over its address.
    ///
    /// Source: RFC 5227; moby `libnetwork/networkdb`.
    "network/duplicate-ip": Error, "a node has the IP address of another node";
    healthy "no interface has the IP address of another node";
    needs Info, Interfaces, Networks, Nodes;
    caused_by "swarm/duplicate-node-identity", "swarm/local-advertise-addr";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    // Without an advertised address, or if no interface holds it, the node moved: that is another finding.
    let Some(own) = host.info.get()?.swarm.node_addr else { return Ok(()) };
    let interfaces = host.interfaces.get()?;
    if !interfaces.iter().any(|interface| interface.holds(own)) {
        return Ok(());
    }
    let networks = host.networks.get()?;
    let ingress = networks.iter().filter(|network| network.ingress);
    let peers = ingress.flat_map(|network| network.peers.iter().flatten());
    let mut others: BTreeMap<IpAddr, &str> = peers.map(|peer| (peer.addr, peer.name.as_str())).collect();
    // If gossip does not know this node by its advertised address, it may know it by another one.
    if others.remove(&own).is_none() {
        return Ok(());
    }
    for (addr, gossip_name) in others {
        let held = |Address { addr: held, .. }: &&Address| *held == addr;
        let taken = interfaces.iter().find_map(|one| Some((one, one.addresses.iter().find(held)?)));
        let Some((interface, address)) = taken else { continue };
        let owner = match view.name_of(addr) {
            name if name.as_str() == addr.to_string() => "another node".to_owned(),
            name => name.to_string(),
        };
        let name = &interface.name;
        let summary = format!("{name} of {} has {addr}, the address of {owner}", host.name);
        let proof = Evidence::value(interfaces, format!("{name}: {addr}/{}", address.prefix));
        let finding = out.report(Subject::Node(host.name.clone()), summary, proof);
        finding.also_affects(Subject::Node(view.name_of(addr)));
        finding.with(Evidence::value(networks, format!("ingress: peer {gossip_name} at {addr}"))).remedy(
            Remedy {
                title: format!("Remove {addr} from {name} of {}", host.name).into(),
                risk: Risk::Manual,
                impact: "connections to that address on this node end".into(),
                steps: vec![Step::Manual {
                    node: host.name.clone().into(),
                    text: "remove the address now, and from the network configuration of the system".into(),
                    commands: vec![format!("ip address delete {addr}/{} dev {name}", address.prefix)],
                }],
            },
        );
    }
    Ok(())
}
