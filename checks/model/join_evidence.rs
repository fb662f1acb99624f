//! How far a join got, as text and evidence.

use crate::{Evidence, Finding};
use facts::Seen;
use facts::log::{Line, Log};
use facts::way_in::{Step, WayIn};

/// Adds the log lines that show the progress, and the line that is missing.
pub(crate) fn add_evidence(join: &WayIn<'_>, log: &Seen<Log>, finding: &mut Finding) {
    if let (Some(_), Some((_, line))) = (join.trouble, join.reached) {
        finding.with(Evidence::log(log, line));
    }
    if let Some(line) = join.answered {
        finding.with(Evidence::log(log, line));
    }
    if let Some((_, words)) = join.missing {
        finding.with(Evidence::absent(log, format!("no line \"{words}\" after that")));
    }
}

/// How far the join got, in one sentence.
pub(crate) fn progress(join: &WayIn<'_>) -> &'static str {
    use Step::{Agent, Asked, Certified, Configured, Gossip, Registered, Requested};
    let reached = join.reached.map(|(step, _)| step);
    match (reached, join.missing.map(|(step, _)| step)) {
        (None | Some(Asked), Some(_)) => "the node started to join and received no certificate",
        (Some(Requested), Some(_)) => "the node requested its certificate and no manager answered",
        (Some(Certified | Registered | Configured), Some(Agent)) => {
            "the node received its certificate and gossip did not start"
        }
        (_, Some(Gossip)) => "the node received the gossip keys and does not listen for gossip",
        (_, Some(_)) => "the node found a manager and received no assignment",
        (_, None) => "the node joined and could not create its ingress network",
    }
}

/// A log line with its error field.
pub(crate) fn message(line: &Line) -> String {
    match line.fields.get("error") {
        Some(error) => format!("{}: {error}", line.message.trim_end()),
        None => line.message.trim_end().to_owned(),
    }
}
