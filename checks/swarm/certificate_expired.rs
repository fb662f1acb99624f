use super::rejoin::demote;
use crate::remedy::word;
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
    /// again with a fresh token; remove the old entry on a manager. The only manager of a swarm starts with an
    /// expired certificate when it is given `docker swarm init --force-new-cluster`, and renews it.
    ///
    /// ## When it is wrong
    /// Never, as long as this machine's clock is right.
    ///
    /// Source: moby#42660, swarmkit `ca/certificates.go`.
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
            .remedy(remedy(host, error.contains("not valid before"), view));
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
        finding.and(Evidence::value(info, format!("Swarm.Error: {}", info.swarm.error)));
    }
    finding.remedy(remedy(host, certificate.not_before > now, view));
    true
}

fn subject(host: &Host) -> Subject {
    Subject::Node(host.name.clone())
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn remedy(host: &Host, early: bool, view: &View<'_>) -> Remedy {
    let node = host.name.clone();
    let clock = Step::ByHand {
        node: node.clone(),
        text: "compare the clock with another node's; where it is wrong, set it right, start the engine again, and that \
               was all"
            .into(),
        commands: vec!["date --utc".into(), "timedatectl".into()],
    };
    if early {
        return Remedy {
            title: "Set the clock right".into(),
            risk: Risk::RestartsTasks,
            impact: "the engine starts, and with it the tasks of this node".into(),
            steps: vec![clock, Step::RestartEngine { node }],
        };
    }
    let is_manager = host.certified_manager().unwrap_or(false);
    let is_alone = host.remembered_managers.get().is_ok_and(|managers| managers.len() <= 1);
    if is_manager && is_alone {
        return Remedy {
            title: "Check the clock, then let the only manager renew its certificate".into(),
            risk: Risk::EndangersQuorum,
            impact: "the swarm goes on with its services and workers; it had no other manager to forget".into(),
            steps: vec![
                clock,
                Step::ByHand {
                    node,
                    text: "after a copy of <data-root>/swarm was taken with the engine stopped: a new cluster of one \
                           starts with the old certificate and renews it"
                        .into(),
                    commands: vec!["docker swarm init --force-new-cluster".into()],
                },
            ],
        };
    }
    let forget = Step::ByHand {
        node: "a manager".into(),
        text: "remove the old entry of this node by its id".into(),
        commands: vec![
            format!("docker node ls --filter name={}", word(node.as_str())),
            "docker node rm OLD-ID".into(),
        ],
    };
    if !is_manager {
        return Remedy {
            title: "Check the clock, then join the swarm anew".into(),
            risk: Risk::RestartsTasks,
            impact: "where `date --utc` shows the clock to be wrong, set it right and start the engine again instead; the \
                     tasks of this node stop until it has joined, it gets a new id, and its labels have to be given again"
                .into(),
            steps: vec![
                Step::Leave { node: node.clone(), force: true },
                Step::Join { node, advertise: None, manager: false },
                forget,
            ],
        };
    }
    let steps = vec![
        clock,
        demote(&node, view),
        Step::ByHand {
            node: node.clone(),
            text: "leave, then join with the command that a manager prints for `docker swarm join-token manager`".into(),
            commands: vec!["docker swarm leave --force".into()],
        },
        forget,
    ];
    Remedy {
        title: "Check the clock, then join the swarm anew".into(),
        risk: Risk::EndangersQuorum,
        impact: "the tasks of this node stop until it has joined".into(),
        steps,
    }
}
