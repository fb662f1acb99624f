use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::log::Line;
use facts::{Gap, Host, Why};

/// For how many minutes a complaint counts: an engine that starts its own containerd misses it for a moment.
const RECENT: i64 = 5;

check! {
    /// The containerd beneath the engine is stopped or dead, and the engine goes on without it.
    ///
    /// ## Why it matters
    /// The engine answers a ping and its node stays Ready, and yet no container starts, stops or is looked at: tasks
    /// stay Assigned or Preparing, and `docker info` and `docker ps` hang.
    ///
    /// ## How to fix it
    /// Let a stopped containerd go on; start a dead one, which leaves the containers that run alone.
    ///
    /// ## When it is wrong
    /// In the second in which an engine starts its own containerd anew, and where the engine uses a containerd of
    /// another machine or namespace.
    ///
    /// Source: moby `libcontainerd/supervisor/remote_daemon.go`; containerd docs "Operations".
    "engine/containerd-unresponsive": Error, "the containerd beneath the engine does not answer";
    needs EngineProcess, Info, EngineLog;
    caused_by "host/disk-full";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let engine = host.engine.get()?;
    let Some(dockerd) = engine.running() else { return Ok(()) };
    let Some(found) = &engine.containerd else {
        let reason = "the bundle does not say which containerd runs".to_owned();
        return Err(Gap { source: engine.source.clone(), why: Why::NotAsked { reason } });
    };
    let subject = Subject::Node(host.name.clone());
    let remedy = |title: &'static str, text: &'static str, commands: &[String]| Remedy {
        title: title.into(),
        risk: Risk::Safe,
        impact: "containers that run go on running, and the engine can start and stop them again".into(),
        steps: vec![Step::Manual { node: host.name.clone(), text: text.into(), commands: commands.to_vec() }],
    };
    if let Some(stopped) = found.iter().find(|process| matches!(process.state, 'T' | 't')) {
        let pid = stopped.pid;
        let summary = format!(
            "containerd (pid {pid}) is stopped by a signal, so dockerd (pid {}) starts, stops and inspects no container",
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
        finding.remedy(remedy(
            "Let containerd go on",
            "continue the process",
            &[format!("kill -CONT {pid}")],
        ));
        return Ok(());
    }
    if !found.is_empty() {
        return Ok(());
    }
    // An engine whose containerd cannot be seen from here is well as long as it does not complain.
    let log = host.log.get()?;
    let complains = |message: &str| {
        message.contains("containerd.sock")
            && ["connection refused", "no such file or directory"].iter().any(|words| message.contains(words))
    };
    let recent =
        |line: &&Line| line.at.is_some_and(|at| view.snapshot.taken.duration_since(at).as_mins() < RECENT);
    let line = facts::way_in::life(log).iter().rev().filter(recent).find(|line| {
        complains(&line.message) || line.fields.get("error").is_some_and(|error| complains(error))
    });
    let Some(line) = line else { return Ok(()) };
    let summary = format!("no containerd runs, so dockerd (pid {}) can start no container", dockerd.pid);
    out.report(subject, summary, Evidence::absent(engine, "no process containerd"))
        .with(Evidence::log(log, line))
        .confidence(Confidence::Medium)
        .remedy(remedy(
            "Start containerd",
            "start it, and the engine anew where it does not find it again",
            &["systemctl start containerd".into(), "systemctl restart docker".into()],
        ));
    Ok(())
}
