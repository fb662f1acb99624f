use super::directives::{NEWEST, closest, directive, equally_close, flattened, known};
use super::exit_reason::exit_message;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::engine::{DaemonJson, Process};
use facts::log::Line;
use facts::{Host, Seen};

check! {
    /// `daemon.json` is valid JSON and contains options that dockerd rejects.
    ///
    /// ## Why it matters
    /// One unknown key, one value of the wrong type, or one option that is set in the file and as a flag: dockerd exits at
    /// startup with "unable to configure the Docker daemon with file". An engine that was running when the file was changed
    /// keeps running, and fails at its next start.
    ///
    /// ## How to fix it
    /// Correct or remove the key. An option that is set in both places has to be removed from one: the systemd unit usually
    /// has `-H fd://`, so `hosts` in the file needs a drop-in whose `ExecStart` has no `-H`.
    ///
    /// ## When it is wrong
    /// When the engine is newer than this doctor and knows the key; the confidence is low then. An engine that was started
    /// after the file was last written has accepted it, and there is no finding.
    ///
    /// Source: moby `daemon/config/config.go`, `findConfigurationConflicts`.
    "engine/daemon-json-refused": Error, "daemon.json has options that dockerd rejects";
    healthy "daemon.json has only options that dockerd accepts";
    needs DaemonJson, EngineProcess, EngineLog, Version;
    caused_by "engine/daemon-json-malformed";
    for each Host: run
}

/// What to do about an unknown key.
const REMOVE: &str = "remove the key";

/// A key that dockerd rejects, and why.
struct Refusal {
    key: String,
    what: String,
    advice: String,
    confidence: Confidence,
    /// The correction, if only one is possible: JSON pointers with new values, or `None` for keys to remove.
    edits: Vec<(String, Option<String>)>,
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let seen = host.daemon_json.get()?;
    let Some(file) = &seen.value else { return Ok(()) };
    let Ok(config) = &file.parsed else { return Ok(()) };
    let engine = host.engine.get();
    if engine.as_ref().is_ok_and(|engine| engine.accepted(file)) {
        return Ok(());
    }
    let process = engine.as_ref().ok().and_then(|engine| engine.running());
    let exited = match process {
        Some(_) => None,
        None => host
            .log
            .get()
            .ok()
            .and_then(|log| Some((log, exit_message(log).filter(|line| is_refusal(line))?))),
    };
    let version = host.version.get().ok().and_then(|version| version.engine.split('.').next()?.parse().ok());
    let mut refusals = Vec::new();
    for (key, value) in flattened(config) {
        refusals.extend(refusal(key, value, config, version, process));
    }
    if let Some(confidence) = refusals.iter().map(|refusal| refusal.confidence).max() {
        let line = |refusal: &Refusal| file.text.line_of_key(&refusal.key);
        let one = |refusal: &Refusal| match line(refusal) {
            Some(line) => format!("line {line}: {}", refusal.what),
            None => refusal.what.clone(),
        };
        let all = refusals.iter().map(one).collect::<Vec<_>>().join("; ");
        let effect = if process.is_some() { "the engine will fail at its next start: " } else { "" };
        let summary = format!("{effect}{}, {all}", file.path);
        let mut quotes = refusals.iter().map(|refusal| quote(seen, file, &refusal.key, line(refusal)));
        let Some(first) = quotes.next() else { return Ok(()) };
        let finding = out.report(Subject::Node(host.name.clone()), summary, first);
        for quote in quotes {
            finding.with(quote);
        }
        finding.confidence(confidence);
        if confidence == Confidence::Low {
            finding.severity(Severity::Warning);
        }
        if let (Some(process), Ok(engine)) = (process, &engine) {
            let shown = format!("dockerd pid {} was started before the file was written", process.pid);
            finding.with(Evidence::value(engine, shown));
        }
        if let Some((log, line)) = exited {
            finding.confidence(Confidence::High).with(Evidence::log(log, line));
        }
        let advice = refusals.iter().map(|refusal| refusal.advice.as_str()).collect::<Vec<_>>().join("; ");
        // dockerd counts a key inside a group as one of the file; a pointer to it would differ.
        let editable = |refusal: &Refusal| !refusal.edits.is_empty() && config.contains_key(&refusal.key);
        let editable = refusals.iter().all(editable);
        let edits =
            refusals.into_iter().filter(|_| editable).flat_map(|refusal| refusal.edits).collect::<Vec<_>>();
        finding.remedy(remedy(host, file, &advice, edits, process.is_some()));
        return Ok(());
    }
    // Errors that no table has, such as an unknown log level, are in the last message of dockerd.
    if let Some((log, line)) = exited
        && refusals.is_empty()
        && !changed_since(file, line)
    {
        let message = line
            .message
            .split_once(&format!("{}: ", file.path))
            .map_or(line.message.as_str(), |(_, message)| message);
        let summary = format!("dockerd exited because of {}: {message}", file.path);
        out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, line)).remedy(remedy(
            host,
            file,
            "correct what the message of dockerd names",
            Vec::new(),
            false,
        ));
    }
    if refusals.is_empty() && !config.is_empty() && engine?.running().is_none() {
        host.log.get()?;
    }
    Ok(())
}

/// Whether the file was changed after a line about it; stamps of syslog have whole seconds only.
fn changed_since(file: &DaemonJson, line: &Line) -> bool {
    file.written.zip(line.at).is_some_and(|(written, at)| written.duration_since(at).as_secs_f64() > 1.5)
}

fn is_refusal(line: &Line) -> bool {
    line.message.contains("unable to configure the Docker daemon with file")
}

/// Why dockerd rejects a key with its value, if it does.
fn refusal(
    key: &str,
    value: &serde_json::Value,
    config: &serde_json::Map<String, serde_json::Value>,
    version: Option<u16>,
    process: Option<&Process>,
) -> Option<Refusal> {
    let refused = |what: String, advice: String, confidence, edits| {
        Some(Refusal { key: key.to_owned(), what, advice, confidence, edits })
    };
    let remove = || vec![(pointer(key), None)];
    let unknown = || format!("\"{key}\" is not an option of dockerd");
    let Some(directive) = directive(key) else {
        if known(key) {
            return None;
        }
        let (what, advice, edits) = match closest(key) {
            Some(closest) => (
                format!("{}; did you mean \"{closest}\"?", unknown()),
                format!("rename it to \"{closest}\", or remove it"),
                renamed(key, value, closest, config, version),
            ),
            None => (unknown(), REMOVE.to_owned(), remove()),
        };
        // A newer engine may have options that this table lacks.
        let confidence =
            if version.is_some_and(|major| major > NEWEST) { Confidence::Low } else { Confidence::Medium };
        return refused(what, advice, confidence, edits);
    };
    if let Some(major) = version.filter(|major| *major < directive.since || *major >= directive.until) {
        let when = if major < directive.since {
            format!("it was added in {}", directive.since)
        } else {
            format!("it was removed in {}", directive.until)
        };
        let what = format!("dockerd {major} does not have the option \"{key}\": {when}");
        return refused(what, REMOVE.to_owned(), Confidence::Medium, remove());
    }
    if let Some(wanted) = directive.kind.rejects(value) {
        let what = format!("\"{key}\" must be {wanted}, and is {value}");
        let edits = directive.kind.corrected(value).into_iter();
        let edits = edits.map(|(suffix, to)| (pointer(key) + &suffix, Some(to.to_string()))).collect();
        return refused(what, format!("make it {wanted}"), Confidence::Medium, edits);
    }
    // dockerd merges the runtimes of both places.
    let flag = process.filter(|_| key != "runtimes").and_then(|process| flag_of(process, directive.flag));
    let flag = flag?;
    // With the same value in both places the key in the file is redundant.
    let same = process.and_then(|process| process.flag(directive.flag)) == Some(flag_value(value).as_str());
    let what = format!(
        "\"{key}\" is set in the file and as the flag {flag} of dockerd, which accepts only one of them"
    );
    refused(
        what,
        format!("remove \"{key}\" from the file, or {flag} from the unit that starts dockerd"),
        Confidence::Medium,
        if same && !value.is_array() { remove() } else { Vec::new() },
    )
}

/// Renames a key to the closest option, if its value fits that option and the option is not set.
fn renamed(
    key: &str,
    value: &serde_json::Value,
    closest: &'static str,
    config: &serde_json::Map<String, serde_json::Value>,
    version: Option<u16>,
) -> Vec<(String, Option<String>)> {
    let fits = directive(closest).is_some_and(|directive| {
        directive.kind.rejects(value).is_none()
            && match version {
                Some(major) => (directive.since..directive.until).contains(&major),
                // The version of an engine that does not run is unknown.
                None => directive.is_in_every_version(),
            }
    });
    // Live restore would keep the engine of a swarm node from starting.
    let worse = closest == "live-restore" && *value == true;
    if !fits || worse || config.contains_key(closest) || equally_close(key) != 1 {
        return Vec::new();
    }
    vec![(pointer(key), None), (pointer(closest), Some(value.to_string()))]
}

fn pointer(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn flag_value(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The flag as it is in the arguments of dockerd.
fn flag_of(process: &Process, flag: &str) -> Option<String> {
    let short = match flag {
        "host" => "-H",
        "debug" => "-D",
        "log-level" => "-l",
        "group" => "-G",
        "bridge" => "-b",
        "graph" => "-g",
        _ => "",
    };
    let long = format!("--{flag}");
    let mut args = process.args.iter().skip(1);
    while let Some(arg) = args.next() {
        let is_short = !short.is_empty() && arg.starts_with(short) && !arg.starts_with("--");
        let is_long = arg.strip_prefix(&long).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
        if is_long || is_short {
            let alone = *arg == long || arg == short;
            let value = args.next().filter(|value| alone && !value.starts_with('-'));
            return Some(value.map_or_else(|| arg.clone(), |value| format!("{arg} {value}")));
        }
    }
    None
}

fn quote(seen: &Seen<Option<DaemonJson>>, file: &DaemonJson, key: &str, line: Option<u32>) -> Evidence {
    match line {
        Some(line) => Evidence::line(seen, line, file.text.line(line).unwrap_or_default().trim()),
        None => Evidence::value(seen, format!("\"{key}\"")),
    }
}

/// The edits, or the advice for a person where not every key can be edited.
fn remedy(
    host: &Host,
    file: &DaemonJson,
    advice: &str,
    edits: Vec<(String, Option<String>)>,
    alive: bool,
) -> Remedy {
    let start = if alive {
        ("validate it with dockerd (23.0 and later)", "dockerd --validate".to_owned())
    } else {
        ("start the engine", host.engine_service().command("start"))
    };
    let by_hand = vec![
        Step::Manual {
            node: host.name.clone().into(),
            text: format!("in {}: {advice}", file.path),
            commands: vec!["systemctl cat docker".into()],
        },
        Step::Manual { node: host.name.clone().into(), text: start.0.into(), commands: vec![start.1] },
    ];
    let edit = |(pointer, to): (String, Option<String>)| Step::EditJson {
        node: host.name.clone().into(),
        file: file.path.clone(),
        pointer,
        to,
    };
    let by_hand = if edits.is_empty() { by_hand } else { Vec::new() };
    let mut out: Vec<Step> = edits.into_iter().map(edit).collect();
    out.extend((!alive).then(|| Step::StartEngine { node: host.name.clone().into() }));
    Remedy {
        title: "Correct the options in daemon.json".into(),
        risk: Risk::Safe,
        impact: "None until the engine is started; a running engine keeps its configuration.".into(),
        steps: if by_hand.is_empty() { out } else { by_hand },
    }
}

#[cfg(test)]
mod tests {
    use super::flag_of;
    use facts::engine::Process;

    #[test]
    fn finds_a_flag_in_each_of_its_forms() {
        let process = |args: &[&str]| Process {
            args: ["dockerd"].iter().chain(args).map(|arg| (*arg).to_owned()).collect(),
            ..Process::default()
        };
        assert_eq!(flag_of(&process(&["-H", "fd://"]), "host").as_deref(), Some("-H fd://"));
        assert_eq!(flag_of(&process(&["-Hfd://"]), "host").as_deref(), Some("-Hfd://"));
        assert_eq!(flag_of(&process(&["--host=fd://"]), "host").as_deref(), Some("--host=fd://"));
        assert_eq!(flag_of(&process(&["--debug", "--log-level=info"]), "debug").as_deref(), Some("--debug"));
        assert_eq!(flag_of(&process(&["--hosting"]), "host"), None);
    }
}
