use crate::way_in::{proof, said, story};
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::swarm::LocalState;
use facts::way_in::{Step as Came, WayIn};
use facts::{Gap, Host, Why};

check! {
    /// The node began to join the swarm, and did not come to the end.
    ///
    /// ## Why it matters
    /// A node comes into the swarm in steps: a certificate, a manager to talk to, the keys of gossip, gossip itself,
    /// the ingress network. Where one does not come, those behind it do not either: without gossip a worker has no
    /// ingress network, though it is Ready in `docker node ls`.
    ///
    /// ## How to fix it
    /// Before the certificate: 2377/tcp of the manager, or the token. Between certificate and gossip: let the node
    /// leave and join again, as it was not given the keys. At gossip: whatever holds 7946, or the address to
    /// advertise.
    ///
    /// ## When it is wrong
    /// When the log was copied in the very second of a join.
    ///
    /// Source: moby `daemon/cluster/noderunner.go`, `libnetwork/agent.go`; swarmkit `node/node.go`.
    "swarm/join-stalled": Error, "the node did not come to the end of its join";
    needs Info, EngineLog;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "host/disk-full", "swarm/state-damaged", "host/firewall-drops-swarm", "swarm/certificate-expired", "swarm/local-advertise-addr", "swarm/stale-advertise-addr",
        "swarm/autolock-locked", "swarm/lost-quorum", "network/manager-port-blocked",
        "network/peer-unreachable", "network/port-taken", "network/gossip-port-blocked",
        "swarm/session-failed", "network/gossip-join-failed", "swarm/join-failed",
        "swarm/removed-from-swarm";
    for each Host: run
}

/// How long a step may take before the join counts as stalled.
const STEP_SECONDS: i64 = 60;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get();
    match &info {
        Ok(info) if matches!(info.swarm.state, LocalState::Pending | LocalState::Error) => {}
        Ok(info) => {
            let reason = format!("the node's swarm state is {}", info.swarm.state.as_str());
            return Err(Gap { source: info.source.clone(), why: Why::NotApplicable { reason } });
        }
        // The log of a machine that does not run here is all there is of it.
        Err(gap) if !matches!(gap.why, Why::NotApplicable { .. }) => return Err(gap.clone()),
        Err(_) => {}
    }
    let log = host.log.get()?;
    let Some(join) = WayIn::of(log) else { return Ok(()) };
    let error = info.ok().filter(|info| !info.swarm.error.is_empty());
    if join.missing.is_none() && join.trouble.is_none() {
        return Ok(());
    }
    // An error after the join is another ailment.
    if join.missing.is_none() && error.is_some() {
        return Ok(());
    }
    let words = join.trouble.map(|line| format!(": {}", said(line)));
    let lacks = match join.reached {
        Some((step, _)) if step >= Came::Certified => ", so it has no ingress network",
        _ => "",
    };
    let summary = format!("{}{lacks}{}", story(&join), words.unwrap_or_default());
    let last = join.trouble.or(join.reached.map(|(_, line)| line)).or(join.answered);
    let Some(last) = last else { return Ok(()) };
    let age = |at: facts::Timestamp| view.snapshot.taken.as_second() - at.as_second();
    if join.trouble.is_none() && last.at.is_some_and(|at| age(at) < STEP_SECONDS) {
        return Ok(());
    }
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, last));
    proof(&join, log, finding);
    if let Some(info) = error {
        finding.with(Evidence::value(info, format!("Swarm.Error: {}", info.swarm.error)));
    }
    finding.confidence(Confidence::Medium).remedy(remedy(host, &join));
    Ok(())
}

/// What lets the node come in.
fn remedy(host: &Host, join: &WayIn<'_>) -> Remedy {
    let node = host.name.clone();
    let by_hand = |text: &str, commands: &[&str]| Step::Manual {
        node: node.clone(),
        text: text.to_owned(),
        commands: commands.iter().map(|command| (*command).to_owned()).collect(),
    };
    let first = match join.reached.map(|(step, _)| step) {
        None | Some(Came::Asked | Came::Requested) => by_hand(
            "see that 2377/tcp of the manager can be reached, and take a fresh token from it",
            &["swarm-doctor run", "docker swarm join-token worker"],
        ),
        Some(_) => by_hand(
            "see that nothing else holds 7946, and that the managers' 7946 can be reached",
            &["ss -ltnup 'sport = :7946'", "swarm-doctor run"],
        ),
    };
    Remedy {
        title: "Let the node join again".into(),
        risk: Risk::Disruptive,
        impact: "the tasks of this node end; a manager has to remove the entry that the node leaves behind"
            .into(),
        steps: vec![
            first,
            by_hand(
                "leave, and join again with the command that `docker swarm join-token` prints on a manager",
                &["docker swarm leave", "docker swarm join --token TOKEN MANAGER:2377"],
            ),
        ],
    }
}
