use super::exit_reason::{is_oom_kill, is_panic};
use super::panic::package;
use super::regressions::fixed_panic;
use crate::model::engine_version::EngineVersion;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::log::{Line, Program};
use facts::{Host, SignedDuration};

check! {
    /// dockerd crashed or was killed, and was started again.
    ///
    /// ## Why it matters
    /// systemd restarts a dockerd that crashes, so the node looks healthy afterwards. At each crash the node loses its
    /// session with the managers, published ports are interrupted, and on a manager raft loses a member for that time. What
    /// caused the crash still exists.
    ///
    /// ## How to fix it
    /// Killed because memory was exhausted: limit or reserve the memory of services, keep tasks off managers, or add memory.
    /// Crashed with a Go panic: upgrade the engine.
    ///
    /// ## When it is wrong
    /// When the cause was removed since. Crashes older than a day are not reported.
    ///
    /// Source: systemd.service(5); moby `contrib/init/systemd/docker.service` (`Restart=always`).
    "engine/crashed": Warning, "dockerd crashed and was restarted";
    healthy "dockerd did not crash";
    needs EngineLog, EngineProcess;
    caused_by "swarm/state-damaged";
    for each Host: run
}

/// The age up to which a crash is reported.
const RECENT: SignedDuration = SignedDuration::from_hours(24);
/// The time within which systemd logs the end of a process that crashed.
const BESIDE: SignedDuration = SignedDuration::from_secs(30);

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    // While it is down, `engine/unreachable` reports why.
    if host.engine.get()?.running().is_none() {
        return Ok(());
    }
    let recent = |line: &&Line| line.at.is_some_and(|at| view.snapshot.taken.duration_since(at) <= RECENT);
    // Only what the service manager saw to end unexpectedly counts: whoever stops and starts an engine by hand knows it.
    let exits: Vec<&Line> = log.lines.iter().filter(recent).filter(|line| is_unexpected_exit(line)).collect();
    let Some(last) = exits.last() else { return Ok(()) };
    let beside = |line: &&Line| {
        line.at.zip(last.at).is_some_and(|(one, other)| one.duration_since(other).abs() <= BESIDE)
    };
    let reason = log.lines.iter().rev().filter(beside).find(|line| is_oom_kill(line) || is_panic(line));
    let Some(reason) = reason else { return Ok(()) };
    let oom = is_oom_kill(reason);
    let at = last.at.map(|at| at.strftime(" at %Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default();
    let times = if exits.len() == 1 { "once".to_owned() } else { format!("{} times", exits.len()) };
    let version = EngineVersion::of_log(log);
    let package = package(&log.lines, reason);
    let summary = if oom {
        format!("the kernel killed dockerd because memory was exhausted: {times}, last{at}; it was restarted")
    } else {
        let place = package.map(|package| format!(" in {package}")).unwrap_or_default();
        format!("dockerd crashed{place}: {times}, last{at}; it was restarted")
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, reason));
    finding.with(Evidence::log(log, last)).confidence(Confidence::Medium);
    let (title, text, commands) = if oom {
        (
            "Free memory for dockerd on this node",
            "set memory limits for the services on this node, or drain it if it is a manager".to_owned(),
            vec![
                "docker stats --no-stream".to_owned(),
                "docker service update --limit-memory 512M SERVICE".to_owned(),
            ],
        )
    } else {
        let target = match package.and_then(|package| fixed_panic(package, version.as_ref())) {
            Some(row) => format!("upgrade to {}, which fixes it ({})", row.fixed_in, row.source),
            None => "upgrade to the newest release; if it crashes again, report the goroutine to moby/moby"
                .to_owned(),
        };
        ("Upgrade the engine: this version crashes", target, vec!["dockerd --version".to_owned()])
    };
    finding.remedy(Remedy {
        title: title.into(),
        risk: Risk::Manual,
        impact: "An upgrade restarts all tasks on the node.".into(),
        steps: vec![Step::Manual { node: host.name.clone().into(), text, commands }],
    });
    Ok(())
}

/// Whether systemd logged that the engine's main process was killed, or exited as a Go program does after a panic.
fn is_unexpected_exit(line: &Line) -> bool {
    let of_engine = line.message.contains("docker.service") || line.message.contains("docker.dockerd");
    line.program == Program::Systemd
        && of_engine
        && line.message.contains("Main process exited")
        && ["code=killed", "code=dumped", "status=2"].iter().any(|part| line.message.contains(part))
}
