use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::log::Line;
use facts::{Gap, Host, Why};

/// The age in minutes up to which a log line counts: an engine that starts its containerd cannot reach it for a moment.
const RECENT: i64 = 5;

check! {
    /// The containerd of the engine is stopped or not running, while dockerd runs.
    ///
    /// ## Why it matters
    /// The engine answers a ping and its node stays Ready, but no container can be started, stopped or inspected: tasks
    /// stay Assigned or Preparing, and `docker info` and `docker ps` hang.
    ///
    /// ## How to fix it
    /// Resume a stopped containerd. Start one that is not running; running containers are not affected.
    ///
    /// ## When it is wrong
    /// In the second in which an engine restarts its containerd, and where the engine uses a containerd in another
    /// namespace.
    ///
    /// Source: moby `libcontainerd/supervisor/remote_daemon.go`; containerd docs "Operations".
    "engine/containerd-unresponsive": Error, "the containerd of the engine does not answer";
    healthy "containerd is running";
    needs EngineProcess, Info, EngineLog;
    caused_by "host/disk-full";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let engine = host.engine.get()?;
    let Some(dockerd) = engine.running() else { return Ok(()) };
    let Some(found) = &engine.containerd else {
        let reason = "the bundle has no data about containerd".to_owned();
        return Err(Gap { source: engine.source.clone(), why: Why::NotAsked { reason } });
    };
    let subject = Subject::Node(host.name.clone());
    let remedy = |title: &'static str, text: &'static str, commands: &[String]| Remedy {
        title: title.into(),
        risk: Risk::Safe,
        impact: "Running containers are not affected, and the engine can start and stop containers again."
            .into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text: text.into(),
            commands: commands.to_vec(),
        }],
    };
    if let Some(stopped) = found.iter().find(|process| matches!(process.state, 'T' | 't')) {
        let pid = stopped.pid;
        let summary = format!(
            "containerd (pid {pid}) is stopped (SIGSTOP), so dockerd (pid {}) cannot start, stop or inspect containers",
            dockerd.pid
        );
        let shown = format!("containerd pid {pid}, state {}", stopped.state);
        let finding = out.report(subject, summary, Evidence::value(engine, shown));
        if let Err(gap) = host.info.get() {
            finding.with(Evidence::gap(&gap));
        }
        if found.len() > 1 {
            finding.confidence(Confidence::Medium);
        }
        finding.remedy(remedy("Resume containerd", "continue the process", &[format!("kill -CONT {pid}")]));
        return Ok(());
    }
    if !found.is_empty() {
        return Ok(());
    }
    // The containerd may be invisible from here; then only the log shows whether the engine reaches it.
    let log = host.log.get()?;
    let unreachable = |message: &str| {
        message.contains("containerd.sock")
            && ["connection refused", "no such file or directory"].iter().any(|words| message.contains(words))
    };
    let recent =
        |line: &&Line| line.at.is_some_and(|at| view.snapshot.taken.duration_since(at).as_mins() < RECENT);
    let line = facts::join_progress::since_start(log)
        .iter()
        .rev()
        .filter(recent)
        .find(|line| unreachable(&line.message) || unreachable(line.error()));
    let Some(line) = line else { return Ok(()) };
    let summary =
        format!("containerd is not running, so dockerd (pid {}) cannot start containers", dockerd.pid);
    out.report(subject, summary, Evidence::absent(engine, "no process containerd"))
        .with(Evidence::log(log, line))
        .confidence(Confidence::Medium)
        .remedy(remedy(
            "Start containerd",
            "start it; restart the engine if it does not reconnect",
            &["systemctl start containerd".into(), host.engine_service().command("restart")],
        ));
    Ok(())
}
