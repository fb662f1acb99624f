use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::log::Program;

/// How long a kernel log line counts as current, in minutes.
const RECENT_MINUTES: i64 = 10;

check! {
    /// The connection tracking table of the kernel (conntrack) is full, and packets of new connections are dropped.
    ///
    /// ## Why it matters
    /// Each connection that passes the engine's firewall rules takes an entry: connections to published ports, between
    /// tasks, and gossip. While the table is full, new connections fail at random and established ones continue. This
    /// looks like a firewall or a bad cable.
    ///
    /// ## How to fix it
    /// Raise `nf_conntrack_max`, and find out what opens so many connections.
    ///
    /// ## When it is wrong
    /// During a flood from outside, a larger table fills up as well.
    ///
    /// Source: Linux `Documentation/networking/nf_conntrack-sysctl.rst`.
    "host/conntrack-full": Error, "the conntrack table is full";
    healthy "the conntrack table has room";
    needs Sysctls, EngineLog;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let sysctls = host.sysctls.get()?;
    let number = |key: &str| sysctls.value(key).and_then(|value| value.trim().parse::<u64>().ok());
    let count = number("net.netfilter.nf_conntrack_count");
    let limit = number("net.netfilter.nf_conntrack_max").filter(|limit| *limit > 0);
    let full =
        count.zip(limit).filter(|(count, limit)| count.saturating_mul(100) >= limit.saturating_mul(98));
    // Each network namespace has a separate table, with the same limit.
    let sandboxes = host.sandboxes.get().map(|sandboxes| sandboxes.value.as_slice()).unwrap_or_default();
    let full_sandbox = limit.and_then(|limit| {
        sandboxes.iter().find_map(|sandbox| {
            let count = sandbox.conntrack_count?;
            (count.saturating_mul(100) >= limit.saturating_mul(98)).then_some((
                sandbox.name.as_str(),
                count,
                limit,
            ))
        })
    });
    let log = host.log.get();
    let logged = log.as_ref().ok().and_then(|log| {
        log.lines.iter().rev().find(|line| {
            line.program == Program::Kernel
                && line.message.contains("table full, dropping packet")
                && line.at.is_some_and(|at| view.snapshot.taken.duration_since(at).as_mins() < RECENT_MINUTES)
        })
    });
    let subject = Subject::Node(host.name.clone());
    let used = match (count, limit) {
        (Some(count), Some(limit)) => format!("{count} of {limit} entries used"),
        _ => "size unknown".to_owned(),
    };
    let finding = match (full.is_some(), logged, &log) {
        _ if full.is_none() && full_sandbox.is_some() => {
            let Some((name, count, limit)) = full_sandbox else { return Ok(()) };
            let used = format!("{count} of {limit} entries used");
            let summary = format!(
                "the conntrack table of the namespace {name} is full ({used}): new connections through it are dropped"
            );
            out.report(
                subject,
                summary,
                Evidence::value(sysctls, format!("nf_conntrack_count in {name}: {used}")),
            )
        }
        (true, _, _) => {
            let summary =
                format!("the conntrack table is full ({used}): packets of new connections are dropped");
            let first = Evidence::value(sysctls, format!("nf_conntrack_count, nf_conntrack_max: {used}"));
            out.report(subject, summary, first)
        }
        (false, Some(line), Ok(log)) => {
            let summary = format!("the conntrack table was full and the kernel dropped packets; now {used}");
            out.report(subject, summary, Evidence::log(log, line))
        }
        (false, None, Err(gap)) => return Err(gap.clone()),
        _ => return Ok(()),
    };
    if let Ok(stats) = host.kernel_stats.get()
        && let Some(conntrack) = stats.conntrack
        && conntrack.drop > 0
    {
        finding.with(Evidence::value(stats, format!("{} packets dropped since boot", conntrack.drop)));
    }
    let larger = limit.map_or(262_144, |limit| limit.saturating_mul(4).max(262_144));
    finding.remedy(Remedy {
        title: format!("Raise nf_conntrack_max on {}", host.name).into(),
        risk: Risk::Safe,
        impact: "Running tasks are not affected. One entry takes about 300 bytes of memory.".into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text: "raise the limit now and at every boot, and find out what opens so many connections".into(),
            commands: vec![
                format!("sysctl -w net.netfilter.nf_conntrack_max={larger}"),
                format!("echo net.netfilter.nf_conntrack_max={larger} > /etc/sysctl.d/90-conntrack.conf"),
                "conntrack -S".into(),
            ],
        }],
    });
    Ok(())
}
