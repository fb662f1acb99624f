//! A node's way into the swarm, as its engine's log tells it: the steps that came, and the one that did not.
//!
//! Engines name different steps, and each a few of them only, so a step counts as missing just where engines of that
//! age always name it. What tells their age is what they say.

use crate::log::{Line, Log};

/// A step of the way, in the order in which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The engine was asked to join.
    Asked,
    /// The certificate was asked for.
    Requested,
    /// The certificate came.
    Certified,
    /// A manager was chosen to talk to.
    Registered,
    /// The manager's first message came, and in it the port of VXLAN.
    Configured,
    /// The keys of gossip came, and its agent begins.
    Agent,
    /// Gossip listens.
    Gossip,
}

/// How engines of one age name their steps.
struct Age {
    /// The words a line of each step begins with.
    steps: &'static [(Step, &'static str)],
}

/// From 1.12 on: the engine tells of its certificate. The words of `Asked` are of Red Hat's builds alone.
static FIRST: Age = Age {
    steps: &[
        (Step::Asked, "{Action=join,"),
        (Step::Requested, "Waiting for TLS certificate to be issued"),
        (Step::Certified, "Downloaded new TLS credentials"),
        (Step::Agent, "Initializing Libnetwork Agent"),
        (Step::Gossip, "Gossip cluster hostname"),
    ],
};

/// From 17.06 on: the engine tells of gossip; of its manager since 18.03, of VXLAN since 19.03. A manager is chosen
/// again whenever a session breaks, and of that no more may be left than gossip's own lines; so these count, too.
static LATER: Age = Age {
    steps: &[
        (Step::Registered, "waiting 0s before registering session"),
        (Step::Configured, "initialized VXLAN UDP port"),
        (Step::Agent, "Initializing Libnetwork Agent"),
        (Step::Gossip, "New memberlist node"),
        (Step::Gossip, "NetworkDB stats "),
        (Step::Gossip, "memberlist: "),
    ],
};

/// What ends all that was before: the engine starts, leaves the swarm or is asked to leave.
const ENDS: [&str; 4] = [
    "Starting up",
    "{Action=leave,",
    "shutting down certificate renewal routine",
    "cluster exited with error: context canceled",
];

/// How gossip begins to listen, as engines of either age say it.
const BEGINNINGS: [&str; 2] = ["Gossip cluster hostname", "New memberlist node"];

/// What an engine says of what went wrong on the way, and the step that heals it.
const TROUBLES: [(&str, Option<Step>); 12] = [
    ("failed to retrieve remote root CA certificate", Some(Step::Registered)),
    ("cluster exited with error", Some(Step::Registered)),
    ("agent: session failed", Some(Step::Agent)),
    ("session message handler failed", Some(Step::Agent)),
    // No line heals these: an agent that failed stays so until the engine starts again, and a network that could not
    // be made is made in silence.
    ("Error in agentInit", None),
    ("error in agentInit", None),
    ("node configure failed", None),
    ("Failed creating ingress", None),
    ("Failed getting ingress network", None),
    ("Failed joining ingress sandbox", None),
    ("Failed enabling service for ingress sandbox", None),
    ("failed to find a load balancer IP to use for network", None),
];

/// The latest attempt to come into the swarm.
#[derive(Clone, Debug, PartialEq)]
pub struct WayIn<'a> {
    /// The last step that came, and where the log says so.
    pub reached: Option<(Step, &'a Line)>,
    /// The step that should have come next, and the words a line of it begins with.
    pub missing: Option<(Step, &'static str)>,
    /// What went wrong last, and was not recovered since.
    pub trouble: Option<&'a Line>,
    /// The answer to whoever asked: nothing of the join comes after it.
    pub answered: Option<&'a Line>,
}

/// The lines since the engine last started, or last left a swarm: what was said before is of another life.
pub fn life(log: &Log) -> &[Line] {
    after(&log.lines, |line| ENDS.iter().any(|words| line.message.starts_with(words)))
}

/// The lines since gossip last began to listen in this life. As it ends it complains of whatever it can reach no more.
pub fn gossip(log: &Log) -> &[Line] {
    let begun = |line: &Line| BEGINNINGS.iter().any(|words| line.message.starts_with(words));
    after(life(log), begun)
}

fn after(lines: &[Line], is_start: impl Fn(&Line) -> bool) -> &[Line] {
    let start = lines.iter().rposition(is_start).map_or(0, |at| at + 1);
    lines.get(start..).unwrap_or_default()
}

impl<'a> WayIn<'a> {
    /// The latest attempt that the log tells of; `None` where it tells of none.
    pub fn of(log: &'a Log) -> Option<Self> {
        let lines = life(log);
        let speaks = |age: &Age| lines.iter().any(|line| age.own(line));
        let age = if speaks(&FIRST) && !speaks(&LATER) { &FIRST } else { &LATER };
        let mut join = Self { reached: None, missing: None, trouble: None, answered: None };
        for line in lines {
            if let Some(step) = age.step(line) {
                // A session that broke begins again, and an engine until 24 names its agent again and again.
                let again = join.reached.is_some_and(|(reached, _)| step <= reached && step != Step::Asked);
                if !again {
                    join.reached = Some((step, line));
                }
                if step == Step::Asked {
                    join.answered = None;
                }
                let recovered =
                    |trouble: &&Line| complaint(trouble).flatten().is_some_and(|healer| step >= healer);
                join.trouble = join.trouble.filter(|trouble| !recovered(trouble));
            } else if let Some(healer) = complaint(line) {
                if healer == Some(Step::Registered) {
                    // Without a certificate it is at the beginning, whatever gossip still says as it ends.
                    join.reached = join.reached.filter(|(step, _)| *step <= Step::Requested);
                }
                join.trouble = Some(line);
            } else if answers(line, lines) {
                join.answered = Some(line);
            }
        }
        // Older engines renew their certificate in the words of a join, and then nothing has to follow.
        if std::ptr::eq(age, &FIRST) && !lines.iter().any(|line| FIRST.step(line) == Some(Step::Asked)) {
            join.reached = None;
        }
        let (reached, _) = join.reached.or(join.trouble.map(|line| (Step::Asked, line)))?;
        join.missing = age.steps.iter().copied().find(|(step, _)| *step > reached);
        if join.missing.is_none() {
            // A session that breaks after the join is another ailment.
            join.trouble = join.trouble.filter(|trouble| complaint(trouble) == Some(None));
        }
        Some(join)
    }
}

impl Age {
    /// The step a line is of.
    fn step(&self, line: &Line) -> Option<Step> {
        self.steps.iter().find(|(_, words)| line.message.starts_with(words)).map(|(step, _)| *step)
    }

    /// Whether the line is of a step that only engines of this age name.
    fn own(&self, line: &Line) -> bool {
        self.step(line).is_some_and(|step| step != Step::Agent)
    }
}

/// Whether a line complains, and the step that heals what it complains of.
fn complaint(line: &Line) -> Option<Option<Step>> {
    TROUBLES.iter().find(|(words, _)| line.message.contains(words)).map(|(_, step)| *step)
}

/// Whether Red Hat's line is of the call that the joining client makes once it has its answer: `{Action=<an id>,
/// ... PID=3592}`, after `{Action=join, ... PID=3592}`.
fn answers(line: &Line, lines: &[Line]) -> bool {
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

    /// The last step, the missing one and the trouble.
    fn outcome(text: &str) -> Option<(Option<Step>, Option<Step>, Option<String>)> {
        let log = log(text);
        let join = WayIn::of(&log)?;
        let trouble = join.trouble.map(|line| line.message.clone());
        Some((join.reached.map(|(step, _)| step), join.missing.map(|(step, _)| step), trouble))
    }

    fn lines(messages: &[&str]) -> String {
        let line = |message: &&str| format!("time=\"2026-11-22T21:00:00Z\" level=info msg={message:?}\n");
        messages.iter().map(line).collect()
    }

    const BAD: &str = include_str!("way_in/1.12-bad");
    const GOOD: &str = include_str!("way_in/1.12-good");

    #[test]
    fn sees_which_step_never_came() {
        let (reached, missing, trouble) = outcome(BAD).unwrap();
        assert_eq!((reached, missing), (Some(Step::Certified), Some(Step::Agent)));
        assert_eq!(trouble, None);
        let log = log(BAD);
        let answered = WayIn::of(&log).unwrap().answered.unwrap();
        assert!(answered.message.starts_with("{Action=01oa7e502xhbsgo7681brbmxn"));
        for (until, missing) in [
            ("waiting 0s before registering session", Step::Configured),
            ("initialized VXLAN UDP port to 4789 ", Step::Agent),
            ("Initializing Libnetwork Agent", Step::Gossip),
        ] {
            let text = lines(&["Starting up", "waiting 0s before registering session", until]);
            assert_eq!(outcome(&text).unwrap().1, Some(missing), "{until}");
        }
    }

    #[test]
    fn sees_a_whole_way() {
        let whole = [
            ("1.12", GOOD),
            ("20.10.5", include_str!("way_in/20.10.5")),
            ("20.10.24", include_str!("way_in/20.10.24")),
            ("26.1.5", include_str!("way_in/26.1.5")),
            ("28.5.2", include_str!("way_in/28.5.2")),
        ];
        for (engine, text) in whole {
            assert_eq!(outcome(text), Some((Some(Step::Gossip), None, None)), "{engine}");
        }
        // What was bad before does not count.
        assert_eq!(outcome(&[BAD, GOOD].concat()), Some((Some(Step::Gossip), None, None)));
    }

    #[test]
    fn keeps_the_trouble_until_it_is_healed() {
        let refused = "failed to retrieve remote root CA certificate";
        let (reached, missing, trouble) = outcome(&lines(&["Starting up", refused])).unwrap();
        assert_eq!((reached, missing), (None, Some(Step::Registered)));
        assert_eq!(trouble.as_deref(), Some(refused));
        let recovered = lines(&[refused, "waiting 0s before registering session"]);
        assert_eq!(outcome(&recovered).unwrap().2, None);
        let broken = lines(&["waiting 0s before registering session", "agent: session failed"]);
        assert_eq!(outcome(&broken).unwrap().2.as_deref(), Some("agent: session failed"));
        let failed = "Failed creating ingress network: network sandbox join failed";
        let late = lines(&["New memberlist node - Node:a", failed, "NetworkDB stats a(b)"]);
        assert_eq!(outcome(&late).unwrap().2.as_deref(), Some(failed));
    }

    #[test]
    fn a_node_that_left_is_on_no_way() {
        assert_eq!(
            outcome(&lines(&["New memberlist node", "shutting down certificate renewal routine"])),
            None
        );
        assert_eq!(outcome(&lines(&["Starting up", "API listen on /run/docker.sock"])), None);
        assert_eq!(outcome(""), None);
        let renewed = ["Waiting for TLS certificate to be issued...", "Downloaded new TLS credentials"];
        assert_eq!(outcome(&lines(&renewed)), None);
        // A session that broke, long after the join.
        let again =
            ["agent: session failed", "waiting 0s before registering session", "NetworkDB stats a(b)"];
        assert_eq!(outcome(&lines(&again)), Some((Some(Step::Gossip), None, None)));
    }
}
