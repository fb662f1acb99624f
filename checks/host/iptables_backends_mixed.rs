use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::Host;
use facts::firewall::{Chain, Family, Table};
use facts::swarm::LocalState;

check! {
    /// The rules of Docker are in both iptables backends, legacy and nft.
    ///
    /// ## Why it matters
    /// After the default iptables backend is changed (`update-alternatives`, an upgrade of the distribution), the engine creates its rules in the
    /// new backend, and the old ones stay until a reboot. The kernel evaluates both: stale rules redirect published ports to
    /// addresses that do not exist any more, and stale DROP rules isolate new networks. `iptables -L` shows only one of the two.
    ///
    /// ## How to fix it
    /// Keep one backend, flush the tables of the other one, and restart the engine; or reboot.
    ///
    /// ## When it is wrong
    /// When a second engine on this host uses the other backend.
    ///
    /// Source: iptables-nft(8), netfilter wiki "Legacy xtables tooling"; moby#46636.
    "host/iptables-backends-mixed": Warning, "the rules of Docker are in both iptables backends";
    healthy "the rules of Docker are in one iptables backend";
    needs Firewall, Info;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let firewall = host.firewall.get()?;
    let of_docker = |chain: &&Chain| chain.name.starts_with("DOCKER") && !chain.rules.is_empty();
    let chains = |legacy: bool| -> Vec<String> {
        let tables = firewall
            .tables
            .iter()
            .filter(|table: &&Table| table.legacy == legacy && table.family == Family::Ip);
        let named = tables.flat_map(|table| {
            table.chains.iter().filter(of_docker).map(move |chain| format!("{} {}", table.name, chain.name))
        });
        named.collect()
    };
    let (legacy, nft) = (chains(true), chains(false));
    if legacy.is_empty() || nft.is_empty() || host.info.get()?.swarm.state == LocalState::Inactive {
        return Ok(());
    }
    let summary = format!(
        "the rules of Docker on {} are in both iptables backends: {} chains in legacy, {} in nft",
        host.name,
        legacy.len(),
        nft.len()
    );
    let shown = |backend: &str, chains: &[String]| {
        Evidence::value(firewall, format!("{backend}: {}", chains.join(", ")))
    };
    out.report(Subject::Node(host.name.clone()), summary, shown("iptables-legacy", &legacy))
        .with(shown("iptables-nft", &nft))
        .severity(Severity::Warning)
        .remedy(Remedy {
            title: format!("Remove the stale iptables rules on {}", host.name).into(),
            risk: Risk::Manual,
            impact: "Published ports and containers are cut off until the engine has restarted. All tasks on this node restart.".into(),
            steps: vec![
                Step::Manual {
                    node: host.name.clone().into(),
                    text: "find the backend that is in use, save the rules of the other one, and flush them".into(),
                    commands: vec![
                        "iptables -V".into(),
                        "iptables-legacy-save > /root/iptables-legacy.rules".into(),
                        "iptables-nft-save > /root/iptables-nft.rules".into(),
                        "iptables-legacy -F; iptables-legacy -t nat -F; iptables-legacy -X; iptables-legacy -t nat -X".into(),
                    ],
                },
                Step::RestartEngine { node: host.name.clone().into() },
            ],
        });
    Ok(())
}
