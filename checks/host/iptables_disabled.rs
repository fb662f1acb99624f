use super::firewall::engine_rules::{RuleBackend, rule_backend};
use super::firewall::forwarding::BRIDGE;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::firewall::{Expr, Ruleset};
use facts::swarm::LocalState;

check! {
    /// The engine of a swarm node is configured not to manage firewall rules (`"iptables": false`).
    ///
    /// ## Why it matters
    /// Published ports, and the traffic of tasks to the outside, use NAT rules that the engine creates. With
    /// `"iptables": false` it creates none: published ports do not answer on this node, and tasks reach nothing outside. The option
    /// is often set because Docker bypasses ufw; rules in DOCKER-USER are the way to filter published ports.
    ///
    /// ## How to fix it
    /// Remove the option from daemon.json or from the arguments of dockerd, and restart the engine.
    ///
    /// ## When it is wrong
    /// When you maintain the NAT rules for docker_gwbridge yourself. Nothing is reported if a rule masquerades outgoing traffic.
    ///
    /// Source: Docker docs "Packet filtering and firewalls", section "Prevent Docker from manipulating firewall rules".
    "host/iptables-disabled": Warning, "the engine is configured not to manage firewall rules";
    healthy "the engine manages its firewall rules";
    needs DaemonJson, EngineProcess, Info, Firewall;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    if info.swarm.state == LocalState::Inactive {
        return Ok(());
    }
    let process = host.engine.get()?;
    let file = host.daemon_json.get()?;
    if rule_backend(host)? != RuleBackend::Disabled {
        return Ok(());
    }
    let firewall = host.firewall.get()?;
    if masquerades(&firewall.value) {
        return Ok(());
    }
    let by_flag = process.running().and_then(|process| process.flag("iptables"));
    let node = || host.name.clone();
    let summary = format!(
        "dockerd on {} runs with iptables disabled, and no rule does NAT for {BRIDGE}: published ports and outgoing \
         traffic of tasks do not work",
        host.name
    );
    let first = match by_flag {
        Some(value) => Evidence::value(process, format!("--iptables={value}")),
        None => Evidence::value(file, "\"iptables\": false"),
    };
    let change = match (by_flag, file.value.as_ref()) {
        (None, Some(file)) => Step::EditJson {
            node: node().into(),
            file: file.path.clone(),
            pointer: "/iptables".into(),
            to: None,
        },
        _ => Step::Manual {
            node: node().into(),
            text: "remove --iptables=false from the arguments of dockerd".into(),
            commands: vec!["systemctl cat docker".into(), "systemctl edit docker".into()],
        },
    };
    out.report(Subject::Node(node()), summary, first)
        .with(Evidence::absent(firewall, "no rule masquerades outgoing traffic"))
        .remedy(Remedy {
            title: format!("Let the engine of {} manage its firewall rules", host.name).into(),
            risk: Risk::Disruptive,
            impact: "All tasks on this node restart.".into(),
            steps: vec![change, Step::RestartEngine { node: node().into() }],
        });
    Ok(())
}

/// Whether any rule changes the source address of outgoing packets.
fn masquerades(rules: &Ruleset) -> bool {
    let chains = rules.tables.iter().flat_map(|table| &table.chains);
    let mut exprs = chains.flat_map(|chain| &chain.rules).flat_map(|rule| &rule.exprs);
    exprs.any(|expr| matches!(expr, Expr::Masquerade { .. }))
}
