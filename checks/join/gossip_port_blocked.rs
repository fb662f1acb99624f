use crate::network::blocked::story;
use crate::{Evidence, Findings, Judged, View};
use facts::Host;
use facts::link::Outcome;

check! {
    /// The manager takes the join, and its gossip port cannot be reached.
    ///
    /// ## Why it matters
    /// The join succeeds and the node is Ready, and it stays alone: it learns no other node's tasks, no name
    /// resolves and no overlay carries its traffic. Nothing but the log says so.
    ///
    /// ## How to fix it
    /// Open 7946 on TCP and UDP between all nodes, both ways, and 4789/udp with it.
    ///
    /// ## When it is wrong
    /// In the seconds in which the manager's engine starts.
    ///
    /// Source: moby `libnetwork/agent.go`.
    "join/gossip-port-blocked": Error, "the manager's gossip port cannot be reached";
    needs Join;
    caused_by "join/not-a-manager", "join/own-address", "join/already-a-member";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let join = host.join.get()?;
    let manager = super::manager(join)?;
    // Where the manager itself is not reached, that is what matters.
    if manager.port != Outcome::Open || manager.gossip == Outcome::Open {
        return Ok(());
    }
    let summary = format!("7946/tcp of {} is {}", manager.addr.ip(), story(&manager.gossip));
    let shown = format!("{}/tcp {}, 7946/tcp {}", manager.addr.port(), manager.port, manager.gossip);
    out.report(super::way(host, join), summary, Evidence::value(join, shown)).remedy(super::open(
        host,
        manager,
        &manager.gossip,
        7946,
    ));
    Ok(())
}
