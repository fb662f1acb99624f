//! How far a join got, as text and evidence.

use crate::{Evidence, Finding};
use facts::Seen;
use facts::join_progress::{JoinProgress, Step};
use facts::log::{Line, Log};

/// Adds the log lines that show the progress, and the line that is missing.
pub(crate) fn add_evidence(join: &JoinProgress<'_>, log: &Seen<Log>, finding: &mut Finding) {
    if let (Some(_), Some((_, line))) = (join.error, join.reached) {
        finding.with(Evidence::log(log, line));
    }
    if let Some(line) = join.response {
        finding.with(Evidence::log(log, line));
    }
    if let Some((_, words)) = join.missing {
        finding.with(Evidence::absent(log, format!("no line \"{words}\" after that")));
    }
}

/// How far the join got, in one sentence.
pub(crate) fn progress(join: &JoinProgress<'_>) -> &'static str {
    use Step::{
        AgentStarted, CertificateReceived, CertificateRequested, GossipStarted, ManagerSelected, Started,
        VxlanConfigured,
    };
    let reached = join.reached.map(|(step, _)| step);
    match (reached, join.missing.map(|(step, _)| step)) {
        (None | Some(Started), Some(_)) => "the node started to join and received no certificate",
        (Some(CertificateRequested), Some(_)) => "the node requested its certificate and no manager answered",
        (Some(CertificateReceived | ManagerSelected | VxlanConfigured), Some(AgentStarted)) => {
            "the node received its certificate and gossip did not start"
        }
        (_, Some(GossipStarted)) => "the node received the gossip keys and does not listen for gossip",
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
