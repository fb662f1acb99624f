use super::kernel_log::{contains, recent_kernel};
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::Host;

check! {
    /// The neighbour (ARP) table of the kernel is full.
    ///
    /// ## Why it matters
    /// All network namespaces of a host share one neighbour table, and each task on another node takes one entry per overlay
    /// network. While the table is full, connections to single tasks or nodes fail at random with "no route to host" or "no
    /// buffer space available". The engine raises the limits when it creates its first overlay network. A later
    /// `sysctl --system` can lower them again.
    ///
    /// ## How to fix it
    /// Set `net.ipv4.neigh.default.gc_thresh1`, `2` and `3` to 8192, 49152 and 65536 in /etc/sysctl.d. The settings exist only in
    /// the initial network namespace: in a container set them on its host.
    ///
    /// ## When it is wrong
    /// When something scans a large network from this host.
    ///
    /// Source: Linux `net/core/neighbour.c`; moby `libnetwork/drivers/overlay/ostweaks_linux.go`; libnetwork#1522, #1789.
    "host/neighbour-table-full": Error, "the neighbour table of the kernel is full";
    healthy "the neighbour table of the kernel has room";
    needs Sysctls, EngineLog;
    for each Host: run
}

/// How long a log line counts as current, in minutes.
const RECENT_MINUTES: i64 = 30;
/// The limits that the engine sets.
const LIMITS: [(&str, u64); 3] = [("gc_thresh1", 8192), ("gc_thresh2", 49152), ("gc_thresh3", 65536)];

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let sysctls = host.sysctls.get()?;
    let limit = sysctls
        .value("net.ipv4.neigh.default.gc_thresh3")
        .and_then(|value| value.trim().parse::<u64>().ok())
        .filter(|limit| *limit > 0);
    let stats = host.kernel_stats.get().ok();
    let table = stats.and_then(|stats| stats.neighbours);
    let full =
        table.zip(limit).filter(|(table, limit)| table.entries.saturating_mul(10) >= limit.saturating_mul(9));
    let log = host.log.get();
    let overflow = log.as_ref().ok().and_then(|log| {
        recent_kernel(log, view, RECENT_MINUTES).find(|line| {
            contains(line, "eighbor table overflow") || contains(line, "eighbour table overflow")
        })
    });
    let refused = log.as_ref().ok().and_then(|log| {
        let now = view.snapshot.taken;
        log.lines.iter().rev().find(|line| {
            line.at.is_some_and(|at| now.duration_since(at).as_mins() < RECENT_MINUTES)
                && contains(line, "could not add neighbor entry")
                && contains(line, "no buffer space available")
        })
    });
    let size = match (table, limit) {
        (Some(table), Some(limit)) => format!("{} of {limit} entries used", table.entries),
        (None, Some(limit)) => format!("gc_thresh3 is {limit}"),
        _ => "its size is not visible in this network namespace".to_owned(),
    };
    let subject = Subject::Node(host.name.clone());
    let finding = match (overflow.or(refused), &log, full, stats) {
        (Some(line), Ok(log), ..) => {
            let summary = format!(
                "the neighbour table of the kernel overflowed ({size}): connections to nodes and tasks fail"
            );
            let finding = out.report(subject, summary, Evidence::log(log, line));
            if let (Some(refused), Some(_)) = (refused, overflow) {
                finding.with(Evidence::log(log, refused));
            }
            finding
        }
        (_, _, Some(_), Some(stats)) => {
            let summary = format!("the neighbour table of the kernel is almost full: {size}");
            let finding = out.report(subject, summary, Evidence::value(stats, &size));
            finding.severity(Severity::Warning)
        }
        (None, Err(gap), ..) => return Err(gap.clone()),
        _ => return Ok(()),
    };
    let value = |name: &str| {
        sysctls
            .value(&format!("net.ipv4.neigh.default.{name}"))
            .and_then(|value| value.trim().parse::<u64>().ok())
    };
    if let Some(limit) = limit {
        finding.with(Evidence::value(sysctls, format!("net.ipv4.neigh.default.gc_thresh3 = {limit}")));
    }
    let steps = LIMITS
        .into_iter()
        .rev()
        .filter_map(|(name, wanted)| {
            let key = format!("net.ipv4.neigh.default.{name}");
            let current = value(name)?;
            // A table that is full with the limits of the engine needs larger ones.
            let to = if current < wanted { wanted } else { current.saturating_mul(2) };
            Some(Step::SetSysctl { node: host.name.clone().into(), key, to: to.to_string() })
        })
        .collect::<Vec<_>>();
    let manual = || {
        let commands =
            LIMITS.iter().rev().map(|(name, to)| format!("sysctl -w net.ipv4.neigh.default.{name}={to}"));
        vec![Step::Manual {
            node: host.name.clone().into(),
            text: "set the limits in the initial network namespace of the host".into(),
            commands: commands.collect(),
        }]
    };
    finding.remedy(Remedy {
        title: format!("Raise the neighbour table limits on {}", host.name).into(),
        risk: Risk::Safe,
        impact: "Running tasks are not affected.".into(),
        steps: if steps.is_empty() { manual() } else { steps },
    });
    Ok(())
}
