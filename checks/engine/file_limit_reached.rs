use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::engine::{EngineProcess, Process};
use facts::join_progress::since_start;
use facts::log::{Line, Program};
use facts::{Host, Seen};

/// The age in minutes up to which a log line counts.
const RECENT: i64 = 10;

check! {
    /// dockerd reached its limit of open files or processes, or is close to it.
    ///
    /// ## Why it matters
    /// Each connection, container and network needs some. At the limit unrelated operations fail: tasks do not start, API
    /// calls fail, the session with the managers breaks. Only the log shows the reason.
    ///
    /// ## How to fix it
    /// Raise the limit of the engine's unit. The limit of the running process can be raised without a restart.
    ///
    /// ## When it is wrong
    /// When dockerd leaks file descriptors: then a higher limit only delays the failure.
    ///
    /// Source: moby `contrib/init/systemd/docker.service` (`LimitNOFILE`, `TasksMax`); moby#45838.
    "engine/file-limit-reached": Error, "dockerd reached its open-file or process limit";
    healthy "dockerd is below its open-file and process limits";
    needs EngineLog, EngineProcess;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let engine = host.engine.get()?;
    let Some(process) = engine.running() else { return Ok(()) };
    let log = host.log.get()?;
    let recent =
        |line: &&Line| line.at.is_some_and(|at| view.snapshot.taken.duration_since(at).as_mins() < RECENT);
    let contains = |line: &Line, words: &str| line.message.contains(words) || line.error().contains(words);
    let of_engine = |line: &&Line| line.program == Program::Engine;
    let lines = || since_start(log).iter().rev().filter(of_engine).filter(recent);
    let files = "too many open files";
    let forks = "resource temporarily unavailable";
    let (line, what, limit) = match lines().find(|line| contains(line, files)) {
        Some(line) => (line, "files", process.max_open_files),
        None => match lines().find(|line| contains(line, forks) && contains(line, "fork")) {
            Some(line) => (line, "processes", None),
            None => return nearly_reached(host, engine, process, out),
        },
    };
    let most = limit.map(|limit| format!(" (limit {limit})")).unwrap_or_default();
    let summary = match what {
        "files" => {
            format!("dockerd (pid {}) reached its open-file limit{most}: {}", process.pid, line.message)
        }
        _ => format!("dockerd (pid {}) reached its process limit: {}", process.pid, line.message),
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, line));
    if let Some(limit) = limit {
        finding.with(Evidence::value(engine, format!("Max open files: {limit}")));
    }
    finding.remedy(raise(host, process.pid, what));
    Ok(())
}

/// The share of the limit, in percent, from which on a running dockerd is close to it.
const CLOSE: u64 = 90;

/// It has not reached the limit, and may soon.
fn nearly_reached(
    host: &Host,
    engine: &Seen<EngineProcess>,
    process: &Process,
    out: &mut Findings<'_>,
) -> Judged {
    let Some((open, limit)) = process.open_files.zip(process.max_open_files) else { return Ok(()) };
    if limit == 0 || open.saturating_mul(100) < limit.saturating_mul(CLOSE) {
        return Ok(());
    }
    let summary =
        format!("dockerd (pid {}) has {open} files open, close to its limit of {limit}", process.pid);
    let shown = format!("open files: {open}, Max open files: {limit}");
    out.report(Subject::Node(host.name.clone()), summary, Evidence::value(engine, shown))
        .severity(Severity::Warning)
        .remedy(raise(host, process.pid, "files"));
    Ok(())
}

fn raise(host: &Host, pid: u32, what: &str) -> Remedy {
    let commands = match what {
        "files" => vec![
            format!("ls /proc/{pid}/fd | wc -l"),
            format!("prlimit --pid {pid} --nofile=1048576:1048576"),
            "systemctl edit docker  # [Service] LimitNOFILE=1048576".into(),
        ],
        _ => vec![
            format!("prlimit --pid {pid} --nproc=unlimited:unlimited"),
            "systemctl edit docker  # [Service] TasksMax=infinity LimitNPROC=infinity".into(),
        ],
    };
    Remedy {
        title: "Raise the limit of dockerd and of its unit".into(),
        risk: Risk::Safe,
        impact: "The running process gets the new limit at once; the unit's limit applies from its next start.".into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text: "count its open files, raise the limit of the process, and set the limit in its unit permanently".into(),
            commands,
        }],
    }
}
