use super::advice;
use crate::{Evidence, Findings, Judged, Subject, Target, View};
use std::net::IpAddr;

check! {
    /// Nodes advertise addresses of the Internet.
    ///
    /// ## Why it matters
    /// 2377, 7946 and 4789 have to be open between the nodes, and overlay packets (VXLAN) have neither authentication nor
    /// encryption: a host that can send UDP to 4789 reaches the containers.
    ///
    /// ## How to fix it
    /// Open the ports for the addresses of the other nodes only, encrypt the overlay networks, or use a private network or
    /// VPN and join with its addresses.
    ///
    /// ## When it is wrong
    /// If a firewall in front of the nodes limits the ports to the nodes.
    ///
    /// Source: Docker docs "Getting started with swarm mode", section "Open protocols and ports between the hosts".
    "posture/public-address": Warning, "the swarm uses public addresses";
    healthy "the nodes advertise private addresses";
    needs Nodes;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let nodes = view.snapshot.nodes.get()?;
    let public: Vec<String> = nodes
        .iter()
        .filter_map(|node| Some((node, node.addr.filter(|addr| is_public(*addr))?)))
        .map(|(node, addr)| format!("{} {addr}", node.name))
        .collect();
    if public.is_empty() {
        return Ok(());
    }
    let summary = format!("{} of {} nodes advertise a public address", public.len(), nodes.len());
    out.report(Subject::Cluster, summary, Evidence::value(nodes, public.join(", "))).remedy(advice(
        Target::EachNode,
        "Limit the swarm ports to the nodes",
        "accept 2377/tcp, 7946/tcp, 7946/udp, 4789/udp and ESP from the addresses of the other nodes only",
        vec![
            "nft add rule inet filter input ip saddr '{ NODE1, NODE2 }' tcp dport '{ 2377, 7946 }' accept"
                .into(),
            "nft add rule inet filter input ip saddr '{ NODE1, NODE2 }' udp dport '{ 7946, 4789 }' accept"
                .into(),
        ],
    ));
    Ok(())
}

pub(super) fn is_public(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => {
            let [first, second, ..] = addr.octets();
            let shared = first == 100 && (64..128).contains(&second);
            !(addr.is_private()
                || addr.is_loopback()
                || addr.is_link_local()
                || addr.is_unspecified()
                || addr.is_documentation()
                || shared)
        }
        IpAddr::V6(addr) => addr.segments()[0] & 0xe000 == 0x2000 && addr.segments()[..2] != [0x2001, 0x0db8],
    }
}
