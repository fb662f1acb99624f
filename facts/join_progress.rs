//! How far a node got in joining a swarm, from the log of its engine: the steps that were logged and the one that is
//! missing.
//!
//! Engine versions log different steps. A step counts as missing only if this generation of engines always logs it. The
//! generation is determined from the log lines.

use crate::log::{Line, Log};

/// A step of a join, in the order in which they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The engine received the API request to join.
    Started,
    /// The engine requested its certificate.
    CertificateRequested,
    /// The engine received its certificate.
    CertificateReceived,
    /// The agent selected a manager for its session.
    ManagerSelected,
    /// The manager sent its first session message, with the data-path port.
    VxlanConfigured,
    /// The gossip keys arrived and the libnetwork agent started.
    AgentStarted,
    /// memberlist listens.
    GossipStarted,
}

/// The steps that one generation of engines logs.
struct Generation {
    /// Each step with the prefix of its log line.
    steps: &'static [(Step, &'static str)],
}

/// Since 1.12: the engine logs the steps of its certificate. Only Red Hat's builds log `{Action=join,`.
static SINCE_1_12: Generation = Generation {
    steps: &[
        (Step::Started, "{Action=join,"),
        (Step::CertificateRequested, "Waiting for TLS certificate to be issued"),
        (Step::CertificateReceived, "Downloaded new TLS credentials"),
        (Step::AgentStarted, "Initializing Libnetwork Agent"),
        (Step::GossipStarted, "Gossip cluster hostname"),
    ],
};

/// Since 17.06: the engine logs gossip; its manager since 18.03, VXLAN since 19.03. The agent selects a manager again
/// when its session fails, and a log may start after that. For this reason the periodic lines of gossip count as well.
static SINCE_17_06: Generation = Generation {
    steps: &[
        (Step::ManagerSelected, "waiting 0s before registering session"),
        (Step::VxlanConfigured, "initialized VXLAN UDP port"),
        (Step::AgentStarted, "Initializing Libnetwork Agent"),
        (Step::GossipStarted, "New memberlist node"),
        (Step::GossipStarted, "NetworkDB stats "),
        (Step::GossipStarted, "memberlist: "),
    ],
};

/// The engine starts, leaves the swarm or receives the request to leave: lines before are about an earlier membership.
const RESETS: [&str; 4] = [
    "Starting up",
    "{Action=leave,",
    "shutting down certificate renewal routine",
    "cluster exited with error: context canceled",
];

/// Gossip starts to listen, in the wording of either generation.
const GOSSIP_STARTS: [&str; 2] = ["Gossip cluster hostname", "New memberlist node"];

/// Errors of a join, each with the step that shows recovery from it.
const ERRORS: [(&str, Option<Step>); 12] = [
    ("failed to retrieve remote root CA certificate", Some(Step::ManagerSelected)),
    ("cluster exited with error", Some(Step::ManagerSelected)),
    ("agent: session failed", Some(Step::AgentStarted)),
    ("session message handler failed", Some(Step::AgentStarted)),
    // No log line shows recovery from these: a failed agent stays failed until the engine starts again, and the engine
    // does not log the later creation of a network.
    ("Error in agentInit", None),
    ("error in agentInit", None),
    ("node configure failed", None),
    ("Failed creating ingress", None),
    ("Failed getting ingress network", None),
    ("Failed joining ingress sandbox", None),
    ("Failed enabling service for ingress sandbox", None),
    ("failed to find a load balancer IP to use for network", None),
];

/// The latest attempt to join a swarm.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinProgress<'a> {
    /// The last step that was logged, with its line.
    pub reached: Option<(Step, &'a Line)>,
    /// The next expected step, with the prefix of its log line.
    pub missing: Option<(Step, &'static str)>,
    /// The last error without recovery.
    pub error: Option<&'a Line>,
    /// The API response to the join request was sent; the join is over for the client.
    pub response: Option<&'a Line>,
}

/// The lines since the engine last started or left a swarm.
pub fn since_start(log: &Log) -> &[Line] {
    after(&log.lines, |line| RESETS.iter().any(|words| line.message.starts_with(words)))
}

/// The lines since gossip last started, after the last start of the engine. While gossip stops, it logs errors about nodes
/// that it can no longer reach; these lines are left out.
pub fn since_gossip_start(log: &Log) -> &[Line] {
    let is_start = |line: &Line| GOSSIP_STARTS.iter().any(|words| line.message.starts_with(words));
    after(since_start(log), is_start)
}

fn after(lines: &[Line], is_start: impl Fn(&Line) -> bool) -> &[Line] {
    let start = lines.iter().rposition(is_start).map_or(0, |at| at + 1);
    lines.get(start..).unwrap_or_default()
}

impl<'a> JoinProgress<'a> {
    /// The latest attempt in the log; `None` where the log has none.
    pub fn of(log: &'a Log) -> Option<Self> {
        let lines = since_start(log);
        let logged = |generation: &Generation| lines.iter().any(|line| generation.is_specific(line));
        let generation =
            if logged(&SINCE_1_12) && !logged(&SINCE_17_06) { &SINCE_1_12 } else { &SINCE_17_06 };
        let mut join = Self { reached: None, missing: None, error: None, response: None };
        for line in lines {
            if let Some(step) = generation.step(line) {
                // A failed session starts again, and engines up to 24 log the start of the agent repeatedly.
                let repeated =
                    join.reached.is_some_and(|(reached, _)| step <= reached && step != Step::Started);
                if !repeated {
                    join.reached = Some((step, line));
                }
                if step == Step::Started {
                    join.response = None;
                }
                let recovered =
                    |error: &&Line| recovery(error).flatten().is_some_and(|recovery| step >= recovery);
                join.error = join.error.filter(|error| !recovered(error));
            } else if let Some(recovery) = recovery(line) {
                if recovery == Some(Step::ManagerSelected) {
                    // The node has no certificate: later steps no longer count, although gossip logs while it stops.
                    join.reached = join.reached.filter(|(step, _)| *step <= Step::CertificateRequested);
                }
                join.error = Some(line);
            } else if is_response(line, lines) {
                join.response = Some(line);
            }
        }
        // Older engines log the renewal of their certificate with the lines of a join; no step has to follow.
        if std::ptr::eq(generation, &SINCE_1_12)
            && !lines.iter().any(|line| SINCE_1_12.step(line) == Some(Step::Started))
        {
            join.reached = None;
        }
        let (reached, _) = join.reached.or(join.error.map(|line| (Step::Started, line)))?;
        join.missing = generation.steps.iter().copied().find(|(step, _)| *step > reached);
        if join.missing.is_none() {
            // A session that fails after the join is another problem.
            join.error = join.error.filter(|error| recovery(error) == Some(None));
        }
        Some(join)
    }
}

impl Generation {
    fn step(&self, line: &Line) -> Option<Step> {
        self.steps.iter().find(|(_, words)| line.message.starts_with(words)).map(|(step, _)| *step)
    }

    /// Whether only engines of this generation log this line.
    fn is_specific(&self, line: &Line) -> bool {
        self.step(line).is_some_and(|step| step != Step::AgentStarted)
    }
}

/// Whether a line is an error of a join, and the step that shows recovery from it.
fn recovery(line: &Line) -> Option<Option<Step>> {
    ERRORS.iter().find(|(words, _)| line.message.contains(words)).map(|(_, step)| *step)
}

/// Whether this is Red Hat's log line of the request that the client sends after a join returned: `{Action=<node id>,
/// ... PID=3592}`, after `{Action=join, ... PID=3592}`.
fn is_response(line: &Line, lines: &[Line]) -> bool {
    let call = |line: &Line| {
        let (action, rest) = line.message.strip_prefix("{Action=")?.split_once(',')?;
        Some((action.to_owned(), rest.rsplit_once("PID=")?.1.to_owned()))
    };
    let Some((action, pid)) = call(line) else { return false };
    let is_id = action.len() == 25 && action.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    is_id && lines.iter().filter_map(call).any(|(action, other)| action == "join" && other == pid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::log::{Reading, read};

    fn log(text: &str) -> Log {
        let written = "2026-11-22T22:00:00Z".parse().unwrap();
        read("messages", text, &Reading { written, offset_seconds: 0, since: None })
    }

    /// The last step, the missing one and the error.
    fn outcome(text: &str) -> Option<(Option<Step>, Option<Step>, Option<String>)> {
        let log = log(text);
        let join = JoinProgress::of(&log)?;
        let error = join.error.map(|line| line.message.clone());
        Some((join.reached.map(|(step, _)| step), join.missing.map(|(step, _)| step), error))
    }

    fn lines(messages: &[&str]) -> String {
        let line = |message: &&str| format!("time=\"2026-11-22T21:00:00Z\" level=info msg={message:?}\n");
        messages.iter().map(line).collect()
    }

    const BAD: &str = include_str!("join_progress/1.12-bad");
    const GOOD: &str = include_str!("join_progress/1.12-good");

    #[test]
    fn the_next_expected_step_is_missing() {
        let (reached, missing, error) = outcome(BAD).unwrap();
        assert_eq!((reached, missing), (Some(Step::CertificateReceived), Some(Step::AgentStarted)));
        assert_eq!(error, None);
        let log = log(BAD);
        let response = JoinProgress::of(&log).unwrap().response.unwrap();
        assert!(response.message.starts_with("{Action=01oa7e502xhbsgo7681brbmxn"));
        for (until, missing) in [
            ("waiting 0s before registering session", Step::VxlanConfigured),
            ("initialized VXLAN UDP port to 4789 ", Step::AgentStarted),
            ("Initializing Libnetwork Agent", Step::GossipStarted),
        ] {
            let text = lines(&["Starting up", "waiting 0s before registering session", until]);
            assert_eq!(outcome(&text).unwrap().1, Some(missing), "{until}");
        }
    }

    #[test]
    fn a_complete_join_of_each_engine_has_no_missing_step() {
        let whole = [
            ("1.12", GOOD),
            ("20.10.5", include_str!("join_progress/20.10.5")),
            ("20.10.24", include_str!("join_progress/20.10.24")),
            ("26.1.5", include_str!("join_progress/26.1.5")),
            ("28.5.2", include_str!("join_progress/28.5.2")),
        ];
        for (engine, text) in whole {
            assert_eq!(outcome(text), Some((Some(Step::GossipStarted), None, None)), "{engine}");
        }
        // An earlier failed attempt does not count.
        assert_eq!(outcome(&[BAD, GOOD].concat()), Some((Some(Step::GossipStarted), None, None)));
    }

    #[test]
    fn an_error_stays_until_a_step_shows_recovery() {
        let refused = "failed to retrieve remote root CA certificate";
        let (reached, missing, error) = outcome(&lines(&["Starting up", refused])).unwrap();
        assert_eq!((reached, missing), (None, Some(Step::ManagerSelected)));
        assert_eq!(error.as_deref(), Some(refused));
        let recovered = lines(&[refused, "waiting 0s before registering session"]);
        assert_eq!(outcome(&recovered).unwrap().2, None);
        let broken = lines(&["waiting 0s before registering session", "agent: session failed"]);
        assert_eq!(outcome(&broken).unwrap().2.as_deref(), Some("agent: session failed"));
        let failed = "Failed creating ingress network: network sandbox join failed";
        let late = lines(&["New memberlist node - Node:a", failed, "NetworkDB stats a(b)"]);
        assert_eq!(outcome(&late).unwrap().2.as_deref(), Some(failed));
    }

    #[test]
    fn a_node_that_left_or_never_joined_has_no_progress() {
        assert_eq!(
            outcome(&lines(&["New memberlist node", "shutting down certificate renewal routine"])),
            None
        );
        assert_eq!(outcome(&lines(&["Starting up", "API listen on /run/docker.sock"])), None);
        assert_eq!(outcome(""), None);
        let renewed = ["Waiting for TLS certificate to be issued...", "Downloaded new TLS credentials"];
        assert_eq!(outcome(&lines(&renewed)), None);
        // A session that failed long after the join.
        let again =
            ["agent: session failed", "waiting 0s before registering session", "NetworkDB stats a(b)"];
        assert_eq!(outcome(&lines(&again)), Some((Some(Step::GossipStarted), None, None)));
    }
}
