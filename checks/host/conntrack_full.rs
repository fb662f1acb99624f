use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::log::Program;

/// For how many minutes a word of the kernel counts.
const RECENT: i64 = 10;

check! {
    /// The kernel's table of connections is full, and packets of new ones are dropped.
    ///
    /// ## Why it matters
    /// Everything that passes the engine's rules takes an entry: connections to published ports, between tasks, and
    /// gossip. Once the table is full new connections fail at random while old ones go on, and it looks like a
    /// firewall or a bad cable.
    ///
    /// ## How to fix it
    /// Raise `nf_conntrack_max`, and see what opens so many connections.
    ///
    /// ## When it is wrong
    /// Under a flood from outside a larger table fills as well.
    ///
    /// Source: Linux `Documentation/networking/nf_conntrack-sysctl.rst`.
    "host/conntrack-full": Error, "the table of connections is full";
    needs Sysctls, EngineLog;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let sysctls = host.sysctls.get()?;
    let number = |key: &str| sysctls.value(key).and_then(|value| value.trim().parse::<u64>().ok());
    let count = number("net.netfilter.nf_conntrack_count");
    let most = number("net.netfilter.nf_conntrack_max").filter(|most| *most > 0);
    let full = count.zip(most).filter(|(count, most)| count.saturating_mul(100) >= most.saturating_mul(98));
    let log = host.log.get();
    let said = log.as_ref().ok().and_then(|log| {
        log.lines.iter().rev().find(|line| {
            line.program == Program::Kernel
                && line.message.contains("table full, dropping packet")
                && line.at.is_some_and(|at| view.snapshot.taken.duration_since(at).as_mins() < RECENT)
        })
    });
    let subject = Subject::Node(host.name.clone());
    let shown = match (count, most) {
        (Some(count), Some(most)) => format!("{count} of {most} connections"),
        _ => "a size that could not be read".to_owned(),
    };
    let finding = match (full, said, &log) {
        (Some(_), _, _) => {
            let summary = format!("the kernel's table of connections is full, {shown}: new ones are dropped");
            let first = Evidence::value(sysctls, format!("nf_conntrack_count, nf_conntrack_max: {shown}"));
            out.report(subject, summary, first)
        }
        (None, Some(line), Ok(log)) => {
            let summary =
                format!("the kernel's table of connections was full and dropped packets; now it has {shown}");
            out.report(subject, summary, Evidence::log(log, line))
        }
        (None, None, Err(gap)) => return Err(gap.clone()),
        _ => return Ok(()),
    };
    let larger = most.map_or(262_144, |most| most.saturating_mul(4).max(262_144));
    finding.remedy(Remedy {
        title: "Make the table of connections larger".into(),
        risk: Risk::Safe,
        impact: "nothing that runs is touched; an entry takes about 300 bytes".into(),
        steps: vec![Step::Manual {
            node: host.name.clone(),
            text: "make it larger, now and at every start, and see who has so many connections".into(),
            commands: vec![
                format!("sysctl -w net.netfilter.nf_conntrack_max={larger}"),
                format!("echo net.netfilter.nf_conntrack_max={larger} > /etc/sysctl.d/90-conntrack.conf"),
                "conntrack -S".into(),
            ],
        }],
    });
    Ok(())
}
