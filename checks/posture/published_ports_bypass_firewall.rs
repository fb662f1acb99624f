use super::advice;
use crate::{Evidence, Findings, Judged, Subject, View};
use facts::Host;
use facts::swarm::LocalState;

check! {
    /// The node has ufw, and services publish ports.
    ///
    /// ## Why it matters
    /// Packets for a published port are redirected before the chain INPUT: rules of ufw do not apply to them, and a port that
    /// ufw denies is open to the Internet.
    ///
    /// ## How to fix it
    /// Filter in the chain DOCKER-USER, by the original port (`--ctorigdstport`), or publish the port in host mode on the
    /// nodes that need it.
    ///
    /// ## When it is wrong
    /// If a firewall in front of the nodes filters.
    ///
    /// Source: Docker docs "Packet filtering and firewalls", section "Docker and ufw".
    "posture/published-ports-bypass-firewall": Info, "published ports bypass ufw and the INPUT chain";
    healthy "no published port bypasses a firewall";
    needs Firewall, Networks, Info;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    if host.info.get()?.swarm.state != LocalState::Active {
        return Ok(());
    }
    let firewall = host.firewall.get()?;
    let networks = host.networks.get()?;
    let ufw =
        firewall.tables.iter().flat_map(|table| &table.chains).find(|chain| chain.name == "ufw-user-input");
    let ports: Vec<String> = networks
        .iter()
        .filter(|network| network.ingress)
        .flat_map(|network| &network.ports)
        .map(|port| format!("{} ({})", port.published, port.service))
        .collect();
    let Some(ufw) = ufw.filter(|_| !ports.is_empty()) else { return Ok(()) };
    let summary = format!("published ports on {} bypass the rules of ufw: {}", host.name, ports.join(", "));
    out.report(Subject::Node(host.name.clone()), summary, Evidence::value(firewall, format!("chain {}", ufw.name)))
        .with(Evidence::value(networks, format!("published: {}", ports.join(", "))))
        .remedy(advice(
            host.name.clone().into(),
            "Filter published ports in DOCKER-USER",
            "add a rule for each port that is not public",
            vec![
                "iptables -I DOCKER-USER -i eth0 -p tcp -m conntrack --ctorigdstport PORT --ctdir ORIGINAL -j DROP".into(),
            ],
        ));
    Ok(())
}
