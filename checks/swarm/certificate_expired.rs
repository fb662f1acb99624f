use super::refounding::told_before;
use super::state_cure::root;
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::swarm::{Certificate, LocalState};
use facts::{Host, Seen, Timestamp};

check! {
    /// The certificate with which a node proves that it belongs to the swarm is outside its time.
    ///
    /// ## Why it matters
    /// Nodes and managers speak TLS with both sides shown. A node whose certificate ran out, usually because it
    /// was off for longer than the 90 days a certificate lasts, is refused by every manager and cannot renew it.
    /// `docker node ls` on that node then says, misleadingly, that it is not a swarm manager. A certificate
    /// that is not yet valid means that this machine's clock is behind, or the issuer's was ahead.
    ///
    /// ## How to fix it
    /// See that the clock is right first. Then let the node leave with `docker swarm leave --force` and join
    /// again with a fresh token; remove the old entry on a manager. The only manager of a swarm takes an expired
    /// certificate, and renews it, when it is given `docker swarm init --force-new-cluster`; but its engine
    /// refuses that ("This node is not a swarm manager") until it was started without `swarm/docker-state.json`.
    ///
    /// ## When it is wrong
    /// Never, as long as this machine's clock is right.
    ///
    /// Source: moby#42660, swarmkit `ca/certificates.go`, moby `daemon/cluster/swarm.go` (`Init`).
    "swarm/certificate-expired": Error, "the node's certificate is outside its time";
    needs Certificates, Info, SwarmState;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let read = [("node", host.certificate.get()), ("root", host.root_certificate.get())];
    let (mut gap, mut found) = (None, false);
    for (name, certificate) in read {
        match certificate {
            // A clock that is wrong is so for both; one finding says it.
            Ok(seen) => found = found || judge(name, seen, view, host, out),
            Err(why) => gap = Some(why),
        }
    }
    let Some(gap) = gap else { return Ok(()) };
    // The files are root's alone. The engine tells everyone why its swarm component does not run.
    let info = host.info.get()?;
    let error = &info.swarm.error;
    if error.contains("not valid after") || error.contains("not valid before") {
        let summary = "the swarm component does not run: the node's certificate is outside its time";
        out.report(subject(host), summary, Evidence::value(info, format!("Swarm.Error: {error}")))
            .remedy(if error.contains("not valid before") { wait(host) } else { renew(host) });
        return Ok(());
    }
    match info.swarm.state {
        LocalState::Inactive => Ok(()),
        _ => Err(gap),
    }
}

fn judge(
    name: &str,
    seen: &Seen<Option<Certificate>>,
    view: &View<'_>,
    host: &Host,
    out: &mut Findings<'_>,
) -> bool {
    let Some(certificate) = &seen.value else { return false };
    let now = view.snapshot.taken;
    let summary = if certificate.not_after < now {
        format!("the {name} certificate ran out at {}", minute(certificate.not_after))
    } else if certificate.not_before > now {
        format!("the {name} certificate is not valid before {}", minute(certificate.not_before))
    } else {
        return false;
    };
    let shown = format!(
        "valid from {} to {}; this machine's clock says {}",
        minute(certificate.not_before),
        minute(certificate.not_after),
        minute(now)
    );
    let finding = out.report(subject(host), summary, Evidence::value(seen, shown));
    if let Ok(info) = host.info.get()
        && !info.swarm.error.is_empty()
    {
        finding.with(Evidence::value(info, format!("Swarm.Error: {}", info.swarm.error)));
    }
    finding.remedy(match name {
        _ if certificate.not_before > now => wait(host),
        "root" => rotate(host),
        _ => renew(host),
    });
    true
}

fn subject(host: &Host) -> Subject {
    Subject::Node(host.name.clone())
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// What is not valid yet is so by this clock.
fn wait(host: &Host) -> Remedy {
    let node = host.name.clone();
    Remedy {
        title: "Set the clock right".into(),
        risk: Risk::Disruptive,
        impact: "the engine starts, and with it the tasks of this node".into(),
        steps: vec![
            Step::Manual {
                node: node.clone(),
                text: "compare the clock with another node's, and set it right".into(),
                commands: vec!["date --utc".into(), "timedatectl".into()],
            },
            Step::RestartEngine { node },
        ],
    }
}

/// Without a root that is valid no engine takes up its swarm, and only a manager that has done so makes another root.
fn rotate(host: &Host) -> Remedy {
    let by_hand = |node: &str, text: &str, command: &str| Step::Manual {
        node: node.into(),
        text: text.into(),
        commands: vec![command.into()],
    };
    Remedy {
        title: "Check the clock, then make a new root while the old one is valid".into(),
        risk: Risk::Manual,
        impact: "the engines start again, twice; with the clock set back whatever else runs there sees a wrong time".into(),
        steps: vec![
            by_hand(host.name.as_str(), "compare the clock with another node's; where it is wrong, set it right", "date --utc"),
            by_hand(
                "each node",
                "where it is right, set it back to a day on which the root was valid, and start the engine again",
                "systemctl restart docker",
            ),
            by_hand("a manager", "make a new root, and wait until every node has it", "docker swarm ca --rotate"),
            by_hand("each node", "set the clock right again, and start the engine again", "systemctl restart docker"),
        ],
    }
}

/// A new certificate in the place of one that ran out.
fn renew(host: &Host) -> Remedy {
    let node = host.name.clone();
    let is_manager = host.certified_manager().unwrap_or(false);
    let is_alone = host.remembered_managers.get().is_ok_and(|managers| managers.len() <= 1);
    let unless =
        "where `date --utc` shows the clock to be wrong, set it right and start the engine again instead";
    if is_manager && is_alone {
        return Remedy {
            title: "Check the clock, then let the only manager renew its certificate".into(),
            risk: Risk::Destructive,
            impact: format!(
                "{unless}; the swarm goes on with its services and workers, and had no other manager to forget"
            )
            .into(),
            steps: vec![Step::RenewCertificate { node, root: root(host), told: told_before(host) }],
        };
    }
    // A manager that is out does not learn that it was demoted, and the swarm counts it until it is.
    let forget = Step::Manual {
        node: "a manager".into(),
        text: match is_manager {
            true => "demote and remove the old entry of this node, and promote the new one",
            false => "remove the old entry of this node by its id",
        }
        .into(),
        commands: [
            (true, format!("docker node ls --filter name={}", shell_quote(node.as_str()))),
            (is_manager, "docker node demote OLD-ID".into()),
            (true, "docker node rm OLD-ID".into()),
            (is_manager, "docker node promote NEW-ID".into()),
        ]
        .into_iter()
        .filter_map(|(needed, command)| needed.then_some(command))
        .collect(),
    };
    Remedy {
        title: "Check the clock, then join the swarm anew".into(),
        risk: if is_manager { Risk::Destructive } else { Risk::Disruptive },
        impact: format!(
            "{unless}; the tasks of this node stop until it has joined, it gets a new id, and its labels have to be given \
             again"
        )
        .into(),
        steps: vec![
            Step::Leave { node: node.clone(), force: true },
            Step::Join { node, advertise: None, manager: false },
            forget,
        ],
    }
}
