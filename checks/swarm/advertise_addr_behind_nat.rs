use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::Host;
use facts::swarm::LocalState;
use std::net::{IpAddr, SocketAddr};

check! {
    /// The node advertises an address of a 1:1 NAT instead of an address of its own.
    ///
    /// ## Why it matters
    /// The other nodes send raft, gossip and VXLAN traffic to the NAT address, and the packets of this node arrive with a
    /// translated source. Encrypted overlay networks do not work, because IPsec uses the advertised addresses. A NAT that does
    /// not forward 7946 and 4789 cuts the node off.
    ///
    /// ## How to fix it
    /// Put the nodes into one network or a VPN such as WireGuard, and join with `--advertise-addr` and an address of it.
    ///
    /// ## When it is wrong
    /// When the NAT forwards all swarm ports in both directions and no overlay network is encrypted.
    ///
    /// Source: moby#30455, moby#30727, moby#37115; moby `daemon/cluster/listen_addr.go`.
    "swarm/advertise-addr-behind-nat": Warning, "the node advertises an address behind NAT";
    healthy "the node advertises an address of one of its interfaces";
    needs Info, SwarmState, Interfaces, Nodes, Networks;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    let Some(advertised) = info.swarm.node_addr.filter(|_| info.swarm.state == LocalState::Active) else {
        return Ok(());
    };
    let state = host.swarm_state.get()?;
    let interfaces = host.interfaces.get()?;
    let holds = |addr: IpAddr| interfaces.iter().any(|interface| interface.holds(addr));
    let local = state.value.as_ref().and_then(|state| address(&state.local_addr));
    let Some(local) = local.filter(|local| *local != advertised && holds(*local)) else { return Ok(()) };
    // NAT does not translate to an address of the host's own network.
    let in_own_network = interfaces.iter().flat_map(|i| &i.addresses).any(|own| own.covers(advertised));
    if holds(advertised) || in_own_network {
        return Ok(());
    }
    // A manager that sees the node's connection come from the address proves that the NAT works. IPsec fails all the same.
    let node = view.node_of(host).ok().flatten();
    let works = node.is_some_and(|node| node.addr == Some(advertised));
    let encrypted =
        host.networks.get().is_ok_and(|networks| networks.iter().any(|network| network.encrypted));
    if works && !encrypted {
        return Ok(());
    }
    let summary = format!(
        "this node advertises {advertised}, which no interface has; its local address is {local}: 1:1 NAT is on the path"
    );
    out.report(
        Subject::Node(host.name.clone()),
        summary,
        Evidence::value(info, format!("Swarm.NodeAddr: {advertised}")),
    )
    .with(Evidence::value(state, format!("LocalAddr: {local}, on an interface")))
    .with(Evidence::absent(interfaces, format!("an interface with {advertised}")))
    .confidence(Confidence::Medium)
    .remedy(Remedy {
        title: "Connect the nodes without NAT, and join with an address of that network".into(),
        risk: Risk::Manual,
        impact: format!("All tasks on {} restart when it joins again.", host.name).into(),
        steps: vec![
            Step::Manual {
                node: Target::Described("another node"),
                text: "check that the NAT forwards 2377/tcp, 7946/tcp, 7946/udp and 4789/udp to this node"
                    .into(),
                commands: vec!["sudo swarm-doctor run --listen 5s".into()],
            },
            Step::Manual {
                node: host.name.clone().into(),
                text: "list the addresses; a network that all nodes share needs no NAT".into(),
                commands: vec!["ip -brief addr".into()],
            },
        ],
    });
    Ok(())
}

fn address(text: &str) -> Option<IpAddr> {
    text.parse::<SocketAddr>().map(|addr| addr.ip()).or_else(|_| text.parse()).ok()
}
