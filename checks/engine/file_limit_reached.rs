use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::log::{Line, Program};
use facts::way_in::life;

/// For how many minutes a complaint counts.
const RECENT: i64 = 10;

check! {
    /// The engine may open no more files, or start no more processes.
    ///
    /// ## Why it matters
    /// Each connection, container and network of an engine takes some. Once the limit is met, it fails here and there:
    /// tasks do not start, calls are refused, the session with the managers breaks, and nothing says why but the log.
    ///
    /// ## How to fix it
    /// Raise the limit of the engine's unit. The limit of the process that runs can be raised at once, without a restart.
    ///
    /// ## When it is wrong
    /// When something leaks files: then a higher limit only wins time.
    ///
    /// Source: moby `contrib/init/systemd/docker.service` (`LimitNOFILE`, `TasksMax`); moby#45838.
    "engine/file-limit-reached": Error, "the engine has met the limit of its files or processes";
    needs EngineLog, EngineProcess;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let engine = host.engine.get()?;
    let Some(process) = engine.running() else { return Ok(()) };
    let log = host.log.get()?;
    let recent =
        |line: &&Line| line.at.is_some_and(|at| view.snapshot.taken.duration_since(at).as_mins() < RECENT);
    let says = |line: &Line, words: &str| {
        line.message.contains(words) || line.fields.get("error").is_some_and(|error| error.contains(words))
    };
    let of_engine = |line: &&Line| line.program == Program::Engine;
    let lines = || life(log).iter().rev().filter(of_engine).filter(recent);
    let files = "too many open files";
    let forks = "resource temporarily unavailable";
    let (line, what, limit) = match lines().find(|line| says(line, files)) {
        Some(line) => (line, "files", process.max_open_files),
        None => match lines().find(|line| says(line, forks) && says(line, "fork")) {
            Some(line) => (line, "processes", None),
            None => return Ok(()),
        },
    };
    let most = limit.map(|limit| format!(", and its limit is {limit}")).unwrap_or_default();
    let summary = match what {
        "files" => format!("dockerd (pid {}) may open no more files{most}: {}", process.pid, line.message),
        _ => format!("dockerd (pid {}) may start no more processes: {}", process.pid, line.message),
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, line));
    if let Some(limit) = limit {
        finding.with(Evidence::value(engine, format!("Max open files: {limit}")));
    }
    let pid = process.pid;
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
    finding.remedy(Remedy {
        title: "Raise the limit of the engine".into(),
        risk: Risk::Safe,
        impact: "the process that runs goes on with the new limit; the unit's counts from the next start on"
            .into(),
        steps: vec![Step::Manual {
            node: host.name.clone(),
            text: "see how many it has, raise the limit of the process, and that of its unit for good".into(),
            commands,
        }],
    });
    Ok(())
}
