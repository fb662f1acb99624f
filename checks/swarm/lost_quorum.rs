use crate::{Certainty, Evidence, Finding, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::link::{Attempt, Outcome};
use facts::{Host, Why};

check! {
    /// The swarm has no leader: fewer than a majority of its managers answer.
    ///
    /// ## Why it matters
    /// Containers go on running where they are, and nothing can be changed, moved or healed: every command that
    /// reads or writes cluster state fails, after 20 s at first, with "context deadline exceeded" or "does not
    /// have a leader".
    ///
    /// ## How to fix it
    /// Bring enough of the old managers back: their machines, engines, disks, clocks, and port 2377 between
    /// them. Only when they are gone for good, run `docker swarm init --force-new-cluster` on one surviving
    /// manager, the one with the newest state, and never on two. After a cut heals, an election may take two
    /// minutes.
    ///
    /// ## When it is wrong
    /// During an election, which takes seconds, and up to two minutes when a manager comes back after a cut.
    ///
    /// Source: swarmkit `manager/state/raft/raft.go`; moby#34384.
    "swarm/lost-quorum": Error, "the swarm has no leader";
    needs Info, Nodes, Probes;
    caused_by "swarm/certificate-expired", "swarm/stale-advertise-addr", "network/manager-port-blocked";
    for each Host: run
}

fn leaderless(message: &str) -> bool {
    // The second form is that of engines up to 17.05.
    message.contains("does not have a leader") || message.contains("no elected cluster leader")
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let nodes = view.snapshot.nodes.get();
    if let Ok(info) = host.info.get()
        && leaderless(&info.swarm.error)
    {
        let first = Evidence::value(info, format!("Swarm.Error: {}", info.swarm.error));
        say(host, first, out);
        return Ok(());
    }
    let Err(gap) = nodes else { return Ok(()) };
    match &gap.why {
        Why::Refused { what, .. } if leaderless(what) => {
            say(host, Evidence::gap(&gap), out);
            Ok(())
        }
        // In the first minute the engine does not answer at all, see moby's 20 s limit on swarm requests.
        Why::Refused { what, .. } if what.contains("deadline exceeded") => {
            say(host, Evidence::gap(&gap), out).certainty(Certainty::Likely);
            Ok(())
        }
        _ => Err(gap),
    }
}

fn say<'f>(host: &Host, first: Evidence, out: &'f mut Findings<'_>) -> &'f mut Finding {
    let probes = host.probes.get();
    let mut answering = Vec::new();
    let mut silent = Vec::new();
    for probe in probes.iter().flat_map(|probes| probes.iter()) {
        let Attempt::Connect { port, .. } = probe.attempt else { continue };
        if probe.peer.manager_port == Some(port) {
            let list = if probe.outcome == Outcome::Open { &mut answering } else { &mut silent };
            list.push(probe.peer.label());
        }
    }
    let known = answering.len() + silent.len() + 1;
    let needed = known / 2 + 1;
    let summary = match silent.is_empty() {
        true => "the managers have no leader".to_owned(),
        false => format!(
            "the managers have no leader: {} of {known} answer and {needed} are needed; silent: {}",
            answering.len() + 1,
            silent.join(", ")
        ),
    };
    let node = host.name.clone();
    let election = answering.len() + 1 >= needed && probes.is_ok();
    let finding = out.report(Subject::Cluster, summary, first);
    if let Ok(probes) = &probes {
        let named = |list: &[String]| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
        let shown =
            format!("manager ports that answer: {}; that do not: {}", named(&answering), named(&silent));
        finding.and(Evidence::value(probes, shown));
    }
    if election {
        finding.certainty(Certainty::Likely);
    }
    let mut steps = Vec::new();
    if silent.is_empty() {
        steps.push(Step::ByHand {
            node: node.clone(),
            text: "enough managers answer: wait two minutes for an election, then look again".into(),
            commands: vec!["swarm-doctor run".into()],
        });
    }
    for manager in &silent {
        steps.push(Step::ByHand {
            node: manager.as_str().into(),
            text: "bring this manager back: machine, engine, disk, clock and port 2377".into(),
            commands: vec!["systemctl status docker".into(), "swarm-doctor run".into()],
        });
    }
    steps.push(Step::ByHand {
        node,
        text: "only if those managers are gone for good, and on this one node alone, after a copy of <data-root>/swarm \
               was taken with the engine stopped"
            .into(),
        commands: vec!["docker swarm init --force-new-cluster".into()],
    });
    finding.remedy(Remedy {
        title: "Bring the silent managers back".into(),
        risk: Risk::EndangersQuorum,
        impact: "none while managers come back; --force-new-cluster forgets the other managers for ever"
            .into(),
        steps,
    })
}
