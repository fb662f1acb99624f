use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::log::{Line, Program};

check! {
    /// The disk of a manager is too slow for the raft log.
    ///
    /// ## Why it matters
    /// Raft writes each change to disk before it confirms it. A write that takes seconds delays heartbeats: the managers elect
    /// a new leader, nodes change to Unknown, and tasks restart on other nodes.
    ///
    /// ## How to fix it
    /// Put `swarm/` of the data root on a fast local disk, move other load off the disk, and do not suspend several manager
    /// VMs at once for snapshots.
    ///
    /// ## When it is wrong
    /// After a long stall that does not repeat, such as a VM snapshot. The check reports stalls of the last hour.
    ///
    /// Source: etcd `wal/wal.go` (the warning of engines up to 20.10), Linux `kernel/hung_task.c`; moby#36245, moby#35210.
    "swarm/raft-disk-slow": Warning, "the disk is too slow for the raft log";
    healthy "no slow write of the raft log in the last hour";
    needs Info, EngineLog;
    caused_by "host/disk-full";
    for each Host: run
}

/// The age in seconds up to which a stall is reported.
const RECENT_SECONDS: i64 = 60 * 60;

/// How many stalls are reported, however short; and how long one is that is reported alone, in seconds.
const OFTEN: u64 = 3;
const LONG_SECONDS: f64 = 5.0;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    if !info.swarm.control_available {
        return Ok(());
    }
    let log = host.log.get()?;
    let now = view.snapshot.taken;
    // The raw line of etcd has no timestamp; journald and syslog add one.
    let recent = |line: &&Line| line.at.is_some_and(|at| now.duration_since(at).as_secs() <= RECENT_SECONDS);
    let slow: Vec<(&Line, f64)> =
        log.lines.iter().filter(recent).filter_map(|line| Some((line, stall_seconds(line)?))).collect();
    let Some((last, _)) = slow.last() else { return Ok(()) };
    let longest = slow.iter().map(|(_, seconds)| *seconds).fold(0.0, f64::max);
    // One short stall is a busy moment, not a slow disk.
    let writes = slow.iter().map(|(line, _)| u64::from(line.repeated.max(1))).sum::<u64>();
    if writes < OFTEN && longest < LONG_SECONDS {
        return Ok(());
    }
    let times = if writes == 1 { "1 write stall".to_owned() } else { format!("{writes} write stalls") };
    let summary = format!("{times} on the disk of this manager in the last hour, the longest {longest:.1} s");
    out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, last)).remedy(Remedy {
        title: format!("Give the data root of {} a faster disk", host.name).into(),
        risk: Risk::Manual,
        impact: "Measuring does not affect running tasks.".into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text: "measure the write latency, and find what else uses the disk".into(),
            commands: vec![
                "cat /proc/pressure/io".into(),
                "iostat -dx 5 3".into(),
                "findmnt --target /var/lib/docker/swarm".into(),
            ],
        }],
    });
    Ok(())
}

/// The seconds for which a write was stalled: etcd's `sync duration of 6.112075994s, expected less than 1s`, or the kernel's
/// `INFO: task dockerd:812 blocked for more than 120 seconds.`
fn stall_seconds(line: &Line) -> Option<f64> {
    if line.program == Program::Kernel {
        let (task, rest) = line.message.split_once(" blocked for more than ")?;
        let seconds = rest.split_once(' ')?.0.parse().ok()?;
        return task.contains("task dockerd:").then_some(seconds);
    }
    let rest = line.message.split_once("sync duration of ")?.1;
    let duration = rest.split_once(", expected less than")?.0;
    if let Some(milliseconds) = duration.strip_suffix("ms") {
        return milliseconds.parse::<f64>().ok().map(|value| value / 1000.0);
    }
    let (minutes, seconds) = duration.split_once('m').unwrap_or(("0", duration));
    let seconds: f64 = seconds.strip_suffix('s')?.parse().ok()?;
    Some(minutes.parse::<f64>().ok()? * 60.0 + seconds)
}

#[cfg(test)]
mod tests {
    use super::stall_seconds;
    use facts::log::{Level, Line, Program};
    use std::collections::BTreeMap;

    fn stall(program: Program, message: &str) -> Option<f64> {
        stall_seconds(&Line {
            file: "messages".into(),
            number: 1,
            at: None,
            host: None,
            program,
            pid: None,
            level: Level::Unknown,
            message: message.into(),
            fields: BTreeMap::new(),
            repeated: 1,
            truncated: false,
        })
    }

    #[test]
    fn reads_the_stalls_of_etcd_and_of_the_kernel() {
        let etcd = |duration: &str| {
            stall(Program::Engine, &format!("sync duration of {duration}, expected less than 1s"))
        };
        assert_eq!(etcd("6.5s"), Some(6.5));
        assert_eq!(etcd("1m2.5s"), Some(62.5));
        assert_eq!(etcd("1500ms"), Some(1.5));
        let kernel = |task: &str| format!("INFO: task {task}:812 blocked for more than 120 seconds.");
        assert_eq!(stall(Program::Kernel, &kernel("dockerd")), Some(120.0));
        assert_eq!(stall(Program::Kernel, &kernel("jbd2/sda1-8")), None);
        assert_eq!(etcd("soon"), None);
    }
}
