use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::Host;

check! {
    /// The address of the manager to join is an address of this host.
    ///
    /// ## Why it matters
    /// The join does not reach a manager. The address in the command is the address of a manager, not of the joining host; the
    /// latter is `--advertise-addr`.
    ///
    /// ## How to fix it
    /// Give the address of a manager. `docker swarm join-token worker` prints the whole command there.
    ///
    /// ## When it is wrong
    /// When the address moves between hosts, as with keepalived, and this host has it at present. A join to such an address is
    /// not reliable.
    ///
    /// Source: moby `daemon/cluster/swarm.go` (`Join`).
    "join/own-address": Error, "the address of the manager to join is an address of this host";
    healthy "the address of the manager to join belongs to another host";
    needs Join, Interfaces;
    caused_by "join/already-a-member";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let join = host.join.get()?;
    let addr = super::manager(join)?.addr.ip();
    let interfaces = host.interfaces.get()?;
    let holder = interfaces.iter().find(|it| it.addresses.iter().any(|own| own.addr == addr));
    let Some(interface) = holder else { return Ok(()) };
    let summary = format!("{} is an address of this host, not of a manager to join", join.target);
    let shown = format!("{addr} is on {}", interface.name);
    out.report(Subject::Node(host.name.clone()), summary, Evidence::value(interfaces, shown)).remedy(
        Remedy {
            title: "Join through a manager of the swarm".into(),
            risk: Risk::Safe,
            impact: "Running tasks are not affected.".into(),
            steps: vec![Step::Manual {
                node: Target::Described("a manager of the swarm"),
                text: "print the join command with its address".into(),
                commands: vec!["docker swarm join-token worker".into()],
            }],
        },
    );
    Ok(())
}
