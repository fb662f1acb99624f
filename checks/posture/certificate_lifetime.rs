use super::advice;
use crate::{Evidence, Findings, Judged, Subject, Target, View};

check! {
    /// Node certificates are valid for less than a day or more than a year.
    ///
    /// ## Why it matters
    /// Nodes renew their certificate in the second half of its life. With a short one, a node that is off for a weekend
    /// cannot return. With a long one, a stolen certificate stays useful.
    ///
    /// ## How to fix it
    /// `docker swarm update --cert-expiry 2160h` (the default of 90 days).
    ///
    /// ## When it is wrong
    /// If the value was chosen with this in mind.
    ///
    /// Source: swarmkit `ca/certificates.go`; Docker docs "docker swarm update".
    "posture/certificate-lifetime": Info, "node certificates are valid for an unusual time";
    healthy "node certificates are valid for a usual time";
    needs Swarm;
    for each Cluster: run
}

/// A day in seconds.
const DAY: u64 = 86_400;

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let cluster = view.snapshot.cluster.get()?;
    let Some(seconds) = cluster.certificate_seconds else { return Ok(()) };
    if !(DAY..=400 * DAY).contains(&seconds) {
        let summary = format!("node certificates are valid for {} h", seconds / 3600);
        let shown = format!("CAConfig.NodeCertExpiry: {seconds} s");
        out.report(Subject::Cluster, summary, Evidence::value(cluster, shown)).remedy(advice(
            Target::AnyManager,
            "Set the lifetime of node certificates",
            "set a lifetime between a day and a year",
            vec!["docker swarm update --cert-expiry 2160h".into()],
        ));
    }
    Ok(())
}
