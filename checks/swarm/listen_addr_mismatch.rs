use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use std::net::SocketAddr;

check! {
    /// A manager listens at another address or port than the one that it tells the others.
    ///
    /// ## Why it matters
    /// `--listen-addr` says where a manager takes connections, `--advertise-addr` where the others look for it. With
    /// `--listen-addr 127.0.0.1` the manager itself works, and every join through it ends in "connection refused".
    ///
    /// ## How to fix it
    /// Found the swarm anew on this manager with `--listen-addr 0.0.0.0:2377`, which keeps its services; with other
    /// managers beside it: demote it, leave, and join again.
    ///
    /// ## When it is wrong
    /// Where a forwarder on this machine leads from the advertised port to the other one.
    ///
    /// Source: moby `daemon/cluster/listen_addr.go`; Docker docs "swarm init, --listen-addr".
    "swarm/listen-addr-mismatch": Error, "a manager does not listen where it is advertised";
    needs Info, SwarmState, Interfaces;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let state = host.swarm_state.get()?;
    let Some(written) = &state.value else { return Ok(()) };
    let (Ok(listen), Ok(told)) =
        (written.listen_addr.parse::<SocketAddr>(), written.advertise_addr.parse::<SocketAddr>())
    else {
        return Ok(());
    };
    let other_address = !listen.ip().is_unspecified() && listen.ip() != told.ip();
    let other_port = listen.port() != told.port();
    if (!other_address && !other_port) || told.ip().is_loopback() {
        return Ok(());
    }
    let info = host.info.get()?;
    let interfaces = host.interfaces.get()?;
    // Behind NAT the two differ for good.
    let own = interfaces.iter().any(|interface| interface.holds(told.ip()));
    if !info.swarm.control_available || !own {
        return Ok(());
    }
    let summary =
        format!("this manager listens at {listen} alone, and tells the others {told}, where nobody listens");
    let finding = out.report(
        Subject::Node(host.name.clone()),
        summary,
        Evidence::value(state, format!("ListenAddr: {listen}, AdvertiseAddr: {told}")),
    );
    if !listen.ip().is_loopback() {
        finding.confidence(Confidence::Medium);
    }
    let only = info.swarm.managers.len() <= 1;
    let (risk, impact, commands) = match only {
        true => (
            Risk::Disruptive,
            "services and secrets stay; the other nodes come back by themselves",
            vec![format!(
                "docker swarm init --force-new-cluster --listen-addr 0.0.0.0:{} --advertise-addr {}",
                told.port(),
                shell_quote(&told.ip().to_string())
            )],
        ),
        false => (
            Risk::Disruptive,
            "the node gets a new identity; the others have to be a majority without it",
            vec![
                format!("docker node demote {}", shell_quote(host.name.as_str())),
                "docker swarm leave".into(),
                format!(
                    "docker swarm join --listen-addr 0.0.0.0:2377 --advertise-addr {} --token TOKEN MANAGER:2377",
                    shell_quote(&told.ip().to_string())
                ),
            ],
        ),
    };
    finding.remedy(Remedy {
        title: "Let the manager listen at every address".into(),
        risk,
        impact: impact.into(),
        steps: vec![Step::Manual {
            node: host.name.clone(),
            text: "the address to listen at is chosen when a node creates or joins a swarm, and cannot be changed later"
                .into(),
            commands,
        }],
    });
    Ok(())
}
