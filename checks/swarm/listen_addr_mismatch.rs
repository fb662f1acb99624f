use crate::remedies::rejoin::join_target;
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use std::net::SocketAddr;

check! {
    /// A manager listens on another address or port than the one that it advertises.
    ///
    /// ## Why it matters
    /// A manager accepts connections on `--listen-addr`, and the other nodes connect to `--advertise-addr`. With
    /// `--listen-addr 127.0.0.1` the manager itself works, and every join through it fails with "connection refused".
    ///
    /// ## How to fix it
    /// On the only manager: force a new cluster with `--listen-addr 0.0.0.0:2377`, which keeps the services. With other
    /// managers: demote it, leave, and join again.
    ///
    /// ## When it is wrong
    /// When a proxy on this host forwards the advertised port to the other one.
    ///
    /// Source: moby `daemon/cluster/listen_addr.go`; Docker docs "swarm init, --listen-addr".
    "swarm/listen-addr-mismatch": Error, "a manager does not listen on its advertised address";
    healthy "the manager listens on its advertised address";
    needs Info, SwarmState, Interfaces, Nodes;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let state = host.swarm_state.get()?;
    let Some(written) = &state.value else { return Ok(()) };
    let (Ok(listen), Ok(advertised)) =
        (written.listen_addr.parse::<SocketAddr>(), written.advertise_addr.parse::<SocketAddr>())
    else {
        return Ok(());
    };
    let other_address = !listen.ip().is_unspecified() && listen.ip() != advertised.ip();
    let other_port = listen.port() != advertised.port();
    if (!other_address && !other_port) || advertised.ip().is_loopback() {
        return Ok(());
    }
    let info = host.info.get()?;
    let interfaces = host.interfaces.get()?;
    // Behind NAT the two always differ.
    let own = interfaces.iter().any(|interface| interface.holds(advertised.ip()));
    if !info.swarm.control_available || !own {
        return Ok(());
    }
    let summary =
        format!("this manager listens only on {listen} and advertises {advertised}, where nothing listens");
    let finding = out.report(
        Subject::Node(host.name.clone()),
        summary,
        Evidence::value(state, format!("ListenAddr: {listen}, AdvertiseAddr: {advertised}")),
    );
    if !listen.ip().is_loopback() {
        finding.confidence(Confidence::Medium);
    }
    let only = info.swarm.managers.len() <= 1;
    let through =
        join_target(&host.name, view).map_or_else(|| "MANAGER:2377".to_owned(), |addr| addr.to_string());
    let (impact, commands) = if only {
        (
            "The swarm keeps its services and secrets. The other nodes reconnect.",
            vec![format!(
                "docker swarm init --force-new-cluster --listen-addr 0.0.0.0:{} --advertise-addr {}",
                advertised.port(),
                shell_quote(&advertised.ip().to_string())
            )],
        )
    } else {
        (
            "The node gets a new node ID. The other managers need a quorum without it.",
            vec![
                format!("docker node demote {}", shell_quote(host.name.as_str())),
                "docker swarm leave".into(),
                format!(
                    "docker swarm join --listen-addr 0.0.0.0:2377 --advertise-addr {} --token TOKEN {}",
                    shell_quote(&advertised.ip().to_string()),
                    through
                ),
            ],
        )
    };
    finding.remedy(Remedy {
        title: format!("Make manager {} listen on all addresses", host.name).into(),
        risk: Risk::Disruptive,
        impact: impact.into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text:
                "the listen address is set when a node creates or joins a swarm, and cannot be changed later"
                    .into(),
            commands,
        }],
    });
    Ok(())
}
