use super::exit_reason::{is_exit_message, is_ready};
use super::known_errors::{Known, is_failure, known};
use crate::{Evidence, Finding, Findings, Judged, Remedy, Risk, Severity, Step, Str, Subject, View};
use facts::log::{Level, Line, Log, Program};
use facts::{Host, Seen, SignedDuration, Timestamp};
use std::collections::BTreeMap;

check! {
    /// dockerd logged errors that no check explains.
    ///
    /// ## Why it matters
    /// The doctor has checks for the failures it knows. An error line of dockerd that belongs to none of them may be a
    /// failure that it does not know, such as a published port that another process holds, or a network left behind by a
    /// reboot that keeps tasks from starting.
    ///
    /// ## How to fix it
    /// Read the lines, each with the number of times it was logged, and search for their text. Lines that repeat and are
    /// recent matter most.
    ///
    /// ## When it is wrong
    /// When the line has no consequence. Errors of connections and of tasks, and errors that were logged once or twice, are left out a
    /// minute after the last line. Lines that healthy engines write are left out by the table in
    /// `checks/engine/known_errors.rs`.
    ///
    /// Source: moby and swarmkit at 17.03 to 29 (`Errorf` and `Fatalf` calls).
    "engine/unexplained-errors": Info, "dockerd logged errors that no check explains";
    healthy "every error in the engine log is explained";
    needs EngineLog;
    for each Remaining: run
}

/// Checks whose findings explain no errors of dockerd but those that they quote.
const EXPLAIN_NOTHING: &[&str] = &[
    "host/ipvs-missing",
    "host/port-range-overlap",
    "host/firewall-drops-access",
    "engine/known-regression",
    "engine/version-skew",
    "engine/api-exposed",
    "engine/api-version-too-old",
];

/// Parts of the errors of a connection that could not be made or ended early.
const CONNECTION: &[&str] = &[
    "i/o timeout",
    "connection refused",
    "connection reset by peer",
    "connection error",
    "connection timed out",
    "no route to host",
    "network is unreachable",
    "transport is closing",
    "error reading from server",
    "error reading server preface",
    "code = Unavailable",
    "code = DeadlineExceeded",
    "context deadline exceeded",
    "does not have a leader",
    "no elected cluster leader",
    "not leader",
    "leadership lost",
];

/// How many times a line has to be written within [`OFTEN_WITHIN`] to count as repeated.
const OFTEN: u32 = 3;
const OFTEN_WITHIN: SignedDuration = SignedDuration::from_mins(30);
/// How long a line has to be repeated: a race while services and networks change is over sooner.
const LASTING: SignedDuration = SignedDuration::from_secs(60);
/// The age up to which a repeated error is a present failure.
const RECENT: SignedDuration = SignedDuration::from_mins(10);
/// How long after its last line an error is over that repeats while its cause lasts, as a connection is tried and a rejected
/// task replaced every few seconds, or that was not repeated: engines log races while services and networks change.
const OVER: SignedDuration = SignedDuration::from_secs(60);
/// The message of a task that the engine rejects.
const TASK: &str = "fatal task error";
/// The most groups that are quoted.
const QUOTED: usize = 8;

/// Error lines with the same shape.
struct Group<'a> {
    last: &'a Line,
    first_at: Option<Timestamp>,
    count: u32,
    /// The most that were written within [`OFTEN_WITHIN`] of the last one.
    recent: u32,
    /// When the first of these was written.
    recent_since: Option<Timestamp>,
    fatal: bool,
}

impl Group<'_> {
    /// Whether the line was repeated over some time.
    fn lasts(&self) -> bool {
        let span = self.last.at.zip(self.recent_since).map(|(last, since)| last.duration_since(since));
        self.recent >= OFTEN && span.is_none_or(|span| span >= LASTING)
    }
}

fn run(host: &Host, view: &View<'_>, found: &[Finding], out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    let explained = quoted_shapes(found);
    let mut groups: BTreeMap<String, Group<'_>> = BTreeMap::new();
    let failed = failed_starts(log);
    let lines = log.lines.iter().enumerate().filter(|(at, _)| !failed.iter().any(|range| range.contains(at)));
    for line in lines.map(|(_, line)| line).filter(|line| is_error(line)) {
        let known = known(&line.message, line.error());
        if matches!(known, Some(Known::Routine | Known::JudgedBy(_))) {
            continue;
        }
        let shape = shape_of(line);
        if explained.contains(&shape) || explained.contains(&shape_of_text(&line.message)) {
            continue;
        }
        let group = groups.entry(shape).or_insert(Group {
            last: line,
            first_at: line.at,
            count: 0,
            recent: 0,
            recent_since: None,
            fatal: false,
        });
        group.last = line;
        group.count += line.repeated;
        group.fatal |= matches!(line.level, Level::Fatal | Level::Panic);
    }
    count_recent(log, &mut groups);
    let end = log.ends.unwrap_or(view.snapshot.taken);
    groups.retain(|_, group| {
        let passing = is_of_connection(group.last) || group.last.message == TASK || group.recent < OFTEN;
        if passing && !group.fatal && group.last.at.is_some_and(|at| end.duration_since(at) > OVER) {
            return false;
        }
        let routine = known(&group.last.message, group.last.error()) == Some(Known::RoutineUnlessRepeated);
        !routine || group.lasts()
    });
    let (connections, others): (Vec<_>, Vec<_>) =
        groups.into_values().partition(|group| is_of_connection(group.last));
    let now = view.snapshot.taken;
    let (of_connections, of_others) = (causes(host, found, true), causes(host, found, false));
    if of_connections == of_others {
        let all = connections.into_iter().chain(others).collect();
        report(host, log, now, all, of_others, out);
    } else {
        report(host, log, now, connections, of_connections, out);
        report(host, log, now, others, of_others, out);
    }
    Log::gap_since(log, None)
}

/// The checks with a finding on this node that may be the cause of its errors, the worst first. A warning about the whole
/// swarm says nothing about a node, and a service without tasks is no reason for a connection that fails.
fn causes(host: &Host, found: &[Finding], of_connection: bool) -> Vec<Str> {
    let node = Subject::Node(host.name.clone());
    let explains = |one: &&Finding| {
        let severe = if one.subject == Subject::Cluster { Severity::Error } else { Severity::Warning };
        let fits = match one.check.split('/').next() {
            Some("dns" | "apps" | "stack") => false,
            Some("service") => !of_connection,
            _ => true,
        };
        fits && one.severity >= severe
            && one.affected_by(&node)
            && !EXPLAIN_NOTHING.contains(&one.check.as_ref())
    };
    let mut causes: Vec<&Finding> = found.iter().filter(explains).collect();
    causes.sort_by_key(|one| (std::cmp::Reverse(one.severity), std::cmp::Reverse(one.confidence)));
    let mut checks: Vec<Str> = Vec::new();
    for one in causes {
        if !checks.contains(&one.check) {
            checks.push(one.check.clone());
        }
    }
    checks
}

/// Whether an error is about a connection to another node. What a rejected task could not connect to is no node.
fn is_of_connection(line: &Line) -> bool {
    line.message != TASK
        && CONNECTION.iter().any(|part| line.message.contains(part) || line.error().contains(part))
}

/// An error of the running or a former dockerd. The message with which it exits is judged by `engine/unreachable`.
fn is_error(line: &Line) -> bool {
    let failure = || line.level == Level::Warning && is_failure(&line.message, line.error());
    line.program == Program::Engine && (line.level >= Level::Error || failure())
}

/// The lines of each start that failed, with the message of its exit: while the engine is down, `engine/unreachable` reports
/// it, and a later start supersedes it.
fn failed_starts(log: &Log) -> Vec<std::ops::RangeInclusive<usize>> {
    let mut failed = Vec::new();
    let mut start = None;
    for (at, line) in log.lines.iter().enumerate().filter(|(_, line)| line.program == Program::Engine) {
        if line.message.contains("Starting up") {
            start = Some(at);
        } else if is_ready(line) {
            start = None;
        } else if is_exit_message(line)
            && let Some(start) = start.take()
        {
            failed.push(start..=at);
        }
    }
    failed
}

fn count_recent(log: &Log, groups: &mut BTreeMap<String, Group<'_>>) {
    for line in log.lines.iter().filter(|line| is_error(line)) {
        if let Some(group) = groups.get_mut(&shape_of(line)) {
            let since = group.last.at.zip(line.at).map(|(last, at)| last.duration_since(at));
            if since.is_none_or(|since| since <= OFTEN_WITHIN) {
                group.recent += line.repeated;
                group.recent_since = group.recent_since.or(line.at);
            }
        }
    }
}

/// Reports the groups, if there are any, with the checks that may have found their cause.
fn report(
    host: &Host,
    log: &Seen<Log>,
    now: Timestamp,
    mut groups: Vec<Group<'_>>,
    causes: Vec<Str>,
    out: &mut Findings<'_>,
) {
    groups.sort_by_key(|group| (!group.fatal, std::cmp::Reverse(group.recent), group.last.at));
    let Some(worst) = groups.first() else { return };
    let lines: u32 = groups.iter().map(|group| group.count).sum();
    let kinds = match groups.len() {
        1 => "1 kind of error".to_owned(),
        count => format!("{count} kinds of errors"),
    };
    let count = if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") };
    let summary = format!("dockerd logged {kinds} that no check explains ({count}): {}", text_of(worst.last));
    let present = groups.iter().any(|group| {
        let age = group.last.at.map(|at| now.duration_since(at));
        let recent = age.is_some_and(|age| age <= RECENT);
        recent && (group.fatal || group.lasts())
    });
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, worst.last));
    for (at, group) in groups.iter().take(QUOTED).enumerate() {
        if at > 0 {
            finding.with(Evidence::log(log, group.last));
        }
        finding.with(Evidence::value(log, times(group)));
    }
    if present {
        finding.severity(Severity::Warning);
    }
    finding.remedy(Remedy {
        title: "Read the error lines of dockerd".into(),
        risk: Risk::Manual,
        impact: "Nothing is changed.".into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text: "read them in context, and search for their text in the issues of moby/moby".into(),
            commands: vec![
                "journalctl -u docker --since '1 hour ago' | grep -E 'level=(error|fatal)'".into(),
            ],
        }],
    });
    finding.caused_by(causes);
}

fn times(group: &Group<'_>) -> String {
    let at = |at: Option<Timestamp>| match at {
        Some(at) => at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        None => "an unknown time".to_owned(),
    };
    if group.count == 1 {
        return format!("1 line at {}", at(group.last.at));
    }
    format!("{} lines between {} and {}", group.count, at(group.first_at), at(group.last.at))
}

/// The message with its error.
fn text_of(line: &Line) -> String {
    match line.error() {
        "" => line.message.clone(),
        error => format!("{}: {error}", line.message),
    }
}

/// The shapes of the log lines that findings quote.
fn quoted_shapes(found: &[Finding]) -> std::collections::BTreeSet<String> {
    let quoted = found.iter().flat_map(|finding| finding.evidence());
    let text = |evidence: &Evidence| match evidence {
        Evidence::Line { text, .. } => Some(shape_of_text(text)),
        Evidence::Value { .. } | Evidence::Absent { .. } => None,
    };
    quoted.filter_map(text).collect()
}

fn shape_of(line: &Line) -> String {
    shape_of_text(&text_of(line))
}

/// The text without what differs between lines of one kind: numbers, ids, addresses and quoted names.
fn shape_of_text(text: &str) -> String {
    let is_id = |word: &str| {
        word.chars().any(|char| char.is_ascii_digit())
            || (word.len() >= 12 && word.chars().all(|char| char.is_ascii_hexdigit()))
            || (word.len() == 25 && word.chars().all(|char| char.is_ascii_lowercase()))
    };
    let separator = |char: char| !(char.is_alphanumeric() || "._-/".contains(char));
    let mut shape = String::with_capacity(text.len());
    for piece in text.split_inclusive(separator) {
        let word = piece.trim_end_matches(separator);
        shape.push_str(if is_id(word) { "#" } else { word });
        shape.push_str(&piece[word.len()..]);
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::{EXPLAIN_NOTHING, shape_of_text};

    #[test]
    fn the_checks_that_explain_nothing_exist() {
        for check in EXPLAIN_NOTHING {
            assert!(crate::built_in().any(|one| one.meta.id == *check), "{check} is no check");
        }
    }

    #[test]
    fn lines_of_one_kind_have_one_shape() {
        let one =
            shape_of_text("Unable to find load balancing endpoint for network vjrcul84jad0towquium5w50x");
        let other =
            shape_of_text("Unable to find load balancing endpoint for network q2vdtc7m0q9yx3rkbs2h6nn1f");
        assert_eq!(one, other);
        let of = |id: &str| shape_of_text(&format!("fatal task error: network {id} exists"));
        assert_eq!(of("b85d4d7307f6"), of("q2vdtc7m0q9yx3rkbs2h6nn1f"));
        assert_ne!(shape_of_text("network web exists"), shape_of_text("volume web exists"));
    }
}
