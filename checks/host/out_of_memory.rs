use super::kernel_log::recent_kernel;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::Host;
use facts::log::Line;
use std::collections::BTreeMap;

check! {
    /// The out-of-memory (OOM) killer of the kernel killed dockerd, containerd or another process on this node.
    ///
    /// ## Why it matters
    /// When dockerd is killed, its node is Down until it runs again, and a manager is missing from the quorum. When the host has no
    /// free memory the kernel kills whatever uses most, and that is often a database in a task. A process that exceeds the memory
    /// limit of its container is killed as well (`Memory cgroup out of memory`), and the task fails with exit code 137.
    ///
    /// ## How to fix it
    /// Reserve memory for services (`--reserve-memory`) so that the scheduler does not overfill the node, set limits, drain
    /// managers, or add memory. Raise the limit of a container that needs more.
    ///
    /// ## When it is wrong
    /// When a limit is meant to end a process that leaks memory.
    ///
    /// Source: Linux `mm/oom_kill.c`.
    "host/out-of-memory": Warning, "the OOM killer killed processes on this node";
    healthy "the OOM killer killed no process recently";
    needs EngineLog, Memory;
    for each Host: run
}

/// How long a kernel log line counts as current, in minutes.
const RECENT_MINUTES: i64 = 60;

/// A process that was killed.
struct Killed<'a> {
    pid: &'a str,
    name: &'a str,
    /// By the limit of a control group, and not because the host had no memory.
    by_limit: bool,
}

impl<'a> Killed<'a> {
    /// `Out of memory: Killed process 12 (java) total-vm:...`, `Kill process` before Linux 5.1.
    fn of(line: &'a Line) -> Option<Self> {
        let message = line.message.as_str();
        let rest = message.split_once("Killed process ").or_else(|| message.split_once("Kill process "))?.1;
        let (pid, rest) = rest.split_once(" (")?;
        let name = rest.split(')').next()?;
        let by_limit = message.contains("Memory cgroup out of memory");
        (by_limit || message.contains("ut of memory")).then_some(Self { pid, name, by_limit })
    }

    fn is_engine(&self) -> bool {
        matches!(self.name, "dockerd" | "containerd" | "dockerd-current")
    }
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    let kills: Vec<(&Line, Killed<'_>)> =
        recent_kernel(log, view, RECENT_MINUTES).filter_map(|line| Some((line, Killed::of(line)?))).collect();
    for (engine, by_limit) in [(true, false), (false, false), (false, true)] {
        let of_kind =
            |killed: &Killed<'_>| killed.is_engine() == engine && (engine || killed.by_limit == by_limit);
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut lines = Vec::new();
        for (line, killed) in kills.iter().filter(|(_, killed)| of_kind(killed)) {
            *seen.entry(killed.name).or_default() += 1;
            lines.push((line, killed));
        }
        let Some((first, newest)) = lines.first() else { continue };
        let names: Vec<_> = seen.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        let summary = match (engine, by_limit) {
            (true, _) => {
                format!("the OOM killer killed {} (pid {}) on {}", newest.name, newest.pid, host.name)
            }
            (_, true) => format!(
                "processes exceeded the memory limit of their container on {} and were killed: {}",
                host.name,
                names.join(", ")
            ),
            _ => format!("{} had no free memory, and the OOM killer killed: {}", host.name, names.join(", ")),
        };
        let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, first));
        for (line, _) in lines.iter().skip(1).take(3) {
            finding.with(Evidence::log(log, line));
        }
        if engine {
            finding.severity(Severity::Error);
        }
        if let Ok(memory) = host.memory.get()
            && !by_limit
        {
            let mib = |bytes: u64| bytes >> 20;
            let shown = format!(
                "{} MiB of {} MiB memory available now",
                mib(memory.available_bytes),
                mib(memory.total_bytes)
            );
            finding.with(Evidence::value(memory, shown));
        }
        let (title, text, commands) = if by_limit {
            (
                "Raise the memory limit of the service",
                "find the service whose tasks were killed, and raise its memory limit or reduce what it uses",
                vec!["docker stats --no-stream", "docker service update --limit-memory SIZE SERVICE"],
            )
        } else {
            (
                "Reserve memory for the services of this node",
                "find out what uses the memory; set reservations and limits, drain managers, or add memory",
                vec![
                    "ps aux --sort=-rss | head",
                    "docker stats --no-stream",
                    "docker service update --reserve-memory SIZE --limit-memory SIZE SERVICE",
                ],
            )
        };
        finding.remedy(Remedy {
            title: title.into(),
            risk: Risk::Manual,
            impact: "A service update restarts the tasks of the service.".into(),
            steps: vec![Step::Manual {
                node: host.name.clone().into(),
                text: text.into(),
                commands: commands.into_iter().map(str::to_owned).collect(),
            }],
        });
    }
    Ok(())
}
