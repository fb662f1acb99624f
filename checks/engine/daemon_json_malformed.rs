use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::engine::DaemonJson;
use facts::{Host, Why};

check! {
    /// `daemon.json` is not what dockerd can read.
    ///
    /// ## Why it matters
    /// dockerd ends at once with "unable to configure the Docker daemon with file". An engine that was running
    /// when the file was broken goes on, and does not come back from its next start.
    ///
    /// ## How to fix it
    /// Mend the file at the line and column shown; `dockerd --validate` (23.0 and later) reads it without
    /// starting anything.
    ///
    /// ## When it is wrong
    /// When dockerd is started with `--config-file` naming another file, and that could not be seen.
    ///
    /// Source: moby `daemon/config/config.go`.
    "engine/daemon-json-malformed": Error, "daemon.json cannot be read as JSON";
    needs DaemonJson, EngineProcess;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let seen = match host.daemon_json.get() {
        Ok(seen) => seen,
        // A directory, a device, a loop of links: what dockerd cannot read either.
        Err(gap) if matches!(gap.why, Why::Malformed { .. }) => {
            let summary = format!("{} is nothing that dockerd can read: {}", gap.source.origin, gap.why);
            out.report(Subject::Node(host.name.clone()), summary, Evidence::gap(&gap)).remedy(Remedy {
                title: "Put a file in its place, or remove it".into(),
                risk: Risk::Safe,
                impact: "nothing until the engine is started".into(),
                steps: vec![Step::Manual {
                    node: host.name.clone(),
                    text: "see what it is; without it dockerd starts with its defaults".into(),
                    commands: vec!["ls -ld /etc/docker/daemon.json".into()],
                }],
            });
            return Ok(());
        }
        Err(gap) => return Err(gap),
    };
    let Some(file) = &seen.value else { return Ok(()) };
    let Err(fault) = &file.parsed else { return Ok(()) };
    // Engines before 23.0 read no further than the end of the object, and this one runs.
    if host.engine.get().is_ok_and(|engine| engine.accepted(file)) {
        return Ok(());
    }
    let place = match fault.column {
        0 => format!("line {}", fault.line),
        column => format!("line {}, column {column}", fault.line),
    };
    let summary = format!("{} stops being JSON at {place}: {}", file.path, fault.what);
    let line = file.text.line(fault.line).unwrap_or_default();
    let mut steps = vec![mend(host, file, &place)];
    if host.engine.get().is_ok_and(|engine| engine.running().is_none()) {
        steps.push(Step::StartEngine { node: host.name.clone() });
    }
    out.report(Subject::Node(host.name.clone()), summary, Evidence::line(seen, fault.line, line)).remedy(
        Remedy {
            title: "Mend daemon.json".into(),
            risk: Risk::Safe,
            impact: "nothing until the engine is started; an engine that runs keeps its old configuration"
                .into(),
            steps,
        },
    );
    Ok(())
}

/// Where one text alone can have been meant, it can be written; else a person has to say what was.
fn mend(host: &Host, file: &DaemonJson, place: &str) -> Step {
    match facts::mended(&file.text.0) {
        Some((_, mends)) => Step::MendJson { node: host.name.clone(), file: file.path.clone(), mends },
        None => Step::Manual {
            node: host.name.clone(),
            text: format!(
                "mend {} at {place}, then let dockerd read it without starting (23.0 and later)",
                file.path
            ),
            commands: vec!["dockerd --validate".into()],
        },
    }
}
