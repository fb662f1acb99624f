use super::exit_reason::exit_message;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::engine::DaemonJson;
use facts::swarm::LocalState;
use facts::{Gap, Host, Seen, Why};

check! {
    /// The engine uses the firewall backend nftables, and this engine is in a swarm.
    ///
    /// ## Why it matters
    /// The network drivers of swarm mode write iptables rules only, so dockerd exits at startup with both:
    /// "--firewall-backend=nftables is incompatible with swarm mode". Where the option was added to daemon.json while the
    /// engine ran, the node works until the engine is restarted and then stays down. Outside a swarm the option makes
    /// `docker swarm init` and `join` fail.
    ///
    /// ## How to fix it
    /// Set `"firewall-backend": "iptables"` in daemon.json, or remove the flag from the unit, and restart the engine.
    ///
    /// ## When it is wrong
    /// With `"iptables": false` or the feature `swarm-nftables` there is no conflict, and no finding. On an engine that is
    /// not meant to join a swarm it is only a warning.
    ///
    /// Source: moby `daemon/config/config_linux.go` (`IsSwarmCompatible`, 29.0 and later); moby#50467.
    "engine/nftables-backend": Error, "the firewall backend is nftables, which swarm mode does not allow";
    healthy "the firewall backend is compatible with swarm mode";
    needs DaemonJson, EngineProcess, Info, SwarmState, EngineLog, Join;
    caused_by "engine/daemon-json-malformed", "engine/daemon-json-refused";
    for each Host: run
}

/// The message with which dockerd exits.
const MESSAGE: &str = "--firewall-backend=nftables is incompatible with swarm mode";

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get();
    let engine = host.engine.get();
    let process = engine.as_ref().ok().and_then(|engine| engine.process.as_ref());
    let file = in_file(host);
    let mut evidence: Vec<Evidence> = file.iter().flatten().cloned().collect();
    let by_flag = process.is_some_and(|process| process.flag("firewall-backend") == Some("nftables"));
    if let (Ok(engine), Some(process)) = (&engine, process)
        && by_flag
    {
        let shown = format!("dockerd (pid {}) was started with --firewall-backend=nftables", process.pid);
        evidence.push(Evidence::value(engine, shown));
    }
    let running = info.is_ok() || engine.as_ref().is_ok_and(|engine| engine.running().is_some());
    if !running
        && let Ok(log) = host.log.get()
        && let Some(line) = exit_message(log).filter(|line| line.message.contains(MESSAGE))
    {
        evidence.push(Evidence::log(log, line));
    }
    let in_use = info.as_ref().ok().and_then(|info| info.firewall_backend.as_deref()) == Some("nftables");
    if let Ok(info) = &info
        && in_use
    {
        evidence.push(Evidence::value(info, "FirewallBackend.Driver: nftables"));
    }
    let Some(first) = evidence.first().cloned() else {
        return file.map(drop);
    };
    let member = member(host)?;
    let summary = match (member, running) {
        (true, true) => {
            "the firewall backend is set to nftables and the node is in a swarm: the engine will fail at its next start"
        }
        (true, false) => {
            "the firewall backend is set to nftables and the node is in a swarm: the engine cannot start"
        }
        (false, _) => "the firewall backend is nftables: docker swarm init and join will fail",
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, first);
    for more in evidence.into_iter().skip(1) {
        finding.with(more);
    }
    if !member && host.join.get().is_err() {
        finding.severity(Severity::Warning);
    }
    finding.remedy(remedy(host, by_flag, running, running && !in_use));
    Ok(())
}

/// The line of daemon.json that selects nftables, unless another option avoids the conflict.
fn in_file(host: &Host) -> Result<Option<Evidence>, Gap> {
    let seen = host.daemon_json.get()?;
    let Some(file) = &seen.value else { return Ok(None) };
    let config = file.parsed.as_ref().map_err(|fault| Gap {
        source: seen.source.clone(),
        why: Why::Malformed { line: fault.line, what: fault.what.clone() },
    })?;
    let nftables = config.get("firewall-backend").and_then(|value| value.as_str()) == Some("nftables");
    let rules = config.get("iptables").and_then(|value| value.as_bool()) != Some(false);
    let feature = config.get("features").and_then(|features| features.get("swarm-nftables")?.as_bool());
    let conflict = nftables && rules && feature != Some(true);
    Ok(conflict.then(|| quote(seen, file)))
}

fn quote(seen: &Seen<Option<DaemonJson>>, file: &DaemonJson) -> Evidence {
    match file.text.line_of_key("firewall-backend") {
        Some(line) => Evidence::line(seen, line, file.text.line(line).unwrap_or_default().trim()),
        None => Evidence::value(seen, "firewall-backend: nftables"),
    }
}

fn member(host: &Host) -> Result<bool, Gap> {
    if let Ok(info) = host.info.get() {
        return Ok(info.swarm.state != LocalState::Inactive);
    }
    Ok(host.swarm_state.get()?.is_some())
}

/// `latent`: the running engine still uses iptables, so it need not be restarted.
fn remedy(host: &Host, by_flag: bool, running: bool, latent: bool) -> Remedy {
    let node = host.name.clone();
    let mut steps = vec![if by_flag {
        Step::Manual {
            node: node.clone().into(),
            text: "remove --firewall-backend from the unit that starts dockerd".into(),
            commands: vec!["systemctl cat docker".into(), "systemctl edit --full docker".into()],
        }
    } else {
        Step::EditJson {
            node: node.clone().into(),
            file: host.daemon_json_path(),
            pointer: "/firewall-backend".into(),
            to: Some("\"iptables\"".into()),
        }
    }];
    let safe = latent && !by_flag;
    if !safe {
        steps.push(if running {
            Step::RestartEngine { node: node.into() }
        } else {
            Step::StartEngine { node: node.into() }
        });
    }
    Remedy {
        title: "Set the firewall backend to iptables".into(),
        risk: if safe { Risk::Safe } else { Risk::Disruptive },
        impact: if safe {
            "Running tasks are not affected.".into()
        } else {
            "The engine starts, and with it the tasks of this node.".into()
        },
        steps,
    }
}
