use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;

check! {
    /// The manager that is to be joined is this very machine.
    ///
    /// ## Why it matters
    /// The join goes to nobody. The address in the command is that of a manager, not that of the machine that
    /// joins; the latter is what `--advertise-addr` is for.
    ///
    /// ## How to fix it
    /// Name a manager. `docker swarm join-token worker` on it prints the whole command.
    ///
    /// ## When it is wrong
    /// Where an address is held by two machines, as by keepalived, and this one has it for the moment: then a join
    /// by that address is not to be relied on either.
    "join/own-address": Error, "the manager to join is this machine itself";
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
    let summary = format!("{} is an address of this machine, and not of a manager to join", join.target);
    let shown = format!("{addr} is on {}", interface.name);
    out.report(Subject::Node(host.name.clone()), summary, Evidence::value(interfaces, shown)).remedy(
        Remedy {
            title: "Name a manager of the swarm".into(),
            risk: Risk::Safe,
            impact: "nothing that runs is touched".into(),
            steps: vec![Step::Manual {
                node: "a manager of the swarm".into(),
                text: "print the command with its address".into(),
                commands: vec!["docker swarm join-token worker".into()],
            }],
        },
    );
    Ok(())
}
