use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::log::Line;
use facts::swarm::LocalState;
use facts::{Host, Timestamp};

check! {
    /// The node's certificate should have been renewed by now.
    ///
    /// ## Why it matters
    /// A node asks for a new certificate at a random moment between 50 and 80 per cent of the life of the one it
    /// has, which is 90 days as a rule. Past that its attempts fail, and when the certificate has run out, the next
    /// start of the engine leaves the node outside the swarm.
    ///
    /// ## How to fix it
    /// See why the managers do not issue one: whether the node reaches the leader, whether there is a leader, and
    /// whether an external CA answers. A restart of the engine tries again at once.
    ///
    /// ## When it is wrong
    /// For some minutes after an engine was started that had been off for long; it renews then.
    ///
    /// Source: swarmkit `ca/renewer.go`.
    "swarm/certificate-overdue": Warning, "the node's certificate is overdue for renewal";
    needs Certificates, Info, EngineLog;
    caused_by "host/firewall-drops-swarm", "network/manager-port-blocked", "swarm/lost-quorum", "swarm/stale-advertise-addr";
    for each Host: run
}

/// The part of its life after which every node has asked for a new one.
const LATEST: f64 = 0.8;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let now = view.snapshot.taken;
    let seen = host.certificate.get()?;
    let Some(certificate) = &seen.value else { return Ok(()) };
    let life = certificate.not_after.duration_since(certificate.not_before).as_secs_f64();
    let spent = now.duration_since(certificate.not_before).as_secs_f64();
    if life <= 0.0 || spent <= life * LATEST || now > certificate.not_after {
        return Ok(());
    }
    // An engine that is off renews nothing, and one that is in no swarm has nothing to renew.
    if host.info.get()?.swarm.state != LocalState::Active {
        return Ok(());
    }
    let day = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let summary = format!(
        "the node certificate has {:.0} % of its life behind it and runs out at {}; nodes renew before 80 %",
        100.0 * spent / life,
        day(certificate.not_after)
    );
    let shown = format!("valid from {} to {}", day(certificate.not_before), day(certificate.not_after));
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::value(seen, shown));
    let failed = |line: &&Line| line.message.contains("renew") && line.message.contains("certificate");
    if let Ok(log) = host.log.get()
        && let Some(line) =
            log.lines.iter().rev().filter(|line| line.level >= facts::log::Level::Error).find(failed)
    {
        finding.with(Evidence::log(log, line));
    }
    finding.remedy(Remedy {
        title: "Let the node renew its certificate".into(),
        risk: Risk::Disruptive,
        impact: "a restart of the engine restarts the tasks of this node; it renews where the node reaches a manager and \
                 an external CA answers"
            .into(),
        steps: vec![
            Step::RestartEngine { node: host.name.clone() },
        ],
    });
    Ok(())
}
