use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::join::Authority;
use facts::swarm::Certificate;
use facts::{Host, Timestamp};

check! {
    /// By this machine's clock the certificates of the manager are not valid.
    ///
    /// ## Why it matters
    /// The join fails with "certificate has expired or is not yet valid". Certificates are made out from an hour
    /// before they were issued, and that of a new swarm's authority from minutes before, so that a clock which is
    /// behind breaks a join at once.
    ///
    /// ## How to fix it
    /// Set this machine's clock and keep it in step. If it is the manager's that is wrong, or if its certificate really
    /// ran out, mend it there.
    ///
    /// ## When it is wrong
    /// Where the swarm's certificates really ran out, which is an ailment of the manager.
    ///
    /// Source: swarmkit `ca/certificates.go`, for-linux#400.
    "join/clock-skew": Error, "the manager's certificates are not valid by this machine's clock";
    needs Join;
    caused_by "join/already-a-member", "join/not-a-manager";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let join = host.join.get()?;
    let spoken = super::spoken(join)?;
    let root = match &spoken.authority {
        Authority::Told { certificate, .. } => certificate.as_ref(),
        Authority::Untold { .. } => None,
    };
    let now = view.snapshot.taken;
    let of = [("the authority's", root), ("the manager's", spoken.certificate.as_ref())];
    let strange = of.into_iter().filter_map(|(whose, one)| Some((whose, one?, story(one?, now)?)));
    let strange: Vec<(&str, &Certificate, String)> = strange.collect();
    let Some((whose, _, story)) = strange.first() else { return Ok(()) };
    let summary = format!("by this machine's clock {whose} certificate {story}");
    let shown = |whose: &str, one: &Certificate| {
        let (from, to) = (minute(one.not_before), minute(one.not_after));
        format!("{whose} certificate is valid from {from} to {to}; this machine's clock says {}", minute(now))
    };
    let mut evidence = strange.iter().map(|(whose, one, _)| Evidence::value(join, shown(whose, one)));
    let Some(first) = evidence.next() else { return Ok(()) };
    let finding = out.report(Subject::Node(host.name.clone()), summary, first);
    finding.confidence(Confidence::Medium);
    for more in evidence {
        finding.with(more);
    }
    finding.remedy(Remedy {
        title: "Set the clock, and keep it in step".into(),
        risk: Risk::Manual,
        impact: "programs that run see the time jump".into(),
        steps: vec![Step::Manual {
            node: host.name.clone(),
            text: "compare the clocks of both machines, and set the wrong one".into(),
            commands: vec!["date --utc".into(), "timedatectl set-ntp true".into()],
        }],
    });
    Ok(())
}

fn story(certificate: &Certificate, now: Timestamp) -> Option<String> {
    if certificate.not_before > now {
        Some(format!("is not valid before {}", minute(certificate.not_before)))
    } else if certificate.not_after < now {
        Some(format!("ran out at {}", minute(certificate.not_after)))
    } else {
        None
    }
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
