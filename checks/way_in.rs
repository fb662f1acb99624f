//! How a join that did not come to its end is told.

use crate::{Evidence, Finding};
use facts::Seen;
use facts::log::{Line, Log};
use facts::way_in::{Step, WayIn};

/// The lines that came, and the one that did not.
pub(crate) fn proof(join: &WayIn<'_>, log: &Seen<Log>, finding: &mut Finding) {
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

/// How far the join came, in one sentence.
pub(crate) fn story(join: &WayIn<'_>) -> &'static str {
    use Step::{Agent, Asked, Certified, Configured, Gossip, Registered, Requested};
    let reached = join.reached.map(|(step, _)| step);
    match (reached, join.missing.map(|(step, _)| step)) {
        (None | Some(Asked), Some(_)) => "the node was told to join, and got no certificate",
        (Some(Requested), Some(_)) => {
            "the node asked for its certificate and never got one: no manager answered"
        }
        (Some(Certified | Registered | Configured), Some(Agent)) => {
            "the node got its certificate and its gossip never began"
        }
        (_, Some(Gossip)) => "the node was given the keys of gossip and its gossip does not listen",
        (_, Some(_)) => "the node found a manager and was never told what to do",
        (_, None) => "the node joined, and its ingress network could not be made",
    }
}

/// What a line complains of, with the error it gives for it.
pub(crate) fn said(line: &Line) -> String {
    match line.fields.get("error") {
        Some(error) => format!("{}: {error}", line.message.trim_end()),
        None => line.message.trim_end().to_owned(),
    }
}
