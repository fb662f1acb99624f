use super::managers::Managers;
use super::refounding::told_before;
use crate::{Confidence, Evidence, Finding, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::{Gap, Host, Why};

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
    /// manager, the one with the newest state, and never on two. Where managers start locked, Docker refuses
    /// that ("Swarm is encrypted") and leaves the engine in no swarm until it is started and unlocked again:
    /// only the old managers help there. After a cut heals, an election may take two minutes.
    ///
    /// ## When it is wrong
    /// During an election, which takes seconds, and up to two minutes when a manager comes back after a cut.
    ///
    /// Source: swarmkit `manager/state/raft/raft.go`; moby#34384.
    "swarm/lost-quorum": Error, "the swarm has no leader";
    needs Ping, Info, Nodes, Probes, Networks, SwarmState, Certificates;
    caused_by "engine/containerd-unresponsive", "engine/file-limit-reached", "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "host/firewall-drops-swarm", "swarm/certificate-expired", "swarm/local-advertise-addr", "swarm/stale-advertise-addr", "network/manager-port-blocked";
    for each Host: run
}

fn leaderless(message: &str) -> bool {
    // The second form is that of engines up to 17.05.
    message.contains("does not have a leader") || message.contains("no elected cluster leader")
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    if let Ok(info) = host.info.get()
        && leaderless(&info.swarm.error)
    {
        say(host, Evidence::value(info, format!("Swarm.Error: {}", info.swarm.error)), out);
        return Ok(());
    }
    let Err(gap) = view.snapshot.nodes.get() else { return Ok(()) };
    match &gap.why {
        Why::Refused { what, .. } if leaderless(what) => say(host, Evidence::gap(&gap), out),
        // In the first minute the requests hang or end so: moby gives a request to the swarm 20 s.
        Why::Refused { what, .. } if what.contains("deadline exceeded") => {
            say(host, Evidence::gap(&gap), out).confidence(Confidence::Medium)
        }
        // An engine that hangs altogether is another ailment, and so is a worker's that answers nothing but a ping.
        Why::TimedOut { .. } if host.ping.get().is_ok() && host.certified_manager()? => {
            say(host, Evidence::gap(&gap), out).confidence(Confidence::Medium)
        }
        Why::NotApplicable { .. } => return from_below(host, gap, out),
        _ => return Err(gap),
    };
    Ok(())
}

/// A worker's engine does not say that the managers have no leader. What it can see is that most of them are silent
/// while another answers, so that it is not this node that is cut off.
fn from_below(host: &Host, gap: Gap, out: &mut Findings<'_>) -> Judged {
    let managers = Managers::seen_from(host, 0)?;
    if managers.present() == 0 || managers.present() >= managers.needed() {
        return Err(gap);
    }
    let first = Evidence::value(host.probes.get()?, managers.shown());
    let summary = format!("the managers can have no leader: {}", managers.count());
    out.report(Subject::Cluster, summary, first)
        .confidence(Confidence::Medium)
        .remedy(bring_back(&managers, None));
    Ok(())
}

/// What to do, with the last resort on `own`, where this node is a manager. It is offered only while too few
/// managers answer: where enough do, there may well be a leader, and a second one would split the swarm.
fn bring_back(managers: &Managers, own: Option<&Host>) -> Remedy {
    let mut steps = Vec::new();
    for manager in managers.silent() {
        let (text, commands) = manager.standing.advice();
        steps.push(Step::Manual {
            node: manager.label.as_str().into(),
            text: text.into(),
            commands: commands.iter().map(|command| (*command).into()).collect(),
        });
    }
    if managers.present() + managers.within_reach() >= managers.needed() {
        return Remedy {
            title: "Bring the silent managers back".into(),
            risk: Risk::Manual,
            impact: "none: the machines of a majority are there, so the swarm has its leader back once their engines \
                     answer; a new cluster would leave two swarms"
                .into(),
            steps,
        };
    }
    let node = own.map_or_else(|| "one manager that is left".into(), |host| host.name.clone());
    let lost = managers.silent().map(|manager| manager.label.to_string()).collect();
    let told = own.map(told_before).unwrap_or_default();
    steps.push(Step::ForceNewCluster { node, lost, told });
    Remedy {
        title: "Bring the silent managers back".into(),
        risk: Risk::Destructive,
        impact: "none while managers come back; --force-new-cluster forgets the other managers for ever"
            .into(),
        steps,
    }
}

/// What to do where enough managers take connections, and this one sees no leader all the same.
fn look_from_another(host: &Host) -> Remedy {
    Remedy {
        title: "ArtifactStatus from another manager".into(),
        risk: Risk::Manual,
        impact: "looking changes nothing".into(),
        steps: vec![
            Step::Manual {
                node: "another manager".into(),
                text: "see whether it has a leader; if so, it cannot reach 2377/tcp here, and if not, an engine is \
                       frozen or an election goes on, which takes up to two minutes"
                    .into(),
                commands: vec!["swarm-doctor run".into()],
            },
            Step::Manual {
                node: host.name.clone(),
                text: "see whether this machine's firewall lets the other managers in on 2377/tcp".into(),
                commands: vec!["nft list ruleset".into(), "iptables -S INPUT".into()],
            },
        ],
    }
}

fn say<'f>(host: &Host, first: Evidence, out: &'f mut Findings<'_>) -> &'f mut Finding {
    let managers = Managers::seen_from(host, 1);
    let enough = managers.as_ref().is_ok_and(|managers| managers.present() >= managers.needed());
    let (subject, summary) = match &managers {
        Ok(managers) if enough => {
            let others = managers.present() - 1;
            let all = match managers.known() {
                1 => "and it is the only one".to_owned(),
                _ => format!("though {others} of the {} others take connections", managers.known() - 1),
            };
            (Subject::Node(host.name.clone()), format!("this manager sees no leader, {all}"))
        }
        Ok(managers) => (Subject::Cluster, format!("the managers have no leader: {}", managers.count())),
        Err(_) => (Subject::Cluster, "the managers have no leader".to_owned()),
    };
    let finding = out.report(subject, summary, first);
    if let (Ok(managers), Ok(probes)) = (&managers, host.probes.get()) {
        finding.with(Evidence::value(probes, managers.shown()));
        // Of the managers that are left, the one with the newest log is the one to go on with.
        if let Ok(log) = host.raft_log.get()
            && let Some(end) = &log.value
        {
            finding.with(Evidence::value(log, format!("the raft log of {} ends with {end}", host.name)));
        }
        if enough {
            finding.confidence(Confidence::Medium).remedy(look_from_another(host));
        } else {
            finding.remedy(bring_back(managers, Some(host)));
        }
    }
    finding
}
