use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, View};
use facts::Host;
use facts::join::Authority;

check! {
    /// The manager does not tell which authority its swarm has.
    ///
    /// ## Why it matters
    /// A join begins with this question, and ends with it: "failed to retrieve remote root CA certificate". A manager
    /// that is locked, or a proxy in its place, gives no answer.
    ///
    /// ## How to fix it
    /// Look at the manager first, or join through another one.
    ///
    /// ## When it is wrong
    /// In the seconds of an election.
    ///
    /// Source: swarmkit `ca/certificates.go` (`GetRemoteCA`), `ca/server.go`.
    "join/root-ca-unavailable": Error, "the manager does not tell its swarm's authority";
    needs Join;
    caused_by "join/not-a-manager", "join/already-a-member";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let join = host.join.get()?;
    let Authority::Untold { what } = &super::spoken(join)?.authority else { return Ok(()) };
    let summary = format!("the manager at {} does not tell its swarm's authority: {what}", join.target);
    out.report(super::way(host, join), summary, Evidence::value(join, what))
        .confidence(Confidence::Medium)
        .remedy(Remedy {
            title: "Look at the manager first".into(),
            risk: Risk::Safe,
            impact: "looking changes nothing".into(),
            steps: vec![Step::Manual {
                node: "the manager that was named".into(),
                text: "see whether its swarm has a leader".into(),
                commands: vec!["swarm-doctor run".into(), "docker node ls".into()],
            }],
        });
    Ok(())
}
