use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::engine::DaemonJson;
use facts::{Host, Why};

check! {
    /// `daemon.json` is not valid JSON.
    ///
    /// ## Why it matters
    /// dockerd exits at startup with "unable to configure the Docker daemon with file". An engine that was running when
    /// the file was damaged keeps running, and fails at its next start.
    ///
    /// ## How to fix it
    /// Correct the file at the line and column shown; `dockerd --validate` (23.0 and later) parses it without starting
    /// the engine.
    ///
    /// ## When it is wrong
    /// When dockerd is started with `--config-file` and another file, and its arguments could not be read.
    ///
    /// Source: moby `daemon/config/config.go`.
    "engine/daemon-json-malformed": Error, "daemon.json is not valid JSON";
    healthy "daemon.json is valid JSON";
    needs DaemonJson, EngineProcess;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let seen = match host.daemon_json.get() {
        Ok(seen) => seen,
        // A directory, a device, a loop of links: dockerd cannot read it either.
        Err(gap) if matches!(gap.why, Why::Malformed { .. }) => {
            let summary = format!("{} is not a file that dockerd can read: {}", gap.source.origin, gap.why);
            out.report(Subject::Node(host.name.clone()), summary, Evidence::gap(&gap)).remedy(Remedy {
                title: "Replace it with a file, or remove it".into(),
                risk: Risk::Safe,
                impact: "None until the engine is started.".into(),
                steps: vec![Step::Manual {
                    node: host.name.clone().into(),
                    text: "find out what it is; without it dockerd starts with its defaults".into(),
                    commands: vec!["ls -ld /etc/docker/daemon.json".into()],
                }],
            });
            return Ok(());
        }
        Err(gap) => return Err(gap),
    };
    let Some(file) = &seen.value else { return Ok(()) };
    let Err(fault) = &file.parsed else { return Ok(()) };
    // Engines before 23.0 ignore text after the object, and this one is running.
    if host.engine.get().is_ok_and(|engine| engine.accepted(file)) {
        return Ok(());
    }
    let place = match fault.column {
        0 => format!("line {}", fault.line),
        column => format!("line {}, column {column}", fault.line),
    };
    let summary = format!("{} is not valid JSON at {place}: {}", file.path, fault.what);
    let line = file.text.line(fault.line).unwrap_or_default();
    let mut steps = vec![repair(host, file, &place)];
    if host.engine.get().is_ok_and(|engine| engine.running().is_none()) {
        steps.push(Step::StartEngine { node: host.name.clone().into() });
    }
    out.report(Subject::Node(host.name.clone()), summary, Evidence::line(seen, fault.line, line)).remedy(
        Remedy {
            title: "Correct the JSON syntax of daemon.json".into(),
            risk: Risk::Safe,
            impact: "None until the engine is started; a running engine keeps its configuration.".into(),
            steps,
        },
    );
    Ok(())
}

/// The repair, if only one is possible; otherwise a person has to decide.
fn repair(host: &Host, file: &DaemonJson, place: &str) -> Step {
    match facts::repair_json(&file.text.0) {
        Some((_, repairs)) => {
            Step::RepairJson { node: host.name.clone().into(), file: file.path.clone(), repairs }
        }
        None => Step::Manual {
            node: host.name.clone().into(),
            text: format!("correct {} at {place}, then validate it with dockerd (23.0 and later)", file.path),
            commands: vec!["dockerd --validate".into()],
        },
    }
}
