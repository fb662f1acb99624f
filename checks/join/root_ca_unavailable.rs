use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Target, View};
use facts::Host;
use facts::join::RootCa;

check! {
    /// The manager does not return the root CA of its swarm.
    ///
    /// ## Why it matters
    /// A join starts with this request and fails without an answer: "failed to retrieve remote root CA certificate". A locked
    /// manager, or a proxy in its place, does not answer.
    ///
    /// ## How to fix it
    /// Run swarm-doctor on the manager first, or join through another manager.
    ///
    /// ## When it is wrong
    /// During an election, which takes seconds.
    ///
    /// Source: swarmkit `ca/certificates.go` (`GetRemoteCA`), `ca/server.go`.
    "join/root-ca-unavailable": Error, "the manager does not return its root CA";
    healthy "the manager returns its root CA";
    needs Join;
    caused_by "join/not-a-manager", "join/already-a-member";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let join = host.join.get()?;
    let RootCa::Unavailable { what } = &super::tls_answer(join)?.root_ca else { return Ok(()) };
    let address = super::manager(join)?.addr.ip().to_string();
    let summary = format!("the manager at {} does not return its root CA: {what}", join.target);
    out.report(super::link(host, join), summary, Evidence::value(join, what))
        .confidence(Confidence::Medium)
        .remedy(Remedy {
            title: format!("Run swarm-doctor on the manager {}", join.target).into(),
            risk: Risk::Safe,
            impact: "Running tasks are not affected.".into(),
            steps: vec![Step::Manual {
                node: Target::Peer(address),
                text: "check whether its swarm has a leader".into(),
                commands: vec!["sudo swarm-doctor run".into(), "docker node ls".into()],
            }],
        });
    Ok(())
}
