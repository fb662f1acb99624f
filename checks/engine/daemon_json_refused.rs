use super::directives::{NEWEST, alike, directive, flattened, known, meant};
use super::ending::last_words;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::engine::{DaemonJson, Process};
use facts::log::Line;
use facts::{Host, Seen};

check! {
    /// dockerd does not accept what `daemon.json` says, though it is good JSON.
    ///
    /// ## Why it matters
    /// One key that dockerd does not know, one value of another kind than it wants, one option that stands in the
    /// file and on its command line as well, and dockerd ends at once with "unable to configure the Docker daemon
    /// with file". An engine that was running when the file was changed goes on, and does not come back from its
    /// next start.
    ///
    /// ## How to fix it
    /// Correct or remove the key. An option that stands in both places has to go from one of them: systemd's unit
    /// mostly says `-H fd://`, so that `hosts` in the file needs a drop-in whose `ExecStart` has no `-H`.
    ///
    /// ## When it is wrong
    /// When the engine is newer than this doctor and knows a key that it does not; the finding says less then. A
    /// running engine that was started after the file was last written has accepted it, and nothing is said.
    ///
    /// Source: moby `daemon/config/config.go`, `findConfigurationConflicts`.
    "engine/daemon-json-refused": Error, "daemon.json says what dockerd does not accept";
    needs DaemonJson, EngineProcess, EngineLog, Version;
    caused_by "engine/daemon-json-malformed";
    for each Host: run
}

/// What there is to do about a key that says nothing to dockerd.
const TAKE_OUT: &str = "take the key out";

/// A key that dockerd does not accept, and why.
struct Refusal {
    key: String,
    what: String,
    advice: String,
    confidence: Confidence,
    /// What corrects it, where only one thing can: pointers with their new values, or without for keys to remove.
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
    let dying = match process {
        Some(_) => None,
        None => {
            host.log.get().ok().and_then(|log| Some((log, last_words(log).filter(|line| is_refusal(line))?)))
        }
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
        let fate = if process.is_some() { "the engine will not survive its next start: " } else { "" };
        let summary = format!("{fate}{}, {all}", file.path);
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
        if let Some((log, line)) = dying {
            finding.confidence(Confidence::High).with(Evidence::log(log, line));
        }
        let advice = refusals.iter().map(|refusal| refusal.advice.as_str()).collect::<Vec<_>>().join("; ");
        // A key inside a group counts as one of the file, and stands elsewhere.
        let sure = |refusal: &Refusal| !refusal.edits.is_empty() && config.contains_key(&refusal.key);
        let sure = refusals.iter().all(sure);
        let edits =
            refusals.into_iter().filter(|_| sure).flat_map(|refusal| refusal.edits).collect::<Vec<_>>();
        finding.remedy(remedy(host, file, &advice, edits, process.is_some()));
        return Ok(());
    }
    // What no table tells of, such as a log level that does not exist, dockerd says itself.
    if let Some((log, line)) = dying
        && refusals.is_empty()
        && !changed_since(file, line)
    {
        let said = line
            .message
            .split_once(&format!("{}: ", file.path))
            .map_or(line.message.as_str(), |(_, said)| said);
        let summary = format!("dockerd ended of {}: {said}", file.path);
        out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, line)).remedy(remedy(
            host,
            file,
            "correct what dockerd complains of",
            Vec::new(),
            false,
        ));
    }
    if refusals.is_empty() && !config.is_empty() && engine?.running().is_none() {
        host.log.get()?;
    }
    Ok(())
}

/// Whether the file was changed after a line about it; the stamps of syslog are cut to whole seconds.
fn changed_since(file: &DaemonJson, line: &Line) -> bool {
    file.written.zip(line.at).is_some_and(|(written, at)| written.duration_since(at).as_secs_f64() > 1.5)
}

fn is_refusal(line: &Line) -> bool {
    line.message.contains("unable to configure the Docker daemon with file")
}

/// Why dockerd does not accept a key with its value, if so.
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
    let take_out = || vec![(pointer(key), None)];
    let unknown = || format!("dockerd knows no directive \"{key}\"");
    let Some(directive) = directive(key) else {
        if known(key) {
            return None;
        }
        let (what, advice, edits) = match meant(key) {
            Some(meant) => (
                format!("{}; did you mean \"{meant}\"?", unknown()),
                format!("write \"{meant}\", or take the key out"),
                renamed(key, value, meant, config, version),
            ),
            None => (unknown(), TAKE_OUT.to_owned(), take_out()),
        };
        // A newer engine may know more than this table.
        let confidence =
            if version.is_some_and(|major| major > NEWEST) { Confidence::Low } else { Confidence::Medium };
        return refused(what, advice, confidence, edits);
    };
    if let Some(major) = version.filter(|major| *major < directive.since || *major >= directive.until) {
        let when = if major < directive.since {
            format!("it came with {}", directive.since)
        } else {
            format!("it was taken out in {}", directive.until)
        };
        let what = format!("dockerd {major} does not know the directive \"{key}\": {when}");
        return refused(what, TAKE_OUT.to_owned(), Confidence::Medium, take_out());
    }
    if let Some(wanted) = directive.kind.refuses(value) {
        let what = format!("\"{key}\" has to be {wanted}, and is {value}");
        let edits = directive.kind.mended(value).into_iter();
        let edits = edits.map(|(below, to)| (pointer(key) + &below, Some(to.to_string()))).collect();
        return refused(what, format!("make it {wanted}"), Confidence::Medium, edits);
    }
    // Runtimes of both places are taken together.
    let given = process.filter(|_| key != "runtimes").and_then(|process| given(process, directive.flag));
    let given = given?;
    // What both say alike is said once without the file.
    let same = process.and_then(|process| process.flag(directive.flag)) == Some(spoken(value).as_str());
    let what = format!(
        "\"{key}\" stands in the file and as {given} on the command line of dockerd, which takes only one"
    );
    refused(
        what,
        format!("take \"{key}\" out of the file, or {given} out of the unit that starts dockerd"),
        Confidence::Medium,
        if same && !value.is_array() { take_out() } else { Vec::new() },
    )
}

/// The key under the name that was meant, where its value fits there and nothing else stands there.
fn renamed(
    key: &str,
    value: &serde_json::Value,
    meant: &'static str,
    config: &serde_json::Map<String, serde_json::Value>,
    version: Option<u16>,
) -> Vec<(String, Option<String>)> {
    let fits = directive(meant).is_some_and(|directive| {
        directive.kind.refuses(value).is_none()
            && match version {
                Some(major) => (directive.since..directive.until).contains(&major),
                // An engine that is dead does not tell which it was.
                None => directive.is_ageless(),
            }
    });
    // What would stop the engine of a swarm is no mend.
    let worse = meant == "live-restore" && *value == true;
    if !fits || worse || config.contains_key(meant) || alike(key) != 1 {
        return Vec::new();
    }
    vec![(pointer(key), None), (pointer(meant), Some(value.to_string()))]
}

fn pointer(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn spoken(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The flag as it was given to dockerd.
fn given(process: &Process, flag: &str) -> Option<String> {
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

/// What to do; `keys` are those that only have to go, where that is all there is to do.
fn remedy(
    host: &Host,
    file: &DaemonJson,
    advice: &str,
    edits: Vec<(String, Option<String>)>,
    alive: bool,
) -> Remedy {
    let start = if alive {
        (
            "see that dockerd accepts it before the engine is next started (23.0 and later)",
            "dockerd --validate",
        )
    } else {
        ("start the engine", "systemctl start docker")
    };
    let by_hand = vec![
        Step::Manual {
            node: host.name.clone(),
            text: format!("in {}: {advice}", file.path),
            commands: vec!["systemctl cat docker".into()],
        },
        Step::Manual { node: host.name.clone(), text: start.0.into(), commands: vec![start.1.into()] },
    ];
    let edit = |(pointer, to): (String, Option<String>)| Step::EditJson {
        node: host.name.clone(),
        file: file.path.clone(),
        pointer,
        to,
    };
    let by_hand = if edits.is_empty() { by_hand } else { Vec::new() };
    let mut out: Vec<Step> = edits.into_iter().map(edit).collect();
    out.extend((!alive).then(|| Step::StartEngine { node: host.name.clone() }));
    Remedy {
        title: "Correct daemon.json".into(),
        risk: Risk::Safe,
        impact: "nothing until the engine is started; an engine that runs keeps its old configuration".into(),
        steps: if by_hand.is_empty() { out } else { by_hand },
    }
}

#[cfg(test)]
mod tests {
    use super::given;
    use facts::engine::Process;

    #[test]
    fn finds_a_flag_in_each_of_its_forms() {
        let process = |args: &[&str]| Process {
            args: ["dockerd"].iter().chain(args).map(|arg| (*arg).to_owned()).collect(),
            ..Process::default()
        };
        assert_eq!(given(&process(&["-H", "fd://"]), "host").as_deref(), Some("-H fd://"));
        assert_eq!(given(&process(&["-Hfd://"]), "host").as_deref(), Some("-Hfd://"));
        assert_eq!(given(&process(&["--host=fd://"]), "host").as_deref(), Some("--host=fd://"));
        assert_eq!(given(&process(&["--debug", "--log-level=info"]), "debug").as_deref(), Some("--debug"));
        assert_eq!(given(&process(&["--hosting"]), "host"), None);
    }
}
