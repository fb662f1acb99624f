use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::log::Line;
use std::collections::BTreeMap;

check! {
    /// A log driver cannot deliver the messages of containers.
    ///
    /// ## Why it matters
    /// The messages are lost. In the mode `blocking`, which is the default, a container that writes much stops as soon as the
    /// buffer of its log driver is full: the program hangs although nothing is wrong with it.
    ///
    /// ## How to fix it
    /// Restore the server that the driver sends to. Set `mode=non-blocking` with `max-buffer-size`, so that a lost server does
    /// not stop programs.
    ///
    /// ## When it is wrong
    /// If the server was restarted just now. The check wants three failures in ten minutes, the last within a minute.
    ///
    /// Source: moby `daemon/logger/copier.go`; Docker docs "Configure logging drivers", section "Configure the delivery mode".
    "service/log-driver-failing": Warning, "a log driver cannot deliver messages";
    healthy "the log drivers deliver the messages of the containers";
    needs EngineLog;
    caused_by "host/disk-full";
    for each Host: run
}

/// How many failures within [`MINUTES`] count, if the last is not older than [`PRESENT_SECONDS`].
const OFTEN: u32 = 3;
const MINUTES: i64 = 10;
const PRESENT_SECONDS: i64 = 60;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    let now = log.ends.unwrap_or(view.snapshot.taken);
    let mut failures: BTreeMap<String, (u32, &Line, String)> = BTreeMap::new();
    for line in &log.lines {
        let recent = line.at.is_some_and(|at| now.duration_since(at).as_mins() <= MINUTES);
        if let Some((driver, error)) = failure(line).filter(|_| recent) {
            let (count, last, text) = failures.entry(driver).or_insert((0, line, String::new()));
            *count += line.repeated;
            (*last, *text) = (line, error);
        }
    }
    for (driver, (count, line, error)) in failures {
        let present = line.at.is_some_and(|at| now.duration_since(at).as_secs() <= PRESENT_SECONDS);
        if count < OFTEN || !present {
            continue;
        }
        let summary =
            format!("the log driver {driver} on {} could not deliver {count} messages: {error}", host.name);
        // The line itself quotes what the container wrote.
        let mut evidence = Evidence::log(log, line);
        if let Evidence::Line { text, .. } = &mut evidence {
            *text = format!("{driver}: {error}");
        }
        out.report(Subject::Node(host.name.clone()), summary, evidence).remedy(Remedy {
            title: format!("Restore the server of the log driver {driver}").into(),
            risk: Risk::Manual,
            impact: "Setting another log driver or mode restarts the tasks of the service.".into(),
            steps: vec![Step::Manual {
                node: host.name.clone().into(),
                text: "check that the server of the log driver answers; then set the mode non-blocking for the services".into(),
                commands: vec![
                    "docker ps --quiet | xargs docker inspect --format '{{.Name}} {{json .HostConfig.LogConfig}}'".into(),
                    format!(
                        "docker service update --log-driver {driver} --log-opt mode=non-blocking --log-opt max-buffer-size=4m SERVICE"
                    ),
                ],
            }],
        });
    }
    Ok(())
}

/// The driver and its error, in a line about a message that could not be delivered: `Failed to log msg "..." for logger
/// gelf: ...`, or from 20.10 on `Error writing log message` with the fields `driver` and `error`.
fn failure(line: &Line) -> Option<(String, String)> {
    let plain = |text: &str| text.chars().all(|char| char.is_ascii_alphanumeric() || "-_.".contains(char));
    let (driver, error) = if line.message.starts_with("Failed to log msg ") {
        let (driver, error) = line.message.rsplit_once(" for logger ")?.1.split_once(": ")?;
        (driver.to_owned(), error.to_owned())
    } else if line.message == "Error writing log message" {
        (line.fields.get("driver")?.clone(), line.error().to_owned())
    } else {
        return None;
    };
    (plain(&driver) && !driver.is_empty()).then_some((driver, error))
}
