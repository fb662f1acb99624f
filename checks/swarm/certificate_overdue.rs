use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::log::Line;
use facts::swarm::LocalState;
use facts::{Host, Timestamp};

check! {
    /// The renewal of the node certificate is overdue.
    ///
    /// ## Why it matters
    /// A node requests a new certificate at a random moment between 50 and 80 % of the lifetime of the present one, by
    /// default 90 days. After that point the requests are failing. Once the certificate has expired, the node drops out of
    /// the swarm at the next start of its engine.
    ///
    /// ## How to fix it
    /// Find out why the managers issue no certificate: whether the node reaches the leader, whether there is a leader, and
    /// whether an external CA answers. A restart of the engine requests one immediately.
    ///
    /// ## When it is wrong
    /// For some minutes after the start of an engine that was off for a long time; it renews then.
    ///
    /// Source: swarmkit `ca/renewer.go`.
    "swarm/certificate-overdue": Warning, "the renewal of the node certificate is overdue";
    healthy "the node certificate was renewed in time";
    needs Certificates, Info, EngineLog;
    caused_by "host/firewall-drops-swarm", "network/manager-port-blocked", "swarm/lost-quorum", "swarm/stale-advertise-addr",
        "swarm/external-ca-failing";
    for each Host: run
}

/// The share of the lifetime after which every node has requested a new certificate.
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
    // An engine that does not run renews nothing, and an engine in no swarm has nothing to renew.
    if host.info.get()?.swarm.state != LocalState::Active {
        return Ok(());
    }
    let day = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let summary = format!(
        "the node certificate has used {:.0} % of its lifetime and expires at {}; nodes renew before 80 %",
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
        title: format!("Restart dockerd on {} to renew its certificate", host.name).into(),
        risk: Risk::Disruptive,
        impact: format!(
            "All tasks on {} restart. The renewal succeeds if the node reaches a manager and an external CA answers.",
            host.name
        )
        .into(),
        steps: vec![
            Step::RestartEngine { node: host.name.clone().into() },
        ],
    });
    Ok(())
}
