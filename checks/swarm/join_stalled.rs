use crate::model::join_evidence::{add_evidence, message, progress};
use crate::remedies::rejoin::{join_command, join_target};
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::join_progress::{JoinProgress, Step as JoinStep};
use facts::swarm::LocalState;
use facts::{Gap, Host, Why};

check! {
    /// The node started to join the swarm and did not complete the join.
    ///
    /// ## Why it matters
    /// A node joins in steps: certificate, session with a manager, gossip keys, gossip, ingress network. When a step fails,
    /// the later ones do not happen: without gossip a worker has no ingress network, although `docker node ls` shows it as
    /// Ready.
    ///
    /// ## How to fix it
    /// Before the certificate: check 2377/tcp of the manager, or the token. Between certificate and gossip: leave and join
    /// again, because the node did not receive the gossip keys. At gossip: check which program listens on 7946, or the
    /// advertised address.
    ///
    /// ## When it is wrong
    /// When the log was copied during a join.
    ///
    /// Source: moby `daemon/cluster/noderunner.go`, `libnetwork/agent.go`; swarmkit `node/node.go`.
    "swarm/join-stalled": Error, "the node did not complete its join";
    healthy "the last join of this node completed";
    needs Info, EngineLog, Nodes, SwarmState;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "host/disk-full",
        "swarm/state-damaged", "host/firewall-drops-swarm", "swarm/certificate-expired", "swarm/local-advertise-addr",
        "swarm/stale-advertise-addr", "swarm/autolock-locked", "swarm/lost-quorum", "network/manager-port-blocked",
        "network/peer-unreachable", "network/port-taken", "network/gossip-port-blocked",
        "swarm/session-failed", "network/gossip-join-failed", "swarm/join-failed",
        "swarm/removed-from-swarm";
    for each Host: run
}

/// The time in seconds after which a step counts as stalled.
const STEP_SECONDS: i64 = 60;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get();
    match &info {
        Ok(info) if matches!(info.swarm.state, LocalState::Pending | LocalState::Error) => {}
        Ok(info) => {
            let reason = format!("the node's swarm state is {}", info.swarm.state.as_str());
            return Err(Gap { source: info.source.clone(), why: Why::NotApplicable { reason } });
        }
        // For a copied log there is no engine to ask; the log is all there is.
        Err(gap) if !matches!(gap.why, Why::NotApplicable { .. }) => return Err(gap.clone()),
        Err(_) => {}
    }
    let log = host.log.get()?;
    let Some(join) = JoinProgress::of(log) else { return Ok(()) };
    let error = info.ok().filter(|info| !info.swarm.error.is_empty());
    if join.missing.is_none() && join.error.is_none() {
        return Ok(());
    }
    // An error after a completed join is not a stalled join.
    if join.missing.is_none() && error.is_some() {
        return Ok(());
    }
    let trouble = join.error.map(|line| format!(": {}", message(line)));
    let without = match join.reached {
        Some((step, _)) if step >= JoinStep::CertificateReceived => ", so it has no ingress network",
        _ => "",
    };
    let summary = format!("{}{without}{}", progress(&join), trouble.unwrap_or_default());
    let last = join.error.or(join.reached.map(|(_, line)| line)).or(join.response);
    let Some(last) = last else { return Ok(()) };
    let age = |at: facts::Timestamp| view.snapshot.taken.as_second() - at.as_second();
    if join.error.is_none() && last.at.is_some_and(|at| age(at) < STEP_SECONDS) {
        return Ok(());
    }
    // A step that is absent from the log proves nothing where lines are missing.
    if join.error.is_none() {
        facts::log::Log::gap_since(log, join.reached.and_then(|(_, line)| line.at))?;
    }
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, last));
    add_evidence(&join, log, finding);
    if let Some(info) = error {
        finding.with(Evidence::value(info, format!("Swarm.Error: {}", info.swarm.error)));
    }
    finding.confidence(Confidence::Medium).remedy(remedy(host, &join, view));
    Ok(())
}

fn remedy(host: &Host, join: &JoinProgress<'_>, view: &View<'_>) -> Remedy {
    let node = host.name.clone();
    let by_hand = |text: &str, commands: &[&str]| Step::Manual {
        node: node.clone().into(),
        text: text.to_owned(),
        commands: commands.iter().map(|command| (*command).to_owned()).collect(),
    };
    let first = match join.reached.map(|(step, _)| step) {
        None | Some(JoinStep::Started | JoinStep::CertificateRequested) => by_hand(
            "check that 2377/tcp of the manager is reachable, and print a fresh token there",
            &["sudo swarm-doctor run", "docker swarm join-token worker"],
        ),
        Some(_) => by_hand(
            "check that no other program listens on 7946, and that 7946 of the managers is reachable",
            &["ss -ltnup 'sport = :7946'", "sudo swarm-doctor run"],
        ),
    };
    let join = join_command(None, join_target(&node, view));
    Remedy {
        title: format!("Leave the swarm on {node}, and join again").into(),
        risk: Risk::Disruptive,
        impact: format!("The tasks of {node} end. Its old entry has to be removed on a manager.").into(),
        steps: vec![
            first,
            by_hand(
                "leave, and join with the token that `docker swarm join-token -q worker` prints on a manager",
                &["docker swarm leave", &join],
            ),
        ],
    }
}
