use crate::remedies::init_flags::init_flags;
use crate::remedies::rejoin::join_target;
use crate::remedies::state_files::root;
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::swarm::{Certificate, LocalState};
use facts::{Host, Seen, Timestamp};

check! {
    /// The certificate that identifies the node in the swarm is expired or not yet valid.
    ///
    /// ## Why it matters
    /// Nodes and managers use mutual TLS. A certificate lasts 90 days by default and expires when the node is off for
    /// longer. Every manager then rejects the node, and the node cannot renew the certificate. `docker node ls` on that
    /// node answers, misleadingly, that it is not a swarm manager. A certificate that is not yet valid means that the clock
    /// of this host is behind, or that the clock of the issuer was ahead.
    ///
    /// ## How to fix it
    /// Check the clock first. Then leave with `docker swarm leave --force`, join again with a fresh token, and remove the
    /// old entry on a manager. The only manager of a swarm accepts and renews its expired certificate with
    /// `docker swarm init --force-new-cluster`. Its engine refuses that command ("This node is not a swarm manager") until
    /// it was started without `swarm/docker-state.json`.
    ///
    /// ## When it is wrong
    /// Never, as long as the clock of this host is right.
    ///
    /// Source: moby#42660, swarmkit `ca/certificates.go`, moby `daemon/cluster/swarm.go` (`Init`).
    "swarm/certificate-expired": Error, "the node certificate is expired or not yet valid";
    healthy "the node certificate and the root CA certificate are valid";
    needs Certificates, Info, SwarmState, Nodes;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let read = [("node", host.certificate.get()), ("root CA", host.root_certificate.get())];
    let (mut gap, mut found) = (None, false);
    for (name, certificate) in read {
        match certificate {
            // A wrong clock affects both certificates; one finding is enough.
            Ok(seen) => found = found || judge(name, seen, view, host, out),
            Err(why) => gap = Some(why),
        }
    }
    let Some(gap) = gap else { return Ok(()) };
    // Only root can read the files. The engine reports to every user why its swarm component does not run.
    let info = host.info.get()?;
    let error = &info.swarm.error;
    if error.contains("not valid after") || error.contains("not valid before") {
        let summary = "the swarm component does not run: the node certificate is expired or not yet valid";
        out.report(subject(host), summary, Evidence::value(info, format!("Swarm.Error: {error}")))
            .remedy(if error.contains("not valid before") { set_clock(host) } else { renew(host, view) });
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
        format!("the {name} certificate expired at {}", minute(certificate.not_after))
    } else if certificate.not_before > now {
        format!("the {name} certificate is not valid before {}", minute(certificate.not_before))
    } else {
        return false;
    };
    let shown = format!(
        "valid from {} to {}; the clock of this host shows {}",
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
        _ if certificate.not_before > now => set_clock(host),
        "root CA" => rotate(host),
        _ => renew(host, view),
    });
    true
}

fn subject(host: &Host) -> Subject {
    Subject::Node(host.name.clone())
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// For a certificate that is not valid yet by this clock.
fn set_clock(host: &Host) -> Remedy {
    let node = host.name.clone();
    Remedy {
        title: format!("Set the clock of {node}").into(),
        risk: Risk::Disruptive,
        impact: format!("dockerd restarts, and all tasks on {node} with it.").into(),
        steps: vec![
            Step::Manual {
                node: node.clone().into(),
                text: "compare the clock with the clock of another node, and set it".into(),
                commands: vec!["date --utc".into(), "timedatectl".into()],
            },
            Step::RestartEngine { node: node.into() },
        ],
    }
}

/// Without a valid root CA no engine starts its swarm component, and only a running manager can rotate the root CA.
fn rotate(host: &Host) -> Remedy {
    let by_hand = |node: Target, text: &str, command: &str| Step::Manual {
        node,
        text: text.into(),
        commands: vec![command.into()],
    };
    Remedy {
        title: "Check the clock, then rotate the root CA while the old one is valid".into(),
        risk: Risk::Manual,
        impact: "dockerd restarts twice on every node. While the clock is set back, every program there sees a wrong time."
            .into(),
        steps: vec![
            by_hand(
                Target::from(&host.name),
                "compare the clock with the clock of another node; if it is wrong, set it and stop here",
                "date --utc",
            ),
            by_hand(
                Target::EachNode,
                "set the clock back to a day on which the root CA was valid, and restart dockerd",
                "systemctl restart docker",
            ),
            by_hand(Target::AnyManager, "rotate the root CA, and wait until every node has it", "docker swarm ca --rotate"),
            by_hand(Target::EachNode, "set the clock to the present time, and restart dockerd", "systemctl restart docker"),
        ],
    }
}

/// Replaces an expired certificate.
fn renew(host: &Host, view: &View<'_>) -> Remedy {
    let node = host.name.clone();
    let is_manager = host.certified_manager().unwrap_or(false);
    let is_alone = host.remembered_managers.get().is_ok_and(|managers| managers.len() <= 1);
    let unless = "If `date --utc` shows a wrong time, set the clock and restart dockerd instead.";
    if is_manager && is_alone {
        return Remedy {
            title: "Check the clock, then let the only manager renew its certificate".into(),
            risk: Risk::Destructive,
            impact: format!("{unless} The swarm keeps its services and workers; it had no other manager.")
                .into(),
            steps: vec![Step::RenewCertificate {
                node: node.into(),
                root: root(host),
                flags: init_flags(host),
            }],
        };
    }
    // The swarm counts a manager that is cut off until it is demoted.
    let text = if is_manager {
        "demote and remove the old entry of this node, and promote the new entry"
    } else {
        "remove the old entry of this node by its ID"
    };
    let remove_old_entry = Step::Manual {
        node: Target::AnyManager,
        text: text.into(),
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
        title: format!("Check the clock, then rejoin {node} to the swarm").into(),
        risk: if is_manager { Risk::Destructive } else { Risk::Disruptive },
        impact: format!(
            "{unless} The tasks of {node} stop until it has rejoined. It gets a new node ID and loses its labels."
        )
        .into(),
        steps: vec![
            Step::Leave { node: node.clone().into(), force: true },
            Step::Join { through: join_target(&node, view), node: node.into(), advertise: None, manager: false },
            remove_old_entry,
        ],
    }
}
