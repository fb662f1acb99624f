use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::engine::DaemonJson;
use facts::swarm::LocalState;
use facts::{Gap, Host, Seen, Why};

check! {
    /// Live restore is on, and this engine is in a swarm.
    ///
    /// ## Why it matters
    /// dockerd exits at startup with both: "--live-restore daemon configuration is incompatible with swarm mode". A reload
    /// accepts the option without an error, so the node works until the engine is restarted and then stays down. Outside a
    /// swarm the option makes `docker swarm init` and `join` fail.
    ///
    /// ## How to fix it
    /// Set `"live-restore": false` in daemon.json and reload the engine. Removing the key is not enough while the engine
    /// runs: a reload without the key keeps the old value. Remove the flag from the unit if it is set there.
    ///
    /// ## When it is wrong
    /// On an engine that is not meant to join a swarm; there it is only a warning.
    ///
    /// Source: moby `daemon/config/config_linux.go` (`IsSwarmCompatible`), docker/docs#16059.
    "engine/live-restore": Error, "live restore is on, which swarm mode does not allow";
    healthy "live restore is off";
    needs DaemonJson, EngineProcess, Info, SwarmState, EngineLog, Join;
    caused_by "engine/daemon-json-malformed", "engine/daemon-json-refused";
    for each Host: run
}

/// A setting that turns on live restore.
struct Setting {
    evidence: Evidence,
    by_flag: bool,
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get();
    let file = in_file(host);
    let mut set: Vec<Setting> = file
        .iter()
        .flatten()
        .map(|evidence| Setting { evidence: evidence.clone(), by_flag: false })
        .collect();
    let process = host.engine.get();
    if let Ok(engine) = &process
        && let Some(process) = &engine.process
        && process.switched_on("live-restore") == Some(true)
    {
        let shown = format!("dockerd (pid {}) was started with --live-restore", process.pid);
        set.push(Setting { evidence: Evidence::value(engine, shown), by_flag: true });
    }
    let persistent = !set.is_empty();
    if let Ok(info) = &info
        && info.live_restore
    {
        set.push(Setting { evidence: Evidence::value(info, "LiveRestoreEnabled: true"), by_flag: false });
    }
    let running = process.as_ref().is_ok_and(|engine| engine.running().is_some());
    if set.is_empty() && !running && info.is_err() {
        // The flags of an engine that does not run are unknown; its log has the error.
        let log = host.log.get()?;
        let last = log.lines.iter().rev().find(|line| {
            line.message.contains("incompatible with swarm mode") || line.message.starts_with("API listen on")
        });
        if let Some(line) = last.filter(|line| line.message.contains("live-restore")) {
            set.push(Setting { evidence: Evidence::log(log, line), by_flag: true });
        }
    }
    let Some(first) = set.first() else {
        // File, flags and the running configuration all count, so without one of them the state is unknown. An engine that
        // does not run has no running configuration.
        file?;
        let memory = info.as_ref().err().filter(|_| running);
        let gap = process.as_ref().err().or(memory).filter(|gap| gap.why.leaves_open());
        return gap.map_or(Ok(()), |gap| Err(gap.clone()));
    };
    let by_flag = set.iter().any(|set| set.by_flag);
    let member = member(host)?;
    let running = info.is_ok() || running;
    let summary = match (member, running) {
        (true, true) if !persistent => {
            "live restore is on in the running engine, although neither daemon.json nor a flag turns it on"
        }
        (true, true) => {
            "live restore is on and the node is in a swarm: the engine will fail at its next start"
        }
        (true, false) => "live restore is on and the node is in a swarm: the engine cannot start",
        (false, _) => "live restore is on: docker swarm init and join will fail",
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, first.evidence.clone());
    for more in set.iter().skip(1) {
        finding.with(more.evidence.clone());
    }
    if (!member && host.join.get().is_err()) || (member && running && !persistent) {
        finding.severity(Severity::Warning);
    }
    finding.remedy(remedy(host, by_flag, running));
    Ok(())
}

/// The line of daemon.json that turns on live restore.
fn in_file(host: &Host) -> Result<Option<Evidence>, Gap> {
    let seen = host.daemon_json.get()?;
    let Some(file) = &seen.value else { return Ok(None) };
    let config = file.parsed.as_ref().map_err(|fault| Gap {
        source: seen.source.clone(),
        why: Why::Malformed { line: fault.line, what: fault.what.clone() },
    })?;
    let on = config.get("live-restore").is_some_and(|value| value.as_bool() == Some(true));
    Ok(on.then(|| quote(seen, file)))
}

fn quote(seen: &Seen<Option<DaemonJson>>, file: &DaemonJson) -> Evidence {
    match file.text.line_of_key("live-restore") {
        Some(line) => Evidence::line(seen, line, file.text.line(line).unwrap_or_default().trim()),
        None => Evidence::value(seen, "live-restore: true"),
    }
}

fn member(host: &Host) -> Result<bool, Gap> {
    if let Ok(info) = host.info.get() {
        return Ok(info.swarm.state != LocalState::Inactive);
    }
    Ok(host.swarm_state.get()?.is_some())
}

fn remedy(host: &Host, by_flag: bool, running: bool) -> Remedy {
    let node = host.name.clone();
    let file = host.daemon_json.get().ok().and_then(|seen| seen.value.as_ref().map(|file| file.path.clone()));
    let mut steps = vec![Step::EditJson {
        node: node.clone().into(),
        file: file.unwrap_or_else(|| "/etc/docker/daemon.json".into()),
        pointer: "/live-restore".into(),
        to: Some("false".into()),
    }];
    if by_flag {
        steps = vec![Step::Manual {
            node: node.clone().into(),
            text: "remove --live-restore from the unit that starts dockerd".into(),
            commands: vec!["systemctl cat docker".into(), "systemctl edit --full docker".into()],
        }];
    }
    steps.push(match (running, by_flag) {
        (true, false) => Step::ReloadEngine { node: node.into() },
        (false, false) => Step::StartEngine { node: node.into() },
        (_, true) => Step::RestartEngine { node: node.into() },
    });
    let reload = running && !by_flag;
    Remedy {
        title: "Turn off live restore".into(),
        risk: if reload { Risk::Safe } else { Risk::Disruptive },
        impact: if reload {
            "Running tasks are not affected.".into()
        } else {
            "The engine restarts, and with it the tasks of this node.".into()
        },
        steps,
    }
}
