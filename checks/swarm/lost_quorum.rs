use crate::model::managers::Managers;
use crate::remedies::init_flags::init_flags;
use crate::{Confidence, Evidence, Finding, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::{Gap, Host, Why};

check! {
    /// The swarm has no leader: no majority of its managers is reachable.
    ///
    /// ## Why it matters
    /// Containers keep running where they are, and nothing can be changed or rescheduled. Every command that reads or writes
    /// cluster state fails with "context deadline exceeded" or "does not have a leader", at first after 20 s.
    ///
    /// ## How to fix it
    /// Restore enough of the old managers: their hosts, engines, disks and clocks, and port 2377 between them. Only if they
    /// are permanently lost, run `docker swarm init --force-new-cluster` on one surviving manager, the one with the newest
    /// state, and never on two. With autolock enabled Docker refuses that command ("Swarm is encrypted") and leaves the
    /// engine in no swarm until it is started and unlocked again; only the old managers help then. After the end of a
    /// network partition, an election may take two minutes.
    ///
    /// ## When it is wrong
    /// During an election, which takes seconds, and up to two minutes after a network partition.
    ///
    /// Source: swarmkit `manager/state/raft/raft.go`; moby#34384.
    "swarm/lost-quorum": Error, "the swarm has no leader";
    healthy "the swarm has a leader";
    needs Ping, Info, Nodes, Probes, Networks, SwarmState, Certificates;
    caused_by "engine/containerd-unresponsive", "engine/file-limit-reached", "network/no-route",
        "network/permanent-neighbour-entry", "network/duplicate-mac", "host/firewall-drops-swarm",
        "swarm/certificate-expired", "swarm/local-advertise-addr", "swarm/stale-advertise-addr",
        "network/manager-port-blocked";
    for each Host: run
}

fn leaderless(message: &str) -> bool {
    // Engines up to 17.05 use the second form.
    message.contains("does not have a leader") || message.contains("no elected cluster leader")
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    if let Ok(info) = host.info.get()
        && leaderless(&info.swarm.error)
    {
        report(host, Evidence::value(info, format!("Swarm.Error: {}", info.swarm.error)), out);
        return Ok(());
    }
    let Err(gap) = view.snapshot.nodes.get() else { return Ok(()) };
    match &gap.why {
        Why::Refused { what, .. } if leaderless(what) => report(host, Evidence::gap(&gap), out),
        // In the first minute requests hang or time out: moby waits 20 s for the managers.
        Why::Refused { what, .. } if what.contains("deadline exceeded") => {
            report(host, Evidence::gap(&gap), out).confidence(Confidence::Medium)
        }
        // An engine that answers no ping hangs altogether, and a worker has no node list: both are other findings.
        Why::TimedOut { .. } if host.ping.get().is_ok() && host.certified_manager()? => {
            report(host, Evidence::gap(&gap), out).confidence(Confidence::Medium)
        }
        Why::NotApplicable { .. } => return from_worker(host, gap, out),
        _ => return Err(gap),
    };
    Ok(())
}

/// A worker's engine does not report that the managers have no leader. The worker sees that most managers are unreachable
/// while another answers, so it is not the worker that is cut off.
fn from_worker(host: &Host, gap: Gap, out: &mut Findings<'_>) -> Judged {
    let managers = Managers::seen_from(host, 0)?;
    if managers.present() == 0 || managers.present() >= managers.needed() {
        return Err(gap);
    }
    let first = Evidence::value(host.probes.get()?, managers.states());
    let summary = format!("the managers have no quorum: {}", managers.count());
    out.report(Subject::Cluster, summary, first)
        .confidence(Confidence::Medium)
        .remedy(restore(&managers, None));
    Ok(())
}

/// Restores the unreachable managers. Where too few hosts are up for a quorum, a new cluster on `own` is the last step; where
/// enough are up, a new cluster would split the swarm.
fn restore(managers: &Managers, own: Option<&Host>) -> Remedy {
    let mut steps = Vec::new();
    for manager in managers.silent() {
        let (text, commands) = manager.standing.advice();
        steps.push(Step::Manual {
            node: Target::Peer(manager.label.to_string()),
            text: text.into(),
            commands: commands.iter().map(|command| (*command).into()).collect(),
        });
    }
    if managers.present() + managers.recoverable() >= managers.needed() {
        return Remedy {
            title: "Restore the unreachable managers".into(),
            risk: Risk::Manual,
            impact: "Running tasks are not affected. A majority of the hosts is up, so the swarm elects a leader once their \
                     engines answer; a new cluster would leave two swarms."
                .into(),
            steps,
        };
    }
    let node = own.map_or(Target::RemainingManager, |host| Target::Node(host.name.clone()));
    let lost = managers.silent().map(|manager| manager.label.to_string()).collect();
    let flags = own.map(init_flags).unwrap_or_default();
    steps.push(Step::ForceNewCluster { node, lost, flags });
    Remedy {
        title: "Restore the unreachable managers".into(),
        risk: Risk::Destructive,
        impact: "Restoring managers does not affect running tasks. --force-new-cluster permanently removes the other managers."
            .into(),
        steps,
    }
}

/// For a manager that sees no leader although enough managers accept connections.
fn run_on_another_manager(host: &Host) -> Remedy {
    Remedy {
        title: "Run swarm-doctor on another manager".into(),
        risk: Risk::Manual,
        impact: "Running tasks are not affected.".into(),
        steps: vec![
            Step::Manual {
                node: Target::OtherManager,
                text: "check whether it sees a leader; if it does, it cannot reach 2377/tcp here; if not, an engine hangs or \
                       an election is in progress, which takes up to two minutes"
                    .into(),
                commands: vec!["sudo swarm-doctor run".into()],
            },
            Step::Manual {
                node: host.name.clone().into(),
                text: "check that the firewall of this host allows 2377/tcp from the other managers".into(),
                commands: vec!["nft list ruleset".into(), "iptables -S INPUT".into()],
            },
        ],
    }
}

fn report<'f>(host: &Host, first: Evidence, out: &'f mut Findings<'_>) -> &'f mut Finding {
    let managers = Managers::seen_from(host, 1);
    let enough = managers.as_ref().is_ok_and(|managers| managers.present() >= managers.needed());
    let (subject, summary) = match &managers {
        Ok(managers) if enough => {
            let others = managers.present().saturating_sub(1);
            let all = match managers.known() {
                1 => "and it is the only manager".to_owned(),
                _ => format!(
                    "although {others} of the {} other managers accept connections",
                    managers.known() - 1
                ),
            };
            (Subject::Node(host.name.clone()), format!("this manager sees no leader, {all}"))
        }
        Ok(managers) => (Subject::Cluster, format!("the managers have no leader: {}", managers.count())),
        Err(_) => (Subject::Cluster, "the managers have no leader".to_owned()),
    };
    let finding = out.report(subject, summary, first);
    if let (Ok(managers), Ok(probes)) = (&managers, host.probes.get()) {
        finding.with(Evidence::value(probes, managers.states()));
        // A new cluster has to start from the surviving manager with the newest log.
        if let Ok(log) = host.raft_log.get()
            && let Some(end) = &log.value
        {
            finding.with(Evidence::value(log, format!("the raft log of {} ends with {end}", host.name)));
        }
        if enough {
            finding.confidence(Confidence::Medium).remedy(run_on_another_manager(host));
        } else {
            finding.remedy(restore(managers, Some(host)));
        }
    }
    finding
}
