use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::join::RootCa;
use facts::swarm::Certificate;
use facts::{Host, Timestamp};

check! {
    /// The certificates of the manager are not valid by the clock of this host.
    ///
    /// ## Why it matters
    /// The join fails with "certificate has expired or is not yet valid". A node certificate is valid from one hour before it
    /// was issued, and the root CA certificate of a new swarm from some minutes before. A clock that is behind by more makes
    /// every join fail.
    ///
    /// ## How to fix it
    /// Set the clock of this host and keep it synchronised. If the clock of the manager is wrong, or its certificate is
    /// expired, fix it there.
    ///
    /// ## When it is wrong
    /// When the certificates of the swarm are expired, which is a problem of the manager.
    ///
    /// Source: swarmkit `ca/certificates.go`, for-linux#400.
    "join/clock-skew": Error, "the manager's certificates are not valid by the clock of this host";
    healthy "the manager's certificates are valid by the clock of this host";
    needs Join;
    caused_by "join/already-a-member", "join/not-a-manager";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let join = host.join.get()?;
    let answer = super::tls_answer(join)?;
    let root = match &answer.root_ca {
        RootCa::Returned { certificate, .. } => certificate.as_ref(),
        RootCa::Unavailable { .. } => None,
    };
    let now = view.snapshot.taken;
    let of = [("root CA", root), ("manager", answer.certificate.as_ref())];
    let invalid = of.into_iter().filter_map(|(name, one)| Some((name, one?, problem(one?, now)?)));
    let invalid: Vec<(&str, &Certificate, String)> = invalid.collect();
    let Some((name, _, problem)) = invalid.first() else { return Ok(()) };
    let summary = format!("by the clock of this host the {name} certificate {problem}");
    let shown = |name: &str, one: &Certificate| {
        let (from, to) = (minute(one.not_before), minute(one.not_after));
        format!(
            "the {name} certificate is valid from {from} to {to}; the clock of this host shows {}",
            minute(now)
        )
    };
    let mut evidence = invalid.iter().map(|(name, one, _)| Evidence::value(join, shown(name, one)));
    let Some(first) = evidence.next() else { return Ok(()) };
    let finding = out.report(Subject::Node(host.name.clone()), summary, first);
    finding.confidence(Confidence::Medium);
    for more in evidence {
        finding.with(more);
    }
    finding.remedy(Remedy {
        title: format!("Set the clock of {} and keep it synchronised", host.name).into(),
        risk: Risk::Manual,
        impact: "Running programs see the time jump.".into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text: "compare the clocks of both hosts, and set the wrong one".into(),
            commands: vec!["date --utc".into(), "timedatectl set-ntp true".into()],
        }],
    });
    Ok(())
}

fn problem(certificate: &Certificate, now: Timestamp) -> Option<String> {
    if certificate.not_before > now {
        Some(format!("is not valid before {}", minute(certificate.not_before)))
    } else if certificate.not_after < now {
        Some(format!("expired at {}", minute(certificate.not_after)))
    } else {
        None
    }
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
