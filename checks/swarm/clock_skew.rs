use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::{Gap, Host, NodeName, Why};
use std::net::IpAddr;

check! {
    /// The clocks of the nodes differ.
    ///
    /// ## Why it matters
    /// Certificates are issued with a start time one hour in the past. A node whose clock is behind by more rejects them: it
    /// cannot join, and its renewal fails. Smaller differences make logs of several nodes hard to compare and break
    /// applications that rely on synchronised clocks.
    ///
    /// ## How to fix it
    /// Enable a time service on every node (`timedatectl set-ntp true`, chrony), and check the node that differs.
    ///
    /// ## When it is wrong
    /// When a host answers ICMP timestamp requests in a time zone or format of its own, against RFC 792.
    ///
    /// Source: RFC 792 (timestamp messages), swarmkit `ca/certificates.go` (`CertBackdate`).
    "swarm/clock-skew": Warning, "the clocks of the nodes differ";
    healthy "the clocks of the nodes that answered differ by less than 5 s";
    needs Clocks, Nodes;
    caused_by "host/clock-not-synchronised";
    for each Host: run
}

/// The difference in milliseconds from which a finding is reported.
const WARNING_MS: i64 = 5_000;
/// The difference in milliseconds that makes certificates invalid.
const ERROR_MS: i64 = 3_600_000;
/// How much the differences to several nodes may vary when this node's own clock is the wrong one.
const AGREEMENT_MS: i64 = 2_000;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let clocks = host.clocks.get()?;
    let answers: Vec<(IpAddr, i64)> =
        clocks.iter().filter_map(|clock| Some((clock.addr, clock.ahead_ms?))).collect();
    if answers.is_empty() {
        let reason = "no other node answered an ICMP timestamp request".to_owned();
        return Err(Gap { source: clocks.source.clone(), why: Why::NotApplicable { reason } });
    }
    let skewed: Vec<_> = answers.iter().filter(|(_, ahead)| ahead.abs() >= WARNING_MS).collect();
    let Some((_, first)) = skewed.first() else { return Ok(()) };
    let agree = answers.iter().all(|(_, ahead)| (ahead - first).abs() <= AGREEMENT_MS);
    if answers.len() > 1 && agree {
        // All others agree, so the clock of this node is wrong.
        let summary = format!(
            "the clock of {} is {} the clocks of {} other nodes",
            host.name,
            relation(-first),
            answers.len()
        );
        let shown =
            answers.iter().map(|(addr, ahead)| format!("{}: {}", view.name_of(*addr), offset(*ahead)));
        let evidence = Evidence::value(clocks, shown.collect::<Vec<_>>().join(", "));
        report(host.name.clone(), summary, evidence, *first, out);
        return Ok(());
    }
    for (addr, ahead) in skewed {
        let name = view.name_of(*addr);
        let summary = format!("the clock of {name} is {} the clock of {}", relation(*ahead), host.name);
        let evidence = Evidence::value(clocks, format!("{addr}: {}", offset(*ahead)));
        report(name, summary, evidence, *ahead, out).also_affects(Subject::Node(host.name.clone()));
    }
    Ok(())
}

fn report<'f>(
    node: NodeName,
    summary: String,
    evidence: Evidence,
    ahead: i64,
    out: &'f mut Findings<'_>,
) -> &'f mut crate::Finding {
    let finding = out.report(Subject::Node(node.clone()), summary, evidence);
    if ahead.abs() >= ERROR_MS {
        finding.severity(Severity::Error);
    }
    finding.confidence(Confidence::Medium).remedy(Remedy {
        title: format!("Synchronise the clock of {node}").into(),
        risk: Risk::Manual,
        impact: "Running programs see the time jump.".into(),
        steps: vec![Step::Manual {
            node: node.into(),
            text: "compare the clock with a reference, and enable a time service".into(),
            commands: vec!["date --utc".into(), "timedatectl".into(), "timedatectl set-ntp true".into()],
        }],
    })
}

/// `90.0 s ahead of`.
fn relation(ahead: i64) -> String {
    let word = if ahead < 0 { "behind" } else { "ahead of" };
    format!("{} {word}", duration(ahead))
}

fn offset(ahead: i64) -> String {
    let word = if ahead < 0 { "behind" } else { "ahead" };
    format!("{} {word}", duration(ahead))
}

fn duration(ms: i64) -> String {
    let tenths = ms.unsigned_abs() / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}
