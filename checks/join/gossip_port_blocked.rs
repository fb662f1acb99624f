use crate::model::reachability::describe_outcome;
use crate::{Evidence, Findings, Judged, View};
use facts::Host;
use facts::link::Outcome;

check! {
    /// The manager accepts the join, and its gossip port is not reachable.
    ///
    /// ## Why it matters
    /// The join succeeds and the node is Ready, and it stays isolated: it does not learn the tasks of other nodes, service
    /// names do not resolve, and overlay networks carry no traffic. Only the log shows it.
    ///
    /// ## How to fix it
    /// Open 7946/tcp, 7946/udp and 4789/udp between all nodes in both directions.
    ///
    /// ## When it is wrong
    /// In the seconds in which the engine of the manager starts.
    ///
    /// Source: moby `libnetwork/agent.go`.
    "join/gossip-port-blocked": Error, "the manager's gossip port is not reachable";
    healthy "the manager's gossip port is reachable";
    needs Join;
    caused_by "join/not-a-manager", "join/own-address", "join/already-a-member";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let join = host.join.get()?;
    let manager = super::manager(join)?;
    // An unreachable manager port is join/manager-unreachable.
    if manager.port != Outcome::Open || manager.gossip == Outcome::Open {
        return Ok(());
    }
    let summary = format!("7946/tcp of {} is {}", manager.addr.ip(), describe_outcome(&manager.gossip));
    let shown = format!("{}/tcp {}, 7946/tcp {}", manager.addr.port(), manager.port, manager.gossip);
    out.report(super::link(host, join), summary, Evidence::value(join, shown)).remedy(super::open(
        host,
        manager,
        &manager.gossip,
        7946,
    ));
    Ok(())
}
