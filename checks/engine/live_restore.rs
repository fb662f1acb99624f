use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::engine::DaemonJson;
use facts::swarm::LocalState;
use facts::{Gap, Host, Seen, Why};

check! {
    /// Live restore is on, and this engine is in a swarm.
    ///
    /// ## Why it matters
    /// dockerd refuses to start with both: "--live-restore daemon configuration is incompatible with swarm
    /// mode". A reload takes the option without a word, so the node works until the engine is next started, and
    /// then it is gone. Outside a swarm the option makes `docker swarm init` and `join` fail.
    ///
    /// ## How to fix it
    /// Set `"live-restore": false` in daemon.json and reload the engine. Taking the key out is not enough while
    /// the engine runs: a reload without the key keeps what was set. Take the flag out of the unit, where it
    /// stands there.
    ///
    /// ## When it is wrong
    /// On an engine that is not meant to be in a swarm; there it is only a warning.
    ///
    /// Source: moby `daemon/config/config_linux.go` (`IsSwarmCompatible`), docker/docs#16059.
    "engine/live-restore": Error, "live restore and swarm exclude each other";
    needs DaemonJson, EngineProcess, Info, SwarmState, EngineLog, Join;
    caused_by "engine/daemon-json-malformed", "engine/daemon-json-refused";
    for each Host: run
}

/// A place that turns live restore on.
struct Set {
    evidence: Evidence,
    by_flag: bool,
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get();
    let file = in_file(host);
    let mut set: Vec<Set> =
        file.iter().flatten().map(|evidence| Set { evidence: evidence.clone(), by_flag: false }).collect();
    let process = host.engine.get();
    if let Ok(engine) = &process
        && let Some(process) = &engine.process
        && process.switched_on("live-restore") == Some(true)
    {
        let shown = format!("dockerd (pid {}) was started with --live-restore", process.pid);
        set.push(Set { evidence: Evidence::value(engine, shown), by_flag: true });
    }
    let lasting = !set.is_empty();
    if let Ok(info) = &info
        && info.live_restore
    {
        set.push(Set { evidence: Evidence::value(info, "LiveRestoreEnabled: true"), by_flag: false });
    }
    let running = process.as_ref().is_ok_and(|engine| engine.running().is_some());
    if set.is_empty() && !running && info.is_err() {
        // The flags of an engine that ended are gone with it. What it ended of stands in its log.
        let log = host.log.get()?;
        let last = log.lines.iter().rev().find(|line| {
            line.message.contains("incompatible with swarm mode") || line.message.starts_with("API listen on")
        });
        if let Some(line) = last.filter(|line| line.message.contains("live-restore")) {
            set.push(Set { evidence: Evidence::log(log, line), by_flag: true });
        }
    }
    let Some(first) = set.first() else {
        // File, flags and the engine's memory all count, so where one cannot be seen nothing is known. The memory of
        // an engine that does not run is gone.
        file?;
        let memory = info.as_ref().err().filter(|_| running);
        let gap = process.as_ref().err().or(memory).filter(|gap| gap.why.leaves_open());
        return gap.map_or(Ok(()), |gap| Err(gap.clone()));
    };
    let by_flag = set.iter().any(|set| set.by_flag);
    let member = member(host)?;
    let alive = info.is_ok() || running;
    let summary = match (member, alive) {
        (true, true) if !lasting => {
            "live restore is still on in the running engine, though neither its file nor its flags turn it on"
        }
        (true, true) => {
            "live restore is on and the node is in a swarm: the engine will not survive its next start"
        }
        (true, false) => "live restore is on and the node is in a swarm: the engine cannot start",
        (false, _) => "live restore is on: joining or creating a swarm will be refused",
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, first.evidence.clone());
    for more in set.iter().skip(1) {
        finding.with(more.evidence.clone());
    }
    if (!member && host.join.get().is_err()) || (member && alive && !lasting) {
        finding.severity(Severity::Warning);
    }
    finding.remedy(remedy(host, by_flag, alive));
    Ok(())
}

/// The line of daemon.json that turns it on.
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

fn remedy(host: &Host, by_flag: bool, alive: bool) -> Remedy {
    let node = host.name.clone();
    let file = host.daemon_json.get().ok().and_then(|seen| seen.value.as_ref().map(|file| file.path.clone()));
    let mut steps = vec![Step::EditJson {
        node: node.clone(),
        file: file.unwrap_or_else(|| "/etc/docker/daemon.json".into()),
        pointer: "/live-restore".into(),
        to: Some("false".into()),
    }];
    if by_flag {
        steps = vec![Step::Manual {
            node: node.clone(),
            text: "take --live-restore out of the unit that starts dockerd".into(),
            commands: vec!["systemctl cat docker".into(), "systemctl edit --full docker".into()],
        }];
    }
    steps.push(match (alive, by_flag) {
        (true, false) => Step::ReloadEngine { node },
        (false, false) => Step::StartEngine { node },
        (_, true) => Step::RestartEngine { node },
    });
    let harmless = alive && !by_flag;
    Remedy {
        title: "Turn live restore off".into(),
        risk: if harmless { Risk::Safe } else { Risk::Disruptive },
        impact: if harmless {
            "nothing that runs is touched".into()
        } else {
            "the engine starts, and with it the tasks of this node".into()
        },
        steps,
    }
}
